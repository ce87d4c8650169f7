"""Evidently's report of two Parquet files as a page, for `make bench-report`.

In:    ``python -m benchmarks.peers.evidently_page PRESETS REPETITIONS REFERENCE BATCH PAGE``.
Out:   the page; as JSON its CPU and wall seconds by repetition and what was found by column.
Never: imports shiftwatch; changes a default.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
from evidently import BinaryClassification, DataDefinition, Dataset, Report
from evidently.presets import ClassificationPreset, DataDriftPreset, DataSummaryPreset

from benchmarks.speed.clock import cpu_seconds

_PRESETS = {
    "drift": (DataDriftPreset,),
    "more": (DataDriftPreset, DataSummaryPreset),
    "all": (DataDriftPreset, DataSummaryPreset, ClassificationPreset),
}


def _definition(frame: Any, presets: str) -> Any:
    if presets != "all":  # as its first steps do: it guesses the kinds of the columns
        return DataDefinition()
    days = ["timestamp"]
    told = BinaryClassification(
        target="is_canceled", prediction_labels="y_pred", prediction_probas="y_pred_proba"
    )
    texts = [name for name in frame.columns if frame[name].dtype == object]
    kept = {*days, *texts, "is_canceled", "y_pred", "y_pred_proba"}
    numbers = [name for name in frame.columns if name not in kept]
    return DataDefinition(
        numerical_columns=numbers,
        categorical_columns=texts,
        datetime_columns=days,
        classification=[told],
    )


def page(presets: str, reference: str, batch: str, target: Path) -> dict[str, str]:
    """Read both files, write the page, and say what was found by column."""
    frames = [pd.read_parquet(path) for path in (reference, batch)]
    sides = [
        Dataset.from_pandas(frame, data_definition=_definition(frame, presets)) for frame in frames
    ]
    made = Report([preset() for preset in _PRESETS[presets]]).run(sides[1], sides[0])
    made.save_html(str(target))
    target.with_suffix(".json").write_text(made.json(), encoding="utf-8")
    found = {}
    for metric in made.dict()["metrics"]:
        config = metric.get("config", {})
        if config.get("type", "").endswith("ValueDrift"):
            method, level = config.get("method"), config.get("threshold")
            found[config["column"]] = f"{method} {float(metric['value']):.3g}, threshold {level}"
    return found


def main() -> None:
    """Answer with what it took."""
    presets, repetitions, reference, batch, target = sys.argv[1:]
    cpu, wall, found = [], [], {}
    for _ in range(int(repetitions)):
        began = time.perf_counter()

        def work() -> None:
            found.update(page(presets, reference, batch, Path(target)))

        cpu.append(cpu_seconds(work))
        wall.append(time.perf_counter() - began)
    told = {"cpu": cpu, "wall": wall, "found": found, "version": metadata.version("evidently")}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
