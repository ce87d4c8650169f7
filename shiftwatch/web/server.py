"""How the port is served: certificates, bounds on connections.

In:    an ASGI application and the settings of the web.
Out:   the configuration of uvicorn.
Never: listens; believes a header on where a request comes from.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from shiftwatch.errors import ConfigError
from shiftwatch.settings import TlsSettings, WebSettings
from shiftwatch.web.gate import Access
from shiftwatch.web.patience import PatientProtocol

_HEAD_BYTES = 16 * 1024
_KEEP_ALIVE_SECONDS = 5
_GOODBYE_SECONDS = 5
_BACKLOG = 256


def server_config(app: ASGIApp, context: ssl.SSLContext | None) -> uvicorn.Config:
    """How to serve ``app``, by plain HTTP where ``context`` is None."""
    return uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # who sends X-Forwarded-For would choose its own address
        lifespan="off",
        backlog=_BACKLOG,
        h11_max_incomplete_event_size=_HEAD_BYTES,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GOODBYE_SECONDS,
        ssl_context_factory=None if context is None else lambda _config, _default: context,
    )


def tls_context(tls: TlsSettings) -> ssl.SSLContext:
    """TLS 1.2 or later with this certificate, asking for a client's where authorities are named.

    Raises
    ------
    ConfigError
        With the key of the setting whose file cannot be used.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, tls)
    if tls.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(cafile=tls.client_ca)
        except (OSError, ssl.SSLError) as fault:
            raise _unusable("client_ca", tls.client_ca, fault) from fault
    return context


def renew(context: ssl.SSLContext, tls: TlsSettings) -> None:
    """Read the certificate and its key again; new connections are shown them from then on.

    Raises
    ------
    ConfigError
        If they cannot be used; those before stay in force.
    """
    tls_context(tls)  # OpenSSL would keep a new certificate without its key
    _load(context, tls)


def _load(context: ssl.SSLContext, tls: TlsSettings) -> None:
    for key, path in (("cert", tls.cert), ("key", tls.key)):
        try:
            Path(path).open("rb").close()
        except OSError as fault:
            raise _unusable(key, path, fault) from fault
    try:
        # Without a password, or OpenSSL would ask for one at the terminal.
        context.load_cert_chain(tls.cert, tls.key, password="")
    except (OSError, ssl.SSLError) as fault:
        raise _unusable("cert", tls.cert, fault) from fault


def _unusable(key: str, path: str, fault: OSError) -> ConfigError:
    why = fault.strerror or getattr(fault, "reason", "") or "no such PEM file"
    return ConfigError(
        f"web.tls.{key} cannot be used: {why}",
        where=path,
        hint="PEM files; the key must fit the certificate and have no password",
    )


def faults(web: WebSettings) -> Iterator[tuple[str, ConfigError]]:
    """What is wrong with the files that the settings name, by the key concerned."""
    try:
        Access.by(web)
    except ConfigError as fault:
        yield "tokens_file", fault
    try:
        if web.tls is not None:
            tls_context(web.tls)
    except ConfigError as fault:
        yield "tls", fault
