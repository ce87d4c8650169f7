"""Verify: the same bytes give the same verdict, and whatever is not the same is named."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from shiftwatch import check, config, replay
from shiftwatch.cli import app
from shiftwatch.demo import MODEL_PATH
from shiftwatch.demo.generator import write_batch, write_reference
from shiftwatch.document import from_document, to_document
from shiftwatch.errors import DataError, WorkerError
from shiftwatch.monitor import Monitor
from shiftwatch.provenance import state_sha256
from shiftwatch.reference import drawer, generator, root
from shiftwatch.replay.difference import BAND, CANCELLED, RELATIVE
from shiftwatch.replay.history import ROUNDED
from shiftwatch.replay.report import NOT_OF_ONE_REPORT, context_of
from shiftwatch.requests import Check, Checked, Context
from shiftwatch.settings import (
    AlarmSettings,
    ByRows,
    ByTime,
    ChiSquareSettings,
    ColumnSettings,
    FalseAlarmSettings,
    FeatureSettings,
    LimitSettings,
    ModelSettings,
    Settings,
    TestsSettings,
    ToleranceSettings,
    WindowSettings,
)
from shiftwatch.store import Store
from shiftwatch.store.reading import pack
from shiftwatch.twosample.registry import COLUMN_TESTS, JOINT_TESTS, build
from shiftwatch.values import Run
from tests.judging import batch_of, demo_context, judged

SHIFTS = (0.0, 0.0, 0.0, 1.0, 1.0, 0.0)

CONFIG = """\
models:
  - name: churn
    model: model.onnx
    reference: reference.parquet
    batches: batches/
    columns: {time: event_time, label: churned}
    tests:
      ks: {}
      chi2: {max_draws: 999}
      mmd: {permutations: 99, features: 32}
      c2st: {permutations: 99}
