"""What the history answers with, where it is not a whole run.

In:    rows of the store's tables.
Out:   frozen values, light enough for a listing of thousands.
Never: holds a connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shiftwatch.values import FileFacts, Scope, Verdict


@dataclass(frozen=True, slots=True)
class AcceptedFile:
    """A file in the order it was accepted.

    ``seq`` rises by acceptance, over all models, and is never used again. ``duplicate_of`` is the
    other uri under which the same bytes were accepted before.
    """

    seq: int
    facts: FileFacts
    duplicate_of: str | None = None


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as a listing shows it. ``seq`` rises by commit; times are unix seconds UTC."""

    seq: int
    model: str
    batch_id: str
    uri: str
    verdict: Verdict
    alarm: bool
    rows: int
    judged_at: float
    event_time_start: float | None
    event_time_end: float | None


@dataclass(frozen=True, slots=True)
class Flip:
    """An alarm that rose or cleared. ``at`` is when the batch was committed, unix seconds UTC."""

    model: str
    scope: Scope
    from_alarm: bool
    to_alarm: bool
    at: float
    batch_id: str


@dataclass(frozen=True, slots=True)
class TimelinePoint:
    """One batch on the timeline; times are unix seconds UTC.

    ``evidence`` is that of the strongest layer over its threshold, by scope that has any.
    """

    seq: int
    batch_id: str
    judged_at: float
    verdict: Verdict
    alarm: bool
    evidence: Mapping[str, float]
    event_time_start: float | None = None
    event_time_end: float | None = None
