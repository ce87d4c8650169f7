"""What was not tested, and why.

In:    the skips of a run.
Out:   one group a test and reason, with the columns it concerns.
Never: leaves out that more columns are concerned than it names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shiftwatch.report.ranking import JOINT
from shiftwatch.values import SKIP_REASONS, Scope, Skipped

_NAMES_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Untested:
    """Targets one test skipped for one reason."""

    test: str
    scope: Scope
    reason: str
    meaning: str
    targets: tuple[str, ...]
    more: int
    detail: str


def untested(skipped: Sequence[Skipped]) -> list[Untested]:
    """The skips in groups, in the order in which the run tells them."""
    groups: dict[tuple[Scope, str, str], list[Skipped]] = {}
    for skip in skipped:
        groups.setdefault((skip.scope, skip.test, skip.reason), []).append(skip)
    return [_group(key, members) for key, members in groups.items()]


def _group(key: tuple[Scope, str, str], members: Sequence[Skipped]) -> Untested:
    scope, test, reason = key
    names = [m.target for m in members if m.target != JOINT]
    details = list(dict.fromkeys(m.detail for m in members if m.detail))
    return Untested(
        test,
        scope,
        reason,
        SKIP_REASONS.get(reason, reason.replace("_", " ")),
        tuple(names[:_NAMES_SHOWN]),
        max(len(names) - _NAMES_SHOWN, 0),
        details[0] if len(details) == 1 else "",
    )
