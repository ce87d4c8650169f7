"""Thousands of files for many models at once, while everybody asks.

In:    a stream; how many models and files of each.
Out:   how long a scrape took, what was refused, and in which order the files were judged.
Never: measures in the process that asks for reports.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.faults.life import Asked, Life, Lives
from benchmarks.faults.stream import MODEL, Arena, Stream
from shiftwatch.store import Store

_ASKER = Path(__file__).parent / "asker.py"
_SETTLE = 5.0


def load(stream: Stream, models: int, files: int, asked: Asked) -> dict[str, Any]:
    """Hand over ``files`` for each model before the daemon starts, and ask until all is judged."""
    arena = stream.arena("load", models)
    names = [MODEL] if models == 1 else [f"{MODEL}-{index}" for index in range(models)]
    for name in names:
        arena.handed = 0
        arena.hand(files, name)
    began = time.monotonic()
    with Lives(arena, asked).begun() as life:
        url = life.until(life.url)
        scraper = _asking("scrape", url)
        life.until(lambda: _count(arena, names[:1]) or None)  # so that there is a report
        others = {
            "reports": _asking("reports", url, names[0]),
            "idle": _asking("idle", url, names[0]),
        }
        longest = _watched(life, arena, names, files)
        took = time.monotonic() - began
        told = {"scrape": _ended(scraper)} | {name: _ended(one) for name, one in others.items()}
    return {
        "models": models,
        "files": models * files,
        "judged": _count(arena, names),
        "out_of_order": sum(_disorder(arena, name) for name in names),
        "longest_backlog_told": longest,
        "seconds": round(took, 1),
        **_figures(told),
    }


def _watched(life: Life, arena: Arena, names: Sequence[str], files: int) -> int:
    """Wait until all is judged; the longest backlog that the metrics told."""
    longest = 0.0

    def done() -> bool | None:
        nonlocal longest
        told = [
            float(line.rpartition(" ")[2])
            for line in (life.get("/metrics") or "").splitlines()
            if line.startswith("shiftwatch_backlog_batches{")
        ]
        longest = max(longest, *told)
        time.sleep(2)
        return _count(arena, names) >= files * len(names) or None

    life.until(done, 3600)
    time.sleep(_SETTLE)
    return int(longest)


def _figures(told: dict[str, Any]) -> dict[str, Any]:
    scrapes = sorted(told["scrape"]["scrapes"])
    errors = sum(n for status, n in told["reports"]["statuses"].items() if int(status) >= 500)
    return {
        "scrapes": len(scrapes),
        "scrape_median_seconds": round(scrapes[len(scrapes) // 2], 4),
        "scrape_p99_seconds": round(scrapes[min(len(scrapes) - 1, int(0.99 * len(scrapes)))], 4),
        "scrape_slowest_seconds": round(scrapes[-1], 4),
        "reports": told["reports"]["requests"],
        "refused": told["reports"]["statuses"].get("0", 0),
        "server_errors": errors + told["scrape"]["server_errors"],
        "idle_connections": told["idle"]["held"],
    }


def _asking(what: str, url: str, *models: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(_ASKER), what, url, *models]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _ended(asker: subprocess.Popen[str]) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(asker.communicate(timeout=120)[0])
    return told


def _count(arena: Arena, names: Sequence[str]) -> int:
    if not arena.store.exists():
        return 0
    with Store.read(str(arena.store)) as store:
        return sum(len(store.judged_ids(name)) for name in names)


def _disorder(arena: Arena, name: str) -> int:
    """Files judged before one that is older."""
    with Store.read(str(arena.store)) as store:
        uris = [row.uri for row in store.runs(name, limit=1_000_000)][::-1]
    return sum(before > after for before, after in pairwise(uris))
