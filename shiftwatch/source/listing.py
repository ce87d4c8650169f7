"""Which Parquet files a folder holds at this moment.

In:    a path.
Out:   Listed, sorted by path.
Never: opens a file; imports pyarrow or numpy; leaves the folder it was given.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shiftwatch.errors import DataError
from shiftwatch.values import Listed

SUFFIXES = (".parquet", ".parq", ".pq")
"""Endings of files that are batches, in any case; so ``x.parquet.tmp`` and ``.crc`` are not."""

HIDDEN = (".", "_")
"""Beginnings of names that writers use for what is not data yet, or no data at all."""

_log = logging.getLogger(__name__)


def list_folder(path: str) -> tuple[Listed, ...]:
    """Every Parquet file below a folder, or the one file that the path names.

    Names beginning with ``.`` or ``_`` are left out, folders included. A symbolic link is followed
    if it stays inside the folder. A file that vanishes meanwhile is left out.

    Parameters
    ----------
    path
        Folder or file.

    Returns
    -------
    tuple[Listed, ...]
        Sorted by ``uri``, which is ``path`` joined with the place below it.

    Raises
    ------
    DataError
        If the path does not exist, or a folder may not be read.
    """
    try:
        found = Path(path).stat()
    except OSError as fault:
        raise _unreadable(path, fault) from fault
    if not stat.S_ISDIR(found.st_mode):
        return (Listed(path, found.st_size, found.st_mtime_ns),)
    return tuple(sorted(_Walk(os.path.realpath(path)).files(path), key=lambda each: each.uri))


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
    seen: set[str] = field(default_factory=set)
    waiting: list[str] = field(default_factory=list)

    def files(self, path: str) -> Iterator[Listed]:
        self.waiting.append(path)
        while self.waiting:
            link = self.waiting.pop(0)
            if self._inside(link) and os.path.realpath(link) not in self.seen:
                yield from self._below(link)

    def _below(self, folder: str) -> Iterator[Listed]:
        self.seen.add(os.path.realpath(folder))
        for entry in _entries(folder):
            if entry.name.startswith(HIDDEN):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from self._below(entry.path)
            elif entry.is_symlink() and entry.is_dir():
                self.waiting.append(entry.path)
            elif entry.name.lower().endswith(SUFFIXES):
                yield from self._file(entry)

    def _file(self, entry: os.DirEntry[str]) -> Iterator[Listed]:
        if entry.is_symlink() and not self._inside(entry.path):
            return
        if not _is_text(entry.name):
            _log.warning("%r is left out: its name is not valid UTF-8", entry.path)
            return
        try:
            found = entry.stat()
        except FileNotFoundError:
            return  # written and taken away between the listing and now: nothing to read
        if stat.S_ISREG(found.st_mode):
            yield Listed(entry.path, found.st_size, found.st_mtime_ns)

    def _inside(self, path: str) -> bool:
        real = os.path.realpath(path)
        return real == self.root or real.startswith(self.root.rstrip(os.sep) + os.sep)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []  # the folder vanished during the walk
    except OSError as fault:
        raise _unreadable(folder, fault) from fault


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
