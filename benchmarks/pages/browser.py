"""A page from a file as a reader has it: how soon it is there, what it asks for, who can read it.

In:    the path of a page; Debian's Chromium.
Out:   milliseconds from the start of the navigation, counts, the text.
Never: lets a page reach another machine: what it asks for is noted and refused.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.speed.harness import Spread, spread
from tests.browsing import Browser, browser, is_wider_than_its_window, violations

_TIMES = 5
_QUIET = 1000
"""Milliseconds without a change of the document, after which a page counts as complete."""

_WATCH = """
window.__changed = 0;
new MutationObserver(() => { window.__changed = performance.now(); })
  .observe(document, {childList: true, subtree: true, attributes: true, characterData: true});
"""
_TIMED = """
async (quiet) => {
  document.documentElement.getBoundingClientRect();
  const frame = () => new Promise(done => requestAnimationFrame(done));
  await frame(); await frame();
  while (performance.now() - Math.max(window.__changed, 0) < quiet)
    await new Promise(done => setTimeout(done, 100));
  const start = performance.getEntriesByType('navigation')[0];
  const paint = performance.getEntriesByName('first-contentful-paint')[0];
  return {
    load: start.loadEventEnd,
    paint: paint ? paint.startTime : null,
    complete: Math.max(start.loadEventEnd, window.__changed),
    elements: document.querySelectorAll('*').length,
  };
}
"""
_PICTURES = """
() => {
  const seen = element => { const box = element.getBoundingClientRect();
                            return box.width >= 30 && box.height >= 12; };
  const all = [...document.querySelectorAll('svg, canvas, img')]
    .filter(each => seen(each) && !each.closest('button, [aria-hidden=true]')
                    && !(each.parentElement && each.parentElement.closest('svg')));
  const told = each => each.getAttribute('aria-label') || each.getAttribute('alt')
    || each.getAttribute('aria-labelledby') || each.querySelector(':scope > title');
  return [all.filter(told).length, all.length];
}
"""
_BACKGROUND = """
() => { const painted = [document.body, document.documentElement]
          .map(each => getComputedStyle(each).backgroundColor);
        return painted.find(each => each !== 'rgba(0, 0, 0, 0)') || 'none'; }
