"""What watching costs, by the million rows, by the day, and beside the model it watches.

In:    the cost of a check, the rows of its batch.
Out:   seconds, joules and ratios; what the words for stages and sources of energy mean.
Never: measures anything; makes a number where a part of it is not known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shiftwatch.values import Cost, Run

STAGES: Mapping[str, str] = {
    "start": "what the worker does before a check: imports, looking at files, opening the model and "
    "the prepared reference",
    "prepare": "preparing the reference, which is done once for each",
    "read": "reading the rows of the batch",
    "predict": "running the model on them",
    "season": "choosing the reference rows of the batch's season, and the first time preparing them",
    "test": "the two-sample tests; by test they are told one by one",
    "profile": "what the report shows of each column",
    "performance": "estimating how well the model answers, where the reference has labels",
    "summary": "counting the batch for the memory over past batches",
    "decide": "the memory and the decision",
    "given_up": "attempts at a check that `limits.seconds` ended",
}
"""Stages of a check in their order; each counts its own CPU time alone."""

ENERGY_SOURCES: Mapping[str, str] = {
    "rapl": "measured: the share of our CPU seconds in those of the whole machine, of what its "
    "processor packages drew by their own counters (RAPL), which see no memory, disks or fans",
    "estimate": "estimated: CPU seconds times 3.84 W, the mean over three cloud providers of the "
    "watts a fully busy server draws for each hardware thread (Cloud Carbon Footprint, "
    "Methodology, from SPECpower_ssj2008), cooling not counted; good for the order of magnitude",
}
"""Where a number of joules comes from, and what it assumes; ``energy`` has the reasons."""


@dataclass(frozen=True, slots=True)
class DayCost:
    """What the checks of a model took in the 24 hours up to one of them, that one included."""

    checks: int
    rows: int
    cpu_seconds: float
    energy_joules: float
    """Of the checks whose energy is known."""


MILLION = 1_000_000


def recurring_seconds(cost: Cost) -> float:
    """CPU seconds without preparing the reference: what the next check will take again.

    Examples
    --------
    >>> recurring_seconds(Cost(6.0, 6.0, 0, stages={"prepare": 5.5, "test": 0.5}))
    0.5
    """
    return cost.cpu_seconds - cost.stages.get("prepare", 0.0)


def watching_seconds(cost: Cost) -> float:
    """Recurring CPU seconds of everything but running the model.

    Examples
    --------
    >>> watching_seconds(Cost(1.0, 1.0, 0, stages={"predict": 0.25, "test": 0.7}))
    0.75
    """
    return recurring_seconds(cost) - cost.stages.get("predict", 0.0)


def recurring_joules(cost: Cost) -> float | None:
    """Joules of :func:`recurring_seconds`, by their share in the CPU time; None if not known."""
    if cost.energy_joules is None or not cost.cpu_seconds > 0:
        return None
    return cost.energy_joules * (recurring_seconds(cost) / cost.cpu_seconds)


def model_seconds(run: Run) -> float | None:
    """CPU seconds the model itself needs for all rows of the batch, by what it took for some.

    The check runs the model on the rows it tests, in one call; how long that took is scaled to the
    rows of the batch. A service that runs it row by row needs more, so the true share of watching
    is smaller. None where no model was run.
    """
    took = run.cost.stages.get("predict", 0.0)
    if not (took > 0 and run.cost.rows > 0):
        return None
    return took * run.batch.rows / run.cost.rows


def watching_ratio(run: Run) -> float | None:
    """What watching costs over what the model's own work on these rows costs; None without one.

    Examples
    --------
    >>> from shiftwatch.values import Batch, Piece
    >>> cost = Cost(1.5, 1.5, 0, stages={"predict": 0.5}, rows=1000)
    >>> batch = Batch("7d", (Piece("a.parquet", 1, "", 0, 8000),), 8000)
    >>> watching_ratio(Run("churn", batch, "no_shift", 0.0, cost=cost))
    0.25
    """
    own = model_seconds(run)
    return watching_seconds(run.cost) / own if own else None


def per_million(amount: float | None, rows: int) -> float | None:
    """An amount for a million rows, from that for so many; None where either is not known.

    Examples
    --------
    >>> per_million(0.5, 10_000), per_million(0.5, 0)
    (50.0, None)
    """
    if amount is None or rows <= 0:
        return None
    return amount * (MILLION / rows)


def told(run: Run) -> dict[str, Any]:
    """The recurring cost in relation, for the JSON document: null where it is not known."""
    cost, rows = run.cost, run.batch.rows
    known = {
        "cpu_seconds_per_million_rows": per_million(recurring_seconds(cost), rows),
        "energy_joules_per_million_rows": per_million(recurring_joules(cost), rows),
        "model_cpu_seconds": model_seconds(run),
        "watching_cpu_seconds": watching_seconds(cost),
        "watching_ratio": watching_ratio(run),
    }
    return {
        name: value if value is not None and math.isfinite(value) else None
        for name, value in known.items()
    }
