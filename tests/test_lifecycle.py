"""A configuration that changes while the daemon runs: by itself, by request, wrongly, and often."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from shiftwatch.demo.generator import write_batch, write_reference
from tests.test_daemon import CONFIG, Running, _child_of, folder, judged, running, until, write

__all__ = ["folder"]  # a fixture
pytestmark = pytest.mark.slow

MODEL = CONFIG.partition("models:\n")[2].partition("schedule:")[0]


def other(name: str) -> str:
    """The configuration with one more model, which sees the same files."""
    return CONFIG.replace("schedule:", MODEL.replace("name: churn", f"name: {name}") + "schedule:")


def lines_of(folder: Path, event: str) -> list[dict[str, object]]:
    return [line for line in every_line(folder) if line["event"] == event]


def every_line(folder: Path) -> list[dict[str, object]]:
    """Each must be JSON, whoever wrote it."""
    return [json.loads(line) for line in (folder / "log.txt").read_text("utf-8").splitlines()]


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


def test_a_configuration_that_is_gone_is_told_and_the_one_before_stays(folder: Path) -> None:
    config = folder / "shiftwatch.yml"
    with running(folder) as daemon:
        config.unlink()
        until(lambda: successful(daemon, 0.0))
        write(folder, 0)
        judged(daemon, 1)
        config.write_text(CONFIG + "seed: 7\n", encoding="utf-8")
        until(lambda: successful(daemon, 1.0))
        assert daemon.json("/config")["seed"] == 7
    (refused,) = lines_of(folder, "reload refused")
    assert "there is no such file" in str(refused["fault"])
    (reloaded,) = lines_of(folder, "configuration reloaded")
    assert (reloaded["changed"], reloaded["settings"]) == ([], ["seed"])


def test_a_stop_in_the_middle_of_checks_is_quick_and_every_batch_is_judged_once_after(
    folder: Path,
) -> None:
    for index in range(6):
        write_batch(folder / "batches" / f"batch-{index:03}.parquet", index, 40_000)
    with running(folder) as daemon:
        until(lambda: _child_of(daemon.process.pid))
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(30) == 0
    (stopped,) = lines_of(folder, "stopped")
    assert float(str(stopped["seconds"])) < 25, "below the grace period of a Pod, 30 s"
    with running(folder) as daemon:
        verdicts = judged(daemon, 6)
    assert len({entry["batch_id"] for entry in verdicts}) == len(verdicts) == 6
    assert {entry["state"] for entry in verdicts} == {"no_shift"}


def test_a_reload_while_a_check_runs_has_its_turn_after_it(folder: Path) -> None:
    with running(folder) as daemon:
        for index in range(6):
            write_batch(folder / "batches" / f"batch-{index:03}.parquet", index, 40_000)
        until(lambda: _child_of(daemon.process.pid))
        config = folder / "shiftwatch.yml"
        config.write_text(CONFIG + "alarm: {}\n", encoding="utf-8")
        assert daemon.post("/-/reload")[0] == 500
        config.write_text(CONFIG + "seed: 7\n", encoding="utf-8")
        assert daemon.post("/-/reload")[0] == 200
        verdicts = judged(daemon, 6)
    assert len({entry["batch_id"] for entry in verdicts}) == len(verdicts) == 6
    events = [line["event"] for line in every_line(folder)]
    assert events.count("configuration reloaded") == 1
    assert events.count("judged") == 6


def test_another_reference_in_the_same_place_begins_a_new_basis_and_is_told(folder: Path) -> None:
    with running(folder) as daemon:
        write(folder, 0)
        judged(daemon, 1)
        write_reference(folder / "reference.parquet", 3000)
        write(folder, 1)
        judged(daemon, 2)
        until(lambda: daemon.metric("shiftwatch_reference_rows") == 3000.0 or None)
        counted = daemon.metric('shiftwatch_findings_total{code="new_basis",model="churn"}')
        assert counted == 1.0
    (told,) = lines_of(folder, "new basis")
    assert told["model"] == "churn"


@pytest.mark.parametrize("log", ["auto", "text"])
def test_what_keeps_the_daemon_from_starting_is_told_in_the_form_of_its_log(
    folder: Path, log: str
) -> None:
    (folder / "shiftwatch.yml").write_text("alarm: {}\nmodels: 7\n", encoding="utf-8")
    command = [sys.executable, "-m", "shiftwatch", "run", "--log", log, "shiftwatch.yml"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 78
    if log == "text":
        assert len(done.stderr.splitlines()) == 2
        assert "did you mean alarms?" in done.stderr
    else:
        (line,) = map(json.loads, done.stderr.splitlines())
        assert line["level"] == "critical"
        assert "did you mean alarms?" in line["fault"]


def test_a_live_scrape_is_sound_in_both_formats_and_leads_from_a_count_to_a_batch(
    folder: Path, system: Callable[[str], str]
) -> None:
    with running(folder) as daemon:
        write(folder, 0)
        write(folder, 1, shift=1.0)
        batches = [entry["batch_id"] for entry in judged(daemon, 2)]
        until(lambda: daemon.metric('shiftwatch_alarms_total{model="churn",scope="input"}') or None)
        text = daemon.get("/metrics")
        asked = urllib.request.Request(
            daemon.url + "/metrics", headers={"Accept": "application/openmetrics-text"}
        )
        with urllib.request.urlopen(asked, timeout=30) as answer:
            openmetrics = answer.read().decode()
        found = {}
        read: Callable[[str], Iterable[Metric]] = text_string_to_metric_families
        for metric in read(openmetrics):
            for sample in metric.samples:
                if sample.exemplar is not None:
                    found[sample.name] = sample.exemplar.labels["batch_id"]
        assert found["shiftwatch_alarms_total"] == batches[1]
        assert {"shiftwatch_batch_duration_seconds_bucket"} <= found.keys()
        assert set(found.values()) <= set(batches)
        page = daemon.get(f"/api/v1/models/churn/report?format=html&batch={batches[1]}")
        assert batches[1] in page
    for own in ("process_resident_memory_bytes ", "process_cpu_seconds_total ", "python_info{"):
        assert f"\n{own}" in text
    command = [system("promtool"), "check", "metrics"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
