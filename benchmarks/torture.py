"""Everything that may befall a daemon in a year, in a quarter of an hour: ``make torture``.

The daemon as it is is killed at every named point of a step and at random moments, starved of disk,
locked out of its history, put into wrong times, stopped and doubled; after each its history is
held against that of a run nobody disturbed. Then it has 10 000 files of 50 models to work off while
everybody asks. Writes ``results/torture.json`` and ``reliability.md``; status 1 if a batch was lost,
judged twice or differently, or an alarm was missing. ``--quick`` is a minute's sample of all of it
and stores nothing; ``--fuzz SECONDS`` how long bad inputs are tried; ``--only PART`` tries one fault
of the table, ``load`` or ``fuzz`` anew and keeps what is stored of the others.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.faults.ills import DISKS, ILLS, Fault, Ill, NotTriedError, small_disk
from benchmarks.faults.kills import Killed, at_points, at_random, every_blow
from benchmarks.faults.ledger import Ledger
from benchmarks.faults.life import Asked, Lives
from benchmarks.faults.load import load
from benchmarks.faults.report import table
from benchmarks.faults.stream import Arena, Stream
from benchmarks.scaling.machine import machine

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "torture.json"
TABLE = HERE / "reliability.md"
FUZZ = HERE / "fuzz.py"

_MOST_FILES = 2000

_AMISS = ("judged_twice", "lost", "different")
_UNANSWERED = ("server_errors", "alarms_missing", "out_of_order", "refused")


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of it."""

    kills: int = 210
    points: int = 1
    """Every point that is a multiple of this; 1 is every point."""
    ills: tuple[str, ...] = (*ILLS, *DISKS)
    models: int = 50
    files: int = 200
    fuzz_seconds: float = 60.0


QUICK = Extent(
    kills=6,
    points=12,
    ills=("history damaged", "clock a year ahead and back", "disk full"),
    models=3,
    files=20,
    fuzz_seconds=0.0,
)


@dataclass(slots=True)
class Torture:
    """The rack: what was done so far."""

    folder: Path
    stream: Stream
    seed: int
    asked: Asked = field(default_factory=Asked)
    faults: list[dict[str, Any]] = field(default_factory=list)
    not_tried: dict[str, str] = field(default_factory=dict)

    def kill(self, extent: Extent) -> None:
        """At the points, and at random."""
        killed, lives = Killed(), Lives(self.stream.arena("points"), self.asked)
        blows = every_blow()[:: extent.points]
        at_points(lives, killed, blows)
        told = self._told(lives, "kill -9 at a named point", len(blows), len(killed.points))
        told["never_reached"] = [f"{point}: {whom}" for point, whom in killed.missed]
        lives = Lives(self.stream.arena("random"), self.asked)
        at_random(lives, killed, extent.kills, random.Random(self.seed))  # noqa: S311 - moments
        whom = ", ".join(f"{name} {count}" for name, count in sorted(killed.random.items()))
        times = sum(killed.random.values())
        self._told(lives, f"kill -9 at random moments ({whom})", times, times)

    def befall(self, extent: Extent) -> None:
        """Disks, locks, clocks, signals: each in an arena of its own."""
        for number, (name, fault) in enumerate({**ILLS, **DISKS}.items()):
            if name not in extent.ills:
                continue
            place = f"ill-{number}"
            disk: AbstractContextManager[None]
            if name not in DISKS:
                disk = nullcontext()
                arena = self.stream.arena(place)
            else:
                folder = self.folder / f"disk-{number}"
                disk = small_disk(folder)
                arena = self.stream.arena(place, store=folder / "s.db")
            try:
                with disk:
                    self._one(name, fault, arena)
            except NotTriedError as reason:
                self.not_tried[name] = str(reason)

    def _one(self, name: str, fault: Fault, arena: Arena) -> None:
        lives = Lives(arena, self.asked)
        arena.hand(3)
        lives.finish()
        survived = fault(Ill(lives))
        self._told(lives, name, 1, int(survived))

    def _told(self, lives: Lives, name: str, injected: int, survived: int) -> dict[str, Any]:
        """Finish the arena, and hold it against one of its own that nobody disturbs."""
        lives.finish()
        arena = lives.arena
        calm = self.stream.arena(f"{arena.folder.name}-calm")
        calm.hand(arena.handed)
        Lives(calm, Asked()).finish()
        ledger = asdict(Ledger.of(arena, calm, lives.logs))
        told = {"name": name, "injected": injected, "survived": survived, "batches": ledger}
        self.faults.append(told)
        print(f"{name}: {survived} of {injected} survived, {ledger}", file=sys.stderr, flush=True)
        return told


