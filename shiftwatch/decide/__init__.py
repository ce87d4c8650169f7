"""Turn evidence into decisions, over tests, columns and checks: the fold.

In:    results, findings and slow evidence of one batch, State after the batch before, Policy.
Out:   one Decision per scope, and the new State.
Never: sees data; sees a batch out of order; computes a statistic.

The promise: every check spends a level, 1/K with ``per_checks: K``, or the time since the batch
before over D days with ``per_days: D``. It is divided once and for all among three layers (this
check by itself, windows of past batches, the growing pool), and within the check among the tests,
scopes and columns by a weighted Bonferroni correction, which is valid under any dependence. By
linearity of expectation the expected number of false alarms in N checks is at most N/K, although
all checks share one reference.
"""

from shiftwatch.decide.family import Weighed, also_moving, named, weigh
from shiftwatch.decide.latch import QUIET_ABOVE, QUIET_CHECKS, carried, decide, verdict
from shiftwatch.decide.policy import TOLERANCES, Level, Policy
from shiftwatch.decide.state import STATE_VERSION, ScopeState, State

__all__ = [
    "QUIET_ABOVE",
    "QUIET_CHECKS",
    "STATE_VERSION",
    "TOLERANCES",
    "Level",
    "Policy",
    "ScopeState",
    "State",
    "Weighed",
    "also_moving",
    "carried",
    "decide",
    "named",
    "verdict",
    "weigh",
]
