"""`shiftwatch verify`: what came out, in words or as JSON, and as an exit status.

In:    a report or settings; where to say things.
Out:   0 the same, 1 not the same, 2 nothing that could be recomputed.
Never: writes into the history or its cache; decides what counts as a difference.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from shiftwatch import config, replay
from shiftwatch.errors import DataError, ShiftwatchError
from shiftwatch.requests import Reach
from shiftwatch.settings import LimitSettings, Settings
from shiftwatch.store import Store
from shiftwatch.worker import Worker

DIFFERENT, USAGE = 1, 2

_MOST_LINES = 40
"""Differences that are listed; the rest are counted."""

_PATIENCE = 3600.0
"""Seconds for one call. A batch is recomputed at the step it was judged at, whatever that takes on
this machine, and the reference is prepared again on the way."""

Say = Callable[[str], None]


def verify_report(path: str, *, as_json: bool, say: Say) -> int:
    """Recompute the verdict of a report; 0 the same, 1 not, 2 if the report cannot be used."""
    try:
        run = replay.read_report(path)
        with _recomputing(_limits(run.provenance)) as (worker, cache):
            outcome = replay.verify(run, cache, worker.call)
    except DataError as fault:
        return _unusable(fault, as_json=as_json, say=say)
    if as_json:
        say(json.dumps({"report": path} | _plain(outcome), ensure_ascii=False))
        return 0 if outcome.same else DIFFERENT
    say(f"{run.model}, batch {run.batch.id}: " + ("the same" if outcome.same else "not the same"))
    for text in outcome.changed:
        say(f"  {text}")
    if not outcome.changed:
        _tell_numbers(outcome.differences, outcome.agreement, say)
    for text in outcome.notes:
        say(f"  note: {text}")
    return 0 if outcome.same else DIFFERENT


def _limits(told: Mapping[str, Any]) -> LimitSettings:
    """Those of then; the defaults if they cannot be read, which is told later."""
    try:
        return config.restored(LimitSettings, told["limits"])
    except (KeyError, ValueError):
        return LimitSettings()


def _unusable(fault: ShiftwatchError, *, as_json: bool, say: Say) -> int:
    if as_json:
        say(json.dumps({"same": None, "fault": str(fault)}, ensure_ascii=False))
    sys.stderr.write(f"error: {fault}\n")
    return USAGE


@contextmanager
def _recomputing(limits: LimitSettings, reach: Reach | None = None) -> Iterator[tuple[Worker, str]]:
    """A worker and an empty cache: what was prepared then is prepared again."""
    patient = replace(limits, seconds=max(limits.seconds, _PATIENCE))
    with (
        tempfile.TemporaryDirectory(prefix="shiftwatch-verify-") as cache,
        Worker(patient, reach=reach) as hired,
    ):
        yield hired, cache


def _plain(outcome: replay.Outcome) -> dict[str, Any]:
    return {"same": outcome.same} | asdict(outcome)


def _tell_numbers(
    differences: Sequence[replay.Difference], agreement: replay.Agreement, say: Say
) -> None:
    say(
        f"  ranks and counts: {agreement.exact_equal} of {agreement.exact} statistics equal in "
        "every bit, with their p-values"
    )
    if agreement.close:
        say(
            f"  floating point: {agreement.close_equal} of {agreement.close} statistics within "
            f"{replay.RELATIVE:g}; largest relative difference {agreement.largest:.2g}"
        )
    if agreement.in_band:
        say(f"  p-values that differ within the band of ties: {agreement.in_band}")
    for line in difference_table(differences):
        say(f"  {line}")


def difference_table(differences: Sequence[replay.Difference]) -> list[str]:
    r"""Lines of a table of what differs; none if nothing does.

    Examples
    --------
    >>> print(*difference_table([replay.Difference("verdict", "shift", "no_shift")]), sep="\n")
    what differs  stored  recomputed
    verdict       shift   no_shift
    """
    if not differences:
        return []
    shown = [(d.where, _value(d.stored), _value(d.recomputed)) for d in differences[:_MOST_LINES]]
    rows = [("what differs", "stored", "recomputed"), *shown]
    widths = [max(len(row[place]) for row in rows) for place in range(2)]
    lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c}" for a, b, c in rows]
    left = len(differences) - len(shown)
    return [*lines, *([f"and {left} more"] if left else [])]


def _value(value: Any) -> str:
    text = repr(value) if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def verify_history(settings: Settings, model: str | None, *, as_json: bool, say: Say) -> int:
    """Recompute every stored batch; 0 the same, 1 not, 2 if nothing could be recomputed."""
    names = [each.name for each in settings.models if model in (None, each.name)]
    results = []
    with Store.read(settings.store.path) as store:
        for name in names:
            with _recomputing(settings.limits, Reach(settings.stores, "")) as (worker, cache):
                replayed = replay.replay(store, name, cache, worker.call)
                results.append((name, _watched_on_a_terminal(name, replayed)))
    if as_json:
        models = [_history_plain(name, done) for name, done in results]
        say(json.dumps({"same": _history_same(results), "models": models}, ensure_ascii=False))
    else:
        for name, done in results:
            _tell_history(name, done, say)
    if not any(one.computed for _, done in results for one in done):
        sys.stderr.write("error: no batch could be recomputed\n")
        return USAGE
    return 0 if _history_same(results) else DIFFERENT


_Results = Sequence[tuple[str, Sequence[replay.Replayed]]]


def _history_same(results: _Results) -> bool:
    return all(one.same for _, replayed in results for one in replayed)


def _watched_on_a_terminal(name: str, found: Iterator[replay.Replayed]) -> list[replay.Replayed]:
    shown = sys.stderr.isatty()
    done = []
    for one in found:
        done.append(one)
        if shown:
            sys.stderr.write(f"\r{name}: {one.number} of {one.total} batches")
            sys.stderr.flush()
    if shown and done:
        sys.stderr.write("\r\033[K")
    return done


def _summed(replayed: Sequence[replay.Replayed]) -> replay.Agreement:
    agreement = replay.Agreement()
    for one in replayed:
        agreement += one.agreement
    return agreement


def _history_plain(name: str, replayed: Sequence[replay.Replayed]) -> dict[str, Any]:
    return {
        "model": name,
        "batches": len(replayed),
        "recomputed": sum(one.computed for one in replayed),
        "with_memory": sum(one.memory for one in replayed),
        "same": sum(one.computed and one.same for one in replayed),
        "agreement": asdict(_summed(replayed)),
        "told": [asdict(one) for one in replayed if one.problem or one.notes or not one.same],
    }


def _tell_history(name: str, replayed: Sequence[replay.Replayed], say: Say) -> None:
    computed = [one for one in replayed if one.computed]
    same = sum(one.same for one in computed)
    memory = sum(one.memory for one in computed)
    say(
        f"{name}: {len(replayed)} stored batches, {len(computed)} recomputed, {same} the same; "
        f"alarms and memory compared on {memory}"
    )
    differences = [
        replay.Difference(f"batch {one.batch}: {d.where}", d.stored, d.recomputed)
        for one in replayed
        for d in one.differences
    ]
    if computed:
        _tell_numbers(differences, _summed(replayed), say)
    for one in replayed:
        if one.problem:
            say(f"  batch {one.batch}: not recomputed: {one.problem}")
    # Versions are the same note on every batch.
    for text in dict.fromkeys(note for one in replayed for note in one.notes):
        say(f"  note: {text}")
