"""A model and its prepared reference, ready for batches.

In:    a context: settings, seed, cache folder.
Out:   Watch; the reference is prepared once and mapped from the cache ever after, if there is one.
Never: sees a batch.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shiftwatch import __version__, cache, cost, derive, performance, roles
from shiftwatch.dependence import Order, measure
from shiftwatch.errors import DataError, ModelError
from shiftwatch.fetch import load_model, model_bytes, model_sha256
from shiftwatch.reference import FORMAT, Reference, generator, prepare, root
from shiftwatch.requests import Context, Digest, Digests, PreparedInfo
from shiftwatch.sample import Sample
from shiftwatch.settings import ModelSettings
from shiftwatch.source import parquet
from shiftwatch.source.facts import file_sha256
from shiftwatch.source.fitting import Room, rows_that_fit
from shiftwatch.status import ReferenceInfo
from shiftwatch.twosample.protocol import Prepared
from shiftwatch.twosample.registry import Plan, build
from shiftwatch.values import SchemaColumn

if TYPE_CHECKING:
    from shiftwatch.model import OnnxModel, Prediction

LIBRARIES = ("numpy", "scipy", "pyarrow", "onnxruntime")


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    """A model and its reference, ready for batches.

    ``context`` names the reference that is used, which may be an accepted one; ``ended`` says that
    one was accepted and the configured one has changed since.
    """

    context: Context
    model: OnnxModel | None
    reference: Reference
    reference_sha256: str
    plan: Plan
    fingerprint: str
    """Name of the folder in which the prepared reference is kept."""
    ended: bool = False

    @property
    def root(self) -> str:
        """Root of the addresses random draws have."""
        return root(self.context.seed, self.context.draws or self.reference_sha256)

    def address(self, batch_id: str) -> str:
        """What addresses the draws of a batch below the root."""
        return self.context.draws or batch_id

    @property
    def basis(self) -> str:
        """What alarms rest on: with another reference or model they start anew."""
        model = self.model.sha256 if self.model is not None else ""
        return f"{self.reference_sha256[:16]}:{model[:16]}"

    @property
    def room(self) -> Room:
        """Memory for the rows of a batch."""
        held = [column for column in self.reference.schema if column.kind == "categorical"]
        categories = sum(
            len(self.reference.profile(column).facts["categories"])
            for column in held
            if column.role in ("input", "prediction")
        )
        return replace(room_of(self.context), categories=categories)

    def info(self) -> PreparedInfo:
        """What the metrics show of it."""
        columns = sorted(f"{c.name}:{c.type}" for c in self.reference.schema)
        return PreparedInfo(
            ReferenceInfo(
                sha256=self.reference_sha256,
                schema_sha256=cache.fingerprint({"schema": "\n".join(columns)}),
                rows=self.reference.rows,
                columns=len(columns),
            ),
            self.model.info if self.model is not None else None,
            self.plan.names,
        )


_OPEN: dict[str, Watch] = {}
"""Models this worker has loaded, by their whole context."""

_MOST_OPEN = 8


def watch(context: Context) -> Watch:
    """The model and reference of a context, loaded at most once in this process."""
    key = repr(context)
    if key not in _OPEN:
        while len(_OPEN) >= _MOST_OPEN:
            del _OPEN[next(iter(_OPEN))]
        _OPEN[key] = load(context)
    return _OPEN[key]


def load(context: Context) -> Watch:
    """Load the model and the prepared reference, preparing it if that was never done.

    The cache key covers the reference's and the model's bytes, everything configured but where
    files lie, and the versions of the libraries, so nothing stale is ever used, and moving files
    costs nothing.
    """
    configured, context = context, _in_force(context)
    settings = context.model
    model = load_model(settings.model) if settings.model is not None else None
    reference_sha256 = parquet.reference_sha256(settings.reference)
    _refuse_altered(context, reference_sha256)
    fingerprint = cache.fingerprint(
        {
            "reference": reference_sha256,
            "model": model.sha256 if model is not None else "",
            "settings": repr((_placeless(settings), context.seed)),
            "draws": context.draws,
            "memory_mb": str(context.limits.memory_mb),
            "versions": repr((__version__, FORMAT, versions())),
        }
    )
    plan = build(settings.tests)
    draws = root(context.seed, context.draws or reference_sha256)
    reference = _kept(context, fingerprint, lambda: _prepared(context, model, plan, draws))
    ended = context.accepted is not configured.accepted
    return Watch(context, model, reference, reference_sha256, plan, fingerprint, ended)


def _kept(context: Context, fingerprint: str, prepared: Callable[[], Reference]) -> Reference:
    """The prepared reference: from the cache, or made now; as made where there is no cache."""
    if not context.cache:
        return prepared()
    folder = Path(context.cache) / context.model.name / fingerprint
    stored = cache.read(folder)
    if stored is None:
        cache.write(folder, *prepared().to_plain())
        cache.evict(folder.parent, keep=(fingerprint,))
        stored = cache.read(folder)
    if stored is None:
        raise DataError("the prepared reference cannot be read back", where=str(folder))
    return Reference.from_plain(*stored)


def _in_force(context: Context) -> Context:
    """The context with the accepted reference, as long as the configured one is as it was then.

    A configured reference that is gone is not another one: what was accepted still holds.
    """
    accepted = context.accepted
    if accepted is None:
        return context
    try:
        configured = parquet.reference_sha256(context.model.reference)
    except DataError:
        configured = accepted.configured_sha256
    if configured != accepted.configured_sha256:
        return replace(context, accepted=None)
    return replace(context, model=replace(context.model, reference=accepted.path))


def _refuse_altered(context: Context, reference_sha256: str) -> None:
    """An accepted reference is ours alone to write; other bytes are nobody's decision."""
    if context.accepted is not None and reference_sha256 != context.accepted.sha256:
        raise DataError(
            "the accepted reference has other bytes than were accepted",
            where=context.model.reference,
            hint="put the file back, or return to the configured one: shiftwatch accept --undo",
        )


