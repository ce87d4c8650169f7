"""A minute of `make torture`, what its results say, and whether it would notice a loss."""

from __future__ import annotations

import importlib
import json
import operator
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from benchmarks.faults.ills import DISKS, ILLS
from benchmarks.faults.kills import every_blow
from benchmarks.faults.ledger import Ledger
from benchmarks.faults.points import POINTS
from benchmarks.faults.report import table
from benchmarks.faults.stream import MODEL, Arena, Stream
from benchmarks.torture import QUICK, RESULTS, TABLE, failures, torture
from shiftwatch import config
from shiftwatch.monitor import Monitor
from shiftwatch.store import Store


@pytest.fixture(scope="module")
def stored() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def test_the_table_is_what_the_results_give(stored: Mapping[str, Any]) -> None:
    assert TABLE.read_text(encoding="utf-8") == table(stored)


def test_the_stored_torture_was_whole_and_lost_nothing(stored: Mapping[str, Any]) -> None:
    assert failures(stored) == []
    faults = {fault["name"].partition(" (")[0]: fault for fault in stored["faults"]}
    assert faults["kill -9 at a named point"]["injected"] == len(every_blow())
    assert faults["kill -9 at random moments"]["injected"] >= 200
    assert set(ILLS) | set(DISKS) <= set(faults)
    assert stored["asked"]["alarmed"] > 50
    assert (stored["load"]["files"], stored["load"]["models"]) == (10_000, 50)


def test_every_point_of_a_step_is_struck_at_the_daemon_and_those_of_a_check_at_its_worker() -> None:
    blows = every_blow()
    assert {point for point, whom in blows if whom == "parent"} == set(POINTS)
    at_worker = {point for point, whom in blows if whom == "worker"}
    assert at_worker >= {name for name, point in POINTS.items() if point.home == "worker"}


@pytest.mark.parametrize("point", POINTS)
def test_every_point_lies_where_it_says(point: str) -> None:
    """One that has moved would be missed in silence until somebody tortures all of it."""
    module, _, path = POINTS[point].place.partition(":")
    assert callable(operator.attrgetter(path)(importlib.import_module(module)))


@pytest.mark.slow
def test_a_minute_of_torture_loses_nothing_and_judges_nothing_twice_or_differently(
    tmp_path: Path,
) -> None:
    found = torture(QUICK, tmp_path, seed=1)
    assert failures(found) == []
    assert found["asked"]["alarmed"] > 0


@pytest.mark.slow
def test_the_torturer_notices_what_is_lost_repeated_or_different(tmp_path: Path) -> None:
    stream = Stream.made(tmp_path, 5)
    one, other = (_calmly_judged(stream.arena(name)) for name in ("one", "other"))
    log = one.folder / "log.txt"
    log.write_text("", encoding="utf-8")
    assert Ledger.of(one, other, [log]) == Ledger(5, 5, 0, 0, 0)
    log.write_text(2 * '{"event": "judged", "batch": "0123"}\n', encoding="utf-8")
    assert Ledger.of(one, other, [log]).judged_twice == 1
    with closing(sqlite3.connect(one.store)) as history:
        history.execute(
            "UPDATE runs SET document = (SELECT document FROM runs WHERE seq = 1) WHERE seq = 2"
        )
        history.execute("DELETE FROM runs WHERE seq = 5")
        history.commit()
    told = Ledger.of(one, other, [])
    assert (told.judged, told.lost) == (4, 2)
    assert told.different > 0


def _calmly_judged(arena: Arena) -> Arena:
    arena.hand(5)
    settings = config.load(str(arena.config), {})
    with Store.open(settings.store.path, clock=time.time) as store:
        assert len(list(Monitor(settings, store, time.time, {MODEL: "test"}).step())) == 5
    return arena
