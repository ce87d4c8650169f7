"""``POST /events/MODEL``: inference requests and responses as CloudEvents, taken at once.

In:    an HTTP request; the inboxes of models that receive.
Out:   202, or what is wrong with the request.
Never: waits for a batch, a check or a disk; answers 5xx because it has too much; loads FastAPI.

A logger that is kept waiting or refused keeps what it has in its memory, which is that of the model
server's Pod. So what does not fit any more is dropped, counted, and answered like the rest.
"""

from __future__ import annotations

import time

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from shiftwatch.payload.bodies import MalformedError
from shiftwatch.payload.events import of_request
from shiftwatch.web.answers import CLOSING, HEADERS, answer
from shiftwatch.web.inboxes import Inboxes

PREFIX = "/events/"

MOST_BYTES = 16_000_000
"""Of one request."""


class Events:
    """ASGI application; see the card of this module."""

    def __init__(self, inboxes: Inboxes) -> None:
        self._inboxes = inboxes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request."""
        response = await self._answer(scope, receive)
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        path = scope["path"]
        inbox = self._inboxes.get(path.removeprefix(PREFIX))
        if inbox is None:
            detail = "no model of this name receives events; see `payloads: {receive: true}`"
            return answer(404, detail, path, headers=CLOSING)
        if scope["method"] != "POST":
            return answer(405, "events are posted", path, headers={"allow": "POST", **CLOSING})
        body = await _body(receive)
        if body is None:
            inbox.buffer.drop("too_large")
            detail = f"the body is longer than {MOST_BYTES} bytes"
            return answer(413, detail, path, headers=CLOSING)
        headers = dict(Headers(scope=scope).items())
        try:
            records = of_request(headers, body, time.time())
        except MalformedError as fault:
            inbox.buffer.drop("malformed")
            return answer(400, f"no CloudEvent of an inference: {fault}", path)
        inbox.buffer.add(records, time.monotonic())
        if inbox.tee is not None:
            inbox.tee.send(headers, body)
        return Response(status_code=202, headers=dict(HEADERS))


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None if it is too long."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MOST_BYTES:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)
