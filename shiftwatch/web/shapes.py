"""The JSON the API answers with, by type, so that its description says all of it.

In:    the snapshot, rows of the store, jobs.
Out:   frozen shapes and an example of each.
Never: asks the board.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from shiftwatch.quarantine import Broken
from shiftwatch.report import crossed, doubts
from shiftwatch.status import ModelStatus, MonitorState
from shiftwatch.values import Decision, Evidence, Run, Verdict

DESCRIBED: Mapping[str, Any] = {"use_attribute_docstrings": True}
"""Of a shape: the docstrings of its fields are told in the OpenAPI document."""

STRICT: Mapping[str, Any] = {**DESCRIBED, "extra": "forbid"}
"""Of what is sent to us: a field that is not known is refused."""
"""Makes the description out of the docstrings below the fields."""

JobStatus = Literal["queued", "running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class ScopeShape:
    """What is known of one scope after the newest batch."""

    __pydantic_config__: ClassVar[Any] = DESCRIBED

    alarm: bool
    """Whether the alarm is on; it stays on until the clearing rule is met."""
    since: str | None
    """Id of the batch on which it rose."""
    p_value: float | None
    """P-value of the newest batch alone, corrected over tests and columns."""
    level: float
    """Level the p-value is compared with."""
    evidence: dict[str, float | None]
    """Evidence over its threshold by layer: this batch alone (check), past batches together
    (window), what has built up over past batches (pool); 1 or more raises the alarm."""
    columns: list[str]
    """Columns named as shifted."""
    crossed: list[str]
    """Layers (check, window, pool) whose threshold was crossed on the newest batch."""
    also_moving: list[str]
    """A wider list of columns, at a false discovery rate of 5 %: no reason for an alarm."""
    change_from: str | None
    """Id of the batch with which the change is estimated to have begun."""


@dataclass(frozen=True, slots=True)
class BatchShape:
    """A judged batch."""

    __pydantic_config__: ClassVar[Any] = DESCRIBED

    batch_id: str
    """Id: the same bytes have the same id."""
    uri: str
    """First file."""
    rows: int
    """Rows."""
    state: Verdict
    """Answer of this check alone."""
    alarm: bool
    """Whether any alarm was on after it."""
    judged_at: str
    """When it was judged, ISO 8601 in UTC."""
    event_time_start: str | None = None
    """Earliest event time, null without a time column."""
    event_time_end: str | None = None
    """Latest event time, null without a time column."""
    seq: int | None = None
    """Place in the history; give it as `before` to read on."""
    report: str = ""
    """Path of its report."""


@dataclass(frozen=True, slots=True)
class BrokenShape:
    """A file that cannot be read."""

    __pydantic_config__: ClassVar[Any] = DESCRIBED

    uri: str
    """The file, as far as its name is text."""
    quarantined: bool
    """Whether it was given up; else it is looked at again soon."""
    reason: str
    """Code of the reason; `shiftwatch explain` has its meaning."""
    fault: str
    """What was found."""
    looks: int
    """How often it was looked at."""
    first_at: str
    """When it was first found broken, ISO 8601 in UTC."""
    looked_at: str
    """When it was last looked at."""


@dataclass(frozen=True, slots=True)
class ModelShape:
    """A watched model now."""

    __pydantic_config__: ClassVar[Any] = DESCRIBED

    model: str
    """Name."""
    monitor_state: MonitorState
    """Whether the monitor can tell, whatever it tells."""
    state: Verdict | None
    """Answer of the newest check, null before the first."""
    alarm: bool
    """Whether any scope is in alarm."""
    scopes: dict[str, ScopeShape]
    """By scope: input, prediction, schema."""
    last_batch: BatchShape | None
    """The newest judged batch."""
    last_processed_at: str | None
    """When every test last ran or was skipped for a named reason, ISO 8601 in UTC."""
    backlog: int
    """Batches found and not judged yet."""
    tests: list[str]
    """Configured tests."""
    fault: str | None
    """Why the model cannot be watched, null if it can."""
    doubts: list[str]
    """Why the promise on false alarms cannot be shown to hold for the newest batch."""
    quarantined: int
    """Broken files that were given up and still lie in the folder."""
    retried: int
    """Broken files that are looked at again before they are given up."""
    broken: list[BrokenShape]
    """The first hundred of both, those given up before the others."""


@dataclass(frozen=True, slots=True)
class ModelsShape:
    """Watched models, as they are configured."""

    __pydantic_config__: ClassVar[Any] = DESCRIBED

    models: list[ModelShape]
    """All of them, or a page."""
    next: str | None = None
    """Path of the page after this one, null on the last."""


@dataclass(frozen=True, slots=True)
class BatchesShape:
    """A page of the history, newest first."""

    __pydantic_config__: ClassVar[Any] = DESCRIBED

    model: str
    """Name of the model."""
    batches: list[BatchShape]
    """Newest first."""
    next: str | None
    """Path of the page after this one, null on the last."""


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """What to check; an empty body means all due batches."""

    __pydantic_config__: ClassVar[Any] = STRICT

    path: str | None = None
    """A file inside the configured prefix: a report on it alone, outside the history."""


@dataclass(frozen=True, slots=True)
class JobShape:
    """A check that was asked for."""

    __pydantic_config__: ClassVar[Any] = DESCRIBED

    id: str
    """Id of the job."""
    model: str
    """Name of the model."""
    status: JobStatus
    """How far it is."""
    status_url: str
    """Path to ask again."""
    report: str | None = None
    """Path of the report once there is one."""
    detail: str | None = None
    """What is being done, was done, or went wrong."""


@dataclass(frozen=True, slots=True)
class AcceptanceShape:
    """A word of an operator on what is normal for a model."""

    __pydantic_config__: ClassVar[Any] = DESCRIBED

    model: str
    """Name of the model."""
    kind: Literal["accepted", "undone", "ended"]
    """`ended`: the configured reference has changed, which ends what was accepted."""
    from_batch: str
    """Id of the first batch whose rows are the reference."""
    to_batch: str
    """Id of the last one."""
    rows: int
    """Rows of the accepted reference."""
    sha256: str
    """SHA-256 of its file, as in the provenance of reports."""
    path: str
    """The file."""
    note: str
    """Why, in the operator's words."""
    at: str
    """When, ISO 8601 in UTC."""
    by: str = ""
    """Who: the holder of the token, or `anonymous` where there are no tokens."""


