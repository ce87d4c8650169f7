"""The port as it is served: certificates, and connections that would keep it waiting."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import ASGIApp, Receive, Scope, Send

from shiftwatch.errors import ConfigError
from shiftwatch.report import Format, render_html
from shiftwatch.settings import TlsSettings, WebSettings
from shiftwatch.status import Snapshot
from shiftwatch.web import create_app
from shiftwatch.web.gate import Access
from shiftwatch.web.listening import Listener, listen
from shiftwatch.web.patience import PatientProtocol
from shiftwatch.web.server import faults, renew, server_config, tls_context
from tests.test_web import TableBoard, board_of, run_of

LARGE = 8_000_000


@contextmanager
def served(app: ASGIApp, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server of this application."""
    listener = listen(WebSettings("127.0.0.1:0"))
    server = uvicorn.Server(server_config(app, context))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()


# Certificates


@dataclass(frozen=True, slots=True)
class Papers:
    """Two authorities; a server and a client of the first, a stranger of the second."""

    folder: Path

    def tls(self, *, client_ca: bool = False) -> TlsSettings:
        authority = str(self.folder / "ca.pem") if client_ca else None
        return TlsSettings(
            str(self.folder / "server.pem"), str(self.folder / "server.key"), authority
        )

    def asking(self, name: str | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        if name is not None:
            context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        return context


def issue(openssl: str, folder: Path, name: str, authority: str) -> None:
    """A certificate of an authority, or of itself."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command = [openssl, "req", "-x509", *key, "-days", "30", "-subj", f"/CN={name}"]
    command += ["-keyout", f"{name}.key", "-out", f"{name}.pem"]
    if name != authority:
        command += ["-CA", f"{authority}.pem", "-CAkey", f"{authority}.key"]
        command += ["-addext", "subjectAltName=IP:127.0.0.1"]
        command += ["-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory, system: Callable[[str], str]) -> Papers:
    folder, openssl = tmp_path_factory.mktemp("papers"), system("openssl")
    pairs = [("ca", "ca"), ("other", "other"), ("server", "ca"), ("client", "ca")]
    for name, authority in [*pairs, ("stranger", "other"), ("renewed", "ca")]:
        issue(openssl, folder, name, authority)
    return Papers(folder)


def status(port: int, context: ssl.SSLContext, path: str = "/healthz") -> int:
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
    with contextlib.closing(connection):
        connection.request("GET", path)
        return connection.getresponse().status


def test_the_port_answers_by_tls_and_to_nobody_without(papers: Papers) -> None:
    with served(create_app(board_of()), tls_context(papers.tls())) as port:
        assert status(port, papers.asking()) == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            status(port, ssl.create_default_context())
        with connected(port) as plain:
            plain.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            assert is_ended(plain)


def test_versions_of_tls_that_are_broken_are_not_spoken(papers: Papers) -> None:
    assert tls_context(papers.tls()).minimum_version == ssl.TLSVersion.TLSv1_2


def test_where_client_certificates_are_asked_for_a_stranger_is_not_answered(
    papers: Papers,
) -> None:
    with served(create_app(board_of()), tls_context(papers.tls(client_ca=True))) as port:
        assert status(port, papers.asking("client")) == 200
        for name in (None, "stranger"):
            for path in ("/healthz", "/metrics", "/config"):
                with pytest.raises((ssl.SSLError, OSError, http.client.HTTPException)):
                    status(port, papers.asking(name), path)


def serial(port: int) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), 20) as raw,
        context.wrap_socket(raw) as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""


def test_a_renewed_certificate_is_shown_after_a_reload_and_a_bad_one_is_refused(
    papers: Papers, tmp_path: Path
) -> None:
    cert, key = tmp_path / "web.pem", tmp_path / "web.key"

    def put(name: str, key_of: str) -> None:
        cert.write_bytes((papers.folder / f"{name}.pem").read_bytes())
        key.write_bytes((papers.folder / f"{key_of}.key").read_bytes())

    put("server", "server")
    tls = TlsSettings(str(cert), str(key))
    context = tls_context(tls)
    with served(create_app(board_of()), context) as port:
        first = serial(port)
        put("renewed", "server")
        with pytest.raises(ConfigError, match=r"web\.tls\.cert cannot be used"):
            renew(context, tls)
        assert serial(port) == first
        put("renewed", "renewed")
        renew(context, tls)
        assert serial(port) not in (first, b"")


def test_files_that_cannot_be_used_are_named_with_their_key(papers: Papers, tmp_path: Path) -> None:
    server, key = papers.folder / "server.pem", papers.folder / "server.key"
    (tmp_path / "empty").touch()
    empty, none = str(tmp_path / "empty"), str(tmp_path / "none")
    cases = {
        "cert": TlsSettings(none, str(key)),
        "key": TlsSettings(str(server), none),
        "client_ca": TlsSettings(str(server), str(key), empty),
    }
    for name, tls in cases.items():
        with pytest.raises(ConfigError, match=rf"web\.tls\.{name} cannot be used: "):
            tls_context(tls)
        assert [where for where, _ in faults(WebSettings(tls=tls))] == ["tls"]
    assert [where for where, _ in faults(WebSettings(tokens_file=none))] == ["tokens_file"]
    assert list(faults(WebSettings(tls=papers.tls()))) == []


# Connections


async def _large(scope: Scope, receive: Receive, send: Send) -> None:
    """A large answer, or one that asks for the body first."""
    if scope["method"] == "POST":
        while (await receive()).get("more_body"):
            pass
    body = LARGE * b"x" if scope["path"] == "/large" else b"ok"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A port whose patience is half a second."""
    monkeypatch.setattr(PatientProtocol, "patience", 0.5)
    with served(_large) as port:
        yield port


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 20)


