"""One life of the daemon: started, asked, killed.

In:    an arena and a plan for the victim.
Out:   answers, and what was seen on the way.
Never: ends a process that it did not start.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.faults.stream import MODEL, Arena
from shiftwatch.errors import ShiftwatchError
from shiftwatch.store import Store

_VICTIM = Path(__file__).parent / "victim.py"
_PATIENCE = 120.0
_LOOK = 0.02

_Found = TypeVar("_Found")


@dataclass(slots=True)
class Asked:
    """What was asked of all daemons together."""

    requests: int = 0
    server_errors: int = 0
    slowest_scrape: float = 0.0
    ready: int = 0
    """Lives that became ready."""
    alarmed: int = 0
    """Lives that became ready where an alarm was up before."""
    alarms_missing: int = 0
    """Lives that were ready and did not show the alarms of before."""


@dataclass(slots=True)
class Life:
    """A daemon that runs."""

    arena: Arena
    process: subprocess.Popen[bytes]
    log: Path
    asked: Asked
    alarms: frozenset[bool] = frozenset()
    _looked: bool = False

    def url(self) -> str | None:
        """Where it listens, once it does."""
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError):
                told = json.loads(line)
                if isinstance(told, dict) and told.get("event") == "listening":
                    return str(told["url"])
        return None

    def get(self, path: str) -> str | None:
        """The answer; None where nobody is there."""
        url = self.url()
        if url is None:
            return None
        self.asked.requests += 1
        began = time.monotonic()
        try:
            with urllib.request.urlopen(url + path, timeout=30) as answer:  # noqa: S310 - ours
                body: str = answer.read().decode()
        except urllib.error.HTTPError as fault:
            self.asked.server_errors += fault.code >= 500
            return None
        except (OSError, ValueError):  # killed meanwhile
            self.asked.requests -= 1
            return None
        if path == "/metrics":
            took = time.monotonic() - began
            self.asked.slowest_scrape = max(self.asked.slowest_scrape, took)
        return body

    def look(self) -> None:
        """When it is ready for the first time, hold its alarm against the one before."""
        if self._looked or self.url() is None or self.get("/readyz") is None:
            return
        text = self.get("/metrics")
        if text is None:
            return
        self._looked = True
        self.asked.ready += 1
        self.asked.alarmed += True in self.alarms
        line = f'shiftwatch_drift_alarm{{model="{MODEL}",scope="input"}} '
        shown = {float(row[len(line) :]) == 1 for row in text.splitlines() if row.startswith(line)}
        if not shown <= self.alarms | alarm_of(self.arena):
            self.asked.alarms_missing += 1

    def worker(self) -> int | None:
        """Process id of its worker."""
        found: list[str] = []
        with suppress(OSError):
            for path in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
                found += path.read_text(encoding="ascii").split()
        return int(found[0]) if found else None

    def kill(self, whom: str) -> None:
        """SIGKILL to the parent, the worker or both; both at once, the worker first."""
        worker = self.worker() if whom != "parent" else None
        if worker is not None:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        if whom != "worker":
            self.process.kill()
            self.process.wait()

    def wait(self, seconds: float) -> bool:
        """Let it live for so long, looking; whether it has ended by itself."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                return True
            self.look()
            time.sleep(_LOOK)
        return self.process.poll() is not None

    def until(self, probe: Callable[[], _Found | None], seconds: float = _PATIENCE) -> _Found:
        """What the probe finds while the daemon lives."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.look()
            found = probe()
            if found is not None:
                return found
            if self.process.poll() is not None:
                break
            time.sleep(_LOOK)
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise RuntimeError(f"it never came (status {self.process.poll()}): {tail}")

    def until_judged(self, count: int) -> None:
        """Wait until so many batches are in the history."""
        self.until(lambda: judged(self.arena) >= count or None)

    def metric(self, name: str) -> float | None:
        """One value of the metrics of the model."""
        for line in (self.get("/metrics") or "").splitlines():
            if line.startswith(f'{name}{{model="{MODEL}"'):
                return float(line.rpartition(" ")[2])
        return None


@dataclass(slots=True)
class Lives:
    """Daemons one after the other in an arena."""

    arena: Arena
    asked: Asked
    count: int = 0
    logs: list[Path] = field(default_factory=list)

    @contextmanager
    def begun(self, plan: dict[str, Any] | None = None) -> Iterator[Life]:
        """A daemon, ended afterwards if it has not ended before."""
        log = self.arena.folder / f"log-{self.count:04}.txt"
        self.count += 1
        self.logs.append(log)
        alarms = alarm_of(self.arena)
        command = [sys.executable, str(_VICTIM), str(self.arena.config), json.dumps(plan or {})]
        with log.open("wb") as handle, subprocess.Popen(command, stderr=handle) as process:
            life = Life(self.arena, process, log, self.asked, alarms)
            try:
                yield life
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait(30)

    def finish(self) -> None:
        """An undisturbed life, until everything handed over is judged."""
        with self.begun() as life:
            life.until_judged(self.arena.handed)
            life.until(lambda: life._looked or None)  # noqa: SLF001 - of this module


def judged(arena: Arena) -> int:
    """Batches in the history, as another process sees it."""
    try:
        with Store.read(str(arena.store)) as store:
            return len(store.judged_ids(MODEL))
    except ShiftwatchError:
        return 0


def alarm_of(arena: Arena) -> frozenset[bool]:
    """The alarm on the inputs after the newest batch; of no batch, none."""
    try:
        with Store.read(str(arena.store)) as store:
            run = store.run(MODEL)
    except ShiftwatchError:
        return frozenset({False})
    if run is None:
        return frozenset({False})
    return frozenset(each.alarm for each in run.decisions if each.scope == "input")
