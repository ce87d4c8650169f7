"""`limits.seconds` with a real worker: smaller before late, said each time, and recomputed alike."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import binom

from shiftwatch import check, config, replay
from shiftwatch.budget import FEWEST_ROWS, Effort, Step, ladder
from shiftwatch.contrast import compare_files
from shiftwatch.document import from_document, to_document
from shiftwatch.errors import DataError
from shiftwatch.monitor import Monitor
from shiftwatch.report import markdown, render_html, run_line, table
from shiftwatch.requests import Check, Checked, Context, Inspect, Request
from shiftwatch.settings import (
    AlarmSettings,
    ChiSquareSettings,
    ClassifierSettings,
    KsSettings,
    LimitSettings,
    MmdSettings,
    ModelSettings,
    Settings,
    StoreSettings,
    TestsSettings,
)
from shiftwatch.store import Store
from shiftwatch.values import Run
from shiftwatch.worker import Worker
from tests.judging import JUDGED_AT, batch_of

ORDER: tuple[Step, ...] = get_args(Step)
ROWS = 9000
"""A sixteenth of them is less than the fewest that a step leaves."""


def _table(rows: int, seed: int, shift: float = 0.0) -> pa.Table:
    rng = np.random.default_rng(seed)
    plan = rng.choice(["a", "b", "c"], rows)
    columns = {f"x{place}": rng.normal(shift, 1, rows) for place in range(3)}
    return pa.table({**columns, "plan": plan.tolist()})


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """Every test with its defaults, so that fewer permutations are fewer."""
    folder = tmp_path_factory.mktemp("degraded")
    pq.write_table(_table(5000, 0), folder / "reference.parquet")
    pq.write_table(_table(ROWS, 1, shift=0.3), folder / "batch.parquet")
    settings = ModelSettings(
        name="m",
        reference=str(folder / "reference.parquet"),
        batches=str(folder),
        tests=TestsSettings(KsSettings(), ChiSquareSettings(), MmdSettings()),
    )
    return Context(settings, AlarmSettings(), 0, str(folder / "cache"), "")


def _judged(context: Context, effort: Effort) -> Run:
    batch = batch_of(Path(context.model.batches) / "batch.parquet")
    answer = check.answer(Check(context, batch, None, JUDGED_AT, effort=effort))
    assert isinstance(answer, Checked)
    return answer.run


# What a step leaves out -------------------------------------------------------------------------


@pytest.mark.parametrize("effort", ladder(ROWS), ids=ORDER)
def test_each_step_leaves_out_what_it_says_and_says_what_it_leaves_out(
    context: Context, effort: Effort
) -> None:
    run = _judged(context, effort)
    assert run.verdict == "shift"
    assert run.cost.rows == (effort.max_rows or ROWS)
    assert run.batch.rows == ROWS
    assert run.provenance["effort"] == json.loads(
        json.dumps({"step": effort.step, "max_rows": effort.max_rows, "given_up": []})
    )
    ran = {result.test for result in run.results}
    assert ran >= {"ks", "chi2"}
    assert ("mmd" in ran) == effort.joint_tests
    left_out = [(s.test, s.scope) for s in run.skipped if s.reason == "time_limit"]
    assert left_out == ([] if effort.joint_tests else [("mmd", "input")])
    told = [f.message for f in run.findings if f.code == "degraded"]
    assert len(told) == (effort.step != "whole")
    for message in told:
        assert f"{effort.max_rows} of {ROWS} rows" in message
        assert "limits.seconds" in message
        assert ("fewer permutations" in message) == effort.fewer_draws
        assert ("no joint tests" in message) == (not effort.joint_tests)
        for text in (table(run), markdown(run).replace("\\", ""), render_html(run)):
            assert message in text
        assert "made smaller" in run_line(replace(run, verdict="no_shift"), 1)


def test_fewer_permutations_show_in_the_p_value(context: Context) -> None:
    """On rows of one distribution a p-value is a count of permutations over their number."""
    folder = Path(context.model.batches)
    quiet = replace(context.model, batches=str(folder / "quiet"))
    (folder / "quiet").mkdir(exist_ok=True)
    pq.write_table(_table(3000, 5), folder / "quiet" / "batch.parquet")
    for effort, draws in ((Effort(), 1000), (Effort("permutations", 3000), 200)):
        run = _judged(replace(context, model=quiet), effort)
        (result,) = [r for r in run.results if r.test == "mmd"]
        assert result.p_value * draws == pytest.approx(round(result.p_value * draws), abs=1e-6)


def test_a_quarter_of_the_rows_has_the_same_law_as_all(context: Context) -> None:
    """Rows are drawn, not cut off: a batch that is sorted is not taken for a shift."""
    folder = Path(context.model.batches) / "sorted"
    folder.mkdir(exist_ok=True)
    pq.write_table(_table(ROWS, 7).sort_by("x0"), folder / "batch.parquet")
    sorted_ones = replace(context, model=replace(context.model, batches=str(folder)))
    for effort in ladder(ROWS):
        assert _judged(sorted_ones, effort).verdict == "no_shift"


def test_a_batch_of_which_nothing_was_tested_is_not_called_smaller(context: Context) -> None:
    folder = Path(context.model.batches) / "few"
    folder.mkdir(exist_ok=True)
    pq.write_table(_table(10, 7), folder / "batch.parquet")
    few = replace(context, model=replace(context.model, batches=str(folder)))
    run = _judged(few, ladder(ROWS)[-1])
    assert run.verdict == "insufficient_data"
    assert not [f for f in run.findings if f.code == "degraded"]


def test_where_only_joint_tests_are_configured_the_last_step_says_that_nothing_was_tested(
    context: Context,
) -> None:
    only = TestsSettings(mmd=MmdSettings(), nulls=None, unseen=None, distinct=None)
    alone = replace(context, model=replace(context.model, tests=only))
    run = _judged(alone, ladder(ROWS)[-1])
    assert run.verdict == "insufficient_data"
    assert run.reasons == ("limits.seconds left no time for a test",)
    assert "limits.seconds" in markdown(run).partition("1. ")[2].partition("\n")[0]


# Recomputing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("effort", ladder(ROWS)[1:], ids=ORDER[1:])
def test_a_smaller_check_is_recomputed_at_the_same_step(
    context: Context, effort: Effort, tmp_path: Path
) -> None:
    run = _judged(context, replace(effort, given_up=("whole",)))
    again = from_document(json.loads(json.dumps(to_document(run))))
    outcome = replay.verify(again, str(tmp_path), check.answer)
    assert outcome.same
    assert outcome.memory
    assert outcome.agreement.exact > 0


def test_another_step_in_the_report_is_seen(context: Context, tmp_path: Path) -> None:
    document: dict[str, Any] = json.loads(json.dumps(to_document(_judged(context, Effort()))))
    document["provenance"]["effort"]["step"] = "joint_tests"
    document["provenance"]["effort"]["max_rows"] = 1000
    assert not replay.verify(from_document(document), str(tmp_path), check.answer).same
    document["provenance"]["effort"]["step"] = "everything"
    with pytest.raises(DataError, match="a step of everything is unknown"):
        replay.verify(from_document(document), str(tmp_path), check.answer)


def test_a_report_from_before_there_were_steps_is_recomputed_whole(
    context: Context, tmp_path: Path
) -> None:
    document: dict[str, Any] = json.loads(json.dumps(to_document(_judged(context, Effort()))))
    del document["provenance"]["effort"]
    assert replay.verify(from_document(document), str(tmp_path), check.answer).same


# With a worker that is ended --------------------------------------------------------------------


class _Slow(Worker):
    """A real worker whose process is stopped when it is asked for one of these steps."""

    steps: tuple[Step, ...] = ()

    def call(self, request: Request) -> Any:
        if isinstance(request, Check) and request.effort.step in self.steps:
            super().call(Inspect((), None))  # it lives, and its imports are done
            assert self.pid is not None
            os.kill(self.pid, signal.SIGSTOP)
        return super().call(request)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> type[_Slow]:
    monkeypatch.setattr(_Slow, "steps", ())
    for room in ("monitor", "contrast"):
        monkeypatch.setattr(f"shiftwatch.{room}.Worker", _Slow)
    return _Slow


LIMIT = 2.0
"""Seconds; a check that is not stopped takes a tenth of it, so that others may be at work too."""


@contextmanager
def _watching(folder: Path, tests: TestsSettings) -> Iterator[Monitor]:
    """A monitor over the folder's batches; its history outlives it."""
    if not (folder / "reference.parquet").exists():
        pq.write_table(_table(4000, 0), folder / "reference.parquet")
    (folder / "batches").mkdir(exist_ok=True)
    model = ModelSettings(
        "m", str(folder / "reference.parquet"), str(folder / "batches"), tests=tests
    )
    settings = Settings(
        (model,),
        store=StoreSettings(str(folder / "s.db")),
        limits=LimitSettings(seconds=LIMIT),
    )
    fingerprints = {"m": config.fingerprint(settings, model)}
    with Store.open(settings.store.path, clock=time.time) as store:
        yield Monitor(settings, store, time.time, fingerprints)


