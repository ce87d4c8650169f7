"""The estimated performance of a model as metrics.

In:    the explanation of the last run.
Out:   points, none where nothing was estimated.
Never: fails on a form it does not know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from shiftwatch.metrics.point import Point
from shiftwatch.status import ModelStatus

_FAMILY = "shiftwatch_estimated_performance"


def of_model(status: ModelStatus) -> Iterator[Point]:
    """On the reference, the estimate on the last batch, and both ends of its band."""
    run = status.last_run
    told = run.explanation.get("performance") if run is not None else None
    if not isinstance(told, Mapping):
        return
    given = (told.get(key) for key in ("reference", "estimate", "change_low", "change_high"))
    numbers = [float(value) for value in given if isinstance(value, int | float)]
    if len(numbers) < 4:
        return
    reference, estimate, low, high = numbers
    metric = str(told.get("metric", "")).replace(" ", "_")
    for bound, value in (
        ("reference", reference),
        ("estimate", estimate),
        ("low", reference + low),
        ("high", reference + high),
    ):
        yield _FAMILY, (status.name, metric, bound), value
