"""The memories of one model: one, or with a season one for each phase.

In:    the text stored after the batch before; the prepared reference; settings as plain values.
Out:   the memory a batch belongs to; the text after it.
Never: mixes phases: what is normal at night says nothing of the day.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from shiftwatch import summary
from shiftwatch.memory.codec import decode, encode
from shiftwatch.memory.plan import ChartPlan
from shiftwatch.memory.state import Basis, Memory
from shiftwatch.reference import Reference, scope_of

MOST_STRATA = 48
"""Phases remembered: the hours of a day twice over. A week cut finer than that forgets."""

WHOLE = "all"
"""The stratum of a model without a season."""


def basis_of(
    reference: Reference,
    smallest: Callable[[str, str], float],
    *,
    prove: bool = False,
    kappa: Callable[[str, str], float] | None = None,
) -> Basis:
    """What the memory of a model rests on.

    Parameters
    ----------
    reference
        Prepared.
    smallest
        Smallest effect that matters, by test and column.
    prove
        Whether an effect must be shown to exceed it.
    kappa
        Inflation of variances by dependence, by test and column; none if absent.
    """
    layout, own = summary.restore(reference.summary())
    roles = {column.name: scope_of(column) for column in reference.schema}
    inflation = kappa or (lambda _test, _name: 1.0)
    tests = ["ks"] * len(layout.numeric) + ["chi2"] * len(layout.categorical)
    named = list(zip(tests, layout.columns, strict=True))
    return Basis(
        plan=ChartPlan.of(layout, own),
        reference=own,
        scopes=tuple(roles[name] for name in layout.columns),
        tolerances=_array([smallest(test, name) for test, name in named]),
        null_tolerances=_array([smallest("nulls", name) for name in layout.columns]),
        kappas=_array([inflation(test, name) for test, name in named]),
        null_kappas=_array([inflation("nulls", name) for name in layout.columns]),
        prove=prove,
    )


def _array(values: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray(values, dtype=np.float64)


def recall(
    text: str | None, stratum: str, basis: Basis, method: Literal["cusum", "e-process"]
) -> Memory:
    """The memory of a stratum, new if there is none that fits."""
    stored = dict(json.loads(text)).get(stratum) if text is not None else None
    memory = decode(stored, basis, method) if stored is not None else None
    return memory if memory is not None else Memory.new(basis, method)


def kept(text: str | None, stratum: str, basis: Basis, memory: Memory) -> str:
    """The text of all strata with one of them replaced, the one used last at the end.

    Beyond :data:`MOST_STRATA` the one that was not used for longest is forgotten.
    """
    strata = dict(json.loads(text)) if text is not None else {}
    strata.pop(stratum, None)
    others = list(strata.items())[-(MOST_STRATA - 1) :]
    return json.dumps([*others, (stratum, encode(memory, basis))])
