"""A configuration that changes while the daemon runs: by itself, by request, wrongly, and often."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics

from shiftwatch.metrics import FAMILIES
from tests.test_daemon import CONFIG, Running, folder, judged, running, until, write

__all__ = ["folder"]  # a fixture
pytestmark = pytest.mark.slow

MODEL = CONFIG.partition("models:\n")[2].partition("schedule:")[0]


def other(name: str) -> str:
    """The configuration with one more model, which sees the same files."""
    return CONFIG.replace("schedule:", MODEL.replace("name: churn", f"name: {name}") + "schedule:")


def lines_of(folder: Path, event: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (folder / "log.txt").read_text("utf-8").splitlines()]
    return [line for line in lines if line["event"] == event]


def mount(folder: Path, generation: str, text: str) -> None:
    """As the kubelet does: a new folder, and one link that is moved onto the old one."""
    (folder / generation).mkdir()
    (folder / generation / "shiftwatch.yml").write_text(text, encoding="utf-8")
    link = folder / "..data_tmp"
    link.symlink_to(generation)
    link.replace(folder / "..data")


def successful(daemon: Running, value: float) -> bool | None:
    told = daemon.metric("shiftwatch_config_last_reload_successful")
    return True if told == value else None


def test_a_mounted_configuration_is_put_in_force_when_its_link_is_moved(folder: Path) -> None:
    (folder / "shiftwatch.yml").unlink()
    mount(folder, "..one", CONFIG)
    (folder / "shiftwatch.yml").symlink_to("..data/shiftwatch.yml")
    with running(folder) as daemon:
        mount(folder, "..two", CONFIG + "alarms: {false_alarms: {per_checks: 50}}\n")
        until(lambda: daemon.json("/config")["alarms"]["false_alarms"]["per_checks"] == 50 or None)
        mount(folder, "..three", CONFIG + "alarm: {}\n")
        until(lambda: successful(daemon, 0.0))
        assert daemon.json("/config")["alarms"]["false_alarms"]["per_checks"] == 50
        mount(folder, "..four", CONFIG)
        until(lambda: successful(daemon, 1.0))
        write(folder, 0)
        judged(daemon, 1)
    refused = lines_of(folder, "reload refused")
    assert len(refused) == 1, "a bad configuration is told once, not at every look"


def test_a_bad_file_fails_as_often_as_it_is_asked_for(folder: Path) -> None:
    with running(folder) as daemon:
        config = folder / "shiftwatch.yml"
        config.write_text(CONFIG + "watch_config: false\n", encoding="utf-8")
        assert daemon.post("/-/reload")[0] == 200
        config.write_text(CONFIG + "alarm: {}\n", encoding="utf-8")
        assert [daemon.post("/-/reload")[0] for _ in range(2)] == [500, 500]
        config.unlink()
        assert daemon.post("/-/reload")[0] == 500
        assert successful(daemon, 0.0)
        config.write_text(CONFIG, encoding="utf-8")
        daemon.process.send_signal(signal.SIGHUP)
        until(lambda: successful(daemon, 1.0))


def test_models_come_and_go_while_the_others_go_on(folder: Path) -> None:
    config = folder / "shiftwatch.yml"
    with running(folder) as daemon:
        write(folder, 0)
        judged(daemon, 1)
        for name in [f"m{number}" for number in range(20)]:
            config.write_text(other(name), encoding="utf-8")
            assert daemon.post("/-/reload")[0] == 200
        tested = 'shiftwatch_batches_total{model="%s",outcome="tested"}'
        until(lambda: daemon.metric(tested % "m19"))
        text = daemon.get("/metrics")
        assert 'model="m18"' not in text
        assert daemon.metric(tested % "churn") == 1.0, "its counters do not begin anew"
        config.write_text(CONFIG, encoding="utf-8")
        assert daemon.post("/-/reload")[0] == 200
        assert 'model="m19"' not in daemon.get("/metrics")
        write(folder, 1)
        assert len(judged(daemon, 2)) == 2
        until(lambda: daemon.metric(tested % "churn") == 2.0 or None)
    changes = lines_of(folder, "configuration reloaded")
    assert changes[0]["added"] == ["m0"]
    assert (changes[-1]["added"], changes[-1]["removed"]) == ([], ["m19"])


ALARMS = 'shiftwatch_alarms_total{model="churn",scope="input"}'


def test_reloads_and_a_stop_in_the_middle_of_work_leave_no_fault_behind(folder: Path) -> None:
    config = folder / "shiftwatch.yml"
    config.write_text(other("leaving"), encoding="utf-8")
    with running(folder) as daemon:
        for index in range(60):
            write(folder, index)
        until(lambda: daemon.metric(BACKLOG) or None)
        for _ in range(5):  # they wait until the model is gone
            assert daemon.post("/api/v1/models/leaving/checks")[0] == 202
        for number in range(6):
            config.write_text(other(f"m{number}"), encoding="utf-8")
            assert daemon.post("/-/reload")[0] == 200
        assert daemon.metric(BACKLOG), "too quick: nothing was in the middle of work"
        daemon.process.terminate()
        assert daemon.process.wait(30) == 0
    lines = (folder / "log.txt").read_text("utf-8").splitlines()
    assert [line for line in lines if json.loads(line)["level"] == "error"] == []


BACKLOG = 'shiftwatch_backlog_batches{model="churn"}'


def openmetrics(daemon: Running) -> dict[str, Metric]:
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    request = urllib.request.Request(daemon.url + "/metrics", headers=accept)
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        families = read_openmetrics(answer.read().decode())  # type: ignore[no-untyped-call] # theirs
        return {family.name: family for family in families}


def totals(daemon: Running) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every counter that names no model: what is summed over all of them."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in openmetrics(daemon).values()
        for sample in family.samples
        if family.name.startswith("shiftwatch_") and family.type in ("counter", "histogram")
        if "model" not in sample.labels and not sample.name.endswith("_created")
    }


def test_no_counter_falls_when_a_model_is_removed_or_comes_back(folder: Path) -> None:
    config = folder / "shiftwatch.yml"
    config.write_text(other("leaving"), encoding="utf-8")
    with running(folder) as daemon:
        write(folder, 0, shift=1.0)
        tested = 'shiftwatch_batches_total{model="leaving",outcome="tested"}'
        until(lambda: daemon.metric(tested) or None)
        before = totals(daemon)
        assert before[("shiftwatch_test_duration_seconds_count", frozenset({("test", "ks")}))] == 2
        for text in (CONFIG, other("leaving"), CONFIG):
            config.write_text(text, encoding="utf-8")
            assert daemon.post("/-/reload")[0] == 200
            after = totals(daemon)
            fallen = [key for key, value in before.items() if after.get(key, 0.0) < value]
            assert not fallen, "Prometheus would take it for a restart and count everything again"
            before = after


def test_a_live_scrape_is_clean_and_its_exemplars_lead_to_reports(
    folder: Path, system: Callable[[str], str]
) -> None:
    with running(folder) as daemon:
        for moment in ("first scrape", "with an alarm"):
            if moment == "with an alarm":
                write(folder, 0, shift=1.0)
                until(lambda: daemon.metric(ALARMS) or None)
            command = [system("promtool"), "check", "metrics"]
            text = daemon.get("/metrics")
            done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, ""), moment
        families = openmetrics(daemon)
        stored = {entry["batch_id"] for entry in judged(daemon, 1)}
        told: dict[str, set[str]] = {}
        for family in families.values():
            named = {s.exemplar.labels["batch_id"] for s in family.samples if s.exemplar}
            told |= {family.name: named} if named else {}
    assert told == dict.fromkeys(
        (
            "shiftwatch_alarms",
            "shiftwatch_test_duration_seconds",
            "shiftwatch_batch_duration_seconds",
        ),
        stored,
    )
    assert {f.base for f in FAMILIES} <= families.keys() | {"shiftwatch_model"}
    assert {
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "python_info",
    } <= families.keys()


def test_every_line_of_the_log_is_json_and_a_verdict_has_its_facts(folder: Path) -> None:
    with running(folder) as daemon:
        write(folder, 0)
        judged(daemon, 1)
    (line,) = lines_of(folder, "judged")
    assert (line["level"], line["model"], line["verdict"]) == ("info", "churn", "no_shift")
    assert {"batch", "uri", "alarm", "seconds", "time"} <= line.keys()
    spent = line["test_cpu_seconds"]
    assert isinstance(spent, dict)
    assert {"ks", "chi2", "mmd", "c2st"} <= spent.keys()