@dataclass(frozen=True, slots=True)
class AcceptancesShape:
    """What is in force for a model, and all that was said before."""

    __pydantic_config__: ClassVar[Any] = DESCRIBED

    model: str
    """Name of the model."""
    in_force: AcceptanceShape | None
    """What is accepted now; null where the configured reference is used."""
    history: list[AcceptanceShape]
    """The newest first."""
    next: str | None = None
    """Path of the page after this one, null on the last."""


def acceptance_shape(facts: Mapping[str, Any]) -> AcceptanceShape:
    """A word as the API shows it."""
    known = {item.name: facts[item.name] for item in fields(AcceptanceShape)}
    told = {name: encodable(facts[name]) for name in ("path", "note", "by")}
    return AcceptanceShape(**known | told | {"at": iso_time(facts["at"]) or ""})


def model_shape(status: ModelStatus) -> ModelShape:
    """A model as the API shows it."""
    run = status.last_run
    return ModelShape(
        model=status.name,
        monitor_state=status.monitor_state,
        state=run.verdict if run else None,
        alarm=run.alarm if run else False,
        scopes={decision.scope: _scope(decision) for decision in run.decisions} if run else {},
        last_batch=_last_batch(run) if run else None,
        last_processed_at=iso_time(status.last_processed_at),
        backlog=status.backlog,
        tests=list(status.tests),
        fault=status.fault,
        doubts=[finding.message for finding in doubts(run)] if run else [],
        quarantined=status.quarantined,
        retried=status.retried,
        broken=[_broken(entry) for entry in status.broken],
    )


def _broken(entry: Broken) -> BrokenShape:
    return BrokenShape(
        uri=encodable(entry.uri),
        quarantined=entry.quarantined,
        reason=entry.reason,
        fault=encodable(entry.fault),
        looks=entry.looks,
        first_at=iso_time(entry.first_at) or "",
        looked_at=iso_time(entry.looked_at) or "",
    )


