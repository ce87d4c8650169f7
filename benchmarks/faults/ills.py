"""What else befalls a daemon in a year: disks, locks, clocks, signals, a second daemon.

In:    an arena with files to hand over.
Out:   by fault, whether the daemon did what it must, or why it was not tried.
Never: leaves a mount, a lock or a process behind.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.faults.life import Life, Lives, judged
from benchmarks.faults.stream import MODEL

_FILES = 3
_DISK_MB = 8
_TRIES = 150
_JUDGED_AT = "shiftwatch_last_batch_processed_timestamp_seconds"
_PAGE_OF_AN_INDEX = "SELECT pageno FROM dbstat WHERE name = 'files_by_uri' LIMIT 1"
_HOUR, _YEAR = 3600.0, 365.0 * 86400


class NotTriedError(Exception):
    """The machine lacks what the fault is made with."""


@dataclass(slots=True)
class Ill:
    """A fault at work."""

    lives: Lives

    def hand(self) -> int:
        """New files; how many there are now."""
        self.lives.arena.hand(_FILES)
        return self.lives.arena.handed


def disk_full(ill: Ill) -> bool:
    """The disk of the history fills up while it runs: told, and made good when there is room."""
    filler = ill.lives.arena.store.with_name("filler")
    with ill.lives.begun() as life:
        life.until_judged(ill.lives.arena.handed)
        _fill(filler)
        try:
            ill.hand()
            _until_told(life, "full")
        finally:
            filler.unlink()
        life.until_judged(ill.lives.arena.handed)
        return True


def disk_read_only(ill: Ill) -> bool:
    """The disk of the history is read-only at the start: refused with words, nothing harmed."""
    folder = ill.lives.arena.store.parent
    ill.hand()
    _mount("-o", f"remount,ro,size={_DISK_MB}m", folder, tries=_TRIES)
    try:
        with ill.lives.begun() as life:
            refused = life.wait(30) and life.process.returncode != 0
            words = life.log.read_text(encoding="utf-8")
    finally:
        _mount("-o", f"remount,rw,size={_DISK_MB}m", folder)
    return refused and "Traceback" not in words and str(folder) in words


def store_locked(ill: Ill) -> bool:
    """Another program holds the database for longer than we wait: told, and made good after."""
    with ill.lives.begun() as life:
        life.until_judged(ill.lives.arena.handed)
        with closing(sqlite3.connect(ill.lives.arena.store, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            ill.hand()
            _until_told(life, "locked")
            other.execute("ROLLBACK")
        life.until_judged(ill.lives.arena.handed)
        return True


def store_damaged(ill: Ill) -> bool:
    """A page of the history is overwritten: the file is set aside, told, and nothing is lost.

    It is a page of an index; a verdict on a page of the runs would be lost with it.
    """
    store = ill.lives.arena.store
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        try:
            (page,) = connection.execute(_PAGE_OF_AN_INDEX).fetchone()
        except sqlite3.OperationalError as fault:
            raise NotTriedError(str(fault)) from fault
    with store.open("r+b") as handle:
        handle.seek(4096 * (page - 1))
        handle.write(b"\xff" * 4096)
    ill.hand()
    with ill.lives.begun() as life:
        life.until_judged(ill.lives.arena.handed)
        told = "\nshiftwatch_histories_set_aside 1" in (life.get("/metrics") or "")
    return told and store.with_name(f"{store.name}.damaged-1").exists()


def second_daemon(ill: Ill) -> bool:
    """A second daemon on the same history ends with words, and the first goes on."""
    with ill.lives.begun() as life:
        life.until(life.url)
        command = [sys.executable, "-m", "shiftwatch", "run", str(ill.lives.arena.config)]
        root = Path(__file__).parents[2]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=60, cwd=root
        )
        life.until_judged(ill.hand())
        return done.returncode != 0 and f"in use by process {life.process.pid}" in done.stderr


def terminated(ill: Ill) -> bool:
    """SIGTERM while a check runs: status 0, nothing half-done."""
    ill.hand()
    with ill.lives.begun() as life:
        life.until(life.worker)
        life.wait(0.3)
        life.process.send_signal(signal.SIGTERM)
        return life.wait(30) and life.process.returncode == 0


def clock_back(ill: Ill) -> bool:
    """The clock jumps an hour back while it runs, and later forward again."""
    return _with_clock(ill, _jump, -_HOUR)


def clock_ahead(ill: Ill) -> bool:
    """The clock jumps a year ahead while it runs, and back."""
    return _with_clock(ill, _jump, _YEAR)


def suspended(ill: Ill) -> bool:
    """Daemon and worker are stopped in the middle of a step; an hour later they go on."""
    return _with_clock(ill, _sleep, _HOUR)


def _with_clock(ill: Ill, befalls: Callable[[Ill, Life, Path, float], None], by: float) -> bool:
    """Whether what is judged after it has the new time, and what comes then is judged too."""
    clock = ill.lives.arena.folder / "clock"
    _set(clock, 0.0)
    with ill.lives.begun({"clock": str(clock)}) as life:
        life.until_judged(ill.hand())
        before = life.metric(_JUDGED_AT)
        befalls(ill, life, clock, by)
        life.until_judged(ill.lives.arena.handed)
        moved = (life.metric(_JUDGED_AT) or 0.0) - (before or 0.0)
        _set(clock, 0.0)
        life.until_judged(ill.hand())
        return abs(moved - by) < 60


def _jump(ill: Ill, life: Life, clock: Path, by: float) -> None:
    del life
    _set(clock, by)
    ill.hand()


def _sleep(ill: Ill, life: Life, clock: Path, by: float) -> None:
    """Stop both while files wait to be judged; who is too late hands over more."""
    slept = False
    while not slept:
        handed = ill.hand()
        worker = life.until(life.worker)
        for pid in (life.process.pid, worker):
            _signal(pid, signal.SIGSTOP)
        if judged(ill.lives.arena) < handed:
            _set(clock, by)
            time.sleep(1.0)
            slept = True
        for pid in (worker, life.process.pid):
            _signal(pid, signal.SIGCONT)


def _set(clock: Path, seconds: float) -> None:
    fresh = clock.with_suffix(".new")
    fresh.write_text(str(seconds), encoding="ascii")
    fresh.replace(clock)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # done meanwhile


def _until_told(life: Life, word: str) -> None:
    """Until the log and the metrics say that something is wrong."""

    def told() -> bool | None:
        log = life.log.read_text(encoding="utf-8", errors="replace")
        line = f'shiftwatch_monitor_state{{model="{MODEL}",state="error"}} 1'
        return (word in log and line in (life.get("/metrics") or "")) or None

    life.until(told)


def _fill(path: Path) -> None:
    try:
        with path.open("wb", buffering=0) as handle:
            while True:
                handle.write(bytes(4096))
    except OSError:
        return  # full


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of its own, of a few MB, at ``folder``.

    Raises
    ------
    NotTriedError
        Where this user may not mount.
    """
    folder.mkdir(parents=True)
    _mount("-t", "tmpfs", "-o", f"size={_DISK_MB}m", "tmpfs", folder)
    try:
        yield
    finally:
        _run(["umount", str(folder)], _TRIES)


def _mount(*arguments: object, tries: int = 1) -> None:
    _run(["mount", *map(str, arguments)], tries)


def _run(command: Sequence[str], tries: int) -> None:
    """Mount or unmount; again where a process that has just ended still keeps the disk busy."""
    for left in reversed(range(tries)):
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise NotTriedError(f"no program `{command[0]}`") from None
        if not done.returncode:
            return
        if left:
            time.sleep(0.2)
    raise NotTriedError(f"no {command[0]}: {done.stderr.strip().splitlines()[0]}")


Fault = Callable[[Ill], bool]

ILLS: Mapping[str, Fault] = {
    "SIGTERM during a check": terminated,
    "a second daemon on the history": second_daemon,
    "history locked by another program": store_locked,
    "history damaged": store_damaged,
    "clock an hour back": clock_back,
    "clock a year ahead and back": clock_ahead,
    "suspended for an hour during a check": suspended,
}
"""By name, in the order they befall."""

DISKS: Mapping[str, Fault] = {
    "disk full": disk_full,
    "disk read-only": disk_read_only,
}
"""These need a disk of their own."""
