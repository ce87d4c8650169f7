"""The page of one model: its timeline at length, its history, what was said, forms for operators.

In:    a Board, a model, which part of the history.
Out:   HTML that is whole without script, and needs nothing from elsewhere.
Never: shows more than the API says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from shiftwatch.status import ModelStatus
from shiftwatch.values import VERDICTS, Annotation, Verdict
from shiftwatch.web import annotation_shapes, comparison_shapes, pages, shapes, strip, words
from shiftwatch.web.board import Board

ROWS = 25
"""Batches on one page of the history."""

_WORDS = 20
_COMPARISONS = 10


@dataclass(frozen=True, slots=True)
class Asked:
    """Which part of the history is to be shown."""

    state: Verdict | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """What an operator said, as a line."""

    number: str
    what: str
    start: str
    until: str | None
    by: str
    text: str
    in_force: bool = False
    ended_by: str = ""
    undo: str = ""
    """What is asked with DELETE to take it back; empty where it cannot be."""
    undo_words: str = ""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who looks: ``name`` is that of the token, empty where none is asked for."""

    name: str = ""
    writes: bool = True


def model_page(board: Board, status: ModelStatus, asked: Asked, reader: Reader) -> str:
    """The page of a model.

    Raises
    ------
    StoreError
        If the history cannot be read.
    """
    snapshot, name = board.snapshot(), status.name
    found = board.runs(name, limit=ROWS, before=asked.before, verdict=asked.state)
    rows = [shapes.batch_shape(name, row) for row in found]
    said = _all_said(board, name)
    made = board.comparisons.made(name, limit=_COMPARISONS, before=None)
    compared = [comparison_shapes.made_shape(row) for row in made]
    config = board.effective_config()
    return (
        pages.environment()
        .get_template("model.html")
        .render(
            card=pages.card_of(board, status, config, snapshot.around.words),
            layers=pages.LAYERS,
            rows=rows,
            history_version=pages.version_of(rows),
            following=_following(name, asked, rows),
            asked=asked,
            verdicts={verdict: words.VERDICTS[verdict] for verdict in VERDICTS},
            said=said,
            said_version=pages.version_of(said),
            compared=compared,
            compared_version=pages.version_of(compared),
            holder=reader.name,
            writes=reader.writes,
            api=f"/api/v1/models/{quote(name, safe='')}",
            scripts=pages.scripts(),
        )
    )


def _following(name: str, asked: Asked, rows: list[shapes.BatchShape]) -> str | None:
    if len(rows) < ROWS:
        return None
    chosen: dict[str, Any] = {"before": rows[-1].seq}
    if asked.state is not None:
        chosen["state"] = asked.state
    return f"/models/{quote(name, safe='')}?{urlencode(chosen)}"


def _all_said(board: Board, name: str) -> list[Word]:
    """The newest words first."""
    now, acceptances = board.clock(), board.acceptances(name)
    said = [_annotation(word, now) for word in board.annotations(name, limit=_WORDS)]
    said += [_acceptance(word, newest=not at) for at, word in enumerate(acceptances[:_WORDS])]
    return sorted(said, key=lambda word: word.start, reverse=True)


def _annotation(word: Annotation, now: float) -> Word:
    scopes = f" of {', '.join(word.scopes)}" if word.scopes else ""
    over = word.ended_at is not None or (word.until is not None and word.until <= now)
    return Word(
        number=str(word.id),
        what=strip.KINDS[word.kind] + scopes,
        start=shapes.iso_time(word.start) or "",
        until=shapes.iso_time(word.until),
        by=word.by,
        text=word.text,
        in_force=word.in_force(now),
        ended_by=word.ended_by,
        undo="" if over else f"{annotation_shapes.annotations_path(word.model)}/{word.id}",
        undo_words="End",
    )


def _acceptance(word: Mapping[str, Any], *, newest: bool) -> Word:
    in_force = newest and word["kind"] == "accepted"
    return Word(
        number="",
        what=strip.KINDS[word["kind"]],
        start=shapes.iso_time(word["at"]) or "",
        until=None,
        by=word["by"],
        text=word["note"],
        in_force=in_force,
        undo=f"/api/v1/models/{quote(word['model'], safe='')}/acceptance" if in_force else "",
        undo_words="Return to the configured reference",
    )
