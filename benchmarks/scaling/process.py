"""What a process takes, as the system tells: CPU seconds, memory now and at its peak.

In:    process ids.
Out:   seconds and bytes.
Never: looks at a process it was not given.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Taken:
    """CPU seconds since another moment, and the peak of resident bytes between the two."""

    seconds: float
    peak_bytes: int


class Meter:
    """One process from now on."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")
        (self._folder / "clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
        self._began = self._cpu_seconds()

    def taken(self) -> Taken:
        """Since the meter was made; CPU in steps of a hundredth of a second."""
        return Taken(self._cpu_seconds() - self._began, self._status("VmHWM"))

    def _cpu_seconds(self) -> float:
        # Counted from the right, as the program's name in the second place may hold spaces.
        fields = (self._folder / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def _status(self, key: str) -> int:
        return status_bytes(self._folder, key)


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM, mapped files included."""
    return status_bytes(Path(f"/proc/{pid}"), "VmRSS")


def private_bytes(pid: int) -> int:
    """The part of it that is no file's."""
    return status_bytes(Path(f"/proc/{pid}"), "RssAnon")


def status_bytes(folder: Path, key: str) -> int:
    """A figure of a process's ``status``."""
    for line in (folder / "status").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)
