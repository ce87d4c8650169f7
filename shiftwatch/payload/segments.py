"""Segments: records one below the other in a file, a line of JSON each.

In:    records, paths.
Out:   the same again; a torn last line, as a crash leaves one, is passed over.
Never: reads a body.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from shiftwatch.payload.records import Record

SUFFIX = ".events"


def is_segment(uri: str) -> bool:
    """Whether a path names a segment.

    Examples
    --------
    >>> is_segment("/payloads/00000001.events"), is_segment("/payloads/a.parquet")
    (True, False)
    """
    return uri.endswith(SUFFIX)


def line_of(record: Record) -> bytes:
    """A record as a line."""
    told = {
        "id": record.id,
        "kind": record.kind,
        "at": record.at,
        "header_bytes": record.header_bytes,
        "body": base64.b64encode(record.body).decode("ascii"),
    }
    return json.dumps(told, separators=(",", ":")).encode("ascii") + b"\n"


def read(path: str) -> Iterator[Record]:
    """The records of a segment, in order; OSError if it cannot be read."""
    with Path(path).open("rb") as handle:
        for line in handle:
            record = _record(line)
            if record is not None:
                yield record


def _record(line: bytes) -> Record | None:
    try:
        told = json.loads(line)
        body = base64.b64decode(told["body"], validate=True)
        header = told["header_bytes"]
        return Record(str(told["id"]), told["kind"], body, float(told["at"]), header)
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None  # written by us, so it can only be torn


def write(path: Path, records: Iterable[Record]) -> None:
    """Write a whole segment under its final name at once."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    with unfinished.open("wb") as handle:
        for record in records:
            handle.write(line_of(record))
        handle.flush()
        os.fsync(handle.fileno())
    unfinished.replace(path)
