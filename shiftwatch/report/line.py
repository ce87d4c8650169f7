"""One batch as one line of the terminal.

In:    a Run.
Out:   a line that keeps its width.
Never: lets a name move the cursor or colour the screen.
"""

from __future__ import annotations

from collections.abc import Sequence

from shiftwatch.report.alarm import ratio_text
from shiftwatch.report.layers import crossed, latched, ratios
from shiftwatch.report.phrase import cut, p_text, plain, said, visible, when
from shiftwatch.report.sentence import faults_phrase, verdict_sentence
from shiftwatch.values import Decision, Run, Verdict

_LABELS: dict[Verdict, tuple[str, str]] = {
    "shift": ("SHIFT", "1;31"),
    "no_shift": ("no shift", "32"),
    "insufficient_data": ("too few", "33"),
    "invalid_data": ("INVALID", "1;35"),
    "error": ("ERROR", "1;31"),
}
NAME_WIDTH = 28
"""Characters of a name at most, where it stands in a line or a column."""


def run_line(run: Run, number: int, width: int = 100, *, colour: bool = False) -> str:
    """One batch as one line of the terminal.

    Parameters
    ----------
    run
        A judged batch.
    number
        Its place in the list.
    width
        Characters at most; the middle is cut, the verdict and the seconds are kept.
    colour
        Whether to colour the verdict with ANSI escapes, which do not count as width.
    """
    label, code = _LABELS[run.verdict]
    moment = when(run.batch.event_time_start or run.judged_at)
    rows = f"{run.batch.rows:,}"
    before = f"{number:>3}  {moment}  {rows:>6} rows  "
    after = f"  {run.cost.wall_seconds:.2f} s"
    room = max(width - len(before) - 9 - len(after), 0)
    detail = _clipped(_detail(run), room)
    shown = f"{label:<9}"
    if colour:
        shown = f"\x1b[{code}m{label}\x1b[0m{' ' * (9 - len(label))}"
    return f"{before}{shown}{detail:<{room}}{after}"


def _clipped(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: max(room - 1, 0)]}…"[:room]


def _detail(run: Run) -> str:
    if run.verdict == "shift":
        moved = [d for d in run.decisions if crossed(d)]
        return "; ".join(f"{d.scope}{_by(d)}: {bare(d.columns)}" for d in moved)
    smaller = any(finding.code == "degraded" for finding in run.findings)
    parts = (
        "made smaller" if smaller else "",
        _reason(run),
        "alarm still on" if latched(run) else "",
    )
    return "  ".join(part for part in parts if part)


def _by(decision: Decision) -> str:
    """The layers past the single check, where it did not cross."""
    layers = crossed(decision)
    return "" if "check" in layers else f" by {' and '.join(layers)}"


def _reason(run: Run) -> str:
    if run.verdict == "no_shift":
        return _nearest(run)
    faults = plain(faults_phrase(run)) if run.verdict == "invalid_data" else ""
    return faults or (said(run.reasons[0]) if run.reasons else verdict_sentence(run))


def _nearest(run: Run) -> str:
    """How near an alarm a quiet batch came: its p-value, or the layer with more evidence."""
    found = max(((ratio, layer) for d in run.decisions for layer, ratio in ratios(d)), default=None)
    if found is not None and found[1] != "check":
        return f"evidence {ratio_text(found[0])} of 1, {found[1]}"
    judged = [(d.p_value, d.level) for d in run.decisions if d.p_value is not None]
    p_value, level = (p_text(value) for value in min(judged, default=(1.0, 0.0)))
    return f"p {p_value}  (level {level})" if judged else ""


def bare(names: Sequence[str]) -> str:
    """Names without marks, for a place where every character counts."""
    return ", ".join(cut(visible(name), NAME_WIDTH) for name in names) or "columns together"
