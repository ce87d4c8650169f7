"""What the history keeps of the cost of checks: sums of a day, and the last ones for the budget."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from shiftwatch.budget import Effort, Spent
from shiftwatch.price import DayCost
from shiftwatch.store import Store, migrations
from shiftwatch.values import Cost, Run
from tests.test_store import DAY, START, a_run, commit

HOUR = 3600.0


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "history.db")


@pytest.fixture
def store(path: str) -> Iterator[Store]:
    with Store.open(path, clock=lambda: START) as opened:
        yield opened


def _costly(name: str, at: float, seconds: float, joules: float | None = None) -> Run:
    cost = Cost(seconds, seconds, 0, joules, tests={"ks": seconds / 2}, rows=50)
    return replace(a_run(name, at=at), cost=cost)


def test_the_checks_of_a_day_are_added_up_to_the_one_asked_about(store: Store) -> None:
    for hour in range(48):
        commit(store, _costly(f"b{hour}", START + hour * HOUR, 0.5, 2.0))
    commit(store, replace(_costly("other", START + 47 * HOUR, 100.0), model="fraud"))
    assert store.day_cost("churn", START + 47 * HOUR) == DayCost(24, 24 * 50, 12.0, 48.0)
    assert store.day_cost("churn", START + 2 * HOUR) == DayCost(3, 150, 1.5, 6.0)
    assert store.day_cost("churn", START + 100 * HOUR) is None
    assert store.day_cost("nobody", START) is None


def test_a_check_whose_energy_is_not_known_adds_none(store: Store) -> None:
    commit(store, _costly("b0", START, 0.5, None), _costly("b1", START + 1, 0.5, 3.0))
    assert store.day_cost("churn", START + 1) == DayCost(2, 100, 1.0, 3.0)


def test_the_last_checks_are_there_for_the_budget_also_after_reopening(
    store: Store, path: str
) -> None:
    effort = Effort("subsample", 25, ("whole",))
    runs = [_costly(f"b{place}", START + place, 1.0 + place) for place in range(5)]
    runs[-1] = replace(runs[-1], provenance={"effort": asdict(effort)})
    commit(store, *runs)
    with Store.read(path) as reader:
        found = reader.spent("churn", 3)
        assert reader.spent("fraud", 3) == ()
    assert found == tuple(Spent.of(run) for run in runs[2:])
    assert found[-1].given_up == ("whole",)


def test_costs_are_forgotten_with_their_runs(store: Store, path: str) -> None:
    commit(store, *(_costly(f"b{day}", START + day * DAY, 1.0) for day in range(6)))
    store.forget(2, {}, START + 5 * DAY)
    connection = sqlite3.connect(path)
    kept = connection.execute("SELECT batch_id FROM costs ORDER BY at").fetchall()
    connection.close()
    assert kept == [("b3",), ("b4",), ("b5",)]
    assert [row.batch_id for row in store.runs("churn")] == ["b5", "b4", "b3"]


def test_a_history_from_before_there_were_costs_goes_on_with_none(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        before = migrations.MIGRATIONS[: migrations.MIGRATIONS.index(migrations.lay_costs)]
        patched.setattr(migrations, "MIGRATIONS", before)
        for later in ("writing.note_cost", "broken.end_retries"):  # their tables come after
            patched.setattr(f"shiftwatch.store.{later}", lambda *_: None)
        with Store.open(path, clock=lambda: START) as older:
            commit(older, _costly("old", START, 1.0))
    with Store.open(path, clock=lambda: START) as store:
        assert store.spent("churn", 20) == ()
        assert store.day_cost("churn", START) is None
        commit(store, _costly("new", START + 1, 2.0, 7.0))
        assert store.day_cost("churn", START + 1) == DayCost(1, 50, 2.0, 7.0)
        stored = store.run("churn", "old")
        assert stored is not None
        assert stored.cost.cpu_seconds == 1.0
