"""What a daemon with a long history takes: a program of its own, as light as the daemon.

``history.py FOLDER RUNS``: the folder holds ``reference``, ``batches`` with one file and ``later``
with another. Prints one JSON: CPU milliseconds of this process, without the worker's, for each
thing the daemon does again and again, and its memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.scaling.process import Meter, resident_bytes
from shiftwatch import metrics
from shiftwatch.desk import Desk
from shiftwatch.document import to_document
from shiftwatch.monitor import Monitor
from shiftwatch.settings import ModelSettings, Settings, StoreSettings
from shiftwatch.source.plan import batch_id
from shiftwatch.store import Store, reading, writing
from shiftwatch.values import Batch, FileFacts, Piece, Run

NAME = "grown"
_PER_TRANSACTION = 2000


def main(folder: Path, runs: int) -> None:
    model = ModelSettings(NAME, reference=f"{folder}/reference", batches=f"{folder}/batches")
    settings = Settings((model,), store=StoreSettings(f"{folder}/history-{runs}.db"))
    with Store.open(settings.store.path, clock=time.time) as store:
        monitor = Monitor(settings, store, time.time, {NAME: "growth"})
        (first,) = monitor.step()
        _lengthen(store, first, runs - 1)
        print(json.dumps(_measured(settings, store, monitor, folder)))


def _lengthen(store: Store, first: Run, count: int) -> None:
    """Store so many more runs like the first, each of a file that is no longer in the folder."""
    packed = reading.pack(to_document(first))
    for start in range(0, count, _PER_TRANSACTION):
        with store._writing() as connection:  # noqa: SLF001 - a commit each would sync 100 000 times
            for index in range(start, min(count, start + _PER_TRANSACTION)):
                run = _like(first, index)
                (piece,) = run.batch.pieces
                facts = FileFacts(piece.uri, piece.size, 0, piece.sha256, piece.rows)
                writing.accept_file(connection, NAME, facts, run.judged_at)
                writing.note_judged(connection, run, run.judged_at)
                writing.note_reached(connection, run)
                flipped = writing.note_flips(connection, run, run.judged_at)
                writing.insert_run(connection, run, flipped=flipped, document=packed)


def _like(run: Run, index: int) -> Run:
    digest = hashlib.sha256(str(index).encode()).hexdigest()
    (own,) = run.batch.pieces
    piece = Piece(f"{own.uri}.{index}.parquet", own.size, digest, 0, own.rows)
    return replace(run, batch=Batch(batch_id((piece,)), (piece,), own.rows))


def _measured(settings: Settings, store: Store, monitor: Monitor, folder: Path) -> dict[str, float]:
    steward = SimpleNamespace(monitor=monitor)
    desk = Desk(store, settings, steward)  # of it only the snapshot is used
    list(monitor.step())
    meter = Meter(os.getpid())
    told = {
        "look": _milliseconds(lambda: list(monitor.step())),
        "metrics": _milliseconds(lambda: metrics.render(monitor.snapshot)),
        "page": _milliseconds(lambda: desk.report(NAME, None, "html")),
        "listing": _milliseconds(lambda: desk.runs(NAME, limit=50, before=None, verdict=None)),
        "timeline": _milliseconds(lambda: desk.timeline(NAME, 200)),
        "retention": _milliseconds(
            lambda: store.forget(400, monitor.present_files(), time.time()), repetitions=3
        ),
    }
    for index, file in enumerate(sorted((folder / "later").iterdir())):
        file.rename(folder / "batches" / file.name)
        told["step"] = _milliseconds(lambda: _judged(monitor), repetitions=1)
        if index == 1:  # the first found everything cold
            break
    desk.close()
    told["peak_bytes"] = meter.taken().peak_bytes
    told["resident_bytes"] = resident_bytes(os.getpid())
    return told


def _judged(monitor: Monitor) -> None:
    (run,) = monitor.step()
    if run.verdict == "error":
        raise ValueError(run.reasons)


def _milliseconds(work: Callable[[], object], repetitions: int = 5) -> float:
    """CPU time of this process, the median."""
    times = []
    for _ in range(repetitions):
        before = time.process_time()
        work()
        times.append(1000 * (time.process_time() - before))
    return statistics.median(times)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
