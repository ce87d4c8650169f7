"""What grows with what: the stored figures, the fits, and the history that must not."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.dom import minidom

import numpy as np
import pytest

from benchmarks.growth import AXES, PICTURE, RESULTS, TABLE
from benchmarks.scaling.fit import exponents, slope
from benchmarks.scaling.picture import SERIES, drawn, table
from benchmarks.soak import Held
from shiftwatch.settings import LimitSettings
from shiftwatch.store import Store
from shiftwatch.values import Batch, FileFacts, Piece, Run
from tests import sample_runs

MB = 1_000_000


@pytest.fixture(scope="module")
def stored() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def test_picture_and_table_are_what_the_results_give(stored: Mapping[str, Any]) -> None:
    assert PICTURE.read_text(encoding="utf-8") == drawn(stored)
    assert TABLE.read_text(encoding="utf-8") == table(stored)
    assert minidom.parseString(drawn(stored)).getElementsByTagName("path")  # noqa: S318 - our own


def test_every_axis_was_measured_in_full(stored: Mapping[str, Any]) -> None:
    sizes = {name: [p["size"] for p in axis["points"]] for name, axis in stored["axes"].items()}
    assert sizes == {name: list(axis.sizes) for name, axis in AXES.items()}


def test_nothing_is_worse_than_linear_and_memory_stays_within_the_limit(
    stored: Mapping[str, Any],
) -> None:
    for name, axis in stored["axes"].items():
        for key, (what, _, _) in SERIES.items():
            held = [point for point in axis["points"] if key in point]
            growth = exponents([p["size"] for p in held], [p[key] for p in held])
            assert growth is None or growth.whole < 1.1, (name, what)
            if held and key.endswith("peak_bytes"):
                # Besides what the limit counts, mapped libraries and a mapped reference are there.
                assert max(point[key] for point in held) < (LimitSettings().memory_mb + 150) * MB


def test_with_a_hundred_times_the_checks_stored_the_daemon_works_no_longer(
    stored: Mapping[str, Any],
) -> None:
    points = {point["size"]: point for point in stored["axes"]["stored checks"]["points"]}
    for key in points[1000]:
        if key != "size":  # a listing is full from 1000 on
            assert points[100_000][key] < 2 * points[1000][key] + 0.1, key


# The fits ----------------------------------------------------------------------------------------


def test_exponents_of_a_power_law_are_its_power() -> None:
    sizes = [10.0**power for power in range(2, 7)]
    growth = exponents(sizes, [3e-6 * size**1.7 for size in sizes])
    assert growth is not None
    assert (growth.whole, growth.last) == (1.7, 1.7)
    assert exponents([1, 10], [0.0, 1.0]) is None, "nothing can be said of one point"


def test_a_slope_is_seldom_three_errors_off_though_neighbours_are_alike() -> None:
    """A leak is told by three standard errors; in 400 series with memory .5, 95 % are within."""
    rng = np.random.default_rng(0)
    x = [float(n) for n in range(200)]
    inside = 0
    for _ in range(400):
        noise = np.zeros(200)
        for index, shock in enumerate(rng.standard_normal(200)):
            noise[index] = 0.5 * noise[index - 1] + shock if index else shock
        found, error = slope(x, [0.03 * n + float(e) for n, e in zip(x, noise, strict=True)])
        inside += abs(found - 0.03) <= 3 * error
    assert inside >= 0.95 * 400


def test_a_leak_is_told_from_a_flat_line_and_from_a_warm_up() -> None:
    rng = np.random.default_rng(1)
    checks = list(range(50, 10_001, 50))
    noise = rng.normal(0, 200_000, len(checks))
    warm = [2_000_000 * min(1.0, n / 1500) for n in checks]
    flat = [50_000_000 + w + e for w, e in zip(warm, noise, strict=True)]
    leaking = [value + 100 * n for value, n in zip(flat, checks, strict=True)]
    told = [Held(checks, [round(v) for v in series]).told() for series in (flat, leaking)]
    assert [each["leak"] for each in told] == [False, True]
    assert told[1]["bytes_per_check"] == pytest.approx(100, abs=4 * told[1]["standard_error"])


# The history -------------------------------------------------------------------------------------


class _Effort:
    """Steps of SQLite's machine, in hundreds."""

    def __init__(self, store: Store) -> None:
        self.taken = 0
        assert store._writer is not None
        self._watch(store._writer)
        with store._readers.lend() as reader:
            self._watch(reader)

    def _watch(self, connection: sqlite3.Connection) -> None:
        connection.set_progress_handler(self._count, 100)

    def _count(self) -> int:
        self.taken += 1
        return 0

    def of(self, work: Callable[[], object]) -> int:
        self.taken = 0
        work()
        return self.taken


def _runs(count: int) -> Iterator[Run]:
    run = sample_runs.no_shift()
    for index in range(count):
        piece = Piece(f"/batches/{index}.parquet", 9, f"{index:064}", 0, 5)
        batch = Batch(f"{index:016}", (piece,), 5)
        yield replace(run, model="churn", batch=batch, judged_at=1000.0 + index)


def _filled(folder: Path, count: int) -> Store:
    store = Store.open(str(folder / f"{count}.db"), clock=lambda: 1000.0)
    assert store._writer is not None
    store._writer.execute("PRAGMA synchronous = OFF")  # nobody cuts the power of a test
    for run in _runs(count):
        (piece,) = run.batch.pieces
        store.accept_files("churn", [FileFacts(piece.uri, 9, 1, piece.sha256, 5)])
        store.commit(run, state="{}", cursor="{}", now=run.judged_at)
    return store


def _questions(store: Store) -> Iterator[tuple[str, Callable[[], object]]]:
    """What a look, a step, a page and retention ask, and as much as they ask for."""
    last = store.accepted_files("churn")[-3].seq
    yield "listed before", lambda: store.listed_before("churn", ["/batches/7.parquet"])
    yield "accepted", lambda: store.accepted_files("churn", after_seq=last)
    yield "a page of them", lambda: store.accepted_files("churn", limit=50)
    yield "judged", lambda: store.judged_among("churn", [f"{7:016}"])
    yield "state", lambda: store.state("churn")
    yield "runs", lambda: store.runs("churn", limit=50)
    yield "timeline", lambda: store.timeline("churn", 200)
    yield "document", lambda: store.document("churn")
    yield "flips", lambda: store.flips("churn")
    yield "retention", lambda: store.forget(400, {"churn": ["a"]}, 2000.0)


def test_no_question_of_a_step_or_a_page_walks_over_the_history(tmp_path: Path) -> None:
    efforts = []
    for count in (250, 1000):
        with _filled(tmp_path, count) as store:
            effort = _Effort(store)
            efforts.append({name: effort.of(work) for name, work in _questions(store)})
    few, many = efforts
    for name, taken in many.items():
        assert taken <= few[name] + 3, (name, few[name], taken)
