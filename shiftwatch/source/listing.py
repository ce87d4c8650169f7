"""Which Parquet files a folder holds at this moment.

In:    a path.
Out:   Listed, sorted by path; what was left out, by name.
Never: opens a file; imports pyarrow or numpy; leaves the folder it was given.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Iterator
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

_OUTSIDE = "a symbolic link that leads out of the folder"

_VANISHED = (FileNotFoundError, NotADirectoryError)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A place that is passed over: ``reason`` is a code of ``quarantine.REASONS``."""

    uri: str
    """As text: bytes of a name that are not UTF-8 are escaped."""
    reason: str
    fault: str


@dataclass(frozen=True, slots=True)
class Folder:
    """What a folder holds: files, and what was passed over by name; both sorted by uri."""

    files: tuple[Listed, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


def list_folder(path: str, *, complete: bool = False) -> tuple[Listed, ...]:
    """The files of :func:`walk_folder`."""
    return walk_folder(path, complete=complete).files


def walk_folder(path: str, *, complete: bool = False) -> Folder:
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
    Folder
        Sorted by ``uri``, which is ``path`` joined with the place below it. What could be a batch
        and is left out is named: links out of the folder, what cannot be looked at, what is no file.

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
        return Folder((Listed(path, found.st_size, found.st_mtime_ns),))
    walk = _Walk(os.path.realpath(path), path, complete)
    files = tuple(sorted(walk.files(), key=lambda each: each.uri))
    return Folder(files, tuple(sorted(walk.left_out, key=lambda each: each.uri)))


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
    left_out: list[LeftOut] = field(default_factory=list)

    def files(self) -> Iterator[Listed]:
        self.waiting.append(self.path)
        while self.waiting:
            link = self.waiting.pop(0)
            if not self._inside(link):
                self._name(link, "outside", _OUTSIDE)
            elif os.path.realpath(link) not in self.seen:
                yield from self._below(link)

    def _below(self, folder: str) -> Iterator[Listed]:
        self.seen.add(os.path.realpath(folder))
        for entry in self._entries(folder):
            if entry.name.startswith(HIDDEN):
                continue
            try:
                kind = self._kind(entry)
                file = self._file(entry) if kind == "file" else None
            except OSError as fault:
                self._leave_out(entry.path, fault)
                continue
            if kind == "folder":
                yield from self._below(entry.path)
            elif kind == "link":
                self.waiting.append(entry.path)
            elif kind == "outside":
                self._name(entry.path, "outside", _OUTSIDE)
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

    def _kind(
        self, entry: os.DirEntry[str]
    ) -> Literal["folder", "link", "file", "outside", "other"]:
        if entry.is_dir(follow_symlinks=False):
            return "folder"
        if entry.is_symlink() and entry.is_dir():
            return "link"
        if not entry.name.lower().endswith(SUFFIXES):
            return "other"
        outside = entry.is_symlink() and not self._inside(entry.path)
        return "outside" if outside else "file"

    def _file(self, entry: os.DirEntry[str]) -> Listed | None:
        """The entry if it is a regular file with a name that can be written down."""
        if not _is_text(entry.name):
            _log.warning("%r is left out: its name is not valid UTF-8", entry.path)
            self._name(entry.path, "not_a_file", "its name is not valid UTF-8")
            return None
        found = entry.stat()
        if not stat.S_ISREG(found.st_mode):
            self._name(entry.path, "not_a_file", "is neither a file nor a folder")
            return None
        return Listed(entry.path, found.st_size, found.st_mtime_ns)

    def _name(self, path: str, reason: str, fault: str) -> None:
        text = os.fsencode(path).decode("utf-8", "backslashreplace")
        self.left_out.append(LeftOut(text, reason, fault))

    def _leave_out(self, path: str, fault: OSError) -> None:
        """Go on without a place that cannot be looked at, and say so unless it merely vanished."""
        if isinstance(fault, _VANISHED):
            return  # written and taken away between the listing and now: nothing to read
        if self.complete and fault.errno != errno.ELOOP:
            raise _unreadable(path, fault) from fault
        text = fault.strerror or str(fault)
        _log.warning("%r is left out: %s", path, text)
        circle = fault.errno == errno.ELOOP
        self._name(path, "outside" if circle else "refused", f"cannot be looked at: {text}")

    def _inside(self, path: str) -> bool:
        real = os.path.realpath(path)
        return real == self.root or real.startswith(self.root.rstrip(os.sep) + os.sep)


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
