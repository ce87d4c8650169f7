"""Who is let in, before anything else is done for a request.

In:    an ASGI application; tokens, public paths, a rate.
Out:   the same, answering 401, 403, 421, 429 and 503 by itself.
Never: reads a body; calls the application for somebody who does not belong.

It stands before both paths of the door, the probes and the pages. A token comes as
``Authorization: Bearer``, or as the password of ``Basic`` under any name, which is what a browser
asks its reader for.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import logging
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from shiftwatch.errors import ConfigError
from shiftwatch.settings import WebSettings
from shiftwatch.web.answers import CLOSING, answer
from shiftwatch.web.buckets import Buckets
from shiftwatch.web.tokens import Holder, TokenFile

_LOG = logging.getLogger(__name__)

_REASONS = {
    401: "unauthorized",
    403: "forbidden",
    421: "misdirected",
    429: "too_many",
    503: "no_tokens",
}
"""Of refusals by their status: :data:`shiftwatch.status.REFUSALS`."""

_READING = frozenset(("GET", "HEAD", "OPTIONS"))
_UNCOUNTED = frozenset(("/healthz", "/readyz", "/-/healthy", "/-/ready"))
"""Not counted: a neighbour behind the same address must not get the container restarted."""

EVENTS = "/events/"
"""Below it a model's events are handed in, by POST: by operators, or by everyone where the very path
is public, since KServe's logger shows no token."""

_CHALLENGES = ('Bearer realm="shiftwatch"', 'Basic realm="shiftwatch", charset="UTF-8"')
_TOLD_SECONDS = 10.0
"""Between two log lines on refusals, which anyone can cause."""


@dataclass(frozen=True, slots=True)
class Access:
    """Whom a port answers.

    ``tokens`` None: everyone who reaches it may do everything. ``is_local``: this machine alone
    reaches it, so it is asked for by a number or as localhost.
    """

    tokens: TokenFile | None = None
    public: frozenset[str] = frozenset()
    requests_per_second: float = math.inf
    is_local: bool = False
    refused: Counter[str] = field(default_factory=Counter)
    """Requests refused so far, by :data:`shiftwatch.status.REFUSALS`; the gate counts."""

    @classmethod
    def by(cls, web: WebSettings) -> Self:
        """As the configuration says; ConfigError if its tokens cannot be used."""
        tokens = None if web.tokens_file is None else TokenFile(web.tokens_file)
        return cls(tokens, frozenset(web.public), web.requests_per_second, web.is_local)


