"""The verdict in words.

In:    a Run.
Out:   phrases; no number in them that is not in the run.
Never: judges anew; claims that nothing moved when nothing could be tested.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shiftwatch.report.layers import (
    LAYER_NAMES,
    below_tolerance,
    crossed,
    decision_of,
    latched,
    ratios,
)
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


def _shift(run: Run) -> Phrase:
    moved = {decision.scope: decision for decision in run.decisions if crossed(decision)}
    if "input" in moved:
        return (
            *_where("inputs", run, moved["input"]),
            *_movers(moved["input"]),
            *and_predictions(run),
            ".",
        )
    if "prediction" in moved:
        return (
            *_where("predictions", run, moved["prediction"]),
            *_movers(moved["prediction"]),
            *beside(run, "input", "inputs"),
            ".",
        )
    return (f"Shift in {said(run.model)}.",)


HOW = {
    ("window",): ", seen in the last batches together",
    ("pool",): ", built up over past batches",
    ("window", "pool"): ", seen in the last batches together and built up over past ones",
}
"""How a shift was found that this batch alone does not show."""


def _where(noun: str, run: Run, decision: Decision) -> Phrase:
    return (f"Shift in the {noun} of {said(run.model)}{HOW.get(crossed(decision), '')}: ",)


def _movers(decision: Decision) -> Phrase:
    if not decision.columns:
        return ("the columns moved together, none stands out alone",)
    return (*listed(decision.columns), " moved")


def and_predictions(run: Run) -> Phrase:
    """What is to be said of the predictions beside inputs that moved."""
    decision = decision_of(run, "prediction")
    if decision is not None and crossed(decision):
        return (f"; predictions moved too{HOW.get(crossed(decision), '')}",)
    if _judged(run, "prediction"):
        return beside(run, "prediction", "predictions")
    watched = any(skip.scope == "prediction" for skip in run.skipped)
    return ("; predictions could not be tested",) if watched else ()


def beside(run: Run, scope: Scope, noun: str) -> Phrase:
    """What is to be said of a scope in which nothing crossed; empty where it was not judged."""
    if not _judged(run, scope):
        return ()
    decision = decision_of(run, scope)
    if decision is not None and decision.alarm:
        return (f"; the alarm of the {noun} is still on",)
    return (f"; {noun} show no shift",)


def _judged(run: Run, scope: Scope) -> bool:
    decision = decision_of(run, scope)
    return decision is not None and decision.p_value is not None


def _no_shift(run: Run) -> Phrase:
    rows = plural(run.batch.rows, "row")
    still = [SCOPE_NOUNS[decision.scope] for decision in latched(run)]
    ending = f"; the alarm of the {' and the '.join(still)} is still on." if still else "."
    if below_tolerance(run):
        text = f"No shift that matters in {rows}: what differs is within the tolerance"
    elif still:
        text = f"No new shift in {rows}"
    else:
        told = _strongest([d for d in run.decisions if d.p_value is not None])
        text = f"No shift found in {rows}{told}"
    return (f"{text}{ending}",)


def _strongest(judged: Sequence[Decision]) -> str:
    """How near an alarm the batch came."""
    if not judged:
        return ""
    found = [(ratio, layer) for d in judged for layer, ratio in ratios(d) if ratio < 1]
    ratio, layer = max(found, default=(0.0, "check"))
    if layer != "check":
        return (
            f"; the strongest evidence, {LAYER_NAMES[layer]}, is {ratio:.2f} of what an alarm needs"
        )
    smallest = min(judged, key=lambda d: (d.p_value or 0.0, d.level))
    whose = " of this batch alone" if len(ratios(smallest)) > 1 else ""
    p_value, level = p_text(smallest.p_value or 0.0), p_text(smallest.level)
    return f"; the smallest corrected p-value is {p_value}, an alarm{whose} needs {level}"


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
        "duplicate_column": (*column, " is there more than once"),
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