def _placeless(settings: ModelSettings) -> ModelSettings:
    return replace(settings, model=None, reference="", batches="")


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of a reference with predictions, and the schema they make."""

    sample: Sample
    schema: tuple[SchemaColumn, ...]
    times: NDArray[np.float64] | None
    """Event times in unix seconds, ascending; None where none are configured. Rows without one
    come last, and are NaN."""
    sampled: str = ""
    """How many rows were taken, and why not all; empty where all were."""
    right: Prepared | None = None
    """How often the model is right on them; None where no label is configured."""


@cost.preparing()
def _prepared(context: Context, model: OnnxModel | None, plan: Plan, draws: str) -> Reference:
    rows = reference_rows(context, model)
    _check_tolerances(context.model, rows.schema)
    reference = prepare(rows.sample, rows.schema, plan, draws)
    reference = measure(reference, *_in_order(rows), plan, draws)
    if rows.right is not None:
        reference = reference.with_performance(rows.right)
    return replace(reference, sampled=rows.sampled)


def reference_rows(context: Context, model: OnnxModel | None) -> Rows:
    """Read the reference, in order of event time where that is configured, and score it."""
    settings = context.model
    schema = reference_schema(context, model)
    clock = settings.columns.time
    # Read beside the inputs, and tested by nothing.
    beside = (clock, settings.columns.label)
    wanted = [replace(c, role="input") if c.name in beside else c for c in schema]
    to_read = derive.to_read(wanted)
    room = room_of(context)
    fitting_rows = rows_that_fit(parquet.reference_files(settings.reference), to_read, room)
    reading = parquet.read_reference(
        settings.reference,
        to_read,
        rng=generator(context.seed, "reference", "rows"),
        max_rows=min(parquet.REFERENCE_ROWS, fitting_rows),
    )
    sample, times = reading.sample, event_times(reading.sample, clock)
    if times is not None and not bool(np.all(times[1:] >= times[:-1])):
        order = np.argsort(times, kind="stable")
        sample, times = sample.take(order), times[order]
    scored, schema = with_predictions(sample, schema, model)
    schema = (*schema, *derive.entries(scored, schema))
    scored = derive.with_derived(scored, schema)
    right = _performance(scored, schema, settings.columns.label)
    kept = [c.name for c in schema if c.role in ("input", "prediction")]
    scored = Sample(scored.rows, tuple(c for c in scored.columns if c.name in kept))
    why = room.reason if fitting_rows < parquet.REFERENCE_ROWS else "more add no power"
    return Rows(scored, schema, times, _sampled(reading, why), right)


def _performance(
    sample: Sample, schema: Sequence[SchemaColumn], label: str | None
) -> Prepared | None:
    """How often the model is right on the reference; None where no label is configured."""
    if label is None or not sample.has(label):
        return None
    return performance.prepare(sample, schema, label)


def _sampled(reading: parquet.Reading, why: str) -> str:
    if reading.sample.rows == reading.rows_total:
        return ""
    return f"of the reference {reading.sample.rows} of {reading.rows_total} rows are used: {why}"


def room_of(context: Context) -> Room:
    """Memory for rows within the limits of a model, beside the model itself."""
    settings, limits = context.model, context.limits
    joint = [test.max_rows for test in (settings.tests.mmd, settings.tests.c2st) if test]
    size = model_bytes(settings.model) if settings.model is not None else 0
    return Room(limits.memory_mb, max(joint, default=0), model_bytes=size)


def event_times(sample: Sample, name: str | None) -> NDArray[np.float64] | None:
    """Unix seconds of a column of timestamps, NaN where null; None if there is no such column."""
    if name is None or not sample.has(name) or sample.column(name).kind != "timestamp":
        return None
    return np.asarray(sample.column(name).values, dtype=np.float64)


def _in_order(rows: Rows) -> tuple[Sample, Order]:
    """Rows whose order is known; those without an event time have none."""
    if rows.times is None:
        return rows.sample, Order(known=False)
    known = np.flatnonzero(~np.isnan(rows.times))
    if known.size == 0:
        return rows.sample, Order(known=False)
    if known.size == rows.sample.rows:
        return rows.sample, Order(rows.times)
    return rows.sample.take(known), Order(rows.times[known])


def _check_tolerances(settings: ModelSettings, schema: Sequence[SchemaColumn]) -> None:
    names = [column.name for column in schema if column.role in ("input", "prediction")]
    for name in settings.tolerance.columns:
        if name not in names:
            raise DataError(
                f"`tolerance` names {name!r}, which is no input and no prediction",
                where=settings.reference,
                hint="they are " + ", ".join(names),
            )


def reference_schema(context: Context, model: OnnxModel | None) -> tuple[SchemaColumn, ...]:
    """Columns of the reference with their roles."""
    settings = context.model
    files = parquet.reference_files(settings.reference)
    plain = parquet.read_schema(files, settings.categorical, root=settings.reference)
    wanted = model.wanted_columns(plain) if model is not None else None
    return roles.assign(plain, settings, wanted)


def with_predictions(
    sample: Sample, schema: Sequence[SchemaColumn], model: OnnxModel | None
) -> tuple[Sample, tuple[SchemaColumn, ...]]:
    """The sample and schema with the model's outputs beside the inputs."""
    if model is None:
        return sample, tuple(schema)
    prediction = predict(sample, schema, model)
    if not prediction.columns:
        told = " ".join(finding.message for finding in prediction.findings)
        raise ModelError(
            f"no row of the reference gets a prediction: {told}",
            where=model.path,
            hint="give a reference the model can score, or watch without `model:`",
        )
    added = tuple(
        SchemaColumn(column.name, column.kind, "prediction", column.type)
        for column in prediction.columns
    )
    return sample.with_columns(prediction.columns), (*schema, *added)


