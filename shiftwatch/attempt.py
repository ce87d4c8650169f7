"""A verdict within `limits.seconds`: ask the worker, and step down where time runs out.

In:    a way to ask the worker; the check; what past checks of the model took; files to look at.
Out:   the judged batch, with what was given up on the way in its cost; or the run of a failure;
       facts of every file, also of one that no worker survives.
Never: decides what a step leaves out (`budget` does); hides an attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Self

from shiftwatch import budget, decide, energy
from shiftwatch.budget import Spent
from shiftwatch.errors import TimeLimitError, WorkerError
from shiftwatch.provenance import provenance
from shiftwatch.quarantine import DEADLY
from shiftwatch.requests import Check, Checked, Inspect, Request
from shiftwatch.values import Cost, FileFacts, Listed, Run

Call = Callable[[Request], Any]
"""How the worker is asked."""


class GivenUpError(TimeLimitError):
    """Time ran out at the last step too.

    ``request`` is what was asked last, its effort naming every step as given up; ``cost`` is that
    of all attempts.
    """

    request: Check
    cost: Cost

    @classmethod
    def after(cls, fault: TimeLimitError, request: Check, cost: Cost) -> Self:
        """After the fault of the last step."""
        ended = cls(fault.what, where=fault.where, hint=fault.hint)
        effort = request.effort
        given_up = (*effort.given_up, effort.step)
        ended.request = replace(request, effort=replace(effort, given_up=given_up))
        ended.cost = cost
        return ended


def attempt(
    call: Call, request: Check, past: Sequence[Spent] = (), reference_rows: int | None = None
) -> Checked:
    """Judge a batch at the fullest step that fits, and at those after it where that was too long.

    Parameters
    ----------
    call
        How the worker is asked.
    request
        What is asked of it; its effort is chosen here.
    past
        What the model's last checks took, the newest last.
    reference_rows
        Rows of the reference, of which the useful rows of a batch are a multiple; None if unknown.

    Raises
    ------
    GivenUpError
        If time ran out at every step.
    ShiftwatchError
        What else the worker raises.
    """
    rows, limits = request.batch.rows, request.context.limits
    tested = min(rows, request.context.model.window.max_rows)
    if reference_rows is not None:
        tested = min(tested, budget.useful_rows(reference_rows))
    effort = budget.choose(past, rows, tested, limits.seconds)
    given_up = Cost(0.0, 0.0, 0)
    while True:
        asked = replace(request, effort=effort)
        try:
            return _with_cost(call(asked), given_up)
        except TimeLimitError as fault:
            given_up = _with(given_up, fault)
            below = budget.lower(effort, tested)
            if below is None:
                raise GivenUpError.after(fault, asked, given_up) from fault
            effort = below


def inspected(
    call: Call, files: Sequence[Listed], time_column: str | None
) -> tuple[FileFacts, ...]:
    """Facts of files, in their order; one that kills the worker is a fault and hides no other.

    Where the worker dies, or is late, over several files, each half is asked for by itself, and so
    on until it is known which one it was: about 2 log2(n) workers for one such file among n.

    Parameters
    ----------
    call
        How the worker is asked.
    files
        As they were listed.
    time_column
        Event time.

    Returns
    -------
    tuple[FileFacts, ...]
        A file that no worker survives has a ``fault`` that says how it ended, and is
        ``incomplete``: it is looked at again until its grace period ends.

    Raises
    ------
    WorkerError
        If the worker fails without a file as well, which is no file's fault.
    """
    if not files:
        return ()
    try:
        found: tuple[FileFacts, ...] = call(Inspect(tuple(files), time_column))
    except WorkerError as fault:
        call(Inspect((), time_column))
        if len(files) == 1:
            return (_deadly(files[0], fault),)
        half = len(files) // 2
        before = inspected(call, files[:half], time_column)
        return (*before, *inspected(call, files[half:], time_column))
    return found


def _deadly(file: Listed, fault: WorkerError) -> FileFacts:
    text = f"{DEADLY}{fault.what}"
    return FileFacts(file.uri, file.size, file.modified_ns, "", 0, fault=text, incomplete=True)


def failed(request: Check, fault: WorkerError, cost: Cost | None = None) -> Checked:
    """A failure of ours as a run of its own: no alarm changes, and nothing is green."""
    before = decide.State.from_json(request.state)
    context = request.context
    policy = decide.Policy.of(context.alarms, context.model.tolerance)
    run = Run(
        model=context.model.name,
        batch=request.batch,
        verdict="error",
        judged_at=request.judged_at,
        reasons=(str(fault),),
        decisions=decide.carried(before, policy),
        provenance=provenance(request),
        cost=cost or Cost(0.0, 0.0, 0),
    )
    return Checked(run, before.to_json())


def _with(cost: Cost, fault: TimeLimitError) -> Cost:
    """The cost with that of one more attempt; what it drew can only be estimated."""
    cpu_seconds = cost.cpu_seconds + fault.cpu_seconds
    joules = energy.estimated(cpu_seconds)
    return Cost(
        cpu_seconds=cpu_seconds,
        wall_seconds=cost.wall_seconds + fault.wall_seconds,
        peak_memory_bytes=0,
        energy_joules=joules.joules,
        energy_source=joules.source,
        stages={"given_up": cpu_seconds},
        given_up_seconds=cost.given_up_seconds + fault.wall_seconds,
    )


def _with_cost(answer: Checked, given_up: Cost) -> Checked:
    """The answer with what was given up before it."""
    if not given_up.given_up_seconds:
        return answer
    own = answer.run.cost
    cost = replace(
        own,
        cpu_seconds=own.cpu_seconds + given_up.cpu_seconds,
        wall_seconds=own.wall_seconds + given_up.wall_seconds,
        energy_joules=(own.energy_joules or 0.0) + (given_up.energy_joules or 0.0),
        # A sum with an estimate in it is one.
        energy_source=given_up.energy_source,
        stages={**own.stages, **given_up.stages},
        given_up_seconds=given_up.given_up_seconds,
    )
    return replace(answer, run=replace(answer.run, cost=cost))
