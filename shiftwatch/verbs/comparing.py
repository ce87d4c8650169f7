"""`shiftwatch compare`: two files, folders or prefixes, judged once, for people and pipelines.

In:    paths and options as they were typed.
Out:   a Run; its report in any format; whether a pipeline may go on.
Never: prints; needs a configuration.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from shiftwatch.comparing.options import Options
from shiftwatch.contrast import compare_files, named
from shiftwatch.document import to_document
from shiftwatch.errors import ConfigError
from shiftwatch.progress import Listener
from shiftwatch.report import csv_table, markdown, render_html, table
from shiftwatch.settings import AlarmSettings
from shiftwatch.values import Run

JUDGED = ("shift", "no_shift")
"""Verdicts that answer the question."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed; one of ``tests`` may hold several names, and see :func:`tolerances`."""

    reference: str
    current: str
    model: str | None = None
    categorical: Sequence[str] = ()
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    tests: Sequence[str] = ()
    tolerance: Sequence[str] = ()
    seed: int = 0

    def options(self) -> Options:
        """As options of a comparison."""
        tests = [name.strip() for part in self.tests for name in part.split(",")]
        return Options(
            model=self.model,
            tests=tests or None,
            categorical=self.categorical,
            tolerance=tolerances(self.tolerance) or None,
            seed=self.seed,
            include=self.include,
            exclude=self.exclude,
        )


def tolerances(typed: Sequence[str]) -> dict[str, float]:
    """Numbers by test or column, as they were typed; the last word on a name holds.

    Raises
    ------
    ConfigError
        If one is no number.

    Examples
    --------
    >>> tolerances(["0.05", "ks=0.1", "a=b=0.2"])
    {'default': 0.05, 'ks': 0.1, 'a=b': 0.2}
    """
    told: dict[str, float] = {}
    for text in typed:
        name, _, number = text.rpartition("=")
        try:
            told[name or "default"] = float(number)
        except ValueError:
            hint = "write 0.05, or NAME=0.05 for a test or a column"
            raise ConfigError(f"--tolerance {text}: {number!r} is no number", hint=hint) from None
    return told


def compared(asked: Asked, listener: Listener) -> Run:
    """Judge the current side.

    Raises
    ------
    ShiftwatchError
        If an option is wrong, or a side cannot be read.
    """
    options = asked.options()
    settings = options.settings(asked.reference, asked.current)
    run = compare_files(settings, alarms=AlarmSettings(), seed=options.root(), listener=listener)
    return named(run, *sides(asked.reference, asked.current))


def sides(reference: str, current: str) -> tuple[str, str]:
    """Names of both sides: the last part of each path, or all of it where that is the same.

    Examples
    --------
    >>> sides("data/may.parquet", "data/june.parquet"), sides("may/a.parquet", "june/a.parquet")
    (('may.parquet', 'june.parquet'), ('may/a.parquet', 'june/a.parquet'))
    """
    short = (PurePath(reference).name or reference, PurePath(current).name or current)
    return (reference, current) if short[0] == short[1] else short


FORMS: Mapping[str, Callable[[Run], str]] = {
    "table": table,
    "json": lambda run: json.dumps(to_document(run), ensure_ascii=False),
    "html": render_html,
    "markdown": markdown,
    "csv": csv_table,
}


def rendered(run: Run, form: str) -> str:
    """The report in one of the ``FORMS``."""
    return FORMS[form](run)


def untold(run: Run) -> str:
    """Why the question has no answer, in a line; empty where it has one."""
    if run.verdict in JUDGED:
        return ""
    why = "; ".join(run.reasons) or "no test could be made"
    return f"{run.verdict.replace('_', ' ')}: {why}"
