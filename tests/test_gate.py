"""The gate: who is answered, on every path there is, and how often."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import random
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shiftwatch.web import create_app
from shiftwatch.web.buckets import Buckets
from shiftwatch.web.gate import Access, Gate
from shiftwatch.web.probes import PROBES
from shiftwatch.web.routes import ROUTERS
from shiftwatch.web.tokens import TokenFile
from tests.test_tokens import Clock
from tests.test_web import board_of, problem

# Not drawn anew: the names of the cases below hold them, and every process must find the same.
READER, OPERATOR = "sw_" + "r" * 43, "sw_" + "o" * 43
READING = f"prometheus read-only sha256:{hashlib.sha256(READER.encode()).hexdigest()}"
OPERATING = f"alice operator sha256:{hashlib.sha256(OPERATOR.encode()).hexdigest()}"
PUBLIC = frozenset(("/metrics", "/healthz", "/readyz"))


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text(f"{READING}\n{OPERATING}\n", encoding="utf-8")
    return path


@pytest.fixture
def app(file: Path) -> ASGIApp:
    return create_app(board_of(), Access(TokenFile(str(file)), PUBLIC))


def ask(
    app: ASGIApp, method: str, path: str, client: str = "192.0.2.1", **request: Any
) -> httpx.Response:
    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(client, 5))
        async with httpx.AsyncClient(transport=transport, base_url="http://watch") as asking:
            return await asking.request(method, path, **request)

    return asyncio.run(answer())


def everything() -> list[tuple[str, str]]:
    """Every method of every route, on both paths of the door."""
    asked = {
        (method, re.sub(r"{\w+}", "7c1d", route.path.replace("{model}", "churn")))  # type: ignore[attr-defined] # of each
        for router in ROUTERS
        for route in router.routes
        for method in route.methods  # type: ignore[attr-defined] # likewise
    }
    probes = {(method, path) for path in PROBES for method in ("GET", "HEAD", "POST")}
    unknown = {("GET", "/nothing"), ("POST", "/nothing"), ("GET", "/api/v1/models/unknown/batches")}
    return sorted(asked | probes | unknown)


def test_without_a_token_nothing_is_answered_but_what_is_public(app: ASGIApp) -> None:
    assert len(everything()) > 30
    for method, path in everything():
        response = ask(app, method, path)
        if path in PUBLIC and method in ("GET", "HEAD"):
            assert response.status_code == 200, path
            continue
        assert response.status_code == 401, (method, path)
        assert response.headers.get_list("www-authenticate") == [
            'Bearer realm="shiftwatch"',
            'Basic realm="shiftwatch", charset="UTF-8"',
        ]
        assert "churn" not in re.sub(r"/models/churn\b", "", response.text)
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "style-src" not in response.headers["content-security-policy"]


def test_a_reader_reads_everything_and_changes_nothing(app: ASGIApp) -> None:
    for method, path in everything():
        status = ask(app, method, path, headers=bearer(READER)).status_code
        writes = method not in ("GET", "HEAD")
        assert (status == 403) is writes, (method, path, status)
        assert status != 401


def test_an_operator_may_do_both(app: ASGIApp) -> None:
    for method, path in everything():
        response = ask(app, method, path, headers=bearer(OPERATOR))
        assert response.status_code not in (401, 403), (method, path)
    assert ask(app, "POST", "/-/reload", headers=bearer(OPERATOR)).text == "reloaded\n"


def test_a_refusal_is_a_problem_that_says_what_to_do(app: ASGIApp) -> None:
    assert "a token is needed" in problem(ask(app, "GET", "/config"), 401)["detail"]
    shown = ask(app, "GET", "/config", headers=bearer("sw_wrong"))
    assert "this token is not known" in problem(shown, 401)["detail"]
    assert "sw_wrong" not in shown.text
    refused = problem(ask(app, "POST", "/-/reload", headers=bearer(READER)), 403)
    assert "the token of prometheus is read-only" in refused["detail"]


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"bearer  {READER} ", 200),
        (basic(f"anyone:{READER}"), 200),
        (basic(f":{READER}"), 200),
        (basic(READER), 401),
        (basic("prometheus:"), 401),
        (f"Basic {READER}", 401),
        ("Basic", 401),
        ("Basic ====", 401),
        ("Basic /w==", 401),
        ("Bearer", 401),
        ("", 401),
        (READER, 401),
        (f"Token {READER}", 401),
        (f"Bearer {READER}\u00ff", 401),
        (f"Bearer {READER}, Bearer {READER}", 401),
        (f"Bearer {10_000 * 'x'}", 401),
    ],
)
def test_a_token_is_taken_as_bearer_or_as_the_password_of_basic(
    app: ASGIApp, header: str, status: int
) -> None:
    headers = {"authorization": header.encode("latin-1")}
    assert ask(app, "GET", "/config", headers=headers).status_code == status


def test_two_tokens_at_once_are_none(app: ASGIApp) -> None:
    headers = [("authorization", f"Bearer {token}") for token in (READER, OPERATOR)]
    assert ask(app, "GET", "/config", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "path",
    ["/metrics/", "//metrics", "/metrics/..%2fconfig", "/metrics%00", "/Metrics", "/metrics;x=1"],
)
def test_a_path_is_public_as_it_is_written_or_not_at_all(app: ASGIApp, path: str) -> None:
    assert ask(app, "GET", path).status_code == 401


def test_a_reader_of_a_public_path_may_show_any_token(app: ASGIApp) -> None:
    assert ask(app, "GET", "/metrics", headers=bearer("sw_wrong")).status_code == 200


def test_writing_to_a_public_path_needs_an_operator_all_the_same(file: Path) -> None:
    app = create_app(board_of(), Access(TokenFile(str(file)), frozenset({"/-/reload"})))
    assert ask(app, "POST", "/-/reload").status_code == 401
    assert ask(app, "POST", "/-/reload", headers=bearer(READER)).status_code == 403


def test_tokens_that_cannot_be_read_are_unavailable_and_public_paths_are_not(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    app = create_app(board_of(), Access(TokenFile(str(file), clock), PUBLIC))
    file.write_text(f"{OPERATING}\nhalf a", encoding="utf-8")
    clock.now += 1.0
    for token in (READER, OPERATOR):
        problem(ask(app, "GET", "/config", headers=bearer(token)), 503)
    assert ask(app, "GET", "/metrics").status_code == 200
    assert "nobody is let in" in caplog.text


def test_without_tokens_everyone_who_reaches_the_port_is_answered() -> None:
    app = create_app(board_of())
    assert ask(app, "GET", "/config").status_code == 200
    assert ask(app, "POST", "/-/reload").status_code == 200


def test_it_is_on_record_who_changed_something_and_that_strangers_came(
    app: ASGIApp, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ask(app, "POST", "/-/reload", headers=bearer(OPERATOR))
    for _ in range(50):
        ask(app, "GET", "/config", headers=bearer("sw_wrong"))
    said = {record.message: vars(record) for record in caplog.records}
    assert (said["asked for"]["who"], said["asked for"]["method"]) == ("alice", "POST")
    assert (said["refused"]["client"], said["refused"]["status"]) == ("192.0.2.1", 401)
    assert sum(record.message == "refused" for record in caplog.records) == 1
    assert not any(
        token in str(vars(record))
        for token in (READER, OPERATOR, "sw_wrong")
        for record in caplog.records
    )


def test_nothing_but_http_is_answered(app: ASGIApp) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/metrics", "headers": []}
    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type] # as a server would
    assert sent == []


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:9464", 200),
        ("localhost:9464", 200),
        ("LOCALHOST", 200),
        ("[::1]:9464", 200),
        ("10.0.0.7", 200),
        ("evil.example:9464", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("127.0.0.1@evil.example", 421),
        ("[::1", 421),
    ],
)
def test_a_site_that_takes_the_address_of_this_machine_is_not_answered(
    host: str, status: int
) -> None:
    app = create_app(board_of(), Access(is_local=True))
    assert ask(app, "GET", "/", headers={"host": host}).status_code == status
    assert ask(app, "GET", "/metrics", headers={"host": host}).status_code == status
    elsewhere = create_app(board_of(), Access(is_local=False))
    assert ask(elsewhere, "GET", "/", headers={"host": host}).status_code == 200


# How often


async def _ok(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def test_a_client_that_asks_too_often_waits_and_others_do_not() -> None:
    clock = Clock()
    app = Gate(_ok, Access(requests_per_second=2), clock)
    assert [ask(app, "GET", "/").status_code for _ in range(9)] == [200] * 8 + [429]
    refused = ask(app, "GET", "/")
    assert refused.headers["retry-after"] == "1"
    assert "more than 2 requests a second" in problem(refused, 429)["detail"]
    assert ask(app, "GET", "/", client="192.0.2.2").status_code == 200
    assert ask(app, "GET", "/healthz").status_code == 200
    near = ("127.0.0.1", "::1")
    assert {ask(app, "GET", "/", client=each).status_code for each in 10 * near} == {200}
    clock.now += 1.0
    assert [ask(app, "GET", "/").status_code for _ in range(3)] == [200, 200, 429]


def test_a_bucket_grants_what_the_plain_count_of_its_window_allows() -> None:
    rng = random.Random(5)
    buckets, now, granted = Buckets(3.0), 0.0, []
    for _ in range(2000):
        now += rng.expovariate(6.0)
        if not buckets.wait("192.0.2.1", now):
            granted.append(now)
    for first in range(0, len(granted), 50):
        for last in range(first, len(granted), 25):
            span = granted[last] - granted[first]
            assert last - first + 1 <= 12 + 3.0 * span + 1e-9
    assert len(granted) > 0.95 * 3.0 * now, "and little less"


def test_buckets_stay_few_whoever_asks() -> None:
    buckets = Buckets(1.0)
    for number in range(10_000):
        buckets.wait(f"10.0.{number >> 8}.{number & 255}", now=float(number))
    assert len(buckets) == 4096


def test_a_network_of_one_machine_is_one_client() -> None:
    buckets = Buckets(0.25)
    assert buckets.wait("2001:db8::1", 0.0) == 0.0
    assert buckets.wait("2001:db8::ffff", 0.0) > 0.0
    assert buckets.wait("2001:db8:0:1::1", 0.0) == 0.0
    assert buckets.wait("unix", 0.0) == 0.0
