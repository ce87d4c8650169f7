"""The page on the report page: what it says of ours is what a new page has, but for the seconds."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.pages import browser, material, ours, shown, text
from benchmarks.speed import stored
from tests.browsing import browser as chromium_of

FOUND = stored.load(report.RESULTS)


def test_the_page_says_what_the_results_say() -> None:
    assert report.PAGE.read_text(encoding="utf-8") == text.rendered(FOUND), "make bench-report"


def test_every_goal_of_a_page_was_measured_and_reached() -> None:
    rows = text.goals(FOUND["made"])[1:]
    assert len(rows) == sum(map(len, text.GOALS.values()))
    assert [row for row in rows if row[-1] != "yes"] == []


def test_every_point_has_a_cell_on_both_sides() -> None:
    for side in ("ours", "theirs"):
        cells = FOUND[side]["cells"]
        asked = [(table, point.what) for table, points in shown.TABLES.items() for point in points]
        assert [(table, what) for table in cells for what in cells[table]] == asked, side
        assert all(
            re.match(r"(yes|no)($|: .)", cell) for t in cells.values() for cell in t.values()
        )
        assert list(FOUND[side]["dirt"]) == list(material.DIRTY), side


def test_the_table_names_what_only_the_other_has() -> None:
    answers = {
        side: {row[:2]: row[2] for row in text.shown_rows(FOUND[side]["cells"])}
        for side in ("ours", "theirs")
    }
    only = {
        at[1]
        for at, told in answers["theirs"].items()
        if (told, answers["ours"][at]) == ("yes", "no")
    }
    assert "pictures to zoom into, with numbers by hovering" in only
    assert "descriptive statistics of each column" in only


@pytest.mark.parametrize(
    ("words", "answer"),
    [("the alarm is on since noon.", 'yes: "since noon"'), ("nothing", "no: no past")],
)
def test_a_cell_quotes_the_page_or_says_what_is_there_instead(words: str, answer: str) -> None:
    assert shown.says(r"since \w+", "no past")({"text": words}) == answer


def test_the_style_of_a_page_says_nothing_twice() -> None:
    """A part of it once stood there twice: five kilobytes in every page."""
    lines = files("shiftwatch.report").joinpath("style.css").read_text("utf-8").splitlines()
    assert [line for line in {*lines} if len(line) > 20 and lines.count(line) > 1] == []


def test_a_stored_report_loads_nothing_that_judges() -> None:
    script = (
        "import sys, shiftwatch.cli, shiftwatch.config, shiftwatch.verbs.reporting\n"
        "print([name for name in ('numpy', 'shiftwatch.worker', 'shiftwatch.comparison') "
        "if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.parametrize("name", material.SHAPES)
def test_a_page_of_a_real_check_is_within_its_bytes(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    material.write_made(replace(material.SHAPES[name], batches=2), folder)
    ours.judge(folder)
    size = ours.sizes(ours.write(folder, "html"))
    assert {
        kind: size[kind] <= bound for kind, bound in text.GOALS[name].items() if kind in size
    } == (dict.fromkeys(set(text.GOALS[name]) & set(size), True)), size


@pytest.mark.slow
def test_our_page_shows_what_the_table_says_and_our_dirt_is_told_the_same(
    shared_data: Path, system: Callable[[str], str], tmp_path: Path
) -> None:
    material.write_hotels(shared_data, tmp_path)
    with chromium_of(system("chromium")) as seen:
        cells = report.our_cells(tmp_path, seen)
    assert text.shown_rows(cells) == text.shown_rows(FOUND["ours"]["cells"]), "make bench-report"
    told = {name: _names(cell) for name, cell in ours.told_of_dirt(tmp_path).items()}
    assert told == {name: _names(cell) for name, cell in FOUND["ours"]["dirt"].items()}


def _names(cell: str) -> list[str]:
    """Verdict, findings and tests of a cell, without its numbers."""
    return re.findall(r"`\w+`|\w+(?= \((?:note|warning|invalid)\))", cell)


@pytest.mark.slow
def test_the_browser_counts_from_a_named_column_to_the_edge_of_a_window(
    system: Callable[[str], str], tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        "<!doctype html><html lang=en><title>t</title><main><h1>Words</h1><p>x1 numeric ·"
        "<p style='white-space:nowrap;width:900px;text-align:right'>beyond"
        "<svg width=99 height=99 role=img aria-label=a></svg><svg width=99 height=99></svg>"
        "<button></button><img src='http://127.0.0.1:9/x.png' alt=''></main>",
        encoding="utf-8",
    )
    with chromium_of(system("chromium")) as seen:
        found = browser.examined(seen, page, ["x1", "x2"], ours.RANKED)
    assert (found["wide"], found["cut_off"], found["printed_columns"]) == (True, 1, 1)
    assert (found["outside"], found["focus_stops"]) == (1, 1)
    assert (found["pictures_named"], found["pictures"]) == (1, 2)
    assert "button-name" in found["axe_rules"]
    assert found["without_script"] == 5
