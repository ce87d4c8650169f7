"""Joules of this process: the processor's own counter where it can be read, else an estimate.

In:    the kernel's counters of energy and of CPU time; CPU seconds of ours.
Out:   joules, and their source: a key of ``price.ENERGY_SOURCES``.
Never: presents an estimate as a measurement; fails where there is no counter.

Measured: `intel_rapl` shows a running counter for each processor package under
``/sys/class/powercap`` (also on AMD; readable by root alone since CVE-2020-8694). A package has no
counter for each process, so ours is the share of its energy that our CPU seconds have in all busy
CPU seconds of the machine over the same time. What a package takes while it is idle is so divided
among those who were busy. Memory, disks and fans are not in it.

Estimated: CPU seconds times :data:`WATTS_PER_BUSY_CORE`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

WATTS_PER_BUSY_CORE = 3.84
"""Watts of a server at full load, for each of its hardware threads.

The mean over three providers of "max watts" per virtual CPU (3.50, 4.26 and 3.76) of Cloud Carbon
Footprint, Methodology, "Energy estimate: compute" (cloudcarbonfootprint.org/docs/methodology; read
in 2026), which takes them from SPECpower_ssj2008 results. It is what the whole server draws when
all threads are busy, its memory included and the data centre's cooling not. A machine with little
to do spends more for each busy second; a small or new one less: take it for the order of magnitude.
"""

_ROOT = Path("/")
_MICRO = 1e-6
_BUSY_FIELDS = (0, 1, 2, 5, 6)
"""Of the line ``cpu`` in ``/proc/stat``: user, nice, system, irq, softirq; guests are in user."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The counters at one moment.

    ``packages`` are by name (microjoules, microjoules at which the counter begins anew); empty
    where they cannot be read. ``busy_seconds`` are CPU seconds of the whole machine.
    """

    packages: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    busy_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Energy:
    """Joules of ours, and where the number comes from."""

    joules: float
    source: str


def read(root: Path = _ROOT) -> Reading:
    """The counters now; without packages where any of it cannot be read.

    Parameters
    ----------
    root
        Where ``sys`` and ``proc`` lie.
    """
    try:
        folders = sorted((root / "sys/class/powercap").glob("intel-rapl:*"))
        # intel-rapl:0 is a package; intel-rapl:0:0 is a part of it, and psys is more than it.
        tops = [folder for folder in folders if folder.name.count(":") == 1]
        packages = {
            folder.name: (_number(folder / "energy_uj"), _number(folder / "max_energy_range_uj"))
            for folder in tops
            if (folder / "name").read_text(encoding="ascii").startswith("package")
        }
        return Reading(packages, _busy_seconds(root) if packages else 0.0)
    except (OSError, ValueError, IndexError):
        return Reading()


def _number(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))


def _busy_seconds(root: Path) -> float:
    with (root / "proc/stat").open(encoding="ascii") as lines:
        ticks = lines.readline().split()[1:]
    return sum(int(ticks[place]) for place in _BUSY_FIELDS) / os.sysconf("SC_CLK_TCK")


def spent(before: Reading, after: Reading, cpu_seconds: float) -> Energy:
    """Energy of ours between two readings.

    Parameters
    ----------
    before, after
        The counters at both ends. A counter may have begun anew once in between, which takes many
        minutes at least.
    cpu_seconds
        CPU time of ours in between.

    Examples
    --------
    >>> before = Reading({"intel-rapl:0": (900, 1000)}, 10.0)
    >>> after = Reading({"intel-rapl:0": (2_000_099, 10_000_000)}, 14.0)
    >>> spent(before, after, 1.0)
    Energy(joules=0.49979975, source='rapl')
    >>> spent(Reading(), Reading(), 2.0)
    Energy(joules=7.68, source='estimate')
    """
    if not before.packages or before.packages.keys() != after.packages.keys():
        return estimated(cpu_seconds)
    drawn = sum(
        _advanced(before.packages[name][0], *after.packages[name]) for name in before.packages
    )
    # The kernel counts busy time in hundredths: of a short check ours may seem more than all.
    busy = max(after.busy_seconds - before.busy_seconds, cpu_seconds)
    share = cpu_seconds / busy if busy > 0 else 0.0
    return Energy(drawn * _MICRO * share, "rapl")


def _advanced(before: int, after: int, most: int) -> int:
    return after - before if after >= before else after - before + most


def estimated(cpu_seconds: float) -> Energy:
    """CPU seconds times :data:`WATTS_PER_BUSY_CORE`."""
    return Energy(cpu_seconds * WATTS_PER_BUSY_CORE, "estimate")
