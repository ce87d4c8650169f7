"""The results of one run gathered by test: what metrics and pages both show.

In:    a Run.
Out:   one TestView for each scope and test.
Never: decides whether a value is too large.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from shiftwatch.values import Run, Scope, TwoSampleResult


@dataclass(frozen=True, slots=True)
class TestView:
    """One test in one scope, over its targets: what metrics and pages show of it.

    ``p_value`` is the smallest over the targets times their number, at most 1; ``target`` has it.
    ``effect`` is the largest magnitude, ``effect_low`` its lower 95 % bound.
    """

    __test__ = False  # not a pytest class

    scope: Scope
    test: str
    target: str
    targets: int
    p_value: float
    effect: float
    effect_low: float | None


def by_test(run: Run) -> tuple[TestView, ...]:
    """The results of one run, gathered by scope and test, in the order of the results."""
    groups: defaultdict[tuple[Scope, str], list[TwoSampleResult]] = defaultdict(list)
    for result in run.results:
        groups[result.scope, result.test].append(result)
    return tuple(_view(results) for results in groups.values())


def _view(results: Sequence[TwoSampleResult]) -> TestView:
    likeliest = min(results, key=strength)
    largest = max(results, key=lambda result: abs(result.effect))
    return TestView(
        scope=likeliest.scope,
        test=likeliest.test,
        target=likeliest.target,
        targets=len(results),
        p_value=min(1.0, likeliest.p_value * len(results)),
        effect=abs(largest.effect),
        effect_low=_lower_bound(largest),
    )


def strength(result: TwoSampleResult) -> tuple[float, float, str, str]:
    """Sorts the strongest evidence first; names break ties, so every scrape agrees."""
    return (result.p_value, -abs(result.effect), result.target, result.test)


def _lower_bound(result: TwoSampleResult) -> float | None:
    """Lower bound of the effect's magnitude; a negative effect's interval is mirrored."""
    bound = result.effect_low
    if result.effect < 0:
        bound = None if result.effect_high is None else -result.effect_high
    return None if bound is None else max(0.0, bound)
