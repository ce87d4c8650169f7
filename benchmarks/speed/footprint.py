"""What it costs to be there: imports, the idle daemon, the installation."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from benchmarks.speed.clock import MEGABYTE, child, status
from benchmarks.speed.harness import Case, Goal, Measured, Task
from shiftwatch.demo import MODEL_PATH
from shiftwatch.demo.generator import write_batch, write_reference

_CONFIG = """\
models:
  - name: churn
    model: model.onnx
    reference: reference.parquet
    batches: batches/
    columns: {time: event_time, label: churned}
schedule: {every: 1s}
web: {listen: "127.0.0.1:0"}
"""
_BATCHES = 3
_PATIENCE = 120.0


def import_package(task: Task) -> Measured:
    """``import shiftwatch``, the interpreter's own start left out."""
    return _started("import shiftwatch", task)


def import_worker(task: Task) -> Measured:
    """All that the worker imports before its first check."""
    return _started("from shiftwatch import child; child.imported()", task)


def _started(statements: str, task: Task) -> Measured:
    measured = Measured()
    program = (
        "import time; began = time.process_time(); "
        f"{statements}; print(time.process_time() - began); "
        "print(open('/proc/self/status').read())"
    )
    child([sys.executable, "-c", program])  # so that bytecode is there
    for _ in range(task.repetitions):
        seconds, _, told = child([sys.executable, "-c", program]).printed.partition("\n")
        measured.seconds.append(float(seconds))
        measured.facts["peak megabytes"] = (
            int(told.partition("VmHWM:")[2].split()[0]) * 1024 / MEGABYTE
        )
    return measured


def daemon_idle(task: Task) -> Measured:
    """``shiftwatch run`` after a few batches and scrapes, its worker ended; and after a page."""
    measured = Measured()
    with tempfile.TemporaryDirectory(dir=task.folder) as name:
        home = Path(name)
        (home / "batches").mkdir()
        (home / "shiftwatch.yml").write_text(_CONFIG, encoding="utf-8")
        (home / "model.onnx").write_bytes(Path(MODEL_PATH).read_bytes())
        write_reference(home / "reference.parquet", 2000)
        for index in range(_BATCHES):
            write_batch(home / "batches" / f"{index}.parquet", index, shift=0.0, seed=5)
        with _daemon(home) as (process, url):
            _until(lambda: _judged(url) == _BATCHES)
            _until(lambda: not _children(process.pid))
            measured.facts["idle megabytes"] = status("VmRSS", process.pid)
            for page in ("/", "/api/v1/models/churn/report?format=html"):
                _read(url + page)
            measured.facts["after a page megabytes"] = status("VmRSS", process.pid)
    return measured


@contextmanager
def _daemon(home: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    command = [sys.executable, "-m", "shiftwatch", "run", str(home / "shiftwatch.yml")]
    path = home / "log.txt"
    with path.open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            _until(lambda: '"listening"' in path.read_text(encoding="utf-8"))
            lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            yield process, next(line["url"] for line in lines if line["event"] == "listening")
        finally:
            process.terminate()


def _until(probe: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not probe():
        if time.monotonic() > deadline:
            raise TimeoutError(probe)
        time.sleep(0.2)


def _judged(url: str) -> int:
    """Batches with a verdict, as a scrape tells them."""
    lines = (line for line in _read(f"{url}/metrics").splitlines() if not line.startswith("#"))
    name = 'shiftwatch_batches_total{model="churn",outcome="tested"}'
    return next((int(float(line.rpartition(" ")[2])) for line in lines if line.startswith(name)), 0)


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own
        text: str = answer.read().decode()
    return text


def _children(pid: int) -> str:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")


def installed(task: Task) -> Measured:
    """Files of shiftwatch's dependencies, theirs included and extras left out."""
    del task  # files need neither data nor repetition
    measured = Measured()
    sizes = [_size(name) for name in _closure("shiftwatch") - {"shiftwatch"}]
    compiled = sum(size for _, size in sizes) / MEGABYTE
    sources = sum(size for size, _ in sizes) / MEGABYTE
    measured.facts["without bytecode megabytes"] = sources
    measured.facts["with bytecode megabytes"] = sources + compiled
    return measured


def _closure(root: str) -> set[str]:
    found: set[str] = set()
    waiting: list[tuple[str, frozenset[str]]] = [(root, frozenset())]
    while waiting:
        name, extras = waiting.pop()
        found.add(name)
        for line in metadata.requires(name) or ():
            wanted = Requirement(line)
            plain = wanted.name.lower().replace("_", "-")
            marker = wanted.marker
            needed = marker is None or any(marker.evaluate({"extra": e}) for e in ("", *extras))
            if needed and plain not in found:
                waiting.append((plain, frozenset(wanted.extras)))
    return found


def _size(name: str) -> tuple[int, int]:
    """Bytes of a package's files: all but bytecode, and bytecode."""
    sizes = {True: 0, False: 0}
    for each in metadata.files(name) or ():
        path: Any = each.locate()
        if path.exists():
            sizes[each.suffix == ".pyc"] += path.stat().st_size
    return sizes[False], sizes[True]


CASES = (
    Case("import_package", "`import shiftwatch`", import_package, (Goal("seconds", 0.05),)),
    Case("import_worker", "what the worker imports", import_worker),
    Case(
        "daemon_idle",
        "the daemon after 3 batches and some scrapes, idle",
        daemon_idle,
        (Goal("idle megabytes", 60),),
    ),
    Case(
        "installed",
        "core dependencies, installed",
        installed,
        (Goal("without bytecode megabytes", 470),),
    ),
)
