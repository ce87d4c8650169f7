"""The application that is served: probes and events at once, everything else by FastAPI, once it is needed.

In:    a Board; requests.
Out:   answers.
Never: loads FastAPI for a scrape; keeps a scrape waiting while it is loaded.

A sidecar that is only scraped never pays for pages: FastAPI and its models are 12 of 62 MB.
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from shiftwatch.inbox import Letters
from shiftwatch.web.board import Board
from shiftwatch.web.events import Events
from shiftwatch.web.gate import EVENTS
from shiftwatch.web.guard import Guard
from shiftwatch.web.probes import PROBES


class Door:
    """ASGI application; see the card of this module."""

    def __init__(self, board: Board, letters: Letters | None = None) -> None:
        self._board = board
        self._events = None if letters is None else Events(letters)
        self._probes = Guard(self._probe)
        self._whole: ASGIApp | None = None
        self._building = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a probe here, pass the rest on."""
        probed = scope["type"] == "http" and scope["path"] in PROBES
        if probed and scope["method"] in ("GET", "HEAD"):
            await self._probes(scope, receive, send)
            return
        if self._events is not None and scope["path"].startswith(EVENTS):
            await self._events(scope, receive, send)
            return
        whole = await self._loaded()
        await whole(scope, receive, send)

    async def _probe(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        response = PROBES[scope["path"]](self._board.snapshot(), request)
        await response(scope, receive, send)

    async def _loaded(self) -> ASGIApp:
        async with self._building:
            if self._whole is None:
                self._whole = await asyncio.to_thread(_built, self._board)
            return self._whole


def _built(board: Board) -> ASGIApp:
    from shiftwatch.web.app import build  # noqa: PLC0415 - the point of this room

    return build(board)