def _batch(folder: Path, name: str, rows: int = ROWS) -> None:
    (folder / "batches").mkdir(exist_ok=True)
    seed = int.from_bytes(name.encode(), "big") % 2**32
    pq.write_table(_table(rows, seed), folder / "batches" / f"{name}.parquet")


KS_AND_MMD = TestsSettings(ks=KsSettings(), mmd=MmdSettings())


def _step(run: Run) -> Step:
    return Effort.from_plain(run.provenance["effort"]).step


@pytest.mark.slow
def test_a_check_that_runs_out_of_time_is_made_smaller_and_the_next_one_remembers(
    tmp_path: Path, slow: type[_Slow]
) -> None:
    slow.steps = ("whole", "subsample")
    _batch(tmp_path, "a")
    with _watching(tmp_path, KS_AND_MMD) as monitor:
        (first,) = monitor.step()
        degraded = dict(monitor.snapshot.models[0].counts.degraded)
    assert first.verdict == "no_shift"
    assert first.provenance["effort"] == {
        "step": "permutations",
        "max_rows": FEWEST_ROWS,
        "given_up": ["whole", "subsample"],
    }
    (finding,) = [f for f in first.findings if f.code == "degraded"]
    assert "ended at the limit before: whole, subsample" in finding.message
    assert degraded == {"permutations": 1}
    assert first.cost.given_up_seconds == 2 * LIMIT
    assert first.cost.wall_seconds > 2 * LIMIT
    assert "given_up" in first.cost.stages
    # The daemon was restarted, the slow steps would be fast again, and it does not know yet.
    slow.steps = ()
    _batch(tmp_path, "b")
    with _watching(tmp_path, KS_AND_MMD) as monitor:
        (second,) = monitor.step()
    assert _step(second) == "permutations"
    assert "given_up" not in second.cost.stages


