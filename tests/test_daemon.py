"""The real process: start, scrape, drift, restart, reload, stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from shiftwatch import demo
from shiftwatch.daemon import Daemon, Source

pytestmark = pytest.mark.slow  # a daemon, a worker and a stream

HEAVY = ("numpy", "scipy", "pyarrow", "onnxruntime", "sklearn", "pandas")

CONFIG = demo.CONFIG.format(listen="127.0.0.1:0")

Found = TypeVar("Found")


class Running:
    """A daemon process and its address."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return str(answer.read().decode())

    def json(self, path: str) -> Any:
        return json.loads(self.get(path))

    def post(self, path: str, body: object = None) -> tuple[int, Any]:
        data = json.dumps(body).encode() if body is not None else b""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        request = urllib.request.Request(self.url + path, data, headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read().decode()
                return answer.status, text
        except urllib.error.HTTPError as fault:
            return fault.code, fault.read().decode()

    def metric(self, line: str) -> float | None:
        for text in self.get("/metrics").splitlines():
            if text.startswith(line):
                return float(text.rpartition(" ")[2])
        return None


@contextmanager
def running(folder: Path) -> Iterator[Running]:
    """Start `shiftwatch run`, wait for its address, end it by its own process id."""
    command = [sys.executable, "-m", "shiftwatch", "run", str(folder / "shiftwatch.yml")]
    log = (folder / "log.txt").open("a+", encoding="utf-8")
    with log, subprocess.Popen(command, stderr=log, text=True) as process:
        try:
            yield Running(process, _address(folder, process))
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(30)


def _address(folder: Path, process: subprocess.Popen[str]) -> str:
    seen = (folder / "log.txt").read_text(encoding="utf-8").count('"listening"')

    def find() -> str | None:
        assert process.poll() is None, (folder / "log.txt").read_text(encoding="utf-8")
        lines = [json.loads(line) for line in (folder / "log.txt").read_text().splitlines()]
        told = [line["url"] for line in lines if line["event"] == "listening"]
        return told[-1] if len(told) > seen else None

    return until(find)


def until(probe: Callable[[], Found | None], seconds: float = 90) -> Found:
    """What the probe finds; generous, for a machine that is busy with other things."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = probe()
        if found is not None:
            return found
        time.sleep(0.1)
    pytest.fail("it never came", pytrace=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from shiftwatch.demo import MODEL_PATH  # noqa: PLC0415
    from shiftwatch.demo.generator import write_reference  # noqa: PLC0415

    (tmp_path / "batches").mkdir()
    (tmp_path / "shiftwatch.yml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "model.onnx").write_bytes(Path(MODEL_PATH).read_bytes())
    write_reference(tmp_path / "reference.parquet", 2000)
    return tmp_path


def write(folder: Path, index: int, shift: float = 0.0) -> None:
    from shiftwatch.demo.generator import write_batch  # noqa: PLC0415

    path = folder / "batches" / f"batch-{index:03}.parquet"
    write_batch(path, index, shift=shift, seed=5)


def judged(daemon: Running, count: int) -> list[dict[str, Any]]:
    """Stored verdicts, oldest first, once there are this many."""

    def probe() -> list[dict[str, Any]] | None:
        found = daemon.json("/api/v1/models/churn/batches?limit=200")["batches"]
        return found[::-1] if len(found) >= count else None

    return until(probe)


def test_a_stream_that_drifts_raises_the_alarm_and_a_restart_keeps_it(folder: Path) -> None:
    with running(folder) as daemon:
        for index in range(4):
            write(folder, index, shift=1.0 if index >= 2 else 0.0)
        verdicts = judged(daemon, 4)
        assert [entry["state"] for entry in verdicts] == ["no_shift", "no_shift", "shift", "shift"]
        alarm = 'shiftwatch_drift_alarm{model="churn",scope="input"}'
        assert daemon.metric(alarm) == 1.0
        assert daemon.metric('shiftwatch_batches_total{model="churn",outcome="tested"}') == 4.0
        report = daemon.json("/api/v1/models/churn/report")
        assert report["state"] == "shift"
        assert report["scopes"]["input"]["alarm"] is True
        page = daemon.get("/api/v1/models/churn/report?format=html")
        assert "tenure_months" in page
        assert "churn" in daemon.get("/")
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(30) == 0
    with running(folder) as daemon:
        assert daemon.get("/readyz").strip() == "ok"
        assert daemon.metric(alarm) == 1.0, "restored before the first step"
        time.sleep(2.5)
        assert [entry["batch_id"] for entry in judged(daemon, 4)] == [
            entry["batch_id"] for entry in verdicts
        ]


def test_the_daemon_stays_light_while_its_worker_does_the_work(folder: Path) -> None:
    with running(folder) as daemon:
        write(folder, 0)
        judged(daemon, 1)
        daemon.get("/")
        daemon.get("/api/v1/models/churn/report?format=html")
        pid = daemon.process.pid
        resident_kb = until(lambda: _resident_kb_when_idle(pid))
        mapped = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    assert (
        resident_kb < 75_000
    )  # 65 000 to 70 000 with Python 3.11; FastAPI and its own take 15 000
    assert not [name for name in HEAVY if f"/{name}/" in mapped]


def _resident_kb_when_idle(pid: int) -> int | None:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    if children:
        return None
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


def test_the_modules_of_the_daemon_load_nothing_heavy() -> None:
    script = (
        "import sys, shiftwatch.daemon, shiftwatch.report, shiftwatch.glossary\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_worker_killed_at_any_moment_leaves_the_daemon_and_every_batch_judged(
    folder: Path,
) -> None:
    with running(folder) as daemon:
        for index in range(6):
            write(folder, index)
        pid = daemon.process.pid
        for _ in range(3):
            child = until(lambda: _child_of(pid))
            time.sleep(0.4)
            _kill(child)
        verdicts = judged(daemon, 6)
        assert daemon.process.poll() is None
        assert len({entry["batch_id"] for entry in verdicts}) == len(verdicts) == 6
        assert {entry["state"] for entry in verdicts} == {"no_shift"}


def _child_of(pid: int) -> int | None:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    everywhere = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    assert children.exists()
    found = [int(child) for part in everywhere for child in part]
    return found[0] if found else None


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it had finished its work


def test_reload_takes_a_good_file_and_refuses_a_bad_one(folder: Path) -> None:
    with running(folder) as daemon:
        config = folder / "shiftwatch.yml"
        config.write_text(CONFIG + "alarms: {false_alarms: {per_checks: 50}}\n", encoding="utf-8")
        assert daemon.post("/-/reload")[0] == 200
        shown = daemon.json("/config")
        assert shown["alarms"]["false_alarms"]["per_checks"] == 50
        config.write_text(CONFIG + "alarm: {}\n", encoding="utf-8")
        status, text = daemon.post("/-/reload")
        assert status == 500
        assert "alarm" in text
        assert daemon.metric("shiftwatch_config_last_reload_successful") == 0.0
        assert daemon.json("/config") == shown
        write(folder, 0)
        judged(daemon, 1)


def test_what_happens_around_the_models_is_counted(folder: Path) -> None:
    with running(folder) as daemon:
        assert daemon.metric('shiftwatch_schedule_events_total{event="failed"}') == 0.0
        stranger = urllib.request.Request(f"{daemon.url}/", headers={"Host": "evil.example"})
        with pytest.raises(urllib.error.HTTPError, match="421"):
            urllib.request.urlopen(stranger, timeout=30)
        refused = 'shiftwatch_http_requests_refused_total{reason="misdirected"}'
        assert daemon.metric(refused) == 1.0


def test_an_on_demand_report_is_made_beside_the_history(folder: Path) -> None:
    with running(folder) as daemon:
        write(folder, 0)
        judged(daemon, 1)
        asked = {"path": str(folder / "batches" / "batch-000.parquet")}
        status, text = daemon.post("/api/v1/models/churn/checks", asked)
        assert status == 202
        url = json.loads(text)["status_url"]
        done = until(lambda: _when_done(daemon, url))
        assert done["status"] == "done"
        assert daemon.json(done["report"])["state"] == "no_shift"
        assert len(judged(daemon, 1)) == 1
        outside = {"path": str(folder / "reference.parquet")}
        assert daemon.post("/api/v1/models/churn/checks", outside)[0] == 400


def _when_done(daemon: Running, url: str) -> dict[str, Any] | None:
    job: dict[str, Any] = daemon.json(url)
    return job if job["status"] in ("done", "failed") else None


def test_a_port_that_is_taken_is_a_configuration_error(folder: Path) -> None:
    with running(folder) as daemon:
        port = daemon.url.rpartition(":")[2]
        other = folder / "other"
        other.mkdir()
        text = CONFIG.replace("127.0.0.1:0", f"127.0.0.1:{port}").replace(
            "reference.parquet", "../reference.parquet"
        )
        (other / "shiftwatch.yml").write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "shiftwatch", "run", str(other / "shiftwatch.yml")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 78
    assert "cannot listen: Address already in use" in done.stderr


def test_a_clock_that_jumped_is_not_believed_when_it_comes_to_forgetting(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offset, steady = 0.0, 0.0

    def wall() -> float:
        return 1.8e9 + steady + offset

    monkeypatch.setattr("shiftwatch.daemon.time.time", wall)
    monkeypatch.setattr("shiftwatch.daemon.time.monotonic", lambda: steady)
    daemon = Daemon(Source(str(folder / "shiftwatch.yml"), {}))
    asked: list[float] = []

    class Kept:
        def forget(self, days: float, present: object, now: float) -> None:
            del days, present
            asked.append(now)

    class Watching:
        def present_files(self) -> dict[str, frozenset[str]]:
            return {}

    monkeypatch.setattr(daemon, "_store", Kept(), raising=False)
    monkeypatch.setattr(daemon, "_monitor", Watching(), raising=False)
    daemon._forget()
    offset = 365 * 86_400.0
    for _ in range(20):
        steady += 3600
        daemon._forget()
    assert asked == [1.8e9], "a year ahead"
    offset = 0.0
    for _ in range(30):
        steady += 3600
        daemon._forget()
    assert len(asked) == 1 + 6, "and back: believed after a day without a jump"
    offset = -3600.0
    steady += 7200
    daemon._forget()
    assert len(asked) == 1 + 7, "an hour is within the bounds"
