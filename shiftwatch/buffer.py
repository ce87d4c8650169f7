"""Received events on disk, until a batch is made of them. Light.

In:    records, one or a few at a time.
Out:   closed segments in a folder; counts of what came, what was dropped, what waits.
Never: holds more than its bounds; blocks on anything but a write to a file; loses what it took when
       the process dies.

A record is taken when its line was handed to the system: it outlives the process from then on. The
disk has it within :data:`SYNC_SECONDS`, so a machine that loses power loses that much at most.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from shiftwatch.payload import segments
from shiftwatch.payload.records import Record
from shiftwatch.status import EventCounts

_LOG = logging.getLogger(__name__)

SYNC_SECONDS = 1.0
SEGMENT_SECONDS = 10.0
"""After which what has come is closed, so that a batch can be made of it."""

SEGMENT_BYTES = 8_000_000
_OPEN = ".open"


class Buffer:
    """The segments of one model. One thread takes records, another one tends.

    Parameters
    ----------
    folder
        Where segments lie.
    most_bytes
        Of all segments together.
    """

    def __init__(self, folder: str, most_bytes: int) -> None:
        self._folder = Path(folder)
        self._most = most_bytes
        self._counts: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._held: dict[Path, tuple[int, int]] = {}
        """Events and bytes of closed segments."""
        self._file: BinaryIO | None = None
        self._events = self._bytes = 0
        self._opened_at = self._synced_at = 0.0
        self._lock = threading.Lock()
        self._recover()

    @property
    def counts(self) -> EventCounts:
        """Since the start; ``buffered`` now."""
        with self._lock:
            waiting = self._events + sum(events for events, _ in self._held.values())
            return EventCounts(self._counts["received"], dict(self._dropped), waiting)

    def add(self, records: Sequence[Record], now: float) -> bool:
        """Take records, all or none; whether they were taken. ``now`` only goes forward."""
        lines = b"".join(map(segments.line_of, records))
        with self._lock:
            return self._added(lines, len(records), now)

    def _added(self, lines: bytes, events: int, now: float) -> bool:
        self._counts["received"] += events
        held = self._bytes + sum(size for _, size in self._held.values())
        if held + len(lines) > self._most:
            return self._drop("full", events)
        try:
            if self._file is None:
                self._open(now)
            self._write(lines)
        except OSError as fault:
            _LOG.error("events cannot be kept", extra={"fault": str(fault)})
            return self._drop("disk", events)
        self._events += events
        return True

    def drop(self, reason: str) -> None:
        """Count an event that could not be taken or passed on."""
        with self._lock:
            self._dropped[reason] += 1

    def tend(self, now: float) -> None:
        """Bring to the disk, close what is old or large, and forget what a batch was made of.

        May wait for the disk, so it is not for the thread that takes records.
        """
        with self._lock:
            self._held = {path: held for path, held in self._held.items() if path.exists()}
            file = self._file
            old = now - self._opened_at >= SEGMENT_SECONDS or self._bytes >= SEGMENT_BYTES
        if file is None:
            return
        try:
            if old:
                self.close()
            elif now - self._synced_at >= SYNC_SECONDS:
                os.fsync(file.fileno())
                self._synced_at = now
        except OSError as fault:
            _LOG.error("events cannot be kept", extra={"fault": str(fault)})

    def close(self) -> None:
        """Close the segment at hand, so that it can be read."""
        with self._lock:
            file, self._file = self._file, None
            held, self._events, self._bytes = (self._events, self._bytes), 0, 0
        if file is None:
            return
        os.fsync(file.fileno())
        file.close()
        path = Path(file.name)
        path.rename(path.with_suffix(""))
        with self._lock:
            self._held[path.with_suffix("")] = held

    def _drop(self, reason: str, events: int) -> bool:
        self._dropped[reason] += events
        return False

    def _open(self, now: float) -> None:
        taken = [path.name.partition(".")[0] for path in self._folder.glob(f"*{segments.SUFFIX}*")]
        number = max((int(name) for name in taken if name.isdecimal()), default=0) + 1
        number = max(number, self._counts["segment"] + 1)
        self._counts["segment"] = number
        path = self._folder / f"{number:012}{segments.SUFFIX}{_OPEN}"
        self._file = path.open("xb", buffering=0)
        self._opened_at = self._synced_at = now

    def _write(self, lines: bytes) -> None:
        """Whole lines; what a full disk took of one is taken back."""
        if self._file is None:
            return
        try:
            left = memoryview(lines)
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            os.ftruncate(self._file.fileno(), self._bytes)
            self._file.seek(self._bytes)
            raise
        self._bytes += len(lines)

    def _recover(self) -> None:
        """Close what a process before has left open, and count what waits."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(self._folder.glob(f"*{segments.SUFFIX}{_OPEN}")):
            path.rename(path.with_suffix(""))
        for path in sorted(self._folder.glob(f"*{segments.SUFFIX}")):
            self._held[path] = (sum(1 for _ in segments.read(str(path))), path.stat().st_size)
