"""Across checks: false alarms with all layers together, and the delay at that budget.

The outermost simulation draws what the layers see, not rows: counts of a batch between edges that
one fixed reference of 5000 rows has set, 30 independent columns, batches of 500 rows. Given the
edges these counts are multinomial, so nothing is approximated but the check's own test, which is
looked at between the bins and counted at its full level. `agreement` draws rows instead, runs the
real test on them, and must see the same evidence of the other layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import kolmogorov, ndtr, ndtri

from benchmarks.calibration.harness import Case, Figures, Summaries, soon_enough
from shiftwatch.decide import Level, Policy
from shiftwatch.decide.policy import CHECK_SHARE
from shiftwatch.memory import windows
from shiftwatch.memory.fold import Alarms, Basis, Memory, Spending, observe, settle
from shiftwatch.sample import Sample, numeric
from shiftwatch.summary import MOST_BINS, MOST_CELLS, Layout, Summary
from shiftwatch.twosample.ks import Ks
from shiftwatch.twosample.protocol import Outcome

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Rng = np.random.Generator

COLUMNS, REFERENCE_ROWS, BATCH_ROWS, PER_CHECKS = 30, 5000, 500, 1000
TOLERANCE = 0.02
MOVED = 3

_NO_CELLS = np.zeros((0, MOST_CELLS), dtype=np.int64)


@dataclass(frozen=True)
class Model:
    """One fixed reference: where it cuts, and what it counts there."""

    rows: Floats
    """Shape (columns, rows), sorted, uniform on (0, 1)."""
    edges: Floats
    basis: Basis

    @classmethod
    def drawn(cls, rng: Rng) -> Model:
        """A reference of independent uniform columns; ranks know no other law."""
        rows = np.sort(rng.random((COLUMNS, REFERENCE_ROWS)), axis=1)
        edges = rows[:, (np.arange(1, MOST_BINS) * REFERENCE_ROWS) // MOST_BINS]
        names = tuple(f"x{index}" for index in range(COLUMNS))
        layout = Layout(names, (), edges, ())
        counts = np.diff((np.arange(0, MOST_BINS + 1) * REFERENCE_ROWS) // MOST_BINS)
        own = _summary(np.tile(counts, (COLUMNS, 1)))
        basis = Basis.plain(layout, own, ["input"] * COLUMNS)
        return cls(rows, edges, replace(basis, tolerances=np.full(COLUMNS, TOLERANCE)))

    def chances(self, shift: float) -> Floats:
        """Chance of each bin where the first columns are normals moved by ``shift`` deviations."""
        moved = self.edges.copy()
        moved[:MOVED] = ndtr(ndtri(self.edges[:MOVED]) - shift)
        ends = np.zeros((COLUMNS, 1)), np.ones((COLUMNS, 1))
        return np.diff(np.concatenate([ends[0], moved, ends[1]], axis=1), axis=1)


def _summary(numeric_counts: Counts) -> Summary:
    rows = numeric_counts.sum(axis=1)
    return Summary(numeric_counts, _NO_CELLS, np.stack([np.zeros_like(rows), rows], axis=1))


@dataclass
class Watch:
    """All layers of one model over checks; an alarm is noted and left at once."""

    model: Model
    level: Level
    method: str
    memory: Memory
    rng: Rng

    @classmethod
    def of(cls, model: Model, rng: Rng, method: str = "cusum") -> Watch:
        """Nothing seen yet."""
        memory = "cusum" if method == "cusum" else "e-process"
        level = Policy(per_checks=PER_CHECKS, memory=memory).level()  # type: ignore[arg-type]
        return cls(model, level, method, Memory.new(model.basis, memory), rng)  # type: ignore[arg-type]

    def check(self, counts: Counts, p_check: Floats) -> Mapping[str, float]:
        """Evidence over its threshold by layer; 1 or more is an alarm."""
        spending = Spending(self.level.window, self.level.pool, self.method)  # type: ignore[arg-type]
        seen = observe(self.model.basis, self.memory, (_summary(counts), ""), spending, self.rng)
        ratios = {"check": _check_ratio(counts, self.model, p_check, self.level.check)}
        crossed = ratios["check"] >= 1
        for name, layer in seen.evidence["input"].items():
            fresh = name == "pool" or layer.crossed
            ratios[name] = layer.ratio if fresh else 0.0
            crossed = crossed or layer.crossed
        cleared = ("input",) if crossed else ()
        alarms = Alarms(on=False, raised=crossed, cleared=cleared)  # type: ignore[arg-type]
        self.memory = settle(self.model.basis, seen, alarms)
        return ratios


def _check_ratio(counts: Counts, model: Model, p: Floats, level: float) -> float:
    distance = windows.distances(counts, model.basis.reference.numeric)[0]
    slack = math.sqrt(math.log(80) / 2) * (
        1 / math.sqrt(REFERENCE_ROWS) + 1 / math.sqrt(BATCH_ROWS)
    )
    corrected = np.where(distance + slack > TOLERANCE, np.minimum(1.0, p * COLUMNS), 1.0)
    return float(np.log(np.maximum(corrected.min(), 1e-300)) / math.log(level))


def _binned_p(counts: Counts, model: Model) -> Floats:
    return np.asarray(kolmogorov(windows.distances(counts, model.basis.reference.numeric)[1]))


def null_checks(checks: int, number: int) -> Figures:
    """Alarms per 1000 checks of one fixed reference, by layer."""
    rng = np.random.default_rng([31, number])
    model = Model.drawn(rng)
    watch, chances = Watch.of(model, rng), model.chances(0.0)
    alarms = {"check": 0, "window": 0, "pool": 0}
    for _ in range(checks):
        counts = rng.multinomial(BATCH_ROWS, chances)
        for name, ratio in watch.check(counts, _binned_p(counts, model)).items():
            alarms[name] += ratio >= 1
    return {name: 1000 * count / checks for name, count in alarms.items()} | {
        "all": 1000 * sum(alarms.values()) / checks
    }


def agreement(checks: int, number: int) -> Figures:
    """The same checks from rows with the real test, and from counts: how often evidence is high."""
    rng = np.random.default_rng([32, number])
    model = Model.drawn(rng)
    prepared = [Ks().prepare(numeric("x", column), rng) for column in model.rows]
    real, simulated, chances = Watch.of(model, rng), Watch.of(model, rng), model.chances(0.0)
    found = {f"{kind} {layer}": 0.0 for kind in ("real", "simulated") for layer in _LAYERS}
    for _ in range(checks):
        rows = rng.random((COLUMNS, BATCH_ROWS))
        sample = Sample(
            BATCH_ROWS, tuple(numeric(f"x{j}", values) for j, values in enumerate(rows))
        )
        outcomes = [
            Ks().run(kept, column, rng)
            for kept, column in zip(prepared, sample.columns, strict=True)
        ]
        p = np.array([each.p_value if isinstance(each, Outcome) else 1.0 for each in outcomes])
        own = model.basis.plan.layout.summarise(sample).numeric
        drawn = rng.multinomial(BATCH_ROWS, chances)
        for kind, ratios in (
            ("real", real.check(own, p)),
            ("simulated", simulated.check(drawn, _binned_p(drawn, model))),
        ):
            for layer, high in _LAYERS.items():
                found[f"{kind} {layer}"] += ratios.get(layer, 0.0) >= high
    return {name: count / checks for name, count in found.items()}


_LAYERS = {"check": 0.3, "window": 0.6, "pool": 0.6}
"""Evidence that is high enough to be rare and low enough to be counted in 10 000 checks."""


def delay(shift: float, clean: int, method: str, number: int) -> Figures:
    """Checks from the change to the alarm, after ``clean`` batches without one."""
    rng = np.random.default_rng([33, number])
    model = Model.drawn(rng)
    watch, moved = Watch.of(model, rng, method), model.chances(shift)
    still = model.chances(0.0)
    for _ in range(clean):
        counts = rng.multinomial(BATCH_ROWS, still)
        watch.check(counts, _binned_p(counts, model))
    for check in range(1, _LONGEST + 1):
        counts = rng.multinomial(BATCH_ROWS, moved)
        ratios = watch.check(counts, _binned_p(counts, model))
        if max(ratios.values()) >= 1:
            layer = max(ratios, key=lambda name: ratios[name])
            return {"delay": check} | {f"by {name}": float(name == layer) for name in ratios}
    return {"delay": _LONGEST}


_LONGEST = 300


def _within_budget(figures: Summaries) -> bool:
    """With the check at its full level: between bins its test is a little less sharp."""
    error = 0.0 if figures["all"].runs >= 100 else 3 * figures["all"].standard_error
    slow = figures["window"].mean + figures["pool"].mean
    return slow + 1000 * CHECK_SHARE / PER_CHECKS <= 1.05 + error


def _agree(figures: Summaries) -> bool:
    """Slow layers equal within 4 standard errors, the real check at its level within 3."""
    equal = all(
        abs(figures[f"real {layer}"].mean - figures[f"simulated {layer}"].mean)
        <= 4
        * math.hypot(
            figures[f"real {layer}"].standard_error, figures[f"simulated {layer}"].standard_error
        )
        for layer in ("window", "pool")
    )
    check = figures["real check"]
    nominal = (CHECK_SHARE / PER_CHECKS) ** _LAYERS["check"]
    return equal and check.mean <= nominal + 3 * check.standard_error


def _soon(most: float, figures: Summaries) -> bool:
    return soon_enough(figures["delay"], most)


def _delay(
    name: str, rivals: str, target: tuple[str, float], change: tuple[float, int, str]
) -> Case:
    return Case(
        name,
        rivals,
        target[0],
        partial(delay, *change),
        partial(_soon, target[1]),
        200,
        12,
        ("delay",),
    )


_RIVALS = "785 uncorrected, 48 Bonferroni per check, 38 naive CUSUM"
_simulated: Callable[[int], Figures] = partial(null_checks, 1000)

CASES: tuple[Case, ...] = (
    Case(
        "false alarms per 1000 checks, K=1000, 30 columns, one fixed reference, all layers",
        _RIVALS,
        "<= 1.05",
        _simulated,
        _within_budget,
        1000,
        4,
    ),
    Case(
        "the same from rows with the real test (share of checks with high evidence)",
        "",
        "windows and pool equal within 4 standard errors; the check at its level (.071)",
        partial(agreement, 250),
        _agree,
        40,
        2,
    ),
    _delay(
        "delay, 0.1 sd in 3 of 30 after 200 checks", "21", ("median <= 6", 6), (0.1, 200, "cusum")
    ),
    _delay(
        "delay, 0.05 sd in 3 of 30 after 200 checks",
        "not found",
        ("median <= 12", 12),
        (0.05, 200, "cusum"),
    ),
    _delay("delay, 0.1 sd from the first batch", "21.5", ("median <= 8", 8), (0.1, 0, "cusum")),
    _delay("delay, 0.2 sd from the first batch", "1", ("median <= 3", 3), (0.2, 0, "cusum")),
    Case(
        "delay with memory: e-process, 0.1 sd after 50 checks",
        "8 (e-detector averaged over independent columns)",
        "stated",
        partial(delay, 0.1, 50, "e-process"),
        partial(_soon, _LONGEST - 1),
        20,
        0,
    ),
)
