"""From evidence of three layers to alarms that hold until the shift is over.

In:    weighed results, findings, slow evidence by scope, what was remembered.
Out:   one Decision per scope, the new State, the answer of the check.
Never: divides the level; sees data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from shiftwatch.decide.family import Weighed, also_moving, named, weigh
from shiftwatch.decide.policy import Level, Policy
from shiftwatch.decide.state import ScopeState, State
from shiftwatch.values import (
    TESTED_SCOPES,
    Decision,
    Evidence,
    Finding,
    Scope,
    Skipped,
    SlowEvidence,
    TwoSampleResult,
    Verdict,
)

QUIET_CHECKS = 3
"""An alarm of a tested scope clears after this many consecutive quiet checks."""

QUIET_ABOVE = 0.05
"""A check is quiet when the scope's corrected p-value, taken alone, is above this."""

QUIET_POOL = 0.75
"""... and the strongest chart of the pool stands below this part of its threshold: seldom reached
without a shift, so a shift that goes on is not forgotten by chance."""

QUIET_WINDOW = 1.0
"""... and, if a window alone has raised the alarm, no window that was full last is above it."""

Slow = Mapping[Scope, Mapping[str, SlowEvidence]]
"""Slow evidence by scope and layer (``window``, ``pool``)."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What one check found, before anything is decided."""

    results: Sequence[TwoSampleResult]
    skipped: Sequence[Skipped] = ()
    findings: Sequence[Finding] = ()
    slow: Slow = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Scoped:
    """The evidence of one tested scope."""

    p_value: float | None
    level: float
    slow: Mapping[str, SlowEvidence]
    columns: tuple[str, ...]
    also: tuple[str, ...]

    def crossed(self, *, alarmed: bool, frozen: bool) -> tuple[str, ...]:
        """Layers whose threshold was crossed on this very batch.

        While an alarm is on only the check by itself crosses anew: a chart stays high for a while,
        and a window still holds the batches that raised the alarm. While that of another scope is
        on the pool stands still, and what it happens to be off by adds up in every chart.
        """
        check = self.p_value is not None and self.p_value <= self.level
        slow = [
            name
            for name, layer in self.slow.items()
            if layer.crossed and not alarmed and not (frozen and name == "pool")
        ]
        return (*(("check",) if check else ()), *slow)

    def loud(self, *, by_window: bool) -> bool:
        """Whether this check puts off the clearing; one that crossed always does.

        Windows have a say only in what none of the other layers has seen: after a shift is over,
        the long ones still hold it.
        """
        p_value = 1.0 if self.p_value is None else self.p_value
        check = p_value <= max(QUIET_ABOVE, self.level)
        window = self.slow.get("window", SlowEvidence(0.0)).ratio >= QUIET_WINDOW
        pool = self.slow.get("pool", SlowEvidence(0.0)).ratio >= QUIET_POOL
        return check or pool or (window and by_window)

    def evidence(self) -> Evidence:
        """By layer, over the threshold."""
        check = None if self.p_value is None else _ratio(self.p_value, self.level)
        window, pool = (self.slow.get(name) for name in ("window", "pool"))
        return Evidence(
            check, None if window is None else window.ratio, None if pool is None else pool.ratio
        )


def decide(
    looked: Looked, before: tuple[State, str], policy: Policy, level: Level
) -> tuple[tuple[Decision, ...], State]:
    """Decide on every scope after one batch.

    Parameters
    ----------
    looked
        Evidence of the batch.
    before
        State after the batch before, and the id of this batch.
    policy
        The promise and the tolerances.
    level
        What this check may spend, by layer.
    """
    state, batch_id = before
    weighed = weigh(looked.results, looked.skipped, policy)
    movers = named(weighed, level.check)
    also = also_moving(weighed)
    frozen = any(state.scopes.get(scope, ScopeState()).alarm for scope in TESTED_SCOPES)
    decisions = []
    scopes: dict[Scope, ScopeState] = {}
    for scope in TESTED_SCOPES:
        own = [entry for entry in weighed if entry.result.scope == scope]
        past = state.scopes.get(scope, ScopeState())
        scoped = _Scoped(
            p_value=_smallest(own),
            level=level.check,
            slow=looked.slow.get(scope, {}) if own else {},
            columns=_targets(movers, scope),
            also=_targets(also, scope),
        )
        decision, scopes[scope] = _tested(scope, scoped, (past, batch_id), frozen=frozen)
        decisions.append(decision)
    schema = _schema(looked.findings, (state.scopes.get("schema", ScopeState()), batch_id))
    scopes["schema"] = ScopeState(schema.alarm, 0, schema.since)
    after = replace(state, checks=state.checks + bool(looked.results), scopes=scopes)
    return (*decisions, schema), after


