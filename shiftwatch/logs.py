"""Log lines: text on a terminal, JSON elsewhere; one event a line.

In:    a stream.
Out:   the root logger, configured; warnings and faults nobody caught are lines like any other.
Never: lets a name from hostile data break a line.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import threading
from types import TracebackType
from typing import Literal, TextIO

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",  # uvicorn repeats its line there with terminal colours
}


_MOST_TEXTS = 100

Form = Literal["auto", "json", "text"]
"""Of a line; auto is text on a terminal and JSON elsewhere."""


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, event, and the extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Render a record; extra fields become keys."""
        fields: dict[str, object] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        fields |= _extra(record)
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


class TextFormatter(logging.Formatter):
    """``level event key=value``, for people; control characters are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Render a record on one line, and a traceback below it."""
        pairs = " ".join(f"{key}={value!s}" for key, value in _extra(record).items())
        line = f"{record.levelname.lower():7} {record.getMessage()} {pairs}".rstrip()
        told = [line]
        if record.exc_info:
            told += self.formatException(record.exc_info).split("\n")
        return "\n".join(map(_printable, told))


def _printable(line: str) -> str:
    return line if line.isprintable() else line.encode("unicode_escape").decode("ascii")


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


class Sparing(logging.Filter):
    """Lets a warning that strangers can cause through once in a while, and faults always.

    uvicorn warns of each request that is no HTTP; who sends many could fill a disk with it.
    """

    def __init__(self, seconds: float = 10.0) -> None:
        super().__init__()
        self._seconds = seconds
        self._told: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record may pass; its own time counts, and its text without the values."""
        if record.levelno != logging.WARNING:
            return True
        text = str(record.msg)
        passes = abs(record.created - self._told.get(text, -math.inf)) >= self._seconds
        if passes:
            if len(self._told) >= _MOST_TEXTS:
                self._told.clear()
            self._told[text] = record.created
        return passes


def configure(stream: TextIO, level: int = logging.INFO, form: Form = "auto") -> None:
    """Send everything to one stream, as JSON unless it is a terminal or told otherwise.

    Faults that nobody caught, in any thread, and warnings of Python come as lines too: who reads
    JSON stops at the first line that is none.
    """
    as_text = form == "text" or (form == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    sys.excepthook = _tell_uncaught
    threading.excepthook = _tell_uncaught_of_thread
    server = logging.getLogger("uvicorn.error")
    for filtered in [each for each in server.filters if isinstance(each, Sparing)]:
        server.removeFilter(filtered)
    server.addFilter(Sparing())
    # Its warnings say that a tick came while one was running, which the ticker counts.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)


def tell_fatal(fault: str) -> bool:
    """Say why the program ends, where lines are JSON; False where they are for people.

    A fault of several lines, such as of a configuration, is read best as it is.
    """
    root = logging.getLogger()
    if not any(isinstance(each.formatter, JsonFormatter) for each in root.handlers):
        return False
    logging.getLogger(__name__).critical("cannot go on", extra={"fault": fault})
    return True


def _tell_uncaught(
    kind: type[BaseException], fault: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, fault, trace)
    else:
        logging.getLogger(__name__).critical("internal error", exc_info=(kind, fault, trace))


def _tell_uncaught_of_thread(told: threading.ExceptHookArgs) -> None:
    if told.exc_value is not None:
        _tell_uncaught(told.exc_type, told.exc_value, told.exc_traceback)
