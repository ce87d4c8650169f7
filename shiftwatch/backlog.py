"""Which batches of a model are due, as the store tells it. Light.

In:    accepted files and judged batches, from the store; how far judging has come.
Out:   batches to judge, oldest first; since when they wait.
Never: opens a file; keeps anything between two calls: after a restart the answer is the same.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from shiftwatch.settings import ModelSettings
from shiftwatch.source.plan import Cursor, batch_id, plan
from shiftwatch.store import AcceptedFile, Store
from shiftwatch.values import Batch, FileFacts, Listed, Piece

FILES_PER_PAGE = 200
"""Accepted files looked through at a time."""


def reached(store: Store, name: str) -> Cursor:
    """How far judging has come, without the batches judged: they may be many."""
    stored = store.state(name)
    position = json.loads(stored[1]) if stored is not None else {}
    return Cursor(
        rows_done=position.get("rows_done", 0),
        time_done=position.get("time_done"),
        rows_forgotten=store.rows_forgotten(name),
    )


def position(cursor: Cursor) -> str:
    """What the store keeps of a cursor; :func:`reached` reads it.

    Examples
    --------
    >>> position(Cursor(rows_done=300))
    '{"rows_done": 300, "time_done": null}'
    """
    return json.dumps({"rows_done": cursor.rows_done, "time_done": cursor.time_done})


def windows_due(store: Store, settings: ModelSettings, cursor: Cursor) -> tuple[Batch, ...]:
    """Batches to judge, where a batch is a number of rows or a span of time."""
    files = store.accepted_files(settings.name)
    counted = [file.facts for file in files if not is_duplicate(file)]
    judged = store.judged_ids(settings.name)
    return plan(counted, settings.window, replace(cursor, judged=judged))


def files_due(
    store: Store, settings: ModelSettings, settled: int, rests: Callable[[Batch], bool]
) -> tuple[tuple[Batch, ...], int]:
    """Files not judged yet, where a batch is a file; and how far was looked.

    Looked for a page at a time among those after number ``settled``: what it takes grows with the
    files since the last step, not with the history.

    Parameters
    ----------
    rests
        Whether a batch is not to be looked at again yet.
    """
    name, at = settings.name, settled
    due: dict[str, Batch] = {}
    while page := store.accepted_files(name, after_seq=at, limit=FILES_PER_PAGE):
        at = page[-1].seq
        counted = {file.facts.uri: file.facts for file in page if not is_duplicate(file)}
        batches = plan([*counted.values()], settings.window, Cursor())
        judged = store.judged_among(name, (batch.id for batch in batches))
        left = [batch for batch in batches if batch.id not in judged]
        # A file replaced before it was judged is gone; only its new content can be read.
        newest = store.listed_before(name, (batch.uri for batch in left))
        due |= {
            batch.id: batch for batch in left if newest[batch.uri] == _listed(counted[batch.uri])
        }
    return tuple(batch for batch in due.values() if not rests(batch)), at


def waiting_since(
    store: Store, name: str, batches: Sequence[Batch], waiting: Iterable[float]
) -> list[float]:
    """For each batch, when the oldest file of it and of those after it was last changed.

    Parameters
    ----------
    waiting
        Times of files that wait without a batch, which count with each. Unix seconds.
    """
    uris = {piece.uri for batch in batches for piece in batch.pieces}
    listed: Mapping[str, Listed] = store.listed_before(name, uris)
    since: list[float] = []
    oldest = min(waiting, default=math.inf)
    for batch in reversed(batches):
        changed = (listed[piece.uri].modified_ns / 1e9 for piece in batch.pieces)
        oldest = min(oldest, *changed)
        since.append(oldest)
    return since[::-1]


def is_duplicate(file: AcceptedFile) -> bool:
    """Whether the same rows were accepted before.

    The same bytes below another ``key=value`` folder are other rows, which the batch's id knows.
    """
    if file.duplicate_of is None:
        return False
    own = Piece(file.facts.uri, file.facts.size, file.facts.sha256, 0, file.facts.rows)
    return batch_id((own,)) == batch_id((replace(own, uri=file.duplicate_of),))


def _listed(facts: FileFacts) -> Listed:
    return Listed(facts.uri, facts.size, facts.modified_ns)
