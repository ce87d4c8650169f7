"""Models that are removed and come back: what they leave behind in counters, jobs and the log."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics

from tests.test_daemon import CONFIG, Running, folder, running, until, write
from tests.test_lifecycle import other

__all__ = ["folder"]  # a fixture
pytestmark = pytest.mark.slow

BACKLOG = 'shiftwatch_backlog_batches{model="churn"}'


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
