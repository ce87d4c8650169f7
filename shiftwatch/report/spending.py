"""What a check cost, in words: by itself, by the million rows, by the day, beside the model.

In:    a Run; what the day up to it cost.
Out:   sentences, and the parts of the whole for a figure; nothing where nothing is known.
Never: measures; leaves out that a number is estimated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from shiftwatch import price
from shiftwatch.price import ENERGY_SOURCES, STAGES, DayCost
from shiftwatch.report.phrase import cut, number, percent, plural, said, visible
from shiftwatch.values import Cost, Run

_LEAST_TOLD = 0.01
"""Share of the CPU time from which on a stage is named in the sentence."""

_LEAST_SHOWN = 0.0005
"""Share below which a part is not shown: it would read 0."""

_ASIDE = {
    "start": "to start the worker",
    "prepare": "to prepare the reference, which is done once",
    "given_up": "for attempts that limits.seconds ended",
}


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the CPU time."""

    name: str
    seconds: float
    share: float

    @property
    def text(self) -> str:
        """Name, seconds and share."""
        return f"{self.name} {amount(self.seconds, 's')}, {percent(self.share)}"


def spending(run: Run, day: DayCost | None = None) -> tuple[str, ...]:
    """What it cost, in sentences; none where the cost is not known."""
    if not run.cost.wall_seconds and not run.cost.cpu_seconds:
        return ()
    found = (_itself(run.cost), _by_million(run), _by_day(day), _beside_the_model(run))
    return tuple(text for text in found if text)


def amount(value: float, unit: str) -> str:
    """An amount with two or three digits: it is no more certain than that.

    Examples
    --------
    >>> amount(0.1874, "s"), amount(1234.5, "J")
    ('0.19 s', '1,230 J')
    """
    return f"{number(float(f'{value:.2g}' if abs(value) < 10 else f'{value:.3g}'))} {unit}"


def energy_text(cost: Cost) -> str:
    """Joules, and whether they were measured."""
    if cost.energy_joules is None:
        return "energy not measured"
    source = cost.energy_source or ""
    how = {"rapl": "measured", "estimate": "estimated"}.get(source, said(source, 60))
    return f"{amount(cost.energy_joules, 'J')} ({how})"


def energy_meaning(cost: Cost) -> str:
    """How the joules were found and what they assume; empty where there are none."""
    return ENERGY_SOURCES.get(cost.energy_source or "", "")


def _itself(cost: Cost) -> str:
    asides = [
        f"{amount(cost.stages[stage], 's')} of it {why}"
        for stage, why in _ASIDE.items()
        if cost.stages.get(stage, 0.0) > _LEAST_TOLD * cost.cpu_seconds
    ]
    cpu = f"{amount(cost.cpu_seconds, 's')} of CPU"
    if asides:
        cpu += f" ({' and '.join(asides)})"
    held = f"{number(round(cost.peak_memory_bytes / 1e6))} MB at most"
    clock = f"{amount(cost.wall_seconds, 's')} by the clock"
    return f"This check took {', '.join((cpu, clock, energy_text(cost), held))}."


def _by_million(run: Run) -> str:
    cpu = price.per_million(price.recurring_seconds(run.cost), run.batch.rows)
    joules = price.per_million(price.recurring_joules(run.cost), run.batch.rows)
    if cpu is None:
        return ""
    told = f"Per million rows in batches of this size: {amount(cpu, 's')} of CPU"
    return f"{told}." if joules is None else f"{told}, {amount(joules, 'J')}."


def _by_day(day: DayCost | None) -> str:
    if day is None:
        return ""
    return (
        f"The 24 hours up to it: {plural(day.checks, 'check')} of {plural(day.rows, 'row')} took "
        f"{amount(day.cpu_seconds, 's')} of CPU, {amount(day.energy_joules, 'J')}."
    )


def _beside_the_model(run: Run) -> str:
    ratio = price.watching_ratio(run)
    if ratio is None:
        return ""
    much = f"{amount(ratio, 'times')} as much as" if ratio > 2 else f"{percent(ratio)} of"
    rows = plural(run.cost.rows, "row")
    how = f"batch inference: {rows} in one call"
    if run.cost.rows < run.batch.rows:
        how += f", scaled to {run.batch.rows:,}"
    return f"Watching costs {much} the model's own CPU time on these rows ({how})."


def by_stage(cost: Cost) -> list[Part]:
    """Stages in their order, then any that this release does not know."""
    return list(_parts(cost.stages, cost.cpu_seconds, list(STAGES)))


def by_test(cost: Cost) -> list[Part]:
    """Tests, the most expensive first, with their share in all of the CPU time."""
    ordered = sorted(cost.tests, key=lambda test: -cost.tests[test])
    return list(_parts(cost.tests, cost.cpu_seconds, ordered))


def _parts(seconds: Mapping[str, float], whole: float, order: list[str]) -> Iterator[Part]:
    names = [name for name in order if name in seconds]
    names += [name for name in seconds if name not in names]
    for name in names:
        share = min(1.0, max(0.0, seconds[name] / whole)) if whole > 0 else 0.0
        if share < _LEAST_SHOWN:
            continue
        yield Part(cut(visible(name.replace("_", " ")), 30), seconds[name], share)


def parts_lines(cost: Cost) -> Iterator[str]:
    """The same parts as text, for a place without figures."""
    for what, parts in (("stage", by_stage(cost)), ("test", by_test(cost))):
        if parts:
            told = (f"{part.name} {amount(part.seconds, 's')}" for part in parts)
            yield f"CPU time by {what}: {', '.join(told)}."
