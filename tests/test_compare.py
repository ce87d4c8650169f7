"""Two files against each other, with the real worker."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shiftwatch.contrast import compare_files
from shiftwatch.errors import DataError
from shiftwatch.settings import AlarmSettings, ModelSettings, TestsSettings
from shiftwatch.values import Run
from tests.judging import SMALL_TESTS, without_cost

pytestmark = pytest.mark.slow  # every test starts a real worker


def _table(rows: int, seed: int, shift: float = 0.0) -> pa.Table:
    rng = np.random.default_rng(seed)
    return pa.table({"amount": rng.normal(shift, 1, rows), "level": rng.integers(0, 3, rows)})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Scratch folders of the call would be seen: they are made below this one."""
    pq.write_table(_table(500, 0), tmp_path / "reference.parquet")
    pq.write_table(_table(200, 1, shift=1.0), tmp_path / "current.parquet")
    return tmp_path


def _compared(
    folder: Path, current: str, tests: TestsSettings = SMALL_TESTS, **roles: tuple[str, ...]
) -> Run:
    settings = ModelSettings(
        name="compare",
        reference=str(folder / "reference.parquet"),
        batches=str(folder / current),
        tests=tests,
        categorical=roles.get("categorical", ()),
    )
    return compare_files(settings, alarms=AlarmSettings())


def test_two_files_are_compared_the_same_every_time_and_nothing_is_left_behind(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = folder / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    before = sorted(folder.rglob("*"))
    first, second = _compared(folder, "current.parquet"), _compared(folder, "current.parquet")
    assert first.verdict == "shift"
    assert without_cost(first).results == without_cost(second).results
    assert first.batch == second.batch
    assert sorted(folder.rglob("*")) == before


def test_the_files_of_a_folder_are_one_sample_also_below_partitions(folder: Path) -> None:
    pq.write_table(_table(400, 3), folder / "reference.parquet")
    for day in ("1", "2"):
        (folder / "new" / f"day={day}").mkdir(parents=True)
        pq.write_table(_table(150, 4 + int(day)), folder / "new" / f"day={day}" / "x.parquet")
    run = _compared(folder, "new")
    assert run.batch.rows == 300
    assert len(run.batch.pieces) == 2
    assert {result.rows_current for result in run.results if result.test == "ks"} == {300}
    assert {finding.column for finding in run.findings if finding.code == "extra_column"} == {"day"}


def test_what_the_worker_answers_loads_nothing_heavy_into_the_process_that_asked(
    folder: Path,
) -> None:
    """A number of numpy's in a run would do it, when the answer is unpacked."""
    script = (
        "import sys\n"
        "from shiftwatch.contrast import compare_files\n"
        "from shiftwatch.settings import AlarmSettings, ModelSettings\n"
        f"files = {str(folder / 'reference.parquet')!r}, {str(folder / 'current.parquet')!r}\n"
        "settings = ModelSettings(name='m', reference=files[0], batches=files[1])\n"
        "print(compare_files(settings, alarms=AlarmSettings()).verdict)\n"
        "heavy = ('numpy', 'scipy', 'pyarrow', 'onnxruntime')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["shift", "[]"]


def test_integers_are_categories_where_that_is_said(folder: Path) -> None:
    run = _compared(folder, "current.parquet", categorical=("level",))
    assert ("chi2", "level") in {(r.test, r.target) for r in run.results}
    assert ("ks", "level") not in {(r.test, r.target) for r in run.results}


def test_a_current_file_that_cannot_be_read_is_invalid_data(folder: Path) -> None:
    (folder / "current.parquet").write_bytes(b"PAR1 this is not Parquet PAR1")
    run = _compared(folder, "current.parquet")
    assert run.verdict == "invalid_data"
    assert "current.parquet" in run.reasons[0]


def test_a_reference_that_cannot_be_read_or_a_folder_without_files_is_an_error(
    folder: Path,
) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match="no Parquet file found"):
        _compared(folder, "empty")
    (folder / "reference.parquet").write_bytes(b"PAR1 this is not Parquet PAR1")
    with pytest.raises(DataError, match=r"reference\.parquet"):
        _compared(folder, "current.parquet")
