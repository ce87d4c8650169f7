"""Past verdicts on a line of time: how strong the evidence was, when the alarm rose, what was said.

In:    past verdicts and words of operators; the run that the page is about.
Out:   points in their order, stretches of them, events in words.
Never: draws; forgets a word because no check lies in its stretch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shiftwatch.annotation import KIND_WORDS, covered
from shiftwatch.report.alarm import ratio_text
from shiftwatch.report.details import is_number
from shiftwatch.report.layers import crossed
from shiftwatch.report.phrase import BatchName, Phrase, cut, said, visible, when
from shiftwatch.values import Acceptance, Annotation, Run, Scope

SHOWN = 120
"""Checks at most, the newest."""

SCOPES: tuple[Scope, ...] = ("input", "prediction")
"""Those that have a line."""

_WORDS_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Point:
    """One check on the line."""

    batch: str
    state: str
    alarm: bool
    at: float
    """Unix seconds: of its events where their time is known, else of the check."""
    evidence: Mapping[str, float]
    current: bool

    @property
    def strongest(self) -> float | None:
        """The strongest evidence of any scope over its threshold."""
        return max(self.evidence.values(), default=None)

    @property
    def told(self) -> str:
        """The check in a few words."""
        state = cut(visible(self.state), 20).replace("_", " ")
        ratio = self.strongest
        evidence = "" if ratio is None else f", evidence {ratio_text(ratio)}"
        alarm = ", alarm on" if self.alarm else ""
        return f"{when(self.at)}: {state}{evidence}{alarm}"


@dataclass(frozen=True, slots=True)
class Stretch:
    """A word of an operator, and the points it is about: from the first to the last, half open."""

    text: str
    first: int
    last: int

    @property
    def drawn(self) -> bool:
        """Whether any check lies in it."""
        return self.first < self.last


@dataclass(frozen=True, slots=True)
class Timeline:
    """What is drawn, and the same in words."""

    points: tuple[Point, ...]
    events: tuple[Phrase, ...]
    words: tuple[Stretch, ...]
    begins: int | None
    """Place of the check with which the change is estimated to have begun."""
    rose: int | None
    """Place of the check on which the alarm rose."""

    @property
    def ends(self) -> tuple[str, str]:
        """When the first and the last check were."""
        return (when(self.points[0].at), when(self.points[-1].at)) if self.points else ("", "")

    @property
    def scopes(self) -> tuple[str, ...]:
        """Scopes that have a line."""
        known = {scope for point in self.points for scope in point.evidence}
        return tuple(scope for scope in SCOPES if scope in known)


def timeline(
    run: Run,
    entries: Sequence[Mapping[str, Any]],
    words: Sequence[Annotation | Acceptance] = (),
) -> Timeline:
    """The newest checks in their order, with what happened.

    Parameters
    ----------
    run
        The page is about this one.
    entries
        Past verdicts in any order, each with ``batch_id``, ``state``, ``alarm`` and ``judged_at``
        (unix seconds), perhaps ``event_time_start`` and ``evidence`` by scope.
    words
        Of operators, in any order.
    """
    ordered = sorted(entries, key=lambda entry: _seconds(entry.get("judged_at")))
    points = tuple(_point(entry, run.batch.id) for entry in ordered[-SHOWN:])
    places = {point.batch: place for place, point in enumerate(points)}
    began, rose = _landmarks(run)
    return Timeline(
        points,
        tuple(_events(run, began, rose)),
        tuple(_stretch(word, points) for word in _newest(words)),
        places.get(began or ""),
        places.get(rose or ""),
    )


def _point(entry: Mapping[str, Any], current: str) -> Point:
    batch = str(entry.get("batch_id", ""))
    start = entry.get("event_time_start")
    given = entry.get("evidence")
    known = given.items() if isinstance(given, Mapping) else ()
    return Point(
        batch,
        str(entry.get("state", "error")),
        bool(entry.get("alarm")),
        _seconds(start if is_number(start) else entry.get("judged_at")),
        {str(scope): float(ratio) for scope, ratio in known if is_number(ratio)},
        batch == current,
    )


def _seconds(value: Any) -> float:
    return float(value) if is_number(value) else 0.0


def _landmarks(run: Run) -> tuple[str | None, str | None]:
    """The batches with which the change began and on which the alarm rose, if one is on."""
    on = [d for d in run.decisions if d.scope != "schema" and (d.alarm or crossed(d))]
    began = next((d.change_from for d in on if d.change_from is not None), None)
    return began, next((d.since for d in on if d.since is not None), None)


def _events(run: Run, began: str | None, rose: str | None) -> Iterator[Phrase]:
    if began is not None and began != run.batch.id:
        yield ("The change is estimated to have begun with batch ", BatchName(began), ".")
    if rose is not None:
        yield ("The alarm rose with batch ", BatchName(rose), ".")


Word = Annotation | Acceptance


def words_about(run: Run, words: Sequence[Word]) -> Iterator[str]:
    """Those in whose stretch a batch lies by the time of its events, else of the check; newest first."""
    start = run.batch.event_time_start
    at = run.judged_at if start is None else start
    for word in _newest(words):
        if isinstance(word, Annotation) and word.start <= at < _end(word):
            yield _told(word)


def _newest(words: Sequence[Word]) -> list[Word]:
    return sorted(words, key=_begin, reverse=True)[:_WORDS_SHOWN]


def _begin(word: Word) -> float:
    return word.start if isinstance(word, Annotation) else word.at


def _end(word: Word) -> float:
    """Half open; an acceptance is a moment."""
    return word.end if isinstance(word, Annotation) else word.at


def _stretch(word: Word, points: Sequence[Point]) -> Stretch:
    return Stretch(_told(word), *covered([point.at for point in points], _begin(word), _end(word)))


_SAID_OF = {
    "accepted": "accepted as the new normal",
    "undone": "back to the configured reference",
    "ended": "acceptance ended with a new reference",
}


def _told(word: Word) -> str:
    """A word in a line."""
    if not isinstance(word, Annotation):
        return _with_text(f"{_SAID_OF[word.kind]}, {when(word.at)}{_by(word)}", word.note)
    end = _end(word)
    until = f" to {when(end)}" if math.isfinite(end) else ""
    scopes = f" of {', '.join(word.scopes)}" if word.scopes else ""
    text = f"{KIND_WORDS[word.kind]}{scopes}, {when(word.start)}{until}{_by(word)}"
    return _with_text(text, word.text)


def _by(word: Word) -> str:
    return f" by {said(word.by, 40)}" if word.by else ""


def _with_text(text: str, words: str) -> str:
    return f"{text}: {said(words, 200)}" if words.strip() else text
