"""The worker process: takes requests from its socket, answers, ends when the socket closes.

In:    file descriptor and memory limit, as arguments.
Out:   (True, answer) or (False, error) per request.
Never: writes to the store; outlives its parent.
"""

from __future__ import annotations

import resource
import signal
import sys
from multiprocessing.connection import Connection

from shiftwatch.errors import ShiftwatchError, WorkerError


def main(arguments: list[str]) -> int:
    """Serve until the parent closes its end or dies."""
    descriptor, memory_mb = int(arguments[0]), int(arguments[1])
    # Ctrl-C in a terminal reaches the whole process group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit = memory_mb * 1_000_000
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    from shiftwatch.check import answer  # noqa: PLC0415 - heavy, and under the limit set above

    with Connection(descriptor) as connection:
        while True:
            try:
                request = connection.recv()
            except (EOFError, ConnectionError):
                return 0  # the parent has closed its end, or is gone
            try:
                reply: tuple[bool, object] = (True, answer(request))
            except ShiftwatchError as fault:
                reply = (False, fault)
            except MemoryError:
                reply = (
                    False,
                    WorkerError(
                        f"out of memory at limits.memory_mb = {memory_mb}",
                        hint="raise limits.memory_mb, or lower window.max_rows",
                    ),
                )
            connection.send(reply)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