def _smallest(own: Sequence[Weighed]) -> float | None:
    """Smallest corrected p-value among what matters; None where nothing was tested."""
    if not own:
        return None
    return min([entry.corrected for entry in own if entry.matters], default=1.0)


def _targets(results: Sequence[TwoSampleResult], scope: Scope) -> tuple[str, ...]:
    """Columns in order of evidence, each once; joint tests name no column."""
    names = [result.target for result in results if result.scope == scope and result.target != "*"]
    return tuple(dict.fromkeys(names))


def _tested(
    scope: Scope, scoped: _Scoped, past: tuple[ScopeState, str], *, frozen: bool
) -> tuple[Decision, ScopeState]:
    before, batch_id = past
    if scoped.p_value is None:
        decision = Decision(
            scope,
            before.alarm,
            False,
            False,
            Evidence(),
            None,
            scoped.level,
            since=before.since,
            change_from=before.change_from,
        )
        return decision, before
    crossed = scoped.crossed(alarmed=before.alarm, frozen=frozen)
    quiet = 0 if scoped.loud(by_window=before.by_window) else before.quiet + 1
    cleared = before.alarm and not crossed and quiet >= QUIET_CHECKS
    alarm = bool(crossed) or (before.alarm and not cleared)
    raised = bool(crossed) and not before.alarm
    columns = _named_columns(scoped)
    decision = Decision(
        scope=scope,
        alarm=alarm,
        raised=raised,
        cleared=cleared,
        evidence=scoped.evidence(),
        p_value=scoped.p_value,
        level=scoped.level,
        columns=columns,
        since=(batch_id if raised else before.since) if alarm else None,
        crossed=crossed,
        also_moving=tuple(name for name in scoped.also if name not in columns),
        change_from=(_began(scoped, crossed, (before, batch_id)) if raised else before.change_from)
        if alarm
        else None,
    )
    by_window = crossed == ("window",) if raised else before.by_window and alarm
    height = decision.evidence.pool or 0.0
    return decision, ScopeState(
        alarm, quiet, decision.since, decision.change_from, by_window, height
    )


def _named_columns(scoped: _Scoped) -> tuple[str, ...]:
    """Columns named by this check, then those the crossing slow layers rest on."""
    slow = [layer.columns for layer in scoped.slow.values()]
    return tuple(dict.fromkeys([*scoped.columns, *(name for names in slow for name in names)]))


def _began(scoped: _Scoped, crossed: Sequence[str], past: tuple[ScopeState, str]) -> str:
    """The batch with which the change is estimated to have begun.

    A check that crosses began with itself, unless a chart was on its way before: charts rise a
    little by chance all the time. Else the chart of the pool knows best: its last zero. A window
    knows its first batch.
    """
    before, batch_id = past
    pool, window = scoped.slow.get("pool"), scoped.slow.get("window")
    if "check" in crossed and before.pool < QUIET_POOL:
        return batch_id
    if pool is not None and pool.change_from is not None and pool.ratio >= QUIET_POOL:
        return pool.change_from
    if window is not None and window.crossed:
        return window.change_from or batch_id
    return batch_id


def _ratio(p_value: float, level: float) -> float:
    return max(0.0, math.log(p_value) / math.log(level))


def carried(state: State, policy: Policy) -> tuple[Decision, ...]:
    """The alarms as they stand, for a batch on which nothing could be decided."""
    level = policy.level().check
    return tuple(
        Decision(
            scope,
            past.alarm,
            False,
            False,
            Evidence(),
            None,
            level,
            since=past.since,
            change_from=past.change_from,
        )
        for scope, past in sorted(state.scopes.items())
    )


def _schema(findings: Sequence[Finding], past: tuple[ScopeState, str]) -> Decision:
    """Schema faults are facts: the alarm holds while they last."""
    before, batch_id = past
    invalid = [finding for finding in findings if finding.severity == "invalid"]
    alarm = bool(invalid)
    return Decision(
        scope="schema",
        alarm=alarm,
        raised=alarm and not before.alarm,
        cleared=before.alarm and not alarm,
        evidence=Evidence(check=1.0 if alarm else 0.0),
        p_value=None,
        level=0.0,
        columns=tuple(dict.fromkeys(finding.column for finding in invalid if finding.column)),
        since=(before.since if before.alarm else batch_id) if alarm else None,
    )


def verdict(decisions: Sequence[Decision], looked: Looked) -> Verdict:
    """The answer of this check alone: only a check in which something was tested can be quiet.

    ``shift`` if any layer crossed its threshold on this very batch.
    """
    if any(decision.crossed for decision in decisions):
        return "shift"
    if any(skip.reason == "test_failed" for skip in looked.skipped):
        return "error"
    if any(finding.severity == "invalid" for finding in looked.findings):
        return "invalid_data"
    return "no_shift" if looked.results else "insufficient_data"
