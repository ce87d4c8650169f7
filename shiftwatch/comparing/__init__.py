"""`shiftwatch.compare()` and `shiftwatch.prepare()`: two tables or files, from Python.

In:    paths, tables, or anything that offers itself as an Arrow stream; options.
Out:   a Report.
Never: shares memory or threads with the tests: they run in a process of their own, within limits,
       exactly as in the daemon, so the numbers are the same.

A table is handed over as a Parquet file in a temporary folder, which is gone with the report's
maker. Measured against the same work inside the caller's process, on two cores, 100 000 v 10 000 rows
of 50 columns: the process and the writing of both sides cost .75 s of CPU (1.63 instead of .88), once for
a prepared reference; a second batch against it takes as long either way. Inside, 150 MB instead of 40 MB
stay with the caller, neither `limits.seconds` nor `limits.memory_mb` can be kept, and sums are
divided among as many threads as the caller's BLAS has: other last digits, and on a busy machine many
times the time.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from shiftwatch.comparing.handing import Data, Handed, handed
from shiftwatch.comparing.options import Options, Tests, Tolerance
from shiftwatch.comparing.outcome import Report
from shiftwatch.contrast import Prepared, asked_once, named
from shiftwatch.errors import ConfigError, DataError, ShiftwatchError
from shiftwatch.requests import Context
from shiftwatch.settings import AlarmSettings, LimitSettings
from shiftwatch.worker import Worker

__all__ = ["Data", "Options", "Reference", "Report", "Tests", "Tolerance", "compare", "prepare"]


class Reference:
    """A reference that was prepared once, for as many comparisons as come.

    To be closed, or used in a ``with`` statement; it closes itself when nobody holds it any more.
    Of one comparison at a time.
    """

    def __init__(
        self, context: Context, side: Handed, folder: tempfile.TemporaryDirectory[str]
    ) -> None:
        self._side = side
        self._folder = Path(folder.name)
        worker = Worker(context.limits)
        self._end = weakref.finalize(self, _end, worker, folder)
        try:
            with _told_of(("reference", side)):
                self._prepared = Prepared.of(worker, context)
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """Its path, or what kind of table it was."""
        return self._side.called

    @property
    def rows(self) -> int:
        """Rows of the reference."""
        return self._prepared.rows

    def compare(self, current: Data) -> Report:
        """Hold data against it; see :func:`shiftwatch.compare`."""
        if not self._end.alive:
            raise DataError("the prepared reference is closed", hint="prepare it again")
        if isinstance(current, Reference):
            raise DataError("is a prepared reference", where="current", hint="give a path or table")
        side = handed(current, self._folder / "current", "current")
        with _told_of(("current", side), ("reference", self._side)):
            run = self._prepared.compare(side.path, side.name)
        return Report(named(run, self.name, side.called))

    def close(self) -> None:
        """End its process and remove its files."""
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        """Its name and size."""
        state = f"{self.rows:,} rows" if self._end.alive else "closed"
        return f"<reference {self.name}, {state}>"


def _end(worker: Worker, folder: tempfile.TemporaryDirectory[str]) -> None:
    worker.close()
    folder.cleanup()


def prepare(reference: Data, options: Options) -> Reference:
    """Prepare a reference; the options are those of :func:`shiftwatch.compare`."""
    seed = options.root()
    options.settings("reference")  # what is wrong with them is said before anything is written
    if isinstance(reference, Reference):
        raise DataError("is prepared already", where="reference")
    folder = tempfile.TemporaryDirectory(prefix="shiftwatch-")
    try:
        side = handed(reference, Path(folder.name) / "reference", "reference")
        settings = options.settings(side.path)
        cache = str(Path(folder.name) / "prepared")
        context = Context(settings, AlarmSettings(), seed, cache, "", LimitSettings())
        return Reference(context, side, folder)
    except BaseException:
        folder.cleanup()
        raise


def compare(reference: Data | Reference, current: Data, options: Options) -> Report:
    """Hold data against a reference, which may be prepared; see :func:`shiftwatch.compare`."""
    if not isinstance(reference, Reference):
        if reference is current and hasattr(current, "read_next_batch"):
            raise DataError("both sides are one stream, which can be read once", where="current")
        with prepare(reference, options) as prepared:
            return prepared.compare(current)
    given = options.given()
    if given:
        raise ConfigError(
            f"`{given[0]}` belongs to the reference, which is prepared already",
            hint=f"give it to shiftwatch.prepare(reference, {given[0]}=...)",
        )
    return reference.compare(current)


@contextmanager
def _told_of(*sides: tuple[str, Handed]) -> Iterator[None]:
    """No fault names a file that was written for a table."""
    try:
        with asked_once():
            yield
    except ShiftwatchError as fault:
        fault.where = next((s for s, given in sides if given.written(fault.where)), fault.where)
        raise
