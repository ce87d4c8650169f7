"""SIGKILL to the daemon, its worker or both: at every named point, and at random moments.

In:    an arena with files to hand over, a generator of random numbers.
Out:   how often each was killed; the arena, to be held against an undisturbed one.
Never: waits for a good moment.
"""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import get_args

from benchmarks.faults.life import Life, Lives
from benchmarks.faults.points import POINTS, Whom

_FILES_A_LIFE = 3
_WORKER_LIVES = 0.8
"""Seconds, some: from its start until the few files that are due are judged."""

_REACHED_WITHIN = 60.0


@dataclass(slots=True)
class Killed:
    """How often, by whom it hit."""

    random: Counter[str] = field(default_factory=Counter)
    points: list[tuple[str, str]] = field(default_factory=list)
    """Points that were reached, and whom the blow hit."""
    missed: list[tuple[str, str]] = field(default_factory=list)


def at_points(lives: Lives, killed: Killed, blows: Iterable[tuple[str, Whom]]) -> None:
    """One life for each blow, with new files to be judged in it.

    A worker is replaced and the life goes on until everything is judged; a daemon is not, and the
    next life takes over what it has left.
    """
    for point, whom in blows:
        lives.arena.hand(_FILES_A_LIFE)
        if POINTS[point].place.startswith("shiftwatch.cache:"):  # reached where it is prepared anew
            shutil.rmtree(lives.arena.store.with_suffix(".references"), ignore_errors=True)
        struck = lives.arena.folder / f"struck-{lives.count}"
        blow = {"point": point, "whom": whom, "struck": str(struck)}
        # A blow that was never struck is told below.
        with lives.begun({"blow": blow}) as life, suppress(RuntimeError):
            if whom == "worker":
                life.until_judged(lives.arena.handed)
            else:
                life.wait(_REACHED_WITHIN)
        (killed.points if struck.exists() else killed.missed).append((point, whom))


def every_blow() -> list[tuple[str, Whom]]:
    """Each point with everyone it can hit: the parent always, a worker where there is one."""
    alone = ("the store", "the state is restored", "before the port", "old runs", "the step")
    return [
        (point, whom)
        for point in POINTS
        for whom in get_args(Whom)
        if whom == "parent" or not point.startswith(alone)
    ]


def at_random(lives: Lives, killed: Killed, times: int, rng: random.Random) -> None:
    """So many kills: a third each of the daemon, of its worker, of both."""
    span = _usual_life(lives)
    victims = [get_args(Whom)[number % 3] for number in range(times)]
    rng.shuffle(victims)
    while victims:
        lives.arena.hand(_FILES_A_LIFE)
        with lives.begun() as life:
            while victims and victims[-1] == "worker":
                _kill_a_worker(life, rng)
                killed.random[victims.pop()] += 1
            if victims:
                life.wait(rng.uniform(0, span))
                life.kill(victims[-1])
                killed.random[victims.pop()] += 1


def _kill_a_worker(life: Life, rng: random.Random) -> None:
    """Kill a worker some time after it was first seen; the next one if it is done by then."""
    while True:
        worker = life.until(life.worker)
        life.wait(rng.uniform(0, _WORKER_LIVES))
        if life.worker() == worker:
            life.kill("worker")
            return
        life.arena.hand(1)


def _usual_life(lives: Lives) -> float:
    """Seconds from the start of a daemon until its first files are judged, and a quarter more."""
    lives.arena.hand(_FILES_A_LIFE)
    began = time.monotonic()
    lives.finish()
    return 1.25 * (time.monotonic() - began)