@pytest.mark.slow
def test_only_after_the_last_step_it_is_an_error_and_no_alarm_changes(
    tmp_path: Path, slow: type[_Slow]
) -> None:
    slow.steps = ORDER
    _batch(tmp_path, "a")
    with _watching(tmp_path, KS_AND_MMD) as monitor:
        (run,) = monitor.step()
        slow.steps = ()
        _batch(tmp_path, "b")
        (after,) = monitor.step()
        assert monitor.snapshot.models[0].monitor_state == "ok"
    assert run.verdict == "error"
    assert "no answer within 2 s" in run.reasons[0]
    assert run.provenance["effort"]["given_up"] == list(ORDER)
    assert run.cost.given_up_seconds == run.cost.wall_seconds == len(ORDER) * LIMIT
    assert not run.alarm
    assert _step(after) == "joint_tests"
    assert after.verdict == "no_shift"


@pytest.mark.slow
def test_a_history_of_smaller_checks_is_replayed_alike(tmp_path: Path, slow: type[_Slow]) -> None:
    slow.steps = ("whole",)
    for name in "ab":
        _batch(tmp_path, name)
    with _watching(tmp_path, KS_AND_MMD) as monitor:
        runs = list(monitor.step())
    slow.steps = ()
    _batch(tmp_path, "c", rows=1500)  # so small a batch never ran out of time
    with _watching(tmp_path, KS_AND_MMD) as monitor:
        runs += list(monitor.step())
    assert [_step(run) for run in runs] == ["subsample", "subsample", "whole"]
    with Store.read(str(tmp_path / "s.db")) as store:
        replayed = list(replay.replay(store, "m", str(tmp_path / "cache"), check.answer))
    assert all(one.computed and one.same and one.memory for one in replayed)


