"""The pages for people: overview and API description.

In:    a Board, or the OpenAPI document.
Out:   HTML without script and without anything from elsewhere.
Never: puts a text from outside on the page unescaped; shows more than the API says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from shiftwatch.errors import StoreError
from shiftwatch.metrics import TestView, by_test
from shiftwatch.status import ModelStatus
from shiftwatch.values import Evidence, Run
from shiftwatch.web import shapes, words
from shiftwatch.web.board import Board

if TYPE_CHECKING:
    import jinja2

TIMELINE = 60
"""Verdicts on the strip of a model."""

_HEIGHTS = {"no_shift": 12, "insufficient_data": 18, "invalid_data": 28, "error": 28, "shift": 40}
"""Pixels of a bar; height and title say the same as the colour."""


@dataclass(frozen=True, slots=True)
class AlarmLine:
    """A scope and its alarm."""

    scope: str
    on: bool
    since_batch: str | None
    since: str | None
    """When that batch was judged, None if it is older than the timeline."""
    evidence: float | None
    """The strongest of its layers."""
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """A verdict on the timeline."""

    state: str
    x: int
    height: int
    alarm: bool
    title: str
    href: str


@dataclass(frozen=True, slots=True)
class Card:
    """A model on the overview."""

    name: str
    badges: tuple[words.Badge, ...]
    alarms: tuple[AlarmLine, ...]
    run: Run | None
    judged_at: str | None
    backlog: int
    tests: tuple[TestView, ...]
    bars: tuple[Bar, ...]
    summary: str
    history_fault: str | None


def overview(board: Board) -> str:
    """The page of all models."""
    snapshot = board.snapshot()
    folders = _folders(board.effective_config())
    cards = [_card(board, status, folders.get(status.name)) for status in snapshot.models]
    return _environment().get_template("overview.html").render(snapshot=snapshot, cards=cards)


def _folders(config: Mapping[str, Any]) -> Mapping[str, str]:
    return {model["name"]: model["batches"] for model in config.get("models", ())}


def _card(board: Board, status: ModelStatus, folder: str | None) -> Card:
    run, fault = status.last_run, None
    try:
        points = sorted(board.timeline(status.name, TIMELINE), key=lambda row: row["judged_at"])
    except StoreError as error:
        points, fault = [], str(error)
    times = {point["batch_id"]: shapes.iso_time(point["judged_at"]) for point in points}
    return Card(
        name=status.name,
        badges=words.badges(status, folder),
        alarms=_alarms(run, times) if run else (),
        run=run,
        judged_at=shapes.iso_time(run.judged_at) if run else None,
        backlog=status.backlog,
        tests=by_test(run) if run else (),
        bars=_bars(status.name, points[-TIMELINE:]),
        summary=_summary(points[-TIMELINE:]),
        history_fault=fault,
    )


def _alarms(run: Run, times: Mapping[str, str | None]) -> tuple[AlarmLine, ...]:
    return tuple(
        AlarmLine(
            scope=decision.scope,
            on=decision.alarm,
            since_batch=decision.since,
            since=times.get(decision.since or ""),
            evidence=_strongest(decision.evidence),
            columns=decision.columns,
        )
        for decision in run.decisions
    )


def _strongest(evidence: Evidence) -> float | None:
    layers = (evidence.check, evidence.window, evidence.pool)
    return max((layer for layer in layers if layer is not None), default=None)


def _bars(model: str, points: Sequence[Mapping[str, Any]]) -> tuple[Bar, ...]:
    first = TIMELINE - len(points)
    return tuple(
        Bar(
            state=point["state"],
            x=12 * (first + place),
            height=_HEIGHTS.get(point["state"], 28),
            alarm=bool(point["alarm"]),
            title=_title(point),
            href=f"{shapes.report_path(model, point['batch_id'])}&format=html",
        )
        for place, point in enumerate(points)
    )


def _title(point: Mapping[str, Any]) -> str:
    verdict = words.VERDICTS.get(point["state"], point["state"])
    alarm = ", alarm on" if point["alarm"] else ""
    return f"{shapes.iso_time(point['judged_at'])} batch {point['batch_id']}: {verdict}{alarm}"


def _summary(points: Sequence[Mapping[str, Any]]) -> str:
    counts = Counter(point["state"] for point in points)
    parts = (f"{n} {words.VERDICTS.get(state, state)}" for state, n in counts.most_common())
    return f"last {len(points)} batches: {', '.join(parts)}"


def docs(description: Mapping[str, Any]) -> str:
    """The page of the API description."""
    return _environment().get_template("docs.html").render(api=description)


@cache
def _environment() -> jinja2.Environment:
    import jinja2  # noqa: PLC0415  # 11 MB that only pages need

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("shiftwatch.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        shown=words.shown, number=words.number, verdict=_verdict, report=shapes.report_path
    )
    return environment


def _verdict(state: str) -> str:
    return {str(verdict): text for verdict, text in words.VERDICTS.items()}[state]
