"""What a state means, in words a reader of the page can act on.

In:    the status of a model.
Out:   badges; names and numbers as they are shown.
Never: marks up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shiftwatch.report.phrase import visible
from shiftwatch.status import ModelStatus, MonitorState
from shiftwatch.values import Run, Verdict

VERDICTS: Mapping[Verdict, str] = {
    "shift": "shift",
    "no_shift": "no shift",
    "insufficient_data": "not enough data",
    "invalid_data": "invalid data",
    "error": "error",
}

_STATES: Mapping[MonitorState, tuple[str, str]] = {
    "ok": ("ok", ""),
    "insufficient_data": (
        "not enough data",
        "The last batch has too few rows to judge; make batches larger.",
    ),
    "invalid_data": (
        "invalid data",
        "The last batch cannot be judged as it should; its report says what is wrong with it.",
    ),
    "stale": (
        "stale",
        "No batch has been judged for too long; see whether batches still arrive, then the log.",
    ),
    "error": ("error", "The last check failed; its report and the log say why."),
}


@dataclass(frozen=True, slots=True)
class Badge:
    """A state: ``kind`` colours it, ``words`` say it, ``meaning`` says what to do."""

    kind: str
    words: str
    meaning: str


def badges(status: ModelStatus, folder: str | None) -> tuple[Badge, ...]:
    """What is to be said of a model, the most urgent first; never empty.

    The green badge stands alone: it needs a last batch without shift, no alarm, no fault, and a
    monitor that can tell.
    """
    said = [*_fault(status), *_alarm(status.last_run), *_monitor(status.monitor_state)]
    if status.last_run is None:
        said.extend(() if status.fault else _waiting(status.backlog, folder))
    elif not said:
        said.append(_verdict(status.last_run))
    return tuple(said)


def _fault(status: ModelStatus) -> tuple[Badge, ...]:
    return (Badge("error", "cannot be watched", status.fault),) if status.fault else ()


def _alarm(run: Run | None) -> tuple[Badge, ...]:
    if run is None or not run.alarm:
        return ()
    scopes = ", ".join(decision.scope for decision in run.decisions if decision.alarm)
    return (Badge("shift", f"alarm: {scopes}", "Open the report to see what changed."),)


def _monitor(state: MonitorState) -> tuple[Badge, ...]:
    words, meaning = _STATES[state]
    return () if state == "ok" else (Badge(state, words, meaning),)


def _waiting(backlog: int, folder: str | None) -> tuple[Badge, ...]:
    if backlog:
        return (
            Badge("waiting", "not judged yet", f"Batches found and not judged yet: {backlog}."),
        )
    where = f"in {shown(folder)}" if folder else "in the folder `batches` of the configuration"
    meaning = f"Put a Parquet file with the columns of the reference {where}."
    return (Badge("waiting", "waiting for the first batch", meaning),)


def _verdict(run: Run) -> Badge:
    meaning = {
        "no_shift": "The last batch does not differ from the reference by more than it may.",
        "shift": "The last batch differs from the reference; no alarm is on.",
    }.get(run.verdict, "Its report says why.")
    return Badge(run.verdict, VERDICTS[run.verdict], meaning)


def shown(text: object) -> str:
    r"""A text from outside with its invisible characters made visible.

    As in reports: what cannot be seen becomes its escape, and so do marks piled on one letter.

    Examples
    --------
    >>> print(shown("a" + chr(0x202E) + "b" + chr(10)))
    a\u202eb\n
    """
    return visible(str(text))


def number(value: float | None) -> str:
    """Three significant digits; a dash where there is none.

    Examples
    --------
    >>> number(0.01234), number(1.0), number(None)
    ('0.0123', '1', '-')
    """
    return "-" if value is None else f"{value:.3g}"
