"""Evidently's report of two Parquet files as a page, for `make bench-report`.

In:    ``python -m benchmarks.peers.evidently_page page|dirt|about ...``, in its own environment.
Out:   a page; as JSON its seconds, what it found by column, what the package can do.
Never: imports shiftwatch; changes a default.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
from evidently import BinaryClassification, DataDefinition, Dataset, Report, metrics, presets

from benchmarks.speed.clock import cpu_seconds

_PRESETS: Mapping[str, tuple[type, ...]] = {
    "drift": (presets.DataDriftPreset,),
    "summary": (presets.DataDriftPreset, presets.DataSummaryPreset),
    "all": (presets.DataDriftPreset, presets.DataSummaryPreset, presets.ClassificationPreset),
}


_ASKED = (
    *("to_markdown", "markdown", "save_markdown", "to_csv", "csv", "save_csv", "_repr_html_"),
    *("tests_results", "DatasetCorrelations", "EmbeddingsDrift"),
)
"""Of its report and its metrics: what the table of `make bench-report` asks for."""


def _definition(frame: Any, *, labelled: bool) -> Any:
    if not labelled:  # as in its first steps: it guesses the kinds of the columns
        return DataDefinition()
    told = BinaryClassification(
        target="is_canceled", prediction_labels="y_pred", prediction_probas="y_pred_proba"
    )
    texts = [name for name in frame.columns if frame[name].dtype == object]
    kept = {"timestamp", *texts, "is_canceled", "y_pred", "y_pred_proba"}
    return DataDefinition(
        numerical_columns=[name for name in frame.columns if name not in kept],
        categorical_columns=[*texts, "y_pred"],
        datetime_columns=["timestamp"],
        classification=[told],
    )


def _made(chosen: str, reference: str, batch: str) -> Any:
    sides = []
    for path in (reference, batch):
        frame = pd.read_parquet(path)
        definition = _definition(frame, labelled=chosen == "all")
        sides.append(Dataset.from_pandas(frame, data_definition=definition))
    return Report([preset() for preset in _PRESETS[chosen]]).run(sides[1], sides[0])


def page(chosen: str, repetitions: str, reference: str, batch: str, target: str) -> dict[str, Any]:
    """Write the page so many times; seconds of each, what was found by column."""
    cpu, wall = [], []
    made: list[Any] = []

    def work() -> None:
        made.append(_made(chosen, reference, batch))
        made[-1].save_html(target)

    for _ in range(int(repetitions)):
        began = time.perf_counter()
        cpu.append(cpu_seconds(work))
        wall.append(time.perf_counter() - began)
    Path(target).with_suffix(".json").write_text(made[-1].json(), encoding="utf-8")
    return {"cpu": cpu, "wall": wall, "found": _found(made[-1])}


def dirt(reference: str, batch: str, column: str) -> dict[str, Any]:
    """What it says of a spoilt column, with its drift and its summary of the data."""
    found = _found(_made("summary", reference, batch))
    return {"told": found.get(column, ["no word of the column"]), "all": found.get("", [])}


def _found(made: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for metric in made.dict()["metrics"]:
        told, config = metric["value"], metric.get("config", {})
        kind = config.get("type", "").rpartition(":")[2]
        if kind in _SAID:
            found.setdefault(config.get("column", ""), []).append(_SAID[kind](told, config))
    return found


def _drift(told: Any, config: Mapping[str, Any]) -> str:
    level = config["threshold"]
    over = "drift" if float(told) >= level else "no drift"
    return f"{over}: {config['method']} {float(told):.2g}, threshold {level}"


def _columns(told: Any, config: Mapping[str, Any]) -> str:
    found, needed = float(told["share"]), float(config["drift_share"])
    over = "dataset drift" if found >= needed else f"no dataset drift, which needs {needed:.0%}"
    return f"{told['count']:.0f} columns drifted, {found:.0%} of them: {over}"


def _missing(told: Any, config: Mapping[str, Any]) -> str:
    del config
    return f"missing {told['count']:.0f} ({float(told['share']):.0%})"


_SAID: Mapping[str, Callable[[Any, Mapping[str, Any]], str]] = {
    "ValueDrift": _drift,
    "DriftedColumnsCount": _columns,
    "MissingValueCount": _missing,
}


def about() -> dict[str, Any]:
    """What the package can do besides."""
    made = Report([]).run(Dataset.from_pandas(pd.DataFrame({"x": [1.0, 2.0]})), None)
    return {
        "presets": sorted(name for name in dir(presets) if name.endswith("Preset")),
        "metrics": len([name for name in dir(metrics) if name[0].isupper()]),
        "asked for": [name for name in _ASKED if hasattr(metrics, name) or hasattr(made, name)],
    }


def main() -> None:
    """Answer one question."""
    question, *arguments = sys.argv[1:]
    told = {"page": page, "dirt": dirt, "about": about}[question](*arguments)  # type: ignore[operator]
    print(json.dumps(told | {"version": metadata.version("evidently")}))


if __name__ == "__main__":
    main()
