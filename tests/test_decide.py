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
    also_moving,
    decide,
    named,
    verdict,
    weigh,
)
from shiftwatch.decide.family import beyond
from shiftwatch.decide.latch import Looked, Slow
from shiftwatch.errors import StoreError
from shiftwatch.settings import ToleranceSettings
from shiftwatch.values import Decision, Finding, Scope, Skipped, SlowEvidence, TwoSampleResult

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
    slow: Slow | None = None,
) -> tuple[tuple[Decision, ...], State]:
    looked = Looked(results, skipped, findings, slow or {})
    return decide(looked, (state or State(), "b1"), POLICY, POLICY.level())


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
    assert crossed == bool(named(weigh(results, [], POLICY), POLICY.level().check))


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
        alarms += min(entry.corrected for entry in weighed) <= policy.level().check
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
    policy = Policy(tolerance=tolerance)
    assert policy.smallest("ks", "a") == 0.2
    assert policy.smallest("ks", "price") == 0.4
    assert policy.smallest("chi2", "a") == 0.02
    assert policy.smallest("nulls", "a") == 0.005


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
        decisions, state = decide(Looked([_result(0.15)]), (state, "b"), generous, generous.level())
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
    assert verdict(none, Looked([])) == "insufficient_data"
    assert verdict(quiet, Looked([_result(0.5)])) == "no_shift"
    assert verdict(quiet, Looked([_result(0.5)], [failed])) == "error"
    assert verdict(quiet, Looked([_result(0.5)], [], [invalid])) == "invalid_data"
    assert verdict(loud, Looked([_result(1e-9)], [failed], [invalid])) == "shift"


def test_state_survives_its_text_and_refuses_another_version() -> None:
    _, state = _decide([_result(1e-9)])
    assert State.from_json(state.to_json()) == state
    with pytest.raises(StoreError, match="version 99, not 2"):
        State.from_json(state.to_json().replace('"version": 2', '"version": 99'))


@given(st.lists(st.floats(min_value=1e-9, max_value=1.0), min_size=2, max_size=12))
def test_folding_in_two_parts_equals_folding_at_once(p_values: list[float]) -> None:
    def fold(values: list[float], state: State) -> State:
        for p in values:
            _, state = _decide([_result(p)], State.from_json(state.to_json()))
        return state

    half = len(p_values) // 2
    assert fold(p_values[half:], fold(p_values[:half], State())) == fold(p_values, State())


def test_the_state_of_the_first_release_is_still_read() -> None:
    old = (
        '{"version": 1, "checks": 7, "basis": "a:b",'
        ' "scopes": {"input": {"alarm": true, "quiet": 1, "since": "b0"}}}'
    )
    state = State.from_json(old)
    assert (state.checks, state.memory, state.clock) == (7, None, None)
    decisions, _ = _decide([_result(0.01)], state)
    assert _scope(decisions, "input").since == "b0"


def test_the_layers_spend_no_more_than_the_promise() -> None:
    for memory in ("none", "cusum", "e-process"):
        level = Policy(per_checks=1000, memory=memory).level()
        assert level.check + level.window + level.pool == pytest.approx(1 / 1000)


def test_days_are_spent_in_proportion_and_a_long_silence_is_capped() -> None:
    policy = Policy(per_days=180)
    spent = sum(policy.level(300).check for _ in range(12))
    assert policy.level(3600).check == pytest.approx(spent)
    assert policy.level(86400 * 180 * 10).check == 0.05
    assert policy.level(0).check > 0  # a batch that comes at the same second is still judged


def test_what_is_spent_in_a_time_never_exceeds_the_promise_in_days() -> None:
    rng = np.random.default_rng(3)
    policy = Policy(per_days=30, memory="cusum")
    gaps = rng.exponential(4000, 20_000) + 1
    levels = [policy.level(float(gap)) for gap in gaps]
    spent = sum(level.check + level.window + level.pool for level in levels)
    assert spent <= gaps.sum() / 86400 / 30 * (1 + 1e-9)


