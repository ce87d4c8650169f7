"""Evidently's page of the same files, made in its own environment.

In:    a folder with the material.
Out:   pages, their bytes, seconds and memory; what it says of spoilt columns.
Never: imports it; blames it for what this machine lacks.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.pages.material import DIRTY, MONTHS, dirty_file
from benchmarks.pages.ours import sizes
from benchmarks.speed.clock import Ended, child
from benchmarks.speed.harness import spread
from benchmarks.speed.peers import ENVIRONMENTS, environment

ROOT = Path(__file__).parents[2]
PEER = "evidently"
RANKED = r"(\w+)\s+(?:num|cat)\s+(?:Not )?Detected"
"""How its page tells the drift of a column."""

_COLD, _WARM = 3, 3


def absent() -> str:
    """Why it cannot be asked; empty if it can."""
    return environment(PEER)


def _ask(*question: str) -> Ended:
    python = str(ENVIRONMENTS / PEER / "bin" / "python")
    command = [python, "-W", "ignore", "-m", "benchmarks.peers.evidently_page", *question]
    return child(command, folder=ROOT, environment={"PYTHONPATH": ""}, limit=120)


def _told(ended: Ended) -> dict[str, Any]:
    if ended.status:
        lines = [line for line in ended.told.splitlines() if line.strip()]
        raise RuntimeError(lines[-1] if lines else "it said nothing")
    return dict(json.loads(ended.printed.strip().splitlines()[-1]))


def about() -> dict[str, Any]:
    """Its version, presets, metrics and methods."""
    return _told(_ask("about"))


def capable(told: Mapping[str, Any]) -> dict[str, Any]:
    """The same under the names that the points ask for."""
    kinds = [name.removesuffix("Preset") for name in told["presets"]]
    return {
        "can": told["asked for"],
        "kinds": kinds,
        "kind_names": ", ".join(kinds),
        "metrics": told["metrics"],
    }


def columns(text: str) -> int:
    """How many columns its page says it tells the drift of."""
    found = re.search(r"(\d+)\s+Columns", text)
    return int(found[1]) if found else 0


def compared(folder: Path, chosen: str) -> dict[str, Any]:
    """Its page of the pair: seconds of a process and of repetitions in one, memory, bytes."""
    page = folder / f"evidently-{chosen}.html"
    pair = (str(folder / "reference.parquet"), str(folder / "batch.parquet"), str(page))
    cpu, wall, peak = [], [], []
    for _ in range(_COLD):
        began = time.perf_counter()
        ended = _ask("page", chosen, "1", *pair)
        wall.append(time.perf_counter() - began)
        _told(ended)
        cpu.append(ended.seconds)
        peak.append(ended.megabytes)
    warm = _told(_ask("page", chosen, str(1 + _WARM), *pair))
    return {
        "cold cpu": spread(cpu),
        "cold wall": spread(wall),
        "warm cpu": spread(warm["cpu"][1:]),
        "peak megabytes": spread(peak),
        **sizes(page),
        "found": warm["found"][""],
        "drifting": sorted(set(warm["found"]) - {""}),
        "page": str(page),
    }


def month(folder: Path) -> Path:
    """Its page of the newest month with times, predictions and labels: all that it can show."""
    page = folder / "evidently-all.html"
    batch = folder / "batches" / f"{MONTHS[-1]}.parquet"
    _told(_ask("page", "all", "1", str(folder / "dated.parquet"), str(batch), str(page)))
    return page


def told_of_dirt(folder: Path) -> dict[str, str]:
    """What it says of the column that was spoilt."""
    return {name: _of_dirt(folder, name, column) for name, (column, _) in DIRTY.items()}


def _of_dirt(folder: Path, name: str, column: str) -> str:
    reference, batch = str(folder / "reference.parquet"), str(folder / dirty_file(name))
    try:
        told = _told(_ask("dirt", reference, batch, column))
    except RuntimeError as fault:
        return f"no report at all: {fault}"
    return "; ".join([*told["told"], f"of all: {', '.join(told['all'])}"])
