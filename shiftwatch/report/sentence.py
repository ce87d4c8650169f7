"""The verdict, the state of the alarm and what to do next, in words.

In:    a Run.
Out:   phrases; no number in them that is not in the run.
Never: judges anew; claims that nothing moved when nothing could be tested.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

from shiftwatch.report.phrase import Name, Phrase, listed, p_text, plain, plural, said
from shiftwatch.values import Decision, Finding, Run, Scope, Verdict

MIN_ROWS = 10
"""Rows below which no test runs whatever is configured; ``twosample.protocol`` has the reason."""

SCOPE_NOUNS: dict[Scope, str] = {
    "input": "inputs",
    "prediction": "predictions",
    "schema": "schema",
    "performance": "performance",
}

VERDICT_LABELS: dict[Verdict, str] = {
    "shift": "Shift",
    "no_shift": "No shift",
    "insufficient_data": "Not enough data",
    "invalid_data": "Invalid data",
    "error": "Error",
}


def verdict_sentence(run: Run) -> str:
    """The verdict in one line of plain text."""
    return plain(verdict_phrase(run))


def verdict_phrase(run: Run) -> Phrase:
    """The verdict as a person would say it."""
    return _VERDICTS[run.verdict](run)


def crossed(decision: Decision) -> bool:
    """Whether the evidence of this batch alone reaches the level of the check."""
    return decision.p_value is not None and decision.p_value <= decision.level


def decision_of(run: Run, scope: Scope) -> Decision | None:
    """The decision on a scope, None if there is none."""
    return next((decision for decision in run.decisions if decision.scope == scope), None)


def _shift(run: Run) -> Phrase:
    moved = {decision.scope: decision for decision in run.decisions if crossed(decision)}
    if "input" in moved:
        return (
            f"Shift in the inputs of {said(run.model)}: ",
            *_movers(moved["input"]),
            *_and_predictions(run, "prediction" in moved),
            ".",
        )
    if "prediction" in moved:
        ending = "; inputs show no shift." if _judged(run, "input") else "."
        return (
            f"Shift in the predictions of {said(run.model)}: ",
            *_movers(moved["prediction"]),
            ending,
        )
    return (f"Shift in {said(run.model)}.",)


def _movers(decision: Decision) -> Phrase:
    if not decision.columns:
        return ("the columns moved together, none stands out alone",)
    return (*listed(decision.columns), " moved")


def _and_predictions(run: Run, moved: bool) -> Phrase:
    if moved:
        return ("; predictions moved too",)
    if _judged(run, "prediction"):
        return ("; predictions show no shift",)
    watched = any(skip.scope == "prediction" for skip in run.skipped)
    return ("; predictions could not be tested",) if watched else ()


def _judged(run: Run, scope: Scope) -> bool:
    decision = decision_of(run, scope)
    return decision is not None and decision.p_value is not None


def _no_shift(run: Run) -> Phrase:
    rows = plural(run.batch.rows, "row")
    if below_tolerance(run):
        return (f"No shift that matters in {rows}: what differs is smaller than the tolerance.",)
    judged = [(d.p_value, d.level) for d in run.decisions if d.p_value is not None]
    if not judged:
        return (f"No shift found in {rows}.",)
    p_value, level = (p_text(value) for value in min(judged))
    smallest = f"the smallest corrected p-value is {p_value}, an alarm needs {level}"
    return (f"No shift found in {rows}; {smallest}.",)


def below_tolerance(run: Run) -> bool:
    """Whether a result would have raised the alarm had its effect been large enough to matter.

    A p-value times a bound on what the correction can multiply it with is at most the level, and
    still the scope stayed quiet: only the tolerance explains that.
    """
    sizes = Counter((r.scope, r.test) for r in run.results)
    sizes.update((s.scope, s.test) for s in run.skipped)
    factor = len(sizes) * max(sizes.values(), default=1)
    for decision in run.decisions:
        own = [r.p_value for r in run.results if r.scope == decision.scope]
        if own and not crossed(decision) and min(own) * factor <= decision.level:
            return True
    return False


def _insufficient(run: Run) -> Phrase:
    rows = run.batch.rows
    if run.reasons:
        reason = said(run.reasons[0]).replace(" rows of at least ", " of at least ")
        return (f"Not enough rows to judge: {reason}.",)
    if rows < MIN_ROWS:
        return (f"Not enough rows to judge: {rows:,} of at least {MIN_ROWS}.",)
    return (f"Not enough to judge: no test could run on {plural(rows, 'row')}.",)


def _invalid(run: Run) -> Phrase:
    faults = faults_phrase(run)
    beginning = "This batch cannot be judged as it should"
    return (f"{beginning}: ", *faults, ".") if faults else (f"{beginning}.",)


def faults_phrase(run: Run) -> Phrase:
    """The first fault of the data and how many more there are; empty if there is none."""
    faults = [finding for finding in run.findings if finding.severity == "invalid"]
    if not faults:
        return ()
    more = (f", and {plural(len(faults) - 1, 'more fault')}",) if len(faults) > 1 else ()
    return (*_fault(faults[0]), *more)


def _fault(finding: Finding) -> Phrase:
    column = ("column ", Name(finding.column))
    by_code: dict[str, Phrase] = {
        "missing_column": (*column, " is missing"),
        "changed_type": (*column, " changed its type"),
        "unreadable": ("the file cannot be read",),
        "incomplete": ("the file was never finished",),
        "model_failed": ("the model refused it",),
    }
    return by_code.get(finding.code, (said(finding.message) or "see the findings",))


def _error(run: Run) -> Phrase:
    failed = sum(skip.reason == "test_failed" for skip in run.skipped)
    if failed and run.results:
        stopped = plural(failed, "test")
        ending = "stopped with an error; what did run shows no shift."
        return (f"The check is incomplete: {stopped} {ending}",)
    return ("The check failed, so nothing is known about this batch.",)


_VERDICTS: dict[Verdict, Callable[[Run], Phrase]] = {
    "shift": _shift,
    "no_shift": _no_shift,
    "insufficient_data": _insufficient,
    "invalid_data": _invalid,
    "error": _error,
}


# --- the alarm ---------------------------------------------------------------------------------


def alarm_phrase(decision: Decision, batch_id: str) -> Phrase:
    """The latched alarm of one scope after this batch."""
    if decision.raised or (decision.alarm and decision.since == batch_id):
        return ("Alarm raised by this batch",)
    if decision.alarm and decision.since:
        return ("Alarm on since batch ", Name(decision.since))
    if decision.alarm:
        return ("Alarm on",)
    return ("Alarm cleared by this batch",) if decision.cleared else ("No alarm",)


def evidence_phrase(decision: Decision) -> Phrase:
    """What this batch alone says of one scope."""
    if decision.scope == "schema":
        if not decision.alarm:
            return ("No fault in columns or types.",)
        named = (": ", *listed(decision.columns), ".") if decision.columns else (".",)
        return ("A fault of the data itself, no statistics", *named)
    if decision.p_value is None:
        return ("Not judged in this batch.",)
    relation = "reaches" if crossed(decision) else "stays above"
    return (f"{relation} the level {p_text(decision.level)}",)


# --- what to do next ---------------------------------------------------------------------------


def advice(run: Run) -> tuple[Phrase, ...]:
    """What to do next, the most useful first."""
    return (*_about_earlier_alarms(run), *_ADVICE[run.verdict](run))


def _about_earlier_alarms(run: Run) -> list[Phrase]:
    if run.verdict == "shift" or not _latched(run):
        return []
    since = next((d.since for d in run.decisions if d.scope != "schema" and d.since), None)
    where = (" The report of batch ", Name(since), " says what moved.") if since else ()
    return [("An alarm is still on and clears by itself after several quiet checks.", *where)]


def _latched(run: Run) -> bool:
    return any(d.alarm and d.scope != "schema" for d in run.decisions)


def _after_shift(run: Run) -> list[Phrase]:
    movers = [name for d in run.decisions if crossed(d) for name in d.columns]
    found: list[Phrase] = []
    broken = _pipeline_suspects(run)
    if broken:
        found.append(
            (
                "Check the pipeline that fills ",
                *listed(broken),
                ": nulls or categories changed there, which is more often a fault than a trend.",
            )
        )
    if movers:
        found.append(
            (
                "Look at ",
                *listed(movers),
                " first; the tables rank columns by evidence.",
            )
        )
    else:
        found.append(("Look at the joint tests: they rank the columns by their part in it.",))
    found.append(_about_predictions(run))
    if _schema_alarm(run):
        found.append(("Mend the data faults below as well; they hide columns from the tests.",))
    found.append(("If the change is meant to last, prepare a new reference from recent data.",))
    return [phrase for phrase in found if phrase]


def _pipeline_suspects(run: Run) -> list[str]:
    named = {(d.scope, name) for d in run.decisions if crossed(d) for name in d.columns}
    level = max((d.level for d in run.decisions), default=0.0)
    suspects = [
        r.target
        for r in run.results
        if r.test in {"nulls", "unseen"}
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
    return ("Predictions show no shift, so what the model answers may not suffer; keep watching.",)


def _schema_alarm(run: Run) -> bool:
    decision = decision_of(run, "schema")
    return decision is not None and decision.alarm


def _after_no_shift(run: Run) -> list[Phrase]:
    if below_tolerance(run):
        return [
            ("Nothing to do, unless so small a change matters: then lower ", Name("tolerance"), ".")
        ]
    return [
        (
            "" if _latched(run) else "Nothing to do. ",
            "A shift as small as the effects' intervals in the tables could still be there; ",
            "larger batches make them narrower.",
        )
    ]


def _after_insufficient(_run: Run) -> list[Phrase]:
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


def evidence_text(decision: Decision) -> str:
    """Evidence over its threshold as text, empty where there is none."""
    ratio = decision.evidence.check
    if ratio is None or math.isnan(ratio):
        return ""
    return f"{ratio + 0.0:.2f}"
