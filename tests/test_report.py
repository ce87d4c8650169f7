"""The report: what it says, and what no name can make it do."""

from __future__ import annotations

import gzip
import math
import re
import subprocess
import sys
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from shiftwatch.report import markdown, render_html, run_line, table, verdict_sentence
from shiftwatch.report.advice import advice
from shiftwatch.report.alarm import alarm_phrase
from shiftwatch.report.figures import distribution
from shiftwatch.report.gauges import evidence_bar
from shiftwatch.report.headline import headline
from shiftwatch.report.phrase import effect_text, interval_text, p_text, plain, visible
from shiftwatch.report.ranking import ranked
from shiftwatch.report.timeline import timeline
from shiftwatch.values import (
    SKIP_REASONS,
    ColumnProfile,
    Decision,
    Evidence,
    Finding,
    Run,
    Skipped,
    TwoSampleResult,
)
from tests import sample_runs

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "image": "<img src=x onerror=alert(1)>",
    "quotes": '"\' onmouseover="alert(1)" x=\'',
    "closing": "</title></svg></style></code><h1>owned</h1>",
    "template": "{{ 7*7 }}{% raw %}",
    "entity": "&lt;b&gt; &amp;",
    "direction": "abc\u202efdp.exe\u2066",
    "lines": "one\ntwo\r\n\tthree",
    "terminal": "\x1b[31mred\x1b[0m\x07",
    "zero": "a\x00b",
    "surrogate": "a\ud800b",
    "markdown": "`a` | **b** | [c](d)",
    "long": "x" * 5000 + "y" * 5000,
    "arabic": "عمر العميل",
    "empty": "",
}

TAGS = frozenset(
    re.findall(
        r"\w+",
        """html head meta title style body main header footer section div span h1 h2 h3 p dl dt dd
        ul ol li b code bdi abbr table caption thead tbody tr th td details summary svg path rect
        circle line g text figure a nav figcaption""",
    )
)
ATTRIBUTES = frozenset(
    re.findall(
        r"\S+",
        """http-equiv lang charset name content class title role scope rowspan colspan data-l aria-label
        aria-labelledby id href tabindex viewbox width height d x y cx cy dy x1 x2 y1 y2 r rx fill stroke-width preserveaspectratio""",
    )
)
EMPTY = {"meta"}


