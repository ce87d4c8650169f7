"""The worker process: takes requests from its socket, answers, ends when the socket closes.

In:    file descriptor, limits of memory and CPU, whether anybody looks at progress, as arguments.
Out:   (True, answer) or (False, error) per request; before it, Progress now and then.
Never: writes to the store; outlives its parent by more than the request at hand.
"""

from __future__ import annotations

import gc
import logging
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from multiprocessing.connection import Connection

from shiftwatch import logs
from shiftwatch.cost import account_for_this_process, give_back, private_bytes
from shiftwatch.errors import ShiftwatchError, WorkerError
from shiftwatch.progress import Listener, Progress, heard_by
from shiftwatch.requests import Request

_NEVER_USED = ("ctypeslib", "f2py", "ma", "polynomial", "testing")
"""Parts of numpy whose import takes as long as numpy's own."""

_LAST_WORDS = 64_000_000
"""Bytes above the limit, to say that it was reached."""

_MOST_KEPT = 64_000_000
"""Bytes more than after the imports that may stay between two requests. A reference that was
prepared leaves some 100 MB; a usual check 25 MB, whose return would cost the next one 4 ms."""

_TELL_EVERY = 0.1
"""Seconds between two words on progress; more would only be painted over."""


def main(arguments: list[str]) -> int:
    """Serve until the parent closes its end or dies."""
    descriptor, memory_mb, cpu_seconds = (int(argument) for argument in arguments[:3])
    # Ctrl-C in a terminal reaches the whole process group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    account_for_this_process()
    logs.configure(sys.stderr, logging.WARNING)
    _leave_no_core()
    _limit_memory(memory_mb * 1_000_000)
    with Connection(descriptor) as connection:
        try:
            answer = imported()
        except (MemoryError, SystemError, ImportError) as fault:
            if not _is_shortage(fault):
                raise
            connection.send(_shortage(memory_mb))
            return 1
        connection.send("ready")
        looked_at = arguments[3:] == ["looked-at"]
        with heard_by(_sending(connection)) if looked_at else nullcontext():
            return _serve(connection, answer, (memory_mb, cpu_seconds))


def _serve(
    connection: Connection, answer: Callable[[Request], object], limits: tuple[int, int]
) -> int:
    """Answer until there is nobody to answer; ``limits`` are MB, and CPU seconds of one request."""
    ready = private_bytes()
    memory_mb, cpu_seconds = limits
    while True:
        _limit_memory(memory_mb * 1_000_000)  # anew, after last words
        try:
            request = connection.recv()
            _limit_cpu(cpu_seconds)
            connection.send(_reply(answer, request, memory_mb))
            if private_bytes() - ready > _MOST_KEPT:
                give_back()
        except (EOFError, ConnectionError):
            return 0  # the parent has closed its end, or is gone


def _sending(connection: Connection) -> Listener:
    """Send a step on, unless one was sent just now."""
    last = 0.0

    def send(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _TELL_EVERY:
            last = now
            connection.send(progress)

    return send


def imported() -> Callable[[Request], object]:
    """What answers; the imports below it are heavy, and stay below the limit.

    They make much and drop nothing, so looking for garbage meanwhile would cost a tenth more.
    """
    gc.disable()
    with _left_out(_NEVER_USED):
        from shiftwatch.check import answer  # noqa: PLC0415 - see above
    gc.freeze()  # what was imported stays
    gc.enable()
    return answer


@contextmanager
def _left_out(names: Collection[str]) -> Iterator[None]:
    """Keep parts of numpy from being imported by who copies all of its names, as scipy does.

    numpy imports them when they are first asked for; afterwards it does so again.
    """
    import numpy as np  # noqa: PLC0415 - heavy, and below the limit

    known = vars(np)
    for name in names:
        known.setdefault(name, None)
    try:
        yield
    finally:
        for name in names:
            if known[name] is None:
                del known[name]


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


def _limit_cpu(seconds: int) -> None:
    """Bound CPU time from now on: beyond it the system ends the process (SIGXCPU)."""
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    bound = math.ceil(time.process_time()) + seconds
    bound = bound if most == resource.RLIM_INFINITY else min(bound, most)
    resource.setrlimit(resource.RLIMIT_CPU, (bound, most))


def _leave_no_core() -> None:
    """A crash on a damaged file must not leave rows of the data on the disk."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _is_shortage(fault: MemoryError | ImportError | SystemError) -> bool:
    """Whether it is the limit: a library that cannot be mapped is an ImportError of the loader.

    A SystemError is C code that does not say what it lacked.
    """
    told = ("failed to map", "cannot map", "Cannot allocate memory", "without exception set")
    return isinstance(fault, MemoryError) or any(words in str(fault) for words in told)


def _shortage(memory_mb: int) -> WorkerError:
    _limit_memory(memory_mb * 1_000_000 + _LAST_WORDS)
    return WorkerError(
        f"out of memory at limits.memory_mb = {memory_mb}",
        hint="raise limits.memory_mb, or lower window.max_rows",
    )


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stderr.flush()
    # At once: it has nothing to tidy up, and taking the libraries apart takes as long as a check.
    os._exit(status)
