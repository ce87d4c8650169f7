"""The metrics of what watching costs.

In:    statuses of models.
Out:   samples, as ``exposition`` renders them.
Never: makes a 0 of what is not known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import get_args

from shiftwatch import price
from shiftwatch.budget import Step
from shiftwatch.metrics.point import Point
from shiftwatch.price import ENERGY_SOURCES, STAGES
from shiftwatch.status import Counts, Histogram, ModelStatus, added


def of_all(models: Iterable[ModelStatus], departed: Counts) -> Iterator[Point]:
    """Counters over all models, also those that were removed: stages, tests, joules."""
    stages = dict.fromkeys(STAGES, 0.0) | dict(departed.stage_seconds)
    joules = dict.fromkeys(ENERGY_SOURCES, 0.0) | dict(departed.energy_joules)
    tests: defaultdict[str, list[Histogram]] = defaultdict(list)
    tests.update({test: [histogram] for test, histogram in departed.test_seconds.items()})
    for status in models:
        for stage, seconds in status.counts.stage_seconds.items():
            stages[stage] = stages.get(stage, 0.0) + seconds
        for source, spent in status.counts.energy_joules.items():
            joules[source] = joules.get(source, 0.0) + spent
        known = dict.fromkeys(status.tests, Histogram()) | dict(status.counts.test_seconds)
        for test, histogram in known.items():
            tests[test].append(histogram)
    for stage, seconds in stages.items():
        yield "shiftwatch_stage_seconds_total", (stage,), seconds
    for source, spent in joules.items():
        yield "shiftwatch_energy_joules_total", (source,), spent
    for test, histograms in tests.items():
        yield from _histogram("shiftwatch_test_duration_seconds", (test,), histograms)


def _histogram(name: str, labels: tuple[str, ...], parts: Sequence[Histogram]) -> Iterator[Point]:
    """The sum of histograms of the same bounds."""
    whole = added(parts)
    bounds = (*map(str, whole.bounds), "+Inf")
    for bound, count, exemplar in zip(bounds, whole.buckets, whole.exemplars, strict=True):
        yield f"{name}_bucket", (*labels, bound), count, exemplar
    yield f"{name}_count", labels, whole.buckets[-1]
    yield f"{name}_sum", labels, whole.total


def of_model(status: ModelStatus) -> Iterator[Point]:
    """What the checks of a model cost."""
    name, counts = status.name, status.counts
    yield "shiftwatch_cpu_seconds_total", (name,), counts.cpu_seconds
    yield from _histogram("shiftwatch_batch_duration_seconds", (name,), (counts.batch_seconds,))
    for step in get_args(Step)[1:]:
        yield "shiftwatch_degraded_total", (name, step), counts.degraded.get(step, 0)
    yield from _last_check(status)
    yield from _last_day(status)


def _last_check(status: ModelStatus) -> Iterator[Point]:
    run = status.last_run
    if run is None:
        return
    name, cost = status.name, run.cost
    yield "shiftwatch_check_cpu_seconds", (name,), cost.cpu_seconds
    yield "shiftwatch_check_peak_memory_bytes", (name,), cost.peak_memory_bytes
    if cost.energy_joules is not None and cost.energy_source is not None:
        yield "shiftwatch_check_energy_joules", (name, cost.energy_source), cost.energy_joules
    ratio = price.watching_ratio(run)
    if ratio is not None:
        yield "shiftwatch_watching_cost_ratio", (name,), ratio


def _last_day(status: ModelStatus) -> Iterator[Point]:
    day = status.day
    if day is None:
        return
    name = status.name
    yield "shiftwatch_day_cpu_seconds", (name,), day.cpu_seconds
    yield "shiftwatch_day_energy_joules", (name,), day.energy_joules
    for what, amount in (
        ("cpu_seconds", day.cpu_seconds),
        ("energy_joules", day.energy_joules),
    ):
        known = price.per_million(amount, day.rows)
        if known is not None:
            yield f"shiftwatch_million_rows_{what}", (name,), known
