"""Judge one file in this process, as the worker does: request in, run out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from shiftwatch.check import answer
from shiftwatch.demo import MODEL_PATH
from shiftwatch.demo.generator import write_reference
from shiftwatch.requests import Check, Checked, Context, Inspect
from shiftwatch.settings import (
    AlarmSettings,
    ChiSquareSettings,
    ClassifierSettings,
    ColumnSettings,
    KsSettings,
    MmdSettings,
    ModelSettings,
    TestsSettings,
)
from shiftwatch.source.listing import list_folder
from shiftwatch.source.plan import batch_id
from shiftwatch.values import Batch, FileFacts, Piece, Run, Skipped, TwoSampleResult

SMALL_TESTS = TestsSettings(
    ks=KsSettings(),
    chi2=ChiSquareSettings(max_draws=999),
    mmd=MmdSettings(permutations=99, features=32),
    c2st=ClassifierSettings(permutations=99),
)
"""Every test, at its smallest."""

JUDGED_AT = 1793718030.25


def demo_context(folder: Path, rows: int = 600) -> Context:
    """The demo's model and reference, with a cache, below ``folder``."""
    write_reference(folder / "reference.parquet", rows)
    settings = ModelSettings(
        name="churn",
        model=str(MODEL_PATH),
        reference=str(folder / "reference.parquet"),
        batches=str(folder),
        columns=ColumnSettings(time="event_time", label="churned"),
        tests=SMALL_TESTS,
    )
    return Context(settings, AlarmSettings(), 7, str(folder / "cache"), "c0" * 32)


def facts_of(path: Path) -> FileFacts:
    facts = answer(Inspect(list_folder(str(path)), None))
    assert isinstance(facts, tuple)
    first = facts[0]
    assert isinstance(first, FileFacts)
    return first


def batch_of(path: Path, identity: str | None = None) -> Batch:
    """The whole file as a batch; the identity follows from its bytes unless one is given."""
    facts = facts_of(path)
    pieces = (Piece(facts.uri, facts.size, facts.sha256, 0, facts.rows),)
    return Batch(identity or batch_id(pieces), pieces, facts.rows, fault=facts.fault)


def judged(context: Context, batch: Batch, state: str | None = None) -> Checked:
    checked = answer(Check(context, batch, state, JUDGED_AT))
    assert isinstance(checked, Checked)
    return checked


def without_cost(run: Run) -> Run:
    """What two machines, and two tries, must agree on."""
    return replace(run, cost=Run("", run.batch, "error", 0.0).cost)


def entries(run: Run) -> list[TwoSampleResult | Skipped]:
    return [*run.results, *run.skipped]
