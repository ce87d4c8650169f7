"""Events of one model on disk until a batch is made of them.

In:    records, as they come.
Out:   closed segments in a folder; how many events wait there.
Never: takes more bytes than it may; uses a name twice; acknowledges what is not with the system.

What :meth:`Spool.keep` has taken outlives the process, however it ends. It is forced to the disk
every second, so a machine that loses its power may lose the last second. When there is no room left
the newest are dropped: what was acknowledged stays.

A segment is named after the moment it was begun, and a later one never has an earlier name. While
it is written it has another ending, and nobody reads it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from shiftwatch.payload.records import Record
from shiftwatch.payload.segments import SUFFIX, line_of

OPEN = ".unfinished"
SEGMENT_BYTES = 8 << 20
SEGMENT_SECONDS = 5.0
"""A segment is closed when it has so many bytes, or is so old."""

_TICK_SECONDS = 1.0


class FullError(Exception):
    """There is no room for an event."""


class Spool:
    """The events of a model; its methods may be called from several threads.

    Parameters
    ----------
    folder
        Where segments lie; made if it is not there. Nobody else writes segments in it. What a
        process before left unfinished is closed.
    most_bytes
        Bytes of all segments together.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._most = most_bytes
        self._lock = threading.Lock()
        self._file = -1
        self._path = folder
        self._begun = 0.0
        self._size = self._events = 0
        self._dirty = False
        self._to_force: list[int] = []
        for path in sorted(folder.glob(f"*{OPEN}")):
            path.rename(path.with_suffix(SUFFIX))
        self._closed = {path: _measured(path) for path in sorted(folder.glob(f"*{SUFFIX}"))}
        self._newest = max((path.stem for path in self._closed), default="")
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.waiting = 0
        """Events on disk of which no batch was made, as of some second ago; read without a lock,
        since a scrape must not wait for a disk."""
        self._count()
        if self._closed:
            self._start()  # nobody may send again, and these are used up all the same

    def keep(self, records: Sequence[Record]) -> None:
        """Write records, all or none; from then on they are kept.

        Raises
        ------
        FullError
            If there is no room for them.
        OSError
            If they cannot be written; nothing of them is left.
        """
        lines = b"".join(map(line_of, records))
        with self._lock:
            if self._bytes() + len(lines) > self._most:
                self._look()
                if self._bytes() + len(lines) > self._most:
                    raise FullError
            if self._file < 0:
                self._begin()
            self._write(lines)
            self._events += len(records)
            if self._size >= SEGMENT_BYTES:
                self._close()
            self._count()
            self._start()

    def close(self) -> None:
        """Close the segment at hand; events that come later begin another."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            with suppress(OSError):  # the folder was taken away, and its events with it
                self._close()
            self._thread = None
            self._ended.clear()
        self._force()

    # --- inside, with the lock held ----------------------------------------------------------

    def _bytes(self) -> int:
        return self._size + sum(size for size, _ in self._closed.values())

    def _start(self) -> None:
        """Tend from the first event on: a model that nobody sends to costs no thread."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._tend, name="spool", daemon=True)
            self._thread.start()

    def _count(self) -> None:
        self.waiting = self._events + sum(events for _, events in self._closed.values())

    def _look(self) -> None:
        """Forget segments that are used up."""
        gone = [path for path in self._closed if not path.exists()]
        for path in gone:
            del self._closed[path]
        self._count()

    def _begin(self) -> None:
        # A clock that was put back must not bring a name back.
        name = max(f"{time.time_ns():020}", f"{int(self._newest[:20] or 0) + 1:020}")
        path = self._folder / f"{name}{OPEN}"
        self._folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._file = os.open(path, flags, 0o600)
        self._path, self._newest, self._begun = path, name, time.monotonic()
        self._size = self._events = 0

    def _write(self, lines: bytes) -> None:
        rest = memoryview(lines)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            with suppress(OSError):  # else the reader passes over the torn line
                os.ftruncate(self._file, self._size)
            self._close()
            raise
        self._size += len(lines)
        self._dirty = True

    def _close(self) -> None:
        if self._file < 0:
            return
        self._to_force.append(self._file)
        facts = (self._size, self._events)
        self._file, self._size, self._events, self._dirty = -1, 0, 0, False
        if not facts[1]:
            self._path.unlink(missing_ok=True)
            return
        path = self._path.with_suffix(SUFFIX)
        self._path.rename(path)
        self._closed[path] = facts

    # --- in a thread of its own ---------------------------------------------------------------

    def _tend(self) -> None:
        """Force to disk what came within the last second, and close what is old enough."""
        while not self._ended.wait(_TICK_SECONDS):
            self._force()
            with self._lock:
                self._look()
                old = time.monotonic() - self._begun >= SEGMENT_SECONDS
                if self._file >= 0 and (old or not self._path.exists()):
                    with suppress(OSError):  # the folder was taken away
                        self._close()

    def _force(self) -> None:
        """Without the lock, since a slow disk must not hold up an acknowledgement."""
        with self._lock:
            files, self._to_force = self._to_force, []
            if self._dirty and self._file >= 0:
                files.append(os.dup(self._file))
            self._dirty = False
        if files:  # the names as well as what they name
            with suppress(OSError):
                files.append(os.open(self._folder, os.O_RDONLY))
        for file in files:
            with suppress(OSError):
                os.fsync(file)
            os.close(file)


def _measured(path: Path) -> tuple[int, int]:
    """Bytes and events of a segment; a torn last line counts as none."""
    size = events = 0
    with path.open("rb") as handle:
        while part := handle.read(1 << 20):
            size += len(part)
            events += part.count(b"\n")
    return size, events
