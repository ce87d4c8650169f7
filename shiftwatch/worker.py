"""The heavy child seen from the light parent: start it, ask it, survive its death.

In:    requests.
Out:   their answers, or the error the worker raised, or WorkerError if it died.
Never: imports numpy, pyarrow or onnxruntime; lets a dead worker take the daemon with it.

The worker is a fresh interpreter (``python -m shiftwatch.child``) with one end of a socket pair.
It shares no memory with the daemon, so ending it gives everything back.

Requests and answers are pickled, which only these two do, with each other: over a socket pair that
has no name, made before the child is, and inherited by it alone. The child is not a prison. It is
the same user with the same files, so one that hostile bytes have taken over gains nothing by lying
to the daemon; what confines it is what confines the daemon (user, container, limits). Whatever comes
from outside, a file, a request or the history, is never unpickled.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from shiftwatch.errors import TimeLimitError, WorkerDiedError, WorkerError
from shiftwatch.progress import Listener, Progress
from shiftwatch.requests import Keep, MakePayloads, Prepare, Reach, Request, Survey
from shiftwatch.settings import LimitSettings

_ENVIRONMENT = {
    # One thread: a sidecar must not take the cores of the model it watches.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # The plain allocator gives memory back and is counted by the limit as it is used.
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    # In large pages where the system hands them out on request. Small ones, each cleared when it is
    # first touched, were a third more of the system's time and 6 % of a comparison's.
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    "ORT_DISABLE_TELEMETRY": "1",
}

_TIGHT_MB = 512
"""Below it large arrays are given back to the system one by one: freed within the heap they leave
holes, which the limit counts. Peaks of a million rows of 60 numbers at 384 MB were 340 to 380 MB,
and six of sixteen runs ended for lack of memory; so they are 295 to 307. It costs a check of 50
columns some 15 % of its time, which is why enough memory goes without."""

_TIGHT = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1048576"}

_GOODBYE_SECONDS = 5.0

_PREPARE_FACTOR = 10.0

_CPU_SPARE_SECONDS = 60

_START_SECONDS = 60.0
"""For the interpreter and its imports: half a second on an idle machine."""


class Worker:
    """One child process; started at the first call, to be closed after a step.

    Parameters
    ----------
    limits
        Memory and seconds of one call.
    listener
        Told how far a call is, several times a second; None: the child says nothing of it.
    reach
        Stores of objects the child may need; None: none, or those the environment names.
    """

    def __init__(
        self,
        limits: LimitSettings,
        listener: Listener | None = None,
        reach: Reach | None = None,
    ) -> None:
        self._limits = limits
        self._reach = reach
        self._listener = listener
        self._killed = False
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    @property
    def pid(self) -> int | None:
        """Process id while a child lives."""
        return self._process.pid if self._process is not None else None

    def call(self, request: Request) -> Any:
        """Ask and wait.

        Raises
        ------
        TimeLimitError
            If the child takes longer than ``limits.seconds``. It is ended then, and the next call
            starts a new one.
        WorkerDiedError
            If the child dies; likewise.
        WorkerError
            If it runs out of memory.
        ShiftwatchError
            What the child itself raised.
        """
        try:
            connection = self._started()
            before = self._cpu_seconds()
            connection.send(request)
            seconds = self._patience(request)
            reply = self._reply(connection, seconds)
            if reply is None:
                raise self._out_of_time(seconds, before)
            ok, value = reply
        except (EOFError, OSError) as fault:
            raise self._death() from fault
        if ok:
            return value
        raise value

    def _reply(self, connection: Connection, seconds: float) -> tuple[bool, Any] | None:
        """The answer, None if it is late; words on progress before it go to the listener."""
        deadline = time.monotonic() + seconds
        while connection.poll(max(0.0, deadline - time.monotonic())):
            told = connection.recv()
            if not isinstance(told, Progress):
                ok, value = told
                return ok, value
            if self._listener is not None:
                self._listener(told)
        return None

    def _out_of_time(self, seconds: float, before: float) -> TimeLimitError:
        """End the child, and say what it took since it was asked."""
        fault = TimeLimitError(
            f"no answer within {seconds:g} s, the worker was ended",
            hint="raise limits.seconds, or lower window.max_rows",
        )
        fault.cpu_seconds, fault.wall_seconds = self._cpu_seconds() - before, seconds
        self._end()
        return fault

    def _cpu_seconds(self) -> float:
        """CPU time of the child so far; 0 where the system does not tell."""
        try:
            told = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii", errors="replace")
            user, system = told.rpartition(")")[2].split()[11:13]
        except (OSError, ValueError):
            return 0.0
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def _patience(self, request: Request) -> float:
        """Seconds to wait: the limit is for a check; a reference is larger, and prepared once.

        What makes a batch of thousands of objects may take as long.
        """
        longer = isinstance(request, Prepare | Survey | Keep | MakePayloads)
        factor = _PREPARE_FACTOR if longer else 1.0
        return self._limits.seconds * factor

    def _most_cpu_seconds(self) -> int:
        """What no call takes: for a child that nobody waits for any more, or who waits is stopped."""
        return math.ceil(self._limits.seconds * _PREPARE_FACTOR) + _CPU_SPARE_SECONDS

    def kill(self) -> None:
        """End the child at once, from any thread; this and later calls raise WorkerError."""
        self._killed = True
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """Let the child end by itself, or end it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            try:
                self._process.wait(_GOODBYE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
        self.close()

    def _surroundings(self) -> dict[str, str]:
        return _ENVIRONMENT | (_TIGHT if self._limits.memory_mb < _TIGHT_MB else {})

    def _started(self) -> Connection:
        if self._killed:
            raise WorkerError("the worker was told to end")
        if self._connection is None:
            ours, theirs = socket.socketpair()
            command = [sys.executable, "-m", "shiftwatch.child", str(theirs.fileno())]
            command += [str(self._limits.memory_mb), str(self._most_cpu_seconds())]
            command += ["looked-at"] if self._listener is not None else []
            with theirs:
                self._process = subprocess.Popen(
                    command,
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    env=os.environ | self._surroundings(),
                )
            self._connection = Connection(ours.detach())
            if self._killed:  # told so while it was being started
                self._process.kill()
            self._await_ready(self._connection)
            if self._reach is not None:
                self._connection.send(self._reach)
                self._connection.recv()
        return self._connection

    def _await_ready(self, connection: Connection) -> None:
        """Wait for the child's imports, which do not count against ``limits.seconds``."""
        if not connection.poll(_START_SECONDS):
            self._end()
            raise WorkerError(f"the worker did not start within {_START_SECONDS:g} s")
        told = connection.recv()
        if isinstance(told, WorkerError):
            self._end()
            raise told

    def _death(self) -> WorkerError:
        """What ended the child, in words; the child is gone afterwards."""
        process = self._process
        self.close()
        if self._killed:
            return WorkerError("the worker was told to end")
        code = process.returncode if process is not None else None
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            if -code == signal.SIGXCPU:  # it would take as much again
                hint = "it took far more CPU time than limits.seconds allows"
                return WorkerError(f"the worker was killed by {name}", hint=hint)
            hint = "out of memory? see limits.memory_mb and the container's limit"
            return WorkerDiedError(f"the worker was killed by {name}", hint=hint)
        return WorkerDiedError(
            f"the worker ended with status {code}", hint="its traceback is in the log; report it"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if fault is not None:
            self._end()  # nobody waits for its answer any more
        else:
            self.close()