def is_ended(connection: socket.socket) -> bool:
    """Whether the other side ends it, without an answer."""
    try:
        return connection.recv(1000) == b""
    except ConnectionError:
        return True


HALVES = {
    "nothing": b"",
    "half a line": b"GET /heal",
    "half a head": b"GET / HTTP/1.1\r\nhost: x\r\n",
    "half a body": b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nab",
}


@pytest.mark.parametrize("sent", HALVES.values(), ids=HALVES)
def test_a_request_that_is_not_finished_is_not_waited_for(hasty: int, sent: bytes) -> None:
    with connected(hasty) as connection:
        connection.sendall(sent)
        assert is_ended(connection)


def test_a_byte_now_and_then_does_not_prolong_it(hasty: int) -> None:
    sent = 0
    with connected(hasty) as connection, contextlib.suppress(ConnectionError):
        for byte in b"GET / HTTP/1.1\r\nx-slow: " + 1000 * b"x":
            connection.sendall(bytes([byte]))
            sent += 1
            time.sleep(0.02)
    assert sent < 1000


def test_an_answer_that_is_not_taken_is_not_kept(hasty: int) -> None:
    with connected(hasty) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        time.sleep(2.0)
        taken = 0
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(1 << 16):
                taken += len(piece)
    assert 0 < taken < LARGE


def test_an_answer_that_is_taken_comes_whole(hasty: int) -> None:
    asking = http.client.HTTPConnection("127.0.0.1", hasty, timeout=20)
    with contextlib.closing(asking):
        for _ in range(3):
            asking.request("GET", "/large")
            assert len(asking.getresponse().read()) == LARGE


def test_who_waits_for_us_is_not_ended_however_long_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PatientProtocol, "patience", 0.2)
    board = board_of()
    board.gate.clear()
    with served(create_app(board)) as port:
        asking = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        with contextlib.closing(asking):
            asking.request("GET", "/api/v1/models/churn/report")
            time.sleep(1.0)
            board.gate.set()
            assert asking.getresponse().status == 200


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
def test_one_client_cannot_take_all_connections_even_without_a_word(
    monkeypatch: pytest.MonkeyPatch, papers: Papers, *, secured: bool
) -> None:
    monkeypatch.setattr(Listener, "most_of_one", 10)
    context = tls_context(papers.tls()) if secured else None
    with served(create_app(board_of()), context) as port, contextlib.ExitStack() as stack:
        held = [stack.enter_context(connected(port)) for _ in range(10)]
        assert is_ended(stack.enter_context(connected(port)))
        # Another address of this machine has room of its own.
        other = stack.enter_context(socket.socket())
        other.bind(("127.0.0.2", 0))
        other.connect(("127.0.0.1", port))
        if not secured:
            other.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            assert other.recv(100).startswith(b"HTTP/1.1 200 ")
        for connection in held:
            connection.close()
        time.sleep(0.2)
        stack.enter_context(again := connected(port))
        again.settimeout(0.3)
        with pytest.raises(TimeoutError):  # it is waited for
            again.recv(1)


def test_connections_are_bounded_in_all_and_those_that_ended_are_not_counted() -> None:
    with listen(WebSettings("127.0.0.1:0")) as listener, contextlib.ExitStack() as stack:
        listener.most = 3
        listener.setblocking(False)
        port = listener.getsockname()[1]
        clients = [stack.enter_context(connected(port)) for _ in range(5)]
        taken = [stack.enter_context(listener.accept()[0]) for _ in range(3)]
        with pytest.raises(BlockingIOError):
            listener.accept()
        assert [is_ended(client) for client in clients[3:]] == [True, True]
        taken[0].close()
        stack.enter_context(connected(port))
        stack.enter_context(listener.accept()[0])


