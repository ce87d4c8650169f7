"""``POST /events/MODEL``: events of a model server, acknowledged once they are kept.

In:    requests; what receives.
Out:   202 for what is kept, 4xx for what is not.
Never: answers 5xx; reads more than :data:`MOST_BYTES`; imports FastAPI; judges anything.

A logger that is answered late or with a fault has brought down the model server beside it, so what
cannot be kept is refused at once (429) and counted, not waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from shiftwatch.inbox import Letters
from shiftwatch.web.answers import CLOSING, HEADERS, answer
from shiftwatch.web.gate import EVENTS
from shiftwatch.web.guard import is_foreign

MOST_BYTES = 16 << 20
"""Of one request."""
MOST_AT_ONCE = 64 << 20
"""Bytes of requests that are read or wait for the disk at the same time."""

_REFUSALS: Mapping[str, tuple[int, str]] = {
    "gone": (404, "no model of this name receives events"),
    "malformed": (
        400,
        "is no CloudEvent of an inference: ce-id and ce-type of KServe's are needed",
    ),
    "full": (429, "the buffer is full; the event was dropped"),
    "disk": (429, "the event could not be written; it was dropped"),
    "busy": (429, "too much is being received; the event was dropped"),
    "too_large": (413, f"longer than {MOST_BYTES} bytes"),
}


class Events:
    """ASGI application; see the card of this module."""

    def __init__(self, letters: Letters) -> None:
        self._letters = letters
        self._at_once = 0
        # A disk that is slow holds up events, and no scrape.
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="events")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Keep an event and say so."""
        response = await self._answer(scope, receive)
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        model, headers = scope["path"].removeprefix(EVENTS), Headers(scope=scope)
        if not self._letters.receives(model):
            return _refused("gone", scope)
        if scope["method"] != "POST":
            detail = "events are sent by POST"
            return answer(405, detail, scope["path"], headers={**CLOSING, "allow": "POST"})
        if is_foreign(headers):
            detail = "sent by a page of another origin"
            return answer(403, detail, scope["path"], headers=CLOSING)
        reason = await self._taken(model, headers, receive)
        if reason:
            return _refused(reason, scope)
        return Response(status_code=202, headers=dict(HEADERS))

    async def _taken(self, model: str, headers: Headers, receive: Receive) -> str:
        """Read and keep; "" if it is kept, else why not."""
        parts: list[bytes] = []
        size, reason = 0, _too_much(headers)
        try:
            while not reason:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return "gone"
                part = message.get("body", b"")
                parts.append(part)
                size += len(part)
                self._at_once += len(part)
                if size > MOST_BYTES:
                    reason = "too_large"
                elif self._at_once > MOST_AT_ONCE:
                    reason = "busy"
                elif not message.get("more_body", False):
                    loop = asyncio.get_running_loop()
                    told, body = dict(headers.items()), b"".join(parts)
                    return await loop.run_in_executor(
                        self._disk, self._letters.take, model, told, body
                    )
            self._letters.refuse(model, reason)
            return reason
        finally:
            self._at_once -= size


def _too_much(headers: Headers) -> str:
    length = headers.get("content-length", "0")
    fits = length.isdecimal() and len(length) <= 9 and int(length) <= MOST_BYTES
    return "" if fits else "too_large"


def _refused(reason: str, scope: Scope) -> Response:
    status, detail = _REFUSALS[reason]
    headers = {"retry-after": "10"} if status == 429 else {}
    read = reason in ("malformed", "full", "disk")
    return answer(
        status, detail, scope["path"], headers=headers if read else {**headers, **CLOSING}
    )
