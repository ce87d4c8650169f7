"""A real Prometheus and a real Alertmanager on loopback, and a webhook that keeps what comes.

Their configuration is the sample of deploy/prometheus with other addresses and shorter intervals.
"""

from __future__ import annotations

import http.server
import json
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from deploy.prometheus.source import rules
from shiftwatch.alerts import Thresholds
from tests.object_store import free_port

SAMPLES = rules.RULES.parent

QUICK = Thresholds(
    outage="60s", absent="8s", down="3s", first_batch="30s", unable="10s", fleet_for="3s"
)
"""As in production, with shorter waits: the expressions are the same."""


@dataclass(frozen=True, slots=True)
class Message:
    """One alert of one notification, and when it came (``time.monotonic``)."""

    at: float
    status: str
    labels: dict[str, str]
    annotations: dict[str, str]
    receiver: str


@dataclass(slots=True)
class Hook:
    """A webhook that keeps every message."""

    port: int
    messages: list[Message] = field(default_factory=list)

    def of(self, alert: str, status: str, since: float = 0.0) -> list[Message]:
        """Messages on an alert, oldest first."""
        return [
            message
            for message in tuple(self.messages)
            if message.labels["alertname"] == alert
            and message.status == status
            and message.at >= since
        ]


@contextmanager
def webhook() -> Iterator[Hook]:
    """Listen on a free port of loopback."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            at = time.monotonic()
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            for alert in body["alerts"]:
                message = Message(
                    at, alert["status"], alert["labels"], alert["annotations"], body["receiver"]
                )
                hook.messages.append(message)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook = Hook(server.server_port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def program(command: Sequence[str], folder: Path, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program of the system, ended by its own process id."""
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass(frozen=True, slots=True)
class Prometheus:
    """One that answers."""

    url: str

    def asked(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its API."""
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=30) as answer:
            body = json.loads(answer.read())
        assert body["status"] == "success", body
        return body["data"]

    def query(self, expr: str) -> list[tuple[dict[str, str], float]]:
        """Series of an instant query, with their values now."""
        found = self.asked("query", query=expr)
        return [(each["metric"], float(each["value"][1])) for each in found["result"]]


def _configured(folder: Path, target: str, hook: Hook, token: str, port: int) -> None:
    prometheus = yaml.safe_load((SAMPLES / "prometheus.yml").read_text("utf-8"))
    prometheus["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    prometheus["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [
        f"127.0.0.1:{port}"
    ]
    (job,) = prometheus["scrape_configs"]
    job["static_configs"][0]["targets"] = [target]
    if token:
        (folder / "shiftwatch.token").write_text(token, encoding="utf-8")
        job["authorization"] = {"credentials_file": "shiftwatch.token"}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(prometheus), encoding="utf-8")
    (folder / "rules.yml").write_text(rules.plain(QUICK), encoding="utf-8")
    text = (SAMPLES / "alertmanager.yml").read_text("utf-8")
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{hook.port}")
    alertmanager = yaml.safe_load(text)
    alertmanager["route"] |= {"group_wait": "0s", "group_interval": "1s"}
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(alertmanager), encoding="utf-8")


@contextmanager
def chain(
    folder: Path, system: Callable[[str], str], target: str, hook: Hook, token: str = ""
) -> Iterator[Prometheus]:
    """Prometheus scraping one target every second, and Alertmanager behind it, both answering."""
    prometheus, alertmanager = free_port(), free_port()
    _configured(folder, target, hook, token, alertmanager)
    first = [
        system("prometheus-alertmanager"),
        "--config.file=alertmanager.yml",
        "--storage.path=alertmanager",
        f"--web.listen-address=127.0.0.1:{alertmanager}",
        "--cluster.listen-address=",
    ]
    second = [
        system("prometheus"),
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=prometheus",
        f"--web.listen-address=127.0.0.1:{prometheus}",
        "--enable-feature=exemplar-storage",
    ]
    with program(first, folder, "alertmanager"), program(second, folder, "prometheus"):
        for port in (alertmanager, prometheus):
            _until_ready(f"http://127.0.0.1:{port}/-/ready", folder)
        yield Prometheus(f"http://127.0.0.1:{prometheus}")


def _until_ready(url: str, folder: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.1)
    logs = "\n".join(path.read_text("utf-8") for path in folder.glob("*.log"))
    raise AssertionError(f"{url} never answered\n{logs}")
