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
from shiftwatch.web import comparison_shapes, pages, shapes, words
from shiftwatch.web.board import Board

ROWS = 25
"""Batches on one page of the history."""

_WORDS = 20
_COMPARISONS = 10
_KINDS: Mapping[str, str] = {
    "note": "note",
    "known_change": "known change",
    "silence": "silence",
    "accepted": "accepted as normal",
    "undone": "back to the configured reference",
    "ended": "acceptance ended",
}


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


def model_page(board: Board, status: ModelStatus, asked: Asked) -> str:
    """The page of a model.

    Raises
    ------
    StoreError
        If the history cannot be read.
    """
    snapshot, name = board.snapshot(), status.name
    found = board.runs(name, limit=ROWS, before=asked.before, verdict=asked.state)
    rows = [shapes.batch_shape(name, row) for row in found]
    acceptances = board.acceptances(name)
    said = [_annotation(word, board.clock()) for word in board.annotations(name, limit=_WORDS)]
    said += [_acceptance(word) for word in acceptances[:_WORDS]]
    said.sort(key=lambda word: word.start, reverse=True)
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
            accepted=bool(acceptances) and acceptances[0]["kind"] == "accepted",
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


def _annotation(word: Annotation, now: float) -> Word:
    scopes = f" of {', '.join(word.scopes)}" if word.scopes else ""
    return Word(
        number=str(word.id),
        what=_KINDS[word.kind] + scopes,
        start=shapes.iso_time(word.start) or "",
        until=shapes.iso_time(word.until),
        by=word.by,
        text=word.text,
        in_force=word.in_force(now),
        ended_by=word.ended_by,
    )


def _acceptance(word: Mapping[str, Any]) -> Word:
    return Word(
        number="",
        what=_KINDS[word["kind"]],
        start=shapes.iso_time(word["at"]) or "",
        until=None,
        by=word["by"],
        text=word["note"],
    )
