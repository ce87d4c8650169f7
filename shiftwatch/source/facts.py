"""Parquet files as they lie there: opened with care, hashed, and their footers read.

In:    Listed.
Out:   FileFacts; open files for the reading of rows.
Never: raises for a bad file when inspecting; reads more than the event times.

Column statistics in the footer are not used: asking pyarrow 26 for those of an encrypted column
ends the whole process (an uncaught C++ exception), footers have no checksum, and reading the event
times themselves costs less than hashing the file does.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from shiftwatch.errors import AwayError, DataError
from shiftwatch.places import is_remote
from shiftwatch.quarantine import CHANGED, ENCRYPTED, NO_FOOTER, REFUSED
from shiftwatch.source import matching, objects
from shiftwatch.source.columns import kind_of, to_column
from shiftwatch.source.listing import GONE, WITHHELD
from shiftwatch.source.widths import SLICE_ROWS
from shiftwatch.values import FileFacts, Listed, SchemaColumn

# Without threads: many failed reads with them abort the interpreter at its end.
pa.set_cpu_count(1)
pa.set_io_thread_count(1)

_log = logging.getLogger(__name__)

MOST_ROWS = 2**40
"""Rows a file may say it has: a hundred times what the largest files hold."""

_TEXTS, _BYTES = ("string", "large_string"), ("binary", "large_binary")

_NO_BOMB, _MOST_PACKED = 64_000_000, 100
"""A piece of memory is a bomb's if it is larger than any slice of ours, and 100 times the file.
Honest texts that repeat themselves reach 20; for them the limit is too small, and says so."""

_HASH_BYTES = 1 << 20
_OBJECT_BYTES = 8 << 20  # a request each
_BUFFER_BYTES = 1 << 18  # without it pyarrow holds all compressed columns of a row group at once
_DICTIONARY = 2_000_000  # bytes; writers stop making one at 1 MB, as a rule
_PLACE = 3  # bytes of a row's place in a dictionary, with room to spare
_SHORTEST = 12  # magic, length of the footer, magic
_PLAIN, _ENCRYPTED = b"PAR1", b"PARE"
_LONGEST_TEXT = 200
_DAMAGE = (pa.ArrowException, OSError, ValueError, OverflowError)
# What pyarrow raises for damaged files; a name that is no UTF-8 is a ValueError.


def inspect(listed: Listed, time_column: str | None) -> FileFacts:
    """Hash a file and read its footer and event times. A bad file is a fault, never an error.

    Parameters
    ----------
    listed
        The file as it was listed.
    time_column
        Event time: a timestamp of any unit and zone (without a zone it is UTC), or a date.

    Returns
    -------
    FileFacts
        ``fault`` is None for a readable file. ``incomplete`` marks one that is worth another look:
        it may still be in the writing (no closing footer, or other bytes than were listed), or the
        system would not hand out its bytes (permissions, a disk or network that fails). The fault
        of a file that is not there any more is :data:`shiftwatch.source.listing.GONE`.

    Raises
    ------
    AwayError
        If the store of an object does not answer: it would not for the next one either.
    """
    facts = FileFacts(listed.uri, listed.size, listed.modified_ns, "", 0)
    if is_remote(listed.uri):
        return _object_facts(facts, time_column)
    try:
        with Path(listed.uri).open("rb") as handle:
            before = os.fstat(handle.fileno())
            facts = replace(facts, sha256=_sha256(handle))
            after = os.fstat(handle.fileno())
            if listed.size != after.st_size or before.st_mtime_ns != after.st_mtime_ns:
                return replace(facts, fault=CHANGED, incomplete=True)
            return _with_footer(facts, handle, time_column)
    except OSError as fault:
        return _refused(facts, fault)


def _object_facts(facts: FileFacts, time_column: str | None) -> FileFacts:
    try:
        with objects.opened(facts.uri) as handle:
            handle.seek(0, os.SEEK_END)
            if handle.tell() != facts.size:
                return replace(facts, fault=CHANGED, incomplete=True)
            handle.seek(0)
            facts = replace(facts, sha256=_sha256(handle, _OBJECT_BYTES))
            return _with_footer(facts, handle, time_column)
    except AwayError as fault:
        if not objects.answers(facts.uri):
            raise
        _log.warning("%r %s: %s", facts.uri, WITHHELD, fault.what)
        return replace(facts, rows=0, fault=f"{WITHHELD}: {fault.what}", incomplete=True)
    except OSError as fault:
        return _refused(facts, fault)


def _refused(facts: FileFacts, fault: OSError) -> FileFacts:
    """The system did not hand out the bytes: this says nothing about them, and may pass."""
    gone = isinstance(fault, FileNotFoundError)
    text = GONE if gone else f"{REFUSED}{one_line(fault)}"
    return replace(facts, rows=0, fault=text, incomplete=True)


def file_sha256(uri: str) -> str:
    """SHA-256 of a file's bytes, hexadecimal.

    Raises
    ------
    OSError
        If it cannot be read.
    AwayError
        If its store does not answer.
    """
    if is_remote(uri):
        return objects.sha256(uri)
    with Path(uri).open("rb") as handle:
        return _sha256(handle)


def one_line(fault: BaseException) -> str:
    """The first line of an exception's text, without control characters, 200 characters at most."""
    text = fault.strerror if isinstance(fault, OSError) and fault.strerror else str(fault)
    first = next(iter(text.strip().splitlines()), "") or type(fault).__name__
    clean = " ".join("".join(c if c.isprintable() else " " for c in first).split())
    return clean if len(clean) <= _LONGEST_TEXT else clean[: _LONGEST_TEXT - 3] + "..."


