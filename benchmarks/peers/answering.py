"""How a peer answers `make bench-peers`: one case of a folder of data, as JSON.

In:    ``python -m benchmarks.peers.NAME CASE FOLDER REPETITIONS``, in the peer's own environment.
Out:   CPU seconds of each warm repetition, of the reference, and what the peer found.
Never: imports shiftwatch; needs more than numpy and the peer.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.speed.clock import extra_megabytes, warm

MMD_GAMMA = 1 / 100
MMD_PERMUTATIONS = {"mmd_1000": 100, "mmd_5000": 1000, "mmd_10000": 1000}


@dataclass(slots=True)
class Told:
    """What a peer measured and found.

    ``scaled`` says from which shorter runs the seconds were extrapolated.
    """

    seconds: list[float] = field(default_factory=list)
    statistic: list[float] = field(default_factory=list)
    p_value: list[float] = field(default_factory=list)
    facts: dict[str, float] = field(default_factory=dict)
    scaled: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """A case and where its data are."""

    case: str
    folder: Path
    repetitions: int

    def arrays(self) -> tuple[Any, Any]:
        """Reference and batch; KS has shape (columns, rows), all others (rows, columns)."""
        import numpy as np  # noqa: PLC0415 - after the clock has started

        names = (f"{self.case}-reference.npy", f"{self.case}-batch.npy")
        reference, batch = (np.load(self.folder / name) for name in names)
        return reference, batch

    def table(self, name: str) -> str:
        """Path of the Parquet file of ``reference`` or ``batch``."""
        return str(self.folder / name / f"{name}.parquet")


Found = tuple[Sequence[float], Sequence[float]]
"""Statistics and p-values; either may be empty."""

Answer = Callable[[Task], Told]


def timed(
    task: Task, prepare: Callable[[], Any], check: Callable[[Any], Found], *, memory: bool = False
) -> Told:
    """Prepare the reference once, check once for the answers, then check for the time."""
    began = time.process_time()
    prepared = prepare()
    told = Told(facts={"prepare seconds": time.process_time() - began})
    found: list[Found] = []

    def first() -> None:
        found.append(check(prepared))

    if memory:
        told.facts["extra megabytes"] = extra_megabytes(first)
    else:
        first()
    told.statistic, told.p_value = ([float(each) for each in part] for part in found[0])
    told.seconds = warm(lambda: check(prepared), task.repetitions)
    return told


def main(distribution: str, cases: Mapping[str, Answer]) -> None:
    """Answer the case that was asked for, or print the version."""
    version = metadata.version(distribution)
    if len(sys.argv) == 1:
        print(json.dumps({"version": version}))
        return
    case, folder, repetitions = sys.argv[1:]
    told = cases[case](Task(case, Path(folder), int(repetitions)))
    print(json.dumps(asdict(told) | {"version": version}))
