"""The demonstration runs to its end, and ends when it cannot go on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from shiftwatch.demo.stream import STEPS_TO_FULL_SHIFT, shift_of

INTERNAL, BAD_CONFIG = 70, 78


@pytest.mark.parametrize("batches", [1, 2, 3, 6, 30, 31])
def test_the_first_half_is_still_and_the_second_drifts_more_and_more(batches: int) -> None:
    shifts = [shift_of(index, batches) for index in range(batches)]
    half = batches // 2
    assert set(shifts[:half]) <= {0.0}
    assert all(shift > 0 for shift in shifts[half:])
    assert shifts == sorted(shifts)
    assert max(shifts) == min(1.0, (batches - half) / STEPS_TO_FULL_SHIFT)


@pytest.mark.slow
def test_the_stream_waits_for_the_daemon_and_writes_whole_files_in_order(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "shiftwatch.demo.stream", str(tmp_path), "3", "0"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert pq.read_metadata(tmp_path / "reference.parquet").num_rows == 5000
        assert list((tmp_path / "batches").iterdir()) == []
        process.communicate("go\n", timeout=60)
    assert process.returncode == 0
    files = sorted((tmp_path / "batches").iterdir())
    assert [file.name for file in files] == [f"batch-00{index}.parquet" for index in range(3)]
    assert {pq.read_metadata(file).num_rows for file in files} == {500}


def _demo(before: str = "", *arguments: str) -> subprocess.CompletedProcess[str]:
    """Call the demo, after a change to it; it must end by itself."""
    script = (
        "import sys\nimport shiftwatch.demo.show as show\nfrom shiftwatch.cli import main\n"
        f"{before}\nsys.argv = ['shiftwatch', 'demo', *sys.argv[1:]]\nmain()\n"
    )
    command = [sys.executable, "-W", "error", "-c", script, "--exit", "--pace", "0", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


@pytest.mark.slow
def test_the_demo_tells_each_verdict_and_sums_up() -> None:
    done = _demo("", "--batches", "6", "--listen", "127.0.0.1:0")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    verdicts = [line.split() for line in lines if " 500 rows " in line and line.startswith("  ")]
    assert [words[0] for words in verdicts] == list("123456")
    assert [words[5] for words in verdicts[:3]] == ["no"] * 3
    assert "SHIFT" in verdicts[5]
    assert lines[-2].startswith("6 batches judged: ")
    assert lines[-1].startswith("The alarm rose at batch ")
    assert "http://127.0.0.1:" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("reference: reference.parquet", "reference: none.parquet", "none.parquet: no such file"),
        ("model: model.onnx", "model: reference.parquet", "reference.parquet: "),
    ],
)
def test_a_fault_ends_the_demo_with_its_message(before: str, after: str, told: str) -> None:
    change = f"show.CONFIG = show.CONFIG.replace('{before}', '{after}')"
    done = _demo(change, "--batches", "2", "--listen", "127.0.0.1:0")
    assert done.returncode == INTERNAL
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: churn: ")
    assert told in last
    assert "batches judged" not in done.stdout


@pytest.mark.slow
def test_a_stream_that_breaks_off_ends_the_demo() -> None:
    change = (
        "from subprocess import Popen as real\n"
        "show.subprocess.Popen = lambda command, **options: real(\n"
        "    ['false'] if 'shiftwatch.demo.stream' in command else command, **options)"
    )
    done = _demo(change, "--batches", "2", "--listen", "127.0.0.1:0")
    assert done.returncode == INTERNAL
    assert done.stderr.splitlines()[-1] == "error: the stream ended with status 1"


@pytest.mark.slow
def test_an_address_that_cannot_be_had_is_a_configuration_error() -> None:
    done = _demo("", "--listen", "nowhere")
    assert done.returncode == BAD_CONFIG
    assert "web.listen: 'nowhere' is no address; write HOST:PORT" in done.stderr
    assert "Traceback" not in done.stderr