def file_size(uri: str) -> int:
    """Bytes of a file; OSError and AwayError as of :func:`file_sha256`."""
    return objects.head(uri).size if is_remote(uri) else Path(uri).stat().st_size


def _sha256(handle: IO[bytes], block_bytes: int = _HASH_BYTES) -> str:
    digest = hashlib.sha256()
    while block := handle.read(block_bytes):
        digest.update(block)
    return digest.hexdigest()


def _with_footer(facts: FileFacts, handle: IO[bytes], time_column: str | None) -> FileFacts:
    fault = _magic_fault(handle, facts.size)
    if fault is not None:
        return replace(facts, fault=fault, incomplete=fault == NO_FOOTER)
    try:
        with _open(handle) as file:
            facts = replace(facts, rows=count_rows(file))
            return _with_times(facts, file, time_column) if time_column else facts
    except MemoryError:
        return replace(facts, rows=0, fault="claims more memory than there is")
    except _DAMAGE as damage:
        if isinstance(damage, OSError) and damage.errno is not None:
            return _refused(facts, damage)  # Arrow's own errors, also OSError, have no number
        return replace(facts, rows=0, fault=_damage_text(damage))


def _magic_fault(handle: IO[bytes], size: int) -> str | None:
    if size < _SHORTEST:
        return NO_FOOTER
    handle.seek(-4, os.SEEK_END)
    magic = handle.read(4)
    if magic == _ENCRYPTED:
        return f"{ENCRYPTED}; shiftwatch holds no keys"
    return None if magic == _PLAIN else NO_FOOTER


def _damage_text(damage: BaseException) -> str:
    text = one_line(damage)
    return f"{ENCRYPTED}; {text}" if "decrypt" in text.lower() else text


def _with_times(facts: FileFacts, file: pq.ParquetFile, time_column: str) -> FileFacts:
    name = matching.find_names(file.schema_arrow.names, [time_column]).get(time_column)
    if name is None:
        return replace(facts, fault=f"no column {time_column!r}, which is to be the event time")
    if name in matching.doubled(file.schema_arrow):
        return replace(facts, fault=f"more than one column is named {name!r}, the event time")
    type_ = file.schema_arrow.field(name).type
    if kind_of(type_, name, ()) != "timestamp":
        return replace(facts, fault=f"column {time_column!r} is no timestamp but {type_}")
    bounds = [_bounds(times) for times in event_times(file, name)]
    present = [pair for pair in bounds if pair is not None]
    if not present:
        return facts
    lows, highs = zip(*present, strict=True)
    return replace(facts, time_min=min(lows), time_max=max(highs))


def _bounds(times: NDArray[np.float64]) -> tuple[float, float] | None:
    present = times[~np.isnan(times)]
    return (float(present.min()), float(present.max())) if present.size else None


def count_rows(file: pq.ParquetFile) -> int:
    """Rows of all row groups; ValueError where the footer, which has no checksum, is damaged.

    It says the number twice. Some writers leave the first at 0, the second is what can be read.
    More than :data:`MOST_ROWS` are a lie, and would be counted with, in the history too.
    """
    metadata = file.metadata
    groups: list[int] = [
        metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)
    ]
    rows = sum(groups)
    if min(groups, default=0) < 0 or metadata.num_rows not in (0, rows):
        message = f"the footer says {metadata.num_rows} rows in all and {rows} in its row groups"
        raise ValueError(message)
    if rows > MOST_ROWS:
        raise ValueError(f"the footer says {rows} rows, more than {MOST_ROWS} in one file")
    return rows


def event_times(file: pq.ParquetFile, name: str) -> Iterator[NDArray[np.float64]]:
    """Unix seconds in slices of rows, NaN where null."""
    column = SchemaColumn(name, "timestamp", "time", "")
    for batch in file.iter_batches(SLICE_ROWS, columns=[name], use_threads=False):
        yield to_column(pa.chunked_array([batch.column(name)]), column).values.astype(np.float64)


