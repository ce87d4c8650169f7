"""`shiftwatch compare`: two Parquet files or folders, judged once.

In:    paths and options as they were typed.
Out:   a Run; its report in any format.
Never: prints; needs a configuration.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from shiftwatch import comparing
from shiftwatch.contrast import compare_files
from shiftwatch.progress import Listener
from shiftwatch.report import csv_table, markdown, render_html
from shiftwatch.settings import AlarmSettings, FeatureSettings, ModelSettings
from shiftwatch.values import Run


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed."""

    reference: str
    current: str
    model: str | None = None
    categorical: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    tolerance: float | None = None
    seed: int = 0


def compared(asked: Asked, listener: Listener) -> Run:
    """Judge the current side.

    Raises
    ------
    ShiftwatchError
        If an option is wrong, or a side cannot be read.
    """
    settings = ModelSettings(
        name="compare",
        reference=asked.reference,
        batches=asked.current,
        model=asked.model,
        categorical=asked.categorical,
        features=FeatureSettings(asked.include, asked.exclude),
        tests=comparing.tests_of(asked.tests or None),
        tolerance=comparing.tolerance_of(asked.tolerance),
    )
    run = compare_files(settings, alarms=AlarmSettings(), seed=asked.seed, listener=listener)
    sides = {"reference": _name(asked.reference), "current": _name(asked.current)}
    return replace(run, explanation={**run.explanation, "comparison": sides})


def _name(path: str) -> str:
    return Path(path).name or path


def rendered(run: Run, form: Literal["html", "markdown", "csv"]) -> str:
    """The report as a page, as Markdown or as CSV."""
    if form == "csv":
        return csv_table(run)
    return markdown(run) if form == "markdown" else render_html(run)