def predict(sample: Sample, schema: Sequence[SchemaColumn], model: OnnxModel) -> Prediction:
    """Run the model on the inputs; its outputs are renamed where a logged column has their name."""
    inputs = tuple(c for c in schema if c.role == "input" and c.derived_from is None)
    prediction = model.predict(model.bind(inputs), sample)
    logged = {column.name for column in schema}
    columns = tuple(
        replace(c, name=f"{c.name} (model)") if c.name in logged else c for c in prediction.columns
    )
    return replace(prediction, columns=columns)


def digests(request: Digest) -> Digests:
    """Hash the model, the reference and files, as far as they can be read."""
    settings = request.model
    model = settings.model if settings is not None else None
    return Digests(
        model=model_sha256(model) if model is not None else None,
        reference=_reference_sha256(settings.reference) if settings is not None else None,
        files={uri: _hashed(uri) for uri in request.uris},
        software={
            "shiftwatch": __version__,
            "python": platform.python_version(),
            **versions(),
        },
    )


def _hashed(path: str) -> str | None:
    try:
        return file_sha256(path)
    except (OSError, DataError):
        return None


def _reference_sha256(path: str) -> str | None:
    try:
        return parquet.reference_sha256(path)
    except DataError:
        return None


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Versions of the libraries whose numbers we pass on."""
    return {name: metadata.version(name) for name in LIBRARIES}