"""

Edit = Callable[[dict[str, Any]], None]


# One report --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return demo_context(tmp_path_factory.mktemp("verify"))


@pytest.fixture(scope="module")
def judged_run(context: Context) -> Run:
    path = Path(context.model.batches) / "batch.parquet"
    write_batch(path, 0, 300, shift=0.4)
    fingerprint = config.fingerprint(
        Settings((context.model,), context.alarms, limits=context.limits, seed=context.seed),
        context.model,
    )
    return judged(replace(context, config_sha256=fingerprint), batch_of(path)).run


@pytest.fixture
def report(judged_run: Run) -> dict[str, Any]:
    """A report as it is written; a test may change it."""
    document: dict[str, Any] = json.loads(json.dumps(to_document(judged_run)))
    return document


def outcome_of(document: dict[str, Any], folder: Path) -> replay.Outcome:
    return replay.verify(from_document(document), str(folder), check.answer)


def entry(document: dict[str, Any], test: str, target: str = "*") -> dict[str, Any]:
    found: dict[str, Any] = next(
        e for e in document["results"] if e["test"] == test and target in (e["target"], "*")
    )
    return found


def test_a_report_that_was_not_touched_comes_out_the_same(
    report: dict[str, Any], tmp_path: Path
) -> None:
    outcome = outcome_of(report, tmp_path)
    assert outcome.same
    assert outcome.memory  # it is a first batch
    assert outcome.notes == ()
    agreement = outcome.agreement
    tests = [e["test"] for e in report["results"] if e["skipped"] is None]
    joint = sum(test in JOINT_TESTS for test in tests)
    assert (agreement.close, agreement.exact) == (joint, len(tests) - joint)
    assert (agreement.close_equal, agreement.exact_equal) == (joint, len(tests) - joint)
    assert agreement.largest == 0.0


def _set(path: str, value: Callable[[Any], Any]) -> Edit:
    """Change the value at a path such as ``scopes.input.level``."""

    def edit(document: dict[str, Any]) -> None:
        *above, last = path.split(".")
        for key in above:
            document = document[key]
        document[last] = value(document[last])

    return edit


def _in_result(test: str, key: str, value: Callable[[Any], Any], target: str = "*") -> Edit:
    return lambda document: entry(document, test, target).update(
        {key: value(entry(document, test, target)[key])}
    )


def _next_bit(number: float) -> float:
    import math  # noqa: PLC0415

    return math.nextafter(number, 2.0)


PLANTED: dict[str, tuple[Edit, str]] = {
    "one bit of a p-value of ks": (
        _in_result("ks", "p_value", _next_bit, "data_gb"),
        "ks of data_gb (input): p_value",
    ),
    "one bit of a statistic of chi2": (
        _in_result("chi2", "statistic", _next_bit, "plan"),
        "chi2 of plan (input): statistic",
    ),
    "one bit of the upper end of an effect": (
        _in_result("nulls", "effect_high", _next_bit, "satisfaction"),
        "nulls of satisfaction (input): effect_high",
    ),
    "a floating-point statistic": (
        _in_result("mmd", "statistic", lambda x: x + 3 * (RELATIVE * x + CANCELLED)),
        "mmd (input): statistic",
    ),
    "a p-value of permutations by one of them": (
        _in_result("c2st", "p_value", lambda p: p + 0.01),
        "c2st (input): p_value",
    ),
    "rows": (_in_result("mmd", "rows_current", lambda n: n - 1), "mmd (input): rows_current"),
    "the verdict": (_set("state", lambda _: "invalid_data"), "verdict"),
    "an alarm": (_set("scopes.input.alarm", lambda alarm: not alarm), "decision on input: alarm"),
    "a level": (_set("scopes.input.level", lambda x: x * 2), "decision on input: level"),
    "evidence": (
        _set("scopes.input.evidence.check", lambda x: x + 1),
        "decision on input: evidence: check",
    ),
    "a result that is gone": (
        lambda document: document["results"].remove(entry(document, "ks", "late_days")),
        "ks of late_days (input): p_value",
    ),
    "a finding": (
        lambda document: document["findings"].append(
            {"code": "infinite", "column": "data_gb", "message": "made up", "severity": "note"}
        ),
        "finding infinite",
    ),
    "a count of the profile": (
        lambda document: document["columns"][0]["counts_current"].__setitem__(0, 999),
        "profile: tenure_months: counts_current[0]",
    ),
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_change_is_named_and_nothing_else_is(
    report: dict[str, Any], tmp_path: Path, what: str
) -> None:
    plant, where = PLANTED[what]
    plant(report)
    outcome = outcome_of(report, tmp_path)
    assert not outcome.same
    assert [difference.where for difference in outcome.differences] == [where]
    assert outcome.differences[0].stored != outcome.differences[0].recomputed


def test_a_floating_point_statistic_may_differ_in_its_last_digits(
    report: dict[str, Any], tmp_path: Path
) -> None:
    _in_result("mmd", "statistic", lambda x: x * (1 + RELATIVE / 4))(report)
    outcome = outcome_of(report, tmp_path)
    assert outcome.same
    assert outcome.agreement.largest == pytest.approx(RELATIVE / 4, rel=1e-3)


def test_a_p_value_within_its_band_of_ties_is_told_and_is_no_difference(
    report: dict[str, Any], tmp_path: Path
) -> None:
    result = entry(report, "c2st")
    now = result["p_value"]
    result["explanation"][BAND] = [now, now + 0.02]
    result["p_value"] = now + 0.01
    outcome = outcome_of(report, tmp_path)
    assert outcome.same
    assert outcome.agreement.in_band == 1
    result["explanation"][BAND] = [now + 0.005, now + 0.02]
    assert not outcome_of(report, tmp_path).same


@pytest.mark.parametrize("what", ["model", "reference", "batch"])
def test_other_bytes_are_named_before_anything_is_computed(
    report: dict[str, Any], tmp_path: Path, what: str
) -> None:
    key = {"model": "model", "reference": "reference", "batch": ""}[what]
    path = Path(report["provenance"]["settings"][key] if key else report["batch"]["uri"])
    other = tmp_path / path.name
    if what == "model":  # still a model, with another name of its producer
        other.write_bytes(path.read_bytes().replace(b"skl2onnx", b"skl2ONNX", 1))
    elif what == "reference":
        write_reference(other, 601)
    else:
        write_batch(other, 1, 300)
    assert other.read_bytes() != path.read_bytes()
    if key:
        report["provenance"]["settings"][key] = str(other)
    else:
        report["batch"]["pieces"][0]["uri"] = str(other)
    outcome = outcome_of(report, tmp_path / "cache")
    assert outcome.changed == (f"{other} has other bytes than when the report was written",)
    assert outcome.agreement == replay.Agreement()


@pytest.mark.parametrize("what", ["model", "reference", "batch"])
def test_a_file_that_is_gone_is_named(report: dict[str, Any], tmp_path: Path, what: str) -> None:
    nowhere = str(tmp_path / "gone.bin")
    if what == "batch":
        report["batch"]["pieces"][0]["uri"] = nowhere
    else:
        report["provenance"]["settings"][what] = nowhere
    with pytest.raises(DataError, match=r"gone\.bin is gone or cannot be read"):
        outcome_of(report, tmp_path)


def test_settings_that_were_edited_in_the_report_are_named(
    report: dict[str, Any], tmp_path: Path
) -> None:
    report["provenance"]["settings"]["tolerance"]["default"] = 0.5
    (text,) = outcome_of(report, tmp_path).changed
    assert text == "the settings in the report are not those its config_sha256 was made of"


def test_other_versions_are_named_and_do_not_count_as_differences(
    report: dict[str, Any], tmp_path: Path
) -> None:
    report["provenance"]["libraries"]["numpy"] = "1.0.0"
    outcome = outcome_of(report, tmp_path)
    assert outcome.same
    assert [note.split(",")[0] for note in outcome.notes] == ["numpy was 1.0.0"]


def test_a_later_batch_says_that_its_alarms_rest_on_those_before(
    context: Context, judged_run: Run, tmp_path: Path
) -> None:
    state = judged(context, judged_run.batch).state
    run = judged(replace(context, config_sha256=""), judged_run.batch, state).run
    assert run.provenance["state_sha256"] == state_sha256(state)
    outcome = outcome_of(to_document(run), tmp_path)
    assert outcome.same
    assert not outcome.memory
    assert outcome.notes == (NOT_OF_ONE_REPORT,)


def test_what_slow_layers_said_is_compared_only_where_the_past_is_the_same(
    judged_run: Run,
) -> None:
    def slow(run: Run) -> Run:
        """The run as it would be had a window of past batches crossed its threshold on it."""
        decisions = tuple(
            replace(
                decision,
                alarm=True,
                columns=(*decision.columns, "late_days"),
                evidence=replace(decision.evidence, window=1.5),
                p_value=None if decision.p_value is None else 0.5,
            )
            for decision in run.decisions
        )
        return replace(run, verdict="shift", decisions=decisions)

    quiet_decisions = tuple(
        replace(d, p_value=None if d.p_value is None else 0.5) for d in slow(judged_run).decisions
    )
    quiet = replace(
        judged_run,
        verdict="no_shift",
        decisions=tuple(
            replace(d, columns=(), evidence=replace(d.evidence, window=0.2), alarm=False)
            for d in quiet_decisions
        ),
    )
    assert replay.compare(slow(judged_run), quiet, memory=False).differences == ()
    named = {d.where for d in replay.compare(slow(judged_run), quiet, memory=True).differences}
    assert {"verdict", "decision on input: alarm", "decision on input: columns"} <= named
    # A shift that no layer can have raised is not believed.
    odd = replace(quiet, verdict="shift")
    assert [d.where for d in replay.compare(odd, quiet, memory=False).differences] == ["verdict"]


def test_what_could_not_be_read_then_is_verified_too(context: Context, tmp_path: Path) -> None:
    path = tmp_path / "damaged.parquet"
    path.write_bytes(b"PAR1 and nothing more")
    run = judged(replace(context, config_sha256=""), batch_of(path)).run
    assert run.verdict == "invalid_data"
    assert outcome_of(to_document(run), tmp_path).same
    few = tmp_path / "few.parquet"
    write_batch(few, 3, 20)
    run = judged(replace(context, config_sha256=""), batch_of(few)).run
    assert run.verdict == "insufficient_data"
    assert outcome_of(to_document(run), tmp_path).same


def test_a_report_that_cannot_be_used_says_why(
    report: dict[str, Any], judged_run: Run, tmp_path: Path
) -> None:
    for absent in ("settings", "reference_sha256", "seed"):
        run = replace(
            judged_run,
            provenance={k: v for k, v in judged_run.provenance.items() if k != absent},
        )
        with pytest.raises(DataError, match=f"lacks {absent}"):
            context_of(run, "")
    failed = replace(judged_run, verdict="error", provenance={}, reasons=("out of memory",))
    with pytest.raises(DataError, match="the check failed: out of memory"):
        context_of(failed, "")
    report["provenance"]["settings"]["colour"] = "red"
    with pytest.raises(DataError, match="colour"):
        context_of(from_document(report), "")
    for text, told in (
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[]", "a report is a JSON object"),
        (b'{"schema_version": 99}', "schema version 99 is unknown"),
        (b'{"schema_version": 1}', "is missing"),
    ):
        (tmp_path / "r.json").write_bytes(text)
        with pytest.raises(DataError, match=told):
            replay.read_report(str(tmp_path / "r.json"))
    with pytest.raises(DataError, match="No such file"):
        replay.read_report(str(tmp_path / "none.json"))


@pytest.mark.parametrize(
    "settings",
    [
        ModelSettings("a", "r", "b"),
        ModelSettings("a", "r", "b", window=WindowSettings(by=ByRows(100), max_rows=700)),
        ModelSettings(
            "a",
            "r",
            "b",
            model="m",
            features=FeatureSettings(("x", "y"), ("z",)),
            columns=ColumnSettings("i", "t", ("p", "q"), "l"),
            categorical=("x",),
            window=WindowSettings(by=ByTime("1h"), grace="10s"),
            tests=TestsSettings(chi2=ChiSquareSettings(buckets=8), nulls=None),
            tolerance=ToleranceSettings(0.1, tests={"ks": 0.2}, columns={"x": 0.3}),
        ),
    ],
)
def test_the_provenance_gives_the_context_back(settings: ModelSettings, judged_run: Run) -> None:
    from shiftwatch.provenance import provenance  # noqa: PLC0415

    alarms = AlarmSettings(FalseAlarmSettings(77))
    context = Context(settings, alarms, 5, "cache", "c0" * 32, LimitSettings(500, 3.5))
    told = provenance(Check(context, judged_run.batch, "state", 0.0)) | {
        "reference_sha256": "5e" * 32
    }
    document = json.loads(json.dumps(to_document(replace(judged_run, provenance=told))))
    assert context_of(from_document(document), "cache") == context


# Addresses ---------------------------------------------------------------------------------------


def test_a_test_draws_anew_with_another_reference_seed_batch_or_parameter() -> None:
    small, large = (
        build(TestsSettings(chi2=ChiSquareSettings(max_draws=n))).column[0] for n in (999, 5000)
    )
    draws = {
        generator(root(seed, reference), batch, drawer(test), "input", "age").random()
        for seed in (0, 1)
        for reference in ("5e", "5f")
        for batch in ("a", "b")
        for test in (small, large)
    }
    assert len(draws) == 16


def test_every_test_has_an_address_that_says_its_parameters() -> None:
    plan = build(TestsSettings.all())
    texts = [*map(drawer, plan.column), *map(drawer, plan.joint)]
    parameters = {name: values for name, values in map(json.loads, texts)}  # noqa: C416 - typed
    assert set(parameters) == {*COLUMN_TESTS, *JOINT_TESTS}
    assert parameters["mmd"]["permutations"] == 999


def test_moving_files_or_what_is_decided_from_numbers_changes_no_number(
    context: Context, judged_run: Run, tmp_path: Path
) -> None:
    moved = tmp_path / "elsewhere.parquet"
    shutil.copyfile(context.model.reference, moved)
    model = replace(
        context.model,
        reference=str(moved),
        tolerance=ToleranceSettings(0.3),
        tests=replace(context.model.tests, ks=None),
    )
    other = replace(context, model=model, alarms=AlarmSettings(FalseAlarmSettings(9)))
    again = judged(other, judged_run.batch).run
    without_ks = [result for result in judged_run.results if result.test != "ks"]
    assert list(again.results) == without_ks


# A history ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which six batches were judged, by the monitor and its worker."""
    folder = tmp_path_factory.mktemp("house")
    (folder / "batches").mkdir()
    shutil.copyfile(MODEL_PATH, folder / "model.onnx")
    (folder / "shiftwatch.yml").write_text(CONFIG, encoding="utf-8")
    write_reference(folder / "reference.parquet", 1000)
    for index, shift in enumerate(SHIFTS):
        write_batch(folder / "batches" / f"{index}.parquet", index, 300, shift=shift, seed=5)
    step(folder)
    return folder


