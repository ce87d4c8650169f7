"""Prepared references on disk: arrays that are mapped instead of computed again.

In:    arrays and small JSON facts, under a folder named by a fingerprint.
Out:   the same, the arrays mapped read-only.
Never: unpickles; believes a file whose size or checksum is wrong; knows what the arrays mean.

A folder holds ``index.json`` and one file of raw little-endian arrays, each beginning at a multiple
of 64 bytes. The index names that file and is renamed into place last, so a reader, or a writer that
was killed, finds what was there before or what came after.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import math
import mmap
import os
import shutil
import weakref
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from shiftwatch.errors import DataError

ALIGNMENT = 64
"""Bytes; a cache line, and enough for every vector instruction."""

DAMAGED = ".damaged"
"""What the name of a folder set aside ends with."""

_KINDS = "biufc"  # plain numbers only: no objects, texts or records
_LARGE = 1 << 18
"""Bytes from which an array is mapped by itself."""

_INDEX = "index.json"
_VERSION = 1
_log = logging.getLogger(__name__)

Arrays = Mapping[str, NDArray[Any]]
Facts = Mapping[str, Any]


def fingerprint(parts: Mapping[str, str]) -> str:
    """32 hex digits that change with every part; the order of parts does not matter.

    Examples
    --------
    >>> fingerprint({"a": "1", "b": "2"}) == fingerprint({"b": "2", "a": "1"})
    True
    >>> fingerprint({"a": "1", "b": "2"}) == fingerprint({"a": "12", "b": ""})
    False
    """
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def write(folder: Path, arrays: Arrays, facts: Facts) -> None:
    """Keep arrays and facts; what the folder held before is replaced at once or not at all.

    Parameters
    ----------
    folder
        Made if absent.
    arrays
        Numbers of any shape; kept little-endian and C-contiguous.
    facts
        JSON.

    Raises
    ------
    DataError
        If an array is not of numbers, or the folder cannot be written.
    """
    plain = {name: _plain(name, array) for name, array in arrays.items()}
    content = f"arrays-{uuid4().hex}.bin"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            body = _write_arrays(folder / content, plain) | {"facts": dict(facts)}
            _write_index(folder, json.dumps(body))
            _sweep(folder, content)
    except OSError as fault:
        raise DataError(
            f"the prepared reference cannot be written: {fault.strerror or fault}",
            where=str(folder),
            hint="the folder must be writable and the disk not full",
        ) from fault


def read(folder: Path, *, verify: bool = False) -> tuple[Arrays, Facts] | None:
    """Map what was written.

    Parameters
    ----------
    folder
        As given to :func:`write`.
    verify
        Also compare the SHA-256 of the arrays, which reads all of them. The index and all sizes
        are always checked.

    Returns
    -------
    tuple[Arrays, Facts] | None
        Read-only arrays that share pages with every process that maps them. None if there is
        nothing, or if it is damaged: then the folder is set aside and a warning is logged.

    Raises
    ------
    DataError
        If the folder is there and may not be read.
    """
    index = _index(folder)
    if index is None:
        return None
    try:
        return _read(folder, index, verify)
    except (OSError, ValueError, KeyError, TypeError) as fault:
        if _index(folder) != index:  # written anew meanwhile
            return read(folder, verify=verify)
        _set_aside(folder, fault)
        return None


def _index(folder: Path) -> bytes | None:
    try:
        return (folder / _INDEX).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as fault:
        raise DataError(f"cannot be read: {fault.strerror}", where=str(folder)) from fault


def evict(root: Path, keep: Collection[str]) -> None:
    """Remove every folder below ``root`` but those named; one that cannot be removed stays.

    Processes that have mapped a removed file keep it until they end.
    """
    if not root.is_dir():
        return
    for entry in sorted(root.iterdir()):
        if entry.name not in keep and entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)


def _plain(name: str, array: NDArray[Any]) -> NDArray[Any]:
    array = np.asarray(array)
    if array.dtype.kind not in _KINDS:
        raise DataError(f"array {name!r} is of {array.dtype}, not of numbers")
    contiguous = np.ascontiguousarray(array).reshape(array.shape)
    return contiguous.astype(array.dtype.newbyteorder("<"), copy=False)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process writes into the folder; a killed one no longer does."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write_arrays(path: Path, arrays: Arrays) -> dict[str, Any]:
    """Write all arrays, and return what the index says of them."""
    places: list[tuple[str, str, tuple[int, ...], int]] = []
    digest = hashlib.sha256()
    with path.open("xb") as handle:
        for name, array in arrays.items():
            places.append((name, array.dtype.str, array.shape, handle.tell()))
            for block in (array.reshape(-1).view(np.uint8).data, _padding(array.nbytes)):
                digest.update(block)
                handle.write(block)
        size = handle.tell()
        handle.flush()
        os.fsync(handle.fileno())
    return {
        "version": _VERSION,
        "file": path.name,
        "size": size,
        "sha256": digest.hexdigest(),
        "arrays": places,
    }


def _padding(size: int) -> bytes:
    return bytes(-size % ALIGNMENT)


def _write_index(folder: Path, body: str) -> None:
    """Put the index into place: the moment from which the new arrays are the ones."""
    text = json.dumps({"sha256": hashlib.sha256(body.encode()).hexdigest(), "body": body})
    temporary = folder / f"{_INDEX}.{uuid4().hex}.tmp"
    with temporary.open("x", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    _sync_folder(folder)
    temporary.replace(folder / _INDEX)
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(folder: Path, content: str) -> None:
    """Remove what earlier writers, finished or killed, have left."""
    for entry in folder.iterdir():
        if entry.name not in (content, _INDEX):
            entry.unlink(missing_ok=True)


class _Mapped(Mapping[str, NDArray[Any]]):
    """The arrays of a file by name. A large one is mapped when it is asked for.

    Its pages leave the process with the last view of it, so a check holds the arrays of the test at
    hand and not all that a reference has kept; the pages stay in the system's cache.
    """

    def __init__(self, path: Path, size: int, places: Sequence[_Place]) -> None:
        self._handle = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._handle)
        self._places = {place.name: place for place in places}
        self._whole = self._map(0, size) if size else b""

    def __getitem__(self, name: str) -> NDArray[Any]:
        place = self._places[name]
        if place.end - place.offset < _LARGE:
            return place.view(self._whole, 0)
        start = place.offset - place.offset % mmap.ALLOCATIONGRANULARITY
        return place.view(self._map(start, place.end - start), start)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def sha256(self) -> str:
        """Of all bytes of the file."""
        return hashlib.sha256(self._whole).hexdigest()

    def _map(self, start: int, size: int) -> mmap.mmap:
        return mmap.mmap(self._handle, size, mmap.MAP_SHARED, mmap.PROT_READ, offset=start)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an array lies in its file."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int

    @property
    def end(self) -> int:
        return self.offset + math.prod(self.shape) * self.dtype.itemsize

    def view(self, mapped: mmap.mmap | bytes, start: int) -> NDArray[Any]:
        """The array in a part of the file that begins at ``start``."""
        flat = np.frombuffer(mapped, self.dtype, math.prod(self.shape), self.offset - start)
        return flat.reshape(self.shape)


def _read(folder: Path, index: bytes, verify: bool) -> tuple[Arrays, Facts]:
    body = _body(index)
    path = folder / Path(str(body["file"])).name
    size = path.stat().st_size
    if size != body["size"]:
        message = f"{path.name} has {size} bytes instead of {body['size']}"
        raise ValueError(message)
    mapped = _Mapped(path, size, [*_places(size, body["arrays"])])
    if verify and mapped.sha256() != body["sha256"]:
        message = f"{path.name} has another SHA-256 than was written"
        raise ValueError(message)
    return mapped, body["facts"]


def _body(index: bytes) -> dict[str, Any]:
    outer = json.loads(index)
    text = str(outer["body"])
    if hashlib.sha256(text.encode()).hexdigest() != outer["sha256"]:
        message = f"{_INDEX} has another SHA-256 than was written"
        raise ValueError(message)
    body: dict[str, Any] = json.loads(text)
    if body["version"] != _VERSION:
        message = f"{_INDEX} has version {body['version']} instead of {_VERSION}"
        raise ValueError(message)
    return body


def _places(size: int, told: list[list[Any]]) -> Iterator[_Place]:
    for name, dtype, shape, offset in told:
        place = _Place(str(name), np.dtype(dtype), tuple(map(int, shape)), int(offset))
        if place.dtype.kind not in _KINDS or not 0 <= place.offset <= place.end <= size:
            message = f"array {name!r} does not lie within the file"
            raise ValueError(message)
        yield place


def _set_aside(folder: Path, fault: Exception) -> None:
    """Rename a damaged folder, so that it can be looked at and its place is free."""
    aside = folder.with_name(folder.name + DAMAGED)
    _log.warning("%s is damaged (%s); it is set aside and prepared again", folder, fault)
    try:
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
    except OSError as refusal:
        _log.warning("%s cannot be set aside: %s", folder, refusal)
