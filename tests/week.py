"""A history of a week and two hours whose nights differ, to compare its batches with each other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from shiftwatch.comparisons import Comparisons
from shiftwatch.config import fingerprint
from shiftwatch.monitor import Monitor
from shiftwatch.settings import ModelSettings
from shiftwatch.sides import Side
from shiftwatch.store import Store
from shiftwatch.values import Run
from tests.schema import valid_report
from tests.streams import ks_model, settings_of, write_batches
from tests.test_daemon import until

HOUR, DAY = 3600, 86_400
START = 1_780_000_000 // DAY * DAY
ROWS = 400


def rows(rng: np.random.Generator, at: float, mean: float) -> pa.Table:
    """Rows of an hour whose mean follows the time of the day."""
    moments = pa.array((at + np.arange(ROWS) * HOUR / ROWS) * 1e6, pa.float64())
    return pa.table(
        {
            "x": rng.normal(mean, size=ROWS),
            "at": moments.cast(pa.int64()).cast(pa.timestamp("us", "UTC")),
        }
    )


class House:
    """A history of a week and two hours; at night the mean is another than in the reference."""

    def __init__(self, where: Path) -> None:
        rng = np.random.default_rng(4)
        reference = pa.concat_tables(
            [rows(rng, START - 9 * DAY + h * HOUR, 0.0) for h in range(20)]
        )
        self.model: ModelSettings = ks_model(where, reference)
        # An evening, the night after it, and both a week later.
        self.hours = [
            (0, 0.0),
            (1, 1.0),
            (2, 1.0),
            (7 * 24, 0.0),
            (7 * 24 + 1, 1.0),
            (7 * 24 + 2, 1.0),
        ]
        write_batches(where, [rows(rng, START + h * HOUR, mean) for h, mean in self.hours])
        self.settings = settings_of(where, self.model)
        self.store = Store.open(self.settings.store.path, clock=time.time)
        self.prints = {"m": fingerprint(self.settings, self.model)}
        self.monitor = Monitor(self.settings, self.store, time.time, self.prints)
        self.runs = list(self.monitor.step())
        assert len(self.runs) == len(self.hours)
        self.asking = Comparisons(self.store, time.time)

    @property
    def ids(self) -> list[str]:
        return [run.batch.id for run in self.runs]

    def compare(self, current: Side, reference: Side) -> dict[str, Any]:
        """Ask, wait, read."""
        state = dict(self.asking.ask(self.monitor, "m", current, reference))
        found = until(lambda: self._ended(state["id"]))
        assert found["status"] == "done", found
        document = self.asking.document("m", state["id"])
        assert document is not None
        valid_report(document)
        return document | {"id": state["id"]}

    def _ended(self, identity: str) -> dict[str, Any] | None:
        state = self.asking.state("m", identity)
        return dict(state) if state is not None and state["status"] in ("done", "failed") else None

    def close(self) -> None:
        self.asking.close()
        self.store.close()


@pytest.fixture
def past(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """For tests that change nothing: of one that was made before, the same is told again."""
    made = House(tmp_path_factory.mktemp("shared"))
    yield made
    made.close()


def numbers(results: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    fields = ("test", "target", "statistic", "p_value", "effect", "effect_low", "rows_reference")
    return [tuple(result[name] for name in fields) for result in results]


def of_run(run: Run) -> list[tuple[Any, ...]]:
    return [
        (r.test, r.target, r.statistic, r.p_value, r.effect, r.effect_low, r.rows_reference)
        for r in run.results
    ]


def file_of(past: House, index: int) -> Path:
    return sorted(Path(past.model.batches).glob("*.parquet"))[index]
