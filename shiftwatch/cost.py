"""What a check takes: CPU seconds by stage and test, the peak of memory, and joules.

In:    stages and tests, named by the check.
Out:   Cost.
Never: hides what comes before a check: a worker's start counts into its first one.
"""

from __future__ import annotations

import ctypes
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from shiftwatch import energy
from shiftwatch.values import Cost


@dataclass(frozen=True, slots=True)
class _Mark:
    """CPU seconds of this process and the machine's counters, at one moment."""

    cpu: float
    counters: energy.Reading


_ACCOUNTED: list[_Mark] = []
"""Up to where the checks of this process have accounted for its work; empty where it does other
things besides, as the interpreter of somebody who imports us."""


_PREPARED: list[float] = []
"""CPU seconds of preparing references since the last check."""


def account_for_this_process() -> None:
    """From its start on, all work of this process belongs to its checks: called by the worker."""
    _ACCOUNTED[:] = [_Mark(0.0, energy.read())]


@contextmanager
def preparing() -> Iterator[None]:
    """Tell preparing a reference, which is done once, apart from the rest of a worker's start."""
    before = time.process_time()
    try:
        yield
    finally:
        if _ACCOUNTED:
            _PREPARED.append(time.process_time() - before)


class Stopwatch:
    """CPU seconds by stage and test, and the peak of memory, of this process; a ``meter.Meter``.

    Time in a stage inside another one is that of the inner one alone, so stages add up. In a worker
    (:func:`account_for_this_process`) the stages ``start`` and ``prepare`` are what the process did
    since the check before.
    """

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self.tests: dict[str, float] = {}
        now = time.process_time()
        self._since = _ACCOUNTED[-1] if _ACCOUNTED else _Mark(now, energy.read())
        if _ACCOUNTED:
            prepared = sum(_PREPARED)
            _PREPARED.clear()
            self.stages["start"] = now - self._since.cpu - prepared
            self.stages |= {"prepare": prepared} if prepared else {}
        self._inner = 0.0
        """CPU seconds of the stages within the one at hand."""
        self._wall = time.perf_counter()
        _reset_peak_memory()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the CPU seconds spent inside to a stage."""
        around, self._inner = self._inner, 0.0
        before = time.process_time()
        try:
            yield
        finally:
            took = time.process_time() - before
            self.stages[name] = self.stages.get(name, 0.0) + took - self._inner
            self._inner = around + took

    @contextmanager
    def test(self, name: str) -> Iterator[None]:
        """Add the CPU seconds spent inside to a test."""
        before = time.process_time()
        try:
            yield
        finally:
            self.tests[name] = self.tests.get(name, 0.0) + time.process_time() - before

    def cost(self, rows: int = 0) -> Cost:
        """Everything since the start.

        Parameters
        ----------
        rows
            Rows that were tested.
        """
        mark = _Mark(time.process_time(), energy.read())
        cpu_seconds = mark.cpu - self._since.cpu
        joules = energy.spent(self._since.counters, mark.counters, cpu_seconds)
        if _ACCOUNTED:
            _ACCOUNTED[:] = [mark]
        return Cost(
            cpu_seconds=cpu_seconds,
            wall_seconds=time.perf_counter() - self._wall,
            peak_memory_bytes=_peak_memory(),
            energy_joules=joules.joules,
            energy_source=joules.source,
            stages=dict(self.stages),
            tests=dict(self.tests),
            rows=rows,
        )


def _reset_peak_memory() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return  # the peak of the whole process is then shown, which is never too small


def _peak_memory() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def private_bytes() -> int:
    """Resident memory of this process that is not a file's; 0 where the system does not tell."""
    try:
        fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    except OSError:
        return 0
    return (int(fields[1]) - int(fields[2])) * resource.getpagesize()


def give_back() -> None:
    """Return freed memory to the system, where the C library can: by itself it keeps most of it."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
