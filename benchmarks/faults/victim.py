"""The daemon as it is, with a blow in place: what the torture program starts.

``victim.py CONFIG PLAN``: PLAN is JSON with ``blow`` (see :mod:`benchmarks.faults.points`) and
``clock``, a file whose number of seconds is added to the wall clock. The worker it starts is this
program too (``victim.py child ...``), so that it can be struck as well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

_PLAN = "SHIFTWATCH_TORTURE_PLAN"


def _shift_clock(file: str) -> None:
    """Let the wall clock go wrong by what the file says, for ours and for the scheduler."""
    true = time.time

    def wrong() -> float:
        return true() + float(Path(file).read_text(encoding="ascii"))

    time.time = wrong
    import datetime as dt  # noqa: PLC0415 - after the clock is wrong

    from apscheduler.schedulers import base  # noqa: PLC0415

    class Wrong(dt.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Wrong:
            return cls.fromtimestamp(wrong(), tz)

    base.datetime = Wrong


def _replace_child() -> None:
    """Start this program where the daemon starts its worker."""
    popen: Any = subprocess.Popen

    def started(command: list[str], *args: Any, **kwargs: Any) -> Any:
        if command[1:3] == ["-m", "shiftwatch.child"]:
            command = [command[0], __file__, "child", *command[3:]]
        return popen(command, *args, **kwargs)

    subprocess.Popen = started  # type: ignore[assignment,misc]


def _arm(plan: dict[str, Any], home: str, monitors: list[Any]) -> None:
    from benchmarks.faults.points import Blow, arm  # noqa: PLC0415

    if plan.get("blow"):
        arm(Blow(**plan["blow"]), home, lambda: monitors[-1].worker_pid if monitors else None)


def parent(config: str, told: str) -> None:
    """``shiftwatch run``."""
    plan = json.loads(told)
    os.environ[_PLAN] = told
    if plan.get("clock"):
        _shift_clock(plan["clock"])
    _replace_child()
    from shiftwatch.cli import app  # noqa: PLC0415 - after the clock
    from shiftwatch.monitor import Monitor  # noqa: PLC0415

    monitors: list[Any] = []
    made = Monitor.__init__

    def noted(self: Monitor, *args: Any, **kwargs: Any) -> None:
        monitors.append(self)
        self._workers = []
        made(self, *args, **kwargs)

    Monitor.__init__ = noted  # type: ignore[method-assign]
    import shiftwatch.daemon  # noqa: F401, PLC0415 - the points lie in it

    _arm(plan, "parent", monitors)
    sys.argv = ["shiftwatch", "run", config]
    app()


def child(arguments: list[str]) -> None:
    """``python -m shiftwatch.child``."""
    plan = json.loads(os.environ[_PLAN])
    from shiftwatch import child as worker  # noqa: PLC0415

    blow = plan.get("blow")
    if blow:
        from benchmarks.faults.points import POINTS  # noqa: PLC0415

        place = POINTS[blow["point"]].place
        if place.startswith("shiftwatch.child:"):
            _arm(plan, "worker", [])
        else:  # what is heavy is imported below the worker's limit, and then struck
            imported = worker.imported

            def armed() -> Any:
                imported()
                _arm(plan, "worker", [])
                return imported()

            worker.imported = armed
    status = worker.main(arguments)
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    if sys.argv[1] == "child":
        child(sys.argv[2:])
    parent(sys.argv[1], sys.argv[2])
