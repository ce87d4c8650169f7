"""Windows that are full: what they say of every scope.

In:    the memory, the batch's summary, the level this check sets aside for them.
Out:   the windows after it; evidence by scope, of each window as of when it was last full.
Never: asks a window before it is full.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from shiftwatch.memory import windows
from shiftwatch.memory.state import TRIFLE_ERROR, Basis, Memory, Spending
from shiftwatch.memory.windows import LENGTHS, Window
from shiftwatch.summary import Summary
from shiftwatch.values import TESTED_SCOPES, Scope, SlowEvidence


def look_back(
    basis: Basis, memory: Memory, batch: Summary, spending: Spending
) -> tuple[Memory, dict[Scope, SlowEvidence]]:
    """Let every window take the batch in, and judge those that are full."""
    level = spending.windows / len(LENGTHS)
    current: list[Window] = []
    held = {length: dict(scopes) for length, scopes in memory.held.items()}
    full: set[int] = set()
    for length, window in zip(LENGTHS, memory.windows, strict=True):
        grown = windows.added(window, batch, memory.number - 1, level)
        if grown.held == length:
            full.add(length)
            held[length] = _judged(basis, memory, grown)
            grown = windows.emptied(grown)
        current.append(grown)
    evidence: dict[Scope, SlowEvidence] = {}
    for length, scopes in held.items():
        for scope, found in scopes.items():
            fresh = found if length in full else replace(found, crossed=False)
            known = evidence.get(scope)
            if known is None or (fresh.crossed, fresh.ratio) > (known.crossed, known.ratio):
                evidence[scope] = fresh
    return replace(memory, windows=tuple(current), held=held), evidence


def _judged(basis: Basis, memory: Memory, window: Window) -> dict[Scope, SlowEvidence]:
    """What a full window says, by scope."""
    plan = basis.plan
    columns = plan.layout.columns
    p = windows.p_values(window.counts, basis.reference, (basis.kappas, basis.null_kappas))
    watched = np.concatenate([np.arange(len(columns)), len(columns) + plan.nulls])
    level = window.spent / max(1, watched.size)
    matters = np.ones(p.size, dtype=np.bool_)
    if (p <= level).any():
        matters = _window_matters(basis, window.counts, level)
    found: dict[Scope, SlowEvidence] = {}
    for scope in TESTED_SCOPES:
        own = [u for u in watched.tolist() if basis.scopes[u % len(columns)] == scope]
        if not own:
            continue
        ordered = sorted((u for u in own if matters[u]), key=lambda u: float(p[u]))
        crossed = [u for u in ordered if p[u] <= level]
        smallest = float(p[ordered[0]]) * watched.size if ordered else 1.0
        found[scope] = SlowEvidence(
            ratio=max(0.0, math.log(min(1.0, smallest)) / math.log(min(0.5, window.spent))),
            crossed=bool(crossed),
            columns=tuple(dict.fromkeys(columns[u % len(columns)] for u in crossed)),
            change_from=memory.ids.get(window.first),
        )
    return found


def _window_matters(basis: Basis, counts: Summary, level: float) -> NDArray[np.bool_]:
    """As for the charts, for all columns and then for all rates of nulls."""
    reference = basis.reference
    effects = np.concatenate(
        [
            windows.distances(counts.numeric, reference.numeric)[0],
            windows.variation(counts.cells, reference.cells),
            windows.variation(counts.nulls, reference.nulls),
        ]
    )
    kappas = np.concatenate([basis.kappas, basis.null_kappas])
    smallest = np.concatenate([basis.tolerances, basis.null_tolerances])
    n, m = (
        np.concatenate([c.numeric.sum(axis=1), c.cells.sum(axis=1), c.nulls.sum(axis=1)])
        for c in (counts, reference)
    )
    slack = (1 / np.sqrt(np.maximum(n, 1)) + 1 / np.sqrt(np.maximum(m, 1))) * np.sqrt(kappas)
    if not basis.prove:
        return np.asarray(effects + math.sqrt(math.log(4 / TRIFLE_ERROR) / 2) * slack > smallest)
    return np.asarray(effects - math.sqrt(math.log(4 / max(level, 1e-300)) / 2) * slack > smallest)
