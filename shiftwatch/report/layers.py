"""The three layers of evidence in words: which crossed, how far each stands, what is held back.

In:    Decisions; a Run.
Out:   names and ratios of layers; results that the tolerance holds back; doubts.
Never: judges anew: it reads off what was decided.
"""

from __future__ import annotations

from collections.abc import Mapping

from shiftwatch import decide
from shiftwatch.values import Decision, Finding, Run, Scope, TwoSampleResult

LAYER_NAMES: Mapping[str, str] = {
    "check": "this batch alone",
    "window": "the last batches together",
    "pool": "what has built up over past batches",
}
"""Every layer as it is said in a sentence."""

LAYER_MEANINGS: Mapping[str, str] = {
    "check": "log(p) / log(level) of the smallest corrected p-value of this batch",
    "window": "the same for windows of 2, 4, 8 ... past batches against the reference, each as of "
    "when it was last full",
    "pool": "height of the strongest chart of shifts that build up over batches, over its "
    "threshold; with `memory: cusum` it stops at 1.2",
}
"""How the evidence of a layer is measured."""

DOUBT = "promise_not_kept"
"""Code of the findings that stand against the promise itself."""

ALSO_MOVING = "a wider list at a false discovery rate of 0.05, and no reason for an alarm"


def crossed(decision: Decision) -> tuple[str, ...]:
    """Layers whose threshold was crossed on this very batch.

    A run from before there were layers names none; its p-value says whether the check crossed.
    """
    if decision.crossed or decision.p_value is None:
        return decision.crossed
    return ("check",) if decision.p_value <= decision.level else ()


def ratios(decision: Decision) -> tuple[tuple[str, float], ...]:
    """Evidence over its threshold of each layer that has any; a schema fault is a fact."""
    if decision.scope == "schema":
        return ()
    found = ((layer, getattr(decision.evidence, layer)) for layer in LAYER_NAMES)
    return tuple((layer, ratio) for layer, ratio in found if ratio is not None)


def decision_of(run: Run, scope: Scope) -> Decision | None:
    """The decision on a scope, None if there is none."""
    return next((decision for decision in run.decisions if decision.scope == scope), None)


def latched(run: Run) -> tuple[Decision, ...]:
    """Alarms of tested scopes that are on though nothing crossed on this batch."""
    return tuple(d for d in run.decisions if d.scope != "schema" and d.alarm and not crossed(d))


def held_back(run: Run) -> tuple[TwoSampleResult, ...]:
    """Results significant at the level of the check that do not count, which only the tolerance does.

    Holm's procedure names every result whose corrected p-value is at most the level, so one that is
    not named was held back. A joint test names no column; there the p-value of its scope, the
    smallest of those that count, tells.
    """
    found = []
    for entry in decide.weigh(run.results, run.skipped, decide.Policy()):
        decision = decision_of(run, entry.result.scope)
        if decision is None or decision.p_value is None or entry.corrected > decision.level:
            continue
        joint = entry.result.target == "*"
        counted = decision.p_value <= entry.corrected * (1 + 1e-9)
        if not (counted if joint else entry.result.target in decision.columns):
            found.append(entry.result)
    return tuple(found)


def below_tolerance(run: Run) -> bool:
    """Whether a scope stayed quiet only because what differs is held back by the tolerance."""
    quiet = {d.scope for d in run.decisions if not crossed(d)}
    return any(result.scope in quiet for result in held_back(run))


def doubts(run: Run) -> tuple[Finding, ...]:
    """Why the promise on false alarms cannot be shown to hold for this batch."""
    return tuple(finding for finding in run.findings if finding.code == DOUBT)


def other_findings(run: Run) -> tuple[Finding, ...]:
    """The findings that are about the data."""
    return tuple(finding for finding in run.findings if finding.code != DOUBT)
