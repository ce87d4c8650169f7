"""A copy of every event for somebody else, as KServe's logger knows one address only.

In:    requests as they came.
Out:   the same requests to another address, one after the other; counts of those that were not sent.
Never: keeps the sender waiting; holds more than :data:`MOST_BYTES`; repeats a request; follows a
       redirection; passes on a token.

The copy is an extra: it waits in memory, and a restart loses what waits.
"""

from __future__ import annotations

import http.client
import logging
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from urllib.parse import urlsplit

_LOG = logging.getLogger(__name__)

MOST_BYTES = 16 << 20
"""Bytes of bodies that wait."""
MOST_EVENTS = 2000
SECONDS = 5.0
"""For each step of a request: to connect, to send, to be answered."""
_TOLD_SECONDS = 60.0
_GOOD = range(200, 300)

Headers = Mapping[str, str]


class Tee:
    """Sends to ``url`` in a thread of its own, which begins with the first event.

    Parameters
    ----------
    url
        http or https.
    dropped
        Called with ``forward_full`` or ``forward_failed`` for each event that was not sent.
    """

    def __init__(self, url: str, dropped: Callable[[str], None]) -> None:
        self.url = url
        self._parts = urlsplit(url)
        self._dropped = dropped
        self._waiting: deque[tuple[Headers, bytes]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._ended = False
        self._thread: threading.Thread | None = None
        self._told_at = -_TOLD_SECONDS

    def send(self, headers: Headers, body: bytes) -> None:
        """Have a request sent on; it returns at once."""
        with self._changed:
            full = len(self._waiting) >= MOST_EVENTS or self._bytes + len(body) > MOST_BYTES
            if not full:
                self._waiting.append((_passed_on(headers), body))
                self._bytes += len(body)
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="tee", daemon=True)
                    self._thread.start()
                self._changed.notify()
        if full:
            self._dropped("forward_full")

    def close(self) -> None:
        """Send no more; what waits is counted as not sent."""
        with self._changed:
            self._ended = True
            left = len(self._waiting)
            self._waiting.clear()
            self._changed.notify()
        for _ in range(left):
            self._dropped("forward_failed")

    def _run(self) -> None:
        connection: http.client.HTTPConnection | None = None
        while (event := self._next()) is not None:
            try:
                connection = connection or self._connected()
                self._post(connection, *event)
            except (OSError, http.client.HTTPException, ValueError) as fault:
                self._dropped("forward_failed")
                self._tell(fault)
                if connection is not None:
                    connection.close()
                connection = None
        if connection is not None:
            with suppress(OSError):
                connection.close()

    def _next(self) -> tuple[Headers, bytes] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended)
            if not self._waiting:
                return None
            event = self._waiting.popleft()
            self._bytes -= len(event[1])
            return event

    def _connected(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, port, timeout=SECONDS, context=context)
        return http.client.HTTPConnection(host, port, timeout=SECONDS)

    def _post(self, connection: http.client.HTTPConnection, headers: Headers, body: bytes) -> None:
        query = f"?{self._parts.query}" if self._parts.query else ""
        connection.request("POST", (self._parts.path or "/") + query, body, dict(headers))
        answer = connection.getresponse()
        answer.read(1 << 16)
        if not answer.isclosed():
            connection.close()  # a long answer, of which nothing is wanted
        if answer.status not in _GOOD:
            message = f"answered {answer.status}"
            raise http.client.HTTPException(message)

    def _tell(self, fault: Exception) -> None:
        """Now and then, since it may be each event."""
        now = time.monotonic()
        if now - self._told_at >= _TOLD_SECONDS:
            self._told_at = now
            extra = {"host": self._parts.hostname, "fault": f"{type(fault).__name__}: {fault}"}
            _LOG.warning("event not passed on", extra=extra)


def _passed_on(headers: Headers) -> Headers:
    """What makes it an event; nothing that is between the sender and us.

    Examples
    --------
    >>> _passed_on({"ce-id": "7", "content-type": "a/b", "authorization": "Bearer sw_a"})
    {'ce-id': '7', 'content-type': 'a/b'}
    """
    kept = ("content-type", "content-encoding")
    return {name: text for name, text in headers.items() if name in kept or name[:3] == "ce-"}
