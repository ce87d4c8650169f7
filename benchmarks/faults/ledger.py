"""Held against an undisturbed run: what was lost, judged twice, or judged differently.

In:    an arena that was tortured and one that was not.
Out:   counts.
Never: compares what two runs of the same bytes may differ in: times and cost.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.faults.stream import MODEL, Arena
from shiftwatch.store import Store
from shiftwatch.values import Run


@dataclass(frozen=True, slots=True)
class Ledger:
    """What became of the batches."""

    expected: int
    judged: int
    judged_twice: int
    lost: int
    different: int

    @classmethod
    def of(cls, arena: Arena, undisturbed: Arena, logs: Sequence[Path]) -> Ledger:
        """Compare every batch; and the order they were judged in, and every change of an alarm."""
        count = arena.handed
        found, wanted = _runs(arena, count), _runs(undisturbed, count)
        twice = sum(number > 1 for number in Counter(_logged(logs)).values())
        names = Counter(run.batch.uri.rpartition("/")[2] for run in found)
        twice += sum(number > 1 for number in names.values())
        places = {run.batch.id: place for place, run in enumerate(wanted)}
        essences = {run.batch.id: essence(run) for run in wanted}
        different = sum(
            essences.get(run.batch.id) != essence(run) or places.get(run.batch.id) != place
            for place, run in enumerate(found)
        )
        different += _flips(arena) != _flips(undisturbed)
        lost = len(essences.keys() - {run.batch.id for run in found})
        return cls(count, len(found), twice, lost, different)


def essence(run: Run) -> tuple[Any, ...]:
    """What must not depend on what happened on the way."""
    return run.verdict, run.reasons, run.decisions, run.results, run.skipped, run.findings


def _runs(arena: Arena, count: int) -> list[Run]:
    """In the order of the commits."""
    with Store.read(str(arena.store)) as store:
        rows = store.runs(MODEL, limit=10 * count)[::-1]
        runs = [store.run(MODEL, row.batch_id) for row in rows]
    return [run for run in runs if run is not None][:count]


def _flips(arena: Arena) -> list[tuple[object, ...]]:
    with Store.read(str(arena.store)) as store:
        flips = store.flips(MODEL, limit=10_000)
    return [(flip.scope, flip.from_alarm, flip.to_alarm, flip.batch_id) for flip in flips]


def _logged(logs: Sequence[Path]) -> list[str]:
    """Batches as the daemons told them: one that was stored twice would be told twice."""
    told = []
    for log in logs:
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict) and entry.get("event") == "judged":
                    told.append(str(entry["batch"]))
    return told
