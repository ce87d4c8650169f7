"""Which Parquet files a folder holds at this moment.

In:    a path.
Out:   Listed, sorted by path.
Never: opens a file; imports pyarrow or numpy; leaves the folder it was given.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from shiftwatch.errors import DataError
from shiftwatch.values import Listed

SUFFIXES = (".parquet", ".parq", ".pq")
"""Endings of files that are batches, in any case; so ``x.parquet.tmp`` and ``.crc`` are not."""

HIDDEN = (".", "_")
"""Beginnings of names that writers use for what is not data yet, or no data at all."""

GONE = "gone"
"""Fault of a file that was listed and is not there any more; it is no batch."""

WITHHELD = "is not handed out now"
"""Beginning of the fault of an object that its store lists and does not let be read, which may
pass: it waits, however long, and is never judged by it."""

_VANISHED = (FileNotFoundError, NotADirectoryError)

_log = logging.getLogger(__name__)


def list_folder(path: str, *, complete: bool = False) -> tuple[Listed, ...]:
    """Every Parquet file below a folder, or the one file that the path names.

    Names beginning with ``.`` or ``_`` are left out, folders included. A symbolic link is followed
    if it stays inside the folder. A file that vanishes meanwhile is left out. So is, with a
    warning, what cannot be looked at: a link in a circle, a folder that may not be read.

    Parameters
    ----------
    path
        Folder or file.
    complete
        Whether what cannot be looked at is an error instead: for a caller who takes what is not
        listed to be gone. A link in a circle is never a file and is left out all the same.

    Returns
    -------
    tuple[Listed, ...]
        Sorted by ``uri``, which is ``path`` joined with the place below it.

    Raises
    ------
    DataError
        If the path does not exist, or the folder itself may not be read.
    """
    try:
        found = Path(path).stat()
    except OSError as fault:
        raise _unreadable(path, fault) from fault
    if not stat.S_ISDIR(found.st_mode):
        return (Listed(path, found.st_size, found.st_mtime_ns),)
    walk = _Walk(os.path.realpath(path), path, complete)
    return tuple(sorted(walk.files(), key=lambda each: each.uri))


def new_files(listed: Iterable[Listed], known: Mapping[str, Listed]) -> tuple[Listed, ...]:
    """Files that are not known, or have changed their size or time since.

    Examples
    --------
    >>> before, after = Listed("a.parquet", 10, 1), Listed("a.parquet", 12, 2)
    >>> new_files([after], {"a.parquet": before}) == (after,)
    True
    >>> new_files([after], {"a.parquet": after})
    ()
    """
    return tuple(each for each in listed if known.get(each.uri) != each)


@dataclass(slots=True)
class _Walk:
    """One walk through a folder: folders seen, and links to folders kept for the end.

    Links wait until all real folders were visited, so a file is listed below its real place
    and a link back to a folder above ends there.
    """

    root: str
    path: str
    complete: bool
    seen: set[str] = field(default_factory=set)
    waiting: list[str] = field(default_factory=list)

    def files(self) -> Iterator[Listed]:
        self.waiting.append(self.path)
        while self.waiting:
            link = self.waiting.pop(0)
            if self._inside(link) and os.path.realpath(link) not in self.seen:
                yield from self._below(link)

    def _below(self, folder: str) -> Iterator[Listed]:
        self.seen.add(os.path.realpath(folder))
        for entry in self._entries(folder):
            if entry.name.startswith(HIDDEN):
                continue
            try:
                kind = self._kind(entry)
                file = _file(entry) if kind == "file" else None
            except OSError as fault:
                self._leave_out(entry.path, fault)
                continue
            if kind == "folder":
                yield from self._below(entry.path)
            elif kind == "link":
                self.waiting.append(entry.path)
            elif file is not None:
                yield file

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as fault:
            if folder == self.path:
                raise _unreadable(folder, fault) from fault
            self._leave_out(folder, fault)
            return []

    def _kind(self, entry: os.DirEntry[str]) -> Literal["folder", "link", "file", "other"]:
        if entry.is_dir(follow_symlinks=False):
            return "folder"
        if entry.is_symlink():
            if entry.is_dir():
                return "link"
            if not self._inside(entry.path):
                return "other"
        return "file" if entry.name.lower().endswith(SUFFIXES) else "other"

    def _leave_out(self, path: str, fault: OSError) -> None:
        """Go on without a place that cannot be looked at, and say so unless it merely vanished."""
        if isinstance(fault, _VANISHED):
            return  # written and taken away between the listing and now: nothing to read
        if self.complete and fault.errno != errno.ELOOP:
            raise _unreadable(path, fault) from fault
        _log.warning("%r is left out: %s", path, fault.strerror or fault)

    def _inside(self, path: str) -> bool:
        real = os.path.realpath(path)
        return real == self.root or real.startswith(self.root.rstrip(os.sep) + os.sep)


def _file(entry: os.DirEntry[str]) -> Listed | None:
    """The entry if it is a regular file with a name that can be written down."""
    if not _is_text(entry.name):
        _log.warning("%r is left out: its name is not valid UTF-8", entry.path)
        return None
    found = entry.stat()
    if not stat.S_ISREG(found.st_mode):
        return None
    return Listed(entry.path, found.st_size, found.st_mtime_ns)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unreadable(path: str, fault: OSError) -> DataError:
    if isinstance(fault, FileNotFoundError):
        return DataError(
            "no such file or folder",
            where=path,
            hint="check the path; a folder must exist before the first batch arrives",
        )
    reason = (fault.strerror or str(fault)).lower()
    return DataError(f"cannot be listed: {reason}", where=path, hint="check its permissions")