class Page(HTMLParser):
    """Tags, attributes, text and the cells of the tables of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.rows: list[list[str]] = []
        self.titled: list[str] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self._svg_titles = 0
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "title" and "svg" in self.open:
            self.titled.append("".join(f"{name}={value} " for name, value in attrs))
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.text.append(data)
        if ("td" in self.open or "th" in self.open) and "svg" not in self.open:
            self.rows[-1][-1] += data

    def whole(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.text))


def cells(page: Page) -> list[tuple[str, ...]]:
    return [tuple(re.sub(r"\s+", " ", cell).strip() for cell in row) for row in page.rows]


def hostile_run(name: str) -> Run:
    """A run in which everything that comes from outside is ``name``."""
    run = sample_runs.shift()
    gone = {"price", "plan"}
    return replace(
        run,
        model=name,
        batch=replace(
            run.batch, id=name, fault=name, pieces=(replace(run.batch.pieces[0], uri=name),)
        ),
        reasons=(name,),
        decisions=tuple(replace(d, columns=(name,), since=name) for d in run.decisions),
        results=tuple(
            replace(r, target=name, explanation={"columns": [{"column": name, "share": 0.5}]})
            if r.target in gone
            else replace(r, explanation={name: name, "columns": [{"column": name, "share": 0.1}]})
            for r in run.results
        ),
        skipped=(Skipped(name, name, "input", name, name),),
        findings=(Finding(name, name, name, "invalid"),),
        columns=tuple(
            replace(c, name=name, type=name, new_categories=(name,), categories=(name,) * 5)
            if c.name in gone and c.categories
            else replace(c, name=name, type=name)
            if c.name in gone
            else c
            for c in run.columns
        ),
        explanation={"vanished": {name: [name]}},
        provenance={name: name, "libraries": {name: name}, "shiftwatch": name},
        cost=replace(run.cost, stages={name: 1.0}, energy_joules=1.0, energy_source=name),
    )


# --- sentences ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "shift",
            (
                "Shift in the inputs of churn: `price`, `tenure` and `plan` moved; "
                "predictions moved too."
            ),
        ),
        (
            "no_shift",
            (
                "No shift found in 500 rows; the smallest corrected p-value is 0.31, "
                "an alarm needs 0.001."
            ),
        ),
        ("latched", "No new shift in 500 rows; the alarm of the inputs is still on."),
        ("insufficient", "Not enough rows to judge: 12 of at least 30."),
        (
            "invalid",
            "This batch cannot be judged as it should: column `age` is missing, and 2 more faults.",
        ),
        ("error", "The check failed, so nothing is known about this batch."),
    ],
)
def test_every_verdict_is_a_sentence_a_person_would_say(name: str, sentence: str) -> None:
    run = sample_runs.every()[name]

    assert verdict_sentence(run) == sentence
    heading = plain(headline(run, {})).replace("`", "")
    assert heading in Page(render_html(run)).whole()


def _reached(decision: Decision, p_value: float | None) -> bool:
    return p_value is not None and p_value <= decision.level


def decided(run: Run, **columns: tuple[float | None, tuple[str, ...]]) -> Run:
    """The run with other decisions on its scopes."""
    return replace(
        run,
        decisions=tuple(
            replace(
                d,
                p_value=columns[d.scope][0],
                columns=columns[d.scope][1],
                alarm=_reached(d, columns[d.scope][0]),
                raised=_reached(d, columns[d.scope][0]),
                crossed=("check",) if _reached(d, columns[d.scope][0]) else (),
            )
            for d in run.decisions
            if d.scope in columns
        ),
    )


def test_quiet_predictions_are_said_beside_moved_inputs() -> None:
    run = decided(sample_runs.shift(), input=(1e-9, ("price",)), prediction=(0.4, ()))

    assert verdict_sentence(run) == (
        "Shift in the inputs of churn: `price` moved; predictions show no shift."
    )


def test_untested_predictions_are_not_called_quiet() -> None:
    run = decided(sample_runs.shift(), input=(1e-9, ("price",)), prediction=(None, ()))

    assert verdict_sentence(run) == (
        "Shift in the inputs of churn: `price` moved; predictions could not be tested."
    )


def test_a_model_without_predictions_says_nothing_of_them() -> None:
    run = decided(sample_runs.shift(), input=(1e-9, ("price",)), prediction=(None, ()))
    run = replace(run, skipped=tuple(s for s in run.skipped if s.scope == "input"))

    assert verdict_sentence(run) == "Shift in the inputs of churn: `price` moved."


def test_predictions_alone_may_move() -> None:
    run = decided(sample_runs.shift(), input=(0.2, ()), prediction=(1e-9, ("score",)))

    assert verdict_sentence(run) == (
        "Shift in the predictions of churn: `score` moved; inputs show no shift."
    )


def test_a_joint_shift_names_no_column() -> None:
    run = decided(sample_runs.shift(), input=(1e-9, ()))

    assert verdict_sentence(run).startswith(
        "Shift in the inputs of churn: the columns moved together, none stands out alone"
    )


def test_more_than_five_movers_are_counted() -> None:
    run = decided(sample_runs.shift(), input=(1e-9, tuple("abcdefgh")), prediction=(None, ()))

    assert "`a`, `b`, `c`, `d`, `e` and 3 more moved" in verdict_sentence(run)


def test_a_shift_below_the_tolerance_is_not_called_absent() -> None:
    run = decided(sample_runs.shift(), input=(1.0, ()), prediction=(1.0, ()))
    run = replace(run, verdict="no_shift")

    assert verdict_sentence(run) == (
        "No shift that matters in 500 rows: what differs is within the tolerance."
    )
    assert "tolerance" in plain(advice(run)[-1])


def test_enough_rows_and_no_test_is_not_called_too_few() -> None:
    run = replace(sample_runs.insufficient(), batch=sample_runs.batch(900), reasons=())

    assert verdict_sentence(run) == "Not enough to judge: no test could run on 900 rows."


def test_too_few_rows_need_no_reason_to_be_said() -> None:
    run = replace(sample_runs.insufficient(), batch=sample_runs.batch(9), reasons=())

    assert verdict_sentence(run) == "Not enough rows to judge: 9 of at least 10."


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("missing_column", "column `c` is missing"),
        ("changed_type", "column `c` changed its type"),
        ("unreadable", "the file cannot be read"),
        ("incomplete", "the file was never finished"),
        ("model_failed", "the model refused it"),
        ("something_new", "as the message says"),
    ],
)
def test_each_fault_has_its_words(code: str, words: str) -> None:
    finding = Finding(code, "c", "as the message says.", "invalid")
    run = replace(sample_runs.invalid(), findings=(finding,))

    assert verdict_sentence(run) == f"This batch cannot be judged as it should: {words}."


def test_a_failed_test_beside_others_is_an_incomplete_check() -> None:
    failed = Skipped("mmd", "*", "input", "test_failed", "ValueError: x")
    run = replace(sample_runs.no_shift(), verdict="error", skipped=(failed,))

    assert verdict_sentence(run) == (
        "The check is incomplete: 1 test stopped with an error; what did run shows no shift."
    )


def test_the_alarm_says_since_when() -> None:
    on = Decision("input", True, False, False, Evidence(0.1), 0.3, 0.001, (), "abc")

    assert plain(alarm_phrase(on, "now")) == "Alarm on since batch `abc`"
    assert plain(alarm_phrase(replace(on, raised=True), "now")) == "Alarm raised by this batch"
    assert plain(alarm_phrase(replace(on, since="now"), "now")) == "Alarm raised by this batch"
    off = replace(on, alarm=False, cleared=True, since=None)
    assert plain(alarm_phrase(off, "now")) == "Alarm cleared by this batch"
    assert plain(alarm_phrase(replace(off, cleared=False), "now")) == "No alarm"


def test_nulls_that_moved_send_the_reader_to_the_pipeline() -> None:
    run = sample_runs.shift()
    results = tuple(replace(r, p_value=1e-20) if r.test == "nulls" else r for r in run.results)
    run = decided(replace(run, results=results), input=(1e-18, ("income", "price")))

    assert plain(advice(run)[0]).startswith("Check the pipeline that fills `income`: nulls")


@pytest.mark.parametrize("name", sample_runs.every())
def test_every_verdict_comes_with_advice(name: str) -> None:
    run = sample_runs.every()[name]
    whole = Page(render_html(run)).whole()

    assert advice(run)
    for step in advice(run):
        assert plain(step).replace("`", "") in whole


def test_a_latched_alarm_is_not_hidden_by_a_quiet_batch() -> None:
    whole = Page(render_html(sample_runs.latched())).whole()

    assert "Alarm on since batch 7f3a9c0512be48d1" in whole
    assert "An alarm is still on and clears by itself after 3 quiet checks." in whole
    assert "Nothing to do" not in whole


# --- the page ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sample_runs.every())
def test_a_page_needs_nothing_from_outside(name: str) -> None:
    html = render_html(sample_runs.every()[name], timeline=beats(5))
    page = Page(html)

    assert not page.open
    assert set(page.tags) <= TAGS
    assert {attribute for attribute, _ in page.attributes} <= ATTRIBUTES
    own = {f"#{value}" for attribute, value in page.attributes if attribute == "id"}
    assert {value for attribute, value in page.attributes if attribute == "href"} <= own
    text = re.sub(r"'sha256-[^']*'", "", html)  # a digest may hold anything
    for needle in ("http:", "https:", "//", "url(", "@import", "<script", "javascript:", "src="):
        assert needle not in text, needle


def test_a_page_forbids_everything_but_its_own_style_wherever_it_is_opened() -> None:
    html = render_html(sample_runs.shift())
    (style,) = re.findall(r"<style>(.*?)</style>", html, flags=re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    (policy,) = [v for n, v in Page(html).attributes if n == "content" and "default-src" in v]
    assert policy.startswith("default-src 'none'; ")
    assert f"style-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy


def test_the_page_is_readable_by_machines_and_small_screens() -> None:
    html = render_html(sample_runs.shift())

    assert html.startswith('<!doctype html>\n<html lang="en">')
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in html
    assert "prefers-color-scheme:dark" in html
    assert "@media print" in html
    assert "<title>churn: shift in batch 7f3a9c0512be48d1</title>" in html


def palettes(html: str) -> list[dict[str, str]]:
    """The light, dark and printed colours, by name."""
    found = []
    for block in re.findall(r":root\{(.*?)\}", html, re.DOTALL):
        colours = dict(re.findall(r"--(\w+):(#\w+)", block))
        found.append({name: long_form(code) for name, code in colours.items()})
    return found


def long_form(colour: str) -> str:
    return colour if len(colour) == 7 else "#" + "".join(2 * digit for digit in colour[1:])


def contrast(one: str, other: str) -> float:
    """Ratio of relative luminances; WCAG 2.2, section 1.4.3."""
    bright = sorted(luminance(colour) for colour in (one, other))
    return (bright[1] + 0.05) / (bright[0] + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_and_figures_have_enough_contrast_in_light_dark_and_print() -> None:
    found = palettes(render_html(sample_runs.shift()))

    assert len(found) == 3
    for colours in found:
        for text in ("fg", "mut", "shift", "curs"):
            assert contrast(colours[text], colours["bg"]) >= 4.5, text
        for badge in ("shift", "ok", "few", "bad", "err"):
            assert contrast(colours[badge], colours[f"{badge}b"]) >= 4.5, badge
        for line in ("ref", "cur"):
            assert contrast(colours[line], colours["bg"]) >= 3, line


def test_headings_go_down_one_step_at_a_time() -> None:
    for run in sample_runs.every().values():
        levels = [int(tag[1]) for tag in Page(render_html(run)).tags if tag in {"h1", "h2", "h3"}]
        assert levels[0] == 1
        assert levels.count(1) == 1


def test_every_figure_has_a_role_and_a_title() -> None:
    html = render_html(sample_runs.shift(), timeline=beats(5))
    figures = re.findall(r"<svg[^>]*>(?:<title>([^<]*)</title>)?", html)
    openings = re.findall(r"<svg[^>]*>", html)

    assert len(figures) > 15
    assert all(figures)
    assert all('role="img"' in opening for opening in openings)
    assert all("xmlns" not in opening for opening in openings)


def _without_remarks(row: tuple[str, ...]) -> tuple[str, ...]:
    """A row without what the page remarks on a number."""
    return tuple(re.sub(r" (within tolerance|effective .*)$", "", cell) for cell in row)


@pytest.mark.parametrize("name", sample_runs.every())
def test_every_number_in_the_table_is_the_runs(name: str) -> None:
    run = sample_runs.every()[name]
    found = cells(Page(render_html(run)))

    for result in run.results:
        if result.target == "*":
            continue
        effect = effect_text(result.effect)
        interval = interval_text(result.effect_low, result.effect_high)
        expected = (
            result.test,
            f"{effect} {interval}".strip(),
            p_text(result.p_value),
            f"{result.rows_reference:,} v {result.rows_current:,}",
        )
        assert expected in [_without_remarks(row[-5:-3] + row[-2:]) for row in found]
    assert sum(len(row) >= 5 and " v " in row[-1] for row in found) == sum(
        r.target != "*" for r in run.results
    )


def test_shown_numbers_are_close_to_the_stored_ones() -> None:
    for result in sample_runs.shift().results:
        assert float(p_text(result.p_value)) == pytest.approx(result.p_value, rel=0.005)
        assert float(effect_text(result.effect)) == pytest.approx(result.effect, abs=0.000501)


def test_joint_tests_show_their_explanation() -> None:
    whole = Page(render_html(sample_runs.shift())).whole()

    assert "Maximum mean discrepancy, inputs" in whole
    assert "p-value 8.13e-12, effect 0.041" in whole
    assert "p-value 2.27e-10, effect 0.472 (0.402 to 0.543)" in whole
    assert "62.1 %" in whole
    assert "auc: 0.7361" in whole


def test_columns_are_ranked_by_evidence_and_broken_ones_come_first() -> None:
    assert [row.name for row in ranked(sample_runs.shift(), "input")][:4] == [
        "price",
        "tenure",
        "plan",
        "income",
    ]
    assert {row.name for row in ranked(sample_runs.invalid(), "input")[:2]} == {"age", "plan"}


def test_equal_p_values_are_ranked_by_effect() -> None:
    run = sample_runs.no_shift()
    weak = TwoSampleResult("ks", "weak", "input", 0.1, 0.5, 0.1, None, None, 100, 100)
    run = replace(
        run, columns=(), skipped=(), results=(weak, replace(weak, target="b", effect=-0.9))
    )

    assert [row.name for row in ranked(run, "input")] == ["b", "weak"]


def test_only_columns_named_by_holm_are_marked() -> None:
    html = render_html(sample_runs.shift())

    assert html.count('<span class="mark">moved</span>') == 4
    assert render_html(sample_runs.no_shift()).count('<span class="mark">') == 0


def test_what_was_not_tested_is_said_with_its_reason() -> None:
    run = sample_runs.shift()
    whole = Page(render_html(run)).whole()

    for skip in run.skipped:
        assert SKIP_REASONS[skip.reason] in whole


def test_provenance_and_cost_are_on_the_page() -> None:
    whole = Page(render_html(sample_runs.shift())).whole()

    for text in ("3c" * 32, "numpy", "2.3.4", "seed", "0.19 s", "212 MB", "not measured"):
        assert text in whole


@pytest.mark.parametrize("p_value", [5e-324, 1e-310, 1e-300, 1e-20, 0.0005, 0.99999, 1.0])
def test_no_p_value_is_shown_as_nothing(p_value: float) -> None:
    run = sample_runs.shift()
    run = replace(run, results=tuple(replace(r, p_value=p_value) for r in run.results))
    shown = p_text(p_value)

    assert shown == "< 1e-300" or 0 < float(shown) <= 1
    for row in cells(Page(render_html(run))):
        assert row[-2:-1] not in {("0",), ("0.0",), ("nan",)}
    assert shown in table(run)
    assert visible(shown) in markdown(run).replace("\\", "")


# --- hostile names -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_name_can_become_markup(kind: str) -> None:
    name = HOSTILE[kind]
    html = render_html(hostile_run(name), timeline=[{"batch_id": name, "state": name}])
    page = Page(html)

    assert not page.open
    assert set(page.tags) <= TAGS
    assert {attribute for attribute, _ in page.attributes} <= ATTRIBUTES
    own = {f"#{value}" for attribute, value in page.attributes if attribute == "id"}
    assert {value for attribute, value in page.attributes if attribute == "href"} <= own
    assert "<script" not in html
    assert "<img" not in html
    assert page.tags.count("h1") == 1
    assert len(html.encode("utf-8")) < 150_000


@pytest.mark.parametrize("kind", sorted(set(HOSTILE) - {"long", "empty", "lines"}))
def test_a_hostile_name_is_shown_as_it_is_written(kind: str) -> None:
    shown = visible(HOSTILE[kind])
    page = Page(render_html(hostile_run(HOSTILE[kind])))

    assert shown in page.whole()
    assert shown.isprintable()


def test_invisible_characters_are_shown_as_escapes() -> None:
    whole = Page(render_html(hostile_run("a\u202eb\nc\x00"))).whole()

    assert r"a\u202eb\nc\x00" in whole


def test_a_long_name_is_cut_and_still_told_by_its_ends() -> None:
    html = render_html(hostile_run(HOSTILE["long"]))

    assert "x" * 39 + "…" + "y" * 20 in html
    assert "x" * 500 not in html


def test_names_are_isolated_from_the_direction_of_their_surroundings() -> None:
    html = render_html(hostile_run(HOSTILE["arabic"]))

    assert f"<bdi>{HOSTILE['arabic']}</bdi>" in html


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_name_reaches_the_terminal_unmasked(kind: str) -> None:
    run = hostile_run(HOSTILE[kind])

    assert run_line(run, 1).isprintable()
    for text in (table(run), markdown(run)):
        assert text.replace("\n", "").isprintable()
        assert len(text) < 20_000


def test_no_name_breaks_a_markdown_table() -> None:
    run = hostile_run(HOSTILE["markdown"])
    rows = [line for line in markdown(run).splitlines() if line.startswith("|")]
    columns = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}

    assert columns == {8}


# --- odd profiles ------------------------------------------------------------------------------


def profile(kind: str, **fields: object) -> ColumnProfile:
    blank = ColumnProfile("c", "numeric", "input", "double", 100, 50, 0, 0)
    return replace(blank, **({"kind": kind} | fields))  # type: ignore[arg-type]


INFINITE = (-math.inf, -math.inf, 0.0, math.inf, math.inf, math.inf, math.inf)
ODD_PROFILES = {
    "nothing": profile("numeric"),
    "infinite": profile(
        "numeric",
        edges=(0.0,),
        counts_reference=(50, 50),
        counts_current=(0, 50),
        quantiles_reference=INFINITE,
        quantiles_current=(math.inf,) * 7,
    ),
    "infinite_edges": profile(
        "numeric",
        edges=(-math.inf, 0.0, math.inf),
        counts_reference=(1, 2, 3, 4),
        counts_current=(1, 2, 3, 4),
        quantiles_reference=(-5.0,) * 7,
        quantiles_current=(5.0,) * 7,
    ),
    "huge": profile(
        "numeric",
        edges=(-1.7e308, 1.7e308),
        counts_reference=(0, 9, 0),
        counts_current=(0, 9, 0),
        quantiles_reference=(0.0,) * 7,
        quantiles_current=(1e300,) * 7,
    ),
    "not_a_number": profile(
        "numeric",
        edges=(0.0, 1.0),
        counts_reference=(0, 1, 0),
        quantiles_reference=(math.nan,) * 7,
    ),
    "empty_bins": profile("numeric", edges=(0.0,), counts_reference=(0, 0), counts_current=(0, 0)),
    "no_edges": profile("numeric", counts_reference=(3,), counts_current=(3,)),
    "all_null": profile("numeric", nulls_reference=100, nulls_current=50),
    "no_rows": profile("categorical", rows_reference=0, rows_current=0, nulls_current=3),
    "no_categories": profile("categorical"),
    "one_side": profile("categorical", categories=("a", "b"), counts_reference=(60, 40)),
    "no_counts": profile("categorical", categories=("a",)),
    "unsupported": profile("unsupported"),
    "timestamp": profile("timestamp", nulls_current=5),
}


@pytest.mark.parametrize("name", ODD_PROFILES)
def test_an_odd_profile_does_not_break_the_page(name: str) -> None:
    column = ODD_PROFILES[name]
    run = replace(sample_runs.shift(), columns=(column,))
    figure = re.sub(r"<title>.*?</title>", "", distribution(column))

    Page(render_html(run))
    assert "nan" not in figure
    assert "inf" not in figure
    for place in re.findall(r"[ MHVh](-?[\d.]+(?:e[+-]?\d+)?)", figure):
        assert -240 <= float(place) <= 400


def test_a_figure_says_in_words_what_it_shows() -> None:
    price, plan = (
        next(c for c in sample_runs.shift().columns if c.name == name) for name in ("price", "plan")
    )

    told = (
        "price: median 49 (half of all between 40.91 and 57.09) in the reference, 58 (half of all "
    )
    assert f"<title>{told}between 49.24 and 66.76) now</title>" in distribution(price)
    assert "<title>plan: basic 52.6 % in the reference, 38 % now</title>" in distribution(plan)


def test_a_new_category_is_marked_and_the_rest_is_one_bar() -> None:
    plan, region = (
        next(c for c in sample_runs.shift().columns if c.name == name)
        for name in ("plan", "region")
    )

    assert ">+ studen…2026</text>" in distribution(plan)
    assert distribution(region).count('class="cb"') == 7
    assert ">other</text>" in distribution(region)


def test_a_large_new_category_is_shown_among_many_known_ones() -> None:
    categories = tuple(f"c{index}" for index in range(12))
    column = profile(
        "categorical",
        categories=(*categories, "new"),
        new_categories=("new",),
        counts_reference=(*range(24, 0, -2), 0),
        counts_current=(*[2] * 12, 26),
    )

    assert ">+ new</text>" in distribution(column)


@pytest.mark.parametrize("ratio", [0.0, 0.3, 1.0, 250.0, math.inf])
def test_the_evidence_bar_stays_in_its_frame(ratio: float) -> None:
    wide = float(
        re.findall(r'class="(?:over|under)" y="3" width="([\d.]+)"', evidence_bar(ratio))[0]
    )

    assert 0 <= wide <= 200
    assert ("over" in evidence_bar(ratio)) == (ratio >= 1)


# --- size and weight ---------------------------------------------------------------------------


def beats(count: int) -> list[dict[str, object]]:
    return [
        {"batch_id": f"b{i}", "state": "no_shift", "alarm": i > 2, "judged_at": 1.7e9 + i}
        for i in range(count)
    ]


def test_fifty_columns_fit_into_300_kilobytes_and_60_compressed() -> None:
    page = render_html(sample_runs.wide(50), timeline=beats(200)).encode()
    assert len(page) < 300_000
    assert len(gzip.compress(page, 6)) < 60_000


def test_a_thousand_columns_are_all_there_and_folded_beyond_sixty() -> None:
    html = render_html(sample_runs.wide(1000))

    assert len(html.encode()) < 1_500_000
    assert html.count("<tbody>") >= 1000
    assert "940 more columns with weaker evidence" in html
    assert html.count('<svg class="d"') == 60
    assert "feature_0999" in html


def test_the_timeline_shows_the_newest_checks_in_their_order() -> None:
    run = sample_runs.shift()
    entries = [
        *reversed(beats(200)),
        {"batch_id": run.batch.id, "state": "shift", "judged_at": 2e9},
    ]
    line = timeline(run, entries)
    shown = [*(f"b{i}" for i in range(81, 200)), run.batch.id]
    assert [point.batch for point in line.points] == shown
    assert [point.current for point in line.points].index(True) == len(shown) - 1
    rows = [row for row in cells(Page(render_html(run, timeline=entries))) if len(row) == 5]
    told = [row[1] for row in rows if row[1].startswith("b") or row[1].startswith(run.batch.id)]
    assert told == [f"{run.batch.id}, this one", *shown[-2::-1]]


def test_importing_the_report_is_light() -> None:
    heavy = ["numpy", "scipy", "pyarrow", "onnxruntime", "pandas", "jinja2"]
    code = f"import sys, shiftwatch.report; print([m for m in {heavy} if m in sys.modules])"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )

    assert answer.stdout.strip() == "[]"


# --- terminal and Markdown ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("shift", "SHIFT    input: price, tenure, plan; prediction: score"),
        ("no_shift", "no shift p 0.31  (level 0.001)"),
        ("latched", "no shift p 0.31  (level 0.001)  alarm still on"),
        ("insufficient", "too few  12 rows of at least 30"),
        ("invalid", "INVALID  column `age` is missing, and 2 more faults"),
        ("error", "ERROR    the worker needed more than 1024 MB (raise `li…"),
    ],
)
def test_a_batch_is_one_line(name: str, line: str) -> None:
    run = sample_runs.every()[name]
    text = run_line(run, 7)
    rows = f"{run.batch.rows:>6}"

    assert text.startswith(f"  7  2026-11-03 14:00  {rows} rows  {line}")
    assert text.endswith("  0.21 s")
    assert len(text) == 100


@pytest.mark.parametrize("width", [0, 40, 60, 80, 200])
def test_a_line_keeps_verdict_and_seconds_at_any_width(width: int) -> None:
    text = run_line(sample_runs.shift(), 7, width)

    assert "SHIFT" in text
    assert text.endswith("0.21 s")
    assert len(text) == max(width, len(run_line(sample_runs.shift(), 7, 0)))


def test_colour_adds_only_escapes() -> None:
    for run in sample_runs.every().values():
        coloured = run_line(run, 7, colour=True)
        assert "\x1b[" in coloured
        assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == run_line(run, 7)


def test_the_table_has_every_result_and_aligned_columns() -> None:
    run = sample_runs.shift()
    lines = table(run).splitlines()
    rows = [line for line in lines if " v " in line]

    assert lines[0] == verdict_sentence(run)
    assert len(rows) == len(run.results)
    assert len({line.index(" v ") - len(line.split(" v ")[0].split()[-1]) for line in rows}) == 1
    assert sum(line.endswith("moved") for line in rows) == 4


def test_a_long_table_says_what_it_leaves_out() -> None:
    text = table(sample_runs.wide(100))

    assert "and 60 more input columns with weaker evidence" in text
    assert text.count(" v ") == 80


def test_markdown_has_sentence_alarms_advice_and_results() -> None:
    text = markdown(sample_runs.shift())

    assert text.startswith("## Shift in the inputs of churn: `price`, `tenure` and `plan` moved")
    assert "| inputs | Alarm raised by this batch | check | 3.63e-36 | 11.81 |  |  |" in text
    assert "| `price` | ks | 4.32e-38 | 0.297 | 0.235 to 0.359 | 12,000 v 500 | moved |" in text


@pytest.mark.parametrize("name", sample_runs.every())
def test_every_verdict_has_a_table_and_markdown(name: str) -> None:
    run = sample_runs.every()[name]

    assert verdict_sentence(run) in table(run)
    assert markdown(run).startswith("## ")


def test_the_page_tells_digests_and_an_acceptance_and_leaves_the_settings_to_programs() -> None:
    run = sample_runs.shift()
    word = {"note": "a new price list", "kind": "accepted"}
    told = {"settings": {"name": "hidden-setting"}, "alarms": {}, "limits": {}, "acceptance": word}
    page = render_html(replace(run, provenance={**told, "reference_sha256": "5e" * 32}))
    assert "hidden-setting" not in page
    assert "a new price list" in page
    assert "5e" * 32 in page
