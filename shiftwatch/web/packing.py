"""Answers that are not sent twice, and not longer than need be: ETag, 304 and gzip.

In:    an ASGI application.
Out:   the same: what was asked for with GET and found has an ETag, is answered 304 to who has it,
       and is compressed for who takes it so.
Never: touches a probe, an answer that comes in pieces, or one that is no text; compresses on the event loop what
       would keep it busy.
"""

from __future__ import annotations

import asyncio
import gzip
from hashlib import sha256

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shiftwatch.web.probes import PROBES

_TEXTS = ("text/", "application/json", "application/schema+json", "application/javascript")
_WORTH_BYTES = 1400
"""Less fits into one packet as it is."""
_LEVEL = 6
_ON_THE_LOOP = 32 * 1024
"""Bytes that are hashed and compressed in about a millisecond; more goes to a thread."""


class Packing:
    """ASGI middleware; see the card of this module."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and pack what comes back."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Packer(Headers(scope=scope), send))


class _Packer:
    """Holds the head of an answer back until it has seen its body."""

    def __init__(self, asked: Headers, send: Send) -> None:
        self._asked = asked
        self._send = send
        self._start: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_text(message):
            self._start = message
            return
        start, self._start = self._start, None
        if start is None:
            await self._send(message)
            return
        if not message.get("more_body", False):
            work = (self._asked, start, message.get("body", b""))
            large = len(work[2]) > _ON_THE_LOOP
            message = await asyncio.to_thread(_packed, *work) if large else _packed(*work)
        await self._send(start)
        await self._send(message)


def _is_text(start: Message) -> bool:
    kind = Headers(raw=start["headers"]).get("content-type", "")
    return start["status"] == 200 and kind.startswith(_TEXTS)


def _packed(asked: Headers, start: Message, body: bytes) -> Message:
    """The body to send; ``start`` is changed to fit it."""
    headers = MutableHeaders(raw=start["headers"])
    headers.setdefault("etag", f'"{sha256(body).hexdigest()[:32]}"')
    if is_known(asked.get("if-none-match", ""), headers["etag"]):
        start["status"] = 304
        for name in ("content-length", "content-type", "content-disposition"):
            del headers[name]
        return {"type": "http.response.body", "body": b""}
    if len(body) >= _WORTH_BYTES and "content-encoding" not in headers:
        headers.add_vary_header("accept-encoding")
        if takes_gzip(asked.get("accept-encoding", "")):
            body = gzip.compress(body, _LEVEL, mtime=0)
            headers["content-encoding"] = "gzip"
            headers["content-length"] = str(len(body))
            # Other bytes of the same meaning (RFC 9110, 8.8.1).
            headers["etag"] = "W/" + headers["etag"].removeprefix("W/")
    return {"type": "http.response.body", "body": body}


def is_known(named: str, tag: str) -> bool:
    """Whether ``If-None-Match`` names this tag (RFC 9110, 13.1.2: compared weakly).

    Examples
    --------
    >>> is_known('"a", W/"b"', '"b"'), is_known("*", '"b"'), is_known("", '"b"')
    (True, True, False)
    """
    known = [part.strip().removeprefix("W/") for part in named.split(",")]
    return tag.removeprefix("W/") in known or named.strip() == "*"


def takes_gzip(accepted: str) -> bool:
    """Whether ``Accept-Encoding`` takes gzip (RFC 9110, 12.5.3).

    Examples
    --------
    >>> takes_gzip("br, gzip;q=0.5"), takes_gzip("gzip;q=0, *"), takes_gzip("*"), takes_gzip("")
    (True, False, True, False)
    """
    weights: dict[str, float] = {}
    for entry in accepted.lower().split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        given = [part.removeprefix("q=") for part in parameters if part.startswith("q=")]
        weights[name] = _weight(given[0]) if given else 1.0
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
