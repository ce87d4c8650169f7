"""Replay a stored history under other threads, processors and versions: what stays the same.

``python -m benchmarks.calibration.replay`` stores 200 checks of the demo's stream, which drifts
from the 101st on, through the real monitor, worker and history, and computes all of them again:

* as they were, with one BLAS thread;
* with two;
* as on an older processor: numpy without its vector instructions, OpenBLAS with the kernels of a
  processor of 2008;
* with another numpy, and with another scipy and onnxruntime too, in throw-away environments.

A verdict is equal if nothing that is compared differs (see ``shiftwatch.replay.difference``).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module, metadata
from pathlib import Path

from benchmarks.calibration.harness import Case, Figures, Summaries
from shiftwatch import check, config, replay
from shiftwatch.demo import MODEL_PATH
from shiftwatch.demo.generator import write_batch, write_reference
from shiftwatch.demo.stream import shift_of
from shiftwatch.monitor import Monitor
from shiftwatch.store import Store

ROOT = Path(__file__).resolve().parents[2]

CHECKS = 200
QUICK_CHECKS = 20

OTHERS: tuple[Mapping[str, str], ...] = (
    {"numpy": "2.2.6"},
    {"numpy": "2.2.6", "scipy": "1.15.3", "onnxruntime": "1.22.1"},
)
"""Older versions than the locked ones."""

_MODULE = "benchmarks.calibration.replay"

_CONFIG = """\
models:
  - name: churn
    model: model.onnx
    reference: reference.parquet
    batches: batches/
    columns: {time: event_time, label: churned}
"""
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
OLD_PROCESSOR = "an older processor"
_OLD_PROCESSOR = {"OPENBLAS_CORETYPE": "Nehalem"}
# What `check` and `replay` import, by the name of the package.
_PACKAGES = ("numpy", "scipy", "pyarrow", "onnxruntime", "pydantic", "pyyaml")


@dataclass(frozen=True)
class Replay:
    """What became of the checks under other circumstances. ``fault`` if it could not be tried."""

    name: str
    checks: int = 0
    verdicts_equal: int = 0
    with_memory: int = 0
    exact: int = 0
    exact_equal: int = 0
    close: int = 0
    close_equal: int = 0
    largest: float = 0.0
    in_band: int = 0
    differences: tuple[str, ...] = ()
    fault: str = ""

    def line(self) -> str:
        """For people."""
        if self.fault:
            return f"{self.name}: not tried: {self.fault}"
        return (
            f"{self.name}: verdicts equal {self.verdicts_equal}/{self.checks} (with alarms and "
            f"memory {self.with_memory}); ranks and counts equal in every bit "
            f"{self.exact_equal}/{self.exact}; floating point within {replay.RELATIVE:g} "
            f"{self.close_equal}/{self.close}, largest relative difference {self.largest:.2g}, "
            f"p-values in a band of ties {self.in_band}"
        )


def store_checks(folder: Path, checks: int) -> None:
    """A history of the demo's stream, judged as `shiftwatch once` does."""
    (folder / "batches").mkdir(parents=True)
    shutil.copyfile(MODEL_PATH, folder / "model.onnx")
    (folder / "shiftwatch.yml").write_text(_CONFIG, encoding="utf-8")
    write_reference(folder / "reference.parquet")
    for index in range(checks):
        path = folder / "batches" / f"{index:05}.parquet"
        write_batch(path, index, shift=shift_of(index, checks))
    settings = config.load(folder / "shiftwatch.yml", {})
    prints = {model.name: config.fingerprint(settings, model) for model in settings.models}
    with Store.open(settings.store.path, clock=time.time) as store:
        judged = len(list(Monitor(settings, store, time.time, prints).step()))
    if judged != checks:
        message = f"{judged} of {checks} batches were judged"
        raise RuntimeError(message)


def replay_here(name: str, database: str, cache: str) -> Replay:
    """Compute a history again in this very process, with its threads and libraries."""
    with Store.read(database) as store:
        done = list(replay.replay(store, "churn", cache, check.answer))
    total = replay.Agreement()
    for one in done:
        total += one.agreement
    differences = [
        f"{one.batch}: {d.where}: {d.stored} then, {d.recomputed} now"
        for one in done
        for d in one.differences
    ]
    differences += [f"{one.batch}: {one.problem}" for one in done if one.problem]
    return Replay(
        name,
        checks=len(done),
        verdicts_equal=sum(one.computed and one.same for one in done),
        with_memory=sum(one.memory for one in done),
        differences=tuple(differences),
        **asdict(total),
    )


