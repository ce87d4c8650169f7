"""Requests and responses brought together by their id, in whatever order they were logged.

In:    records; the time; how long a request waits for its response.
Out:   pairs in order, records that still wait, and counts of all that does not fit.
Never: drops a request: without its response it is a row without a prediction.

A client may use an id twice. The first request and the first response of an id count; later ones
are duplicates, since nobody can say which answer belongs to which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from shiftwatch.payload.records import Record


@dataclass(frozen=True, slots=True)
class Pair:
    """A request and its response, if that was logged."""

    request: Record
    response: Record | None


@dataclass(frozen=True, slots=True)
class Joined:
    """``pairs`` by time and id; ``waiting`` records whose other half may still come."""

    pairs: tuple[Pair, ...]
    waiting: tuple[Record, ...]
    counts: Mapping[str, int] = field(default_factory=dict)
    """By :data:`COUNTS`."""


COUNTS = ("matched", "unmatched_requests", "unmatched_responses", "duplicates")


def join(records: Iterable[Record], now: float, patience: float) -> Joined:
    """Match records.

    Parameters
    ----------
    records
        In any order.
    now, patience
        Unix seconds; seconds a half waits for the other one. Negative: nothing waits.

    Examples
    --------
    >>> asked = Record("a", "request", b"", 0.0)
    >>> join([asked], now=10.0, patience=60.0).waiting == (asked,)
    True
    >>> dict(join([asked], now=100.0, patience=60.0).counts)["unmatched_requests"]
    1
    """
    counts: Counter[str] = Counter(dict.fromkeys(COUNTS, 0))
    halves: dict[str, dict[str, Record]] = {"request": {}, "response": {}}
    for record in sorted(records, key=lambda each: (each.at, each.id, each.kind, each.body)):
        if record.id in halves[record.kind]:
            counts["duplicates"] += 1
        else:
            halves[record.kind][record.id] = record
    pairs: list[Pair] = []
    waiting: list[Record] = []
    for request in halves["request"].values():
        response = halves["response"].pop(request.id, None)
        if response is None and now - request.at < patience:
            waiting.append(request)
            continue
        counts["unmatched_requests" if response is None else "matched"] += 1
        pairs.append(Pair(request, response))
    for response in halves["response"].values():
        if now - response.at < patience:
            waiting.append(response)
        else:
            counts["unmatched_responses"] += 1
    return Joined(tuple(pairs), tuple(waiting), dict(counts))
