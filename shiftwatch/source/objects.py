"""Objects of a store: listed, read with patience, and their hashes remembered.

In:    addresses.
Out:   Listed; heads; open objects as Arrow and Python read them; copies on disk.
Never: mixes the bytes of two versions of an object; hashes one again that has not changed.

An object of up to 16 MB is read as a whole, so that what is looked at is one version; of a larger
one only what is asked for, and its head is compared once more at the end.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa

from shiftwatch.errors import AwayError, DataError, RefusedError
from shiftwatch.places import place_of
from shiftwatch.source import stores
from shiftwatch.source.listing import HIDDEN, SUFFIXES
from shiftwatch.source.stores import at, patiently
from shiftwatch.values import Listed

WHOLE = 16 << 20
"""Bytes up to which an object is read at once."""

_BLOCK = 8 << 20
_MOST_REMEMBERED = 20_000
_UNFINISHED_SECONDS = 86_400.0
_DIGESTS = "digests.json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Head:
    """What a store says of an object; an equal head is the same version of it.

    ``modified_ns`` is asked for only where there is no ``etag``.
    """

    size: int
    modified_ns: int
    etag: str


# What there is ----------------------------------------------------------------------------------


def list_objects(
    uri: str, *, after: str | None = None, complete: bool = False
) -> tuple[Listed, ...]:
    """Every Parquet object below a prefix, or the one object that the address names.

    Parameters
    ----------
    uri
        Prefix or object. A prefix without objects is an empty folder.
    after
        Address of an object seen before: folders whose names sort before its own are not looked
        into, so that what a look takes follows what is new where folders are named by date. An
        object that comes late into such a folder is found by a listing without ``after``.
    complete
        Whether an object whose name cannot be used is an error, instead of a warning.

    Returns
    -------
    tuple[Listed, ...]
        Sorted by address. Names beginning with ``.`` or ``_`` are left out, folders included.

    Raises
    ------
    DataError
        If the bucket does not exist or may not be listed.
    AwayError
        If the store does not answer.
    """
    root = uri.rstrip("/")
    try:
        if root.lower().endswith(SUFFIXES):
            found = _info(root)
            if found.is_file:
                return (Listed(root, found.size, _nanoseconds(found)),)
        below = tuple(after.removeprefix(f"{root}/").split("/")) if after is not None else ()
        path = at(root)[1]
        infos = [
            (info, info.path.removeprefix(f"{path}/")) for info in _walk(root, path, below[:-1])
        ]
    except FileNotFoundError as fault:
        raise DataError(
            "no such bucket", where=uri, hint="check the name, and `stores:` for the endpoint"
        ) from fault
    except OSError as fault:
        raise DataError(f"cannot be listed: {fault.strerror}", where=uri) from fault
    listed = (_listed(root, name, info, complete) for info, name in infos)
    return tuple(sorted((each for each in listed if each is not None), key=lambda each: each.uri))


def _walk(root: str, path: str, past: tuple[str, ...]) -> Iterator[Any]:
    """All of a folder; where something is past, its files and the folders that sort no earlier."""
    infos = _selected(root, path, recursive=not past)
    for info in infos:
        if info.is_file:
            yield info
        elif past and info.base_name >= past[0]:
            yield from _walk(root, info.path, past[1:] if info.base_name == past[0] else ())


def _selected(root: str, path: str, *, recursive: bool) -> list[Any]:
    from pyarrow import fs  # noqa: PLC0415

    selector = fs.FileSelector(path, recursive=recursive)
    try:
        found: list[Any] = patiently(root, lambda: at(root)[0].get_file_info(selector))
    except FileNotFoundError:
        place = place_of(root)
        bucket = patiently(root, lambda: at(root)[0].get_file_info(place.bucket))
        if bucket.type == fs.FileType.NotFound:
            raise
        return []  # nothing has been written below the prefix yet
    return found


def _listed(root: str, name: str, info: Any, complete: bool) -> Listed | None:
    parts = name.split("/")
    if any(part.startswith(HIDDEN) for part in parts if part not in ("", ".", "..")):
        return None
    if not name.lower().endswith(SUFFIXES):
        return None
    if any(part in ("", ".", "..") for part in parts):
        if complete:
            raise DataError(f"the name {name!r} cannot be used", where=root)
        _log.warning("%r is left out: an object's name with an empty part or dots", name)
        return None
    return Listed(f"{root}/{name}", info.size, _nanoseconds(info))


def _nanoseconds(info: Any) -> int:
    return int(info.mtime_ns or 0)


def _info(uri: str) -> Any:
    return patiently(uri, lambda: at(uri)[0].get_file_info(at(uri)[1]))


def head(uri: str) -> Head:
    """What the store says of an object now; OSError or AwayError as of ``stores.patiently``."""
    with patiently(uri, lambda: _raw(uri)) as handle:
        return _head(uri, handle)


def answers(uri: str) -> bool:
    """Whether the store says anything about an object now."""
    try:
        _info(uri)
    except (RefusedError, OSError):
        return True
    except AwayError:
        return False
    return True


def _raw(uri: str) -> Any:
    filesystem, path = at(uri)
    return filesystem.open_input_file(path)


def _head(uri: str, handle: Any) -> Head:
    told: Mapping[str, bytes] = handle.metadata() or {}
    etag = next((v for k, v in told.items() if k.lower() in ("etag", "generation")), b"")
    modified_ns = 0 if etag else _nanoseconds(_info(uri))
    return Head(handle.size(), modified_ns, etag.decode(errors="replace"))


# What it holds ----------------------------------------------------------------------------------


class Remote(io.RawIOBase):
    """A large object as a file: every read is tried again while the store may come back."""

    def __init__(self, uri: str, handle: Any, head_: Head) -> None:
        super().__init__()
        self.uri = uri
        self.head = head_
        self.fault: AwayError | None = None
        self._handle = handle
        self._position = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The position."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.head.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """Bytes from the position on, fewer only at the end."""
        left = max(0, self.head.size - self._position)
        wanted = left if size is None or size < 0 else min(size, left)
        if not wanted:
            return b""
        try:
            block = patiently(self.uri, lambda: self._block(wanted))
        except AwayError as fault:
            self.fault = fault  # on its way through Arrow it may become another error
            raise
        self._position += len(block)
        return block

    def confirm(self) -> None:
        """Raise OSError if the object is another version than the one that was opened."""
        if head(self.uri) != self.head:
            raise _changed(self.uri)

    def _block(self, size: int) -> bytes:
        block = bytes(self._handle.read_at(size, self._position))
        if len(block) != size:
            message = "the store sent fewer bytes than asked for"
            raise OSError(message)  # may pass
        return block


def _changed(uri: str) -> OSError:
    return OSError(errno.ESTALE, "changed while it was read", uri)


_last: list[tuple[str, Head, pa.Buffer]] = []
"""The last object that was read as a whole: the same file is opened several times in a check."""


@contextmanager
def opened(uri: str) -> Iterator[Any]:
    """An object as a file that Arrow and Python can read, with one version of its bytes.

    Raises
    ------
    OSError
        If it is not there, refused, or becomes another version meanwhile.
    AwayError
        If the store does not answer, or no longer.
    """
    with patiently(uri, lambda: _raw(uri)) as handle:
        told = _head(uri, handle)
        if told.size <= WHOLE:
            yield pa.BufferReader(_whole(uri, told, handle))
            return
        remote = Remote(uri, handle, told)
        try:
            yield remote
        except Exception:
            if remote.fault is not None:
                raise remote.fault from None
            raise
        remote.confirm()


def _whole(uri: str, told: Head, handle: Any) -> pa.Buffer:
    if _last and _last[0][:2] == (uri, told):
        return _last[0][2]
    _last.clear()
    data = Remote(uri, handle, told).read()
    if head(uri) != told:
        raise _changed(uri)
    buffer = pa.py_buffer(data)
    _last.append((uri, told, buffer))
    return buffer


# Its hash, and a copy of it ---------------------------------------------------------------------


def sha256(uri: str) -> str:
    """SHA-256 of an object; it is read only if its head is not one whose hash is known.

    Raises
    ------
    OSError
        If it is not there or refused.
    AwayError
        If the store does not answer.
    """
    known = _remembered(uri, head(uri))
    if known is not None:
        return known
    with opened(uri) as handle:
        digest = hashlib.sha256()
        while block := handle.read(_BLOCK):
            digest.update(block)
        told = handle.head if isinstance(handle, Remote) else _last[0][1]
    _remember(uri, told, digest.hexdigest())
    return digest.hexdigest()


def copy(uri: str, target: Path) -> None:
    """Put an object at a path, unless what lies there is it.

    Raises
    ------
    OSError
        If it is not there or refused, or the path cannot be written.
    AwayError
        If the store does not answer.
    """
    known = _remembered(uri, head(uri))
    if known is not None and target.is_file() and _hashed(target) == known:
        return
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = target.with_name(f".{uuid4().hex}.tmp")
    digest = hashlib.sha256()
    try:
        with opened(uri) as handle, temporary.open("xb") as sink:
            told = handle.head if isinstance(handle, Remote) else _last[0][1]
            while block := handle.read(_BLOCK):
                digest.update(block)
                sink.write(block)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    _remember(uri, told, digest.hexdigest())


def _hashed(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


_digests: dict[str, list[Any]] = {}


def _entry(told: Head) -> list[Any]:
    return [told.size, told.modified_ns, told.etag]


def _remembered(uri: str, told: Head) -> str | None:
    """The hash of this version of an object, if it was ever read."""
    kept = _digests.get(uri) or _kept().get(uri)
    if isinstance(kept, list) and kept[:3] == _entry(told) and len(kept) == 4:
        return str(kept[3])
    return None


def _kept() -> dict[str, list[Any]]:
    """Hashes that a worker before this one has written down; a damaged file is none."""
    folder = stores.folder()
    try:
        found = json.loads((folder / _DIGESTS).read_bytes()) if folder is not None else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember(uri: str, told: Head, digest: str) -> None:
    folder = stores.folder()
    _digests[uri] = [*_entry(told), digest]
    if folder is None:
        return
    known = {name: entry for name, entry in _kept().items() if name != uri} | {uri: _digests[uri]}
    newest = dict(list(known.items())[-_MOST_REMEMBERED:])
    temporary = folder / f".{uuid4().hex}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _sweep(folder)
        temporary.write_text(json.dumps(newest))
        temporary.replace(folder / _DIGESTS)
    except OSError as fault:
        _log.warning("the hash of %r is not kept: %s", uri, fault.strerror)
        with suppress(OSError):
            temporary.unlink()


def _sweep(folder: Path) -> None:
    """Remove what a killed worker has left unfinished, below this folder."""
    for entry in folder.rglob(".*.tmp"):
        with suppress(FileNotFoundError):
            if abs(time.time() - entry.stat().st_mtime) > _UNFINISHED_SECONDS:
                entry.unlink()
