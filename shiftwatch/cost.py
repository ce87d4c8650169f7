"""What a check takes: CPU seconds by stage, and the peak of memory, of this process.

In:    stages, named by the check.
Out:   Cost.
Never: estimates what it cannot measure.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shiftwatch.values import Cost


class Stopwatch:
    """CPU seconds by stage, and the peak of memory, of this process."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self._cpu = time.process_time()
        self._wall = time.perf_counter()
        _reset_peak_memory()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the CPU seconds spent inside to a stage."""
        before = time.process_time()
        try:
            yield
        finally:
            self.stages[name] = self.stages.get(name, 0.0) + time.process_time() - before

    def cost(self) -> Cost:
        """Everything since the start."""
        return Cost(
            cpu_seconds=time.process_time() - self._cpu,
            wall_seconds=time.perf_counter() - self._wall,
            peak_memory_bytes=_peak_memory(),
            stages=dict(self.stages),
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