@pytest.mark.slow
def test_two_files_are_compared_smaller_where_time_runs_out(
    tmp_path: Path, slow: type[_Slow], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shiftwatch.contrast.LimitSettings", lambda: LimitSettings(seconds=LIMIT))
    slow.steps = ("whole",)
    pq.write_table(_table(4000, 0), tmp_path / "reference.parquet")
    pq.write_table(_table(ROWS, 1, shift=1.0), tmp_path / "current.parquet")
    settings = ModelSettings(
        "compare",
        str(tmp_path / "reference.parquet"),
        str(tmp_path / "current.parquet"),
        tests=TestsSettings(ks=KsSettings()),
    )
    run = compare_files(settings, alarms=AlarmSettings())
    assert run.verdict == "shift"
    assert (_step(run), run.cost.rows) == ("subsample", ROWS // 4)


@pytest.mark.slow
def test_the_snapshot_knows_what_the_day_cost_also_after_a_restart(tmp_path: Path) -> None:
    for name in "ab":
        _batch(tmp_path, name, rows=500)
    with _watching(tmp_path, TestsSettings(ks=KsSettings())) as monitor:
        runs = list(monitor.step())
        day = monitor.snapshot.models[0].day
        counts = monitor.snapshot.models[0].counts
    assert day is not None
    assert (day.checks, day.rows) == (2, 1000)
    assert day.cpu_seconds == pytest.approx(sum(run.cost.cpu_seconds for run in runs))
    assert day.energy_joules == pytest.approx(sum(counts.energy_joules.values()))
    assert sum(counts.stage_seconds.values()) == pytest.approx(counts.cpu_seconds, rel=0.05)
    with _watching(tmp_path, TestsSettings(ks=KsSettings())) as monitor:
        assert monitor.snapshot.models[0].day == day


@pytest.mark.slow
def test_a_large_check_and_a_small_limit_without_any_help(tmp_path: Path) -> None:
    """So many permutations take seconds, the fewer of the second step do not.

    How far it steps down is up to the machine; that the steps come in their order, and that nothing
    of it is hidden, is not.
    """
    many = TestsSettings(
        mmd=MmdSettings(permutations=100_000), c2st=ClassifierSettings(permutations=100_000)
    )
    _batch(tmp_path, "a", rows=12_000)
    with _watching(tmp_path, many) as monitor:
        (run,) = monitor.step()
    effort = Effort.from_plain(run.provenance["effort"])
    assert run.verdict == "no_shift"
    assert effort.given_up == ORDER[: ORDER.index(effort.step)]
    assert run.cost.given_up_seconds == LIMIT * len(effort.given_up)
    assert [f.code for f in run.findings].count("degraded") == bool(effort.given_up)
    assert ("given_up" in run.cost.stages) == bool(effort.given_up)


@pytest.mark.slow
def test_smaller_checks_keep_the_level_of_every_test(tmp_path: Path) -> None:
    """400 batches of one law, at the two lower steps in turn: rejections at 5 % as binomial."""
    pq.write_table(_table(20_000, 0), tmp_path / "reference.parquet")
    settings = ModelSettings(
        "m", str(tmp_path / "reference.parquet"), str(tmp_path), tests=KS_AND_MMD
    )
    context = Context(settings, AlarmSettings(), 0, str(tmp_path / "cache"), "")
    efforts = (Effort("permutations", FEWEST_ROWS), Effort("joint_tests", FEWEST_ROWS))
    p_values: dict[str, list[float]] = {}
    for seed in range(400):
        pq.write_table(_table(2000, 1000 + seed), tmp_path / "batch.parquet")
        for result in _judged(context, efforts[seed % 2]).results:
            p_values.setdefault(f"{result.test} {result.target}", []).append(result.p_value)
    assert set(p_values) == {"ks x0", "ks x1", "ks x2", "mmd *"}
    for values in p_values.values():
        rejected = sum(p <= 0.05 for p in values)
        assert rejected <= binom.ppf(1 - 1e-4, len(values), 0.05)
