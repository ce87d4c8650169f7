"""The report on the three layers: why an alarm is on, what clears it, what was held back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from html import unescape
from typing import Any

import numpy as np
import pytest

from shiftwatch.decide import QUIET_ABOVE, QUIET_CHECKS, Policy, State, decide, named, weigh
from shiftwatch.decide.latch import QUIET_POOL, Looked
from shiftwatch.report import markdown, render_html, run_line, table, verdict_sentence
from shiftwatch.report.advice import advice
from shiftwatch.report.alarm import alarm_phrase, clearing_phrase, why_phrase
from shiftwatch.report.details import effective_rows, movement, outlook, witnesses
from shiftwatch.report.headline import headline
from shiftwatch.report.layers import crossed, held_back
from shiftwatch.report.phrase import plain
from shiftwatch.settings import ToleranceSettings
from shiftwatch.values import Decision, Evidence, Finding, Run, SlowEvidence, TwoSampleResult
from tests import sample_runs

EARLIER = sample_runs.EARLIER


def text_of(html: str) -> str:
    """What a reader sees of a page, in one line."""
    body = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", body)))


def of_inputs(run: Run) -> Decision:
    return next(decision for decision in run.decisions if decision.scope == "input")


# --- why an alarm is on ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "by_window",
            (
                "Shift in the inputs of churn, seen in the last batches together: `tenure` moved; "
                "predictions show no shift."
            ),
        ),
        (
            "by_pool",
            (
                "Shift in the inputs of churn, built up over past batches: `price` moved; "
                "predictions show no shift."
            ),
        ),
        ("quiet_under_alarm", "No new shift in 500 rows; the alarm of the inputs is still on."),
        (
            "doubtful",
            (
                "No shift found in 500 rows; the strongest evidence, what has built up over past "
                "batches, is 0.37 of what an alarm needs."
            ),
        ),
        (
            "within_tolerance",
            "No shift that matters in 500 rows: what differs is within the tolerance.",
        ),
    ],
)
def test_the_verdict_says_which_layer_it_rests_on(name: str, sentence: str) -> None:
    run = sample_runs.every()[name]
    assert verdict_sentence(run) == sentence
    assert plain(headline(run, {})).replace("`", "") in text_of(render_html(run))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("by_window", "SHIFT    input by window: tenure"),
        ("by_pool", "SHIFT    input by pool: price"),
        ("quiet_under_alarm", "no shift evidence 0.88 of 1, pool  alarm still on"),
        ("doubtful", "no shift evidence 0.37 of 1, pool"),
    ],
)
def test_a_line_of_the_terminal_names_the_layer(name: str, line: str) -> None:
    assert line in run_line(sample_runs.every()[name], 7)


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        (("check",), "by this batch alone;"),
        (("window",), "by the last batches together;"),
        (("pool",), "by what has built up over past batches;"),
        (("check", "pool"), "by this batch alone and by what has built up over past batches;"),
        (
            ("check", "window", "pool"),
            "by this batch alone, by the last batches together and by what has built up",
        ),
    ],
)
def test_every_layer_that_crossed_is_named(layers: tuple[str, ...], told: str) -> None:
    decision = replace(of_inputs(sample_runs.by_pool()), crossed=layers)
    text = plain(why_phrase(decision, "now"))
    assert told in text
    assert text.endswith(f"the change is estimated to have begun with batch `{EARLIER}`.")


def test_a_change_that_begins_with_the_batch_itself_is_said_so() -> None:
    text = plain(why_phrase(of_inputs(sample_runs.by_pool()), EARLIER))
    assert text.endswith("the change is estimated to have begun with it.")


def test_a_run_from_before_the_layers_rests_on_its_p_value() -> None:
    old = Decision("input", True, True, False, Evidence(2.0), 1e-6, 0.001, ("price",), "b")
    assert crossed(old) == ("check",)
    assert crossed(replace(old, p_value=0.2)) == ()
    assert plain(why_phrase(old, "b")) == "The threshold was crossed by this batch alone."


def test_a_scope_still_in_alarm_is_not_called_quiet_beside_one_that_moved() -> None:
    run = sample_runs.by_pool()
    prediction = replace(run.decisions[1], alarm=True, since=EARLIER)
    run = replace(run, decisions=(run.decisions[0], prediction, *run.decisions[2:]))
    assert verdict_sentence(run).endswith("; the alarm of the predictions is still on.")
    assert "Predictions show no shift" not in " ".join(map(plain, advice(run)))


def test_predictions_that_moved_by_another_layer_say_so() -> None:
    run = sample_runs.shift()
    prediction = replace(run.decisions[1], p_value=0.4, crossed=("pool",))
    run = replace(run, decisions=(run.decisions[0], prediction, *run.decisions[2:]))
    assert verdict_sentence(run).endswith("; predictions moved too, built up over past batches.")


def test_advice_sends_the_reader_to_where_the_change_began() -> None:
    told = [plain(step) for step in advice(sample_runs.by_window())]
    assert any(f"Ask what changed around batch `{EARLIER}`" in step for step in told)
    assert not any("Ask what changed" in plain(step) for step in advice(sample_runs.shift()))


# --- batches that are named --------------------------------------------------------------------

PAST: list[dict[str, Any]] = [
    {"batch_id": EARLIER, "state": "no_shift", "judged_at": 1.7e9, "event_time_start": 1.6e9},
    {"batch_id": "7f3a9c0512be48d1", "state": "shift", "judged_at": 1.7e9},
]


def test_a_past_batch_is_dated_by_its_events_or_else_by_its_check() -> None:
    page = text_of(render_html(sample_runs.quiet_under_alarm(), timeline=PAST))
    assert f"begun with batch {EARLIER} (2020-09-13 12:26)." in page
    assert "Alarm on since batch 7f3a9c0512be48d1 (2023-11-14 22:13)" in page


def links(html: str) -> list[str]:
    return [to for to in re.findall(r'<a href="([^"]*)"', html) if not to.startswith("#")]


def own(run: Run) -> list[str]:
    """Addresses of the other forms of a report, and of the overview."""
    forms = ("json", "csv", "markdown")
    return [*(f"?batch={run.batch.id}&amp;format={form}" for form in forms), "/"]


def test_a_past_batch_is_linked_only_where_its_page_exists() -> None:
    run = sample_runs.quiet_under_alarm()
    link = f'<a href="?batch={EARLIER}&amp;format=html">'
    assert link in render_html(run, timeline=PAST, linked=True)
    assert link not in render_html(run, timeline=PAST)
    assert links(render_html(run, linked=True)) == own(run)


@pytest.mark.parametrize("name", ['"><script>', "javascript:x", "a b", "a&b", "\ud800", ""])
def test_an_odd_batch_id_is_never_a_link(name: str) -> None:
    run = sample_runs.quiet_under_alarm()
    decision = replace(of_inputs(run), since=name, change_from=name)
    run = replace(run, decisions=(decision, *run.decisions[1:]))
    html = render_html(run, timeline=[PAST[0] | {"batch_id": name}], linked=True)
    assert links(html) == own(run)
    assert "<script" not in html


# --- the evidence of the layers ----------------------------------------------------------------


def test_the_evidence_of_every_layer_is_on_page_table_and_markdown() -> None:
    run = sample_runs.by_window()
    page = text_of(render_html(run))
    for told in (
        "This batch alone 0.13",
        "The last batches together 1.38",
        "What has built up over past batches 0.52",
    ):
        assert told in page
    assert re.search(r"^inputs +on +0\.13 +1\.38 +0\.52", table(run), re.MULTILINE)
    told = "| inputs | Alarm raised by this batch | window | 0.31 | 0.13 | 1.38 | 0.52 |"
    assert told in markdown(run)


def test_a_layer_that_has_nothing_to_say_is_left_out() -> None:
    page = render_html(sample_runs.shift())
    assert "evidence 11.81, the alarm rises at 1" in page
    assert text_of(page).count("The last batches together") == 0
    assert '<div class="l">' in page


# --- what clears an alarm ----------------------------------------------------------------------


def test_a_quiet_batch_under_an_alarm_says_what_will_clear_it_and_why_not_yet() -> None:
    run = sample_runs.quiet_under_alarm()
    for text in (text_of(render_html(run)), table(run), markdown(run).replace("\\", "")):
        assert "No threshold was crossed on this batch" in text
        assert "It clears after 3 quiet checks in a row: a corrected p-value above 0.05" in text
        assert "This check is not quiet: what has built up stands at 0.88 of its threshold" in text
        assert "Nothing to do" not in text


@pytest.mark.parametrize(("p_value", "pool"), [(0.5, 0.2), (0.02, 0.2), (0.5, 0.8), (0.02, 0.9)])
def test_what_is_said_to_be_quiet_is_what_the_decision_counts(p_value: float, pool: float) -> None:
    policy = Policy(memory="cusum")
    loud = TwoSampleResult("ks", "price", "input", 0.3, 1e-9, 0.3, 0.2, 0.4, 12_000, 500)
    looked = Looked([loud], slow={"input": {"pool": SlowEvidence(0.3)}})
    decisions, state = decide(looked, (State(), "first"), policy, policy.level())
    assert plain(clearing_phrase(decisions[0])) == ""
    slow = {"pool": SlowEvidence(pool), "window": SlowEvidence(0.1)}
    looked = Looked([replace(loud, p_value=p_value)], slow={"input": slow})
    said = []
    for number in range(QUIET_CHECKS):
        decisions, state = decide(looked, (state, f"b{number}"), policy, policy.level())
        said.append(plain(clearing_phrase(decisions[0])))
    quiet = p_value > QUIET_ABOVE and pool < QUIET_POOL
    assert decisions[0].cleared == quiet
    assert ("This check is not quiet" in said[0]) == (not quiet)
    assert (said[-1] == "") == quiet
    assert ("its corrected p-value is 0.02" in said[0]) == (p_value == 0.02)


def test_an_alarm_on_which_nothing_could_be_judged_says_so() -> None:
    decision = replace(of_inputs(sample_runs.quiet_under_alarm()), p_value=None)
    assert "Nothing could be judged" in plain(clearing_phrase(decision))
    fault = Decision("schema", True, True, False, Evidence(1.0), None, 0.0, ("age",), "b")
    assert "without such a fault" in plain(clearing_phrase(fault))
    assert plain(alarm_phrase(decision, "now")).startswith("Alarm on since batch")


# --- also moving -------------------------------------------------------------------------------


def test_the_wider_list_is_set_apart_from_the_columns_that_moved() -> None:
    run = sample_runs.by_window()
    html = render_html(run)
    assert html.count('<span class="mark">moved</span>') == 1
    assert html.count('<span class="mark also">also moving</span>') == 2
    said = "and age (a wider list at a false discovery rate of 0.05, and no reason for an alarm)."
    assert f"Also moving: calls {said}" in text_of(html)
    assert "calls" not in verdict_sentence(run)
    rows = [line.split() for line in table(run).splitlines() if " v " in line]
    assert [row[0] for row in rows if row[-2:] == ["also", "moving"]] == ["calls", "age"]


# --- the promise -------------------------------------------------------------------------------


def test_a_doubt_about_the_promise_stands_above_everything_and_among_no_notes() -> None:
    run = sample_runs.doubtful()
    html = render_html(run)
    page = text_of(html)
    said = "The promise on false alarms cannot be shown to hold: dependence between rows"
    assert page.index(said) < page.index("Inputs No alarm")
    assert page.count("dependence between rows cannot be measured") == 1
    assert "infinite" in page[page.index("Data quality") :]
    assert table(run).index(said) < table(run).index("scope")
    assert markdown(run).index("> The promise") < markdown(run).index("| scope")
    assert "note: dependence" not in table(run)
    assert "promise" not in text_of(render_html(sample_runs.by_pool())).partition("What to do")[0]


def test_the_page_says_what_is_promised_and_what_the_check_could_show() -> None:
    run = sample_runs.by_pool()
    promise = "at most 1 expected false alarm in 1000 checks"
    page = text_of(render_html(run, promise=promise))
    assert f"Promised: {promise}." in page
    told = (
        "A batch of 500 rows shows with probability .8: a mean shifted by 0.30 standard deviations "
        "(KS 0.118), "
        "13 % of the rows in other categories."
    )
    assert told in page
    assert "for 95 % of references the rate of false alarms is below 1.3 times" in page
    assert told in table(run)
    assert "What this check can show" not in text_of(render_html(sample_runs.no_shift()))


@pytest.mark.parametrize(
    "explanation",
    [
        {},
        {"detectable": None, "luck_factor": None},
        {"detectable": {}, "luck_factor": "large"},
        {"detectable": {"ks": "x", "mean_shift_sd": 1.0}},
        {"detectable": {"ks": 0.1}},
        {"detectable": {"used": 3, "power": 0.8}},
    ],
)
def test_an_outlook_of_another_shape_is_left_out(explanation: dict[str, Any]) -> None:
    run = replace(sample_runs.no_shift(), explanation=explanation)
    assert outlook(run) == ()
    render_html(run)


# --- dependent rows ----------------------------------------------------------------------------


def test_rows_that_depend_on_each_other_are_shown_by_what_they_are_worth() -> None:
    run = sample_runs.doubtful()
    page = text_of(render_html(run))
    assert "12,000 v 500 effective 1,500 v 62" in page
    assert "Rows depend on each other, as the reference shows" in page
    assert "12,000 v 500 (effective 1,500 v 62)" in table(run)
    assert "depend on each other" not in text_of(render_html(sample_runs.by_pool()))[:4000]


@pytest.mark.parametrize("kappa", [1.0, 0.5, float("nan"), float("inf")])
def test_every_row_counts_where_nothing_was_widened(kappa: float) -> None:
    assert effective_rows(replace(sample_runs.shift().results[0], inflation=kappa)) is None


# --- the tolerance -----------------------------------------------------------------------------


def test_a_significant_trifle_is_explained() -> None:
    run = sample_runs.within_tolerance()
    page = text_of(render_html(run))
    assert "Significant, and within the tolerance" in page
    assert "minutes, ks: p-value 3.4e-9, effect 0.012, with 95 % confidence 0.006 to 0.018" in page
    assert "3.4e-9 within tolerance" in page
    row = next(line for line in table(run).splitlines() if line.startswith("minutes"))
    assert row.endswith("within tolerance")
    assert held_back(sample_runs.shift()) == ()
    assert "within the tolerance" not in text_of(render_html(sample_runs.shift()))


@pytest.mark.parametrize("mode", ["suppress", "prove"])
def test_what_the_tolerance_holds_back_is_found_as_the_decision_held_it_back(mode: Any) -> None:
    policy = Policy(tolerance=ToleranceSettings(mode=mode))
    rng = np.random.default_rng(5)
    seen = 0
    for _ in range(200):
        results = [
            TwoSampleResult(
                test,
                f"{test}{place}",
                "input",
                effect,
                float(10 ** -rng.uniform(0, 12)),
                effect,
                max(0.0, effect - width),
                effect + width,
                12_000,
                500,
            )
            for test in ("ks", "chi2")
            for place in range(6)
            for effect, width in [(float(rng.uniform(0, 0.05)), float(rng.uniform(0, 0.02)))]
        ]
        decisions, _ = decide(Looked(results), (State(), "b"), policy, policy.level())
        weighed = weigh(results, [], policy)
        counted = named(weighed, policy.level().check)
        expected = [
            entry.result
            for entry in weighed
            if entry.result.p_value / entry.share <= 0.001 and entry.result not in counted
        ]
        run = replace(sample_runs.no_shift(), results=tuple(results), skipped=())
        run = replace(run, decisions=decisions)
        assert list(held_back(run)) == expected
        seen += len(expected)
    assert seen > 100


def test_a_joint_test_is_held_back_only_if_its_scope_says_so() -> None:
    joint = TwoSampleResult("c2st", "*", "input", 0.5, 1e-9, 0.01, 0.005, 0.015, 5000, 500)
    policy = Policy()
    for high, held in ((0.015, [joint]), (0.3, [])):
        result = replace(joint, effect_high=high)
        decisions, _ = decide(Looked([result]), (State(), "b"), policy, policy.level())
        run = replace(sample_runs.no_shift(), results=(result,), skipped=(), decisions=decisions)
        assert [replace(r, effect_high=0.015) for r in held_back(run)] == held


# --- what a result says beyond its numbers -----------------------------------------------------

MOVED: Mapping[str, Any] = {
    "wasserstein_over_iqr": 0.3123,
    "wasserstein_low": 0.21,
    "wasserstein_high": 0.42,
    "quantile_shifts": [
        {"level": 0.05, "shift": -0.31234, "low": -0.5, "high": -0.1},
        {"level": 0.5, "shift": 1.2},
    ],
}
SEEN: Mapping[str, Any] = {
    "appeared": [17, 204, 31],
    "vanished": list(range(12)),
    "moves": [{"column": "price", "what": "mean", "change_in_sd": 1.234}],
}


def explained(explanation: Mapping[str, Any]) -> TwoSampleResult:
    return replace(sample_runs.shift().results[0], explanation=explanation)


def test_how_far_a_column_moved_is_said_with_intervals() -> None:
    told = (
        "moved by 0.31 of the interquartile range on average (0.21 to 0.42); "
        "quantiles: 0.05: -0.31 (-0.5 to -0.1), 0.5: +1.2"
    )
    assert movement(explained(MOVED)) == told
    run = sample_runs.shift()
    run = replace(run, results=(explained(MOVED), *run.results[1:]))
    assert told.capitalize() in text_of(render_html(run))
    assert f"price: {told}" in table(run)


def test_a_joint_test_names_rows_by_position_and_columns_by_their_movement() -> None:
    assert [plain(phrase) for phrase in witnesses(explained(SEEN))] == [
        "Rows 17, 204, 31 of the batch are the least like the reference (counted from 0).",
        (
            "Rows 0, 1, 2, 3, 4, 5, 6, 7 and 4 more of the reference are the least like the batch "
            "(counted from 0)."
        ),
        "What sets them apart: `price` mean +1.23 standard deviations.",
    ]
    run = sample_runs.shift()
    joint = tuple(replace(r, explanation=SEEN) if r.test == "mmd" else r for r in run.results)
    assert "Rows 17, 204, 31 of the batch" in text_of(render_html(replace(run, results=joint)))


@pytest.mark.parametrize(
    "explanation",
    [
        {},
        {"wasserstein_over_iqr": None, "quantile_shifts": None, "moves": None, "appeared": None},
        {"quantile_shifts": "text", "moves": "text", "appeared": "text", "vanished": 3},
        {"quantile_shifts": [1, {"level": "x"}], "moves": [1, {"column": 3}], "appeared": ["a"]},
        {"moves": [{"column": "<b>", "change_in_sd": None}], "wasserstein_over_iqr": True},
    ],
)
def test_an_explanation_of_another_shape_is_left_out(explanation: dict[str, Any]) -> None:
    assert movement(explained(explanation)) == ""
    assert witnesses(explained(explanation)) == ()


def test_no_word_of_an_explanation_can_become_markup() -> None:
    moves = [{"column": "<script>", "what": "<b>\x1b", "change_in_sd": 1.0}]
    run = sample_runs.shift()
    results = tuple(replace(r, explanation={"moves": moves}) for r in run.results)
    doubt = Finding("promise_not_kept", "", "<script>\u202e", "note")
    html = render_html(
        replace(run, results=results, findings=(doubt,)), promise="<script>", timeline=PAST
    )
    assert "<script" not in html
    assert "\u202e" not in html
    assert "\x1b" not in html
