"""From results to decisions with all layers: through the worker's own requests, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shiftwatch.check import answer
from shiftwatch.decide import State
from shiftwatch.requests import Check, Checked, Context
from shiftwatch.settings import (
    AlarmSettings,
    ColumnSettings,
    FalseAlarmSettings,
    KsSettings,
    ModelSettings,
    TestsSettings,
)
from shiftwatch.values import Decision, Run
from tests.judging import batch_of

DAY = 86400.0
START = 1767225600.0


def rows(rng: np.random.Generator, count: int, shift: float = 0.0) -> dict[str, pa.Array]:
    columns = {f"x{j}": rng.standard_normal(count) for j in range(6)}
    columns["x0"] += shift
    return {name: pa.array(values) for name, values in columns.items()}


@pytest.fixture
def house(tmp_path: Path) -> Context:
    rng = np.random.default_rng(1)
    pq.write_table(pa.table(rows(rng, 5000)), tmp_path / "reference.parquet")
    settings = ModelSettings(
        name="plain",
        reference=str(tmp_path / "reference.parquet"),
        batches=str(tmp_path),
        tests=TestsSettings(ks=KsSettings()),
    )
    return Context(settings, AlarmSettings(), 0, str(tmp_path / "cache"), "0" * 64)


def stream(folder: Path, shifts: list[float], seed: int = 2) -> Iterator[Path]:
    rng = np.random.default_rng(seed)
    for number, shift in enumerate(shifts):
        path = folder / f"{number:03}.parquet"
        pq.write_table(pa.table(rows(rng, 500, shift)), path)
        yield path


def folded(context: Context, paths: Iterator[Path], every: float = 300.0) -> list[Checked]:
    """Judge one after the other, each with the state the one before has left."""
    state: str | None = None
    found = []
    for number, path in enumerate(paths):
        checked = answer(Check(context, batch_of(path), state, START + number * every))
        assert isinstance(checked, Checked)
        state = checked.state
        found.append(checked)
    return found


def of_input(run: Run) -> Decision:
    return next(decision for decision in run.decisions if decision.scope == "input")


def test_a_small_shift_is_found_by_what_past_batches_say_together(
    house: Context, tmp_path: Path
) -> None:
    shifts = [0.0] * 12 + [0.08] * 20
    found = folded(house, stream(tmp_path, shifts))
    alarms = [of_input(checked.run).alarm for checked in found]
    assert not any(alarms[:12])
    first = alarms.index(True)
    decision = of_input(found[first].run)
    assert decision.crossed
    assert "check" not in decision.crossed
    assert decision.columns == ("x0",)
    assert decision.since == found[first].run.batch.id
    ids = [checked.run.batch.id for checked in found]
    assert 9 <= ids.index(decision.change_from or "") <= 15
    assert found[first].run.verdict == "shift"
    alone = replace(house, alarms=AlarmSettings(memory="none"))
    later = [of_input(each.run).alarm for each in folded(alone, stream(tmp_path, shifts))]
    assert not any(later[: first + 1])


def test_the_alarm_ends_some_batches_after_the_shift_and_can_rise_again(
    house: Context, tmp_path: Path
) -> None:
    found = folded(house, stream(tmp_path, [0.0] * 4 + [0.6] * 6 + [0.0] * 30 + [0.6] * 2))
    alarms = [of_input(checked.run).alarm for checked in found]
    assert all(alarms[5:10])
    ended = alarms.index(False, 5)
    assert ended <= 10 + 20
    assert not any(alarms[ended:40])
    assert alarms[-1]


def test_the_state_survives_as_text_and_does_not_grow(house: Context, tmp_path: Path) -> None:
    found = folded(house, stream(tmp_path, [0.0] * 40))
    sizes = [len(checked.state) for checked in found]
    assert sizes[-1] < 2 * sizes[9]
    state = State.from_json(found[-1].state)
    assert state.checks == 40
    assert state.memory is not None


def test_another_reference_begins_the_memory_anew(house: Context, tmp_path: Path) -> None:
    (path,) = stream(tmp_path, [0.0])
    before = folded(house, iter([path]))[0]
    pq.write_table(pa.table(rows(np.random.default_rng(9), 4000)), Path(house.model.reference))
    other = replace(house, cache=str(tmp_path / "other"))
    after = answer(Check(other, batch_of(path), before.state, START))
    assert isinstance(after, Checked)
    assert "new_basis" in [finding.code for finding in after.run.findings]
    evidence = of_input(after.run).evidence
    assert evidence.pool is not None
    assert evidence.window is None  # no window is full yet


def test_a_check_that_belongs_to_no_history_has_no_slow_layers(
    house: Context, tmp_path: Path
) -> None:
    (path,) = stream(tmp_path, [0.0])
    checked = answer(Check(house, batch_of(path), None, START, alone=True))
    assert isinstance(checked, Checked)
    decision = of_input(checked.run)
    assert (decision.evidence.window, decision.evidence.pool) == (None, None)
    assert decision.level == pytest.approx(1 / 1000)


def test_with_days_a_late_batch_may_spend_what_the_missing_ones_might(
    house: Context, tmp_path: Path
) -> None:
    daily = replace(house, alarms=AlarmSettings(FalseAlarmSettings(per_days=90)))
    often = folded(daily, stream(tmp_path, [0.0] * 3), every=300.0)
    seldom = folded(daily, stream(tmp_path, [0.0] * 3), every=3600.0)
    ratio = of_input(seldom[-1].run).level / of_input(often[-1].run).level
    assert ratio == pytest.approx(12)


def test_event_times_are_the_clock_where_there_are_any(house: Context, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)

    def timed(name: str, count: int, day: float) -> Path:
        at = ((START + day * DAY + np.arange(count)) * 1e6).astype("int64")
        table = pa.table({**rows(rng, count), "at": pa.array(at, pa.timestamp("us", "UTC"))})
        pq.write_table(table, tmp_path / name)
        return tmp_path / name

    reference = timed("reference.parquet", 5000, -9.0)
    model = replace(house.model, reference=str(reference), columns=ColumnSettings(time="at"))
    context = Context(
        model,
        AlarmSettings(FalseAlarmSettings(per_days=1000)),
        0,
        str(tmp_path / "timed"),
        "1" * 64,
    )
    levels = []
    state = None
    for number, day in enumerate((0.0, 1.0, 3.0)):
        batch = batch_of(timed(f"t{number}.parquet", 500, day))
        end = START + day * DAY + 499
        batch = replace(batch, event_time_start=end - 499, event_time_end=end)
        checked = answer(Check(context, batch, state, 5e9))  # judged long after
        assert isinstance(checked, Checked)
        state = checked.state
        levels.append(of_input(checked.run).level)
    assert levels[2] / levels[1] == pytest.approx(2, rel=1e-3)


def test_a_small_reference_still_shows_a_large_shift_and_sheds_rows_that_add_no_power(
    house: Context, tmp_path: Path
) -> None:
    rng = np.random.default_rng(12)
    pq.write_table(pa.table(rows(rng, 300)), Path(house.model.reference))
    small = replace(house, model=replace(house.model, tests=TestsSettings.all()))
    found = []
    for number, (count, shift) in enumerate([(300, 0.0), (300, 0.8), (5000, 0.8)]):
        path = tmp_path / f"s{number}.parquet"
        pq.write_table(pa.table(rows(rng, count, shift)), path)
        found.append(path)
    quiet, loud, large = (checked.run for checked in folded(small, iter(found)))
    assert quiet.verdict == "no_shift"
    assert (loud.verdict, of_input(loud).columns[0]) == ("shift", "x0")
    assert "check" in of_input(loud).crossed
    assert "subsampled" in [finding.code for finding in large.findings]
    assert max(result.rows_current for result in large.results) == 1200
    assert {"luck_factor", "detectable"} <= set(large.explanation)
