"""A run as a table for the terminal, and as Markdown.

In:    a Run.
Out:   text of several lines.
Never: lets a name move the cursor, colour the screen or break a table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from shiftwatch.price import DayCost
from shiftwatch.report.advice import advice
from shiftwatch.report.alarm import (
    alarm_phrase,
    also_phrase,
    clearing_phrase,
    ratio_text,
    why_phrase,
)
from shiftwatch.report.details import effective_rows, movement, outlook
from shiftwatch.report.layers import (
    LAYER_NAMES,
    crossed,
    doubts,
    held_back,
    other_findings,
    ratios,
)
from shiftwatch.report.lead import lead
from shiftwatch.report.line import NAME_WIDTH, bare
from shiftwatch.report.loose import comparison
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
    verdict_phrase,
    verdict_sentence,
)
from shiftwatch.report.spending import energy_meaning, parts_lines, spending
from shiftwatch.report.timeline import Word, words_about
from shiftwatch.values import SKIP_REASONS, Decision, Finding, Run, Scope, TwoSampleResult

_SCOPES: tuple[Scope, ...] = ("input", "prediction")
_MARKUP = re.compile(r"([\\`*_{}\[\]<>&|#~])")

_Row = tuple[str, ...]


# --- a table for the terminal ------------------------------------------------------------------


def table(run: Run, most: int = 40, *, day: DayCost | None = None) -> str:
    """The run as aligned plain text: sentence, alarms, results, what was not tested.

    Parameters
    ----------
    run
        A judged batch.
    most
        Columns shown at most in each scope, the strongest evidence first.
    day
        What the day up to it cost, where that is known.
    """
    blocks = [verdict_sentence(run), " ".join(map(plain, lead(run)))]
    blocks += [_lines(map(_doubt, doubts(run))), *_scope_blocks(run)]
    rows = _result_rows(run, most)
    if rows:
        heading = ("target", "test", "p-value", "effect", "95 % interval", "rows", "")
        blocks.append(_aligned([heading, *rows], right=(2, 3)))
    blocks += _left_out(run, most)
    blocks.append(_lines(_movements(run, most)))
    blocks.append(
        _lines(f"{f.severity}: {_finding(f.column, f.message)}" for f in other_findings(run))
    )
    blocks.append(_lines(_skip_lines(run)))
    blocks.append(_lines(outlook(run)))
    blocks.append(_lines(_cost_lines(run, day)))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _lines(texts: Iterable[str]) -> str:
    return "\n".join(texts)


def _doubt(finding: Finding) -> str:
    return f"The promise on false alarms cannot be shown to hold: {said(finding.message)}."


def _scope_blocks(run: Run) -> list[str]:
    """Alarm, layers and evidence of each scope; then what is to be said of them in words."""
    judged = [d for d in run.decisions if ratios(d) or d.alarm]
    if not judged:
        return []
    present = {layer for decision in judged for layer, _ in ratios(decision)}
    layers = [layer for layer in LAYER_NAMES if layer in present]
    heading = ("scope", "alarm", *layers, "(evidence: 1 raises the alarm)" if layers else "")
    rows = [
        (
            SCOPE_NOUNS[d.scope],
            "on" if d.alarm else "off",
            *(ratio_text(dict(ratios(d)).get(layer)) for layer in layers),
            "",
        )
        for d in judged
    ]
    right = range(2, 2 + len(layers))
    return [_aligned([heading, *rows], right), _lines(_scope_lines(run, judged))]


def _scope_lines(run: Run, judged: Sequence[Decision]) -> Iterator[str]:
    for decision in judged:
        since = alarm_phrase(decision, run.batch.id) if decision.alarm else ()
        told = (plain((*since, ".")) if since else "", *map(plain, _reasons(decision, run)))
        text = " ".join(part for part in told if part)
        if text:
            yield f"{SCOPE_NOUNS[decision.scope]}: {text}"


def _reasons(decision: Decision, run: Run) -> tuple[Phrase, ...]:
    """Why an alarm is on, what will clear it, and what else is moving; each may be empty."""
    why = why_phrase(decision, run.batch.id)
    return (why, clearing_phrase(decision), also_phrase(decision))


def _movements(run: Run, most: int) -> Iterator[str]:
    """How far the columns that moved did so."""
    for scope in _SCOPES:
        for column in (c for c in ranked(run, scope)[:most] if c.named or c.also):
            for text in filter(None, map(movement, column.results)):
                yield f"{cut(visible(column.name), NAME_WIDTH)}: {text}"


def _result_rows(run: Run, most: int) -> list[_Row]:
    rows: list[_Row] = []
    held = held_back(run)
    for scope in _SCOPES:
        joint = [r for r in run.results if r.scope == scope and r.target == JOINT]
        rows += [_row(f"all {SCOPE_NOUNS[scope]}", r, _mark(r, held)) for r in joint]
        for column in ranked(run, scope)[:most]:
            name = cut(visible(column.name), NAME_WIDTH)
            word = "moved" if column.named else "also moving" if column.also else ""
            rows += [_row(name, r, word or _mark(r, held)) for r in column.results]
    return rows


def _mark(result: TwoSampleResult, held: Sequence[TwoSampleResult]) -> str:
    return "within tolerance" if result in held else ""


def _row(name: str, result: TwoSampleResult, mark: str) -> _Row:
    effective = effective_rows(result)
    fewer = f" (effective {effective[0]:,} v {effective[1]:,})" if effective else ""
    return (
        name,
        cut(visible(result.test), NAME_WIDTH),
        p_text(result.p_value),
        effect_text(result.effect),
        interval_text(result.effect_low, result.effect_high),
        f"{result.rows_reference:,} v {result.rows_current:,}{fewer}",
        mark,
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
    return f"{cut(visible(column), NAME_WIDTH)}: {said(message)}" if column else said(message)


def _skip_lines(run: Run) -> list[str]:
    groups: dict[tuple[str, str], list[str]] = {}
    for skip in run.skipped:
        target = f"all {SCOPE_NOUNS[skip.scope]}" if skip.target == JOINT else skip.target
        groups.setdefault((skip.test, skip.reason), []).append(target)
    return [
        f"not tested with {cut(visible(test), NAME_WIDTH)}: {_few(targets)} "
        f"({said(SKIP_REASONS.get(reason, reason))})"
        for (test, reason), targets in groups.items()
    ]


def _cost_lines(run: Run, day: DayCost | None) -> list[str]:
    told = spending(run, day)
    if not told:
        return []
    assumed = energy_meaning(run.cost)
    return [*told, *parts_lines(run.cost), *([f"Energy is {assumed}."] if assumed else [])]


def _few(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return bare(names[:most]) + more


# --- Markdown ----------------------------------------------------------------------------------


def markdown(
    run: Run, most: int = 40, *, day: DayCost | None = None, words: Sequence[Word] = ()
) -> str:
    """The run as Markdown, for a ticket or a pull request.

    Parameters
    ----------
    run
        A judged batch.
    most
        Columns shown at most in each scope, the strongest evidence first.
    day
        What the day up to it cost, where that is known.
    words
        Of operators; those about the time of the batch are told.
    """
    facts = [*_sides(run), plural(run.batch.rows, "row")]
    facts.append(f"judged {when(run.judged_at)} UTC")
    parts = [f"## {_marked(verdict_phrase(run))}", " ".join(map(_marked, lead(run)))]
    parts.append(", ".join(facts))
    parts.append(_lines(f"- {_escaped(text)}" for text in words_about(run, words)))
    parts += [f"> {_escaped(_doubt(finding))}" for finding in doubts(run)]
    parts += [_alarm_table(run), _lines(_alarm_items(run))]
    steps = [f"{place}. {_marked(step)}" for place, step in enumerate(advice(run), 1)]
    parts.append(_lines(steps))
    parts.append(_result_table(run, most))
    parts += _left_out(run, most)
    parts.append(_lines(f"- {_escaped(line)}" for line in _movements(run, most)))
    parts.append(_lines(_finding_items(run)))
    parts.append(_lines(f"- {_escaped(line)}" for line in _skip_lines(run)))
    parts += [_escaped(text) for text in outlook(run)]
    parts.append(_lines(f"- {_escaped(line)}" for line in _cost_lines(run, day)))
    return "\n\n".join(part for part in parts if part) + "\n"


def _sides(run: Run) -> tuple[str, ...]:
    """What was compared."""
    sides = comparison(run)
    if not sides:
        return (f"batch {code_span(run.batch.id)}",)
    return (f"{code_span(sides['current'])} held against {code_span(sides['reference'])}",)


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
        f"| {SCOPE_NOUNS[d.scope]} | {_marked(alarm_phrase(d, run.batch.id))} "
        f"| {_escaped(', '.join(crossed(d)))} | {_p_cell(d)} | {_ratio_cells(d)} |"
        for d in run.decisions
        if d.scope != "performance" or d.alarm
    ]
    heading = [
        "| scope | alarm | crossed by | corrected p-value | check | window | pool |",
        "|---|---|---|--:|--:|--:|--:|",
    ]
    return _lines([*heading, *rows]) if rows else ""


def _ratio_cells(decision: Decision) -> str:
    found = dict(ratios(decision))
    return " | ".join(ratio_text(found.get(layer)) for layer in LAYER_NAMES)


def _alarm_items(run: Run) -> Iterator[str]:
    for decision in run.decisions:
        text = " ".join(_marked(phrase) for phrase in _reasons(decision, run) if phrase)
        if text:
            yield f"- {SCOPE_NOUNS[decision.scope]}: {text}"


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
        for f in other_findings(run)
    ]
