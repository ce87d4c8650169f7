"""The runbook's commands are run, one by one, against a daemon in alarm."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.prometheus.source.rules import RUNBOOK
from tests.object_store import free_port
from tests.test_daemon import folder, judged, running, write

__all__ = ["folder"]  # a fixture
pytestmark = pytest.mark.slow

TEXT = RUNBOOK.read_text("utf-8")


def blocks(language: str) -> list[str]:
    """Every block of a language once, in the order of the file."""
    found = re.findall(rf"^ *```{language}\n(.*?)^ *```$", TEXT, re.DOTALL | re.MULTILINE)
    return list(dict.fromkeys(map(textwrap.dedent, found)))


@pytest.mark.timeout(400)
def test_every_command_of_the_runbook_works_on_a_daemon_in_alarm(
    folder: Path, system: Callable[[str], str]
) -> None:
    bash = system("bash")
    for program in ("curl", "jq", "grep"):
        system(program)
    names, *commands = blocks("sh")
    commands = [command for command in commands if "kubectl" not in command]
    assert len(commands) > 25
    (folder / "batches" / "broken.parquet").write_bytes(b"PAR1")
    config = folder / "shiftwatch.yml"
    # `accept` asks the daemon where the configuration says it is.
    text = config.read_text("utf-8").replace("127.0.0.1:0", f"127.0.0.1:{free_port()}")
    config.write_text(text, encoding="utf-8")
    faults = {}
    with running(folder) as daemon:
        for index in range(4):
            write(folder, index, shift=1.0 if index >= 2 else 0.0)
        judged(daemon, 4)
        here = f'URL={daemon.url}\nsw() {{ {sys.executable} -m shiftwatch "$@"; }}\nlogs() {{ cat log.txt; }}\n'
        for command in commands:
            script = f"set -euo pipefail\n{names}{here}{command}"
            done = subprocess.run(
                [bash, "-c", script], cwd=folder, capture_output=True, text=True, check=False
            )
            if done.returncode or done.stdout.strip() == "null":
                faults[command] = (done.returncode, done.stdout[-300:], done.stderr[-300:])
    assert not faults, "\n".join(f"{command}{fault}" for command, fault in faults.items())
    assert "<!doctype html>" in (folder / "report.html").read_text("utf-8").lower()


def test_kubectl_knows_every_form_it_is_asked_in(
    system: Callable[[str], str], tmp_path: Path
) -> None:
    """With no cluster behind it, each call gets as far as asking for one."""
    kubectl = system("kubectl")
    # The functions of the beginning, as they are called.
    text = TEXT.replace('shiftwatch "$@"', "shiftwatch version").replace("&\n", "\n")
    calls = {call.rstrip("; }") for call in re.findall(r"kubectl .*$", text, re.MULTILINE)}
    assert len(calls) > 5
    environment = {**os.environ, "NAMESPACE": "models", "KUBECONFIG": str(tmp_path / "none")}
    for call in calls:
        script = call.replace("kubectl ", f"{kubectl} --server http://127.0.0.1:1 ", 1)
        done = subprocess.run(
            ["bash", "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert "refused" in done.stderr, (call, done.stderr)
