"""Our page: made by the verbs a user has, from files and from a history.

In:    a folder with the material.
Out:   pages, their bytes, and the seconds of the processes that made them.
Never: calls an inner function where there is a verb.
"""

from __future__ import annotations

import gzip
import html
import importlib.resources
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import shiftwatch
from benchmarks.pages.material import DIRTY, ROLES, dirty_file
from benchmarks.speed.clock import Ended, child, warm
from benchmarks.speed.harness import Spread, spread
from shiftwatch import config as configuration
from shiftwatch.comparing import Report
from shiftwatch.report import ENDINGS, FORMATS, Format
from shiftwatch.verbs.reporting import reported

ROOT = Path(__file__).parents[2]
_COLD, _WARM = 5, 15
RANKED = r"(\w+)(?:\s+(?:moved|also moving))?\s+(?:numeric|categorical) ·"
"""How our page tells the drift of a column."""

_CONFIG = """\
models:
  - name: bench
    reference: {reference}
    batches: batches/
{roles}limits: {{seconds: 600}}
store: {{path: history.db}}
"""


def judge(folder: Path, reference: str = "reference.parquet", roles: str = "") -> None:
    """Judge the batches of a folder into a history, by `shiftwatch once`."""
    text = _CONFIG.format(reference=reference, roles=roles)
    (folder / "shiftwatch.yml").write_text(text, encoding="utf-8")
    _verb(folder, "once", "shiftwatch.yml")


def judge_hotels(folder: Path) -> None:
    """The bookings of each month, with their times, predictions and labels."""
    judge(folder, "dated.parquet", ROLES)


def _verb(folder: Path, *arguments: str) -> Ended:
    command = [sys.executable, "-m", "shiftwatch", *arguments]
    ended = child(command, folder=folder, environment={"PYTHONPATH": str(ROOT)}, limit=600)
    if ended.status:
        raise RuntimeError(f"shiftwatch {' '.join(arguments)}: {ended.told[-2000:]}")
    return ended


def written(folder: Path) -> dict[str, Path]:
    """The report of the newest batch in every format."""
    return {form: write(folder, form) for form in FORMATS}


def write(folder: Path, form: Format) -> Path:
    """The report of the newest batch in one format."""
    page = folder / f"report.{ENDINGS[form]}"
    _verb(folder, "report", "shiftwatch.yml", "--format", form, "--output", page.name)
    return page


def sizes(page: Path) -> dict[str, int]:
    """Bytes, and bytes by gzip."""
    text = page.read_bytes()
    return {"bytes": len(text), "gzip": len(gzip.compress(text, mtime=0))}


def generation(folder: Path) -> dict[str, dict[str, Spread]]:
    """CPU seconds of a report in every format: the whole process, and once more in this one."""
    made: dict[str, dict[str, Spread]] = {}
    for form in FORMATS:
        cold = [
            _verb(folder, "report", "shiftwatch.yml", "--format", form, "--output", "again").seconds
            for _ in range(_COLD)
        ]
        first = [_first(folder, form) for _ in range(_COLD)]
        made[form] = {
            "cold": spread(cold),
            "first": spread(first),
            "warm": spread(_again(folder, form)),
        }
    return made


_FIRST = """
import os, sys, time
from pathlib import Path
from shiftwatch import config
from shiftwatch.store import Store
settings = config.load(Path("shiftwatch.yml"), os.environ)
began = time.process_time()
from shiftwatch.verbs.reporting import reported
reported(settings, "bench", None, sys.argv[1])
print(time.process_time() - began, file=sys.stderr)
"""


def _first(folder: Path, form: Format) -> float:
    """CPU seconds of the first report of a process that has read its configuration.

    It reads the verdict, loads what renders it, and compiles the templates.
    """
    command = [sys.executable, "-c", _FIRST, form]
    ended = child(command, folder=folder, environment={"PYTHONPATH": str(ROOT)}, limit=600)
    return float(ended.told)


def _again(folder: Path, form: Format) -> Sequence[float]:
    settings = configuration.load(folder / "shiftwatch.yml", os.environ)

    def work() -> None:
        reported(settings, "bench", None, form)

    work()
    return warm(work, _WARM)


def compared(folder: Path) -> dict[str, Any]:
    """`shiftwatch compare --html` of the pair: seconds, memory and bytes."""
    cpu, wall, peak = [], [], []
    for _ in range(_COLD):
        began = time.perf_counter()
        ended = _verb(folder, *_compare("batch.parquet"), "--html", "compare.html")
        wall.append(time.perf_counter() - began)
        cpu.append(ended.seconds)
        peak.append(ended.megabytes)
    page = folder / "compare.html"
    return {
        "cold cpu": spread(cpu),
        "cold wall": spread(wall),
        "warm cpu": spread(_pair_again(folder)),
        "peak megabytes": spread(peak),
        **sizes(page),
        "says": _headline(page),
        "page": str(page),
    }


def _headline(page: Path) -> str:
    """The words of the first heading of a page."""
    found = re.search(r"<h1.*?</h1>", page.read_text(encoding="utf-8"), re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", found[0])).split()) if found else ""


def _pair_again(folder: Path) -> list[float]:
    """`shiftwatch.compare(...).to_html()` in one process that has done it before."""
    pair = str(folder / "reference.parquet"), str(folder / "batch.parquet")

    def work() -> None:
        page = shiftwatch.compare(*pair).to_html()
        (folder / "again.html").write_text(page, encoding="utf-8")

    work()
    return warm(work, _WARM)


def _compare(batch: str) -> tuple[str, ...]:
    return ("compare", "reference.parquet", batch)


def about() -> dict[str, Any]:
    """What the package can do besides, under the names that the points ask for."""
    published = importlib.resources.files(shiftwatch) / "schemas" / "report-1.json"
    schema = ["json schema"] if published.is_file() else []
    return {"can": [*FORMATS, *schema, *vars(Report)], "kinds": ["report"], "metrics": 0}


def told_of_dirt(folder: Path) -> dict[str, str]:
    """What `shiftwatch compare` says of the column that was spoilt."""
    return {name: _of_dirt(folder, name, column) for name, (column, _) in DIRTY.items()}


def _of_dirt(folder: Path, name: str, column: str) -> str:
    printed = _verb(folder, *_compare(dirty_file(name)), "--json").printed
    run = json.loads(printed)
    told = [f"`{run['state']}`"]
    told += [
        f"{finding['code']} ({finding['severity']}): {finding['message']}"
        for finding in run["findings"]
        if finding["column"] == column
    ]
    told += [
        f"`{result['test']}` p = {result['p_value']:.2g}, effect {result['effect']:.2g}"
        for result in run["results"]
        if result["target"] == column and not result["skipped"] and result["p_value"] < 1e-4
    ]
    return "; ".join(told)
