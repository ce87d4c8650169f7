"""Compute a whole history again: every verdict, and the memory folded from the first batch on.

In:    a history, opened for reading; a way to ask the worker.
Out:   each batch in the order it was judged, and what differs.
Never: guesses a state: where one cannot be computed, alarms are not compared, and that is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from shiftwatch import decide
from shiftwatch.document import from_document
from shiftwatch.errors import DataError, ModelError
from shiftwatch.provenance import state_sha256
from shiftwatch.replay import report
from shiftwatch.replay.difference import Agreement, Difference, compare, states_differ
from shiftwatch.replay.report import Call
from shiftwatch.requests import Checked, Context, Digest, Digests
from shiftwatch.store import Store
from shiftwatch.values import Run

_PAGE = 500

ROUNDED = (
    "sums are rounded otherwise here than then, so the decision state is compared by what follows "
    "from it, not by its SHA-256"
)


@dataclass(frozen=True, slots=True)
class Replayed:
    """One batch of the history.

    ``problem`` says why it was not computed again; empty if it was. ``memory`` says whether its
    alarms were compared too, from the state folded so far.
    """

    batch: str
    number: int = 0
    total: int = 0
    problem: str = ""
    failed: bool = False
    """Whether the problem is a failure of then, which has no numbers and changes no state."""
    changed: bool = False
    """Whether the problem is that bytes have changed."""
    memory: bool = False
    differences: tuple[Difference, ...] = ()
    agreement: Agreement = field(default_factory=Agreement)
    notes: tuple[str, ...] = ()

    @property
    def computed(self) -> bool:
        """Whether it was computed again."""
        return not self.problem

    @property
    def same(self) -> bool:
        """Whether nothing that was looked at differs."""
        return not self.differences and not self.changed


@dataclass(slots=True)
class History:
    """What is known of a model while its history is replayed."""

    state: str | None = None
    exact: bool = True
    """Whether the state is that of then."""
    began_at: str = ""
    """The batch from which on it is not, and why; empty if it is."""
    in_bits: bool = True
    """Whether every number so far came out the same in every bit."""
    bytes_of: dict[str, Digests] = field(default_factory=dict)
    """Digests of models and references by the settings that name them."""

    def end(self, why: str) -> None:
        """From here on the state is unknown."""
        if self.exact:
            self.exact, self.began_at = False, why


def replay(store: Store, model: str, cache: str, call: Call) -> Iterator[Replayed]:
    """Compute every stored batch of a model again, in the order it was judged.

    Parameters
    ----------
    store
        Open for reading.
    model
        Name of the model.
    cache
        Folder for prepared references, best an empty one.
    call
        How the worker is asked.

    Yields
    ------
    Replayed
        One a batch. Where the last state was folded exactly and is not the stored one, the last
        batch says so.
    """
    ids = _in_order(store, model)
    past = History()
    for number, batch in enumerate(ids, start=1):
        run = from_document(store.document(model, batch) or {})
        before = past.exact
        one = _one(run, past, cache, call)
        differences, notes = list(one.differences), list(one.notes)
        if number == len(ids) and past.exact:
            differences += _last_state(store, model, past)
        if before and not past.exact:
            notes.append(f"{past.began_at}; from here on only the checks are compared, not alarms")
        yield replace(
            one, number=number, total=len(ids), differences=tuple(differences), notes=tuple(notes)
        )


def _in_order(store: Store, model: str) -> list[str]:
    found: list[str] = []
    before: int | None = None
    while page := store.runs(model, limit=_PAGE, before=before):
        found += [row.batch_id for row in page]
        before = page[-1].seq
    return found[::-1]


def _one(run: Run, past: History, cache: str, call: Call) -> Replayed:
    if run.verdict == "error" and "reference_sha256" not in run.provenance:
        past.state = decide.State.from_json(past.state).to_json()  # as the monitor keeps it
        return Replayed(
            run.batch.id, problem="the check failed: " + " ".join(run.reasons), failed=True
        )
    try:
        context = report.context_of(run, cache)
        found = _digests(run, context, past, call)
        problem = "; ".join(report.missing(run, context, found))
        other = "; ".join(report.altered(run, context, found))
    except DataError as fault:
        context, problem, other = None, fault.what, ""
    if context is None or problem or other:
        past.end(f"batch {run.batch.id} cannot be recomputed")
        return Replayed(run.batch.id, problem=problem or other, changed=not problem)
    notes = tuple(report.other_software(run, found))
    return _computed(run, context, past, call, notes)


def _digests(run: Run, context: Context, past: History, call: Call) -> Digests:
    """Hash the files of the batch; the model and the reference once, as nobody changes them now."""
    key = repr(context.model)
    if key not in past.bytes_of:
        past.bytes_of[key] = call(Digest(context.model, ()))
    known = past.bytes_of[key]
    uris = tuple(dict.fromkeys(piece.uri for piece in run.batch.pieces))
    files: Digests = call(Digest(None, uris))
    return Digests(known.model, known.reference, files.files, known.software)


def _computed(
    run: Run, context: Context, past: History, call: Call, notes: tuple[str, ...]
) -> Replayed:
    differences: list[Difference] = []
    then = run.provenance.get("state_sha256")
    if past.exact and then != state_sha256(past.state):
        if past.state is None:
            past.end(f"batches before {run.batch.id} are no longer stored")
        elif not past.in_bits:  # here sums are rounded otherwise, so the state is too
            notes = (*notes, ROUNDED)
        else:
            where = "decision state before the batch (SHA-256)"
            differences.append(Difference(where, then, state_sha256(past.state)))
            past.end(f"the state before {run.batch.id} is another one than then")
    state = past.state if past.exact else None
    try:
        answer: Checked = call(report.request_of(run, context, state))
    except (DataError, ModelError) as fault:
        past.end(f"batch {run.batch.id} cannot be recomputed")
        return Replayed(run.batch.id, problem=str(fault))
    compared = compare(run, answer.run, memory=past.exact)
    past.state = answer.state
    told = compared.agreement
    past.in_bits = past.in_bits and not told.largest and told.exact == told.exact_equal
    return Replayed(
        run.batch.id,
        memory=past.exact,
        differences=(*differences, *compared.differences),
        agreement=compared.agreement,
        notes=notes,
    )


def _last_state(store: Store, model: str, past: History) -> list[Difference]:
    stored = store.state(model)
    if stored is None or past.state is None or stored[0] == past.state:
        return []
    if not past.in_bits and not states_differ(stored[0], past.state):
        return []
    digests = (state_sha256(stored[0]), state_sha256(past.state))
    return [Difference("decision state after the last batch (SHA-256)", *digests)]
