"""What a scrape promises: names, escaping, zeros, absences and bounds."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from shiftwatch.metrics import FAMILIES, by_test, exposition, render, table
from shiftwatch.price import DayCost
from shiftwatch.quarantine import REASONS
from shiftwatch.status import (
    BATCH_OUTCOMES,
    BATCH_SECONDS_BOUNDS,
    Around,
    Counts,
    Exemplar,
    Histogram,
    Inbox,
    ModelInfo,
    ModelStatus,
    ReferenceInfo,
    Snapshot,
)
from shiftwatch.tally import Tally
from shiftwatch.values import (
    Batch,
    Cost,
    Decision,
    Evidence,
    Piece,
    Run,
    Scope,
    TwoSampleResult,
    Verdict,
)

OPENMETRICS = "application/openmetrics-text; version=1.0.0"

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


COST = Cost(0.5, 0.6, 200_000_000, 1.92, "estimate", {"predict": 0.1, "test": 0.3}, rows=250)


def result(
    target: str,
    p_value: float,
    *,
    effect: float = 0.1,
    test: str = "ks",
    scope: Scope = "input",
    interval: tuple[float | None, float | None] = (None, None),
) -> TwoSampleResult:
    low, high = interval
    return TwoSampleResult(test, target, scope, effect, p_value, effect, low, high, 1000, 500)


def run_of(*results: TwoSampleResult, alarm: bool = False, end: float | None = None) -> Run:
    decision = Decision(
        "input", alarm, alarm, cleared=False, evidence=Evidence(check=1.5), p_value=0.01, level=0.05
    )
    batch = Batch("0123456789abcdef", (Piece("b.parquet", 1, "ff", 0, 500),), 500, None, end)
    verdict: Verdict = "shift" if alarm else "no_shift"
    told = {"metric": "mean absolute error", "reference": 2.0, "estimate": 2.5}
    told |= {"change_low": -0.5, "change_high": 1.5}
    run = Run("churn", batch, verdict, 1000.0, (), (decision,), results, cost=COST)
    return dataclasses.replace(run, explanation={"performance": told})


def snapshot_of(
    run: Run | None = None,
    *,
    cap: int = 100,
    counts: Counts | None = None,
    day: DayCost | None = None,
) -> Snapshot:
    status = ModelStatus(
        name="churn",
        tests=("ks", "mmd"),
        monitor_state="ok",
        last_run=run,
        last_processed_at=1000.5 if run else None,
        backlog=2,
        oldest_at=800.25 if run else None,
        expected_seconds=3600.0 if run else None,
        logged=run is not None,
        counts=counts or Counts(),
        day=day,
    )
    return Snapshot((status,), "0.1.0+gdeadbee", "3.11.7", cap)


def flat(metrics: Iterable[Metric]) -> Samples:
    samples = [sample for metric in metrics for sample in metric.samples]
    return {(s.name, frozenset(s.labels.items())): s.value for s in samples}


def scrape(snapshot: Snapshot, accept: str = "", names: tuple[str, ...] = ()) -> Samples:
    content_type, body = render(snapshot, accept, names)
    read = read_openmetrics if "openmetrics" in content_type else read_text
    return flat(read(body.decode()))


def at(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def names_in(samples: Samples) -> set[str]:
    return {name for name, _ in samples}


FULL = dataclasses.replace(
    snapshot_of(
        run_of(result("age", 0.2, interval=(0.05, 0.2)), result("*", 0.5, test="mmd"), end=900.0),
        counts=Counts(
            batches={"tested": 3},
            tests={("ks", "run"): 3},
            alarms={"input": 1},
            rows={"reference": 1000, "current": 500},
            cpu_seconds=1.25,
            stage_seconds={"read": 0.5},
            payloads={"matched": 9, "unmatched_requests": 1},
            raised={"input": Exemplar("7c1d", 1.0, 800.0)},
            test_seconds={"ks": Histogram().with_value(0.02, "7c1d", 800.0).with_value(50.0)},
            batch_seconds=Histogram(BATCH_SECONDS_BOUNDS).with_value(0.2, "7c1d", 800.0),
            energy_joules={"estimate": 4.8},
            degraded={"subsample": 2},
            worker_deaths=3,
        ),
        day=DayCost(10, 20_000, 5.0, 19.2),
    ),
    reload_at=10.0,
    checkpoint_at=20.0,
    around=Around({"missed": 1}, {"unauthorized": 2}, {"churn": Inbox(5, {"full": 1}, 3)}),
)


def with_infos(snapshot: Snapshot) -> Snapshot:
    status = dataclasses.replace(
        snapshot.models[0],
        reference=ReferenceInfo("ab" * 32, "cd" * 32, 1000, 3),
        model=ModelInfo("ef" * 32, "17", "skl2onnx 1.18", "1.32.0"),
    )
    return dataclasses.replace(snapshot, models=(status,))


def test_both_formats_carry_the_same_samples_of_ours() -> None:
    def ours(samples: Samples) -> Samples:
        return {key: value for key, value in samples.items() if key[0].startswith("shiftwatch_")}

    snapshot = with_infos(FULL)
    text, openmetrics = ours(scrape(snapshot)), ours(scrape(snapshot, OPENMETRICS))
    assert text == openmetrics
    assert names_in(text) == {name for family in FAMILIES for name in family.samples}


def test_the_estimated_performance_has_its_band_and_is_absent_where_there_is_no_estimate() -> None:
    name, labels = "shiftwatch_estimated_performance", {"model": "churn"}
    labels["metric"] = "mean_absolute_error"
    samples = scrape(FULL)
    told = {"reference": 2.0, "estimate": 2.5, "low": 1.5, "high": 3.5}
    assert {bound: at(samples, name, bound=bound, **labels) for bound in told} == told
    for given in (
        {},
        {"performance": {"not_estimated": "no label"}},
        {"performance": {"metric": 1}},
    ):
        run = dataclasses.replace(run_of(), explanation=given)
        assert name not in names_in(scrape(snapshot_of(run)))


def test_exemplars_name_the_batch_in_openmetrics_and_are_absent_in_text() -> None:
    openmetrics = render(FULL, OPENMETRICS)[1].decode()
    lines = [line for line in openmetrics.splitlines() if " # {" in line]
    assert {line.partition("{")[0] for line in lines} == {
        "shiftwatch_alarms_total",
        "shiftwatch_batch_duration_seconds_bucket",
        "shiftwatch_test_duration_seconds_bucket",
    }
    assert all(' # {batch_id="7c1d"} ' in line and line.endswith(" 800.0") for line in lines)
    assert "# {" not in render(FULL)[1].decode()


def test_of_several_models_a_bucket_shows_the_newest_batch() -> None:
    older = FULL.models[0]
    counts = Counts(test_seconds={"ks": Histogram().with_value(0.025, "99ff", 900.0)})
    snapshot = dataclasses.replace(
        FULL, models=(older, dataclasses.replace(older, name="other", counts=counts))
    )
    text = render(snapshot, OPENMETRICS)[1].decode()
    (line,) = (line for line in text.splitlines() if '_bucket{le="0.03",test="ks"' in line)
    assert line.endswith('2.0 # {batch_id="99ff"} 0.025 900.0')


def test_an_exemplar_is_never_longer_than_openmetrics_allows() -> None:
    counts = Counts(alarms={"input": 1}, raised={"input": Exemplar("x" * 500, 1.0, 1.0)})
    text = render(snapshot_of(None, counts=counts), OPENMETRICS)[1].decode()
    assert max(map(len, re.findall(r"batch_id=\"(x+)\"", text))) + len("batch_id") == 128


CONTRACT = Path(__file__).parent / "metric_contract.txt"


def test_no_metric_has_lost_its_name_its_labels_or_its_kind() -> None:
    """Dashboards and alerts of others rest on these lines: add, and never change or take away.

    A changed meaning is a new name; an old one stays until the next major version.
    """
    promised = CONTRACT.read_text(encoding="utf-8").splitlines()
    told = [
        " ".join((each.name, each.kind, ",".join(each.labels) or "-", each.unit or "-"))
        for each in FAMILIES
    ]
    assert sorted(promised) == promised
    missing = sorted(set(promised) - set(told))
    assert missing == [], "public API under SemVer"
    assert sorted(set(told) - set(promised)) == [], f"add these lines to {CONTRACT.name}"


def test_the_format_is_chosen_by_the_accept_header() -> None:
    assert render(FULL, "")[0] == "text/plain; version=0.0.4; charset=utf-8"
    kind, body = render(FULL, OPENMETRICS + ",text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
    assert kind.startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert body.endswith(b"# EOF\n")


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text; version=banana",
        "application/openmetrics-text; version=" + "9" * 5000,
        "application/openmetrics-text; version=1.x.0; escaping=nonsense",
        "text/plain; version=1.0.0; escaping=values; =",
        ",;,=;",
        "application/openmetrics-text",
        "application/openmetrics-text; version=2.0.0; escaping=allow-utf-8",
    ],
)
def test_no_accept_header_breaks_a_scrape_or_is_repeated_unread(accept: str) -> None:
    content_type, body = render(FULL, accept)
    assert b"shiftwatch_drift_alarm{" in body
    assert len(content_type) < 100
    assert "banana" not in content_type


def test_names_keep_the_conventions() -> None:
    for family in FAMILIES:
        assert re.fullmatch(r"shiftwatch_[a-z][a-z0-9_]*", family.name)
        assert family.name.endswith("_total") == (family.kind == "counter")
        assert family.name.endswith("_info") == (family.kind == "info")
        assert ("seconds" in family.name.split("_")) == (family.unit == "seconds")
        assert not family.unit or family.base.endswith("_" + family.unit)
        assert len(set(family.labels)) == len(family.labels)
        assert not {"le", "quantile", "job", "instance"} & set(family.labels)
        assert len(family.help.split()) >= 8
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


def test_samples_carry_exactly_the_labels_of_the_table() -> None:
    labels = {family.name: set(family.labels) for family in FAMILIES}
    for name, values in scrape(with_infos(FULL)):
        if name in labels:
            assert {label for label, _ in values} <= labels[name], name
    assert at(
        scrape(with_infos(FULL)),
        "shiftwatch_reference_info",
        model="churn",
        reference_id="ab" * 8,
        reference_sha256="ab" * 32,
        schema_sha256="cd" * 32,
    )


def test_series_known_in_advance_are_zero_before_the_first_batch() -> None:
    samples = scrape(snapshot_of())
    for scope in ("input", "prediction", "schema"):
        assert at(samples, "shiftwatch_drift_alarm", model="churn", scope=scope) == 0
        assert at(samples, "shiftwatch_alarms_total", model="churn", scope=scope) == 0
    for outcome in BATCH_OUTCOMES:
        assert at(samples, "shiftwatch_batches_total", model="churn", outcome=outcome) == 0
    for test in ("ks", "mmd"):
        for outcome in ("run", "skipped", "failed"):
            found = at(samples, "shiftwatch_tests_total", model="churn", test=test, outcome=outcome)
            assert found == 0
        assert at(samples, "shiftwatch_test_duration_seconds_count", test=test) == 0
    for side in ("reference", "current"):
        assert at(samples, "shiftwatch_rows_total", model="churn", side=side) == 0
    assert at(samples, "shiftwatch_stage_seconds_total", stage="predict") == 0
    assert at(samples, "shiftwatch_series_dropped_total", model="churn") == 0
    assert at(samples, "shiftwatch_cpu_seconds_total", model="churn") == 0


def test_a_configured_model_has_its_info_series_even_if_nothing_is_loaded() -> None:
    found = [key for key in scrape(snapshot_of()) if key[0] == "shiftwatch_model_info"]
    assert len(found) == 1
    assert ("model", "churn") in found[0][1]


def test_what_is_not_known_is_absent_rather_than_zero() -> None:
    absent = {
        "shiftwatch_backlog_oldest_timestamp_seconds",
        "shiftwatch_last_batch_processed_timestamp_seconds",
        "shiftwatch_last_batch_event_timestamp_seconds",
        "shiftwatch_last_checkpoint_timestamp_seconds",
        "shiftwatch_config_last_reload_success_timestamp_seconds",
        "shiftwatch_drift_evidence_ratio",
        "shiftwatch_test_p_value",
        "shiftwatch_reference_info",
        "shiftwatch_reference_rows",
        "shiftwatch_check_cpu_seconds",
        "shiftwatch_check_energy_joules",
        "shiftwatch_day_cpu_seconds",
        "shiftwatch_watching_cost_ratio",
    }
    assert not absent & names_in(scrape(snapshot_of()))
    present = scrape(with_infos(FULL))
    assert absent <= names_in(present)
    last = "shiftwatch_last_batch_processed_timestamp_seconds"
    assert at(present, last, model="churn") == 1000.5
    assert at(present, "shiftwatch_last_batch_event_timestamp_seconds", model="churn") == 900


def test_an_alarm_and_its_evidence_are_shown_by_scope() -> None:
    samples = scrape(snapshot_of(run_of(alarm=True)))
    assert at(samples, "shiftwatch_drift_alarm", model="churn", scope="input") == 1
    assert at(samples, "shiftwatch_drift_alarm", model="churn", scope="schema") == 0
    layers = [key for key in samples if key[0] == "shiftwatch_drift_evidence_ratio"]
    assert [dict(labels)["layer"] for _, labels in layers] == ["check"]


def test_each_layer_of_evidence_is_a_series_and_absent_while_it_has_nothing_to_say() -> None:
    run = run_of()
    decision = dataclasses.replace(run.decisions[0], evidence=Evidence(0.1, None, 0.0))
    samples = scrape(snapshot_of(dataclasses.replace(run, decisions=(decision,))))
    name = "shiftwatch_drift_evidence_ratio"
    found = {dict(labels)["layer"]: value for (n, labels), value in samples.items() if n == name}
    assert found == {"check": 0.1, "pool": 0.0}
    (help_text,) = [family.help for family in FAMILIES if family.name == name]
    for layer in ("check", "window", "pool"):
        assert f"`{layer}`" in help_text


def test_exactly_one_monitor_state_is_on() -> None:
    states = {
        dict(labels)["state"]: value
        for (name, labels), value in scrape(snapshot_of()).items()
        if name == "shiftwatch_monitor_state"
    }
    assert states == {"ok": 1, "insufficient_data": 0, "invalid_data": 0, "stale": 0, "error": 0}


def test_the_p_value_of_a_test_is_the_smallest_times_the_number_of_its_columns() -> None:
    run = run_of(
        result("a", 0.01), result("b", 0.5), result("c", 0.9), result("p", 0.4, scope="prediction")
    )
    samples = scrape(snapshot_of(run))
    p_value = "shiftwatch_test_p_value"
    assert at(samples, p_value, model="churn", scope="input", test="ks") == pytest.approx(0.03)
    assert at(samples, p_value, model="churn", scope="prediction", test="ks") == 0.4
    assert by_test(run_of(result("a", 0.6), result("b", 0.7)))[0].p_value == 1.0


def test_the_smallest_possible_p_value_is_not_shown_as_zero() -> None:
    samples = scrape(snapshot_of(run_of(result("a", 5e-324))))
    assert at(samples, "shiftwatch_test_p_value", model="churn", scope="input", test="ks") > 0


@pytest.mark.parametrize(
    ("effect", "interval", "bound"),
    [
        (0.3, (0.2, 0.4), 0.2),
        (0.01, (-0.02, 0.04), 0.0),
        (-0.3, (-0.4, -0.2), 0.2),
        (0.3, (None, None), None),
        (-0.3, (None, None), None),
    ],
)
def test_effects_are_magnitudes_with_a_lower_bound_of_the_same(
    effect: float, interval: tuple[float | None, float | None], bound: float | None
) -> None:
    small = result("small", 0.5, effect=0.001, interval=(0.0, 0.9))
    view = by_test(run_of(small, result("a", 0.5, effect=effect, interval=interval)))[0]
    assert view.effect == abs(effect)
    assert view.effect_low == bound


def feature_series(samples: Samples, name: str) -> set[tuple[str, str]]:
    found = [dict(labels) for metric, labels in samples if metric == name]
    return {(labels["feature"], labels["test"]) for labels in found}


def test_all_features_are_shown_if_they_fit() -> None:
    results = [result(f"c{place}", 0.5) for place in range(100)]
    samples = scrape(snapshot_of(run_of(*results, result("*", 0.5, test="mmd"))))
    assert len(feature_series(samples, "shiftwatch_feature_p_value")) == 100
    assert at(samples, "shiftwatch_series_dropped_total", model="churn") == 0


def test_above_the_cap_the_strongest_evidence_is_kept_in_any_order_of_results() -> None:
    results = [result(f"c{place}", 0.5, effect=place / 1000) for place in range(8)]
    results += [result("tiny", 1e-9, effect=0.001), result("small", 1e-3)]
    expected = {("tiny", "ks"), ("small", "ks"), ("c7", "ks"), ("c6", "ks")}
    for ordered in (results, results[::-1]):
        samples = scrape(snapshot_of(run_of(*ordered), cap=4))
        assert feature_series(samples, "shiftwatch_feature_p_value") == expected
        assert feature_series(samples, "shiftwatch_feature_effect_ratio") == expected


def test_a_cap_of_zero_shows_no_feature() -> None:
    samples = scrape(snapshot_of(run_of(result("a", 0.5)), cap=0))
    assert not feature_series(samples, "shiftwatch_feature_p_value")


def test_what_has_no_series_is_counted_over_the_checks_and_the_counter_never_falls() -> None:
    both_scopes = result("c0", 0.5, scope="prediction")
    many = run_of(*(result(f"c{place}", 0.5) for place in range(8)), both_scopes)
    tally = Tally()
    told = []
    for run in (many, run_of(result("a", 0.5), result("*", 0.5, test="mmd")), many):
        tally.add_run(run, 4)
        samples = scrape(snapshot_of(run, cap=4, counts=tally.counts()))
        told.append(at(samples, "shiftwatch_series_dropped_total", model="churn"))
    assert told == [4, 4, 8]


def test_a_model_of_a_thousand_columns_has_no_more_series_of_any_name_than_the_cap_allows() -> None:
    def series(columns: int) -> Counter[str]:
        results = [result(f"c{index}", 1.0 / (2 + index)) for index in range(columns)]
        return Counter(name for name, _ in scrape(snapshot_of(run_of(*results))))

    few, many = series(3), series(1000)
    capped = {"shiftwatch_feature_p_value", "shiftwatch_feature_effect_ratio"}
    assert {name for name in many if many[name] != few[name]} == capped
    assert {many[name] for name in capped} == {snapshot_of().series_per_model}


def test_a_column_tested_in_two_scopes_is_one_series_with_the_stronger_evidence() -> None:
    run = run_of(result("a", 0.5), result("a", 0.1, scope="prediction"))
    samples = scrape(snapshot_of(run))
    assert at(samples, "shiftwatch_feature_p_value", model="churn", feature="a", test="ks") == 0.1


HOSTILE = [
    'quote"back\\slash\nnewline',
    "<script>alert(1)</script>",
    "\u202eevil\u2066",
    "tab\tcarriage\rreturn",
    "Größe 🜚",
    "} 1\nfake_metric{a=",
    "# HELP x",
    "",
    " ",
]


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_hostile_column_names_come_back_as_they_are(accept: str) -> None:
    run = run_of(*(result(name, 0.5) for name in HOSTILE))
    found = feature_series(scrape(snapshot_of(run), accept), "shiftwatch_feature_p_value")
    assert {feature for feature, _ in found} == set(HOSTILE)


def test_a_column_name_that_is_no_unicode_cannot_break_the_scrape() -> None:
    found = feature_series(
        scrape(snapshot_of(run_of(result("a\ud800", 0.5)))), "shiftwatch_feature_p_value"
    )
    assert found == {("a\\ud800", "ks")}


def test_long_names_are_cut_and_stay_apart() -> None:
    run = run_of(result("x" * 300 + "a", 0.5), result("x" * 300 + "b", 0.5), result("y" * 200, 0.5))
    found = feature_series(scrape(snapshot_of(run)), "shiftwatch_feature_p_value")
    names = sorted(feature for feature, _ in found)
    assert len(names) == 3
    assert all(len(name) == 200 for name in names)
    assert names[2] == "y" * 200
    assert re.fullmatch(r"x{187}~[0-9a-f]{12}", names[0])


def test_a_scrape_can_be_restricted_to_names() -> None:
    samples = scrape(FULL, OPENMETRICS, ("shiftwatch_tests_total", "shiftwatch_build_info", "nope"))
    assert names_in(samples) == {"shiftwatch_tests_total", "shiftwatch_build_info"}
    assert names_in(scrape(FULL, "", ("process_cpu_seconds_total",))) == {
        "process_cpu_seconds_total"
    }


def test_metrics_of_the_process_come_with_every_scrape() -> None:
    samples = scrape(FULL)
    assert {
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "python_info",
    } <= names_in(samples)


def test_stage_seconds_add_up_over_models() -> None:
    one = FULL.models[0]
    two = dataclasses.replace(one, name="fraud")
    samples = scrape(dataclasses.replace(FULL, models=(one, two)))
    assert at(samples, "shiftwatch_stage_seconds_total", stage="read") == 1.0
    assert at(samples, "shiftwatch_cpu_seconds_total", model="fraud") == 1.25


def test_a_sum_over_all_models_does_not_fall_when_a_model_goes() -> None:
    gone = Counts().costs_with(FULL.models[0].counts)
    samples = [
        scrape(dataclasses.replace(FULL, models=models, departed=departed), OPENMETRICS)
        for models, departed in ((FULL.models, Counts()), ((), gone), (FULL.models, gone))
    ]
    over_all = [key for key in samples[0] if key[0].startswith(_OVER_ALL_MODELS)]
    assert {name for name, _ in over_all} > {f"{name}_total" for name in _OVER_ALL_MODELS[:2]}
    for key in over_all:
        before, after, again = (found.get(key, 0.0) for found in samples)
        assert (after, again) == (before, 2 * before)
    assert "shiftwatch_cpu_seconds_total" not in names_in(samples[1]), "a model's own series go"


_OVER_ALL_MODELS = (
    "shiftwatch_stage_seconds",
    "shiftwatch_energy_joules",
    "shiftwatch_test_duration_seconds",
)


def test_what_watching_costs_is_shown_by_check_by_day_and_beside_the_model() -> None:
    samples = scrape(FULL)
    assert at(samples, "shiftwatch_check_cpu_seconds", model="churn") == 0.5
    assert at(samples, "shiftwatch_check_peak_memory_bytes", model="churn") == 200_000_000
    joules = at(samples, "shiftwatch_check_energy_joules", model="churn", source="estimate")
    assert joules == 1.92
    assert at(samples, "shiftwatch_day_cpu_seconds", model="churn") == 5.0
    assert at(samples, "shiftwatch_day_energy_joules", model="churn") == 19.2
    assert at(samples, "shiftwatch_million_rows_cpu_seconds", model="churn") == 250.0
    assert at(samples, "shiftwatch_million_rows_energy_joules", model="churn") == 960.0
    # 0.4 s besides the model, which takes 0.1 s for 250 of 500 rows
    assert at(samples, "shiftwatch_watching_cost_ratio", model="churn") == pytest.approx(2.0)
    assert at(samples, "shiftwatch_energy_joules_total", source="estimate") == 4.8
    assert at(samples, "shiftwatch_energy_joules_total", source="rapl") == 0
    assert at(samples, "shiftwatch_degraded_total", model="churn", step="subsample") == 2
    assert at(samples, "shiftwatch_degraded_total", model="churn", step="joint_tests") == 0


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_the_seconds_of_a_test_are_a_histogram_over_all_models(accept: str) -> None:
    two = dataclasses.replace(FULL.models[0], name="fraud")
    samples = scrape(dataclasses.replace(FULL, models=(*FULL.models, two)), accept)
    name = "shiftwatch_test_duration_seconds"
    found = {
        dict(labels)["le"]: count
        for (n, labels), count in samples.items()
        if n == f"{name}_bucket" and ("test", "ks") in labels
    }
    assert [found[bound] for bound in ("0.01", "0.03", "30.0", "+Inf")] == [0, 2, 2, 4]
    assert at(samples, f"{name}_count", test="ks") == 4
    assert at(samples, f"{name}_sum", test="ks") == pytest.approx(100.04)


def test_how_far_judging_is_behind_and_what_it_lost_on_the_way_are_told() -> None:
    samples = scrape(FULL)
    assert at(samples, "shiftwatch_backlog_batches", model="churn") == 2
    assert at(samples, "shiftwatch_backlog_oldest_timestamp_seconds", model="churn") == 800.25
    assert at(samples, "shiftwatch_worker_deaths_total", model="churn") == 3
    assert at(scrape(snapshot_of()), "shiftwatch_worker_deaths_total", model="churn") == 0


def test_without_a_model_there_is_nothing_to_compare_watching_with() -> None:
    run = dataclasses.replace(run_of(), cost=dataclasses.replace(COST, stages={"test": 0.3}))
    assert "shiftwatch_watching_cost_ratio" not in names_in(scrape(snapshot_of(run)))


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_a_scrape_shows_what_changed_since_the_one_before_and_nothing_else(accept: str) -> None:
    """Lines of a model that did not change are not made again; the library alone is the judge."""
    one = with_infos(FULL).models[0]
    two = dataclasses.replace(one, name="fraud")
    for models in (
        (one, two),
        (one, dataclasses.replace(two, backlog=7)),
        (dataclasses.replace(one, last_run=None), two),
        (two,),
        (dataclasses.replace(one, counts=Counts()), two),
    ):
        snapshot = dataclasses.replace(FULL, models=models)
        encode, content_type = choose_encoder(accept)
        whole = CollectorRegistry()
        whole.register(exposition._Collector(list(exposition._points(snapshot))))
        expected = encode(whole).removesuffix(b"# EOF\n")
        kind, body = render(snapshot, accept)
        assert kind == content_type
        assert body.startswith(expected)
        assert body.count(b"# EOF\n") == encode(whole).count(b"# EOF\n")


def test_another_cap_on_series_and_another_form_are_not_answered_from_memory() -> None:
    assert render(FULL) != render(FULL, OPENMETRICS)
    few = dataclasses.replace(FULL, series_per_model=0)
    assert "shiftwatch_feature_p_value" in names_in(scrape(FULL))
    assert "shiftwatch_feature_p_value" not in names_in(scrape(few))


def test_rendering_leaves_the_snapshot_alone_and_repeats_itself() -> None:
    first, second = render(FULL)[1], render(FULL)[1]
    ours = [
        [line for line in body.decode().splitlines() if line.startswith("shiftwatch_")]
        for body in (first, second)
    ]
    assert ours[0] == ours[1]


def test_the_table_names_every_metric_with_its_labels() -> None:
    lines = table().splitlines()
    assert len(lines) == 2 + len(FAMILIES)
    assert lines[0] == "| metric | type | labels | unit | meaning |"
    alarm = next(line for line in lines if "shiftwatch_drift_alarm`" in line)
    assert alarm.startswith("| `shiftwatch_drift_alarm` | gauge | `model`, `scope` |  | 1 while")


def test_the_metrics_room_is_light() -> None:
    heavy = "numpy scipy pyarrow onnxruntime sklearn pandas fastapi pydantic jinja2"
    code = (
        "import sys, shiftwatch.metrics; "
        f"print([name for name in {heavy!r}.split() if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_promtool_finds_no_fault(system: Callable[[str], str]) -> None:
    ours = [family.name for family in FAMILIES]
    _, body = render(with_infos(FULL), "", ours)
    command = [system("promtool"), "check", "metrics"]
    done = subprocess.run(command, input=body, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_broken_files_are_counted_and_every_reason_is_known_in_advance() -> None:
    snapshot = snapshot_of(counts=Counts(quarantined={"damaged": 3}))
    (status,) = snapshot.models
    status = dataclasses.replace(status, quarantined=2, retried=5)
    samples = scrape(dataclasses.replace(snapshot, models=(status,)))
    assert at(samples, "shiftwatch_quarantined_files", model="churn") == 2
    assert at(samples, "shiftwatch_retried_files", model="churn") == 5
    for reason in REASONS:
        value = at(samples, "shiftwatch_quarantines_total", model="churn", reason=reason)
        assert value == (3 if reason == "damaged" else 0)
