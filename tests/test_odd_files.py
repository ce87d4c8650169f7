"""Parquet by other writers, broken and encrypted files: every one has a named outcome."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

import pytest

from shiftwatch.check import answer
from shiftwatch.errors import DataError
from shiftwatch.requests import Check, Checked, Context, Inspect
from shiftwatch.settings import AlarmSettings, ModelSettings, WindowSettings
from shiftwatch.source.listing import list_folder
from shiftwatch.source.plan import batch_id
from shiftwatch.values import SKIP_REASONS, Batch, FileFacts, Piece
from tests.streams import LONG_AGO, judge


def _index(shared_data: Path) -> list[dict[str, str]]:
    with (shared_data / "parquet_odd" / "index.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _readable(entry: dict[str, str]) -> bool:
    return entry["pyarrow26_read_with_page_checksums"] == "ok"


@pytest.mark.slow
def test_every_file_is_judged_or_refused_by_name_and_none_stops_the_daemon(
    shared_data: Path, tmp_path: Path
) -> None:
    batches = tmp_path / "batches"
    batches.mkdir()
    index = _index(shared_data)
    for number, entry in enumerate(index):
        target = batches / f"{number:02}.parquet"
        shutil.copyfile(shared_data / "parquet_odd" / entry["file"], target)
        os.utime(target, (LONG_AGO, LONG_AGO))
    reference = shared_data / "parquet_odd" / "good" / "alltypes_tiny_pages.parquet"
    model = ModelSettings(
        name="odd",
        reference=str(reference),
        batches=str(batches),
        # Ten files of 42 rows hold the same bytes as another: those are duplicates.
        window=WindowSettings(min_rows=1),
    )
    runs = {Path(run.batch.uri).name: run for run in judge(tmp_path, model)}
    unreadable = 0
    for number, entry in enumerate(index):
        run = runs.get(f"{number:02}.parquet")
        if run is None:
            assert entry["file"].startswith("hive_partitioned"), entry["file"]
            continue
        faults = [f for f in run.findings if f.severity == "invalid"]
        if not _readable(entry):
            unreadable += 1
            assert run.verdict == "invalid_data", entry["file"]
            assert faults, entry["file"]
            assert run.reasons[0], entry["file"]
        elif Path(entry["file"]).name == "alltypes_tiny_pages.parquet":
            assert run.verdict == "no_shift"
        else:
            assert run.verdict in ("invalid_data", "insufficient_data"), (entry["file"], run)
            assert run.reasons, entry["file"]
    assert unreadable == sum(not _readable(entry) for entry in index) > 5
    encrypted = [r for r in runs.values() if any("encrypt" in f.message for f in r.findings)]
    assert encrypted


@pytest.mark.slow
def test_every_readable_file_can_be_its_own_reference(shared_data: Path, tmp_path: Path) -> None:
    judged = 0
    for entry in _index(shared_data):
        if not _readable(entry):
            continue
        file = tmp_path / f"{judged:02}.parquet"
        shutil.copyfile(shared_data / "parquet_odd" / entry["file"], file)
        try:
            answered = _against_itself(file, tmp_path)
        except ValueError as fault:
            pytest.fail(f"{entry['file']}: {fault!r}")
        run = answered.run
        assert run.verdict in ("no_shift", "insufficient_data"), (entry["file"], run.reasons)
        assert all(skip.reason in SKIP_REASONS for skip in run.skipped)
        assert not any(skip.reason == "test_failed" for skip in run.skipped), entry["file"]
        tested = {r.target for r in run.results} | {s.target for s in run.skipped}
        assert {c.name for c in run.columns} <= tested, entry["file"]
        judged += 1
    assert judged > 40


def test_no_broken_file_can_be_a_reference_and_each_says_why(
    shared_data: Path, tmp_path: Path
) -> None:
    broken = [entry for entry in _index(shared_data) if not _readable(entry)]
    for number, entry in enumerate(broken):
        file = tmp_path / f"{number:02}.parquet"
        shutil.copyfile(shared_data / "parquet_odd" / entry["file"], file)
        with pytest.raises(DataError) as raised:
            _against_itself(file, tmp_path)
        assert str(file) in str(raised.value), entry["file"]
        assert len(raised.value.what) > 10, entry["file"]
        if "encrypt" in entry["file"]:
            assert "crypt" in raised.value.what
    assert len(broken) > 5


def _against_itself(file: Path, tmp_path: Path) -> Checked:
    settings = ModelSettings(
        name="odd", reference=str(file), batches=str(file), window=WindowSettings(min_rows=1)
    )
    facts = answer(Inspect(list_folder(str(file)), None))
    assert isinstance(facts, tuple)
    first = facts[0]
    assert isinstance(first, FileFacts)
    pieces = (Piece(first.uri, first.size, first.sha256, 0, first.rows),)
    batch = Batch(batch_id(pieces), pieces, first.rows)
    context = Context(settings, AlarmSettings(), 0, str(tmp_path / "cache"), "test")
    checked = answer(Check(context, batch, None, 0.0))
    assert isinstance(checked, Checked)
    return checked
