"""What there is to look at: files of a folder, objects of a prefix, for who may not load pyarrow.

In:    paths and addresses; a worker, which lists what lies in a store and looks into files.
Out:   Folder, Listed, FileFacts; what a worker must know of stores.
Never: reads a file by itself; takes a path that leads out of its folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shiftwatch.attempt import Call, inspected
from shiftwatch.errors import DataError
from shiftwatch.places import below, is_remote
from shiftwatch.requests import List, Reach
from shiftwatch.settings import Settings
from shiftwatch.source.listing import WITHHELD, Folder, list_folder, walk_folder
from shiftwatch.source.plan import batch_id
from shiftwatch.values import Batch, FileFacts, Listed, Piece
from shiftwatch.worker import Worker

FILES_PER_CALL = 200
"""Files inspected in one call, so that a large backlog stays within ``limits.seconds``."""

BYTES_PER_CALL = 64_000_000
"""The same of objects, which come over a network; at least one."""

FULL_LISTING = 12
"""Of so many looks into a store of objects one lists everything; the others only what is new."""


@dataclass(slots=True)
class Looking:
    """What is remembered from one look at the batches of a model to the next; nothing is stored."""

    withheld: tuple[FileFacts, ...] = ()
    """Objects that their store lists and does not hand out; asked for again, never quarantined."""
    _looks: int = 0
    _newest: str | None = None
    """The address that sorts last among those listed so far."""
    _whole: dict[Listed, FileFacts] = field(default_factory=dict)
    """Files looked into and not accepted yet, since a later one could not be."""

    @property
    def fault(self) -> str | None:
        """What is said of the model while objects are withheld."""
        return next((f"{file.uri}: {file.fault}" for file in self.withheld), None)

    def folder(self, path: str, ask: Call, *, some_wait: bool) -> tuple[Folder, bool]:
        """What there is now, and whether that is all; of a store, mostly what is new.

        Parameters
        ----------
        path
            Folder or prefix.
        ask
            How the worker is asked.
        some_wait
            Whether files are looked at again: then all are listed.
        """
        if not is_remote(path):
            return walk_folder(path), True
        whole = self._looks % FULL_LISTING == 0 or some_wait
        files: Sequence[Listed] = ask(List(path, after=None if whole else self._newest))
        self._looks += 1
        self._newest = max((file.uri for file in files), default=self._newest)
        return Folder(tuple(files)), whole

    def into(
        self, files: Sequence[Listed], time_column: str | None, ask: Call
    ) -> Sequence[FileFacts]:
        """Facts of files, without those withheld; what was read before an outage is kept."""
        found = [self._whole[file] for file in files if file in self._whole]
        for part in parts([file for file in files if file not in self._whole]):
            facts = inspected(ask, part, time_column)
            pairs = zip(part, facts, strict=True)
            self._whole.update({file: fact for file, fact in pairs if not fact.incomplete})
            found += facts
        self.withheld = tuple(file for file in found if (file.fault or "").startswith(WITHHELD))
        return [file for file in found if file not in self.withheld]

    def settle(self) -> None:
        """All that was whole has been accepted."""
        self._whole.clear()


def reach_of(settings: Settings) -> Reach | None:
    """What a worker must know of stores of objects; None where nothing lies in one."""
    if not any(model.remote for model in settings.models):
        return None
    return Reach(settings.stores, str(Path(settings.store.path).with_suffix(".objects")))


def files_now(path: str, worker: Worker, *, complete: bool = False) -> Sequence[Listed]:
    """All files of a folder, or of a prefix, which the worker lists."""
    if not is_remote(path):
        return list_folder(path, complete=complete)
    files: Sequence[Listed] = worker.call(List(path, complete=complete))
    return files


def parts(files: Sequence[Listed]) -> Iterator[tuple[Listed, ...]]:
    """Files by the call, so that each ends within ``limits.seconds``."""
    part: list[Listed] = []
    size = 0
    for file in files:
        own = file.size if is_remote(file.uri) else 0
        if part and (len(part) == FILES_PER_CALL or size + own > BYTES_PER_CALL):
            yield tuple(part)
            part, size = [], 0
        part.append(file)
        size += own
    if part:
        yield tuple(part)


def only(files: Sequence[Listed], uri: str) -> Listed:
    """The file that a listing of one address found; DataError if it is not there."""
    if [file.uri for file in files] != [uri]:
        raise DataError("no such file below the configured batches", where=uri)
    return files[0]


def alone(facts: FileFacts) -> Batch:
    """A file as a batch of its own."""
    piece = Piece(facts.uri, facts.size, facts.sha256, 0, facts.rows)
    times = facts.time_min, facts.time_max
    return Batch(batch_id((piece,)), (piece,), facts.rows, *times, facts.fault)


def some(
    folder: str, paths: Sequence[str], time_column: str | None, ask: Call, most: int
) -> tuple[Batch, ...]:
    """Files below a folder or prefix, each as a batch of its own.

    Parameters
    ----------
    folder
        The configured batches.
    paths
        Of files and folders below it, whole or relative; ``.`` is all of it.
    time_column
        Event time.
    ask
        How the worker is asked.
    most
        Files.

    Raises
    ------
    DataError
        If a path lies elsewhere or is not there, or there are more files.
    """
    found = {file.uri: file for path in paths for file in _at(folder, path, ask)}
    if len(found) > most:
        raise DataError(f"{len(found)} files are too many, name {most} at most", where=folder)
    facts = [one for part in parts([*found.values()]) for one in inspected(ask, part, time_column)]
    return tuple(alone(one) for one in facts)


def _at(folder: str, path: str, ask: Call) -> Sequence[Listed]:
    """The file at a path below a folder, or all files below it."""
    if is_remote(folder):
        place = folder if path in (".", folder) else confined(folder, path)
        files: Sequence[Listed] = ask(List(str(place), complete=True))
        if not files:
            raise DataError("no such file below the configured batches", where=path)
        return files
    try:
        root = Path(folder).resolve()
        there = (root / path).resolve()
        is_folder = there.is_dir()
    except (OSError, ValueError, RuntimeError) as fault:
        raise DataError("is no path of a file", where=path) from fault
    if not there.is_relative_to(root):
        raise _outside(path)
    if not is_folder:
        file = confined(folder, path)
        return (file,) if isinstance(file, Listed) else ()
    # The path as configured, since folders called key=value are columns.
    files = list_folder(str(Path(folder) / path))
    if not files:
        raise DataError("no Parquet file is there", where=path)
    return files


def confined(folder: str, path: str) -> Listed | str:
    """The file at ``path``, if it truly lies below ``folder``; of an object its address.

    Raises
    ------
    DataError
        If it lies elsewhere, also by way of ``..`` or a symbolic link, or is no file. Whether
        there is an object of that name is for the worker to see.
    """
    if is_remote(folder):
        try:
            return below(folder, path)
        except ValueError:
            raise _outside(path) from None
    try:
        root = Path(folder).resolve()
        file = (root / path).resolve()
        facts = file.stat() if file.is_file() else None
    except (OSError, ValueError, RuntimeError) as fault:
        # Too long, unreadable, with a zero byte or half a character, or links in a circle.
        raise DataError("is no path of a file", where=path) from fault
    if not file.is_relative_to(root):
        raise _outside(path)
    if facts is None:
        raise DataError("no such file below the configured batches", where=path)
    # The path as configured: folders called key=value are columns, also where they are links.
    return Listed(str(Path(folder) / path), facts.st_size, facts.st_mtime_ns)


def _outside(path: str) -> DataError:
    return DataError(
        "lies outside the configured batches", where=path, hint="give a path below `batches:`"
    )
