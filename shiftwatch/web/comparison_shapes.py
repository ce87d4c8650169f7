"""The JSON of comparisons on demand.

In:    states and rows of comparisons.
Out:   frozen shapes and examples.
Never: asks the board.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar
from urllib.parse import quote

from shiftwatch.annotation import moment
from shiftwatch.errors import DataError
from shiftwatch.settings.fields import duration_seconds
from shiftwatch.sides import Side
from shiftwatch.values import Verdict
from shiftwatch.web.shapes import DESCRIBED, STRICT, JobStatus, iso_time


@dataclass(frozen=True, slots=True)
class CurrentSide:
    """Batches from one to another, or of a stretch of time, or files; empty: the newest batch."""

    __pydantic_config__: ClassVar[Any] = STRICT

    first: str | None = None
    """Id of the first batch."""
    last: str | None = None
    """Id of the last one; the first alone if left out."""
    start: str | None = None
    """Instead of ids: batches whose events have their middle from this time on, ISO 8601 in UTC."""
    until: str | None = None
    """Up to this time."""
    files: list[str] = field(default_factory=list)
    """Instead: paths of files and folders below the configured batches, or their addresses."""

    def side(self, now: float, earlier: str | None = None) -> Side:
        """As it is looked for; DataError if a time is none."""
        start, until = (None if t is None else moment(t, now) for t in (self.start, self.until))
        try:
            seconds = None if earlier is None else duration_seconds(earlier)
        except ValueError as fault:
            raise DataError(str(fault), where="earlier") from None
        return Side(self.first, self.last, start, until, seconds, tuple(self.files))


@dataclass(frozen=True, slots=True)
class ReferenceSide:
    """What the current side is held against; empty: the model's reference."""

    # The fields stand again: what describes them is not found in a class that inherits them.

    __pydantic_config__: ClassVar[Any] = STRICT

    first: str | None = None
    """Id of the first batch."""
    last: str | None = None
    """Id of the last one; the first alone if left out."""
    start: str | None = None
    """Instead of ids: batches whose events have their middle from this time on, ISO 8601 in UTC."""
    until: str | None = None
    """Up to this time."""
    files: list[str] = field(default_factory=list)
    """Instead: paths of files and folders below the configured batches, or their addresses."""
    earlier: str | None = None
    """Instead: the current side's own time, so much earlier, such as `7d` for last week."""

    def side(self, now: float) -> Side:
        """As it is looked for; DataError if a time is none."""
        own = CurrentSide(self.first, self.last, self.start, self.until, self.files)
        return own.side(now, self.earlier)


@dataclass(frozen=True, slots=True)
class ComparisonRequest:
    """What is to be held against what."""

    __pydantic_config__: ClassVar[Any] = STRICT

    current: CurrentSide | None = None
    """The newest batch if left out."""
    reference: ReferenceSide | None = None
    """The model's reference if left out."""

    def sides(self, now: float) -> tuple[Side, Side]:
        """Current and reference."""
        current = Side() if self.current is None else self.current.side(now)
        return current, Side() if self.reference is None else self.reference.side(now)


@dataclass(frozen=True, slots=True)
class ProgressShape:
    """How far it is."""

    __pydantic_config__: ClassVar[Any] = DESCRIBED

    what: str
    """What is being done."""
    share: float
    """Part of it that is done, 0 to 1."""


@dataclass(frozen=True, slots=True)
class ComparisonShape:
    """A comparison that was asked for."""

    __pydantic_config__: ClassVar[Any] = DESCRIBED

    id: str
    """By content: the same bytes under the same configuration have the same id."""
    model: str
    """Name of the model."""
    status: JobStatus
    """How far it is."""
    reference: str
    """What stands for the reference, in words."""
    current: str
    """What is held against it."""
    left_out: int
    """Batches in between that could not be read when they were judged."""
    status_url: str
    """Path to ask again."""
    progress: ProgressShape | None = None
    """While it runs."""
    report: str | None = None
    """Path of its report once there is one."""
    detail: str | None = None
    """What went wrong."""


