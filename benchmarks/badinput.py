"""Answers to bad input, ours beside the peers': ``benchmarks/badinput.py``.

Nine batches that a pipeline produces sooner or later are judged by the real check, and the table of
`benchmarks/badinput.md` is written: our row from the runs, the peers' as we measured them in
November 2026. ``--check`` compares with the file instead, with status 1 if it differs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shiftwatch.check import answer
from shiftwatch.requests import Check, Checked, Context, Inspect
from shiftwatch.settings import AlarmSettings, ModelSettings, TestsSettings
from shiftwatch.source.listing import list_folder
from shiftwatch.source.plan import Cursor, plan
from shiftwatch.values import Run

TABLE = Path(__file__).parent / "badinput.md"

ROWS, REFERENCE_ROWS = 500, 2000

HARMLESS = ("no_nulls", "all_categories_known", "few_categories")
"""Reasons for a test not to run that say nothing of a bad input."""

PEERS = """\
| scipy loop, frouros KS | **X** p=nan, no drift | **X** nan, no drift | ok | e IndexError | **X** all nan, no drift | ok p | ok | ok drift | - |
| alibi KS | **X** nan, no drift | **X** nan | ok | e IndexError | e reshape | ok p | ok | ok | - |
| alibi MMD | **X** p=0 drift | **X** p=0 drift | ok | e TorchScript | e ZeroDivision | e ZeroDivision | **X** p=0 drift from one inf | p=0 | - |
| frouros MMD | **X** p=.0099 drift | **X** drift | ok | E | e | **X** drift from 1 row | **X** drift | drift | - |
| torchdrift MMD | **X** p=0 drift | **X** | ok | E | **X** empty = drift p=0 | **X** drift | **X** drift | drift | - |
| torchdrift KS | **X** ranks NaN as a value | drift | **X** constant column = drift p=0 (ties ignored) | E | e ZeroDivision | ok | ok | ok | - |
| hyppo MMD | E | E | ok | E | E | E | E | E | - |
| goodpoints CTT | **X** no drift | **X** no drift | ok | **X** no drift, no error | e ZeroDivision | **X** no drift | ok | **X** no drift | - |
| alibi C2ST LR | E | E | ok | e concatenation | e one class | e one class | E | E | - |
| alibi C2ST HistGB | ok (missing as value) | ok drift | ok | e | **X** p=nan, no drift | p=1 | ok | ok drift | - |
| evidently | drops NaN, no word | E | ok | E with one DataDefinition; **X** silently 5 of 6 columns with one per frame | E | answers | ok | **X** drops inf: KS p=.67, 0 columns drifted | ok drift |
| nannyml | drops | **X** nan, no alert | ok | E | E | answers (alert) | ok | ok alert | ok alert |
| whylogs | drops | **X** nan, no drift | ok | **X** column left out silently | **X** all nan, no drift | answers | ok | ok | ok drift (its chi2 treats the reference as exact: p 8e-8 where the two-sample test says 1e-5) |
| deepchecks | drops | **X** no drift | ok | E | E | E (< 10 samples) | ok | ok | ok drift |
| popmon | drops | e "two histogram column names" | ok; constant in the batch only: p=nan | E KeyError | E | answers | ok | ok | (not in its KS; other comparisons) |
"""
"""Rows of the peers, measured in November 2026."""


def table(rows: int, seed: int) -> pa.Table:
    """Three numbers, one of them the same in every row, and a text."""
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "x": rng.normal(size=rows),
            "y": rng.normal(size=rows),
            "k": np.full(rows, 7.0),
            "s": rng.choice(["basic", "plus", "family"], rows),
        }
    )


def _some(share: float, value: float | None) -> Callable[[pa.Table], pa.Table]:
    def change(batch: pa.Table) -> pa.Table:
        values = batch.column("x").to_pylist()
        count = round(share * len(values))
        return batch.set_column(0, "x", pa.array([value] * count + values[count:], pa.float64()))

    return change


def _unseen(batch: pa.Table) -> pa.Table:
    texts = ["student"] * 25 + batch.column("s").to_pylist()[25:]
    return batch.set_column(3, "s", pa.array(texts))


NAN, INFINITE = float("nan"), float("inf")

INPUTS: Mapping[str, tuple[str, Callable[[pa.Table], pa.Table]]] = {
    "NaN in 10 % of a batch column": ("x", _some(0.1, NAN)),
    "column all NaN": ("x", _some(1.0, NAN)),
    "constant in both": ("k", lambda batch: batch),
    "missing column": ("x", lambda batch: batch.drop_columns(["x"])),
    "empty batch": ("", lambda batch: batch.slice(0, 0)),
    "1 row": ("", lambda batch: batch.slice(0, 1)),
    "one inf": ("x", _some(1 / ROWS, INFINITE)),
    "half inf": ("x", _some(0.5, INFINITE)),
    "unseen category": ("s", _unseen),
}
"""By heading: the column that is to be spoken of, and what is done to a sound batch."""


def runs(folder: Path) -> dict[str, Run]:
    """Each input, judged as the daemon would have it judged."""
    batches = folder / "batches"
    batches.mkdir()
    pq.write_table(table(REFERENCE_ROWS, 0), folder / "reference.parquet")
    settings = ModelSettings(
        "bad",
        reference=str(folder / "reference.parquet"),
        batches=str(batches),
        tests=TestsSettings.all(),
    )
    context = Context(settings, AlarmSettings(), 0, str(folder / "cache"), "")
    return {name: _run(context, batches, change) for name, (_, change) in INPUTS.items()}


def _run(context: Context, batches: Path, change: Callable[[pa.Table], pa.Table]) -> Run:
    path = batches / "batch.parquet"
    pq.write_table(change(table(ROWS, 1)), path)
    facts = answer(Inspect(list_folder(str(path)), None))
    (batch,) = plan(facts, context.model.window, Cursor())  # type: ignore[arg-type]
    checked = answer(Check(context, batch, None, 0.0))
    assert isinstance(checked, Checked)
    return checked.run


def cell(run: Run, column: str) -> str:
    """What is said of a column, or of the batch where none is meant: ok, or E for a clear error."""
    if run.verdict == "insufficient_data":
        return f"E `{run.verdict}`: {run.reasons[0]}"
    told = [f"finding `{f.code}`" for f in run.findings if f.column == column]
    skipped = {s.reason for s in run.skipped if s.target == column} - {*HARMLESS}
    told += [f"skip `{reason}`" for reason in sorted(skipped - {f.code for f in run.findings})]
    if run.verdict == "shift":
        named = [r for r in run.results if r.target == column]
        strongest = min(named, key=lambda result: result.p_value)
        told.append(f"{strongest.test} p={strongest.p_value:.0e}")
    mark = "E" if run.verdict == "invalid_data" else "ok"
    return f"{mark} `{run.verdict}`: {', '.join(told)}"


def rendered(judged: Mapping[str, Run]) -> str:
    """The page with the table."""
    cells = [cell(run, INPUTS[name][0]) for name, run in judged.items()]
    lines = [
        "# Answers to bad input",
        "",
        (
            "Made by `benchmarks/badinput.py`; a test holds our row. ok = sensible answer, E = clear "
            "error, e = obscure error, **X = wrong and silent**. Peers: measured by us in November "
            "2026, as shipped. Each of our cells is one check with every test on: verdict, then what "
            "is said of the column; the other columns are tested all the same."
        ),
        "",
        f"| | {' | '.join(INPUTS)} |",
        "|-" * (len(INPUTS) + 1) + "|",
        f"| **shiftwatch** | {' | '.join(cells)} |",
        PEERS.strip(),
        "",
    ]
    return "\n".join(lines)


def page() -> str:
    """The page as it is now."""
    with tempfile.TemporaryDirectory(prefix="shiftwatch-badinput-") as name:
        return rendered(runs(Path(name)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare with the file only")
    made = page()
    if parser.parse_args().check:
        return int(TABLE.read_text(encoding="utf-8") != made)
    TABLE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
