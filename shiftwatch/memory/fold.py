"""One batch enters the memory: charts and windows move on, and say what they see.

In:    the memory after the batch before, the batch's summary, the level this check may spend.
Out:   evidence by scope and layer; then, when the alarms are known, the memory after this batch.
Never: latches an alarm; sees a row; forgets more than an accepted new normal asks for.

Two layers with two nulls. The windows hold the last 2 to 256 batches against the fixed reference,
each valid by itself. The charts hold each batch against the pool of the reference and all batches
before it: sequential ranks, which are independent over batches if nothing has shifted, so that
evidence may be added up for ever. While an alarm is on the pool stands still, and what had entered
it since the estimated start of the change is taken out again.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shiftwatch.memory import pool as growing
from shiftwatch.memory import windows
from shiftwatch.memory.state import Alarms, Basis, Memory, Observed, Spending
from shiftwatch.memory.windowed import look_back
from shiftwatch.summary import Summary
from shiftwatch.values import TESTED_SCOPES

__all__ = ["Alarms", "Basis", "Memory", "Observed", "Spending", "observe", "settle"]


def observe(
    basis: Basis,
    memory: Memory,
    batch: tuple[Summary, str],
    spending: Spending,
    rng: np.random.Generator,
) -> Observed:
    """Move charts and windows on by one batch.

    Parameters
    ----------
    basis, memory
        What the memory rests on, and the memory after the batch before.
    batch
        Its summary and its id.
    spending
        What this check may spend.
    rng
        Parts ties, and permutes where the method asks for it.
    """
    summary, batch_id = batch
    number = memory.number
    moved = replace(memory, number=number + 1, ids={**memory.ids, number: batch_id})
    moved, pool, suspect = growing.look(basis, moved, summary, spending, rng)
    moved, window = look_back(basis, moved, summary, spending)
    evidence = {
        scope: {
            name: layer[scope]
            for name, layer in (("window", window), ("pool", pool))
            if scope in layer
        }
        for scope in TESTED_SCOPES
    }
    return Observed(moved, summary, evidence, suspect)


def settle(basis: Basis, observed: Observed, alarms: Alarms) -> Memory:
    """The memory after the batch, once it is known which alarms are on.

    Parameters
    ----------
    basis, observed
        As above.
    alarms
        What was decided.
    """
    memory = observed.memory
    pool = memory.pool
    if not alarms.on:
        pool = pool + observed.batch
    elif not memory.frozen:
        pool = growing.without_change(basis, observed)
    if alarms.raised or alarms.cleared:
        memory = replace(memory, windows=tuple(windows.emptied(w) for w in memory.windows))
    thawed = memory.frozen and not alarms.on
    if alarms.cleared or thawed:
        # Once the pool grows again no chart may hold a batch that never entered it.
        scopes = TESTED_SCOPES if thawed else alarms.cleared
        memory = replace(growing.begun_anew(basis, memory, scopes), held={})
    elif alarms.seen:
        # A chart that one large shift has thrown up comes down by half a deviation a batch, less what
        # the pool, which stands still, is off by: it could hold the alarm for a hundred quiet batches.
        # What a check sees by itself it also sees end.
        memory = growing.begun_anew(basis, memory, alarms.seen)
    used = set(np.unique(memory.charts.starts).tolist())
    used |= {window.first for window in memory.windows if window.held}
    ids = {number: name for number, name in memory.ids.items() if number in used}
    return replace(memory, pool=pool, frozen=alarms.on, ids=ids)
