"""Pages in a real browser: what they say to its console, what they ask for, what keeps people out.

Debian's Chromium through Playwright. A page that is looked at by :func:`browser` records every
console message, every error of a script and every request that leaves this machine, so that a test
can say that there was none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

WIDTHS = (360, 768, 1440)
"""Pixels: a telephone, a tablet, a screen."""

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")

_INSIDE = ("http://127.0.0.1:", "https://127.0.0.1:", "data:", "file:", "blob:", "about:")
_ARGUMENTS = ["--no-sandbox", "--no-proxy-server", "--disable-gpu", "--disable-dev-shm-usage"]


@dataclass(eq=False)
class Watched:
    """A page and what it did that nobody asked for."""

    page: Any
    """Of Playwright."""
    said: list[str] = field(default_factory=list)
    """Console messages and errors of scripts."""
    outside: list[str] = field(default_factory=list)
    """Addresses asked for that are not on this machine."""

    @property
    def faults(self) -> list[str]:
        """All of it; empty for a page that minds its own business."""
        return self.said + self.outside


@dataclass(eq=False)
class Browser:
    """Chromium, which opens watched pages."""

    chromium: Any

    def open(
        self,
        url: str = "about:blank",
        *,
        width: int = 1440,
        scheme: Scheme = "light",
        script: bool = True,
        headers: dict[str, str] | None = None,
        credentials: tuple[str, str] | None = None,
    ) -> Watched:
        """A new page of its own context at ``url``, loaded."""
        named = credentials and {"username": credentials[0], "password": credentials[1]}
        context = self.chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=script,
            extra_http_headers=headers or {},
            http_credentials=named,
            reduced_motion="reduce",
        )
        watched = Watched(context.new_page())
        page = watched.page
        page.on("console", lambda message: watched.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda fault: watched.said.append(f"page error: {fault}"))
        page.on("request", lambda request: _note(request.url, watched.outside))
        page.goto(url)
        page.wait_for_load_state("load")
        return watched


def _note(url: str, outside: list[str]) -> None:
    if not url.startswith(_INSIDE):
        outside.append(url)


@contextmanager
def browser(program: str) -> Iterator[Browser]:
    """Chromium for the time of a test; ``program`` is what ``system("chromium")`` found."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - heavy

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)
        try:
            yield Browser(chromium)
        finally:
            chromium.close()


@cache
def _axe() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")


def violations(page: Any) -> list[str]:
    """What axe-core finds on a page, one line each: rule, element, what to do.

    Evaluated by the debugger, which the content security policy of a page does not concern.
    """
    page.evaluate(_axe())
    found = page.evaluate("axe.run().then(result => result.violations)")
    return [
        f"{rule['id']}: {' '.join(node['target'][:1])}: {node['failureSummary']}"
        for rule in found
        for node in rule["nodes"]
    ]


def is_wider_than_its_window(page: Any) -> bool:
    """Whether a reader would have to push the page aside to read its lines."""
    return bool(page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))


def pictures(shown: Browser, url: str, name: str, **options: Any) -> list[Path]:
    """Pictures of a page in each width and colour scheme, in the folder that a person asks for.

    ``SHIFTWATCH_PICTURES`` names it; without it none is made.
    """
    folder = os.environ.get("SHIFTWATCH_PICTURES")
    if not folder:
        return []
    made = []
    for scheme in SCHEMES:
        for width in WIDTHS:
            watched = shown.open(url, width=width, scheme=scheme, **options)
            path = Path(folder) / f"{name}-{width}-{scheme}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            watched.page.screenshot(path=path, full_page=True)
            watched.page.context.close()
            made.append(path)
    return made
