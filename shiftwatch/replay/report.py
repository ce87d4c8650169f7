"""Compute the verdict of one report again, from nothing but the report and the bytes it names.

In:    a report as JSON; a way to ask the worker.
Out:   what differs, first in the bytes, then in the numbers.
Never: takes the word of a report for a digest; compares what rests on earlier batches.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shiftwatch import config
from shiftwatch.budget import Effort
from shiftwatch.document import from_document
from shiftwatch.errors import DataError
from shiftwatch.replay.difference import Agreement, Difference, compare
from shiftwatch.requests import Check, Checked, Context, Digest, Digests, Request
from shiftwatch.settings import AlarmSettings, LimitSettings, ModelSettings, Settings
from shiftwatch.values import Run

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
    if "comparison" in run.explanation:
        raise DataError(
            "is a comparison, whose reference was made for it",
            where=where,
            hint="make it again: shiftwatch report CONFIG --from ID --to ID --against ...",
        )
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
        )
    except (TypeError, ValueError) as fault:
        first = " ".join(str(fault).split())
        raise DataError(f"its provenance cannot be used: {first}", where=where) from fault


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
    return Check(context, run.batch, state, run.judged_at, effort=effort)


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
    found: Digests = call(Digest(context.model, tuple({p.uri: 0 for p in run.batch.pieces})))
    gone = tuple(missing(run, context, found))
    if gone:
        raise DataError("cannot be recomputed: " + "; ".join(gone), where=f"batch {run.batch.id}")
    changed = (*altered(run, context, found), *_other_settings(context, run.provenance))
    notes = tuple(other_software(run, found))
    if changed:
        return Outcome(changed, notes=notes)
    answer: Checked = call(request_of(run, context, None))
    first = "state_sha256" in run.provenance and run.provenance["state_sha256"] is None
    compared = compare(run, answer.run, memory=first)
    if not first:
        notes = (*notes, NOT_OF_ONE_REPORT)
    return Outcome((), compared.differences, compared.agreement, notes, first)


def missing(run: Run, context: Context, found: Digests) -> Iterator[str]:
    """What is needed and cannot be read any more."""
    settings = context.model
    if settings.model is not None and found.model is None:
        yield f"the model {settings.model} is gone or cannot be read"
    if found.reference is None:
        yield f"the reference {settings.reference} is gone or cannot be read"
    yield from missing_files(run, found)


def missing_files(run: Run, found: Digests) -> Iterator[str]:
    """Files of the batch that cannot be read any more; one that never could be is not missing."""
    for piece in run.batch.pieces:
        if piece.sha256 and found.files.get(piece.uri) is None:
            yield f"{piece.uri} is gone or cannot be read"


def altered(run: Run, context: Context, found: Digests) -> Iterator[str]:
    """What has other bytes than when the verdict was reached."""
    told, settings = run.provenance, context.model
    if settings.model is not None and found.model != told.get("model_sha256"):
        yield _altered(settings.model)
    if found.reference != told.get("reference_sha256"):
        yield _altered(settings.reference)
    yield from altered_files(run, found)


def altered_files(run: Run, found: Digests) -> Iterator[str]:
    """Files of the batch that have other bytes."""
    for uri, digest in {piece.uri: piece.sha256 for piece in run.batch.pieces}.items():
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
