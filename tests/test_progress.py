"""Progress: told by the work, sent by the worker, painted on a terminal only."""

from __future__ import annotations

import io
import os
import pty
import select
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shiftwatch.contrast import compare_files
from shiftwatch.progress import Progress, counted, heard_by, tell
from shiftwatch.settings import AlarmSettings, ModelSettings
from shiftwatch.verbs.bar import AFTER_SECONDS, Bar, line


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _tables(folder: Path, rows: int, columns: int) -> tuple[Path, Path]:
    rng = np.random.default_rng(0)
    for name in ("reference", "current"):
        values = {f"x{j}": rng.standard_normal(rows) for j in range(columns)}
        pq.write_table(pa.table(values), folder / f"{name}.parquet")
    return folder / "reference.parquet", folder / "current.parquet"


def test_nothing_is_told_where_nobody_listens() -> None:
    tell("reading", 1, 2)
    heard: list[Progress] = []
    with heard_by(heard.append):
        assert list(counted("testing", "ab", 2)) == ["a", "b"]
    tell("reading", 2, 2)
    assert heard == [Progress("testing", 1, 2), Progress("testing", 2, 2)]


def test_the_worker_tells_every_kind_of_work_of_a_comparison(tmp_path: Path) -> None:
    reference, current = _tables(tmp_path, 20_000, 60)
    settings = ModelSettings(name="compare", reference=str(reference), batches=str(current))
    heard: list[Progress] = []
    silent = compare_files(settings, alarms=AlarmSettings())
    run = compare_files(settings, alarms=AlarmSettings(), listener=heard.append)
    assert run.results == silent.results
    assert {progress.what for progress in heard} & {"reading", "preparing the reference", "testing"}
    assert all(0 <= progress.done <= progress.total for progress in heard)


def test_a_bar_is_painted_only_after_two_seconds_and_leaves_a_clean_line() -> None:
    stream, clock = _Terminal(), _Clock()
    with closing(Bar(stream, clock)) as bar:
        bar(Progress("reading", 1, 4))
        assert stream.getvalue() == ""
        clock.now = AFTER_SECONDS
        bar(Progress("reading", 2, 4))
        assert line(Progress("reading", 2, 4)) in stream.getvalue()
    assert stream.getvalue().endswith("\r\033[K")


def test_a_bar_is_never_painted_into_a_file() -> None:
    stream, clock = io.StringIO(), _Clock()
    with closing(Bar(stream, clock)) as bar:
        clock.now = 60.0
        bar(Progress("reading", 2, 4))
    assert stream.getvalue() == ""


def test_a_bar_stays_within_its_line_whatever_it_is_told() -> None:
    told = [Progress("testing", 7, 5), Progress("testing", 0, 0), Progress("testing", 5, 5)]
    assert {len(line(progress)) for progress in told} == {len(line(told[0]))}
    assert "100 %" in line(told[0])


@pytest.mark.slow
def test_long_work_shows_a_bar_on_a_real_terminal_and_none_in_a_pipe(tmp_path: Path) -> None:
    reference, current = _tables(tmp_path, 30_000, 60)
    # At once instead of after two seconds, which a fast machine may not need.
    program = "import shiftwatch.cli, shiftwatch.verbs.bar as b; b.AFTER_SECONDS = 0; "
    program += "shiftwatch.cli.app()"
    command = [sys.executable, "-c", program, "compare", str(reference), str(current)]
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs) as process:
        os.close(theirs)
        painted = _read_to_end(ours)
    assert process.returncode == 0
    assert "[" in painted
    assert " %" in painted
    assert painted.endswith("\r\033[K")
    quiet = subprocess.run(command, capture_output=True, text=True, check=True)
    assert quiet.stderr == ""


def _read_to_end(terminal: int) -> str:
    painted, deadline = b"", time.monotonic() + 120
    while time.monotonic() < deadline and select.select([terminal], [], [], 120)[0]:
        try:
            piece = os.read(terminal, 65_536)
        except OSError:  # the other end is closed
            break
        painted += piece
    os.close(terminal)
    return painted.decode()
