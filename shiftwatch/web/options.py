"""What may be asked of a path, for who asks (RFC 9110, 9.3.7).

In:    an ASGI application; the methods of a path.
Out:   the same, answering OPTIONS by itself: 204 and `Allow`.
Never: lets a page of another origin in: it says nothing of origins (no CORS).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send


class Options:
    """ASGI middleware; see the card of this module."""

    def __init__(self, app: ASGIApp, methods: Callable[[str], Sequence[str]]) -> None:
        self._app = app
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer OPTIONS of a path that there is, and pass on everything else."""
        asked = scope["type"] == "http" and scope["method"] == "OPTIONS"
        allowed = self._methods(scope["path"]) if asked else ()
        answer = Response(status_code=204, headers={"allow": ", ".join(allowed)})
        await (answer if allowed else self._app)(scope, receive, send)
