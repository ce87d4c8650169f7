"""The compose file and the image's health check: every name in them leads to something."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.object_store import free_port
from tests.test_daemon import folder, running

__all__ = ["folder"]  # a fixture

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
KNOWN = (
    "image build command volumes read_only tmpfs cap_drop security_opt mem_limit ports restart "
    "depends_on environment"
)
"""Keys of the compose specification that the file uses; another one may be misspelt."""


def read(*parts: str) -> Any:
    return yaml.safe_load(DEPLOY.joinpath(*parts).read_text("utf-8"))


def test_the_compose_file_has_no_key_the_specification_does_not_know() -> None:
    compose = read("compose", "compose.yaml")
    assert compose.keys() <= {"name", "services", "volumes"}
    for service in compose["services"].values():
        assert service.keys() <= set(KNOWN.split())
        assert set(service.get("depends_on", ())) <= set(compose["services"])


def test_every_host_a_configuration_names_is_a_service_with_that_port() -> None:
    services = read("compose", "compose.yaml")["services"]
    prometheus = read("prometheus", "prometheus.yml")
    (job,) = prometheus["scrape_configs"]
    (alertmanager,) = prometheus["alerting"]["alertmanagers"]
    (source,) = read("grafana", "provisioning", "datasources", "shiftwatch.yml")["datasources"]
    named = [
        *job["static_configs"][0]["targets"],
        *alertmanager["static_configs"][0]["targets"],
        urlsplit(source["url"]).netloc,
    ]
    for address in named:
        host, _, port = address.partition(":")
        assert services[host]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_prometheus_finds_the_rules_it_is_told_of_where_they_are_mounted() -> None:
    mounts = dict(
        mount.split(":")[:2]
        for mount in read("compose", "compose.yaml")["services"]["prometheus"]["volumes"]
    )
    beside = str(Path(mounts["../prometheus/prometheus.yml"]).parent)
    for name in read("prometheus", "prometheus.yml")["rule_files"]:
        assert mounts[f"../prometheus/{name}"] == f"{beside}/{name}"


def test_grafana_finds_the_dashboards_where_its_provisioning_looks() -> None:
    mounts = read("compose", "compose.yaml")["services"]["grafana"]["volumes"]
    (provider,) = read("grafana", "provisioning", "dashboards", "shiftwatch.yml")["providers"]
    assert f"../grafana/dashboards:{provider['options']['path']}:ro" in mounts


def health_check(port: int) -> int:
    """Status of the Dockerfile's health check, asked of another port."""
    text = (ROOT / "Dockerfile").read_text("utf-8")
    (found,) = re.findall(r"^HEALTHCHECK .*\\\n\s+CMD (\[.*\])$", text, re.MULTILINE)
    program, *arguments = (part.replace("9464", str(port)) for part in json.loads(found))
    assert program == "python"
    return subprocess.run(
        [sys.executable, *arguments], check=False, capture_output=True, timeout=60
    ).returncode


@pytest.mark.slow
def test_the_health_check_of_the_image_is_0_only_while_a_daemon_answers(folder: Path) -> None:
    with running(folder) as daemon:
        port = urlsplit(daemon.url).port
        assert port is not None
        assert health_check(port) == 0
    assert health_check(free_port()) != 0
