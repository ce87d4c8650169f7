"""One batch through the house, in this process: what is said of it, and that nothing is unsaid."""

from __future__ import annotations

import hashlib
import json
import platform
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shiftwatch import __version__
from shiftwatch.check import answer
from shiftwatch.demo import MODEL_PATH
from shiftwatch.demo.generator import FEATURES, START, draw, table
from shiftwatch.price import ENERGY_SOURCES, STAGES
from shiftwatch.requests import Context, Prepare, PreparedInfo
from shiftwatch.settings import ColumnSettings, WindowSettings
from shiftwatch.twosample.registry import COLUMN_TESTS, JOINT_TESTS
from shiftwatch.values import SKIP_REASONS, Kind, Run, TwoSampleResult
from tests.judging import batch_of, demo_context, entries, facts_of, judged, without_cost

ROWS = 300

KINDS: dict[str, tuple[Kind, ...]] = {
    "ks": ("numeric",),
    "chi2": ("categorical",),
    "nulls": ("numeric", "categorical"),
    "unseen": ("categorical",),
    "distinct": ("categorical",),
}
"""Which column is due to which test, written down a second time."""


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return demo_context(tmp_path_factory.mktemp("house"))


def _rows(rows: int = ROWS, *, shift: float = 0.0, seed: int = 1) -> pa.Table:
    drawn = draw(rows, np.random.default_rng(seed), shift=shift)
    return table(drawn, np.linspace(START, START + 3600, rows))


