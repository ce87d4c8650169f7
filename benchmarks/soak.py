"""Ten thousand checks one after the other, and whether memory stays flat: ``make soak``.

The daemon's step as it is, monitor, store and worker, works off a backlog of small files, here in a
process as light as the daemon. After every check it renders the metrics and the report page, and
every 50 checks it asks the system how much memory it and its worker hold; at last come steps of one
file each. The slope after a warm-up is told in bytes a
check with a standard error that allows for neighbours being alike; more than three of these above 0
and more than 10 bytes a check is a leak, and the program ends with status 1. ``--checks N`` for
fewer; a short run is not stored.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.scaling.fit import slope
from benchmarks.scaling.machine import machine
from benchmarks.scaling.process import private_bytes, resident_bytes
from shiftwatch import metrics
from shiftwatch.desk import Desk
from shiftwatch.monitor import Monitor
from shiftwatch.settings import ModelSettings, Settings, StoreSettings
from shiftwatch.store import Store
from shiftwatch.values import Run

RESULTS = Path(__file__).parent / "results" / "soak.json"
CHECKS = 10_000
EVERY = 50
STEPS = 100
"""One in so many checks is made once more in a step of its own."""

WARM_UP = 0.2
"""Share of the samples left out: caches fill, and the allocator finds its size."""

LEAST_LEAK = 10.0
"""Bytes a check below which a slope is not called a leak: 0.1 MB in 10 000 checks."""

_ERRORS = 3.0
_NAME = "soaked"


@dataclass(slots=True)
class Held:
    """Memory of one process by number of checks."""

    checks: list[int] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)
    private: list[int] = field(default_factory=list)

    def note(self, checks: int, pid: int) -> None:
        """Ask the system now."""
        self.checks.append(checks)
        self.resident.append(resident_bytes(pid))
        self.private.append(private_bytes(pid))

    def told(self) -> dict[str, Any]:
        """Slope in bytes a check after the warm-up, its standard error, and what that means."""
        start = round(WARM_UP * len(self.checks))
        kept = self.checks[start:], self.resident[start:]
        found, error = slope([float(n) for n in kept[0]], [float(n) for n in kept[1]])
        leak = found > LEAST_LEAK and found > _ERRORS * error
        return {
            "bytes_per_check": round(found, 2),
            "standard_error": round(error, 2),
            "verdict": "grows" if leak else "not distinguishable from 0",
            "leak": leak,
            "first_bytes": self.resident[0],
            "last_bytes": self.resident[-1],
            "most_bytes": max(self.resident),
            "resident": self.resident,
            "private": self.private,
        }


def write(folder: Path, part: str, rows: int, files: range) -> None:
    """Files of 6 columns, written by a program of its own so that this one stays light."""
    program = [sys.executable, __file__, "--write", str(folder / part), str(rows)]
    program += [str(files.start), str(files.stop)]
    subprocess.run(program, check=True)


def _write(folder: Path, rows: int, files: range) -> None:
    import numpy as np  # noqa: PLC0415 - only in the program that writes
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    folder.mkdir(exist_ok=True)
    for index in files:
        rng = np.random.default_rng(index)
        columns: dict[str, Any] = {f"x{j}": rng.standard_normal(rows) for j in range(4)}
        columns |= {f"c{j}": [f"c{k}" for k in rng.integers(0, 5, rows)] for j in range(2)}
        pq.write_table(pa.table(columns), folder / f"{index:06}.parquet")


def soak(checks: int, folder: Path) -> dict[str, Any]:
    """Judge so many batches in one step, then some in a step each; memory on the way."""
    write(folder, "reference", 2000, range(1))
    write(folder, "batches", 200, range(1, checks + 1))
    model = ModelSettings(_NAME, reference=f"{folder}/reference", batches=f"{folder}/batches")
    settings = Settings((model,), store=StoreSettings(f"{folder}/soak.db"))
    with Store.open(settings.store.path, clock=time.time) as store:
        monitor = Monitor(settings, store, time.time, {_NAME: "soak"})
        desk = Desk(store, settings, SimpleNamespace(monitor=monitor))
        held = _one_step(monitor, desk)
        held["daemon, step by step"] = _many_steps(monitor, desk, folder, checks // STEPS)
        desk.close()
    return {"checks": checks, "every": EVERY} | {name: each.told() for name, each in held.items()}


def _one_step(monitor: Monitor, desk: Desk) -> dict[str, Held]:
    """All that is due: one worker judges everything, as after a long outage."""
    held = {"daemon": Held(), "worker": Held()}
    began = time.monotonic()
    for done, run in enumerate(monitor.step(), start=1):
        _look(desk, run)
        if done % EVERY == 0:
            held["daemon"].note(done, os.getpid())
            held["worker"].note(done, monitor.worker_pid or 0)
        if done % (20 * EVERY) == 0:
            print(f"{done} checks, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return held


def _many_steps(monitor: Monitor, desk: Desk, folder: Path, steps: int) -> Held:
    """A batch a step, each with a worker that ends with it, as every five minutes."""
    held = Held()
    known = len(list((folder / "batches").iterdir()))
    for step in range(1, steps + 1):
        write(folder, "batches", 200, range(known + step, known + step + 1))
        for run in monitor.step():
            _look(desk, run)
        held.note(step, os.getpid())
    return held


def _look(desk: Desk, run: Run) -> None:
    """What a scrape and a reader ask for; every check, so that what they leave behind shows."""
    if run.verdict == "error":
        raise RuntimeError(run.reasons)
    metrics.render(desk.snapshot())
    desk.report(_NAME, run.batch.id, "html")


def main() -> None:
    """Run, tell, store; or write files for a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checks", type=int, default=CHECKS)
    parser.add_argument("--output", type=Path, help="also for a short run")
    parser.add_argument("--write", nargs=4, metavar=("FOLDER", "ROWS", "FROM", "TO"))
    options = parser.parse_args()
    if options.write:
        folder, rows, first, after = options.write
        _write(Path(folder), int(rows), range(int(first), int(after)))
        return
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="shiftwatch-soak-") as name:
        found = soak(options.checks, Path(name))
    found |= {"wall_seconds": round(time.monotonic() - began), "machine": machine()}
    parts = {
        name: part for name, part in found.items() if isinstance(part, dict) and "leak" in part
    }
    for name, part in parts.items():
        slope_, error = part["bytes_per_check"], part["standard_error"]
        print(
            f"{name}: {slope_} bytes a check (standard error {error}): {part['verdict']}; "
            f"{part['first_bytes'] / 1e6:.1f} MB at first, {part['last_bytes'] / 1e6:.1f} at last"
        )
    output = options.output or (RESULTS if options.checks >= CHECKS else None)
    if output is not None:
        output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.exit(any(part["leak"] for part in parts.values()))


if __name__ == "__main__":
    main()
