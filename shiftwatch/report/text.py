"""A run for the terminal and for Markdown.

In:    Runs.
Out:   one line, a table, or a Markdown text.
Never: lets a name move the cursor, colour the screen or break a table.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from shiftwatch.report.phrase import (
    Phrase,
    cut,
    effect_text,
    interval_text,
    p_text,
    plain,
    plural,
    said,
    visible,
    when,
)
from shiftwatch.report.ranking import JOINT, ranked
from shiftwatch.report.sentence import (
    SCOPE_NOUNS,
    advice,
    alarm_phrase,
    crossed,
    evidence_text,
    faults_phrase,
    verdict_phrase,
    verdict_sentence,
)
from shiftwatch.values import SKIP_REASONS, Decision, Run, Scope, TwoSampleResult, Verdict

_LABELS: dict[Verdict, tuple[str, str]] = {
    "shift": ("SHIFT", "1;31"),
    "no_shift": ("no shift", "32"),
    "insufficient_data": ("too few", "33"),
    "invalid_data": ("INVALID", "1;35"),
    "error": ("ERROR", "1;31"),
}
_SCOPES: tuple[Scope, ...] = ("input", "prediction")
_NAME_WIDTH = 28
_MARKUP = re.compile(r"([\\`*_{}\[\]<>&|#~])")

_Row = tuple[str, ...]


# --- one line ----------------------------------------------------------------------------------


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
        return "; ".join(f"{d.scope}: {_bare(d.columns)}" for d in moved)
    latched = any(d.alarm and d.scope != "schema" for d in run.decisions)
    parts = (_reason(run), "alarm still on" if latched else "")
    return "  ".join(part for part in parts if part)


def _reason(run: Run) -> str:
    judged = [(d.p_value, d.level) for d in run.decisions if d.p_value is not None]
    if run.verdict == "no_shift":
        p_value, level = (p_text(value) for value in min(judged, default=(1.0, 0.0)))
        return f"p {p_value}  (level {level})" if judged else ""
    faults = plain(faults_phrase(run)) if run.verdict == "invalid_data" else ""
    return faults or (said(run.reasons[0]) if run.reasons else verdict_sentence(run))


def _bare(names: Sequence[str]) -> str:
    return ", ".join(cut(visible(name), _NAME_WIDTH) for name in names) or "columns together"


# --- a table for the terminal ------------------------------------------------------------------


def table(run: Run, most: int = 40) -> str:
    """The run as aligned plain text: sentence, alarms, results, what was not tested.

    Parameters
    ----------
    run
        A judged batch.
    most
        Columns shown at most in each scope, the strongest evidence first.
    """
    blocks = [verdict_sentence(run)]
    rows = _result_rows(run, most)
    if rows:
        heading = ("target", "test", "p-value", "effect", "95 % interval", "rows", "")
        blocks.append(_aligned([heading, *rows], right=(2, 3)))
    blocks += _left_out(run, most)
    blocks.append("\n".join(f"{f.severity}: {_finding(f.column, f.message)}" for f in run.findings))
    blocks.append("\n".join(_skip_lines(run)))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _result_rows(run: Run, most: int) -> list[_Row]:
    rows: list[_Row] = []
    for scope in _SCOPES:
        joint = [r for r in run.results if r.scope == scope and r.target == JOINT]
        rows += [_row(f"all {SCOPE_NOUNS[scope]}", result, named=False) for result in joint]
        for column in ranked(run, scope)[:most]:
            name = cut(visible(column.name), _NAME_WIDTH)
            rows += [_row(name, result, named=column.named) for result in column.results]
    return rows


def _row(name: str, result: TwoSampleResult, *, named: bool) -> _Row:
    return (
        name,
        cut(visible(result.test), _NAME_WIDTH),
        p_text(result.p_value),
        effect_text(result.effect),
        interval_text(result.effect_low, result.effect_high),
        f"{result.rows_reference:,} v {result.rows_current:,}",
        "moved" if named else "",
    )


def _aligned(rows: Sequence[_Row], right: Sequence[int]) -> str:
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.rjust(wide) if index in right else cell.ljust(wide)
            for index, (cell, wide) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join(lines)


def _left_out(run: Run, most: int) -> list[str]:
    counts = ((scope, len(ranked(run, scope)) - most) for scope in _SCOPES)
    return [
        f"and {plural(count, f'more {scope} column')} with weaker evidence"
        for scope, count in counts
        if count > 0
    ]


def _finding(column: str, message: str) -> str:
    return f"{cut(visible(column), _NAME_WIDTH)}: {said(message)}" if column else said(message)


def _skip_lines(run: Run) -> list[str]:
    groups: dict[tuple[str, str], list[str]] = {}
    for skip in run.skipped:
        target = f"all {SCOPE_NOUNS[skip.scope]}" if skip.target == JOINT else skip.target
        groups.setdefault((skip.test, skip.reason), []).append(target)
    return [
        f"not tested with {cut(visible(test), _NAME_WIDTH)}: {_few(targets)} "
        f"({said(SKIP_REASONS.get(reason, reason))})"
        for (test, reason), targets in groups.items()
    ]


def _few(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return _bare(names[:most]) + more


# --- Markdown ----------------------------------------------------------------------------------


def markdown(run: Run, most: int = 40) -> str:
    """The run as Markdown, for a ticket or a pull request.

    Parameters
    ----------
    run
        A judged batch.
    most
        Columns shown at most in each scope, the strongest evidence first.
    """
    facts = [f"batch {code_span(run.batch.id)}", plural(run.batch.rows, "row")]
    facts.append(f"judged {when(run.judged_at)} UTC")
    parts = [f"## {_marked(verdict_phrase(run))}", ", ".join(facts), _alarm_table(run)]
    steps = [f"{place}. {_marked(step)}" for place, step in enumerate(advice(run), 1)]
    parts.append("\n".join(steps))
    parts.append(_result_table(run, most))
    parts += _left_out(run, most)
    parts.append("\n".join(_finding_items(run)))
    parts.append("\n".join(f"- {_escaped(line)}" for line in _skip_lines(run)))
    return "\n\n".join(part for part in parts if part) + "\n"


def code_span(text: str) -> str:
    r"""A name as Markdown code, whatever it holds.

    Examples
    --------
    >>> print(code_span("a`b"), code_span("a|b"))
    ``a`b`` `a\|b`
    """
    shown = cut(visible(text)).replace("|", "\\|")
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    padded = f" {shown} " if shown.startswith("`") or shown.endswith("`") or not shown else shown
    return f"{fence}{padded}{fence}"


def _escaped(text: str) -> str:
    return _MARKUP.sub(r"\\\1", text)


def _marked(phrase: Phrase) -> str:
    return "".join(
        _escaped(piece) if isinstance(piece, str) else code_span(piece.text) for piece in phrase
    )


def _alarm_table(run: Run) -> str:
    rows = [
        f"| {SCOPE_NOUNS[d.scope]} | {_marked(alarm_phrase(d, run.batch.id))} | {_p_cell(d)} "
        f"| {evidence_text(d) if d.p_value is not None else ''} |"
        for d in run.decisions
        if d.scope != "performance" or d.alarm
    ]
    heading = ["| scope | alarm | corrected p-value | evidence |", "|---|---|--:|--:|"]
    return "\n".join([*heading, *rows]) if rows else ""


def _p_cell(decision: Decision) -> str:
    return _escaped(p_text(decision.p_value)) if decision.p_value is not None else ""


def _result_table(run: Run, most: int) -> str:
    rows = _result_rows(run, most)
    if not rows:
        return ""
    heading = ["| target | test | p-value | effect | 95 % interval | rows | |"]
    heading.append("|---|---|--:|--:|---|---|---|")
    lines = [
        f"| {code_span(name)} | " + " | ".join(_escaped(cell) for cell in cells) + " |"
        for name, *cells in rows
    ]
    return "\n".join([*heading, *lines])


def _finding_items(run: Run) -> list[str]:
    return [
        f"- **{f.severity}** "
        + (f"{code_span(f.column)}: " if f.column else "")
        + _escaped(said(f.message))
        for f in run.findings
    ]
