"""The moments of a step at which a process can be killed, by name.

In:    nothing.
Out:   where each lies in the code, on which side of the call, and in which process.
Never: touches the code until the victim asks; the product knows nothing of it.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Side = Literal["before", "after"]
Whom = Literal["parent", "worker", "both"]


@dataclass(frozen=True, slots=True)
class Point:
    """A place: ``module:attribute``, before or after the call, and whose code it is."""

    place: str
    side: Side
    home: Literal["parent", "worker"] = "parent"
    request: str = ""
    """Only calls with an argument of this type."""


def _both_sides(name: str, place: str, request: str = "") -> dict[str, Point]:
    return {
        f"before {name}": Point(place, "before", request=request),
        f"after {name}": Point(place, "after", request=request),
    }


_CALL = "shiftwatch.worker:Worker.call"
_WRITING = "shiftwatch.store.writing"

POINTS: Mapping[str, Point] = {
    "the store is locked": Point("shiftwatch.store.sqlite:lock", "after"),
    "the store is checked": Point("shiftwatch.store.sqlite:check_sound", "after"),
    "the state is restored": Point("shiftwatch.monitor:Monitor._watch", "after"),
    "before the port is announced": Point("shiftwatch.daemon:Daemon._announce", "before"),
    "the folder is listed": Point("shiftwatch.look:walk_folder", "after"),
    **_both_sides("the reference is asked for", _CALL, "Prepare"),
    **_both_sides("files are looked into", _CALL, "Inspect"),
    "a file is being accepted": Point(f"{_WRITING}:accept_file", "after"),
    "broken files are noted": Point("shiftwatch.store.broken:note", "after"),
    "files are accepted": Point("shiftwatch.store.history:Store.accept_files", "after"),
    "what is due is known": Point("shiftwatch.monitor:Monitor._due", "after"),
    **_both_sides("the check", _CALL, "Check"),
    "before the commit": Point("shiftwatch.store.history:Store.commit", "before"),
    "judged is written": Point(f"{_WRITING}:note_judged", "after"),
    "the cursor's file is written": Point(f"{_WRITING}:note_reached", "after"),
    "alarms are written": Point(f"{_WRITING}:note_flips", "after"),
    "the run is written": Point(f"{_WRITING}:insert_run", "after"),
    "retries are ended": Point("shiftwatch.store.broken:end_retries", "after"),
    "the cost is written": Point(f"{_WRITING}:note_cost", "after"),
    "the state is written": Point(f"{_WRITING}:put_state", "after"),
    "after the commit": Point("shiftwatch.store.history:Store.commit", "after"),
    "before the run is shown": Point("shiftwatch.monitor:Monitor._show_run", "before"),
    "the run is shown": Point("shiftwatch.monitor:Monitor._show_run", "after"),
    "before the run is logged": Point("shiftwatch.daemon:tell_run", "before"),
    "old runs are being forgotten": Point("shiftwatch.store.retention:forget", "after"),
    "old runs are forgotten": Point("shiftwatch.store.history:Store.forget", "after"),
    "the step is over": Point("shiftwatch.daemon:give_back", "after"),
    "the worker has started": Point("shiftwatch.child:imported", "after", "worker"),
    "the worker was asked": Point("shiftwatch.check:answer", "before", "worker"),
    "arrays are written": Point("shiftwatch.cache:_write_arrays", "after", "worker"),
    "before the index": Point("shiftwatch.cache:_write_index", "before", "worker"),
    "after the index": Point("shiftwatch.cache:_write_index", "after", "worker"),
    "the batch is read": Point("shiftwatch.source.parquet:read_pieces", "after", "worker"),
    "the tests have run": Point("shiftwatch.check:evaluate", "after", "worker"),
    "the verdict is known": Point("shiftwatch.check:conclude", "after", "worker"),
    "the answer is ready": Point("shiftwatch.check:answer", "after", "worker"),
}
"""In the order of a step."""


@dataclass(frozen=True, slots=True)
class Blow:
    """Kill ``whom`` when the point is reached; once, which the file ``struck`` remembers."""

    point: str
    whom: Whom
    struck: str


def arm(blow: Blow, home: str, worker_pid: Callable[[], int | None]) -> None:
    """Put the blow in place, if its point lies in this process and it has not been struck.

    Parameters
    ----------
    blow
        What to do and where.
    home
        ``parent`` or ``worker``: which process this is.
    worker_pid
        The worker of the parent.
    """
    point = POINTS[blow.point]
    if point.home != home or Path(blow.struck).exists():
        return
    module, _, name = point.place.partition(":")
    owner: Any = importlib.import_module(module)
    *classes, name = name.split(".")
    for each in classes:
        owner = getattr(owner, each)
    wrapped = getattr(owner, name)

    @functools.wraps(wrapped)
    def struck(*args: Any, **kwargs: Any) -> Any:
        meant = not point.request or point.request in {type(each).__name__ for each in args}
        if meant and point.side == "before":
            _strike(blow, home, worker_pid())
        result = wrapped(*args, **kwargs)
        if meant and point.side == "after":
            _strike(blow, home, worker_pid())
        return result

    setattr(owner, name, struck)


def _strike(blow: Blow, home: str, worker_pid: int | None) -> None:
    try:
        os.close(os.open(blow.struck, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    own, other = os.getpid(), (worker_pid if home == "parent" else os.getppid())
    victims = {"parent": (own,), "worker": (other,), "both": (other, own)}[blow.whom]
    if home == "worker":
        victims = {"parent": (other,), "worker": (own,), "both": (other, own)}[blow.whom]
    for pid in victims:
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