def _replaced(content: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return content.set_column(content.column_names.index(name), name, values)


def _run(context: Context, folder: Path, content: pa.Table, identity: str | None = None) -> Run:
    path = folder / "batch.parquet"
    pq.write_table(content, path)
    return judged(context, batch_of(path, identity)).run


def _codes(run: Run) -> dict[str, str]:
    """Findings by column. A reference of two batches always leaves the promise in doubt."""
    own = (finding for finding in run.findings if finding.code != "promise_not_kept")
    return {finding.column: finding.code for finding in own}


def _skips(run: Run, target: str) -> dict[str, str]:
    return {skip.test: skip.reason for skip in run.skipped if skip.target == target}


def _results(run: Run, target: str) -> dict[str, TwoSampleResult]:
    return {result.test: result for result in run.results if result.target == target}


def _assert_all_is_accounted_for(run: Run) -> None:
    """Every column meets every test of its kind, every scope every joint test, exactly once."""
    due = Counter(
        (test, "prediction" if column.role == "prediction" else "input", column.name)
        for column in run.columns
        for test, kinds in KINDS.items()
        if column.kind in kinds
    )
    due.update((test, scope, "*") for test in JOINT_TESTS for scope in ("input", "prediction"))
    assert Counter((entry.test, entry.scope, entry.target) for entry in entries(run)) == due
    assert set(KINDS) == set(COLUMN_TESTS)
    assert all(skip.reason in SKIP_REASONS for skip in run.skipped)
    assert not [skip for skip in run.skipped if skip.reason == "test_failed"]
    assert all(0 < result.p_value <= 1 for result in run.results)


def test_every_configured_test_runs_in_both_scopes(context: Context, tmp_path: Path) -> None:
    run = _run(context, tmp_path, _rows())
    assert run.verdict == "no_shift"
    assert not run.alarm
    assert {finding.code for finding in run.findings} == {"promise_not_kept"}  # 600 against 300
    ran = {(result.test, result.scope) for result in run.results}
    assert ran >= {(test, "input") for test in ("ks", "chi2", "nulls", "mmd", "c2st")}
    assert ran >= {(test, "prediction") for test in ("ks", "chi2", "mmd", "c2st")}
    roles = {column.name: column.role for column in run.columns}
    assert [name for name, role in roles.items() if role == "input"] == list(FEATURES)
    assert set(roles.values()) == {"input", "prediction"}
    assert {decision.scope for decision in run.decisions} == {"input", "prediction", "schema"}
    _assert_all_is_accounted_for(run)


def test_a_shift_is_named_by_column_and_explained(context: Context, tmp_path: Path) -> None:
    run = _run(context, tmp_path, _rows(shift=1.0))
    assert run.verdict == "shift"
    assert run.alarm
    (decision,) = [each for each in run.decisions if each.scope == "input"]
    assert decision.raised
    assert decision.since == run.batch.id
    assert {"plan", "monthly_charge", "tenure_months"} <= set(decision.columns)
    assert run.explanation["appeared"] == {"plan": ["flex"]}
    assert set(run.explanation["columns"]) == {"input", "prediction"}
    _assert_all_is_accounted_for(run)


def _text(content: pa.Table) -> pa.Table:
    values = [f"{value:.2f} EUR" for value in content.column("monthly_charge").to_pylist()]
    return _replaced(content, "monthly_charge", pa.array(values))


def _all_null(content: pa.Table) -> pa.Table:
    return _replaced(content, "satisfaction", pa.nulls(content.num_rows, pa.float64()))


Change = Callable[[pa.Table], pa.Table]

CHANGES: dict[str, Change] = {
    "missing": lambda content: content.drop_columns(["plan"]),
    "retyped": _text,
    "all_null": _all_null,
    "extra": lambda content: content.append_column("bonus", pa.nulls(content.num_rows)),
    "new_category": lambda content: _replaced(
        content, "region", pa.array(["moon"] * 20 + content.column("region").to_pylist()[20:])
    ),
    "null_type": lambda content: _replaced(content, "device", pa.nulls(content.num_rows)),
    "infinite": lambda content: _replaced(
        content, "data_gb", pa.array([np.inf] * 5 + content.column("data_gb").to_pylist()[5:])
    ),
    "other_order": lambda content: content.select(content.column_names[::-1]),
    "only_one_column": lambda content: content.select(["late_days"]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_happens_to_the_columns_nothing_is_silently_missing(
    context: Context, tmp_path: Path, change: Change
) -> None:
    run = _run(context, tmp_path, change(_rows()))
    _assert_all_is_accounted_for(run)
    prediction = {column.name for column in run.columns if column.role == "prediction"}
    assert prediction, "columns of the reference are shown even where the batch lacks them"


def test_a_missing_column_is_named_and_the_other_inputs_are_judged(
    context: Context, tmp_path: Path
) -> None:
    whole = _run(context, tmp_path, _rows(), "same")
    run = _run(context, tmp_path, CHANGES["missing"](_rows()), "same")
    assert run.verdict == "invalid_data"
    assert {f.code for f in run.findings if f.column == "plan"} == {
        "missing_column",
        "model_failed",
    }
    assert _skips(run, "plan") == dict.fromkeys(
        ("chi2", "nulls", "unseen", "distinct"), "missing_column"
    )
    for name in FEATURES:
        if name != "plan":
            assert _results(run, name) == _results(whole, name)
            assert _skips(run, name) == _skips(whole, name)
    (profile,) = [column for column in run.columns if column.name == "plan"]
    assert (profile.rows_current, profile.counts_current) == (0, ())


def test_without_an_input_the_model_is_not_run_and_says_so(
    context: Context, tmp_path: Path
) -> None:
    run = _run(context, tmp_path, CHANGES["missing"](_rows()))
    (refusal,) = [finding for finding in run.findings if finding.code == "model_failed"]
    assert refusal.message == "the model was not run: no usable column plan"
    assert refusal.severity == "invalid"
    assert {s.reason for s in run.skipped if s.scope == "prediction"} == {"no_predictions"}
    assert {r.scope for r in run.results} == {"input"}
    assert run.reasons[0] == "no column 'plan'"


def test_a_retyped_column_is_told_from_a_missing_one(context: Context, tmp_path: Path) -> None:
    run = _run(context, tmp_path, _text(_rows()))
    assert run.verdict == "invalid_data"
    (finding,) = [f for f in run.findings if f.code == "changed_type"]
    assert finding.message == "column 'monthly_charge' is double in the reference, string here"
    assert _skips(run, "monthly_charge") == dict.fromkeys(("ks", "nulls"), "changed_type")
    (joint,) = [s for s in run.skipped if (s.test, s.scope) == ("mmd", "input")]
    assert (joint.reason, joint.detail) == ("changed_type", "monthly_charge")


def test_a_column_of_nulls_is_a_shift_of_its_null_rate(context: Context, tmp_path: Path) -> None:
    run = _run(context, tmp_path, _all_null(_rows()))
    assert run.verdict == "shift"
    assert _skips(run, "satisfaction") == {"ks": "all_null"}
    assert _results(run, "satisfaction")["nulls"].effect == pytest.approx(0.97, abs=0.02)
    (decision,) = [each for each in run.decisions if each.scope == "input"]
    assert decision.columns[0] == "satisfaction"


def test_an_extra_column_is_noted_and_changes_no_result(context: Context, tmp_path: Path) -> None:
    plain = _run(context, tmp_path, _rows(), "same")
    more = _run(context, tmp_path, CHANGES["extra"](_rows()), "same")
    assert _codes(more) == {"bonus": "extra_column"}
    assert more.verdict == plain.verdict
    assert (more.results, more.skipped, more.columns) == (
        plain.results,
        plain.skipped,
        plain.columns,
    )


def test_the_order_of_columns_in_the_file_changes_nothing(context: Context, tmp_path: Path) -> None:
    plain = _run(context, tmp_path, _rows(), "same")
    other = _run(context, tmp_path, CHANGES["other_order"](_rows()), "same")
    assert (other.results, other.skipped, other.columns) == (
        plain.results,
        plain.skipped,
        plain.columns,
    )


def test_a_new_category_is_found_tested_and_shown(context: Context, tmp_path: Path) -> None:
    run = _run(context, tmp_path, CHANGES["new_category"](_rows()))
    assert _codes(run)["region"] == "new_categories"
    assert [f.message for f in run.findings if f.column] == ["never in the reference: moon"]
    assert run.explanation["appeared"] == {"region": ["moon"]}
    assert _results(run, "region")["unseen"].effect == pytest.approx(20 / ROWS)
    assert run.verdict == "shift"


def test_a_category_that_vanished_is_named(context: Context, tmp_path: Path) -> None:
    regions = [name if name != "west" else "east" for name in _rows().column("region").to_pylist()]
    run = _run(context, tmp_path, _replaced(_rows(), "region", pa.array(regions)))
    assert run.explanation["vanished"] == {"region": ["west"]}
    assert run.explanation["appeared"] == {}


def test_just_enough_rows_are_tested(context: Context, tmp_path: Path) -> None:
    run = _run(context, tmp_path, _rows(30))
    assert run.verdict == "no_shift"
    assert {result.rows_current for result in run.results if result.target == "data_gb"} == {30}


@pytest.mark.parametrize("rows", [0, 1, 29])
def test_too_few_rows_are_no_verdict_on_the_data(
    context: Context, tmp_path: Path, rows: int
) -> None:
    run = _run(context, tmp_path, _rows(30).slice(0, rows))
    assert run.verdict == "insufficient_data"
    assert run.reasons == (f"{rows} rows of at least 30",)
    assert (run.results, run.skipped, run.batch.rows) == ((), (), rows)
    assert not run.alarm


def test_enough_rows_with_too_few_values_are_insufficient_data_too(
    context: Context, tmp_path: Path
) -> None:
    low = replace(context, model=replace(context.model, window=WindowSettings(min_rows=5)))
    run = _run(low, tmp_path, _rows(9))
    assert run.verdict == "insufficient_data"
    assert run.reasons == ("no test had enough rows",)
    assert {skip.reason for skip in run.skipped} >= {"too_few_rows"}
    _assert_all_is_accounted_for(run)


def test_too_few_rows_without_a_column_are_invalid_data_first(
    context: Context, tmp_path: Path
) -> None:
    run = _run(context, tmp_path, _rows(10).drop_columns(["plan"]))
    assert run.verdict == "invalid_data"
    assert run.reasons == ("no column 'plan'",)


@pytest.mark.parametrize(
    ("code", "spoilt", "told"),
    [
        ("incomplete", lambda whole: whole[:-200], "no readable footer"),
        ("unreadable", lambda _: b"PAR1 this is not Parquet PAR1", "batch.parquet: "),
    ],
)
def test_a_file_that_cannot_be_read_is_invalid_data_with_its_reason(
    context: Context, tmp_path: Path, code: str, spoilt: Callable[[bytes], bytes], told: str
) -> None:
    path = tmp_path / "batch.parquet"
    pq.write_table(_rows(), path)
    path.write_bytes(spoilt(path.read_bytes()))
    batch = batch_of(path)
    assert batch.fault is not None
    run = judged(context, batch).run
    assert run.verdict == "invalid_data"
    assert _codes(run) == {"": code}
    assert str(path) in run.reasons[0]
    assert told in run.reasons[0]
    (schema,) = [decision for decision in run.decisions if decision.scope == "schema"]
    assert schema.alarm


def test_a_file_that_is_gone_or_replaced_since_is_invalid_data(
    context: Context, tmp_path: Path
) -> None:
    path = tmp_path / "batch.parquet"
    pq.write_table(_rows(), path)
    batch = batch_of(path)
    pq.write_table(_rows(200), path)
    replaced = judged(context, batch).run
    path.unlink()
    gone = judged(context, batch).run
    assert (replaced.verdict, gone.verdict) == ("invalid_data", "invalid_data")
    assert "when it was listed" in replaced.reasons[0]
    assert "no such file" in gone.reasons[0].lower()


def test_a_logged_prediction_the_file_lacks_is_a_missing_column(
    context: Context, tmp_path: Path
) -> None:
    columns = ColumnSettings(time="event_time", label="churned", prediction=("late_days",))
    settings = replace(context.model, model=None, columns=columns)
    logged = replace(context, model=settings)
    run = _run(logged, tmp_path, _rows().drop_columns(["late_days"]))
    assert _skips(run, "late_days") == dict.fromkeys(("ks", "nulls"), "missing_column")
    assert _codes(run) == {"late_days": "missing_column"}
    _assert_all_is_accounted_for(run)


def test_rows_that_the_model_cannot_take_are_counted_and_the_others_scored(
    context: Context, tmp_path: Path
) -> None:
    months = [None] * 40 + _rows().column("tenure_months").to_pylist()[40:]
    run = _run(context, tmp_path, _replaced(_rows(), "tenure_months", pa.array(months)))
    scored = {r.rows_current for r in run.results if r.scope == "prediction" and r.test == "ks"}
    noted = [f.message for f in run.findings if f.code == "rows_not_scored"]
    assert scored == {ROWS - 40}
    assert noted == ["40 of 300 rows have no value that tensor(int64) can hold"]
    assert _results(run, "tenure_months")["ks"].rows_current == ROWS - 40
    _assert_all_is_accounted_for(run)


def test_the_provenance_says_which_bytes_and_versions_it_was(
    context: Context, tmp_path: Path
) -> None:
    run = _run(context, tmp_path, _rows())

    def digest(path: str | Path) -> str:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()

    assert run.provenance == {
        "shiftwatch": __version__,
        "python": platform.python_version(),
        "libraries": {
            name: metadata.version(name) for name in ("numpy", "scipy", "pyarrow", "onnxruntime")
        },
        "config_sha256": context.config_sha256,
        "model_sha256": digest(MODEL_PATH),
        "reference_sha256": digest(context.model.reference),
        "batch_sha256": digest(tmp_path / "batch.parquet"),
        "state_sha256": None,
        "seed": context.seed,
        "settings": json.loads(json.dumps(asdict(context.model))),
        "alarms": asdict(context.alarms),
        "limits": asdict(context.limits),
        "effort": {"step": "whole", "max_rows": None, "given_up": []},
        "acceptance": None,
    }
    assert run.batch.pieces[0].sha256 == digest(tmp_path / "batch.parquet")


def test_the_cost_has_every_stage_and_they_fit_into_the_whole(
    context: Context, tmp_path: Path
) -> None:
    cost = _run(context, tmp_path, _rows()).cost
    assert set(cost.stages) == set(STAGES) - {"start", "prepare", "given_up"}  # no worker's
    assert min(cost.stages.values()) >= 0
    assert sum(cost.stages.values()) <= cost.cpu_seconds
    assert set(cost.tests) == {*COLUMN_TESTS, *JOINT_TESTS}
    assert min(cost.tests.values()) > 0
    assert sum(cost.tests.values()) <= cost.stages["test"]
    assert cost.rows == ROWS
    assert cost.peak_memory_bytes > 10_000_000
    assert cost.energy_joules is not None
    assert cost.energy_joules > 0
    assert cost.energy_source in ENERGY_SOURCES


def test_the_same_request_gives_the_same_run_but_for_its_cost(
    context: Context, tmp_path: Path
) -> None:
    sampled = replace(context, model=replace(context.model, window=WindowSettings(max_rows=200)))
    pq.write_table(_rows(shift=0.3), tmp_path / "batch.parquet")
    batch = batch_of(tmp_path / "batch.parquet")
    for each in (context, sampled):
        first, second = judged(each, batch), judged(each, batch)
        assert without_cost(first.run) == without_cost(second.run)
        assert first.state == second.state


def test_another_seed_draws_other_rows_and_permutations(context: Context, tmp_path: Path) -> None:
    sampled = replace(context, model=replace(context.model, window=WindowSettings(max_rows=200)))
    pq.write_table(_rows(), tmp_path / "batch.parquet")
    batch = batch_of(tmp_path / "batch.parquet")
    one, other = judged(sampled, batch).run, judged(replace(sampled, seed=8), batch).run
    assert one.columns != other.columns
    assert one.batch == other.batch


def test_the_state_carries_an_alarm_from_batch_to_batch(context: Context, tmp_path: Path) -> None:
    for name, shift in (("a", 1.0), ("b", 0.0)):
        pq.write_table(_rows(shift=shift, seed=3), tmp_path / f"{name}.parquet")
    shifted = judged(context, batch_of(tmp_path / "a.parquet"))
    after = judged(context, batch_of(tmp_path / "b.parquet"), shifted.state)
    assert after.run.verdict == "no_shift"
    assert after.run.alarm
    assert {d.since for d in after.run.decisions if d.alarm} == {shifted.run.batch.id}


def test_a_failed_test_of_ours_is_an_error_and_never_quiet(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise FloatingPointError("planted")

    monkeypatch.setattr(COLUMN_TESTS["ks"], "run", broken)
    run = _run(context, tmp_path, _rows())
    assert run.verdict == "error"
    assert "ks on tenure_months: FloatingPointError: planted" in run.reasons
    assert {skip.test for skip in run.skipped if skip.reason == "test_failed"} == {"ks"}
    assert {result.test for result in run.results} >= {"chi2", "nulls", "mmd", "c2st"}


def test_prepare_tells_the_metrics_what_is_watched(context: Context) -> None:
    info = answer(Prepare(context))
    assert isinstance(info, PreparedInfo)
    assert info.tests == ("ks", "chi2", "nulls", "unseen", "distinct", "mmd", "c2st")
    assert info.reference.rows == 600
    assert info.reference.columns > len(FEATURES) + 2, "the model's outputs count as well"
    assert info.model is not None
    assert info.model.sha256 == hashlib.sha256(Path(MODEL_PATH).read_bytes()).hexdigest()
    assert facts_of(Path(context.model.reference)).sha256 == info.reference.sha256


# Size, dependence and what could have been shown -------------------------------------------------


def test_a_batch_much_larger_than_the_reference_is_sampled_and_says_so(
    context: Context, tmp_path: Path
) -> None:
    few = demo_context(tmp_path, rows=300)
    run = _run(few, tmp_path, _rows(3000))
    told = [f.message for f in run.findings if f.code == "subsampled"]
    assert told == ["tested 1200 of 3000 rows: more than 4 times the reference's add no power"]
    assert max(r.rows_current for r in run.results) == 1200
    assert run.batch.rows == 3000
    whole = _run(context, tmp_path, _rows(2400))
    assert not any(f.code == "subsampled" for f in whole.findings)


def test_a_small_reference_still_finds_a_large_shift_in_a_batch_of_its_size(
    tmp_path: Path,
) -> None:
    few = demo_context(tmp_path, rows=300)
    assert _run(few, tmp_path, _rows(300)).verdict == "no_shift"
    shifted = _run(few, tmp_path, _rows(300, shift=1.0))
    assert shifted.verdict == "shift"
    assert shifted.alarm


def test_the_report_carries_what_the_check_could_have_shown(
    context: Context, tmp_path: Path
) -> None:
    run = _run(context, tmp_path, _rows())
    detectable = run.explanation["detectable"]
    assert 0 < detectable["ks"] < 0.3
    assert 0 < detectable["mean_shift_sd"] < 0.8
    assert 0 < detectable["chi2"] < 0.3
    used = detectable["used"]["ks"]
    assert (used["n"], used["m"], used["kappa"]) == (ROWS, 600, 1.0)
    assert used["level"] < 0.001
    assert run.explanation["luck_factor"] > 1
