"""Hostile names on every face of a run: shown as they are written, and nothing they say is done.

The pages are opened in Chromium with their content security policy switched off, so that it is the
escaping that is tested; beside each lies the page of an innocent twin, which must have the same
elements.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shiftwatch.document import from_document, to_document
from shiftwatch.report import csv_table, markdown, render_html, run_line, table, verdict_sentence
from shiftwatch.report.phrase import cut, visible
from shiftwatch.values import Acceptance, Annotation, Run
from tests.browsing import Browser, browser
from tests.hostile_names import NAMES, NEVER_IN_A_FILE
from tests.test_report import hostile_run

KINDS = {**NAMES, **NEVER_IN_A_FILE}
INNOCENT = "innocent"
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200f]")
"""What no line of text may hold but for the line feeds that are ours."""
_BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")

TextFace = Callable[[Run], str]

FACES: dict[str, TextFace] = {
    "line of a run": lambda run: run_line(run, 1, colour=False),
    "table in a terminal": table,
    "sentence": verdict_sentence,
    "markdown": markdown,
    "csv": csv_table,
}


def words(name: str) -> tuple[Annotation | Acceptance, ...]:
    """What operators said, hostile too; somebody who says nothing is not drawn."""
    text = name or INNOCENT
    return (
        Annotation(1, name, "note", text, 0.0, None, name, 0.0),
        Annotation(2, name, "silence", text, 0.0, None, name, 0.0, ended_at=5.0, ended_by=name),
        Acceptance(name, "accepted", name, name, 9, name, name, name, name, 0.0),
    )


def page_of(name: str) -> str:
    """The page of a run in which everything that comes from outside is ``name``."""
    point = {"batch_id": name, "state": "shift", "judged_at": 0.0}
    return render_html(hostile_run(name), timeline=[point], words=words(name))


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_text_shows_the_name_and_nothing_that_steers(face: str, kind: str) -> None:
    name = KINDS[kind]
    text = FACES[face](hostile_run(name))
    assert not CONTROL.search(text.replace("\r\n", "\n") if face == "csv" else text)
    assert text.isprintable() or set(text) - {"\n", "\r"} == {c for c in text if c.isprintable()}
    bare = text.replace("\\", "").replace("`", "").replace('""', '"')
    shown = cut(visible(name), 12).split("…")[0].replace("\\", "").replace("`", "")
    assert shown[:8] in bare or face == "line of a run"
    assert "\n# Heading" not in text
    assert "forged" not in [line.strip() for line in text.splitlines()]


@pytest.mark.parametrize("kind", KINDS)
def test_a_spreadsheet_finds_no_formula(kind: str) -> None:
    rows = list(csv.reader(io.StringIO(csv_table(hostile_run(KINDS[kind])), newline="")))
    assert len({len(row) for row in rows}) == 1
    numbers = re.compile(r"[+-]?[\d.]+(e[+-]?\d+)?")
    cells = [cell for row in rows for cell in row if not numbers.fullmatch(cell)]
    assert not [cell for cell in cells if cell.startswith(_BEGINS_A_FORMULA)]


@pytest.mark.parametrize("kind", KINDS)
def test_markdown_keeps_its_shape(kind: str) -> None:
    """The same lines of the same kinds as for an innocent name: nothing opens, nothing closes."""

    def shape(text: str) -> list[str]:
        return [re.match(r"(\W*)", line)[1][:2] for line in text.splitlines()]  # type: ignore[index]

    told, twin = (markdown(hostile_run(name)) for name in (KINDS[kind], INNOCENT))
    assert len(told.splitlines()) == len(twin.splitlines())
    assert [each[:1] == "|" for each in shape(told)] == [each[:1] == "|" for each in shape(twin)]
    outside = re.sub(r"(`+).*?\1", "", told)  # whatever stands in a code span is text
    assert not re.search(r"(?<!\\)\[[^\]]*(?<!\\)\]\(|(?<!\\)!\[", outside)
    assert not re.search(r"(?<!\\)<[a-zA-Z/!]", outside)


@pytest.mark.parametrize("kind", NAMES)
def test_json_gives_the_name_back_letter_by_letter(kind: str) -> None:
    document = json.dumps(to_document(hostile_run(NAMES[kind])), ensure_ascii=False)
    back = from_document(json.loads(document))
    assert NAMES[kind] in {result.target for result in back.results}
    assert back == from_document(to_document(hostile_run(NAMES[kind])))


# --- in a browser ------------------------------------------------------------------------------

_COUNT = """
() => { const found = {};
        const cost = [...document.querySelectorAll('h2')].find(h => /cost/.test(h.textContent));
        if (cost) cost.parentElement.remove();  // as many bars as the time was spent on
        for (const each of document.querySelectorAll('*'))
          found[each.localName] = (found[each.localName] || 0) + 1;
        return found; }
"""


@pytest.fixture(scope="module")
def chromium(system: Callable[[str], str]) -> Iterator[Browser]:
    with browser(system("chromium")) as shown:
        yield shown


class Opened:
    """A tab without the page's own policy, which notes what it does."""

    def __init__(self, chromium: Browser, inside: str = "file:") -> None:
        context = chromium.chromium.new_context(
            viewport={"width": 360, "height": 800}, bypass_csp=True, reduced_motion="reduce"
        )
        self.tab: Any = context.new_page()
        self.asked: list[str] = []
        self._inside = inside
        context.route("**/*", self._route)

    def _route(self, asked: Any) -> None:
        if asked.request.url.startswith((self._inside, "data:")):
            asked.continue_()
        else:
            self.asked.append(asked.request.url)
            asked.abort()

    def elements(self, url: str) -> Counter[str]:
        """The elements of a page that was opened, its pointer moved and its tabulator pressed."""
        self.tab.goto(url, wait_until="load")
        self.tab.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        self.tab.mouse.move(100, 300)
        for _ in range(3):
            self.tab.keyboard.press("Tab")
        return Counter(self.tab.evaluate(_COUNT))

    def is_owned(self) -> bool:
        return bool(self.tab.evaluate("window.__owned !== undefined"))

    def is_wider(self) -> bool:
        return bool(
            self.tab.evaluate(
                "document.documentElement.scrollWidth > document.documentElement.clientWidth"
            )
        )


@pytest.mark.slow
def test_a_page_has_the_elements_of_its_innocent_twin_and_runs_nothing(
    chromium: Browser, tmp_path: Path
) -> None:
    opened = Opened(chromium)
    page = tmp_path / "page.html"
    page.write_text(page_of(INNOCENT), encoding="utf-8")
    twin = opened.elements(page.as_uri())
    faults: list[tuple[object, ...]] = []
    for kind, name in KINDS.items():
        page.write_text(page_of(name), encoding="utf-8")
        found = opened.elements(page.as_uri())
        text = opened.tab.inner_text("body")
        if found != twin and name:  # who has no name is not listed among those that moved
            faults.append((kind, "elements", dict(found - twin), dict(twin - found)))
        if opened.is_owned():
            faults.append((kind, "owned"))
        if opened.is_wider():
            faults.append((kind, "wider than 360 px"))
        if CONTROL.search(text.replace("\t", " ")):
            faults.append((kind, "control characters"))
        if cut(visible(name), 12).split("…")[0][:8].strip() not in text:
            faults.append((kind, "not shown"))
    assert not faults
    assert not opened.asked
