"""Columns by their part in what differs, those that the decision rests on first.

In:    a Run.
Out:   one row a column, with its profile, results and skips; the joint results.
Never: leaves out a column that was tested.
"""

from __future__ import annotations

from dataclasses import dataclass

from shiftwatch.contribution import contribution
from shiftwatch.values import ColumnProfile, Run, Scope, Skipped, TwoSampleResult

JOINT = "*"

_BROKEN = frozenset({"missing_column", "changed_type"})
"""Why a column could not be tested at all though it should have been: faults, not evidence."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """What is known of one column in one scope.

    ``named`` is True where the decision names this column as moved, ``also`` where it is on the
    wider list only.
    """

    name: str
    profile: ColumnProfile | None
    results: tuple[TwoSampleResult, ...]
    skipped: tuple[Skipped, ...]
    named: bool
    also: bool
    share: float = 0.0
    """Its part in all that differs in the scope, 0 where that is no more than noise."""

    @property
    def order(self) -> tuple[float, float, float, float]:
        """Broken columns first, then by their part in what differs, then by evidence; untested last."""
        if not self.results:
            broken = any(skip.reason in _BROKEN for skip in self.skipped)
            return (-2.0 if broken else 2.0, 0.0, 0.0, 0.0)
        strongest = min(self.results, key=lambda r: (r.p_value, -abs(r.effect)))
        # What the decision rests on comes before what may still be chance.
        first = -1.0 if self.named else -self.share / 2
        return (first, -self.share, strongest.p_value, -abs(strongest.effect))


def ranked(run: Run, scope: Scope) -> tuple[Ranked, ...]:
    """The columns of a scope, those that matter most first."""
    results: dict[str, list[TwoSampleResult]] = {}
    skipped: dict[str, list[Skipped]] = {}
    for result in run.results:
        if result.scope == scope and result.target != JOINT:
            results.setdefault(result.target, []).append(result)
    for skip in run.skipped:
        if skip.scope == scope and skip.target != JOINT:
            skipped.setdefault(skip.target, []).append(skip)
    profiles = {profile.name: profile for profile in run.columns if profile.role == scope}
    own = [decision for decision in run.decisions if decision.scope == scope]
    named = {name for decision in own for name in decision.columns}
    also = {name for decision in own for name in decision.also_moving}
    shares = {each.column: each.share for each in contribution(run.results).get(scope, ())}
    rows = [
        Ranked(
            name,
            profiles.get(name),
            tuple(sorted(results.get(name, ()), key=lambda r: r.p_value)),
            tuple(skipped.get(name, ())),
            name in named,
            name in also,
            shares.get(name, 0.0),
        )
        for name in dict.fromkeys((*profiles, *results, *skipped))
    ]
    return tuple(sorted(rows, key=lambda row: row.order))


def joint(run: Run) -> tuple[TwoSampleResult, ...]:
    """Results of the tests of all columns of a scope together."""
    return tuple(result for result in run.results if result.target == JOINT)
