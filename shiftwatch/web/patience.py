"""Connections that cost nothing: they are ended when they keep the daemon waiting.

In:    what clients send and how fast they read.
Out:   uvicorn's protocol with an end to waiting.
Never: ends a connection that waits for us.

uvicorn bounds the time between two requests only. Here a client has 20 seconds to send a request,
from connecting or from the answer before to the last byte of the body, and 20 to take an answer of
which a part is left; so an open connection that says nothing, or a byte now and then, is closed.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

PATIENCE_SECONDS = 20.0
_CHECKS = 4
"""Looks at a connection in the time it has."""


class PatientProtocol(H11Protocol):
    """One connection; see the card of this module."""

    patience = PATIENCE_SECONDS

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._late_at = 0.0
        self._phase = ""
        self._look_task: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as there
        """Take the connection, and begin to look at it."""
        super().connection_made(transport)
        self._late_at = self.loop.time() + self.patience
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop looking."""
        if self._look_task is not None:
            self._look_task.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        """End the connection if it has been in one phase of its own for too long."""
        if self.transport.is_closing() and not self.transport.get_write_buffer_size():
            return
        phase, now = self._now_in(), self.loop.time()
        if phase != self._phase or phase == "answering":
            self._phase, self._late_at = phase, now + self.patience
        elif now >= self._late_at:
            self.transport.abort()
            return
        self._look_task = self.loop.call_later(self.patience / _CHECKS, self._look)

    def _now_in(self) -> str:
        """Whose turn it is: ours while an answer is made and what there is of it is taken."""
        cycle: Any = self.cycle  # None before the first request
        if self.transport.get_write_buffer_size():
            return f"taking {id(cycle)}"
        if cycle is None or cycle.response_complete:
            return f"asking {id(cycle)}"
        return f"sending {id(cycle)}" if cycle.more_body else "answering"