@dataclass(frozen=True, slots=True)
class MadeShape:
    """A comparison that was made."""

    __pydantic_config__: ClassVar[Any] = DESCRIBED

    seq: int
    """Its place; give it as `before` to read on."""
    id: str
    """Id of its content."""
    at: str
    """When it was made, ISO 8601 in UTC."""
    state: Verdict
    """Its answer."""
    reference: str
    """What stood for the reference, in words."""
    current: str
    """What was held against it."""
    report: str
    """Path of its report."""


@dataclass(frozen=True, slots=True)
class ComparisonsShape:
    """Those that were made, newest first."""

    __pydantic_config__: ClassVar[Any] = DESCRIBED

    model: str
    """Name of the model."""
    comparisons: list[MadeShape]
    """Newest first; a hundred are kept."""
    next: str | None
    """Path of the page after this one, null on the last."""
    others: list[ComparisonShape] = field(default_factory=list)
    """Those that wait, are being made, or could not be made, newest first; on the first page."""


def comparison_shape(facts: Mapping[str, Any]) -> ComparisonShape:
    """A comparison as the API shows it."""
    address = path(facts["model"], facts["id"])
    told = facts.get("progress")
    return ComparisonShape(
        id=facts["id"],
        model=facts["model"],
        status=facts["status"],
        reference=facts["reference"],
        current=facts["current"],
        left_out=facts["left_out"],
        status_url=address,
        progress=None if told is None else ProgressShape(told["what"], told["share"]),
        report=f"{address}/report" if facts["status"] == "done" else None,
        detail=facts.get("detail"),
    )


def made_shape(row: Mapping[str, Any]) -> MadeShape:
    """A row of those that were made."""
    return MadeShape(
        seq=row["seq"],
        id=row["id"],
        at=iso_time(row["at"]) or "",
        state=row["verdict"],
        reference=row["reference"],
        current=row["current"],
        report=f"{path(row['model'], row['id'])}/report",
    )


def path(model: str, identity: str = "") -> str:
    """Where the comparisons of a model are, or one of them."""
    own = f"/{quote(identity, safe='')}" if identity else ""
    return f"/api/v1/models/{quote(model, safe='')}/comparisons{own}"


_SHAPE = ComparisonShape(
    id="5f3c5a1e9b7d2468",
    model="churn",
    status="running",
    reference="24 batches from 2026-09-14 14:00 to 2026-09-15 13:00",
    current="24 batches from 2026-09-21 14:00 to 2026-09-22 13:00",
    left_out=0,
    status_url=path("churn", "5f3c5a1e9b7d2468"),
    progress=ProgressShape("testing", 0.25),
)
_MADE = MadeShape(
    seq=3,
    id=_SHAPE.id,
    at="2026-09-22T13:20:00Z",
    state="no_shift",
    reference=_SHAPE.reference,
    current=_SHAPE.current,
    report=f"{_SHAPE.status_url}/report",
)
EXAMPLE = asdict(_SHAPE)
EXAMPLES = asdict(ComparisonsShape("churn", [_MADE], None))
EXAMPLE_DONE = EXAMPLE | {"status": "done", "progress": None, "report": _MADE.report}
REQUEST_EXAMPLES: Any = {
    "the same time last week": {
        "value": {
            "current": {"start": "2026-09-21T14:00:00Z", "until": "2026-09-22T14:00:00Z"},
            "reference": {"earlier": "7d"},
        }
    },
    "a file against the reference": {"value": {"current": {"files": ["2026-09-22.parquet"]}}},
    "files against batches": {
        "value": {
            "current": {"files": ["trial/"]},
            "reference": {"first": "5f3c5a1e9b7d2468", "last": "8a1b22c3d4e5f607"},
        }
    },
}