def test_a_head_without_end_is_refused(hasty: int) -> None:
    with connected(hasty) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nx-long: " + 40_000 * b"x")
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "head",
    [
        b"content-length: 2\r\ntransfer-encoding: chunked\r\n",
        b"content-length: 2\r\ncontent-length: 3\r\n",
        b"content-length: -1\r\n",
        b"content-length : 2\r\n",
        b"x: a\rb\r\n",
    ],
)
def test_requests_whose_end_is_disputable_are_not_answered(hasty: int, head: bytes) -> None:
    """Two readers that disagree on the end let a request through unseen (RFC 9112, 6.3)."""
    with connected(hasty) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\n" + head + b"\r\n{}")
        assert connection.recv(100)[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 411", b"")


PIECES = [
    *(b"GET ", b"POST ", b"/metrics", b"/api/v1/models/churn/checks", b" HTTP/1.1\r\n", b"\r\n"),
    *(b"host: 127.0.0.1\r\n", b"content-length: 5\r\n", b"expect: 100-continue\r\n", b"%00", b"?"),
    *(b"transfer-encoding: chunked\r\n", b"connection: upgrade\r\nupgrade: websocket\r\n", b"{}"),
    *(
        b"authorization: Basic ",
        b"origin: http://[\r\n",
        b"name[]=",
        b"\r\n\r\n",
        b"5\r\n",
        b"0\r\n",
    ),
    *(b"content-type: application/json\r\n", b'{"path": "', b'"}', b"accept: ", b";q=", b"*/*"),
]
WHOLE = b"POST /api/v1/models/churn/checks HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A request of pieces, or a whole one with bytes put in, taken out and changed."""
    if draw(st.booleans()):
        return b"".join(draw(st.lists(st.sampled_from(PIECES) | st.binary(max_size=8))))
    request = bytearray(WHOLE)
    for _ in range(draw(st.integers(1, 5))):
        place = draw(st.integers(0, len(request)))
        request[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(request)


def answered(port: int, sent: bytes) -> bytes:
    """Everything that is answered to these bytes."""
    with connected(port) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        pieces = []
        while piece := connection.recv(1 << 16):
            pieces.append(piece)
        return b"".join(pieces)
    return b""


def test_bytes_that_are_no_request_are_refused_or_answered_and_never_a_fault_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    access = Access(public=frozenset(), is_local=True)
    with served(create_app(board_of(), access)) as port:

        @hypothesis.settings(max_examples=300)
        @given(damaged())
        def send(sent: bytes) -> None:
            told = answered(port, sent)
            assert not re.match(rb"HTTP/1\.1 5", told)
            assert told == b"" or told.startswith(b"HTTP/1.1 ")

        send()
        asking = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        with contextlib.closing(asking):
            asking.request("GET", "/healthz")
            assert asking.getresponse().status == 200
    assert [r.message for r in caplog.records if r.levelname == "ERROR"] == []


# Browsers


@pytest.mark.slow  # a browser
def test_a_browser_applies_our_styles_and_has_nothing_to_complain_of(
    system: Callable[[str], str],
) -> None:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - heavy

    said: list[str] = []
    board = board_of()
    report = render_html(run_of("shift", alarm=True))
    with (
        served(create_app(Reporting(board.now, report=report))) as port,
        sync_playwright() as playwright,
    ):
        arguments = ["--no-sandbox", "--no-proxy-server"]
        browser = playwright.chromium.launch(executable_path=system("chromium"), args=arguments)
        page = browser.new_page()
        page.on("console", lambda message: said.append(message.text))
        for path in ("/", "/docs", "/api/v1/models/churn/report?format=html"):
            page.goto(f"http://127.0.0.1:{port}{path}")
            margin = page.evaluate("getComputedStyle(document.body).marginLeft")
            assert margin == "0px", f"{path} has no style"
            assert said == [], path
            # One that a hostile name had brought in would not be applied.
            page.evaluate(
                "const s = document.createElement('style');"
                "s.textContent = 'body { margin-left: 99px }'; document.head.append(s)"
            )
            assert page.evaluate("getComputedStyle(document.body).marginLeft") == "0px"
            said.clear()
        browser.close()


class Reporting(TableBoard):
    """A board with a real report."""

    def __init__(self, now: Snapshot, report: str) -> None:
        super().__init__(now)
        self._report = report

    def report(self, model: str, batch: str | None, form: Format) -> str:
        del model, batch, form
        return self._report