def encodable(name: str) -> str:
    """A name that can be encoded, whatever bytes it is made of."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _scope(decision: Decision) -> ScopeShape:
    return ScopeShape(
        alarm=decision.alarm,
        since=decision.since,
        p_value=decision.p_value,
        level=decision.level,
        evidence=asdict(decision.evidence),
        columns=list(decision.columns),
        crossed=list(crossed(decision)),
        also_moving=list(decision.also_moving),
        change_from=decision.change_from,
    )


def _last_batch(run: Run) -> BatchShape:
    batch = run.batch
    return BatchShape(
        batch_id=batch.id,
        uri=batch.uri,
        rows=batch.rows,
        state=run.verdict,
        alarm=run.alarm,
        judged_at=iso_time(run.judged_at) or "",
        event_time_start=iso_time(batch.event_time_start),
        event_time_end=iso_time(batch.event_time_end),
        report=report_path(run.model, batch.id),
    )


def batch_shape(model: str, row: Mapping[str, Any]) -> BatchShape:
    """A row of the history as the API shows it."""
    return BatchShape(
        batch_id=row["batch_id"],
        uri=row["uri"],
        rows=row["rows"],
        state=row["state"],
        alarm=bool(row["alarm"]),
        judged_at=iso_time(row["judged_at"]) or "",
        event_time_start=iso_time(row["event_time_start"]),
        event_time_end=iso_time(row["event_time_end"]),
        seq=row["seq"],
        report=report_path(model, row["batch_id"]),
    )


def job_shape(model: str, job: str, facts: Mapping[str, Any]) -> JobShape:
    """A job as the API shows it."""
    return JobShape(
        id=job,
        model=model,
        status=facts["status"],
        status_url=job_path(model, job),
        report=facts.get("report"),
        detail=facts.get("detail"),
    )


def batches_path(model: str) -> str:
    """Where the history of a model is."""
    return f"/api/v1/models/{quote(model, safe='')}/batches"


def acceptance_path(model: str) -> str:
    """Where the words on what is normal for a model are."""
    return f"/api/v1/models/{quote(model, safe='')}/acceptance"


def report_path(model: str, batch: str) -> str:
    """Where the report of a batch is."""
    return f"/api/v1/models/{quote(model, safe='')}/report?batch={quote(batch, safe='')}"


def job_path(model: str, job: str) -> str:
    """Where a job is asked after."""
    return f"/api/v1/models/{quote(model, safe='')}/checks/{quote(job, safe='')}"


def iso_time(moment: float | str | None) -> str | None:
    """ISO 8601 in UTC with whole seconds; a text is taken to be that already.

    A time outside the calendar (a column in the wrong unit gives such) is shown as the number.

    Examples
    --------
    >>> iso_time(1_790_000_000.6), iso_time(None), iso_time(1e18)
    ('2026-09-21T14:13:20Z', None, '1e+18')
    """
    if moment is None or isinstance(moment, str):
        return moment
    try:
        time = datetime.fromtimestamp(int(moment), tz=UTC)
    except (OverflowError, ValueError, OSError):
        return str(moment)
    return time.isoformat().replace("+00:00", "Z")


_BATCH_EXAMPLE = BatchShape(
    batch_id="0f3c5a1e9b7d2468",
    uri="batches/2026-09-21T14.parquet",
    rows=2000,
    state="shift",
    alarm=True,
    judged_at="2026-09-21T14:13:20Z",
    seq=41,
    report="/api/v1/models/churn/report?batch=0f3c5a1e9b7d2468",
)
_SCOPE_EXAMPLE = ScopeShape(
    alarm=True,
    since="0f3c5a1e9b7d2468",
    p_value=1e-9,
    level=0.001,
    evidence=asdict(Evidence(check=3.0, window=0.4, pool=0.7)),
    columns=["age"],
    crossed=["check"],
    also_moving=["income"],
    change_from="0f3c5a1e9b7d2468",
)
_BROKEN_EXAMPLE = BrokenShape(
    uri="batches/2026-09-21T13.parquet",
    quarantined=True,
    reason="no_footer",
    fault="no readable footer",
    looks=4,
    first_at="2026-09-21T13:05:00Z",
    looked_at="2026-09-21T13:10:00Z",
)
_MODEL_EXAMPLE = ModelShape(
    model="churn",
    monitor_state="ok",
    state="shift",
    alarm=True,
    scopes={"input": _SCOPE_EXAMPLE},
    last_batch=_BATCH_EXAMPLE,
    last_processed_at="2026-09-21T14:13:20Z",
    backlog=0,
    tests=["ks", "chi2", "mmd", "c2st"],
    fault=None,
    doubts=[],
    quarantined=1,
    retried=0,
    broken=[_BROKEN_EXAMPLE],
)
_JOB = job_path("churn", "7c1d")
_ACCEPTANCE_EXAMPLE = AcceptanceShape(
    model="churn",
    kind="accepted",
    from_batch="0f3c5a1e9b7d2468",
    to_batch="9b7d24680f3c5a1e",
    rows=12000,
    sha256="5e" * 32,
    path="shiftwatch.accepted/churn/5e5e5e5e5e5e5e5e.parquet",
    note="new price list since Monday",
    at="2026-09-21T14:13:20Z",
    by="ada",
)

CHECK_REQUEST = {"path": _BATCH_EXAMPLE.uri}
"""An example of a body."""

EXAMPLES: Mapping[str, dict[str, Any]] = {
    "models": asdict(ModelsShape([_MODEL_EXAMPLE])),
    "model": asdict(_MODEL_EXAMPLE),
    "batches": asdict(BatchesShape("churn", [_BATCH_EXAMPLE], None)),
    "queued": asdict(JobShape("7c1d", "churn", "queued", _JOB)),
    "acceptance": asdict(_ACCEPTANCE_EXAMPLE),
    "acceptances": asdict(AcceptancesShape("churn", _ACCEPTANCE_EXAMPLE, [_ACCEPTANCE_EXAMPLE])),
    "job": asdict(JobShape("7c1d", "churn", "done", _JOB, _BATCH_EXAMPLE.report, "1 batch judged")),
}
"""One example of each answer, for the description."""
