"""Compute the verdict of one report again, from nothing but the report and the bytes it names.

In:    a report as JSON; a way to ask the worker.
Out:   what differs, first in the bytes, then in the numbers.
Never: takes the word of a report for a digest; compares what rests on earlier batches.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from shiftwatch import config, pairing
from shiftwatch.budget import Effort
from shiftwatch.document import from_document
from shiftwatch.errors import DataError
from shiftwatch.replay.difference import Agreement, Difference, compare
from shiftwatch.requests import Check, Checked, Context, Digest, Digests, Request
from shiftwatch.settings import AlarmSettings, LimitSettings, ModelSettings, Settings
from shiftwatch.values import Batch, Piece, Run

Call = Callable[[Request], Any]
"""How the worker is asked."""


NOT_OF_ONE_REPORT = (
    "alarms and the evidence of window and pool rest on the batches before this one and are not "
    "recomputed from one report; shiftwatch verify CONFIG --history does it"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a verdict that was computed again.

    ``changed`` names bytes that are not those of then; nothing is computed from them. ``notes`` say
    what else is worth knowing: other versions, and what was not compared. ``memory`` says whether
    alarms were compared too.
    """

    changed: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    agreement: Agreement = field(default_factory=Agreement)
    notes: tuple[str, ...] = ()
    memory: bool = False

    @property
    def same(self) -> bool:
        """Whether the same came out."""
        return not self.changed and not self.differences


def read_report(path: str) -> Run:
    """The run of a report.

    Raises
    ------
    DataError
        If the file cannot be read, is not a report, or is of a schema this release cannot read.
    """
    try:
        document = json.loads(Path(path).read_bytes())
    except OSError as fault:
        raise DataError(f"cannot be read: {fault.strerror}", where=path) from fault
    except ValueError as fault:  # not JSON, or not text
        raise DataError(
            f"is not JSON: {fault}", where=path, hint="shiftwatch report --format json writes one"
        ) from fault
    if not isinstance(document, dict):
        raise DataError("is no report: a report is a JSON object", where=path)
    try:
        return from_document(document)
    except DataError as fault:
        raise DataError(f"is no report: {fault.where}: {fault.what}", where=path) from fault


def context_of(run: Run, cache: str) -> Context:
    """What a run was computed with, from its provenance.

    Raises
    ------
    DataError
        If the provenance does not say it: an older release, or a check that failed.
    """
    told = run.provenance
    where = f"batch {run.batch.id}"
    if run.verdict == "error" and "reference_sha256" not in told:
        reason = " ".join(run.reasons)
        raise DataError(f"holds no results, the check failed: {reason}", where=where)
    absent = [key for key in ("settings", "alarms", "seed", "reference_sha256") if key not in told]
    if absent:
        raise DataError(
            f"its provenance lacks {', '.join(absent)}",
            where=where,
            hint="it was judged by a release before verify",
        )
    try:
        return Context(
            model=config.restored(ModelSettings, told["settings"]),
            alarms=config.restored(AlarmSettings, told["alarms"]),
            seed=int(told["seed"]),
            cache=cache,
            config_sha256=str(told.get("config_sha256", "")),
            limits=config.restored(LimitSettings, told.get("limits", {})),
            draws=str(told.get("draws", "")),
        )
    except (TypeError, ValueError) as fault:
        first = " ".join(str(fault).split())
        raise DataError(f"its provenance cannot be used: {first}", where=where) from fault


@dataclass(frozen=True, slots=True)
class MadeOf:
    """Rows that stood in for the reference of a comparison; none where it had its model's own."""

    pieces: tuple[Piece, ...] = ()
    batch: str = ""
    """Id of the first batch, by which rows are drawn where there are many."""
    configured_sha256: str = ""
    """Of the configured reference, which gave columns and types."""

    @classmethod
    def told(cls, run: Run) -> MadeOf:
        """As the provenance of a run says it.

        Raises
        ------
        DataError
            If it does not say it in full.
        """
        told = run.provenance.get("made_of")
        if told is None:
            return cls()
        try:
            pieces = tuple(Piece(**piece) for piece in told["pieces"])
            return cls(pieces, str(told["batch"]), str(told["configured_sha256"]))
        except (KeyError, TypeError) as fault:
            where = f"batch {run.batch.id}"
            raise DataError(f"its provenance cannot be used: {fault}", where=where) from fault

    @property
    def batches(self) -> tuple[Batch, ...]:
        """All of it as one."""
        return (Batch(self.batch, self.pieces, sum(piece.rows for piece in self.pieces)),)


