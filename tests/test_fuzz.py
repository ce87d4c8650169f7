"""Fuzzing in short: `benchmarks/fuzz.py` does the same for as long as one likes."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from benchmarks import fuzz
from benchmarks.fuzzing import bombs, mutations, samples, tables
from benchmarks.fuzzing.judge import LIMITS, Judge, named
from shiftwatch.errors import WorkerError
from shiftwatch.settings import ByRows, KsSettings, ModelSettings, TestsSettings, WindowSettings
from shiftwatch.values import Run
from tests import sample_runs
from tests.streams import LONG_AGO
from tests.streams import judge as judge_folder

SEED = 20261125


@pytest.mark.slow
def test_any_table_against_any_reference_ends_in_a_named_outcome(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    judge = Judge(tmp_path_factory.mktemp("tables"))

    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(tables.files())
    def every_pair(pair: tuple[bytes, bytes]) -> None:
        reference, batch = (judge.write(data) for data in pair)
        assert judge.outcome(judge.context(reference), batch)

    try:
        every_pair()
    finally:
        judge.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["Parquet bytes", "ONNX bytes"])
def test_damaged_bytes_never_end_in_a_traceback(kind: str, tmp_path: Path) -> None:
    report = fuzz.fuzz(4.0, SEED, tmp_path / "kept", {kind: fuzz.KINDS[kind]})
    assert report["defects"] == []
    assert report["kinds"][kind]["tried"] > 20
    assert len(report["kinds"][kind]["outcomes"]) > 1


def _is_sound(uri: str) -> bool:
    return int(Path(uri).stem) % 3 == 0


@pytest.mark.slow
def test_a_folder_of_damaged_files_is_worked_off_once_and_the_sound_ones_are_judged(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(SEED)
    reference, batches = samples.table(rows=2000), tmp_path / "batches"
    batches.mkdir()
    pq.write_table(reference, tmp_path / "reference.parquet")
    writers = samples.parquet_files()
    for place in range(60):
        path = batches / f"{place:02}.parquet"
        if place % 3:
            path.write_bytes(samples.damaged_parquet(writers[place % len(writers)], rng))
        else:
            pq.write_table(reference.slice(place * 20, 120), path)
        os.utime(path, (LONG_AGO, LONG_AGO))
    (batches / "bomb.parquet").write_bytes(bombs.endless_rows())
    os.utime(batches / "bomb.parquet", (LONG_AGO, LONG_AGO))
    model = ModelSettings(
        "m",
        reference=str(tmp_path / "reference.parquet"),
        batches=str(batches),
        tests=TestsSettings(ks=KsSettings()),
        window=WindowSettings(by=ByRows(60)),
    )
    runs = judge_folder(tmp_path, model)
    assert Counter(run.verdict for run in runs)["error"] == 0
    judged = {Path(piece.uri).stem for run in runs for piece in run.batch.pieces}
    assert judged == {f"{place:02}" for place in range(60)} | {"bomb"}
    sound = [
        run
        for run in runs
        if not run.batch.fault and all(_is_sound(p.uri) for p in run.batch.pieces)
    ]
    # What a readable damaged file adds to the slow layers may raise an alarm beside a sound one.
    assert {run.verdict for run in sound} <= {"no_shift", "shift"}
    assert judge_folder(tmp_path, model) == []


OUTCOMES = {
    "sound": "shift",
    "many_rows": "shift",
    "long_text_in_every_row": "shift",
    "long_text_under_another_case": "shift",
}
"""Of the bombs that are no fault of their file: one constant for a value that varied."""


def test_bombs_of_a_few_bytes_are_judged_or_refused_by_name_within_the_limit(
    tmp_path: Path,
) -> None:
    judge = Judge(tmp_path)
    try:
        context = judge.context(judge.write(bombs.reference()))
        for name, made in bombs.ALL.items():
            data = made()
            assert len(data) < 2_000_000, name
            run = judge.run(context, judge.write(data))
            expected = OUTCOMES.get(name, "invalid_data: unreadable")
            assert named(run) == expected, (name, run.reasons)
            assert run.cost.peak_memory_bytes < 1_000_000 * LIMITS.memory_mb
            assert len(repr(run)) < 100_000, name  # nothing unpacked goes on to the daemon
    finally:
        judge.close()


def test_a_long_text_repeated_in_columns_that_are_only_counted_hides_no_other(
    tmp_path: Path,
) -> None:
    judge = Judge(tmp_path)
    try:
        context = judge.context(judge.write(bombs.nested_reference()))
        run = judge.run(context, judge.write(bombs.long_text_in_every_list()))
    finally:
        judge.close()
    assert run.verdict == "shift"
    assert "x" in {result.target for result in run.results}
    assert {s.target for s in run.skipped if s.reason == "unsupported_type"} == {"l", "g", "m"}
    assert run.cost.peak_memory_bytes < 1_000_000 * LIMITS.memory_mb


def test_a_page_that_does_not_fit_is_named_with_its_size(tmp_path: Path) -> None:
    judge = Judge(tmp_path)
    try:
        context = judge.context(judge.write(bombs.reference()))
        run = judge.run(context, judge.write(bombs.truly_packed()))
    finally:
        judge.close()
    assert "unpacks to 1600 MB" in run.reasons[0]
    assert "limits.memory_mb" in run.reasons[0]


def test_a_run_without_a_name_for_its_outcome_would_be_told() -> None:
    assert named(sample_runs.no_shift()) == "no_shift"
    error = sample_runs.error()
    assert named(error).startswith("error: ")
    reasons = (str(WorkerError("the worker ended with status 1")),)
    with pytest.raises(AssertionError, match="status 1"):
        named(Run("m", error.batch, "error", 0.0, reasons))
    with pytest.raises(AssertionError):
        named(Run("m", error.batch, "insufficient_data", 0.0))


def test_damage_is_damage_and_the_same_for_the_same_generator() -> None:
    data = samples.parquet_files()[0]
    for chance in range(200):
        made = mutations.damaged(data, np.random.default_rng(chance))
        assert made != data
        assert made == mutations.damaged(data, np.random.default_rng(chance))


def test_the_program_tells_what_it_tried_and_keeps_what_shows_a_defect(tmp_path: Path) -> None:
    told = fuzz.Told()
    file = tmp_path / "input.parquet"

    def broken() -> str:
        raise AssertionError("no name")

    file.write_bytes(b"bad")
    told.note(broken, file, keep=tmp_path / "kept")
    file.write_bytes(b"good")
    told.note(lambda: "shift", file, keep=tmp_path / "kept")
    assert told.outcomes == {"defect": 1, "shift": 1}
    assert "AssertionError: no name" in told.defects[0]
    assert (tmp_path / "kept" / "input.parquet").read_bytes() == b"bad"
    assert not file.exists()


def test_time_bounds_the_inputs_and_each_has_a_generator_of_its_own(tmp_path: Path) -> None:
    over = fuzz.Bounds(time.monotonic() - 1, SEED, tmp_path)
    assert list(over.places()) == [0]
    first, again, other = (over.generator(place).random() for place in (3, 3, 4))
    assert first == again != other