def _open(
    handle: Any, dictionaries: Sequence[str] = (), metadata: pq.FileMetaData = None
) -> pq.ParquetFile:
    return pq.ParquetFile(
        handle,
        metadata=metadata,
        read_dictionary=list(dictionaries),
        page_checksum_verification=True,
        pre_buffer=False,
        buffer_size=_BUFFER_BYTES,
    )


def _hint(damage: BaseException) -> str:
    if isinstance(damage, FileNotFoundError):
        return "keep files until they are judged"
    if isinstance(damage, PermissionError):
        return "check its permissions"
    return "write it again, under another name first, and rename it when it is whole"


def chunk_bytes(file: pq.ParquetFile, names: Sequence[str]) -> Mapping[str, Sequence[int]]:
    """Bytes before compression of top-level columns in each row group; none of one that is not."""
    # To read a value is to be told that a column is encrypted; to ask its footer ends the process.
    for _ in file.iter_batches(1, columns=list(names), use_threads=False) if names else ():
        break
    metadata = file.metadata
    places = {metadata.schema.column(place).path: place for place in range(metadata.num_columns)}
    groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    return {
        name: [max(0, group.column(places[name]).total_uncompressed_size) for group in groups]
        if name in places
        else []
        for name in names
    }


def _varied(file: pq.ParquetFile, names: Sequence[str]) -> frozenset[str]:
    """Columns of texts that fill more than a dictionary and a place in it for every row."""
    rows = [
        file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)
    ]
    return frozenset(
        name
        for name, sizes in chunk_bytes(file, names).items()
        if any(size > _DICTIONARY + _PLACE * n for size, n in zip(sizes, rows, strict=False))
    )


def _as_dictionaries(file: pq.ParquetFile, categories: Collection[str]) -> list[str]:
    """Texts that are read as categories, under whatever case; and what is only counted.

    Of bytes and nested columns no value is looked at, but a dictionary page of a few kB may hold a
    text of many MB that every row repeats.
    """
    schema = file.schema_arrow
    read = set(matching.find_names(schema.names, categories).values())
    texts = [f.name for f in schema if f.name in read and str(f.type) in _TEXTS]
    counted = {f.name for f in schema if pa.types.is_nested(f.type) or str(f.type) in _BYTES}
    places = range(len(file.metadata.schema)) if counted else ()
    leaves = (file.metadata.schema.column(place) for place in places)
    few = sorted(set(texts) - _varied(file, texts))
    return few + [
        leaf.path
        for leaf in leaves
        if leaf.physical_type == "BYTE_ARRAY" and leaf.path.partition(".")[0] in counted
    ]


def _asked_at_once(shortage: MemoryError) -> int:
    """Bytes of the piece of memory that Arrow did not get; 0 where it does not say.

    Examples
    --------
    >>> _asked_at_once(MemoryError("malloc of size 2147483648 failed"))
    2147483648
    """
    told = re.search(r"of size (\d+)", str(shortage))
    return int(told[1]) if told is not None else 0


@contextmanager
def _bytes_of(uri: str) -> Iterator[Any]:
    if is_remote(uri):
        with objects.opened(uri) as held:
            yield held
        return
    Path(uri).stat()  # says "no such file" in fewer words than Arrow
    with pa.OSFile(uri, "rb") as handle:
        yield handle


@contextmanager
def opened(uri: str, categories: Collection[str] | None = None) -> Iterator[pq.ParquetFile]:
    """An open file whose every damage is a DataError.

    Unless ``categories`` is None its texts stay dictionaries, and so do bytes and what is nested.
    But for texts of which a row group has so many that they fill more than a dictionary: Arrow
    would hold them all, twice and hashed, whatever few rows are wanted. A store that does not
    answer is no damage: AwayError.
    """
    try:
        with _bytes_of(uri) as handle:
            first = _open(handle)
            count_rows(first)
            texts = [] if categories is None else _as_dictionaries(first, categories)
            yield _open(handle, texts, first.metadata) if texts else first
    except MemoryError as shortage:  # also Arrow's: the worker's limit, mostly not the file's fault
        asked = _asked_at_once(shortage)
        if asked < max(_NO_BOMB, _MOST_PACKED * file_size(uri)):
            raise
        raise DataError(
            f"a page of it unpacks to {asked / 1e6:.0f} MB, more than the worker may hold",
            where=uri,
            hint="write it with smaller pages; if it is meant so, raise limits.memory_mb",
        ) from shortage
    except _DAMAGE as damage:
        raise DataError(
            f"cannot be read: {_damage_text(damage)}",
            where=uri,
            hint=_hint(damage),
        ) from damage
