"""The real chain: daemon, Prometheus, Alertmanager, webhook, with the rules that are shipped."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.prometheus.source import rules
from shiftwatch import demo
from shiftwatch.alerts import alerts
from shiftwatch.web.tokens import made
from tests.chain import Hook, Message, Prometheus, chain, webhook
from tests.object_store import free_port
from tests.test_daemon import folder, running, until, write

__all__ = ["folder"]  # a fixture
pytestmark = pytest.mark.slow

DRIFT = "ShiftwatchDriftDetected"


def judged(folder: Path) -> list[dict[str, object]]:
    """What the daemon's log tells of batches, over restarts."""
    lines = (folder / "log.txt").read_text("utf-8").splitlines()
    return [line for line in map(json.loads, lines) if line["event"] == "judged"]


def feed(folder: Path, index: int, shift: float = 0.0) -> float:
    """Write a batch, wait for its verdict; when it was written."""
    at = time.monotonic()
    write(folder, index, shift)
    until(lambda: len(judged(folder)) > index or None)
    return at


def arrived(hook: Hook, alert: str, status: str, since: float) -> Message:
    return until(lambda: next(iter(hook.of(alert, status, since)), None))


def up(prometheus: Prometheus, value: float) -> bool | None:
    return any(found == value for _, found in prometheus.query('up{job="shiftwatch"}')) or None


def tell(text: str, since: float, message: Message) -> None:
    print(f"{text}: {message.at - since:.1f} s")  # noqa: T201 - stated, not promised


@pytest.mark.timeout(400)
def test_an_alert_comes_holds_over_a_restart_resolves_and_a_dead_monitor_is_told_of(
    folder: Path, system: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("chain")
    (token, line), (key, other) = made("prometheus", "read-only"), made("ada", "operator")
    port = free_port()
    (folder / "tokens").write_text(f"{line}\n{other}\n", encoding="utf-8")
    (folder / "shiftwatch.yml").write_text(config(port), encoding="utf-8")
    at = f"127.0.0.1:{port}"
    with webhook() as hook, chain(place, system, at, hook, token) as prometheus:
        with running(folder):
            feed(folder, 0)
            until(lambda: up(prometheus, 1.0))
            metrics_pass_the_linter(port, token, system("promtool"))
            drift_is_told(folder, hook)
            raised = a_silence_holds_it_until_its_end(f"http://{at}", key, hook, prometheus)
            evaluated_well(prometheus)
            exemplars_lead_to_batches(prometheus, folder)
        until(lambda: up(prometheus, 0.0))
        with running(folder):
            until(lambda: up(prometheus, 1.0))
            time.sleep(3)  # three evaluations
            assert hook.of(DRIFT, "resolved", raised) == [], "a restart resolves nothing"
            recovery_is_told(folder, hook, raised)
            runbook_queries_are_understood(prometheus)
        death_is_told(hook, prometheus)


def config(port: int) -> str:
    """The demo's, guarded by tokens."""
    web = f'"127.0.0.1:{port}", tokens_file: tokens, public: [/healthz, /readyz]'
    return demo.CONFIG.format(listen="X").replace('"X"', web)


def metrics_pass_the_linter(port: int, token: str, promtool: str) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/metrics", headers={"authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read()
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def drift_is_told(folder: Path, hook: Hook) -> None:
    since = feed(folder, 1, shift=1.0)
    message = arrived(hook, DRIFT, "firing", since)
    tell("from the batch to the webhook", since, message)
    assert message.labels["model"] == "churn"
    assert message.labels["severity"] == "warning"
    assert message.labels["job"] == "shiftwatch"
    assert "instance" not in message.labels
    assert message.receiver == "tickets"
    assert message.annotations["runbook_url"].endswith("RUNBOOK.md#shiftwatchdriftdetected")
    assert message.annotations["dashboard_url"] == "/d/shiftwatch-model/?var-model=churn"
    assert "Model churn, scope " in message.annotations["description"]


def a_silence_holds_it_until_its_end(
    url: str, token: str, hook: Hook, prometheus: Prometheus
) -> float:
    """The alert goes with a silence and comes again after it; when it came again."""
    words = f"{url}/api/v1/models/churn/annotations"
    since = time.monotonic()
    kept = asked("POST", words, token, {"kind": "silence", "text": "known", "until": "2h"})
    assert (kept["by"], kept["in_force"]) == ("ada", True)
    tell("from the silence to the webhook", since, arrived(hook, DRIFT, "resolved", since))
    firing = f'ALERTS{{alertname="{DRIFT}"}}'
    until(lambda: prometheus.query(firing) == [] or None)
    hidden = 'shiftwatch_drift_alarm{model="churn"} == 1'
    assert prometheus.query(hidden), "nothing is hidden"
    since = time.monotonic()
    asked("DELETE", f"{words}/{kept['id']}", token)
    message = arrived(hook, DRIFT, "firing", since)
    tell("from the end of the silence to the webhook", since, message)
    return message.at


def asked(method: str, url: str, token: str, body: object = None) -> dict[str, Any]:
    """The answer of the API to an operator."""
    request = urllib.request.Request(
        url, None if body is None else json.dumps(body).encode(), method=method
    )
    request.add_header("authorization", f"Bearer {token}")
    request.add_header("content-type", "application/json")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.loads(answer.read()))


def evaluated_well(prometheus: Prometheus) -> None:
    groups = prometheus.asked("rules")["groups"]
    found = [rule for group in groups for rule in group["rules"]]
    assert {rule["name"] for rule in found} >= {alert.name for alert in alerts()}
    assert [
        (rule["name"], rule.get("lastError")) for rule in found if rule["health"] == "err"
    ] == []
    # Recorded by a group of its own, up to a second after that of the alerts.
    share = "shiftwatch:models_in_alarm:ratio"
    until(lambda: [value for _, value in prometheus.query(share)] == [1.0] or None)


def exemplars_lead_to_batches(prometheus: Prometheus, folder: Path) -> None:
    span = {"start": str(time.time() - 600), "end": str(time.time())}
    known = {line["batch"] for line in judged(folder)}
    for name in ("shiftwatch_test_duration_seconds_bucket", "shiftwatch_alarms_total"):
        found = prometheus.asked("query_exemplars", query=name, **span)
        batches = {each["labels"]["batch_id"] for series in found for each in series["exemplars"]}
        assert batches, name
        assert batches <= known, name


def recovery_is_told(folder: Path, hook: Hook, raised: float) -> None:
    for index in range(2, 30):
        since = feed(folder, index)
        if not judged(folder)[-1]["alarm"]:
            break
    else:
        pytest.fail("the alarm never cleared")
    message = arrived(hook, DRIFT, "resolved", raised)
    print(f"quiet batches until the alarm was off: {index - 1}")  # noqa: T201 - as above
    tell("from the last of them to the webhook", since, message)


def runbook_queries_are_understood(prometheus: Prometheus) -> None:
    text = rules.RUNBOOK.read_text("utf-8")
    queries = set(re.findall(r"```promql\n(.*?)```", text, re.DOTALL))
    assert len(queries) > 10
    for query in queries:
        prometheus.query(query)


def death_is_told(hook: Hook, prometheus: Prometheus) -> None:
    since = time.monotonic()
    message = arrived(hook, "ShiftwatchMonitorAbsent", "firing", since)
    tell("from the end of the daemon to the dead man's alert", since, message)
    assert message.labels["severity"] == "critical"
    assert message.receiver == "pager"
    firing = {each["labels"]["alertname"] for each in prometheus.asked("alerts")["alerts"]}
    assert "ShiftwatchTargetDown" in firing
