"""A real daemon behind tokens and TLS: who comes in, and what becomes of who no longer should."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from shiftwatch.web.tokens import made
from tests.test_accept import CONFIG, free_port, house
from tests.test_daemon import Running, running, until
from tests.test_server import Papers, papers

__all__ = ["house", "papers"]  # fixtures
pytestmark = pytest.mark.slow  # daemons and workers


def ask(
    daemon: Running,
    path: str,
    token: str = "",
    *,
    method: str = "GET",
    context: ssl.SSLContext | None = None,
) -> tuple[int, str]:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(daemon.url + path, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as fault:
        return fault.code, fault.read().decode()


def verb(folder: Path, *arguments: str, token: str | None = None) -> tuple[int, str, str]:
    environment = {k: v for k, v in os.environ.items() if k != "SHIFTWATCH_TOKEN"}
    environment |= {} if token is None else {"SHIFTWATCH_TOKEN": token}
    command = [sys.executable, "-m", "shiftwatch", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_tokens_of_the_verb_open_the_daemon_and_are_rotated_without_a_restart(
    tmp_path: Path,
) -> None:
    (tmp_path / "batches").mkdir()
    tokens = {}
    for name, role in (("prometheus", "read-only"), ("alice", "operator"), ("bob", "operator")):
        status, line, secret = verb(tmp_path, "token", name, "--role", role)
        assert (status, line.split()[:2]) == (0, [name, role])
        tokens[name] = (secret.split()[-1], line)
        assert tokens[name][0] not in line
    file = tmp_path / "tokens.txt"
    file.write_text(tokens["prometheus"][1] + tokens["alice"][1], encoding="utf-8")
    text = CONFIG + 'web: {listen: "127.0.0.1:0", tokens_file: tokens.txt, public: [/healthz]}\n'
    (tmp_path / "shiftwatch.yml").write_text(text, encoding="utf-8")
    with running(tmp_path) as daemon:
        alice, bob, reader = (tokens[name][0] for name in ("alice", "bob", "prometheus"))
        assert ask(daemon, "/healthz")[0] == 200
        assert ask(daemon, "/metrics")[0] == 401
        assert ask(daemon, "/metrics", reader)[0] == 200
        assert ask(daemon, "/-/reload", reader, method="POST")[0] == 403
        assert ask(daemon, "/-/reload", alice, method="POST")[0] == 200
        assert ask(daemon, "/config", bob)[0] == 401
        file.write_text(tokens["prometheus"][1] + tokens["bob"][1], encoding="utf-8")
        until(lambda: ask(daemon, "/config", bob)[0] == 200 or None, 20)
        assert ask(daemon, "/config", alice)[0] == 401
        shown = ask(daemon, "/config", bob)[1]
        log = (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert json.loads(shown)["web"]["tokens_file"] == str(file)
    for secret, line in tokens.values():
        assert secret not in log + shown
        assert line.split(":")[1].strip() not in log + shown
    assert [json.loads(text)["who"] for text in log.splitlines() if '"who"' in text] == ["alice"]


@pytest.mark.parametrize("listed", ["alice operator", None])
def test_a_daemon_whose_tokens_cannot_be_used_does_not_start(
    tmp_path: Path, listed: str | None
) -> None:
    (tmp_path / "batches").mkdir()
    if listed is not None:
        (tmp_path / "tokens.txt").write_text(listed, encoding="utf-8")
    text = CONFIG + 'web: {listen: "0.0.0.0:0", tokens_file: tokens.txt}\n'
    (tmp_path / "shiftwatch.yml").write_text(text, encoding="utf-8")
    line = text.splitlines().index(text.splitlines()[-1]) + 1
    for name in ("run", "check"):
        status, _, fault = verb(tmp_path, name, "shiftwatch.yml")
        assert status == 78
        assert "tokens.txt" in fault
    assert f"shiftwatch.yml:{line}: web.tokens_file: " in fault


def test_accepting_through_a_daemon_behind_tls_and_tokens(house: Path, papers: Papers) -> None:
    token, line = made("alice", "operator")
    reader, reading = made("prometheus", "read-only")
    (house / "tokens.txt").write_text(f"{line}\n{reading}\n", encoding="utf-8")
    folder = papers.folder
    text = CONFIG + (
        "schedule: {every: 1s}\n"
        f'web: {{listen: "127.0.0.1:{free_port()}", tokens_file: tokens.txt, '
        f"tls: {{cert: {folder / 'server.pem'}, key: {folder / 'server.key'}, "
        f"client_ca: {folder / 'ca.pem'}}}}}\n"
    )
    (house / "shiftwatch.yml").write_text(text, encoding="utf-8")
    context = papers.asking("client")
    path = "/api/v1/models/churn"

    def batches() -> list[dict[str, str]] | None:
        status, answer = ask(daemon, f"{path}/batches", token, context=context)
        assert status == 200
        found: list[dict[str, str]] = json.loads(answer)["batches"]
        return found if len(found) == 4 else None

    with running(house) as daemon:
        assert daemon.url.startswith("https://127.0.0.1:")
        first = until(batches)[1]["batch_id"]
        asked = ["accept", "shiftwatch.yml", "churn", "--yes", "--from", first]
        status, _, fault = verb(house, *asked)
        assert (status, "a token is needed" in fault) == (70, True)
        assert "SHIFTWATCH_TOKEN" in fault
        status, _, fault = verb(house, *asked, token=reader)
        assert (status, "read-only" in fault) == (70, True)
        status, said, fault = verb(house, *asked, token=token)
        assert (status, "accepted 600 rows" in said) == (0, True), fault
        assert ask(daemon, f"{path}/acceptance", context=context)[0] == 401
        assert ask(daemon, "/-/reload", token, method="POST", context=context)[0] == 200
        with pytest.raises(OSError, match=r"(?i)certificate|reset|eof|closed"):
            ask(daemon, "/healthz", token, context=papers.asking())