def step(folder: Path) -> list[Run]:
    settings = config.load(folder / "shiftwatch.yml", {})
    prints = {m.name: config.fingerprint(settings, m) for m in settings.models}
    with Store.open(settings.store.path, clock=time.time) as store:
        return list(Monitor(settings, store, time.time, prints).step())


@pytest.fixture
def copied(house: Path, tmp_path: Path) -> Path:
    """A copy of the history, to be tampered with; the files it names stay where they are."""
    path = tmp_path / "copy.db"
    with sqlite3.connect(house / "shiftwatch.db") as source, sqlite3.connect(path) as target:
        source.backup(target)
    source.close()
    target.close()
    return path


def replayed(database: Path, cache: Path) -> list[replay.Replayed]:
    with Store.read(str(database)) as store:
        return list(replay.replay(store, "churn", str(cache), check.answer))


def tamper(database: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(database)
    with connection:
        assert connection.execute(statement, values).rowcount == 1
    connection.close()


def plant(database: Path, number: int, edit: Edit) -> str:
    """Change the document of a batch; its id."""
    with Store.read(str(database)) as store:
        batch = store.runs("churn")[::-1][number].batch_id
        document = store.document("churn", batch)
    assert document is not None
    edit(document)
    tamper(database, "UPDATE runs SET document = ? WHERE batch_id = ?", pack(document), batch)
    return batch


def test_a_history_comes_out_the_same_with_all_its_alarms(copied: Path, tmp_path: Path) -> None:
    done = replayed(copied, tmp_path / "cache")
    assert [(one.number, one.total) for one in done] == [(n, 6) for n in range(1, 7)]
    assert all(one.same and one.computed and one.memory for one in done)
    with Store.read(str(copied)) as store:
        assert [row.alarm for row in store.runs("churn")[::-1]][2:4] == [False, True]


def test_a_change_planted_in_the_history_is_named_at_its_batch(
    copied: Path, tmp_path: Path
) -> None:
    p_value = plant(copied, 1, _in_result("ks", "p_value", _next_bit, "data_gb"))
    alarm = plant(copied, 4, _set("scopes.input.raised", lambda raised: not raised))
    found = [
        (one.batch, difference.where)
        for one in replayed(copied, tmp_path / "cache")
        for difference in one.differences
    ]
    assert found == [
        (p_value, "ks of data_gb (input): p_value"),
        (alarm, "decision on input: raised"),
    ]


def test_a_state_that_was_tampered_with_is_named(copied: Path, tmp_path: Path) -> None:
    with Store.read(str(copied)) as store:
        stored = store.state("churn")
    assert stored is not None
    content = json.loads(stored[0])
    content["basis"] = "another"
    tamper(copied, "UPDATE states SET state = ?", json.dumps(content, sort_keys=True))
    done = replayed(copied, tmp_path / "cache")
    assert [len(one.differences) for one in done] == [0, 0, 0, 0, 0, 1]
    assert done[-1].differences[0].where == "decision state after the last batch (SHA-256)"


def test_a_state_before_a_batch_that_is_not_the_folded_one_is_named_and_ends_the_memory(
    copied: Path, tmp_path: Path
) -> None:
    plant(copied, 2, _set("provenance.state_sha256", lambda _: "0" * 64))
    done = replayed(copied, tmp_path / "cache")
    assert [d.where for one in done for d in one.differences] == [
        "decision state before the batch (SHA-256)"
    ]
    assert [one.memory for one in done] == [True, True, False, False, False, False]
    assert any("only the checks are compared" in note for note in done[2].notes)


def test_where_sums_are_rounded_otherwise_the_state_is_compared_by_what_it_says(
    copied: Path, tmp_path: Path
) -> None:
    def elsewhere(request: Any) -> Any:
        """As on another processor: sums differ in their last digits, and so does the state."""
        done = check.answer(request)
        if not isinstance(done, Checked):
            return done
        results = tuple(
            replace(r, statistic=r.statistic * (1 + 1e-7)) if r.test in JOINT_TESTS else r
            for r in done.run.results
        )
        state = json.dumps(json.loads(done.state), indent=1)
        return Checked(replace(done.run, results=results), state)

    def all_of(call: Callable[[Any], Any]) -> list[replay.Replayed]:
        with Store.read(str(copied)) as store:
            return list(replay.replay(store, "churn", str(tmp_path / "cache"), call))

    done = all_of(elsewhere)
    assert all(one.same and one.memory for one in done)
    assert [ROUNDED in one.notes for one in done] == [False] + [True] * 5
    plant(copied, 4, _set("scopes.input.raised", lambda raised: not raised))
    tamper(copied, "UPDATE states SET state = replace(state, '\"checks\": 6', '\"checks\": 7')")
    found = [d.where for one in all_of(elsewhere) for d in one.differences]
    assert found == [
        "decision on input: raised",
        "decision state after the last batch (SHA-256)",
    ]


def test_a_batch_whose_file_is_gone_is_named_and_ends_the_memory(
    copied: Path, tmp_path: Path
) -> None:
    gone = str(tmp_path / "gone.parquet")
    plant(copied, 3, lambda document: document["batch"]["pieces"][0].update(uri=gone))
    done = replayed(copied, tmp_path / "cache")
    assert [one.computed for one in done] == [True, True, True, False, True, True]
    assert done[3].problem == f"{gone} is gone or cannot be read"
    assert not done[3].changed
    assert [one.memory for one in done] == [True] * 3 + [False] * 3
    assert all(one.same for one in done)
    assert sum("only the checks are compared" in note for one in done for note in one.notes) == 1


def test_a_history_whose_beginning_was_forgotten_compares_checks_and_says_so(
    copied: Path, tmp_path: Path
) -> None:
    with Store.read(str(copied)) as store:
        first = store.runs("churn")[-1].batch_id
    tamper(copied, "DELETE FROM runs WHERE batch_id = ?", first)
    done = replayed(copied, tmp_path / "cache")
    assert len(done) == 5
    assert all(one.same and one.computed and not one.memory for one in done)
    assert "no longer stored" in done[0].notes[0]


@pytest.mark.slow
def test_a_check_that_failed_leaves_the_state_as_it_was(
    house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("shiftwatch.yml", "reference.parquet", "model.onnx", "batches"):
        (shutil.copytree if name == "batches" else shutil.copyfile)(house / name, tmp_path / name)
    settings = config.load(tmp_path / "shiftwatch.yml", {})
    from shiftwatch.worker import Worker  # noqa: PLC0415

    real, seen = Worker.call, []

    def call(worker: Worker, request: Any) -> Any:
        if isinstance(request, Check):
            seen.append(request.batch.id)
            if len(seen) in (1, 3):
                raise WorkerError("out of memory")
        return real(worker, request)

    monkeypatch.setattr(Worker, "call", call)
    runs = step(tmp_path)
    monkeypatch.undo()
    assert [run.verdict == "error" for run in runs] == [True, False, True, False, False, False]
    assert runs[0].provenance["config_sha256"] == runs[1].provenance["config_sha256"]
    done = replayed(Path(settings.store.path), tmp_path / "cache")
    assert [one.failed for one in done] == [run.verdict == "error" for run in runs]
    assert all(one.same for one in done)
    assert [one.memory for one in done if not one.failed] == [True] * 4


# The verb ----------------------------------------------------------------------------------------


def told(*arguments: str) -> tuple[int, str, str]:
    ended = CliRunner().invoke(app, ["verify", *arguments])
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended.exit_code, ended.stdout, ended.stderr


@pytest.fixture(scope="module")
def report_file(house: Path) -> Path:
    path = house / "report.json"
    written = CliRunner().invoke(
        app,
        ["report", str(house / "shiftwatch.yml"), "--format", "json", "--output", str(path)],
    )
    assert written.exit_code == 0, written.output
    return path


@pytest.mark.slow
def test_the_verb_ends_with_0_for_the_same(report_file: Path) -> None:
    status, text, _ = told(str(report_file))
    assert status == 0
    first, ranks, floats, note = text.splitlines()
    assert first.endswith(": the same")
    assert "equal in every bit" in ranks
    assert "largest relative difference 0" in floats
    assert "--history" in note
    status, text, _ = told(str(report_file), "--json")
    answer = json.loads(text)
    assert (status, answer["same"], answer["differences"]) == (0, True, [])
    assert answer["agreement"]["exact"] == answer["agreement"]["exact_equal"] > 10


@pytest.mark.slow
def test_the_verb_ends_with_1_and_a_table_of_what_differs(
    report_file: Path, tmp_path: Path
) -> None:
    document = json.loads(report_file.read_text())
    result = entry(document, "ks", "data_gb")
    stored, result["p_value"] = result["p_value"], result["p_value"] / 2
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(document))
    status, text, _ = told(str(changed))
    assert status == 1
    (row,) = [line.split("  ") for line in text.splitlines() if "data_gb" in line]
    assert [cell.strip() for cell in row if cell] == [
        "ks of data_gb (input): p_value",
        repr(result["p_value"]),
        repr(stored),
    ]
    status, text, _ = told(str(changed), "--json")
    assert (status, json.loads(text)["same"]) == (1, False)


@pytest.mark.parametrize("text", ["{", "[]", '{"schema_version": 7}'])
def test_the_verb_ends_with_2_for_a_report_that_cannot_be_used(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    status, _, fault = told(str(tmp_path / "r.json"))
    assert status == 2
    assert fault.startswith(f"error: {tmp_path / 'r.json'}: is n")
    status, answer, _ = told(str(tmp_path / "r.json"), "--json")
    assert (status, json.loads(answer)["same"]) == (2, None)


@pytest.mark.slow
def test_the_verb_takes_a_history_too(house: Path) -> None:
    path = str(house / "shiftwatch.yml")
    status, text, _ = told(path, "--history")
    assert status == 0
    assert text.startswith(
        "churn: 6 stored batches, 6 recomputed, 6 the same; alarms and memory compared on 6\n"
    )
    status, text, _ = told(path, "--history", "--json", "--model", "churn")
    answer = json.loads(text)
    assert (status, answer["same"], answer["models"][0]["with_memory"]) == (0, True, 6)
    assert told(path, "--history", "--model", "other")[0] == 78
    assert told(str(house / "none.yml"), "--history")[0] == 78


@pytest.mark.slow
def test_a_history_of_which_nothing_is_left_is_not_called_the_same(tmp_path: Path) -> None:
    reference = tmp_path / "reference.parquet"
    write_reference(reference, 300)
    (tmp_path / "batches").mkdir()
    write_batch(tmp_path / "batches" / "0.parquet", 0, 100)
    text = "models: [{name: churn, reference: reference.parquet, batches: batches}]\n"
    (tmp_path / "shiftwatch.yml").write_text(text)
    assert len(step(tmp_path)) == 1
    reference.unlink()
    status, said, fault = told(str(tmp_path / "shiftwatch.yml"), "--history")
    assert status == 2
    assert f"not recomputed: the reference {reference} is gone" in said
    assert fault == "error: no batch could be recomputed\n"


# Threads -----------------------------------------------------------------------------------------

REPLAY = """
import json, sys
from dataclasses import asdict
from shiftwatch import check, replay
from shiftwatch.store import Store
with Store.read(sys.argv[1]) as store:
    for one in replay.replay(store, "churn", sys.argv[2], check.answer):
        print(json.dumps(asdict(one)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("threads", ["1", "2"])
def test_the_number_of_blas_threads_changes_no_verdict_and_no_rank(
    copied: Path, tmp_path: Path, threads: str
) -> None:
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    ended = subprocess.run(
        [sys.executable, "-c", REPLAY, str(copied), str(tmp_path / "cache")],
        env=os.environ | dict.fromkeys(names, threads),
        capture_output=True,
        text=True,
        check=True,
    )
    done = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len(done) == len(SHIFTS)
    for one in done:
        assert one["differences"] == []
        assert one["memory"]
        assert one["agreement"]["exact"] == one["agreement"]["exact_equal"] > 10
        assert one["agreement"]["largest"] <= RELATIVE
