"""The JSON of what operators say of stretches of time.

In:    annotations.
Out:   frozen shapes and an example.
Never: asks the board.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from shiftwatch.annotation import LONGEST_TEXT, Draft, moment
from shiftwatch.values import Annotation, AnnotationKind, Scope
from shiftwatch.web.shapes import DESCRIBED, STRICT, encodable, iso_time

SilencedScope = Literal["input", "prediction", "schema"]


@dataclass(frozen=True, slots=True)
class AnnotationShape:
    """A word of an operator on a stretch of a model's time."""

    __pydantic_config__: ClassVar[Any] = DESCRIBED

    id: int
    """Number, by which it is taken back."""
    model: str
    """Name of the model."""
    kind: AnnotationKind
    """A note, a known change, or a silence, which the alerts heed; verdicts and alarms stay."""
    text: str
    """What was said."""
    start: str
    """When it begins, ISO 8601 in UTC."""
    until: str | None
    """When it ends, null while that is not known."""
    scopes: list[Scope]
    """Scopes that a silence is about; empty: all."""
    by: str
    """Who said it."""
    at: str
    """When it was said."""
    in_force: bool
    """Whether it is in force now."""
    ended_at: str | None = None
    """When it was taken back."""
    ended_by: str = ""
    """By whom."""


@dataclass(frozen=True, slots=True)
class AnnotationsShape:
    """A page of what was said, the newest first."""

    __pydantic_config__: ClassVar[Any] = DESCRIBED

    model: str
    """Name of the model."""
    annotations: list[AnnotationShape]
    """Newest first."""
    next: str | None
    """Path of the page after this one, null on the last."""


@dataclass(frozen=True, slots=True)
class AnnotationRequest:
    """What is to be kept."""

    __pydantic_config__: ClassVar[Any] = STRICT

    kind: AnnotationKind
    """`note`, `known_change` or `silence`."""
    text: str = ""
    """What is known; a silence may do without."""
    start: str | None = None
    """When it begins: ISO 8601 (UTC without a zone), or a time from now such as `2h`; now."""
    until: str | None = None
    """When it ends, likewise; a silence must say."""
    scopes: tuple[SilencedScope, ...] = ()
    """Scopes to be silenced; all if empty."""
    by: str = ""
    """Who says it, where there are no tokens; with tokens it is the holder's name."""

    def draft(self, now: float) -> Draft:
        """As it is kept; DataError if a time is none."""
        start = now if self.start is None else moment(self.start, now)
        until = None if self.until is None else moment(self.until, now)
        scopes: tuple[Scope, ...] = tuple(dict.fromkeys(self.scopes))
        return Draft(self.kind, self.text[: LONGEST_TEXT + 1], start, until, scopes)


def annotation_shape(word: Annotation, now: float) -> AnnotationShape:
    """A word as the API shows it."""
    return AnnotationShape(
        id=word.id,
        model=word.model,
        kind=word.kind,
        text=encodable(word.text),
        start=iso_time(word.start) or "",
        until=iso_time(word.until),
        scopes=list(word.scopes),
        by=encodable(word.by),
        at=iso_time(word.at) or "",
        in_force=word.in_force(now),
        ended_at=iso_time(word.ended_at),
        ended_by=encodable(word.ended_by),
    )


def annotations_path(model: str) -> str:
    """Where the words on a model are."""
    return f"/api/v1/models/{quote(model, safe='')}/annotations"


EXAMPLE = asdict(
    AnnotationShape(
        id=7,
        model="churn",
        kind="silence",
        text="campaign until 1 December",
        start="2026-11-25T12:00:00Z",
        until="2026-12-01T00:00:00Z",
        scopes=["input"],
        by="ada",
        at="2026-11-25T12:00:00Z",
        in_force=True,
    )
)
EXAMPLES = {"model": "churn", "annotations": [EXAMPLE], "next": None}
REQUEST_EXAMPLE = {"kind": "silence", "text": "campaign", "until": "3d", "scopes": ["input"]}
