"""Clients in a process of their own, so that the clock of a scrape is not slowed by the others.

``asker.py scrape URL``: ``/metrics`` every second; ``asker.py reports URL MODEL...``: 50 reports at
a time, one after the other; ``asker.py idle URL MODEL``: connections that say nothing, and some that
ask for a page and never read it. Until standard input is closed; then JSON of what was seen.
"""

from __future__ import annotations

import http.client
import json
import select
import socket
import sys
import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit

AT_ONCE = 50
SILENT = 200
SLOW = 50
REFUSED = 0
"""For the status of a request whose connection was closed before an answer."""
OF_ONE_ADDRESS = 80
"""Idle connections of one client: the daemon refuses a client more than 100, whatever they do."""


def get(address: str, path: str) -> int:
    """Status of the answer, all of which is read; each on a connection of its own."""
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def over(seconds: float) -> bool:
    """Wait; whether standard input was closed meanwhile."""
    return bool(select.select([sys.stdin], [], [], max(0.0, seconds))[0])


def scrape(address: str) -> dict[str, object]:
    """Seconds of every scrape."""
    took: list[float] = []
    errors = 0
    while True:
        began = time.monotonic()
        errors += get(address, "/metrics") >= 500
        took.append(time.monotonic() - began)
        if over(1.0 - took[-1]):
            return {"scrapes": took, "server_errors": errors}


def reports(address: str, models: list[str]) -> dict[str, object]:
    """How many reports were answered, by status."""
    statuses: dict[int, int] = {}
    lock, stop = threading.Lock(), threading.Event()

    def ask(number: int) -> None:
        turn = number
        while not stop.is_set():
            turn += 1
            form = ("html", "json")[turn % 2]
            path = f"/api/v1/models/{models[turn % len(models)]}/report?format={form}"
            try:
                status = get(address, path)
            except OSError:
                status = REFUSED
            with lock:
                statuses[status] = statuses.get(status, 0) + 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    while not over(1.0):
        pass
    stop.set()
    for thread in threads:
        thread.join()
    return {"requests": sum(statuses.values()), "statuses": statuses}


def idle(address: str, model: str) -> dict[str, object]:
    """Hold connections open that are of no use to anybody, and open those anew that are closed."""
    host, _, port = address.rpartition(":")
    question = f"GET /api/v1/models/{model}/report?format=html HTTP/1.1\r\nHost: x\r\n\r\n"
    held: list[socket.socket] = []
    opened = 0
    while True:
        while len(held) < SILENT + SLOW:
            with suppress(OSError):
                client = (f"127.0.0.{2 + len(held) // OF_ONE_ADDRESS}", 0)
                line = socket.create_connection((host, int(port)), 5, client)
                if len(held) < SLOW:
                    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
                    line.sendall(question.encode())
                held.append(line)
            opened += 1
        if over(5.0):
            return {"held": len(held), "opened": opened}


def main() -> None:
    what, url, *models = sys.argv[1:]
    address = urlsplit(url).netloc
    if what == "scrape":
        told = scrape(address)
    else:
        told = reports(address, models) if what == "reports" else idle(address, models[0])
    print(json.dumps(told))


if __name__ == "__main__":
    main()
