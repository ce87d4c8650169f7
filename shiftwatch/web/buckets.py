"""How often a client may ask.

In:    the address of a client, the time.
Out:   how long it has to wait.
Never: grows with the number of clients; reads a clock.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict

BURST = 4.0
"""Seconds of the allowed rate that may come at once: a page opens several reports together."""

_MOST_CLIENTS = 4096
"""Clients remembered, some 1 MB; the one that was silent for longest is forgotten first."""


class Buckets:
    """A token bucket for each client: full at first, filled at a steady rate, never more than full.

    Parameters
    ----------
    per_second
        Requests a second in the long run.

    Examples
    --------
    >>> buckets = Buckets(per_second=0.25)
    >>> buckets.wait("192.0.2.1", now=10.0), buckets.wait("192.0.2.1", now=10.0)
    (0.0, 4.0)
    >>> buckets.wait("192.0.2.1", now=14.0)
    0.0
    """

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._size = max(1.0, BURST * per_second)
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._clients)

    def wait(self, address: str, now: float) -> float:
        """Seconds until the client may ask; at 0 it may, and has done so.

        Parameters
        ----------
        address
            Of the connection. An IPv6 network of 64 bits is one client, as one machine has it all.
        now
            Seconds that only go forward.
        """
        client = _client(address)
        level, before = self._clients.pop(client, (self._size, now))
        level = min(self._size, level + (now - before) * self._per_second)
        granted = level >= 1.0
        self._clients[client] = (level - 1.0 if granted else level, now)
        if len(self._clients) > _MOST_CLIENTS:
            self._clients.popitem(last=False)
        return 0.0 if granted else (1.0 - level) / self._per_second


def _client(address: str) -> str:
    """What counts as one client.

    Examples
    --------
    >>> _client("2001:db8::1") == _client("2001:db8::2"), _client("::ffff:192.0.2.1")
    (True, '192.0.2.1')
    """
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(known, ipaddress.IPv6Address):
        return address
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return str(ipaddress.ip_network((known, 64), strict=False))
