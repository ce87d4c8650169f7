"""A live daemon asked by schemathesis with every check it has, with real ids: it finds nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from shiftwatch.web import tokens
from tests.conftest import absent
from tests.test_accept import CONFIG
from tests.test_accept import house as folder
from tests.test_daemon import running, until

__all__ = ["folder"]  # a fixture
# A daemon, and a thousand requests, some of which start a worker.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

EXAMPLES = 5
"""Made-up requests of each operation, beside a fixed list of some thirty on the edges of each."""

# What is well formed may still be impossible now: to undo what nobody has accepted.
SETTINGS = """\
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "3xx", "400", "404", "409", "503"]

[parameters]
"""


@dataclass(frozen=True, slots=True)
class Known:
    """A daemon with tokens, and how it is asked."""

    url: str
    token: str

    def ask(self, path: str, body: Any = None) -> Any:
        """The JSON of an answer; something is asked for where there is a body."""
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


@pytest.fixture
def daemon(folder: Path) -> Iterator[Known]:
    token, line = tokens.made("ada", "operator")
    (folder / "tokens").write_text(line + "\n", encoding="utf-8")
    (folder / "tokens").chmod(0o600)
    web = 'web: {listen: "127.0.0.1:0", tokens_file: tokens}\n'
    (folder / "shiftwatch.yml").write_text(CONFIG + "schedule: {every: 1s}\n" + web, "utf-8")
    with running(folder) as started:
        yield Known(started.url, token)


def real(daemon: Known) -> dict[str, Any]:
    """A real value for every place of a path: an alarm, a job, a word, a comparison that is made."""
    model = "/api/v1/models/churn"

    def judged() -> list[Any] | None:
        found: list[Any] = daemon.ask(f"{model}/batches")["batches"]
        return found if len(found) == 4 else None

    batches = until(judged)
    daemon.ask(f"{model}/acceptance", {"from": batches[0]["batch_id"]})
    word = daemon.ask(f"{model}/annotations", {"kind": "silence", "until": "2h"})
    job = daemon.ask(f"{model}/checks", {})
    sides = {"reference": {"first": batches[3]["batch_id"], "last": batches[2]["batch_id"]}}
    compared = daemon.ask(f"{model}/comparisons", sides)
    until(lambda: daemon.ask(compared["status_url"])["report"])
    return {
        "model": "churn",
        "batch": batches[0]["batch_id"],
        "number": word["id"],
        "job": job["id"],
        "comparison": compared["id"],
        "name": "pages.js",
    }


def test_every_check_of_every_operation_finds_nothing(daemon: Known, tmp_path: Path) -> None:
    if find_spec("schemathesis") is None:
        absent("package schemathesis")
    known = real(daemon)
    described = daemon.ask("/openapi.json")
    places = {part for path in described["paths"] for part in path.split("/") if "{" in part}
    assert places == {f"{{{name}}}" for name in known}, "every place of a path has a real value"
    lines = [f'"path.{name}" = {json.dumps(value)}\n' for name, value in known.items()]
    (tmp_path / "schemathesis.toml").write_text(SETTINGS + "".join(lines), encoding="utf-8")
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml"]
    command += ["run", f"{daemon.url}/openapi.json", "--checks", "all", "--no-color"]
    command += ["--header", f"Authorization: Bearer {daemon.token}", "--seed", "1"]
    command += ["--max-examples", str(EXAMPLES), "--continue-on-failure", "--no-shrink"]
    command += ["--request-timeout", "120"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    # All but the description itself, which it has read.
    assert f"Tested: {sum(map(len, described['paths'].values())) - 1}" in done.stdout
    assert daemon.ask("/api/v1/models/churn")["fault"] is None
