"""What an operator may say of a stretch of a model's time, and the times it is said with.

In:    texts of an operator, the time now.
Out:   a Draft that can be kept; moments in unix seconds.
Never: keeps anything; reads a clock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shiftwatch.errors import DataError
from shiftwatch.values import Annotation, AnnotationKind, Scope

LONGEST_TEXT = 2000
LONGEST_NAME = 100

MOST_SILENCE_DAYS = 90.0
"""A silence that lasts longer is not a silence but an alert that nobody wants: change the tolerance,
accept what is normal now, or take the alert out."""

SILENCED_SCOPES: tuple[Scope, ...] = ("input", "prediction", "schema")
"""Scopes that have an alarm to be silenced."""

MEANINGS: Mapping[str, str] = {
    "annotation": "what an operator has said of a stretch of a model's time, by page, API or "
    "`shiftwatch annotate`: a note, a known change or a silence. It is kept with who said it and "
    "when, drawn on timelines and reports, and never deleted; taken back, it says so",
    "note": "annotation: a remark; it changes nothing",
    "known_change": "annotation: a change that is meant, such as a campaign. It is drawn and "
    "exported (`shiftwatch_annotations`) and holds no alert, because a shift of another cause would "
    "go under in it; silence the model where nobody need look, or accept what came as normal",
    "silence": "annotation with an end: until then the alerts on shifts of these scopes are quiet "
    "(`shiftwatch_silenced`). Verdicts, alarms and metrics of drift stay as they are, and the alert "
    "fires at the end if the alarm is still on. Alerts on data that cannot be judged and on "
    "shiftwatch itself heed no silence",
    "acceptance": "what an operator has taken as the new normal: rows of judged batches are the "
    "reference from then on, until the configured one changes or `shiftwatch accept --undo`",
}
"""What the words of operators mean, for ``shiftwatch explain``."""

KIND_WORDS: Mapping[str, str] = {
    "note": "note",
    "known_change": "known change",
    "silence": "silence",
}
"""Kinds of annotations as they are told to people."""

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_DURATION = re.compile(r"(\d{1,6})([smhdw])")
_DAY_SECONDS = 86_400.0
_LATEST = datetime(9000, 1, 1, tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class Remark:
    """Why something is done, and who does it."""

    text: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """A word that is to be kept; the fields are those of ``values.Annotation``."""

    kind: AnnotationKind
    text: str
    start: float
    until: float | None
    scopes: tuple[Scope, ...] = ()


def checked(draft: Draft, now: float) -> Draft:
    """The draft, if it can be kept as it is.

    Raises
    ------
    DataError
        Which of its parts cannot, and what would be right.
    """
    faults = {
        f"the text has {len(draft.text)} characters; write {LONGEST_TEXT} at most": (
            len(draft.text) > LONGEST_TEXT
        ),
        "say what is known: the text is empty": (
            draft.kind != "silence" and not draft.text.strip()
        ),
        "it ends before it begins": draft.until is not None and draft.until <= draft.start,
        "it lies outside of the calendar": any(
            not 0 <= moment <= _LATEST for moment in (draft.start, draft.until or 0.0)
        ),
        "only a silence is about scopes": bool(draft.scopes) and draft.kind != "silence",
    }
    for what, is_so in (faults | _of_silence(draft, now)).items():
        if is_so:
            raise DataError(what, where=draft.kind.replace("_", " "))
    return draft


def _of_silence(draft: Draft, now: float) -> dict[str, bool]:
    if draft.kind != "silence":
        return {}
    latest = now + MOST_SILENCE_DAYS * _DAY_SECONDS
    return {
        "a silence needs an end, or it would be forgotten": draft.until is None,
        "it has ended already": draft.until is not None and draft.until <= now,
        f"a silence may last {MOST_SILENCE_DAYS:g} days at most; what is normal for longer can be "
        "accepted": draft.until is not None and draft.until > latest,
    }


def silences(word: Annotation, scope: Scope, now: float) -> bool:
    """Whether a word silences the alarm of a scope now.

    Examples
    --------
    >>> word = Annotation(1, "churn", "silence", "", 10.0, 20.0, "ada", 5.0, ("input",))
    >>> silences(word, "input", 15.0), silences(word, "schema", 15.0), silences(word, "input", 20.0)
    (True, False, False)
    """
    concerned = not word.scopes or scope in word.scopes
    return word.kind == "silence" and concerned and word.in_force(now)


def covered(times: Sequence[float], start: float, until: float) -> tuple[int, int]:
    """Places of times, nearly in order, within a stretch, from the first up to before the last.

    Of a moment (``until`` not after ``start``) that of the first time after it, if any.

    Examples
    --------
    >>> covered([1.0, 2.0, 3.0], 2.0, 9.0), covered([1.0, 2.0, 3.0], 1.5, 1.5)
    ((1, 3), (1, 2))
    """
    first = sum(time < start for time in times)
    if until <= start:
        return first, min(first + 1, len(times))
    return first, max(first, sum(time < until for time in times))


def moment(text: str, now: float) -> float:
    """A moment as people write it, in unix seconds.

    Parameters
    ----------
    text
        ISO 8601 (``2026-12-01``, ``2026-12-01T08:00``, with a zone or in UTC), or a time from now:
        ``90m``, ``2h``, ``3d``, ``1w``.
    now
        Unix seconds.

    Raises
    ------
    DataError
        If it is neither.

    Examples
    --------
    >>> moment("2h", 1000.0), moment("1970-01-02", 0.0), moment("1970-01-01T01:00+01:00", 0.0)
    (8200.0, 86400.0, 0.0)
    """
    if _DURATION.fullmatch(text.strip()):
        return now + lasting(text)
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise DataError(
            f"{text[:60]!r} is no time", hint="write 2026-12-01T08:00 (UTC), 2026-12-01, or 2h, 3d"
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def lasting(text: str) -> float:
    """Seconds of a length of time as people write it: ``90m``, ``2h``, ``3d``, ``1w``.

    Raises
    ------
    DataError
        If it is none.

    Examples
    --------
    >>> lasting("90m"), lasting("1w")
    (5400.0, 604800.0)
    """
    told = _DURATION.fullmatch(text.strip())
    if told is None:
        raise DataError(f"{text[:60]!r} is no length of time", hint="write 90m, 2h, 3d or 1w")
    return int(told[1]) * _SECONDS[told[2]]
