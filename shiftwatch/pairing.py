"""A comparison is planned and made: the bytes are those of the plan, rows stand in, one check.

In:    sides or a plan; a context; a way to ask the worker.
Out:   a Plan that knows what it rests on; the Run of a plan.
Never: enters a history, raises an alarm, or asks a slow layer: one check, at its level; leaves rows
       behind.

A comparison has a worker process of its own. The one that judges due batches keeps its models open
and is asked for one thing at a time, so a comparison in it would hold up the batches for as long as
it lasts, and the reference would be loaded anew after it. Measured on two busy cores with 50 columns of
100 000 v 10 000 rows: the median of a scrape went from 12 to 19 ms while one was made, to 24 against ten
batches; ``tests/test_comparison_load.py`` holds that a batch that comes meanwhile is judged first.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from shiftwatch.attempt import Call, attempt
from shiftwatch.budget import Spent
from shiftwatch.comparison import Basis, Plan, pieces_of, plan
from shiftwatch.errors import DataError
from shiftwatch.look import FILES_PER_CALL, some
from shiftwatch.places import is_remote
from shiftwatch.provenance import plain
from shiftwatch.requests import Check, Context, Digest, Digests, Keep, Kept, Prepare, PreparedInfo
from shiftwatch.sides import MOST_FILES, Side
from shiftwatch.source.listing import list_folder
from shiftwatch.source.plan import batch_id
from shiftwatch.store import Store
from shiftwatch.values import Batch, Finding, Run

MOST_ROWS = 1_000_000
"""Rows that stand in for a reference; of more, so many are drawn. A check uses no more of any."""

_MOST_BESIDE = 1000
"""Files beside a model that are looked at for weights that have changed."""

_MOST_KNOWN = 100

Marks = tuple[tuple[str, int, int], ...]


@dataclass(slots=True)
class Bases:
    """What models rest on, hashed once as long as no file of theirs is touched."""

    _known: dict[Marks, Basis] = field(default_factory=dict)

    def of(self, context: Context, ask: Call) -> Basis:
        """SHA-256 of the reference and the model of a context, as they are now."""
        marks = _marks(context)
        known = self._known.get(marks) if marks is not None else None
        if known is not None:
            return known
        found: Digests = ask(Digest(context.model, ()))
        basis = Basis(found.reference, found.model)
        read = found.model is not None or context.model.model is None
        if marks is not None and read and found.reference is not None:
            while len(self._known) >= _MOST_KNOWN:
                del self._known[next(iter(self._known))]
            self._known[marks] = basis
        return basis


def _marks(context: Context) -> Marks | None:
    """Path, size and time of every file; None where they lie in a store, or cannot be listed."""
    settings = context.model
    model = settings.model
    if is_remote(settings.reference) or (model is not None and is_remote(model)):
        return None
    try:
        files = [(f.uri, f.size, f.modified_ns) for f in list_folder(settings.reference)]
        beside = sorted(Path(model).parent.iterdir()) if model is not None else []
        if len(beside) > _MOST_BESIDE:
            return None
        stats = [(str(path), path.stat()) for path in beside]
    except (OSError, DataError):
        return None
    return (*files, (str(model), 0, 0), *((p, s.st_size, s.st_mtime_ns) for p, s in stats))


def planned(
    store: Store, context: Context, sides: tuple[Side, Side], call: Call, bases: Bases
) -> Plan:
    """Find both sides, and what the comparison rests on; the current side comes first.

    Raises
    ------
    DataError
        If it cannot be made of what is there; see :func:`comparison.plan`.
    WorkerError
        If the worker, which looks into files, fails.
    """
    settings = context.model

    def find(paths: Sequence[str]) -> tuple[Batch, ...]:
        return some(settings.batches, paths, settings.columns.time, call, MOST_FILES)

    found = plan(store, settings.name, sides, find)
    return replace(found, basis=bases.of(context, call))


def compared(plan: Plan, context: Context, call: Call, past: Sequence[Spent], now: float) -> Run:
    """The run of a plan.

    Parameters
    ----------
    plan
        What is held against what.
    context
        Of the model, as its checks use it. Rows that stand in for the reference are written beside
        its cache while the comparison lasts.
    call
        How the worker is asked.
    past
        What checks of the model took.
    now
        Unix seconds UTC.

    Raises
    ------
    DataError, ModelError
        If rows are gone or have other bytes than in the plan, or cannot be used.
    WorkerError
        If the worker fails, or time runs out at every step.
    """
    refuse_altered(plan.current, call)
    batch = merged(plan.current)
    if not plan.reference:
        run = _checked(context, batch, call, past, now)
        return _named(run, plan, context, None)
    folder = folder_of(context) / uuid4().hex
    try:
        own, kept = stand_in(context, plan.reference, str(folder), call)
        run = _checked(own, batch, call, past, now)
        return _named(sampled(run, kept), plan, context, kept)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def folder_of(context: Context) -> Path:
    """Where rows stand in for the reference of a model while a comparison lasts."""
    return Path(context.cache).with_suffix(".compared") / context.model.name


def sweep(store_path: str) -> None:
    """Remove the rows of comparisons that a daemon which was killed has left; at its start."""
    shutil.rmtree(Path(store_path).with_suffix(".compared"), ignore_errors=True)


def stand_in(
    context: Context, batches: Sequence[Batch], folder: str, call: Call
) -> tuple[Context, Kept]:
    """A context whose reference is the rows of batches, prepared in a folder, and what was written.

    The season is left out: what is held against what was chosen by hand.
    """
    kept: Kept = call(Keep(context, tuple(batches), folder, MOST_ROWS))
    model = replace(context.model, reference=kept.path, season=None)
    return replace(context, model=model, accepted=None, cache=f"{folder}/prepared"), kept


def refuse_altered(batches: Sequence[Batch], call: Call) -> None:
    """DataError where a file is gone, or has other bytes than its batch was planned by."""
    told = {piece.uri: piece.sha256 for piece in pieces_of(batches) if piece.sha256}
    uris = tuple(told)
    for start in range(0, len(uris), FILES_PER_CALL):
        part = uris[start : start + FILES_PER_CALL]
        found: Digests = call(Digest(None, part))
        for uri in part:
            if found.files.get(uri) is None:
                raise DataError("is gone or cannot be read any more", where=uri)
            if found.files[uri] != told[uri]:
                raise DataError("has other bytes than when it was judged", where=uri)


def merged(batches: Sequence[Batch]) -> Batch:
    """All rows as one batch."""
    if len(batches) == 1:
        return batches[0]
    pieces = pieces_of(batches)
    starts = [b.event_time_start for b in batches if b.event_time_start is not None]
    ends = [b.event_time_end for b in batches if b.event_time_end is not None]
    rows = sum(batch.rows for batch in batches)
    return Batch(batch_id(pieces), pieces, rows, min(starts, default=None), max(ends, default=None))


def _checked(context: Context, batch: Batch, call: Call, past: Sequence[Spent], now: float) -> Run:
    # By itself, since a reference is larger than a batch and has more time.
    info: PreparedInfo = call(Prepare(context))
    request = Check(context, batch, None, now, alone=True)
    return attempt(call, request, past, info.reference.rows).run


def sampled(run: Run, kept: Kept) -> Run:
    """The run, which says so where not all rows stood in."""
    if kept.rows >= kept.rows_total:
        return run
    text = f"of the reference {kept.rows} of {kept.rows_total} rows were drawn: more add no power"
    return replace(run, findings=(*run.findings, Finding("subsampled", "", text, "note")))


def _named(run: Run, plan: Plan, context: Context, kept: Kept | None) -> Run:
    basis = plan.basis
    if basis.model_sha256 is not None and run.provenance.get("model_sha256") != basis.model_sha256:
        raise DataError("the model was replaced meanwhile", where=run.model, hint="ask again")
    used = run.provenance.get("reference_sha256") if kept is None else kept.configured_sha256
    plain = kept is not None or run.provenance.get("acceptance") is None
    if plain and basis.reference_sha256 not in (None, used):
        raise DataError("the reference was replaced meanwhile", where=run.model, hint="ask again")
    made = {} if kept is None else _made_of(plan, context, kept)
    told = {
        "reference": plan.names[0],
        "current": plan.names[1],
        "reference_batches": [batch.id for batch in plan.reference],
        "current_batches": [batch.id for batch in plan.current],
        "left_out": plan.left_out,
        "promise": promise_of(context.alarms.per_checks),
    }
    return replace(
        run,
        explanation={**run.explanation, "comparison": told},
        provenance={**run.provenance, **made},
    )


def promise_of(per_checks: int) -> str:
    """How often one check by itself errs, in words.

    Examples
    --------
    >>> promise_of(1000)[:78]
    'One check by itself: sides that do not differ are told apart once in 1,000 tim'
    """
    return (
        f"One check by itself: sides that do not differ are told apart once in {per_checks:,} times "
        "at most. The checks of the history share that rate with the slow layers, so the answer on a "
        "batch may be another one there."
    )


def _made_of(plan: Plan, context: Context, kept: Kept) -> dict[str, Any]:
    """What the reference was made of, so that it can be made again; settings are the model's own."""
    pieces = [asdict(piece) for piece in pieces_of(plan.reference)]
    made_of = {
        "batch": plan.reference[0].id,
        "pieces": pieces,
        "configured_sha256": kept.configured_sha256,
    }
    return {"settings": plain(context.model), "made_of": made_of}
