"""The formats of a report, by name.

In:    nothing.
Out:   names, media types, endings of file names.
Never: renders.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

Format = Literal["html", "json", "markdown", "csv"]

FORMATS: tuple[Format, ...] = get_args(Format)

MEDIA_TYPES: Mapping[Format, str] = {
    "html": "text/html",
    "json": "application/json",
    "markdown": "text/markdown",
    "csv": "text/csv",
}
"""Of each format; all of them are UTF-8."""

ENDINGS: Mapping[Format, str] = {"html": "html", "json": "json", "markdown": "md", "csv": "csv"}
"""How the name of a file in each format ends."""
