"""What to do next, in words.

In:    a Run.
Out:   phrases, the most useful first.
Never: says that there is nothing to do while an alarm is on.
"""

from __future__ import annotations

from collections.abc import Callable

from shiftwatch.decide.latch import QUIET_CHECKS
from shiftwatch.report.layers import below_tolerance, crossed, decision_of
from shiftwatch.report.loose import comparison, comparison_promise
from shiftwatch.report.phrase import BatchName, Name, Phrase, listed
from shiftwatch.values import Run, Verdict


def advice(run: Run) -> tuple[Phrase, ...]:
    """What to do next, the most useful first."""
    if comparison(run):
        return tuple(_after_comparison(run))
    return (*_about_earlier_alarms(run), *_ADVICE[run.verdict](run))


def _after_comparison(run: Run) -> list[Phrase]:
    """It stands alone: there is no alarm to clear and nothing to accept."""
    promise = comparison_promise(run)
    if run.verdict != "shift":
        told = [(promise,)] if promise and run.verdict == "no_shift" else []
        return [*_ADVICE[run.verdict](run), *told]
    steps = (_about_pipeline(run), _about_movers(run), _about_predictions(run))
    alone = promise or "One comparison may find a shift by chance, as often as its level says."
    return [step for step in (*steps, (f"{alone} To be sure, compare another pair.",)) if step]


def _about_earlier_alarms(run: Run) -> list[Phrase]:
    if run.verdict == "shift" or not _latched(run):
        return []
    since = next((d.since for d in run.decisions if d.scope != "schema" and d.since), None)
    where = (" The report of batch ", BatchName(since), " says what moved.") if since else ()
    return [
        (f"An alarm is still on and clears by itself after {QUIET_CHECKS} quiet checks.", *where)
    ]


def _latched(run: Run) -> bool:
    return any(d.alarm and d.scope != "schema" for d in run.decisions)


def _after_shift(run: Run) -> list[Phrase]:
    found = [_about_pipeline(run), _about_movers(run), _about_predictions(run)]
    found.append(_about_the_beginning(run))
    if _schema_alarm(run):
        found.append(("Mend the data faults below as well; they hide columns from the tests.",))
    found.append(
        (
            "If the change is meant to last, take recent batches as the new reference: ",
            Name(f"shiftwatch accept CONFIG {run.model}"),
            ".",
        )
    )
    return [phrase for phrase in found if phrase]


def _about_pipeline(run: Run) -> Phrase:
    broken = _pipeline_suspects(run)
    if not broken:
        return ()
    why = ": nulls or categories changed there, which is more often a fault than a trend."
    return ("Check the pipeline that fills ", *listed(broken), why)


def _about_movers(run: Run) -> Phrase:
    movers = [name for d in run.decisions if crossed(d) for name in d.columns]
    if not movers:
        return ("Look at the joint tests: they rank the columns by their part in it.",)
    return ("Look at ", *listed(movers), " first; the tables rank columns by their part in it.")


def _pipeline_suspects(run: Run) -> list[str]:
    named = {(d.scope, name) for d in run.decisions if crossed(d) for name in d.columns}
    level = max((d.level for d in run.decisions), default=0.0)
    suspects = [
        r.target
        for r in run.results
        if r.test in {"nulls", "unseen", "distinct"}
        and (r.scope, r.target) in named
        and r.p_value <= level / max(len(run.results), 1)
    ]
    return list(dict.fromkeys(suspects))


def _about_predictions(run: Run) -> Phrase:
    decision = decision_of(run, "prediction")
    if decision is None or decision.p_value is None:
        return ()
    if crossed(decision):
        return ("The model answers differently: compare with outcomes before relying on scores.",)
    if decision.alarm:
        return ("The alarm of the predictions is still on, though this batch adds nothing to it.",)
    return ("Predictions show no shift, so what the model answers may not suffer; keep watching.",)


def _about_the_beginning(run: Run) -> Phrase:
    """Where to look for the cause of what began before this batch."""
    began = [d.change_from for d in run.decisions if crossed(d) and d.change_from]
    if not began or began[0] == run.batch.id:
        return ()
    first = BatchName(began[0])
    return ("Ask what changed around batch ", first, ": the change is estimated to begin there.")


def _schema_alarm(run: Run) -> bool:
    decision = decision_of(run, "schema")
    return decision is not None and decision.alarm


def _after_no_shift(run: Run) -> list[Phrase]:
    if below_tolerance(run):
        doing = "" if _latched(run) else "Nothing to do. "
        return [
            (f"{doing}If a change within the tolerance matters, lower ", Name("tolerance"), ".")
        ]
    return [
        (
            "" if _latched(run) else "Nothing to do. ",
            "A shift as small as the effects' intervals in the tables could still be there; ",
            "larger batches make them narrower.",
        )
    ]


def _after_insufficient(run: Run) -> list[Phrase]:
    if any(skip.reason == "time_limit" for skip in run.skipped):
        return [
            (
                "Raise ",
                Name("limits.seconds"),
                ", or give the worker more CPU.",
            )
        ]
    return [
        (
            "Collect more rows: make the ",
            Name("window"),
            " longer, or let the writer make larger files.",
        ),
        ("This is no statement that all is well: nothing was compared.",),
    ]


def _after_invalid(run: Run) -> list[Phrase]:
    codes = {finding.code for finding in run.findings if finding.severity == "invalid"}
    found: list[Phrase] = []
    if codes & {"missing_column", "changed_type"}:
        found.append(
            (
                "Ask whoever writes the batches what changed in the columns; ",
                "if it is meant to stay, prepare a new reference.",
            )
        )
    if codes & {"unreadable", "incomplete"}:
        found.append(("Have the file written again: it is damaged or was cut off.",))
    if "model_failed" in codes:
        found.append(("Run the model on this batch by hand; its message is in the findings.",))
    if run.results:
        found.append(("The other columns were tested; their results below are valid.",))
    return found or [("Read the findings below; the schema alarm clears when they are gone.",)]


def _after_error(_run: Run) -> list[Phrase]:
    return [
        ("Read the daemon's log at the time of this check; the reason is repeated there.",),
        ("If memory or time ran out, raise ", Name("limits"), " or lower ", Name("max_rows"), "."),
    ]


_ADVICE: dict[Verdict, Callable[[Run], list[Phrase]]] = {
    "shift": _after_shift,
    "no_shift": _after_no_shift,
    "insufficient_data": _after_insufficient,
    "invalid_data": _after_invalid,
    "error": _after_error,
}
