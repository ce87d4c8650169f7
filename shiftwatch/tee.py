"""Received events passed on to another sink: KServe has one logger URL, and others want it too.

In:    a URL; headers and bodies as they came.
Out:   the same requests, sent in order by a thread of its own.
Never: keeps who sent them waiting; holds more than a bounded number; asks twice.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

_LOG = logging.getLogger(__name__)

MOST_WAITING = 100
_SECONDS = 5.0
_PASSED_ON = ("content-type", "content-encoding", "inference-header-content-length")

_Sent = tuple[Mapping[str, str], bytes]


class Tee:
    """Passes requests on.

    Parameters
    ----------
    url
        Where to.
    on_drop
        Called for each that could not be passed on.
    """

    def __init__(self, url: str, on_drop: Callable[[], None]) -> None:
        self._url = urlsplit(url)
        self._on_drop = on_drop
        self._queue: queue.Queue[_Sent | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._work, name="tee", daemon=True)
        self._thread.start()

    def send(self, headers: Mapping[str, str], body: bytes) -> None:
        """Pass a request on, some time; dropped where too many wait."""
        kept = {k: v for k, v in headers.items() if k.startswith("ce-") or k in _PASSED_ON}
        try:
            self._queue.put_nowait((kept, body))
        except queue.Full:
            self._on_drop()

    def close(self) -> None:
        """End after the one at hand."""
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return  # a thread that ends with the process

    def _work(self) -> None:
        while (sent := self._queue.get()) is not None:
            try:
                self._send(*sent)
            except (OSError, HTTPException) as fault:
                _LOG.warning("not passed on", extra={"to": self._url.netloc, "fault": str(fault)})
                self._on_drop()

    def _send(self, headers: Mapping[str, str], body: bytes) -> None:
        secure = self._url.scheme == "https"
        connection = (HTTPSConnection if secure else HTTPConnection)(
            self._url.netloc, timeout=_SECONDS
        )
        path = self._url.path or "/"
        try:
            query = f"?{self._url.query}" if self._url.query else ""
            connection.request("POST", path + query, body, dict(headers))
            status = connection.getresponse().status
            if status >= 300:
                raise HTTPException(f"answered {status}")
        finally:
            connection.close()
