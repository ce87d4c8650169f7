"""Files that pages load: the script, and uPlot, which draws the timelines.

In:    a name of a fixed list.
Out:   its bytes, type, and an address that changes with its content.
Never: opens a path that somebody names.

uPlot 1.6.32 (MIT, 51 kB as it is, 23 kB compressed; https://github.com/leeoniya/uPlot) is the
smallest library that draws and zooms a timeline of thousands of points; it is vendored, as pages
need nothing from elsewhere. Its licence lies beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files

_TYPES: Mapping[str, str] = {
    "uPlot.iife.min.js": "text/javascript; charset=utf-8",
    "pages.js": "text/javascript; charset=utf-8",
}

SCRIPTS = tuple(_TYPES)
"""In the order in which they are loaded."""


@cache
def content(name: str) -> bytes | None:
    """The bytes of a file; None if it is not of the list."""
    if name not in _TYPES:
        return None
    return files("shiftwatch.web").joinpath("static", name).read_bytes()


def media_type(name: str) -> str:
    """Of a file of the list."""
    return _TYPES[name]


@cache
def address(name: str) -> str:
    """Where a file is found; another address for another content, so it may be kept for ever."""
    digest = sha256(content(name) or b"").hexdigest()[:12]
    return f"/static/{name}?v={digest}"


@cache
def chart_style() -> str:
    """The style that uPlot needs."""
    return files("shiftwatch.web").joinpath("static", "uPlot.min.css").read_text("utf-8")
