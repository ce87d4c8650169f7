"""The socket that is listened on: it takes so many connections, and of one address fewer.

In:    an address.
Out:   a bound socket for any server of asyncio.
Never: counts a connection that is closed.

Counted when a connection is made and before TLS says a word, so one that never ends its handshake
takes no more room than another.
"""

from __future__ import annotations

import socket

from shiftwatch.errors import ConfigError
from shiftwatch.settings import WebSettings

MOST_CONNECTIONS = 500
"""Below the 1024 files that a process may open as a rule."""

MOST_OF_ONE_ADDRESS = 100
"""So that one client leaves room for the scrape."""


class Listener(socket.socket):
    """A listening socket that closes at once what is too much."""

    most = MOST_CONNECTIONS
    most_of_one = MOST_OF_ONE_ADDRESS

    def __init__(self, bound: socket.socket) -> None:
        super().__init__(bound.family, bound.type, fileno=bound.detach())
        self._taken: list[tuple[socket.socket, str]] = []

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        """The next connection there is room for; BlockingIOError if none waits."""
        while True:
            connection, address = super().accept()
            self._taken = [(each, host) for each, host in self._taken if each.fileno() >= 0]
            ours = sum(host == address[0] for _, host in self._taken)
            if len(self._taken) < self.most and ours < self.most_of_one:
                self._taken.append((connection, address[0]))
                return connection, address
            connection.close()


def listen(web: WebSettings) -> Listener:
    """A bound socket; ConfigError if the address cannot be had."""
    family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
    try:
        return Listener(socket.create_server((web.host, web.port), family=family))
    except OSError as fault:
        raise ConfigError(
            f"cannot listen: {fault.strerror}", where=web.listen, hint="set web.listen"
        ) from fault
