"""A configuration that changes while the daemon runs: by itself, by request, wrongly, and often."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

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
