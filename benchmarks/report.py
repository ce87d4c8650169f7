"""What the report page costs, how soon it is open, what it shows beside Evidently's: ``make bench-report``.

Pages come from real verdicts in a real history and are opened in Debian's Chromium. The peer is
installed as for ``make bench-peers``. It writes `benchmarks/results/report.json` and
`benchmarks/report.md`. ``--ours`` keeps the peer's figures as they are stored; ``--render`` writes
the page from the results alone. Needs the shared data beside the repository.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.pages import browser, material, ours, shown, text, theirs  # noqa: E402
from benchmarks.speed import stored  # noqa: E402 - the program may be started by its path
from benchmarks.speed.table import aligned  # noqa: E402
from tests.browsing import Browser  # noqa: E402

RESULTS = stored.RESULTS / "report.json"
PAGE = ROOT / "benchmarks" / "report.md"
SHARED = ROOT.parent / "shared" / "data"


def say(line: str) -> None:
    print(line, flush=True)


def made(name: str, folder: Path, chromium: Browser) -> dict[str, Any]:
    """Our page of made columns: seconds, bytes, and how it opens."""
    say(f"judging {name}")
    write(name, folder)
    ours.judge(folder)
    pages = ours.written(folder)
    return {
        "generation": ours.generation(folder),
        "sizes": {form: ours.sizes(page) for form, page in pages.items()},
        "opened": browser.timed(chromium, pages["html"]),
    }


def write(kind: str, folder: Path) -> None:
    """Write material in a process of its own: what it holds would count as the pages' memory."""
    command = [sys.executable, "-m", "benchmarks.pages.material", kind, str(folder)]
    subprocess.run(command, cwd=ROOT, check=True)


def of_us(folder: Path, chromium: Browser) -> dict[str, Any]:
    """Our pages of the bookings."""
    say("ours, hotel bookings")
    pair = ours.compared(folder)
    page = Path(pair.pop("page"))
    return {
        "circumstances": stored.circumstances(),
        "pair": pair | {"opened": browser.timed(chromium, page)},
        "cells": our_cells(folder, chromium),
        "dirt": ours.told_of_dirt(folder),
    }


def our_cells(folder: Path, chromium: Browser) -> shown.Cells:
    """What our page of the newest month shows."""
    ours.judge_hotels(folder)
    page = ours.write(folder, "html")
    examined = browser.examined(chromium, page, columns(folder), ours.RANKED)
    return shown.cells(shown.summed(examined, ours.about(), len(columns(folder))), "ours")


def columns(folder: Path) -> list[str]:
    """Columns that a report of the month may speak of."""
    return material.watched(folder / "dated.parquet")


def of_the_peer(folder: Path, chromium: Browser) -> dict[str, Any]:
    """Its pages of the bookings."""
    say("Evidently, hotel bookings")
    pair: dict[str, Any] = {}
    for chosen in ("drift", "summary"):
        told = theirs.compared(folder, chosen)
        page = Path(told.pop("page"))
        pair[chosen] = told | {"opened": browser.timed(chromium, page)}
    about = theirs.about()
    page = theirs.month(folder)
    examined = browser.examined(chromium, page, columns(folder), theirs.RANKED)
    capable = theirs.capable(about) | {"drifting": pair["drift"]["drifting"]}
    seen = shown.summed(examined, capable, theirs.columns(examined["text"]))
    return {
        "circumstances": stored.circumstances(),
        "about": about,
        "pair": pair,
        "cells": shown.cells(seen, "theirs"),
        "dirt": theirs.told_of_dirt(folder),
    }


def measured(kept: Mapping[str, Any], *, peer: bool) -> dict[str, Any]:
    """Everything, or all but the peer's part."""
    found: dict[str, Any] = {"made": {}}
    with tempfile.TemporaryDirectory(prefix="shiftwatch-report-") as name, browser.opened() as seen:
        for shape in material.SHAPES:
            found["made"][shape] = made(shape, Path(name) / shape.partition(" ")[0], seen)
        hotels = Path(name) / "hotels"
        write(str(SHARED), hotels)
        found["ours"] = of_us(hotels, seen)
        found["theirs"] = of_the_peer(hotels, seen) if peer else kept["theirs"]
    return found


def main() -> int:
    """Measure, store, write the page; status 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ours", action="store_true", help="keep what is stored of the peer")
    parser.add_argument("--render", action="store_true", help="only write the page")
    options = parser.parse_args()
    found = stored.load(RESULTS)
    if not options.render:
        fault = "" if options.ours else theirs.absent()
        if fault:
            say(f"{theirs.PEER} {fault}; its figures stay as they are stored")
        found = measured(found, peer=not (options.ours or fault))
        stored.keep(RESULTS, found, ("made", "ours", "theirs"))
    PAGE.write_text(text.rendered(found), encoding="utf-8")
    rows = text.goals(found["made"])
    say(aligned(rows))
    return int(any("no" in row[-1] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
