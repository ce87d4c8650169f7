"""The worker process: takes requests from its socket, answers, ends when the socket closes.

In:    file descriptor and memory limit, as arguments.
Out:   (True, answer) or (False, error) per request.
Never: writes to the store; outlives its parent by more than the request at hand.
"""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection

from shiftwatch.cost import account_for_this_process
from shiftwatch.errors import ShiftwatchError, WorkerError
from shiftwatch.requests import Request

_LAST_WORDS = 64_000_000
"""Bytes above the limit, to say that it was reached."""


def main(arguments: list[str]) -> int:
    """Serve until the parent closes its end or dies."""
    descriptor, memory_mb = int(arguments[0]), int(arguments[1])
    # Ctrl-C in a terminal reaches the whole process group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    account_for_this_process()
    _limit_memory(memory_mb * 1_000_000)
    with Connection(descriptor) as connection:
        try:
            from shiftwatch.check import answer  # noqa: PLC0415 - heavy, and below the limit
        except (MemoryError, ImportError) as fault:
            if not _is_shortage(fault):
                raise
            connection.send(_shortage(memory_mb))
            return 1
        connection.send("ready")
        while True:
            _limit_memory(memory_mb * 1_000_000)  # anew, after last words
            try:
                request = connection.recv()
                connection.send(_reply(answer, request, memory_mb))
            except (EOFError, ConnectionError):
                return 0  # the parent has closed its end, or is gone


def _reply(
    answer: Callable[[Request], object], request: Request, memory_mb: int
) -> tuple[bool, object]:
    try:
        return True, answer(request)
    except ShiftwatchError as fault:
        return False, fault
    except MemoryError:
        return False, _shortage(memory_mb)


def _limit_memory(size: int) -> None:
    """Bound private memory, as far as the system's own bound allows."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    bound = size if most == resource.RLIM_INFINITY else min(size, most)
    resource.setrlimit(resource.RLIMIT_DATA, (bound, most))


def _is_shortage(fault: MemoryError | ImportError) -> bool:
    """Whether it is the limit: a library that cannot be mapped is an ImportError of the loader."""
    told = ("failed to map", "cannot map", "Cannot allocate memory")
    return isinstance(fault, MemoryError) or any(words in str(fault) for words in told)


def _shortage(memory_mb: int) -> WorkerError:
    _limit_memory(memory_mb * 1_000_000 + _LAST_WORDS)
    return WorkerError(
        f"out of memory at limits.memory_mb = {memory_mb}",
        hint="raise limits.memory_mb, or lower window.max_rows",
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
