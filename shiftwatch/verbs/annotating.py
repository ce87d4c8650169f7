"""`shiftwatch annotate` and `shiftwatch silence`: kept here, or by the daemon that holds the history.

In:    settings, a model, what is said.
Out:   what is kept, in words.
Never: changes a verdict or an alarm.
"""

from __future__ import annotations

import getpass
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from shiftwatch.annotation import KIND_WORDS, SILENCED_SCOPES, Draft, checked, lasting, moment
from shiftwatch.errors import DataError, StoreInUseError
from shiftwatch.report import visible
from shiftwatch.settings import Settings
from shiftwatch.store import Store
from shiftwatch.values import Annotation, AnnotationKind
from shiftwatch.verbs.asking import Daemon

UNKNOWN = "somebody"
"""Who said something, where the system knows no name."""


def login_name() -> str:
    """Who asks, by the system; empty where it does not know."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run as a number without a name
        return ""


def annotate(
    settings: Settings, model: str, draft: Draft, by: str, url: str | None
) -> Mapping[str, Any]:
    """Keep a word, through the daemon that holds the history.

    Raises
    ------
    DataError
        If it cannot be kept as it is.
    ShiftwatchError
        If a daemon holds the history and does not answer.
    """
    now = round(time.time(), 6)
    draft = checked(draft, now)
    try:
        with Store.open(settings.store.path, clock=time.time) as store:
            return _facts(store.note_annotation(model, draft, by, now))
    except StoreInUseError as fault:
        daemon = Daemon.of(settings, url, fault)
        body = asdict(draft) | {"by": by, "start": _iso(draft.start), "until": _iso(draft.until)}
        return daemon.ask("POST", f"/api/v1/models/{model}/annotations", body)


def end(settings: Settings, model: str, number: int, by: str, url: str | None) -> Mapping[str, Any]:
    """Take a word back, likewise."""
    try:
        with Store.open(settings.store.path, clock=time.time) as store:
            word = store.end_annotation(model, number, by, round(time.time(), 6))
    except StoreInUseError as fault:
        asked = urllib.parse.urlencode({"by": by})
        path = f"/api/v1/models/{model}/annotations/{number}?{asked}"
        return Daemon.of(settings, url, fault).ask("DELETE", path)
    if word is None:
        raise DataError(f"no word {number} on {model} is kept", hint="--list shows those there are")
    return _facts(word)


def listed(settings: Settings, model: str) -> Iterator[str]:
    """What was said of a model, a line each, the newest first."""
    words: Sequence[Annotation] = ()
    if Path(settings.store.path).exists():  # else nothing was judged or said yet
        with Store.read(settings.store.path) as store:
            words = store.annotations(model)
    yield from (told(_facts(word)) for word in words)
    if not words:
        yield f"{model}: nothing was said yet"


def told(word: Mapping[str, Any]) -> str:
    """A word in a line."""
    start, until, ended = (_shown(word[key]) for key in ("start", "until", "ended_at"))
    scopes = f" of {', '.join(word['scopes'])}" if word["scopes"] else ""
    stretch = f"from {start}" + (f" to {until}" if until else "")
    over = f", ended {ended} by {visible(word['ended_by']) or UNKNOWN}" if ended else ""
    text = f": {visible(word['text'])}" if word["text"] else ""
    by = visible(word["by"]) or UNKNOWN
    return f"{word['id']}  {KIND_WORDS[word['kind']]}{scopes} {stretch}, by {by}{over}{text}"


def _facts(word: Annotation) -> dict[str, Any]:
    return asdict(word)


def _shown(time_told: float | str | None) -> str:
    if time_told is None or isinstance(time_told, str):
        return time_told or ""
    return _iso(time_told) or ""


def _iso(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


@dataclass(frozen=True, slots=True)
class Times:
    """When a word begins and ends, as it was typed; ``lasting`` counts from its beginning."""

    start: str | None = None
    until: str | None = None
    lasting: str | None = None

    def read(self, now: float) -> tuple[float, float | None]:
        """Both in unix seconds; DataError if one is no time, or the end is said twice."""
        start = now if self.start is None else moment(self.start, now)
        if self.lasting is not None and self.until is not None:
            raise DataError("the end is said twice", hint="give --until or --for")
        if self.lasting is not None:
            return start, start + lasting(self.lasting)
        return start, None if self.until is None else moment(self.until, now)


def drafted(kind: AnnotationKind, text: str, times: Times, scopes: Sequence[str]) -> Draft:
    """What was typed, as it is to be kept; DataError if a time or a scope is none."""
    unknown = [scope for scope in scopes if scope not in SILENCED_SCOPES]
    if unknown:
        known = ", ".join(SILENCED_SCOPES)
        raise DataError(f"no scope is called {unknown[0]!r}", hint=f"there is {known}")
    start, until = times.read(round(time.time(), 6))
    chosen = tuple(scope for scope in SILENCED_SCOPES if scope in scopes)
    return Draft(kind, text, start, until, chosen)