def request_of(run: Run, context: Context, state: str | None) -> Check:
    """What was asked of the worker then: at the same effort, however fast this machine is.

    Raises
    ------
    DataError
        If this release does not know the effort.
    """
    try:
        effort = Effort.from_plain(run.provenance.get("effort"))
    except ValueError as fault:
        where = f"batch {run.batch.id}"
        raise DataError(f"its provenance cannot be used: {fault}", where=where) from fault
    return Check(context, run.batch, state, run.judged_at, is_alone(run), effort)


def is_alone(run: Run) -> bool:
    """Whether it stands alone: no history, no slow layer, all of the level for one check."""
    return bool(run.provenance.get("alone")) or "comparison" in run.explanation


def verify(run: Run, cache: str, call: Call) -> Outcome:
    """Compute a run again and compare.

    Parameters
    ----------
    run
        As read from a report.
    cache
        Folder for the prepared reference. An empty one: what was prepared then is computed again.
    call
        How the worker is asked.

    Raises
    ------
    DataError
        If the report does not say what is needed, or a file it names is gone.
    """
    context = context_of(run, cache)
    made_of = MadeOf.told(run)
    uris = dict.fromkeys(piece.uri for piece in (*run.batch.pieces, *made_of.pieces))
    found: Digests = call(Digest(context.model, tuple(uris)))
    gone = tuple(missing(run, context, found))
    if gone:
        raise DataError("cannot be recomputed: " + "; ".join(gone), where=f"batch {run.batch.id}")
    changed = (
        *altered(run, context, found),
        *altered_files(made_of.pieces, found),
        *_other_settings(context, run.provenance),
    )
    notes = tuple(other_software(run, found))
    if changed:
        return Outcome(changed, notes=notes)
    kept = None
    if made_of.pieces:
        context, kept = pairing.stand_in(context, made_of.batches, f"{cache}/made", call)
        if kept.sha256 != run.provenance["reference_sha256"]:
            text = (
                "the rows of the reference have other bytes when they are written by this release"
            )
            return Outcome((text,), notes=notes)
    answer: Checked = call(request_of(run, context, None))
    again = answer.run if kept is None else pairing.sampled(answer.run, kept)
    if "comparison" in run.explanation:
        names = {"comparison": run.explanation["comparison"]}
        again = replace(again, explanation={**again.explanation, **names})
    first = "state_sha256" in run.provenance and run.provenance["state_sha256"] is None
    compared = compare(run, again, memory=first)
    if not first and not is_alone(run):
        notes = (*notes, NOT_OF_ONE_REPORT)
    return Outcome((), compared.differences, compared.agreement, notes, first)


def missing(run: Run, context: Context, found: Digests) -> Iterator[str]:
    """What is needed and cannot be read any more."""
    settings = context.model
    if settings.model is not None and found.model is None:
        yield f"the model {settings.model} is gone or cannot be read"
    if found.reference is None:
        yield f"the reference {settings.reference} is gone or cannot be read"
    yield from missing_files((*run.batch.pieces, *MadeOf.told(run).pieces), found)


def missing_files(pieces: Sequence[Piece], found: Digests) -> Iterator[str]:
    """Files that cannot be read any more; one that never could be is not missing."""
    for piece in pieces:
        if piece.sha256 and found.files.get(piece.uri) is None:
            yield f"{piece.uri} is gone or cannot be read"


def altered(run: Run, context: Context, found: Digests) -> Iterator[str]:
    """What has other bytes than when the verdict was reached."""
    told, settings = run.provenance, context.model
    if settings.model is not None and found.model != told.get("model_sha256"):
        yield _altered(settings.model)
    if found.reference != (MadeOf.told(run).configured_sha256 or told.get("reference_sha256")):
        yield _altered(settings.reference)
    yield from altered_files(run.batch.pieces, found)


def altered_files(pieces: Sequence[Piece], found: Digests) -> Iterator[str]:
    """Files that have other bytes."""
    for uri, digest in {piece.uri: piece.sha256 for piece in pieces}.items():
        if digest and found.files.get(uri) != digest:
            yield _altered(uri)


def _altered(path: str) -> str:
    return f"{path} has other bytes than when the report was written"


def _other_settings(context: Context, told: Mapping[str, Any]) -> Iterator[str]:
    """The settings in a report are believed only if they have the digest that is beside them."""
    if not context.config_sha256:  # `compare` has no configuration
        return
    settings = Settings((context.model,), context.alarms, limits=context.limits, seed=context.seed)
    if config.fingerprint(settings, context.model) != told["config_sha256"]:
        yield "the settings in the report are not those its config_sha256 was made of"


def other_software(run: Run, found: Digests) -> Iterator[str]:
    """Versions that are not those of then: why numbers may differ in their last digits."""
    told = run.provenance
    then = {"shiftwatch": told.get("shiftwatch"), "python": told.get("python")}
    then |= told.get("libraries", {})
    for name, version in found.software.items():
        if then.get(name) != version:
            yield f"{name} was {then.get(name, 'not named')}, is {version} now"
