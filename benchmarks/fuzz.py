"""Inputs nobody would write, for a bounded time: ``benchmarks/fuzz.py SECONDS``.

Arrow tables of any type against any reference, Parquet files and ONNX models with damaged bytes,
and small files that claim or unpack to gigabytes: all of them go to a real worker with its limits,
and each must end in a verdict or a named refusal. A worker that dies is one (the daemon goes on); a
traceback of ours, a failed test or an outcome without a name is a defect. Prints JSON: inputs tried
by kind and outcome, and the defects with a file to repeat each. Status 1 if there is any.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings

from benchmarks.fuzzing import bombs, samples, tables
from benchmarks.fuzzing.judge import Judge, tidy
from benchmarks.fuzzing.mutations import damaged
from shiftwatch.requests import Context
from shiftwatch.settings import ByTime

_AT_ONCE = 40
"""Tables between two looks at the clock."""


@dataclass
class Told:
    """What became of the inputs of one kind."""

    outcomes: Counter[str] = field(default_factory=Counter)
    defects: list[str] = field(default_factory=list)

    def note(self, tried: Callable[[], str], *files: Path, keep: Path) -> None:
        """Try one input; keep its files if it shows a defect."""
        try:
            self.outcomes[tried()] += 1
        except Exception as fault:  # noqa: BLE001 - a defect of any kind is to be told
            self.outcomes["defect"] += 1
            keep.mkdir(parents=True, exist_ok=True)
            kept = [shutil.copy(file, keep) for file in files]
            self.defects.append(f"{type(fault).__name__}: {fault} [{', '.join(map(str, kept))}]")
        for file in files:
            tidy(file)


Kind = Callable[[Judge, "Bounds", Told], None]


@dataclass(frozen=True)
class Bounds:
    """How long, from which seed, and where what shows a defect is kept."""

    until: float
    seed: int
    keep: Path

    def places(self) -> Iterator[int]:
        """Numbers of the inputs until the time is over; at least one."""
        place = 0
        while place == 0 or time.monotonic() < self.until:
            yield place
            place += 1

    def generator(self, place: int) -> np.random.Generator:
        """That of one input, so that it can be tried again by itself."""
        return np.random.default_rng([self.seed, place])


def any_table(judge: Judge, bounds: Bounds, told: Told) -> None:
    """Any Arrow table against any reference, by way of Parquet."""
    _drawn(judge, bounds, told, "any", judge.context)


def timed_table(judge: Judge, bounds: Bounds, told: Told) -> None:
    """The same with an event time of any type, cut into windows of a day."""
    watched = partial(judge.context, time_column=tables.CLOCK, by=ByTime("1d"))
    _drawn(judge, bounds, told, "timed", watched)


def fed_table(judge: Judge, bounds: Bounds, told: Told) -> None:
    """Tables for a model that wants two numbers: they may be of any width, null, infinite, gone."""
    model = judge.write(samples.onnx_file(), ".onnx")
    _drawn(judge, bounds, told, "fed", partial(judge.context, model=model))


def _drawn(
    judge: Judge, bounds: Bounds, told: Told, kind: str, watched: Callable[[Path], Context]
) -> None:
    def one(pair: tuple[bytes, bytes]) -> None:
        if time.monotonic() < bounds.until or not told.outcomes:
            first, second = (judge.write(data) for data in pair)
            context = watched(first)
            told.note(partial(judge.outcome, context, second), first, second, keep=bounds.keep)

    quiet = settings(
        max_examples=_AT_ONCE,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    for place in bounds.places():
        chance = bounds.seed * 1_000_003 + place
        seed(chance)(quiet(given(tables.files(kind))(one)))()


def parquet_bytes(judge: Judge, bounds: Bounds, told: Told) -> None:
    """Parquet files of several writers' habits, with damage, against a sound reference."""
    reference = judge.write(samples.table())
    context = judge.context(reference)
    files = samples.parquet_files()
    for place in bounds.places():
        rng = bounds.generator(place)
        data = files[int(rng.integers(len(files)))]
        path = judge.write(samples.damaged_parquet(data, rng))
        told.note(partial(judge.outcome, context, path), path, keep=bounds.keep)


def onnx_bytes(judge: Judge, bounds: Bounds, told: Told) -> None:
    """ONNX models with damage; a batch is judged where the model is still accepted."""
    reference, batch = judge.write(samples.table()), judge.write(samples.table(rows=60))
    data = samples.onnx_file()
    for place in bounds.places():
        path = judge.write(damaged(data, bounds.generator(place)), ".onnx")
        context = judge.context(reference, path)
        told.note(partial(judge.outcome, context, batch), path, keep=bounds.keep)


def bomb_files(judge: Judge, bounds: Bounds, told: Told) -> None:
    """Small files that unpack to gigabytes, claim endless rows or nest without end; each once."""
    reference = judge.write(bombs.reference())
    context = judge.context(reference)
    for made in bombs.ALL.values():
        path = judge.write(made())
        told.note(partial(judge.outcome, context, path), path, keep=bounds.keep)
    path = judge.write(bombs.long_text_in_every_list())
    context = judge.context(judge.write(bombs.nested_reference()))
    told.note(partial(judge.outcome, context, path), path, keep=bounds.keep)


KINDS: Mapping[str, Kind] = {
    "any table": any_table,
    "timed table": timed_table,
    "table for a model": fed_table,
    "Parquet bytes": parquet_bytes,
    "ONNX bytes": onnx_bytes,
    "bombs": bomb_files,
}


def fuzz(seconds: float, chance: int, keep: Path, kinds: Mapping[str, Kind] = KINDS) -> Any:
    """Try each kind for its share of the time; JSON of what became of the inputs."""
    begun = time.monotonic()
    report: dict[str, Any] = {"seconds": seconds, "seed": chance, "kinds": {}, "defects": []}
    for place, (name, kind) in enumerate(kinds.items(), start=1):
        until = begun + seconds * place / len(kinds)
        told = Told()
        with tempfile.TemporaryDirectory(prefix="shiftwatch-fuzz-") as folder:
            judge = Judge(Path(folder))
            try:
                kind(judge, Bounds(until, chance, keep), told)
            finally:
                judge.close()
        outcomes = dict(sorted(told.outcomes.items()))
        report["kinds"][name] = {"tried": sum(outcomes.values()), "outcomes": outcomes}
        report["defects"] += told.defects
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("seconds", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=KINDS, action="append", help="one kind; may be repeated")
    parser.add_argument(
        "--keep", type=Path, default=Path(tempfile.gettempdir()) / "shiftwatch-fuzz"
    )
    options = parser.parse_args()
    kinds = {name: KINDS[name] for name in options.only or KINDS}
    report = fuzz(options.seconds, options.seed, options.keep, kinds)
    print(json.dumps(report, indent=2, ensure_ascii=False))
    return 1 if report["defects"] else 0


if __name__ == "__main__":
    sys.exit(main())
