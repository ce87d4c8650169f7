"""A line of the log is one event, whatever a file is called."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shiftwatch import logs

HOSTILE = 'a\n{"event": "forged"}\r\x1b[31m\u2028\u2029\x00\x85\ud800é'


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """The root logger as it was; `configure` is for a whole process."""
    root, scheduler = logging.getLogger(), logging.getLogger("apscheduler")
    server = logging.getLogger("uvicorn.error")
    handlers, level, quiet = root.handlers[:], root.level, scheduler.level
    root.handlers[:] = []  # `force` would close those of pytest
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    scheduler.setLevel(quiet)
    server.filters[:] = []


def _record(message: str, fault: BaseException | None = None, **extra: Any) -> logging.LogRecord:
    info = (type(fault), fault, fault.__traceback__) if fault is not None else None
    record = logging.LogRecord("shiftwatch.x", logging.ERROR, "f.py", 1, message, (), info)
    vars(record).update(extra)
    return record


def _caught() -> ValueError:
    with pytest.raises(ValueError, match="forged") as raised:
        _refuse()
    return raised.value


def _refuse() -> None:
    raise ValueError(HOSTILE)


@given(st.text())
@example(HOSTILE)
def test_hostile_text_cannot_break_a_line_of_json(text: str) -> None:
    line = logs.JsonFormatter().format(_record(text, uri=text, odd={text: (text,)}))
    assert line.isascii()
    assert line.isprintable()
    fields = json.loads(line)
    assert (fields["event"], fields["uri"], fields["odd"]) == (text, text, {text: [text]})
    assert fields["level"] == "error"
    assert fields["logger"] == "shiftwatch.x"


@given(st.text())
@example(HOSTILE)
def test_hostile_text_cannot_break_a_line_of_text(text: str) -> None:
    line = logs.TextFormatter().format(_record(text, uri=text))
    assert line.isprintable()
    assert line.encode()


def test_plain_text_stays_as_it_is() -> None:
    line = logs.TextFormatter().format(_record("größer", rows=3, uri="a b"))
    assert line == "error   größer rows=3 uri=a b"


def test_a_traceback_is_one_field_of_the_line() -> None:
    line = logs.JsonFormatter().format(_record("failed", _caught(), model="m"))
    assert "\n" not in line
    assert "ValueError" in json.loads(line)["exception"]
    text = logs.TextFormatter().format(_record("failed", _caught()))
    assert text.splitlines()[0] == "error   failed"
    assert all(line.isprintable() for line in text.split("\n")), "a terminal is not steered"


def test_json_is_written_but_to_a_terminal() -> None:
    stream, terminal = io.StringIO(), Terminal()
    logs.configure(stream)
    logging.getLogger("shiftwatch.test").info("judged", extra={"rows": 3, "path": object})
    logging.getLogger("shiftwatch.test").debug("not shown")
    logs.configure(terminal)
    logging.getLogger("shiftwatch.test").warning("judged", extra={"rows": 3})
    (line,) = stream.getvalue().splitlines()
    fields = json.loads(line)
    assert {key: fields[key] for key in ("level", "event", "rows")} == {
        "level": "info",
        "event": "judged",
        "rows": 3,
    }
    assert fields["path"] == "<class 'object'>"
    assert terminal.getvalue() == "warning judged rows=3\n"


def test_strangers_cannot_fill_the_log_and_faults_are_told_each_time() -> None:
    stream = io.StringIO()
    logs.configure(io.StringIO())
    logs.configure(stream)
    server = logging.getLogger("uvicorn.error")
    for _ in range(1000):
        server.warning("Invalid HTTP request received.")
    for _ in range(3):
        server.error("Exception in ASGI application")
    events = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert events == ["Invalid HTTP request received.", *3 * ["Exception in ASGI application"]]


def test_a_warning_is_told_again_after_a_while_and_texts_are_not_kept_for_ever() -> None:
    spared = logs.Sparing(10.0)
    record = _record("refused")
    record.levelno = logging.WARNING
    told = []
    for second in range(0, 40, 2):
        record.created = 1000.0 + second
        told.append(spared.filter(record))
    assert told == 4 * [True, False, False, False, False]
    for number in range(10_000):
        record.msg = str(number)
        assert spared.filter(record)
    assert len(vars(spared)["_told"]) <= 100


def test_the_scheduler_may_tell_faults_only() -> None:
    stream = io.StringIO()
    logs.configure(stream)
    logging.getLogger("apscheduler.scheduler").warning("skipped")
    logging.getLogger("apscheduler.scheduler").error("broken")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["broken"]


def test_what_nobody_caught_and_warnings_are_lines_like_any_other() -> None:
    program = (
        "import sys, threading, warnings\n"
        "from shiftwatch import logs\n"
        "logs.configure(sys.stderr)\n"
        "warnings.warn('beware')\n"
        "thread = threading.Thread(target=lambda: 1 / 0)\n"
        "thread.start()\n"
        "thread.join()\n"
        "raise ValueError('of no use')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    warned, thread, ended = map(json.loads, done.stderr.splitlines())
    assert "beware" in warned["event"]
    assert "ZeroDivisionError" in thread["exception"]
    assert (ended["level"], "of no use" in ended["exception"]) == ("critical", True)