class Gate:
    """ASGI middleware; see the card of this module.

    Parameters
    ----------
    app
        What answers those who are let in.
    access
        Who is.
    clock
        Seconds that only go forward.
    """

    def __init__(
        self, app: ASGIApp, access: Access, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._app = app
        self._access = access
        self._clock = clock
        self._buckets = Buckets(access.requests_per_second)
        self._refused = 0
        self._told_at = -math.inf

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] != "http":
            return  # the server starts no web socket and no lifespan; who asks is not answered
        # A logger of events is bounded by the buffer: refused by a rate, it would lose them. Who
        # does not belong is counted like anybody else.
        free = _is_event(scope)
        refusal = None if free else self._too_many(scope)
        refusal = refusal or self._rebound(scope) or self._stranger(scope)
        if free and refusal is not None:
            refusal = self._too_many(scope) or refusal
        if refusal is not None:
            self._tell(scope, refusal)
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _too_many(self, scope: Scope) -> Response | None:
        rate = self._access.requests_per_second
        client = _address(scope)
        if math.isinf(rate) or scope["path"] in _UNCOUNTED or _is_near(client):
            return None
        seconds = self._buckets.wait(client, self._clock())
        if not seconds:
            return None
        headers = {"retry-after": str(math.ceil(seconds)), **CLOSING}
        detail = f"more than {rate:g} requests a second from one address; ask again later"
        return answer(429, detail, scope["path"], headers=headers)

    def _rebound(self, scope: Scope) -> Response | None:
        """A refusal of a page that has given its own name the address of this machine.

        Its browser takes us for a part of that site then, and would let it read and write here.
        With tokens it has none to show.
        """
        if self._access.tokens is not None or not self._access.is_local:
            return None
        name = _name(Headers(scope=scope).get("host", ""))
        if name in ("", "localhost") or _is_number(name):
            return None
        detail = f"{name[:200]!r} is not this server; ask for 127.0.0.1 or localhost, or use tokens"
        return answer(421, detail, scope["path"], headers=CLOSING)

    def _stranger(self, scope: Scope) -> Response | None:
        """A refusal, unless the request may be answered."""
        tokens = self._access.tokens
        writes = scope["method"] not in _READING
        is_open = scope["path"] in self._access.public and (not writes or _is_event(scope))
        if tokens is None or is_open:
            return None
        token = shown_token(Headers(scope=scope))
        try:
            holder = None if token is None else tokens.holder(token)
        except ConfigError as fault:
            if self._may_tell():
                _LOG.error("nobody is let in", extra={"fault": str(fault)})
            detail = "the tokens of this server cannot be read; its log says why"
            return answer(503, detail, scope["path"], headers=CLOSING)
        if holder is None:
            return _unknown(scope, shown=token is not None)
        scope.setdefault("state", {})["holder"] = holder
        return _writer(scope, holder) if writes else None

    def _tell(self, scope: Scope, refusal: Response) -> None:
        self._access.refused[_REASONS[refusal.status_code]] += 1
        self._refused += 1
        if not self._may_tell():
            return
        facts = {"status": refusal.status_code, "client": _address(scope), "refused": self._refused}
        _LOG.warning("refused", extra={**facts, "path": scope["path"][:200]})
        self._told_at, self._refused = self._clock(), 0

    def _may_tell(self) -> bool:
        return self._clock() - self._told_at >= _TOLD_SECONDS


def _is_event(scope: Scope) -> bool:
    """Whether it hands in an event, and asks for nothing."""
    return scope["method"] == "POST" and str(scope["path"]).startswith(EVENTS)


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return host  # no address at all, and so no number


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _is_near(client: str) -> bool:
    """Whether it asks from this machine: its proxy, which counts for itself, or its owner."""
    return _is_number(client) and ipaddress.ip_address(client.partition("%")[0]).is_loopback


def _unknown(scope: Scope, *, shown: bool) -> Response:
    what = "this token is not known" if shown else "a token is needed"
    detail = f"{what}; send one as Authorization: Bearer, made by `shiftwatch token`"
    refused = answer(401, detail, scope["path"], headers=CLOSING)
    for challenge in _CHALLENGES:  # a line each: browsers read only the first of a line
        refused.headers.append("www-authenticate", challenge)
    return refused


def _writer(scope: Scope, holder: Holder) -> Response | None:
    """A refusal, unless the holder may change something; then it is on record who asked."""
    if holder.role != "operator":
        detail = f"the token of {holder.name} is read-only; this needs one of an operator"
        return answer(403, detail, scope["path"], headers=CLOSING)
    if _is_event(scope):
        return None  # many a second, and none asks for anything
    told = {"who": holder.name, "method": scope["method"], "path": scope["path"][:200]}
    _LOG.info("asked for", extra=told)
    return None


def shown_token(headers: Headers) -> str | None:
    """The token of a request, None where there is none or more than one.

    Examples
    --------
    >>> shown_token(Headers({"authorization": "Bearer sw_a"}))
    'sw_a'
    >>> shown_token(Headers({"authorization": "Basic " + base64.b64encode(b"me:sw_a").decode()}))
    'sw_a'
    """
    given = headers.getlist("authorization")
    if len(given) != 1:
        return None
    scheme, _, rest = given[0].strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip() or None
    return _password(rest.strip()) if scheme.lower() == "basic" else None


def _password(credentials: str) -> str | None:
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2] or None
    except (binascii.Error, ValueError):
        return None
