"""Taking what came after a change as the new normal: by the word of an operator, never by itself.

In:    the history, a span of judged batches, a worker.
Out:   a proposal that says what would be done; the word to be kept in the history.
Never: decides that a shift is harmless; changes what was judged; deletes a reference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shiftwatch.annotation import Remark
from shiftwatch.document import from_document
from shiftwatch.errors import DataError, ShiftwatchError
from shiftwatch.requests import Context, Keep, Kept, Prepare, Request
from shiftwatch.store import RunRow, Store
from shiftwatch.values import Acceptance, Batch, Run, Verdict

MIN_ROWS = 300
"""Rows below which nothing is accepted: ten times the fewest that a test takes. A reference this
small makes every later check blunt; a few thousand rows are a good one."""

USABLE: frozenset[Verdict] = frozenset({"shift", "no_shift", "insufficient_data"})
"""Verdicts of batches whose rows were read as they should be."""

_PAGE = 500

Call = Callable[[Request], Any]
"""How the worker is asked."""


@dataclass(frozen=True, slots=True)
class Span:
    """Which batches, by id, both included."""

    first: str | None = None
    """None is where the change began, by the alarms of the last batch."""
    last: str | None = None
    """None is the newest."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would be accepted, in the order it was judged."""

    model: str
    batches: tuple[Batch, ...]
    verdicts: tuple[Verdict, ...]
    """What each of them was judged to be: quiet ones from before the change make a mixture."""
    left_out: tuple[tuple[str, Verdict], ...]
    """Batches of the span whose rows are not taken, and what they were judged to be."""

    @property
    def rows(self) -> int:
        """Rows of the batches, as they were read when judged."""
        return sum(batch.rows for batch in self.batches)

    @property
    def span(self) -> Span:
        """First and last batch that is taken."""
        return Span(self.batches[0].id, self.batches[-1].id)


def propose(store: Store, model: str, span: Span) -> Proposal:
    """What a span of stored batches holds; changes nothing.

    Raises
    ------
    DataError
        If a batch is unknown, none is judged, no alarm says where the change began and no first
        batch is given, the span is empty or backwards, or it holds too few rows.
    """
    newest = store.run(model, span.last)
    if newest is None:
        what = f"no batch {span.last!r} is stored" if span.last else "no batch has been judged yet"
        raise DataError(what, where=model)
    first = span.first or _began(newest)
    rows = _rows(store, model, first, newest.batch.id)
    kept = [row for row in rows if row.verdict in USABLE]
    runs = [from_document(store.document(model, row.batch_id) or {}) for row in kept]
    proposal = Proposal(
        model,
        tuple(run.batch for run in runs),
        tuple(run.verdict for run in runs),
        tuple((row.batch_id, row.verdict) for row in rows if row.verdict not in USABLE),
    )
    if proposal.rows < MIN_ROWS:
        raise DataError(
            f"{proposal.rows} rows in {len(runs)} batches are too few for a reference, which takes "
            f"{MIN_ROWS} at least",
            where=model,
            hint="wait for more batches, or begin with an earlier one: --from BATCH",
        )
    return proposal


def _began(newest: Run) -> str:
    """The batch on which the change began, by the alarms of the newest run."""
    alarms = [d for d in newest.decisions if d.alarm and d.scope in ("input", "prediction")]
    # Estimated where the policy estimates it; else the batch on which the alarm rose.
    began = [getattr(d, "change_from", None) or d.since for d in alarms]
    for batch in began:
        if batch is not None:
            return batch
    raise DataError(
        "no alarm is up, so nothing says where the change began",
        where=newest.model,
        hint="name the first batch: --from BATCH",
    )


def _rows(store: Store, model: str, first: str, last: str) -> list[RunRow]:
    """Stored runs from the first to the last, in the order they were judged."""
    found: list[RunRow] = []
    before: int | None = None
    while page := store.runs(model, limit=_PAGE, before=before):
        for row in page:
            if found or row.batch_id == last:
                found.append(row)
            if found and row.batch_id == first:
                return found[::-1]
        before = page[-1].seq
    raise DataError(
        f"no batch {first!r} is stored at or before {last!r}",
        where=model,
        hint="give ids of stored batches, the older one first",
    )


def accepted(
    proposal: Proposal, context: Context, remark: Remark, call: Call, now: float
) -> Acceptance:
    """Write the rows as a reference and try it; the word that makes it the one in force.

    Parameters
    ----------
    proposal
        What is accepted.
    context
        Of the model, with the configured paths.
    remark
        Why, and who says so.
    call
        How the worker is asked.
    now
        Unix seconds UTC.

    Raises
    ------
    DataError, ModelError
        If the rows cannot be read or written, or are of no use as a reference. Nothing is in force
        then.
    """
    folder = Path(context.cache).with_suffix(".accepted") / context.model.name
    there = frozenset(folder.glob("*"))
    kept: Kept = call(Keep(context, proposal.batches, str(folder)))
    word = Acceptance(
        model=proposal.model,
        kind="accepted",
        from_batch=proposal.batches[0].id,
        to_batch=proposal.batches[-1].id,
        rows=kept.rows,
        path=kept.path,
        sha256=kept.sha256,
        configured_sha256=kept.configured_sha256,
        note=remark.text,
        at=now,
        by=remark.by,
    )
    try:
        call(Prepare(replace(context, accepted=word)))
    except ShiftwatchError:
        if Path(kept.path) not in there:  # one that another acceptance rests on stays
            Path(kept.path).unlink(missing_ok=True)
        raise
    return word


def undone(store: Store, model: str, remark: Remark, now: float) -> Acceptance:
    """The word that ends what is accepted; DataError if nothing is."""
    current = store.acceptance(model)
    if current is None:
        raise DataError("nothing is accepted, the configured reference is in use", where=model)
    return replace(current, kind="undone", note=remark.text, at=now, by=remark.by)
