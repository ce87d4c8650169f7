"""Names, numbers and times as a person reads them.

In:    names out of files, which may hold anything, and numbers that may be infinite.
Out:   short texts that show what is there and hide nothing.
Never: marks up, escapes for HTML, or decides.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SMALLEST_P = 1e-300
_NAMED_AT_MOST = 5
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FLOOD = re.compile(
    r"(?<=[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4})"
    r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
)
"""A mark on a letter that has four already: no script needs it, and a pile hides other lines."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name from the data inside a phrase, to be set apart from our own words."""

    text: str


@dataclass(frozen=True, slots=True)
class BatchName(Name):
    """The id of a batch inside a phrase; a page may link it and say when that batch was."""


Phrase = tuple[str | Name, ...]
"""A sentence in pieces: own words as ``str``, names from the data as :class:`Name`."""


def plain(phrase: Phrase) -> str:
    """The phrase as one line of text, names between backticks.

    Examples
    --------
    >>> plain((Name("price"), " moved."))
    '`price` moved.'
    """
    return "".join(
        piece if isinstance(piece, str) else f"`{cut(visible(piece.text))}`" for piece in phrase
    )


def visible(text: str) -> str:
    r"""The text with every character that cannot be seen written as its escape.

    Line breaks, terminal escapes, zero bytes, lone surrogates and marks that turn the direction
    of writing can make a page or a terminal lie about a name; so can marks piled on one letter.

    Examples
    --------
    >>> print(visible("a\u202eb\n"))
    a\u202eb\n
    """
    if not text.isprintable():
        text = "".join(mark if mark.isprintable() else _escape(mark) for mark in text)
    return text if text.isascii() else _FLOOD.sub(lambda found: _escape(found[0]), text)


def _escape(mark: str) -> str:
    return mark.encode("unicode_escape").decode("ascii")


def cut(text: str, width: int = 60) -> str:
    """The text, or its beginning and end where it is longer than ``width`` characters.

    Examples
    --------
    >>> cut("a" * 50 + "b" * 50, 12)
    'aaaaaaa…bbbb'
    """
    if len(text) <= width:
        return text
    tail = width // 3
    return f"{text[: width - tail - 1]}…{text[-tail:]}"


def said(text: str, width: int = 400) -> str:
    """A message made elsewhere, which may quote names: visible, cut, without its full stop."""
    return cut(visible(text), width).removesuffix(".")


def listed(names: Sequence[str], most: int = _NAMED_AT_MOST) -> Phrase:
    """Names as an enumeration, those beyond ``most`` as a count.

    Examples
    --------
    >>> plain(listed(["a", "b", "c"])), plain(listed(["a", "b", "c", "d"], most=2))
    ('`a`, `b` and `c`', '`a`, `b` and 2 more')
    """
    shown = [Name(name) for name in names[:most]]
    last: str | Name = f"{len(names) - most:,} more" if len(names) > most else shown.pop()
    pieces: list[str | Name] = []
    for name in shown:
        pieces += [name, ", "]
    return (*pieces[:-1], " and ", last) if pieces else (last,)


def p_text(p_value: float) -> str:
    """A p-value with three significant digits, never 0.

    Examples
    --------
    >>> p_text(0.03123), p_text(4.561e-7), p_text(5e-324), p_text(1.0)
    ('0.0312', '4.56e-7', '< 1e-300', '1')
    """
    if math.isnan(p_value):
        return "unknown"
    if p_value < _SMALLEST_P:
        return "< 1e-300"
    return _short_exponent(f"{p_value:.3g}")


def number(value: float) -> str:
    """A number with about four significant digits; infinities as a sign.

    Examples
    --------
    >>> number(0.18249), number(-1234.5678), number(float("-inf")), number(2.5e-7)
    ('0.1825', '-1,235', '-∞', '2.5e-7')
    """
    if math.isnan(value):
        return "unknown"
    if math.isinf(value):
        text = "∞" if value > 0 else "-∞"
    elif 1000 <= abs(value) < 1e7:
        text = f"{value:,.0f}"
    else:
        text = _short_exponent(f"{value:.4g}")
    return text


def effect_text(value: float) -> str:
    """An effect with three decimals; more where three would show nothing of it.

    Examples
    --------
    >>> effect_text(0.2), effect_text(0.00042), effect_text(0.0)
    ('0.200', '0.00042', '0.000')
    """
    if not math.isfinite(value) or 0 < abs(value) < 0.0005 or abs(value) >= 1000:
        return number(value)
    return f"{value:.3f}"


def interval_text(low: float | None, high: float | None) -> str:
    """A 95 % interval, or nothing where the test has none.

    Examples
    --------
    >>> interval_text(0.1, 0.25), interval_text(None, None)
    ('0.100 to 0.250', '')
    """
    if low is None or high is None:
        return ""
    return f"{effect_text(low)} to {effect_text(high)}"


def percent(share: float) -> str:
    """A share in per cent, never rounded to nothing or to all.

    Examples
    --------
    >>> percent(0.125), percent(0.0), percent(0.00001), percent(0.99999)
    ('12.5 %', '0 %', '< 0.1 %', '> 99.9 %')
    """
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def plural(count: int, noun: str) -> str:
    """A count with its noun.

    Examples
    --------
    >>> plural(1, "row"), plural(12000, "row")
    ('1 row', '12,000 rows')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def when(seconds: float | None) -> str:
    """A moment in unix seconds as UTC to the minute; empty for None.

    Examples
    --------
    >>> when(1793714400.0), when(None)
    ('2026-11-03 14:00', '')
    """
    if seconds is None:
        return ""
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        return f"{seconds:g} s"
    return f"{moment:%Y-%m-%d %H:%M}"


def day_and_time(seconds: float) -> str:
    """A moment in unix seconds as one would say it, in UTC.

    Examples
    --------
    >>> day_and_time(1793714400.0)
    '3 Nov 2026, 14:00'
    """
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        return f"{seconds:g} s"
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}, {moment:%H:%M}"


def span(start: float | None, end: float | None) -> str:
    """A stretch of time in UTC; the day is said once if it is the same.

    Examples
    --------
    >>> span(1793714400.0, 1793717999.0)
    '2026-11-03 14:00 to 14:59'
    """
    before, after = when(start), when(end)
    if before == after or not after:
        return before
    return f"{before} to {after.removeprefix(before[:11])}"


def _short_exponent(text: str) -> str:
    mantissa, mark, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if mark else text
