"""What holds for every request, whatever it asks for.

In:    an ASGI application.
Out:   the same with security headers, HEAD, a bound on bodies, and no writes from other origins.
Never: reads a body; knows a route.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shiftwatch.web.answers import CLOSING, HEADERS, answer

BODY_BYTES = 64 * 1024
"""Longest body that is read; the only one we take is a path."""


class Guard:
    """ASGI middleware; see the card of this module."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on with headers added to the answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = _refusal(scope)
        if refusal is not None:
            status, detail = refusal
            refused = answer(status, detail, scope["path"], headers=CLOSING)
            await refused(scope, receive, send)
            return
        head = scope["method"] == "HEAD"
        inner = {**scope, "method": "GET"} if head else scope
        await self.app(inner, receive, _sender(send, head=head))


def _sender(send: Send, *, head: bool) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        elif head:
            message = {**message, "body": b""}
        await send(message)

    return guarded


def _refusal(scope: Scope) -> tuple[int, str] | None:
    if scope["method"] in ("GET", "HEAD", "OPTIONS"):
        return None
    headers = Headers(scope=scope)
    if is_foreign(headers):
        return 403, "sent by a page of another origin; use the command line or this site"
    if "transfer-encoding" in headers:
        return 411, "say how long the body is (Content-Length)"
    length = headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 9 or int(length) > BODY_BYTES:
        return 413, f"the body is longer than {BODY_BYTES} bytes"
    return None


def is_foreign(headers: Headers) -> bool:
    """Whether a browser says that another site's page made it send this.

    Without tokens this is what keeps a web page from reloading a daemon on its reader's machine.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("none", "same-origin")
    origin = headers.get("origin")
    try:
        return origin is not None and urlsplit(origin).netloc != headers.get("host")
    except ValueError:
        return True
