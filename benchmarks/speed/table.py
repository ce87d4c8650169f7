"""Tables of what was measured: printed after a run, and written into README files.

In:    cases with their goals; stored figures.
Out:   rows of cells, the first the head; as Markdown or in columns.
Never: says that a goal is reached which was not measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.speed.harness import FLOOR, Case, Goal, Spread, shown, split_unit
from benchmarks.speed.peers import CELLS

Rows = list[tuple[str, ...]]
Stored = Mapping[str, Any]

_LIMIT = "limit_"
_NONE = "-"


def asked(cases: Sequence[Case], bench: Stored, peers: Stored) -> Rows:
    """Every goal, what was measured, and whether it is reached."""
    rows: Rows = [("work", "asked", "measured: median (least to greatest)", "reached")]
    for case in cases:
        known = _known(case.name, bench, peers)
        for goal in case.goals:
            found = known.get(goal.figure)
            rows.append((case.work, goal.text, *_verdict(goal, found, case.name, peers)))
    return rows


def _known(case: str, bench: Stored, peers: Stored) -> dict[str, Spread]:
    known = dict(bench.get(case, {}).get("figures", {}))
    for peer, cell in peers.get(case, {}).get("peers", {}).items():
        if "ratio" in cell["figures"]:
            known[f"{peer} ratio"] = cell["figures"]["ratio"]
    return known


def _verdict(goal: Goal, found: Spread | None, case: str, peers: Stored) -> tuple[str, str]:
    if found is None:
        peer, _ = split_unit(goal.figure)
        cell = peers.get(case, {}).get("peers", {}).get(peer, {})
        return cell.get("fault") or "not measured", _NONE
    unit = split_unit(goal.figure)[1]
    return _range(found, unit), "yes" if goal.reached(found) else "**no**"


def scipy(cases: Sequence[Case], bench: Stored) -> Rows:
    """CPU seconds of every case, of scipy's loop where there is one, and what else was measured."""
    rows: Rows = [("case", "CPU s", "scipy, CPU s", "ratio", "reference, CPU s", "besides")]
    for case in cases:
        found = bench.get(case.name, {}).get("figures")
        if found is None or case.name.startswith(_LIMIT):
            continue
        cells = [found.get(key) for key in ("seconds", "scipy seconds", "scipy ratio")]
        units = ("", "", "x")
        texts = [_range(each, unit) for each, unit in zip(cells, units, strict=True)]
        texts.append(_reference(found))
        rows.append((f"`{case.name}`", *texts, "; ".join(_besides(found)) or _NONE))
    return rows


def _reference(found: Mapping[str, Spread]) -> str:
    if "prepare seconds" not in found:
        return _NONE
    text = short(found["prepare seconds"]["median"])
    once = found.get("without a kept reference seconds")
    return text if once is None else f"{text}; with the check at once {short(once['median'])}"


def _besides(found: Mapping[str, Spread]) -> Iterator[str]:
    if "explain seconds" in found:
        yield f"{short(found['explain seconds']['median'])} s to explain"
    yield from _memory(found)


def _memory(found: Mapping[str, Spread]) -> Iterator[str]:
    for figure, values in found.items():
        if figure.endswith(" megabytes"):
            name, unit = split_unit(figure)
            yield f"{short(values['median'])}{unit} {name}"


def limits(cases: Sequence[Case], bench: Stored) -> Rows:
    """What a piece of work takes and what it cannot do without."""
    rows: Rows = [("one piece of work", "ours", "floor", "ours / floor")]
    for case in cases:
        found = bench.get(case.name, {}).get("figures")
        if found is not None and case.name.startswith(_LIMIT):
            keys = ("nanoseconds", f"{FLOOR} nanoseconds", f"{FLOOR} ratio")
            texts = [_range(found[key], split_unit(key)[1]) for key in keys]
            rows.append((case.work, *texts))
    return rows


def against(cases: Sequence[Case], peers: Stored) -> Rows:
    """Every peer in every case, beside ours in the same rounds."""
    head = ("case", "peer", "runs", "CPU s", "ours, CPU s", "ratio", "memory", "rounds")
    rows: Rows = [head]
    for case in cases:
        entry = peers.get(case.name, {"peers": {}})
        for peer, cell in CELLS.get(case.name, {}).items():
            told = entry["peers"].get(peer)
            if told is None:
                continue
            found = told["figures"]
            name = f"{shown(peer)} {told['version']}".strip()
            start = (f"`{case.name}`", name, cell.what)
            if told["fault"]:
                rows.append((*start, told["fault"], *[_NONE] * 4))
                continue
            mark = f", scaled from {told['scaled']}" if told["scaled"] else ""
            rows.append(
                (
                    *start,
                    _range(found["seconds"], "") + mark,
                    _range(found["ours seconds"], ""),
                    _range(found.get("ratio"), "x"),
                    "; ".join(_memory(found)) or _NONE,
                    str(told["rounds"]),
                )
            )
    return rows


def brief(figures: Mapping[str, Spread]) -> str:
    """Medians of all figures, for a line of progress."""
    parts = []
    for figure, values in figures.items():
        name, unit = split_unit(figure)
        if unit == " s" and "nanoseconds" in figures:
            continue  # said in nanoseconds
        parts.append(f"{name} {short(values['median'])}{unit}".strip())
    return ", ".join(parts)


def _range(found: Spread | None, unit: str) -> str:
    if found is None:
        return _NONE
    middle, low, high = (short(found[key]) for key in ("median", "min", "max"))
    if low == high:
        return f"{middle}{unit}"
    return f"{middle}{unit} ({low} to {high})"


def short(number: float) -> str:
    """Three digits, thousands separated.

    Examples
    --------
    >>> short(0.012345), short(12345.6), short(4.0)
    ('0.0123', '12,300', '4')
    """
    if abs(number) >= 1000:
        digits = len(str(int(abs(number))))
        return f"{round(number, 3 - digits):,.0f}"
    return f"{number:.3g}"


def markdown(rows: Rows) -> str:
    """As a Markdown table."""
    head, *body = rows
    lines = [head, tuple("---" for _ in head), *body]
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines
    )


def aligned(rows: Rows) -> str:
    """In columns, for a terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows)
    return "".join(line.rstrip() + "\n" for line in lines)
