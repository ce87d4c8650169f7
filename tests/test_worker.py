"""The heavy child: answers, errors, death, limits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from shiftwatch.errors import DataError, WorkerError
from shiftwatch.requests import Context, Inspect, Prepare
from shiftwatch.settings import AlarmSettings, LimitSettings, ModelSettings
from shiftwatch.values import Listed
from shiftwatch.worker import Worker

pytestmark = pytest.mark.slow  # every test starts a real worker

LIMITS = LimitSettings()


def _inspect() -> Inspect:
    return Inspect((Listed("/nowhere/x.parquet", 1, 1),), None)


def test_the_worker_answers_and_ends_with_its_context() -> None:
    with Worker(LIMITS) as worker:
        (facts,) = worker.call(_inspect())
        pid = worker.pid
    assert facts.fault is not None
    assert pid is not None
    assert not Path(f"/proc/{pid}").exists()


def test_an_error_of_the_child_arrives_with_what_where_and_hint(tmp_path: Path) -> None:
    settings = ModelSettings("m", reference=str(tmp_path / "none"), batches=str(tmp_path))
    context = Context(settings, AlarmSettings(), 0, str(tmp_path), "")
    with Worker(LIMITS) as worker, pytest.raises(DataError) as raised:
        worker.call(Prepare(context))
    assert "none" in raised.value.where


def test_a_killed_worker_is_named_and_the_next_call_starts_another() -> None:
    with Worker(LIMITS) as worker:
        worker.call(_inspect())
        first = worker.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        with pytest.raises(WorkerError, match="killed by SIGKILL"):
            worker.call(_inspect())
        worker.call(_inspect())
        assert worker.pid not in (None, first)


def test_a_worker_killed_by_another_thread_ends_the_call() -> None:
    with Worker(LIMITS) as worker:
        worker.call(_inspect())
        pid = worker.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)  # it will not answer by itself
        threading.Timer(0.3, worker.kill).start()
        with pytest.raises(WorkerError, match="told to end"):
            worker.call(_inspect())


def test_a_worker_that_takes_too_long_is_ended() -> None:
    with Worker(LimitSettings(seconds=1)) as worker:
        worker.call(_inspect())
        pid = worker.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(WorkerError, match="no answer within 1 s"):
            worker.call(_inspect())
        assert not Path(f"/proc/{pid}").exists()


def test_preparing_a_reference_may_take_longer_than_a_check(tmp_path: Path) -> None:
    settings = ModelSettings("m", reference=str(tmp_path / "none"), batches=str(tmp_path))
    context = Context(settings, AlarmSettings(), 0, str(tmp_path), "")
    with Worker(LimitSettings(seconds=2)) as worker:
        worker.call(_inspect())
        pid = worker.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        threading.Timer(3.0, os.kill, (pid, signal.SIGCONT)).start()
        with pytest.raises(DataError):  # its own answer, after the limit of a check
            worker.call(Prepare(context))


def test_the_child_ends_when_its_parent_is_killed() -> None:
    script = (
        "import time\n"
        "from shiftwatch.worker import Worker\n"
        "from shiftwatch.settings import LimitSettings\n"
        "from tests.test_worker import _inspect\n"
        "worker = Worker(LimitSettings())\n"
        "worker.call(_inspect())\n"
        "print(worker.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        child = int(run.stdout.readline())
        run.kill()
    for _ in range(200):
        if not _is_alive(child):
            return
        time.sleep(0.05)
    pytest.fail("the worker outlived its parent")


def _is_alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_the_worker_loads_neither_what_it_never_uses_nor_onnxruntime_without_a_model() -> None:
    script = (
        "import sys\n"
        "from shiftwatch import child\n"
        "child.imported()\n"
        "unused = ('numpy.f2py', 'numpy.testing', 'numpy.ctypeslib', 'onnxruntime', 'scipy.stats')\n"
        "print([name for name in unused if name in sys.modules])\n"
        "import numpy\n"
        "print(numpy.testing.assert_equal(1, 1), 'f2py' in vars(numpy))\n"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "None False"]


def _bounded(memory_mb: int) -> LimitSettings:
    """Limits as nobody can configure them."""
    limits = LimitSettings()
    object.__setattr__(limits, "memory_mb", memory_mb)
    return limits


@pytest.mark.parametrize("memory_mb", [128, 190])  # too little for the imports; for the reference
def test_memory_beyond_the_limit_is_an_error_of_its_own(tmp_path: Path, memory_mb: int) -> None:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    long = pa.table({"text": [f"{index}" * 500_000 for index in range(100)]})
    pq.write_table(long, tmp_path / "reference.parquet")
    settings = ModelSettings("m", reference=str(tmp_path / "reference.parquet"), batches="b")
    context = Context(settings, AlarmSettings(), 0, str(tmp_path / "cache"), "")
    with Worker(_bounded(memory_mb)) as worker, pytest.raises(WorkerError) as raised:
        worker.call(Prepare(context))
    assert raised.value.what == f"out of memory at limits.memory_mb = {memory_mb}"


def limits_of(pid: int) -> dict[str, str]:
    """Soft limits of a process by name, as the system tells them."""
    lines = Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines()[1:]
    return {line[:26].strip(): line[26:].split()[0] for line in lines}


def test_the_child_is_bounded_in_memory_and_cpu_and_leaves_no_core() -> None:
    limits = LimitSettings(memory_mb=500, seconds=7.5)
    with Worker(limits) as worker:
        worker.call(_inspect())
        assert worker.pid is not None
        told = limits_of(worker.pid)
    assert told["Max data size"] == "500000000"
    assert told["Max core file size"] == "0"
    # Ten times 7.5 s, as a reference may take, and a minute; from what it had used when asked.
    assert 135 <= int(told["Max cpu time"]) <= 145


def test_a_child_that_takes_too_much_cpu_is_named_as_such() -> None:
    with Worker(LIMITS) as worker:
        worker.call(_inspect())
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGXCPU)  # what the system sends at the limit
        with pytest.raises(WorkerError, match=r"SIGXCPU \(it took far more CPU time"):
            worker.call(_inspect())
