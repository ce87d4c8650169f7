"""The promise on false alarms: in time, and as it turns out for one reference.

In:    numbers of the configuration and of the samples.
Out:   a factor; sentences for people.
Never: reads a clock; imports more than plain mathematics, so that every process may ask it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import NormalDist, median
from typing import Any

_NORMAL = NormalDist()
_UNITS = ((365.25 * 86400, "year"), (86400.0, "day"), (3600.0, "hour"), (60.0, "minute"))


def luck_factor(m: float, n: float, level: float, *, quantile: float = 0.95) -> float:
    """How much more often than promised one reference may alarm: a quantile over references.

    All checks share one reference, whose own sampling error stays. Over many references the mean
    rate of false alarms is the level; a single deployment has one reference, and its rate may be
    larger for ever. With probability ``quantile`` it is at most this factor times the level.

    Parameters
    ----------
    m, n
        Rows of reference and batch; effective ones where rows depend on each other.
    level
        Level of a single comparison, in (0, 1).
    quantile
        Share of references.

    Returns
    -------
    float
        P(|Z| > c | reference) / level at the given quantile of the reference's error. Below 1
        where a large batch makes nearly all references quiet and a few very loud.

    Notes
    -----
    Two-sided test of a mean, normal. Statistics of two batches have the correlation
    rho = n / (m + n), so given the reference Z = sqrt(rho) R + sqrt(1 - rho) E with R fixed. The
    rate grows with |R|, so its quantile is the rate at the quantile of |R|: closed form.
    Approximate for other tests; the order of size is the same.

    Examples
    --------
    >>> round(luck_factor(1900, 100, 0.001), 2), round(luck_factor(400, 100, 0.05), 2)
    (1.78, 2.27)
    """
    rho = n / (m + n)
    bound = -_NORMAL.inv_cdf(level / 2)
    luck = math.sqrt(rho) * _NORMAL.inv_cdf((1 + quantile) / 2)
    rest = math.sqrt(2 * (1 - rho))
    beyond = math.erfc((bound - luck) / rest) + math.erfc((bound + luck) / rest)
    return beyond / 2 / level


def span_text(seconds: float) -> str:
    """A length of time in the largest unit that gives 1 or more, with two digits at most.

    Examples
    --------
    >>> span_text(302_400), span_text(86_400), span_text(59)
    ('3.5 days', '1 day', '59 seconds')
    """
    size, unit = next(((s, u) for s, u in _UNITS if seconds >= s), (1.0, "second"))
    number = _rounded(seconds / size)
    return f"{number} {unit}" if number == "1" else f"{number} {unit}s"


def _rounded(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0") if number < 10 else f"{number:,.0f}".replace(",", " ")


def pace_seconds(every: float | None, windows: Sequence[float | None]) -> float | None:
    """Seconds between two batches if one comes as soon as it can; None where that is not known.

    Parameters
    ----------
    every
        Seconds between two looks; None where they follow a cron expression.
    windows
        For each model the seconds of its time windows; None where batches are not cut by time.

    Examples
    --------
    >>> pace_seconds(300.0, [3600.0]), pace_seconds(300.0, [None]), pace_seconds(300.0, [60.0, None])
    (3600.0, 300.0, 300.0)
    >>> pace_seconds(300.0, [3600.0, None]) is None  # models differ
    True
    """
    paces = {max(window, every or 0.0) if window is not None else every for window in windows}
    return paces.pop() if len(paces) == 1 else None


def promise_text(
    per_checks: int, seconds_per_check: float | None, *, per_days: float | None = None
) -> str:
    """The promise in both units: checks, and time where a pace is known.

    Parameters
    ----------
    per_checks
        Checks per expected false alarm at most; without meaning where ``per_days`` is given.
    seconds_per_check
        Time between two batches; None where it is not known.
    per_days
        Days per expected false alarm at most, if the promise is made in days.

    Examples
    --------
    >>> promise_text(1000, 300.0)
    'at most 1 expected false alarm in 1000 checks: 1 in 3.5 days at one batch every 5 minutes'
    >>> promise_text(1000, None)
    'at most 1 expected false alarm in 1000 checks'
    >>> promise_text(1000, 300.0, per_days=180)
    'at most 1 expected false alarm in 180 days: 1 in 51,840 checks at one batch every 5 minutes'
    """
    unit = f"{per_checks} checks" if per_days is None else _days(per_days)
    text = f"at most 1 expected false alarm in {unit}"
    if seconds_per_check is None:
        return text
    if per_days is None:
        whole = span_text(per_checks * seconds_per_check)
    else:
        whole = _checks(per_days * 86400 / seconds_per_check)
    return f"{text}: 1 in {whole} at one batch every {_pace_text(seconds_per_check)}"


def _days(days: float) -> str:
    return f"{days:g} day" if days == 1 else f"{days:g} days"


def _checks(number: float) -> str:
    whole = max(1, round(number))
    return "1 check" if whole == 1 else f"{whole:,} checks"


def _pace_text(seconds: float) -> str:
    return span_text(seconds).removeprefix("1 ")


_PACED = 50
"""Gaps between batches of which the median is the pace."""


def pace(points: Sequence[Mapping[str, Any]]) -> float | None:
    """Seconds between two batches, as the last of them came: the median of up to 50 gaps.

    Parameters
    ----------
    points
        Judged batches in any order, each with ``judged_at`` and perhaps ``event_time_end`` (unix
        seconds). Event times are taken if all of the last batches have one, since a backlog is
        judged faster than it came.

    Returns
    -------
    float or None
        None for fewer than three batches, and where half of them bear one and the same time.

    Examples
    --------
    >>> pace([{"judged_at": second, "event_time_end": 300.0 * second} for second in range(5)])
    300.0
    """
    last = sorted(points, key=lambda point: point["judged_at"])[-_PACED - 1 :]
    times = [point.get("event_time_end") for point in last]
    known = [time for time in times if time is not None]
    moments = sorted(known) if len(known) == len(last) else [p["judged_at"] for p in last]
    gaps = [after - before for before, after in pairwise(moments)]
    middle = median(gaps) if len(gaps) > 1 else 0.0
    return middle if 0 < middle < math.inf else None


def promised(
    points: Sequence[Mapping[str, Any]], per_checks: int, per_days: float | None = None
) -> str:
    """The promise at the pace seen; ``points`` as for :func:`pace`."""
    return promise_text(per_checks, pace(points), per_days=per_days)


def survey_lines(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """What was measured on a reference, in lines for people.

    Parameters
    ----------
    facts
        As answered to ``requests.Survey``.
    """
    return (
        _dependence_line(facts),
        _season_line(facts),
        *_detectable_lines(facts),
        *(f"note: {text}" for text in facts["doubts"]),
    )


def _dependence_line(facts: Mapping[str, Any]) -> str:
    order = "in order of event time" if facts["ordered"] else "in the order of the file"
    if not facts["judged"]:
        return f"dependence between rows: not measured, {facts['rows']} rows are too few"
    if not facts["dependent"]:
        return f"dependence between rows {order}: none found; every row counts"
    worst, median = facts["worst"], facts["median"]
    if worst["kappa"] <= 1:
        return f"dependence between rows {order}: found; no p-value takes it into account"
    return (
        f"dependence between rows {order}: found; {facts['rows']} rows say as much as "
        f"{_effective(facts['rows'], median['kappa'])} independent ones (median column), "
        f"{_effective(facts['rows'], worst['kappa'])} ({worst['target']}, the worst); "
        "p-values are widened accordingly"
    )


def _effective(rows: float, kappa: float) -> int:
    return max(1, round(rows / kappa))


def _season_line(facts: Mapping[str, Any]) -> str:
    if not facts["timed"]:
        return "season: not measured; it needs `columns: {time: NAME}`"
    told = [
        f"{name} (up to {100 * found['share']:.0f} % of the variance, {found['column']})"
        for name, found in facts["season"].items()
    ]
    return f"season: {', '.join(told) if told else 'none found'}"


def _smallest_text(distance: float, deviations: float) -> str:
    if distance > 0.95:
        return "no change of a column but a complete one"
    return f"a mean shifted by {deviations:.2f} standard deviations (KS {distance:.3f})"


def luck_text(factor: float) -> str:
    """How far one reference's luck may carry the rate of false alarms.

    Examples
    --------
    >>> luck_text(1.78)
    'for 95 % of references the rate of false alarms is below 1.8 times the promise'
    """
    times = f"{max(1.0, factor):.1f} times"
    return f"for 95 % of references the rate of false alarms is below {times} the promise"


def detectable_text(seen: Mapping[str, Any], rows: int, kappa: float = 1.0) -> str:
    """The shift a single batch shows, in a sentence; empty where nothing is known of it.

    Parameters
    ----------
    seen
        As made by ``power.outlook`` under ``detectable``.
    rows
        Of the batch.
    kappa
        Inflation by dependence; more than 1 is told.

    Examples
    --------
    >>> detectable_text({"chi2": 0.11}, 500)
    'a batch of 500 rows shows with probability .8: 11 % of the rows in other categories'
    """
    parts = []
    if "ks" in seen:
        parts.append(_smallest_text(seen["ks"], seen["mean_shift_sd"]))
    if "chi2" in seen:
        parts.append(f"{100 * seen['chi2']:.0f} % of the rows in other categories")
    batch = f"a batch of {rows} rows"
    if kappa > 1:
        batch += f" (as good as {_effective(rows, kappa)} independent ones)"
    return f"{batch} shows with probability .8: {', '.join(parts)}" if parts else ""


def _detectable_lines(facts: Mapping[str, Any]) -> tuple[str, ...]:
    seen = facts["detectable"]
    if not seen:
        return ()
    return (
        detectable_text(seen, facts["batch_rows"], facts["batch_kappa"]),
        f"luck of the reference: {luck_text(facts['luck_factor'])}",
    )