def torture(extent: Extent, folder: Path, seed: int) -> dict[str, Any]:
    """All of it; what ``torture.json`` holds."""
    began = time.monotonic()
    rack = Torture(folder, Stream.made(folder, _MOST_FILES), seed)
    rack.kill(extent)
    rack.befall(extent)
    loaded = load(rack.stream, extent.models, extent.files, Asked())
    return {
        "seed": seed,
        "faults": rack.faults,
        "not_tried": rack.not_tried,
        "asked": asdict(rack.asked),
        "load": loaded,
        "bad_inputs": bad_inputs(extent.fuzz_seconds),
        "wall_seconds": round(time.monotonic() - began),
        "machine": machine(),
    }


def anew(only: str, extent: Extent, folder: Path, seed: int) -> dict[str, Any]:
    """The stored results with one part tried again."""
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    if only == "fuzz":
        return found | {"bad_inputs": bad_inputs(extent.fuzz_seconds)}
    rack = Torture(folder, Stream.made(folder, _MOST_FILES), seed)
    if only == "load":
        return found | {"load": load(rack.stream, extent.models, extent.files, Asked())}
    rack.befall(replace(extent, ills=(only,)))
    fresh = {fault["name"]: fault for fault in rack.faults}
    faults = [fresh.get(fault["name"], fault) for fault in found["faults"]]
    return found | {"faults": faults}


def bad_inputs(seconds: float) -> dict[str, Any] | None:
    """What the fuzzer tells, where there is one."""
    if not seconds or not FUZZ.exists():
        return None
    command = [sys.executable, str(FUZZ), str(seconds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def failures(found: Mapping[str, Any]) -> list[str]:
    """What must not be: none where all went well."""
    faults = found["faults"]
    told = [f"{f['name']}: not survived" for f in faults if f["survived"] < f["injected"]]
    for fault in faults:
        batches = fault["batches"]
        told += [f"{fault['name']}: {key} {batches[key]}" for key in _AMISS if batches[key]]
        if batches["judged"] != batches["expected"]:
            told.append(f"{fault['name']}: judged {batches['judged']} of {batches['expected']}")
    for where in ("asked", "load"):
        told += [f"{key}: {found[where][key]}" for key in _UNANSWERED if found[where].get(key)]
    if found["load"]["judged"] != found["load"]["files"]:
        told.append(f"load: judged {found['load']['judged']} of {found['load']['files']}")
    return told + list((found["bad_inputs"] or {}).get("defects", ()))


def main() -> None:
    """Torture, tell, store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fuzz", type=float, default=Extent().fuzz_seconds)
    parser.add_argument("--only", choices=[*Extent().ills, "load", "fuzz"])
    options = parser.parse_args()
    extent = QUICK if options.quick else Extent(fuzz_seconds=options.fuzz)
    with tempfile.TemporaryDirectory(prefix="shiftwatch-torture-") as name:
        if options.only:
            found = anew(options.only, extent, Path(name), options.seed)
        else:
            found = torture(extent, Path(name), options.seed)
    if options.quick:
        print(table(found))
    else:
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        TABLE.write_text(table(found), encoding="utf-8")
    told = failures(found)
    print("\n".join(told) or "nothing lost, nothing judged twice, no verdict differs")
    sys.exit(bool(told))


if __name__ == "__main__":
    main()
