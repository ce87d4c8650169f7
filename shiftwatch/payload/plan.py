"""Which logged records make one batch: decided once, written down, then made as often as need be.

In:    objects of a log with the number of requests in each, the time, how large a batch is.
Out:   Plan, from which the same batch can be made again after a crash; Made, what it came to.
Never: reads an object; depends on anything that is not in the plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shiftwatch.values import Listed

MOST_OBJECTS = 2000
"""Of a batch: each is opened by itself, and a batch is made within ``limits.seconds``. As many as
1000 requests and their responses are where the logger writes an object for each."""
MOST_BYTES = 64_000_000
"""Of the objects of a batch together, unless the first alone has more: a worker holds them all."""


@dataclass(frozen=True, slots=True)
class Counted:
    """An object of a log, and how many requests it holds; ``fault`` if it cannot be read."""

    listed: Listed
    requests: int
    fault: str = ""

    @property
    def at(self) -> float:
        """Unix seconds at which it was last changed."""
        return self.listed.modified_ns / 1e9


@dataclass(frozen=True, slots=True)
class Plan:
    """One batch of a log.

    ``number`` counts from 1; the records that waited at the end of the batch before belong to this
    one. ``at`` is the time, by which a half is too old to wait for the other.
    """

    model: str
    number: int
    at: float
    objects: tuple[Listed, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """What a plan came to: rows; records that wait, and since when; counts and reasons."""

    rows: int
    waiting: int = 0
    waiting_since: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    """By ``joining.COUNTS``."""
    malformed: Mapping[str, int] = field(default_factory=dict)
    """By ``bodies.REASONS``."""


def cut(
    pending: Sequence[Counted],
    last: Made | None,
    now: float,
    rows: int,
    patience: tuple[float, float],
) -> tuple[Listed, ...] | None:
    """The objects of the next batch, oldest first; None while it is not due.

    A batch is due when enough requests are there, or when the oldest has waited long enough. It is
    due as well, with fewer requests, before it would be of more than :data:`MOST_OBJECTS` objects or
    :data:`MOST_BYTES` bytes.

    Parameters
    ----------
    pending
        Objects that belong to no batch yet.
    last
        The batch before, for the records that wait.
    now
        Unix seconds.
    rows
        Requests of a batch.
    patience
        Seconds a request waits for more requests, and a half for its other half.

    Examples
    --------
    >>> a, b = (Counted(Listed(name, 1, 0), 3) for name in "ab")
    >>> [each.uri for each in cut([b, a], None, now=10.0, rows=4, patience=(60.0, 9.0))]
    ['a', 'b']
    >>> cut([a], None, now=10.0, rows=4, patience=(60.0, 9.0)) is None
    True
    """
    ordered = sorted(pending, key=lambda each: (each.listed.modified_ns, each.listed.uri))
    taken: list[Listed] = []
    requests = size = 0
    for each in ordered:
        size += each.listed.size
        if taken and (len(taken) == MOST_OBJECTS or size > MOST_BYTES):
            return tuple(taken)
        taken.append(each.listed)
        requests += each.requests
        if requests >= rows:
            return tuple(taken)
    wait, join = patience
    due = [each.at + wait for each in ordered[:1]]
    if last is not None and last.waiting_since is not None:
        due.append(last.waiting_since + max(wait, join))
    return tuple(taken) if due and now >= min(due) else None
