"""A report over HTTP: the format that is wanted, and the answer in it.

In:    the query and the headers of a request; the text of a report.
Out:   a response.
Never: renders a report.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from fastapi import Response

from shiftwatch.report import ENDINGS, FORMATS, MEDIA_TYPES, Format, page_style
from shiftwatch.web.answers import ProblemError, page_headers

_BY_MEDIA_TYPE: Mapping[str, Format] = {MEDIA_TYPES[form]: form for form in FORMATS}
_RANGES: Mapping[str, Format] = {"*/*": "json", "application/*": "json", "text/*": "html"}
"""What is given to who would take anything, or anything of a kind."""

_LONGEST_NAME = 80


def wanted(named: Format | None, accept: str) -> Format:
    """The format that the query names, else the one that the Accept header likes best.

    Parameters
    ----------
    named
        Of the query.
    accept
        The header (RFC 9110, 12.5.1); empty: anything. A browser likes HTML best, curl anything,
        which is JSON.

    Raises
    ------
    ProblemError
        406 if nothing is acceptable that there is.

    Examples
    --------
    >>> wanted(None, "text/html,application/xml;q=0.9,*/*;q=0.8"), wanted(None, "*/*")
    ('html', 'json')
    >>> wanted(None, "text/csv;q=0.5, text/markdown"), wanted("html", "text/csv")
    ('markdown', 'html')
    """
    if named is not None:
        return named
    liked = sorted(_liked(accept or "*/*"), key=lambda pair: -pair[0])
    for weight, kind in liked:
        form = _BY_MEDIA_TYPE.get(kind) or _RANGES.get(kind)
        if form is not None and weight > 0:
            return form
    there = ", ".join(_BY_MEDIA_TYPE)
    raise ProblemError(406, f"there is no report as {accept!r}; there is {there}")


def _liked(accept: str) -> list[tuple[float, str]]:
    """Weights and media types in their order."""
    found = []
    for entry in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in entry.split(";"))
        given = [part[2:] for part in parameters if part.startswith("q=")]
        found.append((_weight(given[0]) if given else 1.0, kind))
    return found


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0


def answered(text: str, form: Format, name: str) -> Response:
    """A report as a response.

    Parameters
    ----------
    text
        The report.
    form
        Its format.
    name
        What a file of it is to be called, without ending; what is not an ASCII letter or digit or
        one of ``-_`` is left out.
    """
    headers = {"vary": "accept", "cache-control": "no-cache, private"}
    if form in ("markdown", "csv"):
        plain = re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:_LONGEST_NAME]
        headers["content-disposition"] = f'attachment; filename="{plain}.{ENDINGS[form]}"'
    if form == "html":
        headers |= page_headers(page_style())
    kind = MEDIA_TYPES[form] + ("" if form == "json" else "; charset=utf-8")
    return Response(text.encode("utf-8"), headers=headers | {"content-type": kind})
