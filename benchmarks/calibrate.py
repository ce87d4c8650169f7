"""All promises on false alarms, power and delay, by simulation: ``make calibrate``.

Runs the cases of `benchmarks/calibration`, prints a table, and stores it. A case that was not run
keeps the figures it had, with the commit's date of its own run beside them.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import platform
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import calibration  # noqa: E402 - the program may be started by its path
from benchmarks.calibration.harness import Case, Measured, Summary, measure  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "calibration.json"

Stored = dict[str, dict[str, Any]]


def cases() -> Iterator[tuple[str, Case]]:
    """Every case, with the topic it belongs to; the files' names give the order."""
    for module in sorted(pkgutil.iter_modules(calibration.__path__), key=lambda m: m.name):
        loaded = importlib.import_module(f"benchmarks.calibration.{module.name}")
        for case in getattr(loaded, "CASES", ()):
            yield module.name, case


def shown(summary: Summary | Mapping[str, float]) -> str:
    """Mean and standard error, as they are printed."""
    values = asdict(summary) if isinstance(summary, Summary) else summary
    return f"{values['mean']:.4g} ({values['standard_error']:.2g})"


def entry(topic: str, measured: Measured, today: date) -> dict[str, Any]:
    """What is stored of a case."""
    runs = max((figure.runs for figure in measured.figures.values()), default=0)
    return {
        "topic": topic,
        "rivals": measured.case.rivals,
        "target": measured.case.target,
        "headline": list(measured.case.headline),
        "kept": measured.kept,
        "runs": runs,
        "seconds": round(measured.seconds),
        "measured": today.isoformat(),
        "python": platform.python_version(),
        "numpy": metadata.version("numpy"),
        "figures": {name: asdict(summary) for name, summary in measured.figures.items()},
    }


def show(name: str, stored: Mapping[str, Any]) -> None:
    """Print one case."""
    mark = "kept" if stored["kept"] else "NOT KEPT"
    print(f"{name}\n  target {stored['target']}; rivals {stored['rivals'] or '-'}: {mark}")
    for figure, values in stored["figures"].items():
        median = f", median {values['median']:g}" if values["median"] not in (0, 1) else ""
        print(f"    {figure:42} {shown(values)} in {values['runs']} runs{median}")
    sys.stdout.flush()


def main() -> int:
    """Run, print, store; status 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name or topic contains this")
    parser.add_argument("--quick", action="store_true", help="few runs; stores nothing")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    stored: Stored = {}
    if options.output.exists():
        stored = json.loads(options.output.read_text(encoding="utf-8"))
    broken = 0
    for topic, case in cases():
        runs = case.quick_runs if options.quick else case.runs
        if options.only not in f"{topic} {case.name}" or not runs:
            continue
        made = entry(topic, measure(case, runs, options.workers), datetime.now(UTC).date())  # noqa: TID251
        show(case.name, made)
        broken += not made["kept"]
        if not options.quick:
            stored[case.name] = made
            text = json.dumps({each: stored[each] for each in sorted(stored)}, indent=1)
            options.output.write_text(text + "\n", encoding="utf-8")
    print(f"{broken} promises not kept" if broken else "every promise kept")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
