"""CPU seconds and megabytes of a piece of work: what ours and every peer are measured with.

In:    a function without parameters, or a command.
Out:   CPU seconds, user and system, and megabytes (of 1e6 bytes).
Never: wall time; needs more than the standard library, as it also runs beside the peers.
"""

from __future__ import annotations

import math
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MEGABYTE = 1e6
# Arrow's pool, too, follows OMP_NUM_THREADS.
ONE_THREAD = dict.fromkeys(
    (
        *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
        *("NUMBA_NUM_THREADS", "POLARS_MAX_THREADS", "LOKY_MAX_CPU_COUNT"),
    ),
    "1",
)

_PATIENCE = 3.0
"""CPU seconds after which no further repetition begins."""

_WAIT_FACTOR = 5.0
"""Seconds a process may take, in units of the CPU seconds it may use."""


def cpu_seconds(work: Callable[[], object], loops: int = 1) -> float:
    """CPU seconds of this process, and of its children that ended, for one call."""
    before = _spent()
    for _ in range(loops):
        work()
    return (_spent() - before) / loops


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + used.ru_utime + used.ru_stime


def warm(work: Callable[[], object], repetitions: int, loops: int = 1) -> list[float]:
    """CPU seconds of each repetition; work that takes seconds is repeated less often."""
    taken: list[float] = []
    while len(taken) < repetitions and sum(taken) * loops < _PATIENCE:
        taken.append(cpu_seconds(work, loops))
    return taken


def status(field: str, pid: int | str = "self") -> float:
    """Megabytes of a line of a process's status, such as ``VmRSS`` or ``VmHWM``."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(text.partition(f"{field}:")[2].split()[0]) * 1024 / MEGABYTE


def extra_megabytes(work: Callable[[], object]) -> float:
    """The peak of the resident memory during the work less what was resident before."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    before = status("VmRSS")
    work()
    return status("VmHWM") - before


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that has ended: what it cost with its children, and what it printed.

    ``megabytes`` is the largest peak among the process and its children, and at least that of the
    process that started it, as the system counts the moment before ``exec``.
    """

    status: int
    stopped: bool
    seconds: float
    megabytes: float
    printed: str
    told: str


def child(
    command: Sequence[str],
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    limit: float = math.inf,
) -> Ended:
    """Run a command on one thread and wait for its end.

    Parameters
    ----------
    command
        Program and arguments.
    folder
        Where it runs; here if None.
    environment
        Added to ours.
    limit
        CPU seconds at most; the process is ended then, ``stopped`` is True. It is watched from
        here: a limit set by the system would make the process's own clock count in steps of 4 ms.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        with subprocess.Popen(
            command,
            cwd=folder,
            env={**_compiling(), **ONE_THREAD, **(environment or {})},
            stdout=output,
            stderr=errors,
        ) as process:
            usage, stopped = _waited(process, limit)
        output.seek(0)
        errors.seek(0)
        return Ended(
            process.returncode,
            stopped,
            usage.ru_utime + usage.ru_stime,
            usage.ru_maxrss * 1024 / MEGABYTE,
            output.read().decode(errors="replace"),
            errors.read().decode(errors="replace"),
        )


def _compiling() -> dict[str, str]:
    """Our environment, with bytecode kept as in an image: without it an import takes twice as long."""
    return {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _waited(process: subprocess.Popen[bytes], limit: float) -> tuple[resource.struct_rusage, bool]:
    """What a process has used once it has ended, and whether it was stopped at the limit."""
    deadline = time.monotonic() + _WAIT_FACTOR * limit
    stopped = False
    while True:
        pid, ended, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(ended)
            return usage, stopped
        if _used(process.pid) > limit or time.monotonic() > deadline:
            stopped = True
            process.kill()
        time.sleep(0.02)


def _used(pid: int) -> float:
    """CPU seconds of a process that may have ended a moment ago, and of its ended children."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    ticks = text.rpartition(")")[2].split()[11:15]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