@pytest.mark.parametrize("layer", ["window", "pool"])
def test_a_slow_layer_raises_the_alarm_and_says_where_the_change_began(layer: str) -> None:
    crossing = SlowEvidence(1.1, crossed=True, columns=("age",), change_from="b-7")
    decisions, state = _decide([_result(0.4)], slow={"input": {layer: crossing}})
    decision = _scope(decisions, "input")
    assert (decision.alarm, decision.raised, decision.crossed) == (True, True, (layer,))
    assert decision.columns == ("age",)
    assert (decision.since, decision.change_from) == ("b1", "b-7")
    assert verdict(decisions, Looked([_result(0.4)])) == "shift"
    held = SlowEvidence(1.1, crossed=False, columns=(), change_from="b-7")
    for _ in range(2 * QUIET_CHECKS):
        decisions, state = _decide([_result(0.4)], state, slow={"input": {layer: held}})
        assert _scope(decisions, "input").alarm  # its evidence has not gone
    for _ in range(QUIET_CHECKS):
        decisions, state = _decide(
            [_result(0.4)], state, slow={"input": {layer: SlowEvidence(0.3)}}
        )
    assert _scope(decisions, "input").cleared


def test_a_sudden_shift_began_with_the_batch_unless_a_chart_was_on_its_way() -> None:
    alone, _ = _decide(
        [_result(1e-9)], slow={"input": {"pool": SlowEvidence(0.2, False, (), "b-3")}}
    )
    rising = SlowEvidence(0.9, False, (), "b-3")
    leap, _ = _decide([_result(1e-9)], slow={"input": {"pool": rising}})
    assert _scope(leap, "input").change_from == "b1"
    _, high = _decide([_result(0.4)], slow={"input": {"pool": rising}})
    creeping, _ = _decide([_result(1e-9)], high, slow={"input": {"pool": rising}})
    assert _scope(alone, "input").change_from == "b1"
    assert _scope(creeping, "input").change_from == "b-3"


def test_proving_asks_for_an_effect_above_the_tolerance() -> None:
    prove = Policy(tolerance=ToleranceSettings(mode="prove"))
    small = TwoSampleResult("ks", "a", "input", 0.03, 1e-30, 0.03, 0.01, 0.05, 10**5, 10**4)
    large = TwoSampleResult("ks", "a", "input", 0.3, 1e-30, 0.3, 0.28, 0.32, 10**5, 10**4)
    open_ended = TwoSampleResult("mmd", "*", "input", 0.3, 1e-30, 0.3, None, None, 10**5, 10**4)
    for result, alarm in ((small, False), (large, True), (open_ended, False)):
        decisions, _ = decide(Looked([result]), (State(), "b"), prove, prove.level())
        assert _scope(decisions, "input").alarm is alarm


@given(
    st.floats(min_value=0.0, max_value=1.0),
    st.floats(min_value=0.0, max_value=1.0),
    st.floats(min_value=0.0, max_value=0.5),
    st.floats(min_value=1e-12, max_value=1.0),
)
def test_beyond_a_tolerance_is_never_surer_than_beyond_nothing(
    effect: float, arm: float, smallest: float, p: float
) -> None:
    low = max(0.0, effect - arm)
    result = TwoSampleResult("ks", "a", "input", effect, p, effect, low, 1.0, 1000, 500)
    assert p <= beyond(result, smallest) <= 1
    assert beyond(result, smallest) <= beyond(result, smallest + 0.1)


def test_what_is_also_moving_is_a_wider_list_and_keeps_its_rate() -> None:
    results = [_result(p, f"c{i}") for i, p in enumerate([1e-9, 0.002, 0.003, 0.2, 0.9])]
    decisions, _ = _decide(results)
    assert _scope(decisions, "input").columns == ("c0",)
    assert _scope(decisions, "input").also_moving == ("c1", "c2")
    rng = np.random.default_rng(5)
    wrong = [
        bool(
            also_moving(weigh([_result(float(p), f"c{i}") for i, p in enumerate(row)], [], POLICY))
        )
        for row in rng.random((2000, 20))
    ]
    assert np.mean(wrong) <= 0.05
