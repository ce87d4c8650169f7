"""The file below the history: opened, locked, checked, and its faults put into words.

In:    a path.
Out:   connections that are safe after a kill at any moment; StoreError with a hint.
Never: knows a table; repairs, replaces or deletes a file (`rescue` sets one aside).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Full, LifoQueue

from shiftwatch.errors import StoreDamagedError, StoreError, StoreInUseError

BUSY_MILLISECONDS = 5000
"""How long a statement waits for a lock: a foreign reader's checkpoint takes far less."""

WAL_LIMIT_BYTES = 16 * 2**20
"""The write-ahead log is cut back to this after a checkpoint; one run is some 10 to 100 kB."""

IDLE_READERS = 4
"""Connections kept open for the next page; more are opened when needed and closed after use."""

_HINTS = {
    sqlite3.SQLITE_FULL: "the disk is full; free space, the batch is tried again",
    sqlite3.SQLITE_READONLY: "make the file, its folder and the volume writable",
    sqlite3.SQLITE_PERM: "make the file, its folder and the volume writable",
    sqlite3.SQLITE_CANTOPEN: "check that the folder exists and this user may write in it",
    sqlite3.SQLITE_BUSY: "another program holds the file; close it",
    sqlite3.SQLITE_LOCKED: "another program holds the file; close it",
    sqlite3.SQLITE_IOERR: "the disk failed or is full; see the kernel's log",
}
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def damaged(path: Path, what: str) -> StoreDamagedError:
    """The error for a file that is no sound database: where it is and how to go on."""
    return StoreDamagedError(
        f"the history is damaged: {what}",
        where=str(path),
        hint=f"nothing was changed; stop shiftwatch, move {path.name}, {path.name}-wal and "
        f"{path.name}-shm away, for example to {path.name}.damaged, or put a backup in place; "
        "without the file the next start begins an empty history",
    )


@contextmanager
def worded(path: Path) -> Iterator[None]:
    """Turn faults of sqlite3 into StoreError: its own message, the file, and what to do."""
    try:
        yield
    except sqlite3.Error as fault:
        code = getattr(fault, "sqlite_errorcode", 0) & 0xFF  # the primary one of extended codes
        if code in _DAMAGE:
            raise damaged(path, str(fault)) from fault
        raise StoreError(str(fault), where=str(path), hint=_HINTS.get(code, "")) from fault


def stored_text(text: str | None) -> str | bytes | None:
    """Text as it is bound: a file name that is not Unicode goes in as bytes, always the same."""
    if text is None:
        return None
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="surrogatepass")
    return text


def loaded_text(value: str | bytes) -> str:
    """The inverse of :func:`stored_text`."""
    return value.decode(errors="surrogatepass") if isinstance(value, bytes) else value


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, also when COMMIT itself fails; the connection is usable afterwards."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def lock(path: Path) -> int:
    """Hold ``<path>.lock`` until the returned descriptor is closed or the process dies.

    The file stays behind: removing it would let two processes lock two files of one name.

    Raises
    ------
    StoreError
        If another process holds it (named), or the file system has no locks.
    """
    name = f"{path}.lock"
    try:
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as fault:
        hint = _HINTS[sqlite3.SQLITE_CANTOPEN]
        raise StoreError(f"cannot open: {fault.strerror}", where=name, hint=hint) from fault
    try:
        _hold(descriptor, name)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _hold(descriptor: int, name: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 300, 0).decode(errors="replace").strip() or "unknown"
        raise StoreInUseError(
            f"the history is in use by process {holder}",
            where=name,
            hint="stop that process, or give this one its own `store: {path: ...}`",
        ) from None
    except OSError as fault:
        hint = "keep the history on a local disk"
        raise StoreError(f"cannot lock: {fault.strerror}", where=name, hint=hint) from fault
    # The host tells containers apart, in which every process is number 1.
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()} on {os.uname().nodename}\n".encode(), 0)


def connect_writer(path: Path) -> sqlite3.Connection:
    """The one connection that writes; the caller serialises its use over threads."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    _prepare(connection)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA temp_store = MEMORY")  # retention works on a full disk too
    return connection


def write_ahead(connection: sqlite3.Connection, path: Path) -> None:
    """Log ahead and sync every commit: readers never wait, and a power cut loses nothing.

    Raises
    ------
    StoreError
        If the file system cannot share memory between processes, as network ones cannot.
    """
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        hint = "keep the history on a local disk"
        raise StoreError(f"the journal mode stays {mode!r}, not 'wal'", where=str(path), hint=hint)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads.

    On a read-only volume the shared memory of the log cannot be made. Without a log there is
    nothing to share, and the file is then read as one that does not change.
    """
    try:
        return _read_only(path, "mode=ro")
    except sqlite3.OperationalError as fault:
        refused = fault.sqlite_errorcode & 0xFF == sqlite3.SQLITE_CANTOPEN
        if not refused or not path.exists() or Path(f"{path}-wal").exists():
            raise
        return _read_only(path, "mode=ro&immutable=1")


def _read_only(path: Path, options: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{options}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        _prepare(connection)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")


class Readers:
    """Connections lent to one thread at a time, so that pages are read while a batch is written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: LifoQueue[sqlite3.Connection] = LifoQueue(IDLE_READERS)
        self._closed = False

    @contextmanager
    def lend(self) -> Iterator[sqlite3.Connection]:
        """A connection for the length of one question."""
        if self._closed:
            raise StoreError("the history is closed", where=str(self._path))
        connection = self._take()
        try:
            yield connection
        finally:
            self._give_back(connection)

    def close(self) -> None:
        """Close the idle connections; those in use are closed when they come back."""
        self._closed = True
        while True:
            try:
                self._idle.get_nowait().close()
            except Empty:
                return

    def _take(self) -> sqlite3.Connection:
        try:
            return self._idle.get_nowait()
        except Empty:
            return connect_reader(self._path)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        try:
            self._idle.put_nowait(connection)
        except Full:
            connection.close()
        if self._closed:  # closed meanwhile: nobody else will empty the queue
            self.close()


def check_sound(connection: sqlite3.Connection, path: Path) -> None:
    """Read every page once.

    Raises
    ------
    StoreError
        If one is damaged.
    """
    (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if answer != "ok":
        raise damaged(path, " ".join(answer.split()))
