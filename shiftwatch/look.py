"""What there is to look at: files of a folder, objects of a prefix, for who may not load pyarrow.

In:    paths and addresses; a worker, which lists what lies in a store.
Out:   Listed, in parts of a size for one call; what a worker must know of stores.
Never: reads a file; takes a path that leads out of its folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from shiftwatch.errors import DataError
from shiftwatch.places import below, is_remote
from shiftwatch.requests import List, Reach
from shiftwatch.settings import Settings
from shiftwatch.source.listing import list_folder
from shiftwatch.values import Listed
from shiftwatch.worker import Worker

FILES_PER_CALL = 200
"""Files inspected in one call, so that a large backlog stays within ``limits.seconds``."""

BYTES_PER_CALL = 64_000_000
"""The same of objects, which come over a network; at least one."""


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
    root = Path(folder).resolve()
    file = (root / path).resolve()
    if not file.is_relative_to(root):
        raise _outside(path)
    if not file.is_file():
        raise DataError("no such file below the configured batches", where=path)
    facts = file.stat()
    # The path as configured: folders called key=value are columns, also where they are links.
    return Listed(str(Path(folder) / path), facts.st_size, facts.st_mtime_ns)


def _outside(path: str) -> DataError:
    return DataError(
        "lies outside the configured batches", where=path, hint="give a path below `batches:`"
    )
