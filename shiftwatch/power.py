"""The smallest shift a check of this size could have shown.

In:    rows of both sides, inflation by dependence, the level of one comparison.
Out:   shifts in the units of the tests.
Never: sees data; decides anything.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import NormalDist, median
from typing import Any

from scipy.special import chdtri, chndtr, kolmogi

from shiftwatch.promise import luck_factor
from shiftwatch.values import TwoSampleResult

POWER = 0.8
"""Probability with which the shift is found."""

_NORMAL = NormalDist()
_HALVINGS = 60


def effective_rows(m: float, n: float, kappa: float = 1.0) -> float:
    """Size of the comparison, m n / (m + n) / kappa: half of what each side has if both are equal."""
    return m * n / (m + n) / kappa


def detectable_ks(size: float, level: float) -> float:
    """The Kolmogorov-Smirnov distance that is found with a probability of about .8.

    Parameters
    ----------
    size
        Effective size, see :func:`effective_rows`; about 20 or more.
    level
        Level of this one comparison.

    Notes
    -----
    It is the distance at which the test rejects, K(level) / sqrt(size). One would expect to find
    half of the shifts of that size, but the largest of many gaps lies above the true one, for a
    shift of the mean by about .84 of its standard deviation, which makes a half into .8. Measured
    (normal data, 600 runs a cell, batches of 100 to 1000 rows): .79 to .82 at levels .001 and
    1e-5, .82 to .84 at .05.

    Examples
    --------
    >>> round(detectable_ks(476.2, 0.001), 3)
    0.089
    """
    return min(1.0, float(kolmogi(level)) / math.sqrt(size))


def mean_shift_sd(distance: float) -> float:
    """The shift of a normal mean, in standard deviations, that makes this KS distance.

    D = 2 Phi(s / 2) - 1. Infinite at a distance of 1.

    Examples
    --------
    >>> round(mean_shift_sd(0.0797), 3)
    0.2
    """
    return math.inf if distance >= 1 else 2 * _NORMAL.inv_cdf((1 + distance) / 2)


def detectable_tv(size: float, level: float, categories: int, power: float = POWER) -> float:
    """The total variation distance above which any shift of categories is found.

    Notes
    -----
    X2 is noncentral chi-square with lambda = size * sum (p_k - q_k)^2 / p_k, and by Cauchy and
    Schwarz that sum is at least (2 TV)^2. So TV = sqrt(lambda / size) / 2 is enough whatever the
    shift looks like; one within rare categories is found earlier.

    Examples
    --------
    >>> round(detectable_tv(476.2, 0.001, 4), 3)
    0.106
    """
    degrees = max(1, categories - 1)
    edge = float(chdtri(degrees, level))
    low, high = 0.0, 10.0 * (edge + 10.0)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if 1 - chndtr(edge, degrees, middle) < power else (low, middle)
    return min(1.0, math.sqrt(high / size) / 2)


def level_of_one(level: float, targets: Mapping[Any, int], test: str) -> float:
    """The part of a check's level that one comparison of a test gets.

    Parameters
    ----------
    level
        Of the whole check.
    targets
        Comparisons by family, which is a pair (test, scope); each family gets an equal part.
    test
        The largest family of this test counts.
    """
    size = max((count for family, count in targets.items() if family[0] == test), default=1)
    return level / max(1, len(targets)) / size


def outlook(results: Sequence[TwoSampleResult], level: float) -> dict[str, Any]:
    """What one check could have shown, and how lucky its reference may be.

    Parameters
    ----------
    results
        Of one check, with their inflation.
    level
        Level of the whole check; it is divided as the decision does, equally among the families
        of tests and within a family among its targets.

    Returns
    -------
    dict
        ``detectable``: ``ks``, ``mean_shift_sd`` and ``chi2`` as far as these tests ran, each for
        the column of median inflation, with the ``n``, ``m``, ``kappa`` and ``level`` used by
        test; ``luck_factor`` for the first of these tests. Empty where neither ran.
    """
    families = Counter((result.test, result.scope) for result in results)
    detectable: dict[str, Any] = {"power": POWER, "used": {}}
    for test in ("ks", "chi2"):
        own = [result for result in results if result.test == test]
        if own:
            used = _used(own, level_of_one(level, families, test))
            detectable["used"][test] = used
            detectable |= smallest(test, used)
    if not detectable["used"]:
        return {}
    first = next(iter(detectable["used"].values()))
    return {"detectable": detectable, "luck_factor": luck(first)}


def _used(own: Sequence[TwoSampleResult], level: float) -> dict[str, Any]:
    cells = [result.explanation.get("categories", 2) for result in own]
    return {
        "n": round(median(result.rows_current for result in own)),
        "m": round(median(result.rows_reference for result in own)),
        "kappa": median(result.inflation for result in own),
        "level": level,
        "categories": round(median(cells)),
    }


def smallest(test: str, used: Mapping[str, Any]) -> dict[str, float]:
    """The detectable shift of one test, from the numbers it is computed with."""
    size = effective_rows(used["m"], used["n"], used["kappa"])
    if test == "chi2":
        return {"chi2": detectable_tv(size, used["level"], max(2, round(used["categories"])))}
    distance = detectable_ks(size, used["level"])
    # JSON has no infinity: 6 deviations lie as far apart as samples can tell
    return {"ks": distance, "mean_shift_sd": min(6.0, mean_shift_sd(distance))}


def luck(used: Mapping[str, Any]) -> float:
    """The luck factor for the same numbers; dependence enlarges both sides alike."""
    return luck_factor(used["m"], used["n"], used["level"])
