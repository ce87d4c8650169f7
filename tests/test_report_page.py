"""The page as readers meet it: in a browser, at any width, by keyboard, on paper; and its small parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from shiftwatch.report import render_html
from shiftwatch.report.categories import came_and_went
from shiftwatch.report.chart import LANES, picture, words_picture
from shiftwatch.report.derived import origins
from shiftwatch.report.phrase import plain
from shiftwatch.report.timeline import timeline
from shiftwatch.values import Acceptance, Annotation, ColumnProfile, Run, Skipped
from tests import sample_runs
from tests.browsing import (
    SCHEMES,
    WIDTHS,
    Browser,
    browser,
    is_wider_than_its_window,
    pictures,
    violations,
)

HOUR = 3600.0
FIRST = 1_762_000_000.0


def past(count: int, **changes: Any) -> list[dict[str, Any]]:
    """An hour apart; some of them could not be judged, and an alarm was on for a while."""
    states = {2: "insufficient_data", 4: "invalid_data", 6: "error"}
    return [
        {
            "batch_id": f"b{i}",
            "state": states.get(i, "no_shift"),
            "alarm": 8 <= i < 12,
            "judged_at": FIRST + i * HOUR,
            "evidence": {} if i in states else {"input": 0.2 + i / 10, "prediction": 0.1},
        }
        | changes
        for i in range(count)
    ]


def note(number: int, first: float, last: float) -> Annotation:
    start, until = FIRST + first * HOUR, FIRST + last * HOUR
    return Annotation(number, "churn", "note", f"word {number}", start, until, "ada", 0.0)


WORDS: tuple[Annotation | Acceptance, ...] = (
    note(1, 3, 9),
    note(2, 5, 7),
    replace(note(3, 15, 17), kind="silence"),
    Acceptance("churn", "accepted", "a", "b", 900, "p", "s", "c", "prices", FIRST + 8 * HOUR),
)


def told(run: Run, **explanation: Any) -> Run:
    return replace(run, explanation={**run.explanation, **explanation})


def pages() -> dict[str, str]:
    """Every kind of page there is."""
    rows = {"input": {"columns": ["price", "plan"], "rows": [["1", "basic"]], "why": "odd"}}
    performance = {
        "metric": "accuracy",
        "reference": 0.91,
        "estimate": 0.89,
        "change_low": -0.03,
        "change_high": -0.01,
        "methods": {"a": 0.89},
        "assumes": "that labels depend on the inputs as they did",
    }
    sides = {"reference": "batches of October", "current": "batches of November"}
    runs = sample_runs.every() | {
        "comparison": told(sample_runs.shift(), comparison=sides),
        "rich": told(
            sample_runs.shift(), rows=rows, performance=performance, **sample_runs.OUTLOOK
        ),
        "wide": sample_runs.wide(1000),
    }
    return {
        name: render_html(run, timeline=past(20), words=WORDS, promise="one in 1000", linked=True)
        for name, run in runs.items()
    }


# --- in a browser ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium(system: Callable[[str], str]) -> Iterator[Browser]:
    with browser(system("chromium")) as shown:
        yield shown


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("pages")
    for name, html in pages().items():
        (made / f"{name}.html").write_text(html, encoding="utf-8")
    return made


@pytest.mark.slow
@pytest.mark.parametrize("name", ["shift", "invalid", "error", "comparison", "rich", "wide"])
def test_a_page_keeps_nobody_out_at_any_width_in_either_scheme(
    chromium: Browser, folder: Path, name: str
) -> None:
    url = (folder / f"{name}.html").as_uri()
    for scheme in SCHEMES:
        for width in WIDTHS:
            watched = chromium.open(url, width=width, scheme=scheme)
            assert watched.faults == []
            assert not is_wider_than_its_window(watched.page), (width, scheme)
            # The rules do not depend on how many like rows there are; a thousand take long.
            if name != "wide" or (width, scheme) == (360, "light"):
                assert violations(watched.page) == [], (width, scheme)
            watched.page.context.close()
    pictures(chromium, url, f"report-{name}")


@pytest.mark.parametrize("name", ["no_shift", "by_window", "doubtful", "insufficient"])
def test_the_other_pages_keep_nobody_out_of_a_telephone(
    chromium: Browser, folder: Path, name: str
) -> None:
    watched = chromium.open((folder / f"{name}.html").as_uri(), width=360, scheme="dark")
    assert watched.faults == []
    assert not is_wider_than_its_window(watched.page)
    assert violations(watched.page) == []


_LABELS = """() => [...document.querySelectorAll('.tl text')]
    .filter(each => getComputedStyle(each).display != 'none' && !each.classList.contains('u'))
    .map(each => each.getBoundingClientRect()).map(box => [box.left, box.right])"""


@pytest.mark.parametrize("width", WIDTHS)
def test_times_below_the_timeline_do_not_lie_on_each_other(
    chromium: Browser, folder: Path, width: int
) -> None:
    page = chromium.open((folder / "shift.html").as_uri(), width=width).page
    places = sorted(page.evaluate(_LABELS))
    assert len(places) >= 3
    assert all(before[1] < after[0] for before, after in pairwise(places))
    assert places[0][0] >= 0
    assert places[-1][1] <= width


def test_the_words_are_reached_by_keyboard_and_lead_to_their_meaning(
    chromium: Browser, folder: Path
) -> None:
    page = chromium.open((folder / "shift.html").as_uri(), script=False).page
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "To the verdict"
    page.locator("a.t", has_text="Corrected p-value").first.press("Enter")
    assert page.locator("dt:target").inner_text() == "Corrected p-value"


def test_on_paper_what_is_folded_is_there_and_what_only_leads_on_is_not(
    chromium: Browser, folder: Path
) -> None:
    for name, shown in (("shift", True), ("wide", False)):
        page = chromium.open((folder / f"{name}.html").as_uri(), scheme="dark").page
        page.emulate_media(media="print")
        assert page.locator("table.past").is_visible()
        assert not page.locator("nav").first.is_visible()
        if not shown:
            assert not page.locator("details.tail table").is_visible()
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == "rgb(255, 255, 255)"
        assert page.pdf(format="A4").startswith(b"%PDF-")


# --- the picture of the past -------------------------------------------------------------------


def test_what_could_not_be_judged_has_the_sign_of_its_verdict() -> None:
    drawn = picture(timeline(sample_runs.no_shift(), past(20)))
    signs = re.findall(r'class="u (\w+)"[^>]*>(.)<title>', drawn)
    assert signs == [("few", "○"), ("bad", "◆"), ("err", "\N{MULTIPLICATION SIGN}")]


@pytest.mark.parametrize("count", [1, 2, 7, 120])
def test_the_axis_says_when_the_checks_were(count: int) -> None:
    drawn = picture(timeline(sample_runs.no_shift(), past(count)))
    labels = re.findall(r'<text class="m[^>]*>([^<]*)</text>', drawn)
    assert len(labels) == min(count, 5)
    assert all(re.fullmatch(r"\d+ Nov, \d\d:\d\d", label) for label in labels)


def test_an_axis_over_years_says_the_years() -> None:
    entries = [entry | {"judged_at": FIRST + i * 90 * 24 * HOUR} for i, entry in enumerate(past(9))]
    labels = re.findall(
        r'<text class="m[^>]*>([^<]*)</text>', picture(timeline(sample_runs.no_shift(), entries))
    )
    assert labels[0].endswith(" 2025")
    assert labels[-1].endswith(" 2027")


def test_words_have_the_numbers_of_the_list_and_do_not_lie_on_each_other() -> None:
    line = timeline(sample_runs.no_shift(), past(20), WORDS)
    drawn = words_picture(line)
    bars = re.findall(r'x="([\d.]+)%" y="(\d+)" width="([\d.]+)%"', drawn)
    spans = [(float(x), float(x) + float(wide), y) for x, y, wide in bars]
    assert len(spans) == 4
    for i, one in enumerate(spans):
        for other in spans[:i]:
            assert one[2] != other[2] or one[1] <= other[0] or other[1] <= one[0]
    numbers = [int(number) for number in re.findall(r">(\d+)</text>", drawn)]
    assert sorted(numbers) == [1, 2, 3, 4]
    assert [line.words[n - 1].text in drawn for n in numbers] == [True] * 4


def test_more_words_than_there_is_room_for_share_the_last_row() -> None:
    words = [note(n, 2, 12) for n in range(1, 7)]
    drawn = words_picture(timeline(sample_runs.no_shift(), past(20), words))
    assert drawn.count('class="wd"') == 6
    assert len(set(re.findall(r' y="(\d+)" width', drawn))) == LANES


def test_a_word_on_no_check_is_listed_and_not_drawn() -> None:
    late = note(1, 500, 501)
    line = timeline(sample_runs.no_shift(), past(20), [late])
    assert words_picture(line) == ""
    assert "no check shown is in it" in render_html(
        sample_runs.no_shift(), timeline=past(20), words=[late]
    )


# --- columns -----------------------------------------------------------------------------------


def test_what_the_check_can_find_is_drawn_beside_each_effect() -> None:
    page = render_html(told(sample_runs.shift(), **sample_runs.OUTLOOK))
    assert "this check finds 0.118 in 4 of 5 cases" in page
    assert "what this check finds in 4 of 5 cases" in page
    assert "4 of 5 cases</span>" not in render_html(sample_runs.shift())


def test_the_part_of_a_column_is_not_told_where_only_past_batches_crossed() -> None:
    assert "% of what differs" in render_html(sample_runs.shift())
    assert "% of what differs" not in render_html(sample_runs.by_window())


def test_categories_that_came_and_went_have_their_share() -> None:
    (row,) = came_and_went(sample_runs.shift())
    assert row.column == "plan"
    assert row.appeared.names == (("student-2026", "9 %"),)
    assert row.vanished.names == (("legacy", "0.3 %"),)


def test_many_categories_are_counted() -> None:
    run = told(sample_runs.shift(), vanished={"plan": [f"c{i}" for i in range(30)]})
    (row,) = came_and_went(run)
    assert (len(row.vanished.names), row.vanished.more) == (8, 22)


@pytest.mark.parametrize("odd", [None, 3, "x", ["plan"], {"plan": "legacy"}, {"plan": 4}])
def test_vanished_categories_of_another_shape_are_left_out(odd: Any) -> None:
    (row,) = came_and_went(told(sample_runs.shift(), vanished=odd))
    assert row.vanished.names == ()


def column(name: str, kind: Any, **changes: Any) -> ColumnProfile:
    return replace(ColumnProfile(name, kind, "input", "string", 9, 9, 0, 0), **changes)


def test_a_derived_column_is_said_as_what_it_is() -> None:
    run = replace(
        sample_runs.no_shift(),
        columns=(
            column("url", "categorical"),
            column("url.length", "numeric"),
            column("seen.hour", "categorical"),
            column("seen.weekday", "categorical"),
            column("came.lag", "numeric"),
        ),
        skipped=(Skipped("ks", "seen", "input", "timestamp"),),
        provenance={"settings": {"columns": {"arrival": "came"}}},
    )
    found = {name: plain(phrase) for name, phrase in origins(run).items()}
    assert found == {
        "url.length": "characters in `url`",
        "seen.hour": "hour of the day of `seen`",
        "seen.weekday": "day of the week of `seen`",
        "came.lag": "seconds from the event to `came`",
    }
    assert "characters in <code" in render_html(run)


def test_a_real_column_with_a_dot_in_its_name_is_left_as_it_is() -> None:
    names = ("shop.hour", "rope.length", "price.lag", ".hour", "length")
    run = replace(sample_runs.no_shift(), columns=tuple(column(n, "numeric") for n in names))
    assert origins(run) == {}
