"""A benchmark: what it runs, what is asked of it, and what came of its rounds.

In:    cases, and what each measured in the processes of its rounds.
Out:   figures (median, least, greatest) by name, and whether a goal is reached.
Never: compares a time of one round with a time of another.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.speed.clock import cpu_seconds
from shiftwatch.twosample.protocol import NotTested, Outcome

Spread = Mapping[str, float]
Figures = dict[str, dict[str, float]]

FLOOR = "floor"
"""The peer that is no program but the machine: the ratio says how far above it we are."""

_PATIENCE = 3.0


@dataclass(frozen=True, slots=True)
class Task:
    """One round of a case.

    Parameters
    ----------
    repetitions
        Warm repetitions.
    folder
        Where the Parquet files of the whole check are.
    alone
        Whether only our time counts: no scipy, no plain formula.
    """

    repetitions: int
    folder: Path
    alone: bool = False


@dataclass(slots=True)
class Measured:
    """What one round of a case gave; it crosses the process boundary as JSON.

    Parameters
    ----------
    seconds
        CPU seconds of each of our repetitions.
    peers
        The same of those who ran in the same process, by turns with ours.
    facts
        Single figures; the name ends with the unit.
    answers
        ``statistic`` and ``p_value``, held against the answers of peers in other processes.
    """

    seconds: list[float] = field(default_factory=list)
    peers: dict[str, list[float]] = field(default_factory=dict)
    facts: dict[str, float] = field(default_factory=dict)
    answers: dict[str, list[float]] = field(default_factory=dict)

    def by_turns(
        self,
        task: Task,
        ours: Callable[[], object],
        peers: Mapping[str, Callable[[], object]],
        loops: int = 1,
    ) -> None:
        """Time ours and every peer by turns; who takes seconds is repeated less often."""
        spent = {} if task.alone else dict.fromkeys(peers, 0.0)
        for _ in range(task.repetitions):
            self.seconds.append(cpu_seconds(ours, loops))
            for name in (name for name, seconds in spent.items() if seconds < _PATIENCE):
                taken = cpu_seconds(peers[name], loops)
                self.peers.setdefault(name, []).append(taken)
                spent[name] += taken * loops


Run = Callable[[Task], Measured]


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on a figure: ``most``, or ``least``."""

    figure: str
    bound: float
    kind: Literal["least", "most"] = "most"

    def reached(self, figure: Spread) -> bool:
        """Whether the median is within the bound."""
        middle = figure["median"]
        return middle >= self.bound if self.kind == "least" else middle <= self.bound

    @property
    def text(self) -> str:
        """As it is written in a table.

        Examples
        --------
        >>> Goal("scipy ratio", 15, "least").text, Goal("seconds", 0.05).text
        ('>= 15x scipy', '<= 0.05 s')
        """
        sign = ">=" if self.kind == "least" else "<="
        name, unit = split_unit(self.figure)
        return " ".join(f"{sign} {self.bound:g}{unit} {shown(name)}".split())


def shown(peer: str) -> str:
    """A peer as its authors write it: modules have no hyphen."""
    return peer.replace("_", "-")


def split_unit(figure: str) -> tuple[str, str]:
    """A figure's name without its unit, and the unit as it follows a number.

    Examples
    --------
    >>> split_unit("extra megabytes"), split_unit("frouros ratio"), split_unit("seconds")
    (('extra', ' MB'), ('frouros', 'x'), ('', ' s'))
    """
    name, _, unit = figure.rpartition(" ")
    return name, {"ratio": "x", "seconds": " s", "megabytes": " MB", "nanoseconds": " ns"}[unit]


def faster(peer: str, bound: float) -> Goal:
    """So many times as fast as a peer, at least."""
    return Goal(f"{peer} ratio", bound, "least")


@dataclass(frozen=True, slots=True)
class Case:
    """One benchmark.

    Parameters
    ----------
    name
        For ``--only``, and the key of stored figures.
    work
        What is timed, for people.
    run
        One round of it.
    goals
        What is asked; may name peers that only ``make bench-peers`` runs.
    quick
        Whether ``--quick`` runs it.
    """

    name: str
    work: str
    run: Run
    goals: tuple[Goal, ...] = ()
    quick: bool = False


def spread(numbers: Sequence[float]) -> dict[str, float]:
    """Median, least and greatest."""
    return {
        "median": statistics.median(numbers),
        "min": min(numbers),
        "max": max(numbers),
    }


def figures(rounds: Sequence[Measured]) -> Figures:
    """All repetitions of a case; a ratio is that of the medians of one round.

    Examples
    --------
    >>> rounds = [Measured([1.0, 2.0, 3.0], {"scipy": [8.0]}), Measured([4.0], {"scipy": [8.0]})]
    >>> made = figures(rounds)
    >>> made["seconds"]["median"], made["scipy ratio"]
    (2.5, {'median': 3.0, 'min': 2.0, 'max': 4.0})
    """
    made: Figures = {}
    if any(one.seconds for one in rounds):
        made["seconds"] = spread([each for one in rounds for each in one.seconds])
    for peer in rounds[0].peers:
        made[f"{peer} seconds"] = spread([each for one in rounds for each in one.peers[peer]])
        made[f"{peer} ratio"] = spread(
            [ratio(one.peers[peer], one.seconds, peer) for one in rounds]
        )
    for fact in rounds[0].facts:
        made[fact] = spread([one.facts[fact] for one in rounds])
    return made


def ratio(theirs: Sequence[float], ours: Sequence[float], peer: str = "") -> float:
    """How many times as fast we are; of the floor, how far above it."""
    found = statistics.median(theirs) / statistics.median(ours)
    return 1 / found if peer == FLOOR else found


def tested(outcome: Outcome | NotTested) -> Outcome:
    """A benchmark of a test that was not run would be fast and worthless."""
    if isinstance(outcome, NotTested):
        raise TypeError(outcome.reason)
    return outcome


def agree(ours: Sequence[float], theirs: Sequence[float], *, rtol: float, atol: float) -> float:
    """The largest difference; AssertionError where answers differ by more."""
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol)
    return float(np.max(np.abs(np.subtract(ours, theirs)), initial=0.0))
