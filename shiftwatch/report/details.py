"""What one result says beyond its numbers, and what the whole check could have shown.

In:    results with their explanation, a Run.
Out:   phrases; empty where the explanation has nothing of the kind.
Never: trusts the shape of an explanation; shows a value of a row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from shiftwatch.promise import detectable_text, luck_text
from shiftwatch.report.phrase import Name, Phrase, number
from shiftwatch.values import Run, TwoSampleResult

_QUANTILES_SHOWN = 7
_ROWS_SHOWN = 8
_MOVES_SHOWN = 8


def is_number(value: Any) -> TypeGuard[float]:
    """Whether it is a number to reckon with, which True is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def effective_rows(result: TwoSampleResult) -> tuple[int, int] | None:
    """Independent rows that say as much, reference and current; None where every row counts."""
    kappa = result.inflation
    if not math.isfinite(kappa) or kappa <= 1:
        return None
    return max(1, round(result.rows_reference / kappa)), max(1, round(result.rows_current / kappa))


def inflated(run: Run) -> bool:
    """Whether dependence between rows has widened any p-value."""
    return any(effective_rows(result) is not None for result in run.results)


# --- how far a column moved --------------------------------------------------------------------


def movement(result: TwoSampleResult) -> str:
    """How far the values moved, in the column's own unit, as far as the test says so.

    Examples
    --------
    >>> moved = {"wasserstein_over_iqr": 0.31, "wasserstein_low": 0.25, "wasserstein_high": 0.4}
    >>> movement(TwoSampleResult("ks", "x", "input", .1, .1, .1, None, None, 9, 9, moved))
    'moved by 0.31 of the interquartile range on average (0.25 to 0.4)'
    """
    given = result.explanation
    parts = []
    if is_number(given.get("wasserstein_over_iqr")):
        span = _between(given.get("wasserstein_low"), given.get("wasserstein_high"))
        far = _short(given["wasserstein_over_iqr"])
        parts.append(f"moved by {far} of the interquartile range on average{span}")
    shifts = [_quantile(entry) for entry in _entries(given.get("quantile_shifts"))]
    told = [text for text in shifts if text][:_QUANTILES_SHOWN]
    if told:
        parts.append("quantiles: " + ", ".join(told))
    return "; ".join(parts)


def _entries(given: Any) -> list[Mapping[str, Any]]:
    if not isinstance(given, Sequence) or isinstance(given, str):
        return []
    return [entry for entry in given if isinstance(entry, Mapping)]


def _quantile(entry: Mapping[str, Any]) -> str:
    level, shift = entry.get("level"), entry.get("shift")
    if not (is_number(level) and is_number(shift)):
        return ""
    sign = "+" if shift > 0 else ""
    return f"{level:g}: {sign}{_short(shift)}{_between(entry.get('low'), entry.get('high'))}"


def _short(value: float) -> str:
    """Two significant digits for what is an estimate."""
    return number(float(f"{value:.2g}"))


def _between(low: Any, high: Any) -> str:
    return f" ({_short(low)} to {_short(high)})" if is_number(low) and is_number(high) else ""


# --- what a joint test saw ---------------------------------------------------------------------


def witnesses(result: TwoSampleResult) -> tuple[Phrase, ...]:
    """Rows by their position and columns by their movement, as a joint test names them."""
    given = result.explanation
    found: list[Phrase] = []
    for key, side, other in (
        ("appeared", "the batch", "the reference"),
        ("vanished", "the reference", "the batch"),
    ):
        rows = _positions(given.get(key))
        if rows:
            found.append((f"{rows} of {side} are the least like {other} (counted from 0).",))
    moves = [_move(entry) for entry in _entries(given.get("moves"))][:_MOVES_SHOWN]
    told = [move for move in moves if move]
    if told:
        pieces = [piece for move in told for piece in (*move, ", ")][:-1]
        found.append(("What sets them apart: ", *pieces, "."))
    return tuple(found)


def _positions(given: Any) -> str:
    if not isinstance(given, Sequence) or isinstance(given, str):
        return ""
    places = [str(place) for place in given if isinstance(place, int)]
    more = f" and {len(places) - _ROWS_SHOWN:,} more" if len(places) > _ROWS_SHOWN else ""
    return f"Rows {', '.join(places[:_ROWS_SHOWN])}{more}" if places else ""


def _move(entry: Mapping[str, Any]) -> Phrase:
    column, change = entry.get("column"), entry.get("change_in_sd")
    if not (isinstance(column, str) and is_number(change)):
        return ()
    what = entry.get("what")
    word = f" {what}" if isinstance(what, str) and what.isprintable() and len(what) < 40 else ""
    return (Name(column), f"{word} {change:+.2f} standard deviations")


# --- what the check could have shown -----------------------------------------------------------


def outlook(run: Run) -> tuple[str, ...]:
    """The smallest shift this check shows with probability .8, and the luck of the reference."""
    seen, factor = run.explanation.get("detectable"), run.explanation.get("luck_factor")
    found = []
    if isinstance(seen, Mapping) and all(is_number(seen.get(k, 0.0)) for k in _UNITS):
        found.append(_detectable(seen, _rows_of(seen, run)))
    if is_number(factor):
        found.append(_sentence(f"all checks share one reference: {luck_text(factor)}"))
    return tuple(text for text in found if text)


def detectable(run: Run) -> dict[str, float]:
    """The smallest effect that this check finds in 4 of 5 cases, by test; empty where not known."""
    seen = run.explanation.get("detectable")
    if not isinstance(seen, Mapping):
        return {}
    return {test: float(seen[test]) for test in ("ks", "chi2") if is_number(seen.get(test))}


_UNITS = ("ks", "mean_shift_sd", "chi2")


def _rows_of(seen: Mapping[str, Any], run: Run) -> int:
    """Rows that were compared, which may be fewer than the batch has."""
    used = seen.get("used")
    for entry in used.values() if isinstance(used, Mapping) else ():
        if isinstance(entry, Mapping) and isinstance(entry.get("n"), int):
            return int(entry["n"])
    return run.batch.rows


def _detectable(seen: Mapping[str, Any], rows: int) -> str:
    try:
        text = detectable_text(seen, rows)
    except KeyError:  # a distance without its shift, from another release
        return ""
    return _sentence(text)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""