"""
_CUT_OFF = """
() => {
  const scrolls = each => each && each !== document.body
    && (/auto|scroll/.test(getComputedStyle(each).overflowX) || scrolls(each.parentElement));
  return [...document.querySelectorAll('body *')].filter(each => {
  const words = [...each.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  const box = each.getBoundingClientRect();
  return words && box.width > 1 && box.height > 1 && box.right > innerWidth + 1 && !scrolls(each);
  }).length; }
"""
_FOCUSED = """
() => { const now = document.activeElement;
        return now === document.body ? '' : now.tagName + [...document.querySelectorAll('*')].indexOf(now); }
"""
_ROWS = "tr button[aria-label*='detail' i]"


@contextmanager
def opened() -> Iterator[Browser]:
    """Chromium, if this machine has it.

    Raises
    ------
    RuntimeError
        If there is none.
    """
    program = shutil.which("chromium")
    if program is None:
        raise RuntimeError("needs chromium: make system-packages")
    with browser(program) as chromium:
        yield chromium


def timed(chromium: Browser, page: Path) -> dict[str, Spread]:
    """Milliseconds to the load event, the first paint and the last change; elements."""
    runs = [_once(chromium, page) for _ in range(_TIMES)]
    names = [name for name, value in runs[0].items() if value is not None]
    return {name: spread([run[name] for run in runs]) for name in names}


def _once(chromium: Browser, page: Path) -> dict[str, Any]:
    context = chromium.chromium.new_context(viewport={"width": 1440, "height": 900})
    try:
        _refusing(context, [])
        tab = context.new_page()
        tab.add_init_script(_WATCH)
        tab.goto(page.as_uri(), wait_until="load")
        return dict(tab.evaluate(_TIMED, _QUIET))
    finally:
        context.close()


def _refusing(context: Any, outside: list[str]) -> None:
    """Refuse and note whatever is not in the file itself."""

    def route(asked: Any) -> None:
        outside.append(asked.request.url)
        asked.abort()

    context.route(re.compile(r"^(?!file:|data:|blob:|about:)"), route)


def examined(chromium: Browser, page: Path, columns: Sequence[str], ranked: str) -> dict[str, Any]:
    """What a page does and says: requests, errors, axe-core, text, with and without script.

    Parameters
    ----------
    chromium, page
        What opens it, and where it lies.
    columns
        Names of the columns whose drift it should tell, also on paper.
    ranked
        Expression that finds the name of a column where its drift is told.
    """
    return {
        **_with(chromium, page, lambda tab: _seen(tab, columns, ranked), faults=True),
        **_with(chromium, page, lambda tab: {"without_script": _words(tab)}, script=False),
        **_with(chromium, page, _narrow, width=360),
        **_with(chromium, page, lambda tab: {"light": tab.evaluate(_BACKGROUND)}),
        **_with(chromium, page, lambda tab: {"dark": tab.evaluate(_BACKGROUND)}, scheme="dark"),
    }


def _with(
    chromium: Browser,
    page: Path,
    look: Callable[[Any], dict[str, Any]],
    *,
    faults: bool = False,
    **options: Any,
) -> dict[str, Any]:
    watched = chromium.open(**options)
    outside: list[str] = []
    _refusing(watched.page.context, outside)
    watched.page.goto(page.as_uri(), wait_until="load")
    watched.page.wait_for_timeout(_QUIET)
    found = look(watched.page)
    watched.page.context.close()
    if faults:
        found |= {"outside": len(outside), "errors": len(watched.said)}
    return found


def _seen(tab: Any, columns: Sequence[str], ranked: str) -> dict[str, Any]:
    named, pictures = tab.evaluate(_PICTURES)
    faults = violations(tab)
    printed = tab.pdf(format="A4")
    tab.emulate_media(media="print")
    on_paper = tab.inner_text("body")
    tab.emulate_media(media=None)
    stops = _stops(tab)
    for shut in tab.query_selector_all("details:not([open]) > summary"):
        shut.evaluate("each => { each.parentElement.open = true; }")
    for row in tab.query_selector_all(_ROWS):
        row.evaluate("each => each.click()")
    tab.wait_for_timeout(_QUIET)
    return {
        "axe_rules": sorted({fault.partition(":")[0] for fault in faults}),
        "axe_elements": len(faults),
        "pictures": pictures,
        "pictures_named": named,
        "printed_pages": len(re.findall(rb"/Type\s*/Page\b", printed)),
        "printed_columns": len(set(columns) & {*re.findall(ranked, on_paper)}),
        "focus_stops": stops,
        "text": tab.inner_text("body"),
        "marks": tab.evaluate(_MARKS),
    }


_MARKS = """
() => ({
  sortable: document.querySelectorAll('th [class*=sort], [aria-sort]').length,
  inputs: document.querySelectorAll('input').length,
  buttons: document.querySelectorAll('button').length,
  zoomable: document.querySelectorAll('.modebar, .nsewdrag').length,
  explained: document.querySelectorAll('abbr[title]').length,
  rows: document.querySelectorAll('tbody tr').length,
})
"""


def _stops(tab: Any) -> int:
    """Different elements that the first forty presses of the tabulator reach."""
    stops = set()
    for _ in range(40):
        tab.keyboard.press("Tab")
        stops.add(tab.evaluate(_FOCUSED))
    return len(stops - {""})


def _words(tab: Any) -> int:
    return len(tab.inner_text("body").split())


def _narrow(tab: Any) -> dict[str, Any]:
    return {"wide": is_wider_than_its_window(tab), "cut_off": tab.evaluate(_CUT_OFF)}
