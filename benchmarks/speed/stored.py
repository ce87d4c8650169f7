"""The cases of `make bench`, and what the two programs keep of their runs.

In:    modules of this folder; JSON files of `benchmarks/results`.
Out:   cases by name; figures by case.
Never: keeps a figure without the machine and the day it is from.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks import speed
from benchmarks.speed.harness import Case

RESULTS = Path(__file__).parents[1] / "results"
BENCH = RESULTS / "bench.json"
PEERS = RESULTS / "peers.json"

Stored = dict[str, Any]

_TOPICS = ("columns", "joint", "full", "footprint", "limits")


def cases() -> dict[str, Case]:
    """Every case by its name, by topic."""
    found = {module.name for module in pkgutil.iter_modules(speed.__path__)}
    return {
        case.name: case
        for topic in _TOPICS
        if topic in found
        for case in importlib.import_module(f"benchmarks.speed.{topic}").CASES
    }


def load(path: Path) -> Stored:
    """What is stored, by case; nothing if there is no file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def keep(path: Path, stored: Stored, order: Sequence[str]) -> None:
    """Write the file anew, in the order of the cases; what is no case any more is left out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {name: stored[name] for name in order if name in stored}
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def circumstances() -> dict[str, Any]:
    """What figures depend on besides the code."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    packages = ("numpy", "scipy", "pyarrow", "scikit-learn")
    return {
        "measured": datetime.now(UTC).date().isoformat(),  # noqa: TID251 - the day is part of it
        "cpu": model[0] if model else platform.processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in packages},
    }