def replay_with(
    name: str, folder: Path, environment: Mapping[str, str], python: str = sys.executable
) -> Replay:
    """The same in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="shiftwatch-replay-") as cache:
        ended = subprocess.run(
            [python, "-m", _MODULE, "--here", name, str(folder / "shiftwatch.db"), cache],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["no word"])[-1]
        return Replay(name, fault=last)
    return Replay(**json.loads(ended.stdout))


def with_others(folder: Path, others: Mapping[str, str]) -> Replay:
    """The same with other versions of some packages; all others as here."""
    name = ", ".join(f"{k} {v} instead of {metadata.version(k)}" for k, v in others.items())
    with tempfile.TemporaryDirectory(prefix="shiftwatch-venv-") as place:
        versions = {package: metadata.version(package) for package in _PACKAGES} | dict(others)
        pins = [f"{package}=={version}" for package, version in versions.items()]
        python = str(Path(place) / "bin" / "python")
        for command in (
            [sys.executable, "-m", "venv", place],
            [python, "-m", "pip", "install", "--quiet", *pins],
        ):
            ended = subprocess.run(command, capture_output=True, text=True, check=False)
            if ended.returncode:
                told = (ended.stderr.strip() or ended.stdout.strip()).splitlines()
                return Replay(name, fault=f"cannot be installed: {told[-1] if told else 'no word'}")
        return replay_with(name, folder, dict.fromkeys(_THREADS, "1"), python)


def old_processor() -> dict[str, str]:
    """Environment in which numpy and OpenBLAS compute as on a processor without vectors."""
    umath = import_module("numpy._core._multiarray_umath")  # where numpy keeps what it dispatches
    present = [name for name in umath.__cpu_dispatch__ if umath.__cpu_features__.get(name)]
    return {**_OLD_PROCESSOR, "NPY_DISABLE_CPU_FEATURES": " ".join(present)}


def main(*, quick: bool = False, say: Callable[[str], object] = print) -> list[Replay]:
    """Store, replay in every way, and tell; the quick form has fewer checks and installs nothing.

    Returns
    -------
    list of Replay
        One a way, in the order of the docstring of this module.
    """
    one, two = (dict.fromkeys(_THREADS, count) for count in ("1", "2"))
    with tempfile.TemporaryDirectory(prefix="shiftwatch-history-") as name:
        folder = Path(name) / "house"
        store_checks(folder, QUICK_CHECKS if quick else CHECKS)
        ways: list[Callable[[], Replay]] = [
            lambda: replay_with("one BLAS thread", folder, one),
            lambda: replay_with("two BLAS threads", folder, two),
            lambda: replay_with(OLD_PROCESSOR, folder, one | old_processor()),
        ]
        if not quick:
            ways += [partial(with_others, folder, others) for others in OTHERS]
        done = []
        for way in ways:
            done.append(way())
            say(done[-1].line())
            for text in done[-1].differences[:10]:
                say(f"  {text}")
    return done


def shares(number: int) -> Figures:
    """What of 200 checks comes out the same, by way; a way that cannot be tried counts as nothing."""
    del number  # the demo's stream has a seed of its own
    figures: dict[str, float] = {}
    for way in main(say=lambda _: None):
        figures[f"verdicts, {way.name}"] = way.verdicts_equal / max(1, way.checks)
        figures[f"rank and count statistics, {way.name}"] = way.exact_equal / max(1, way.exact)
    return figures


def kept(figures: Summaries) -> bool:
    """Whether all do, but for verdicts on an older processor, of which floating point differs more."""
    return all(
        figure.mean == 1 for name, figure in figures.items() if name != f"verdicts, {OLD_PROCESSOR}"
    )


CASES: tuple[Case, ...] = (
    Case(
        "replay of 200 stored checks under other threads, processors and versions (share equal)",
        "-",
        "all verdicts with 1 and 2 threads and other versions; ranks and counts in every bit",
        shares,
        kept,
        1,
        0,
    ),
)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--here"]:
        sys.stdout.write(json.dumps(asdict(replay_here(*sys.argv[2:]))))
    else:
        main(quick="--quick" in sys.argv)
