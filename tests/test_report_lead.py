"""What the page says beyond the verdict: since when, which columns, does it matter, and who said what."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest

from shiftwatch.contribution import contribution
from shiftwatch.report import markdown, render_html, table, verdict_sentence
from shiftwatch.report.advice import advice
from shiftwatch.report.chart import picture
from shiftwatch.report.gauges import INTERVAL_WIDTH, interval_bar
from shiftwatch.report.headline import headline
from shiftwatch.report.lead import after_headline, lead, prediction_movement
from shiftwatch.report.phrase import plain
from shiftwatch.report.ranking import ranked
from shiftwatch.report.timeline import timeline
from shiftwatch.report.tolerance import policy_of
from shiftwatch.values import Acceptance, Annotation, ColumnProfile, Run
from tests import sample_runs

HOUR = 3600.0
FIRST = 1_762_000_000.0


def said(run: Run) -> str:
    return " ".join(plain(phrase) for phrase in lead(run))


def past(count: int, alarms: range = range(0)) -> list[dict[str, Any]]:
    return [
        {
            "batch_id": f"b{i}",
            "state": "no_shift",
            "alarm": i in alarms,
            "judged_at": FIRST + i * HOUR,
            "evidence": {"input": 0.2, "prediction": 0.1},
        }
        for i in range(count)
    ]


def word(start: int, until: int | None, **changes: Any) -> Annotation:
    end = None if until is None else FIRST + until * HOUR
    given = Annotation(
        1, "churn", "known_change", "campaign", FIRST + start * HOUR, end, "ada", 0.0
    )
    return replace(given, **changes)


def test_the_columns_that_carry_most_are_named_with_their_part() -> None:
    run = sample_runs.shift()
    shares = {each.column: each.share for each in contribution(run.results)["input"]}
    part = 100 * (shares["price"] + shares["tenure"])
    assert f"`price` and `tenure` carry {part:.0f} % of what differs in the inputs." in said(run)


def test_predictions_say_how_far_they_moved() -> None:
    assert "The median of `score` moved up by 0.05, from 0.31 to 0.36." in said(sample_runs.shift())


def test_a_categorical_answer_says_which_one_and_how_often() -> None:
    answers = ColumnProfile(
        *("decision", "categorical", "prediction", "string", 100, 100, 0, 0),
        categories=("no", "yes"),
        counts_reference=(80, 20),
        counts_current=(65, 35),
    )
    told = plain(prediction_movement(answers))
    assert told == "`no` went from 80 % to 65 % of the answers of `decision`."


def test_the_beginning_is_dated_where_it_is_known() -> None:
    run = sample_runs.by_pool()
    began = str(next(d.change_from for d in run.decisions if d.change_from))
    dated, undated = (plain(headline(run, at)) for at in ({began: 1_793_714_400.0}, {}))
    assert dated.startswith("Since 3 Nov 2026, 14:00 UTC the inputs of churn differ")
    assert undated.startswith("The inputs of churn differ from the reference, built up over past")


def test_the_first_line_says_since_when_what_and_which_columns_carry_it() -> None:
    assert plain(headline(sample_runs.shift(), {})) == (
        "Since 3 Nov 2026, 14:00 UTC the inputs of churn differ from the reference: "
        "`price` and `tenure` carry 84 % of it; predictions moved too."
    )
    told = " ".join(plain(phrase) for phrase in after_headline(sample_runs.shift()))
    assert told.startswith("Also moved: `plan`. The median of `score` moved up by 0.05")


def test_columns_that_only_this_batch_moves_do_not_carry_what_past_batches_found() -> None:
    run = replace(sample_runs.by_window(), results=sample_runs.shift().results)
    assert "together: `tenure` moved; predictions show no shift." in plain(headline(run, {}))


def test_a_shift_of_the_predictions_alone_is_said_as_that() -> None:
    quiet, moved, *others = sample_runs.shift().decisions
    quiet = replace(sample_runs.no_shift().decisions[0], scope=quiet.scope)
    run = replace(sample_runs.shift(), decisions=(quiet, moved, *others))
    assert plain(headline(run, {})).endswith(
        "the predictions of churn differ from the reference: `score` moved; inputs show no shift."
    )


@pytest.mark.parametrize("name", ["no_shift", "latched", "insufficient", "invalid", "error"])
def test_what_is_no_shift_opens_as_on_every_other_face(name: str) -> None:
    run = sample_runs.every()[name]
    assert plain(headline(run, {})) == verdict_sentence(run)


def test_nothing_is_said_where_nothing_moved() -> None:
    for name in ("no_shift", "insufficient", "invalid", "error", "latched"):
        assert said(sample_runs.every()[name]) == ""


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (-0.03, -0.01, "Estimated accuracy falls by 1 to 3 points."),
        (0.01, 0.02, "Estimated accuracy rises by 1 to 2 points."),
        (-0.01, 0.02, "Estimated accuracy stays as it was, give or take: -1 to +2 points."),
    ],
)
def test_an_estimated_performance_is_part_of_the_answer(low: float, high: float, told: str) -> None:
    found = {
        "metric": "accuracy",
        "reference": 0.9,
        "estimate": 0.88,
        "assumes": "no concept drift",
    }
    run = sample_runs.shift()
    run = replace(
        run, explanation={"performance": found | {"change_low": low, "change_high": high}}
    )
    assert said(run).endswith(told)
    page = render_html(run)
    assert told in page
    assert "It assumes no concept drift." in page
    assert told in table(run)


def test_why_there_is_no_estimate_is_on_the_page() -> None:
    run = replace(
        sample_runs.no_shift(), explanation={"performance": {"not_estimated": "no probabilities"}}
    )
    assert "Not estimated: <bdi>no probabilities</bdi>." in render_html(run)


@pytest.mark.parametrize("odd", [None, 3, "x", {}, {"estimate": "high"}, {"not_estimated": 4}])
def test_a_performance_of_another_shape_is_left_out(odd: Any) -> None:
    run = replace(sample_runs.shift(), explanation={"performance": odd})
    assert "performance" not in render_html(run).partition("Where this comes from")[0].lower()


# --- order and tolerance -----------------------------------------------------------------------


def test_columns_come_by_their_part_in_what_differs() -> None:
    rows = ranked(sample_runs.shift(), "input")
    shares = [row.share for row in rows if row.named]
    assert shares == sorted(shares, reverse=True)
    assert [row.name for row in rows[:3]] == ["price", "tenure", "plan"]


def test_the_tick_of_an_interval_is_the_tolerance_of_the_check() -> None:
    told = {"settings": {"tolerance": {"default": 0.1, "tests": {"chi2": 0.3}, "columns": {}}}}
    run = replace(sample_runs.shift(), provenance=told)
    assert policy_of(run).smallest("ks", "price") == 0.1
    assert "what matters begins at 0.300" in render_html(run)


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"settings": 1},
        {"settings": {"tolerance": [1]}},
        {"settings": {"tolerance": {"default": 7}}},
    ],
)
def test_without_a_known_tolerance_the_defaults_are_drawn(odd: dict[str, Any]) -> None:
    assert policy_of(replace(sample_runs.shift(), provenance=odd)).smallest("ks", "price") == 0.02


@pytest.mark.parametrize("effect", [0.0, 0.3, 5.0, math.inf, math.nan])
def test_an_interval_stays_in_its_frame(effect: float) -> None:
    drawn = interval_bar((0.0, effect, math.inf), 0.4, 0.02)
    places = [float(x) for x in re.findall(r'(?:M|H|cx=")(-?[\d.]+)', drawn)]
    assert all(0 <= place <= INTERVAL_WIDTH for place in places)


# --- the timeline ------------------------------------------------------------------------------


def test_the_timeline_shades_the_alarm_and_marks_where_it_rose_and_the_change_began() -> None:
    run = sample_runs.shift()
    decision = replace(run.decisions[0], change_from="b7", since="b8")
    run = replace(run, decisions=(decision, *run.decisions[1:]))
    line = timeline(run, past(20, alarms=range(8, 12)))
    assert (line.begins, line.rose) == (7, 8)
    drawn = picture(line)
    assert '<rect class="al" x="40.00%" width="20.00%"' in drawn
    assert "an alarm was on after 4 of them" in drawn
    told = [plain(phrase) for phrase in line.events]
    assert told == [
        "The change is estimated to have begun with batch `b7`.",
        "The alarm rose with batch `b8`.",
    ]


def test_what_could_not_be_judged_has_no_point_and_is_not_hidden() -> None:
    entries = past(4)
    entries[2] |= {"state": "invalid_data", "evidence": {}}
    drawn = picture(timeline(sample_runs.no_shift(), entries))
    assert drawn.count('class="di') == 3
    assert drawn.count('class="u bad"') == 1
    assert "no point" in render_html(sample_runs.no_shift(), timeline=entries)


@pytest.mark.parametrize("ratio", [0.0, 1.0, 3.0, 1e9, math.inf])
def test_evidence_of_any_strength_stays_in_the_frame_and_one_is_in_the_middle(ratio: float) -> None:
    entries = [past(1)[0] | {"evidence": {"input": ratio}}]
    drawn = picture(timeline(sample_runs.no_shift(), entries))
    (y,) = re.findall(r'class="di[^"]*" cx="[\d.]+%" cy="([\d.]+)%"', drawn)
    assert 0 < float(y) < 100
    if ratio == 1.0:
        assert float(y) == 50.0


def test_words_of_operators_cover_their_batches_and_are_listed() -> None:
    words: list[Annotation | Acceptance] = [
        word(2, 5),
        word(6, None, kind="silence", text="", scopes=("input",)),
        word(8, 20, ended_at=FIRST + 9 * HOUR, kind="note", text="ended early"),
        Acceptance("churn", "accepted", "b1", "b2", 900, "p", "s", "c", "prices", FIRST + 4 * HOUR),
    ]
    line = timeline(sample_runs.shift(), past(10), words)
    covered = {
        stretch.text.partition(",")[0]: (stretch.first, stretch.last) for stretch in line.words
    }
    assert covered == {
        "known change": (2, 5),
        "silence of input": (6, 10),
        "note": (8, 9),
        "accepted as the new normal": (4, 5),
    }
    page = render_html(sample_runs.shift(), timeline=past(10), words=words)
    assert "Known change, 2025-11-01 14:26 to 2025-11-01 17:26 by ada: campaign" in page


def test_an_acceptance_is_not_lost_behind_many_older_words() -> None:
    """Only the newest are listed, of both kinds together."""
    kept = Acceptance(
        "churn", "accepted", "b1", "b2", 900, "p", "s", "c", "", FIRST + 9 * HOUR, "eve"
    )
    line = timeline(sample_runs.shift(), past(10), [*(word(2, 5) for _ in range(30)), kept])
    assert len(line.words) < 30
    assert line.words[0].text == "accepted as the new normal, 2025-11-01 21:26 by eve"


def test_a_timeline_is_also_a_table() -> None:
    page = render_html(sample_runs.shift(), timeline=past(5, alarms=range(3, 5)), linked=True)
    for entry in past(5):
        assert f'<a href="?batch={entry["batch_id"]}&amp;format=html">' in page


# --- comparisons -------------------------------------------------------------------------------

SIDES = {"reference": "batches of last week", "current": "batches of this <week>"}


def compared(run: Run) -> Run:
    return replace(run, explanation={**run.explanation, "comparison": SIDES})


def test_a_comparison_names_its_sides_and_has_no_alarm() -> None:
    page = render_html(compared(sample_runs.shift()), timeline=past(5))
    assert "batches of last week" in page
    assert "batches of this &lt;week&gt;" in page
    assert "Alarm on" not in page
    assert "Alarm raised" not in page
    assert "Evidence over the last" not in page
    assert "<title>churn: shift in a comparison</title>" in page


@pytest.mark.parametrize("name", sorted(sample_runs.every()))
def test_advice_on_a_comparison_asks_nobody_to_accept_or_wait(name: str) -> None:
    told = " ".join(plain(step) for step in advice(compared(sample_runs.every()[name])))
    assert told
    assert "accept" not in told
    assert "clears by itself" not in told


def test_a_comparison_in_markdown_says_what_was_held_against_what() -> None:
    assert "`batches of this <week>` held against `batches of last week`" in markdown(
        compared(sample_runs.shift())
    )


# --- example rows ------------------------------------------------------------------------------


def test_rows_are_shown_only_where_the_run_has_them_and_are_literal() -> None:
    told = {"columns": ["a<b"], "rows": [["<script>alert(1)</script>"]], "why": "least like it"}
    run = sample_runs.shift()
    page = render_html(replace(run, explanation={"rows": {"input": told}}))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "holds example rows" in page
    assert "no row of the data is in this page" in render_html(run)


@pytest.mark.parametrize("odd", [None, [], {"input": 1}, {"input": {"columns": 1, "rows": []}}])
def test_rows_of_another_shape_are_left_out(odd: Any) -> None:
    page = render_html(replace(sample_runs.shift(), explanation={"rows": odd}))
    assert "Example rows" not in page
