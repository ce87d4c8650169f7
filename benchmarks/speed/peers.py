"""Who is compared with us, in which cases, and how near their answers must be to ours.

In:    pinned requirements and one program a peer, in `benchmarks/peers`.
Out:   an environment for each below `.peers`, and what a peer told of one case.
Never: installs anything into the project's own environment; drops a peer that cannot be had.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.speed.clock import Ended, child
from benchmarks.speed.harness import agree

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / ".peers"
PROGRAMS = ROOT / "benchmarks" / "peers"
LIMIT = 120
"""CPU seconds of one process of a peer, its imports and the reference included."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One peer in one case.

    Parameters
    ----------
    what
        What it runs.
    statistic
        How far its statistics may be from ours; None where it has another one, or none.
    p_value
        The same of p-values, in parts of ours; ``noise`` of so many permutations in place of it.
    noise
        Permutations, where the difference of p-values is one of chance.
    """

    what: str
    statistic: float | None = None
    p_value: float | None = None
    noise: int | None = None


_SCIPY = Cell("its KS, scipy's in a loop", statistic=1e-12, p_value=0.02)
_SINGLE = Cell("its KS, scipy's in a loop, told in float32", statistic=1e-7, p_value=0.02)

CELLS: Mapping[str, Mapping[str, Cell]] = {
    "ks_reference_100k": {
        "alibi_detect": _SINGLE,
        "frouros": _SCIPY,
        "nannyml": Cell("KS in 10,000 bins, no p-value", statistic=0.002),
        "whylogs": Cell("KS between two sketches", statistic=0.02),
        "evidently": Cell("its drift report by KS", p_value=0.02),
    },
    "ks_reference_1m": {
        "alibi_detect": _SINGLE,
        "frouros": _SCIPY,
        "nannyml": Cell("KS in 10,000 bins, no p-value", statistic=0.002),
        "whylogs": Cell("KS between two sketches", statistic=0.02),
    },
    "ks_1000_columns": {
        "alibi_detect": _SINGLE,
        "frouros": _SCIPY,
        "nannyml": Cell("KS in 10,000 bins, no p-value", statistic=0.002),
    },
    "mmd_1000": {
        "alibi_detect": Cell("MMDDrift, torch, float32", statistic=1e-6, noise=100),
        "frouros": Cell("MMD, float64", noise=100),
        "goodpoints": Cell("Compress Then Test, level 4, yes or no"),
    },
    "mmd_5000": {
        "alibi_detect": Cell("MMDDrift, torch, float32", statistic=1e-6),
        "goodpoints": Cell("Compress Then Test, level 4, yes or no"),
    },
    "mmd_10000": {
        "alibi_detect": Cell("MMDDrift, torch, float32", statistic=1e-6),
        "goodpoints": Cell("Compress Then Test, level 4, yes or no"),
    },
    "classifier_default": {"alibi_detect": Cell("logistic regression, 5 folds")},
    "classifier_trees": {
        "alibi_detect": Cell("histogram boosting, 5 folds"),
        "nannyml": Cell("domain classifier, no p-value"),
    },
    "check_univariate": {
        "alibi_detect": Cell("KS and chi-square"),
        "frouros": Cell("KS and chi-square"),
        "nannyml": Cell("KS and chi-square"),
        "whylogs": Cell("its own choice"),
        "evidently": Cell("KS and chi-square"),
    },
    "cold_compare": {
        "alibi_detect": Cell("the same column tests only"),
        "frouros": Cell("the same column tests only"),
        "nannyml": Cell("the same column tests only"),
        "whylogs": Cell("the same column tests only"),
        "evidently": Cell("the same column tests only"),
    },
}
"""Cells by case; the order is that of the table."""

COLD = "cold_compare"
"""Timed from outside, from the start of the process to its end."""


def names() -> tuple[str, ...]:
    """Every peer that has an environment of its own."""
    return tuple(sorted({peer for cells in CELLS.values() for peer in cells}))


@dataclass(slots=True)
class Told:
    """What came of one process of a peer; ``fault`` says why there is nothing else."""

    seconds: list[float] = field(default_factory=list)
    statistic: list[float] = field(default_factory=list)
    p_value: list[float] = field(default_factory=list)
    facts: dict[str, float] = field(default_factory=dict)
    scaled: str = ""
    version: str = ""
    fault: str = ""
    cost: float = 0.0


@cache
def environment(peer: str) -> str:
    """Make a peer's environment unless it is there as pinned; why not, if it cannot be made."""
    folder, pins = ENVIRONMENTS / peer, PROGRAMS / f"{peer}.txt"
    digest = hashlib.sha256(pins.read_bytes()).hexdigest()
    done = folder / "pins.sha256"
    if done.exists() and done.read_text(encoding="utf-8") == digest:
        return ""
    print(f"installing {peer} into {folder.relative_to(ROOT)}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    install = [*_python(peer), "-m", "pip", "install", "--quiet", "-r", str(pins)]
    for command in ([sys.executable, "-m", "venv", str(folder)], install):
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode:
            return f"cannot be installed: {_last_line(made.stderr)}"
    done.write_text(digest, encoding="utf-8")
    return ""


def _python(peer: str) -> tuple[str]:
    return (str(ENVIRONMENTS / peer / "bin" / "python"),)


def ask(peer: str, case: str, folder: Path, repetitions: int) -> Told:
    """One process of a peer."""
    command = [*_python(peer), "-W", "ignore", "-m", f"benchmarks.peers.{peer}", case]
    command += [str(folder), str(0 if case == COLD else repetitions)]
    ended = child(command, folder=ROOT, environment={"PYTHONPATH": ""}, limit=LIMIT)
    told = _read(ended)
    told.cost = ended.seconds
    if case == COLD and not told.fault:
        told.seconds = [ended.seconds]
        told.facts = {"peak megabytes": ended.megabytes}
    return told


def _read(ended: Ended) -> Told:
    if ended.stopped:
        return Told(fault=f"stopped after {LIMIT} s")
    if ended.status:
        return Told(fault=f"failed: {_last_line(ended.told)}")
    plain = json.loads(ended.printed.strip().splitlines()[-1])
    return Told(**plain)


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip()[:160] if lines else "it said nothing"


def difference(cell: Cell, ours: Mapping[str, Sequence[float]], told: Told) -> str:
    """What is wrong with a peer's answers if they are compared with ours; empty if nothing is."""
    try:
        if cell.statistic is not None:
            agree(ours["statistic"], told.statistic, rtol=0, atol=cell.statistic)
        if cell.p_value is not None:
            agree(ours["p_value"], told.p_value, rtol=cell.p_value, atol=0)
        if cell.noise is not None:
            agree(ours["p_value"], told.p_value, rtol=0, atol=_noise(ours["p_value"], cell.noise))
    except (AssertionError, ValueError) as fault:
        lines: list[Any] = [line for line in str(fault).splitlines() if "difference" in line]
        return f"answers differ: {lines[0].strip() if lines else fault}"
    return ""


def _noise(p_values: Sequence[float], permutations: int) -> float:
    """Four standard errors of the difference of two p-values by so many permutations, and a step."""
    p_value = max(p_values)
    return 4 * math.sqrt(2 * p_value * (1 - p_value) / permutations) + 2 / permutations
