"""The fold: levels, names, latches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shiftwatch.decide import (
    QUIET_CHECKS,
    Policy,
    State,
    decide,
    named,
    verdict,
    weigh,
)
from shiftwatch.errors import StoreError
from shiftwatch.settings import ToleranceSettings
from shiftwatch.values import Decision, Finding, Scope, Skipped, TwoSampleResult

POLICY = Policy(per_checks=1000)


def _result(
    p: float, target: str = "a", test: str = "ks", scope: Scope = "input", high: float | None = 0.5
) -> TwoSampleResult:
    return TwoSampleResult(test, target, scope, 0.3, p, 0.3, 0.1, high, 1000, 500)


def _scope(decisions: tuple[Decision, ...], scope: Scope) -> Decision:
    return next(decision for decision in decisions if decision.scope == scope)


def _decide(
    results: list[TwoSampleResult],
    state: State | None = None,
    findings: tuple[Finding, ...] = (),
    skipped: tuple[Skipped, ...] = (),
) -> tuple[tuple[Decision, ...], State]:
    return decide(results, skipped, findings, (state or State(), "b1"), POLICY)


def test_shares_of_the_level_add_up_to_one() -> None:
    results = [
        *[_result(0.5, f"c{i}") for i in range(30)],
        _result(0.5, "*", "mmd", high=None),
        _result(0.5, "*", "c2st"),
        _result(0.5, "score", scope="prediction"),
    ]
    weighed = weigh(results, [], POLICY)
    assert sum(entry.share for entry in weighed) == pytest.approx(1.0)
    by_test = {entry.result.test: entry.share for entry in weighed if entry.result.scope == "input"}
    assert by_test["mmd"] == pytest.approx(30 * by_test["ks"])


def test_a_skip_that_depends_on_labels_keeps_its_share() -> None:
    skip = Skipped("unseen", "plan", "input", "all_categories_known")
    alone = weigh([_result(0.5)], [], POLICY)[0].share
    beside = weigh([_result(0.5)], [skip], POLICY)[0].share
    pooled = weigh([_result(0.5)], [replace(skip, reason="constant")], POLICY)[0].share
    assert (alone, beside, pooled) == (1.0, 0.5, 1.0)


def test_alarm_rises_at_the_level_and_not_just_above_it() -> None:
    at_level, _ = _decide([_result(0.001 / 2, "a"), _result(0.9, "b")])
    above, _ = _decide([_result(0.00101 / 2, "a"), _result(0.9, "b")])
    assert _scope(at_level, "input").raised
    assert not _scope(above, "input").alarm


def test_evidence_is_one_exactly_at_the_level() -> None:
    decisions, _ = _decide([_result(0.001)])
    assert _scope(decisions, "input").evidence.check == pytest.approx(1.0)


@given(
    st.lists(st.floats(min_value=1e-12, max_value=1.0), min_size=1, max_size=20),
    st.integers(min_value=1, max_value=5),
)
def test_the_alarm_rises_exactly_when_holm_names_something(
    p_values: list[float], tests: int
) -> None:
    results = [_result(p, f"c{i}", f"t{i % tests}") for i, p in enumerate(p_values)]
    decisions, _ = _decide(results)
    crossed = _scope(decisions, "input").alarm
    assert crossed == bool(named(weigh(results, [], POLICY), POLICY.level))


@pytest.mark.slow
def test_at_most_one_false_alarm_per_thousand_checks_under_strong_dependence() -> None:
    rng = np.random.default_rng(7)
    checks, columns, alarms = 40_000, 10, 0
    policy = Policy(per_checks=50)
    for common in rng.random(checks):
        own = rng.random(columns)
        p_values = np.where(rng.random(columns) < 0.7, common, own)
        results = [_result(max(float(p), 1e-12), f"c{i}") for i, p in enumerate(p_values)]
        weighed = weigh(results, [], policy)
        alarms += min(entry.corrected for entry in weighed) <= policy.level
    expected = checks / 50
    assert alarms <= expected + 3 * np.sqrt(expected)


def test_holm_names_more_than_bonferroni() -> None:
    results = [_result(0.0001, "a"), _result(0.0004, "b"), _result(0.9, "c")]
    assert [r.target for r in named(weigh(results, [], POLICY), 0.001)] == ["a", "b"]


def test_a_shift_shown_to_be_below_the_tolerance_never_alarms() -> None:
    trifle = _result(1e-30, high=0.015)
    decisions, _ = _decide([trifle])
    assert not _scope(decisions, "input").alarm
    assert _scope(decisions, "input").columns == ()


def test_tolerance_can_be_set_per_test_and_per_column() -> None:
    tolerance = ToleranceSettings(tests={"ks": 0.2}, columns={"price": 0.4})
    policy = Policy(1000, tolerance)
    assert policy.smallest(_result(0.1)) == 0.2
    assert policy.smallest(_result(0.1, "price")) == 0.4
    assert policy.smallest(_result(0.1, test="chi2")) == 0.02
    assert policy.smallest(_result(0.1, test="nulls")) == 0.005


def test_alarm_is_latched_until_enough_quiet_checks() -> None:
    _, state = _decide([_result(1e-9)])
    for check in range(QUIET_CHECKS):
        decisions, state = _decide([_result(0.8)], state)
        last = check == QUIET_CHECKS - 1
        assert _scope(decisions, "input").alarm is not last
        assert _scope(decisions, "input").cleared is last
    assert _scope(decisions, "input").since is None


def test_a_weakly_suspicious_check_starts_the_quiet_count_anew() -> None:
    _, state = _decide([_result(1e-9)])
    for p in (0.8, 0.8, 0.04, 0.8, 0.8):
        decisions, state = _decide([_result(p)], state)
    assert _scope(decisions, "input").alarm


def test_a_check_that_crosses_a_generous_level_is_not_quiet() -> None:
    generous = Policy(per_checks=5)
    state = State()
    for _ in range(2 * QUIET_CHECKS):
        decisions, state = decide([_result(0.15)], (), (), (state, "b"), generous)
        assert _scope(decisions, "input").alarm


def test_a_batch_that_tests_nothing_changes_no_alarm() -> None:
    _, raised = _decide([_result(1e-9)])
    for _ in range(2 * QUIET_CHECKS):
        decisions, raised = _decide([], raised)
    assert _scope(decisions, "input").alarm
    assert _scope(decisions, "input").since == "b1"


def test_schema_alarm_lasts_as_long_as_the_fault() -> None:
    fault = Finding("missing_column", "age", "gone", "invalid")
    decisions, state = _decide([], findings=(fault,))
    assert _scope(decisions, "schema").raised
    assert _scope(decisions, "schema").columns == ("age",)
    decisions, _ = _decide([_result(0.5)], state)
    assert _scope(decisions, "schema").cleared


def test_nothing_untested_is_called_no_shift() -> None:
    failed = Skipped("ks", "a", "input", "test_failed", "boom")
    invalid = Finding("missing_column", "age", "gone", "invalid")
    none, _ = _decide([])
    quiet, _ = _decide([_result(0.5)])
    loud, _ = _decide([_result(1e-9)])
    assert verdict(none, [], [], []) == "insufficient_data"
    assert verdict(quiet, [_result(0.5)], [], []) == "no_shift"
    assert verdict(quiet, [_result(0.5)], [failed], []) == "error"
    assert verdict(quiet, [_result(0.5)], [], [invalid]) == "invalid_data"
    assert verdict(loud, [_result(1e-9)], [failed], [invalid]) == "shift"


def test_state_survives_its_text_and_refuses_another_version() -> None:
    _, state = _decide([_result(1e-9)])
    assert State.from_json(state.to_json()) == state
    with pytest.raises(StoreError, match="version 99, not 1"):
        State.from_json(state.to_json().replace('"version": 1', '"version": 99'))


@given(st.lists(st.floats(min_value=1e-9, max_value=1.0), min_size=2, max_size=12))
def test_folding_in_two_parts_equals_folding_at_once(p_values: list[float]) -> None:
    def fold(values: list[float], state: State) -> State:
        for p in values:
            _, state = _decide([_result(p)], State.from_json(state.to_json()))
        return state

    half = len(p_values) // 2
    assert fold(p_values[half:], fold(p_values[:half], State())) == fold(p_values, State())
