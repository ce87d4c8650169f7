"""Logged requests and responses, from objects of a log to a Parquet file that is a batch.

In:    plans: objects of KServe's log in Parquet, segments of received events.
Out:   one Parquet file a plan, with a column a feature; records that wait, in a segment beside it.
Never: judges; makes two different files of one plan; leaves half a file under a final name.

A file is whole before it is renamed, and what it holds depends on the plan and the objects alone,
so a plan that a crash interrupted is simply made again.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from shiftwatch.errors import AwayError, DataError
from shiftwatch.payload import segments
from shiftwatch.payload.bodies import UNREADABLE, MalformedError, Value, tensors_of, whole_text
from shiftwatch.payload.joining import Pair, join
from shiftwatch.payload.plan import Counted, Made, Plan
from shiftwatch.payload.records import TYPES, Record, of_row
from shiftwatch.payload.rows import OUTPUT, beside, columns_of
from shiftwatch.places import is_remote
from shiftwatch.settings import PayloadSettings
from shiftwatch.source.facts import opened
from shiftwatch.values import Finding, Listed, Piece

NOTES = b"shiftwatch.payloads"
"""Key of the file's metadata under which its counts stand, as JSON."""

ID, TIME = "request_id", "logged_at"
"""Columns that every batch has besides those of the bodies."""

_LOG = ("id", "reqType", "bytes", "metadata")
_ROWS = 1024

MOST_COLUMNS = 4096
"""Of a batch: a client that calls its tensors something else each time adds one with each."""
MOST_VALUES = 12_000_000
"""Of a batch, nulls counted: about half of what a worker of 1 GB can hold."""


def counted(listed: Listed) -> Counted:
    """Requests in an object of a log; AwayError if its store does not answer."""
    try:
        if segments.is_segment(listed.uri):
            found = sum(record.kind == "request" for record in segments.read(listed.uri))
            return Counted(listed, found)
        with opened(listed.uri) as file:
            requests = 0
            for batch in file.iter_batches(_ROWS, columns=["reqType"], use_threads=False):
                kinds = [TYPES.get(str(each)) for each in _texts(batch.column(0))]
                requests += kinds.count("request")
        return Counted(listed, requests)
    except AwayError:
        raise
    except (DataError, OSError, IndexError, KeyError, pa.ArrowException) as fault:
        return Counted(listed, 1, str(fault))


def make(plan: Plan, settings: PayloadSettings, folder: str) -> Made:
    """Make the batch of a plan.

    Parameters
    ----------
    plan
        Its objects; the records that the batch before left waiting come besides.
    settings
        How long halves wait, and names of columns.
    folder
        Where batches lie, and below ``waiting`` what waits.

    Raises
    ------
    AwayError
        If the store of an object does not answer.
    """
    batches, waiting = Path(folder), Path(folder).parent / "waiting"
    for each in (batches, waiting):
        each.mkdir(parents=True, exist_ok=True)
    reading = _Reading()
    records = [*reading.left(waiting, plan.number - 1)]
    for listed in plan.objects:
        records += reading.of(listed)
    joined = join(records, plan.at, settings.join_seconds)
    table = _Table()
    for pair in joined.pairs:
        table.add(pair, settings, reading.malformed)
    since = min((record.at for record in joined.waiting), default=None)
    made = Made(
        table.rows,
        len(joined.waiting),
        since,
        joined.counts,
        dict(sorted(reading.malformed.items())),
    )
    segments.write(waiting / f"{plan.number:08}{segments.SUFFIX}", joined.waiting)
    if joined.pairs or made.malformed:
        _write(batches / f"{plan.number:08}.parquet", table.arrow(made))
    return made


def findings(pieces: Sequence[Piece], others: Sequence[Finding]) -> tuple[Finding, ...]:
    """The other findings but those on columns of ours, and what did not fit in the making."""
    malformed: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for uri in {piece.uri for piece in pieces}:
        with opened(uri) as file:
            told = json.loads((file.metadata.metadata or {}).get(NOTES, b"{}"))
        malformed.update(told.get("malformed", {}))
        counts.update(told.get("counts", {}))
    own = {ID, TIME}
    found = [each for each in others if each.code != "extra_column" or each.column not in own]
    if malformed:
        text = ", ".join(f"{reason} {count}" for reason, count in sorted(malformed.items()))
        most = 2 * malformed.total() > counts["matched"] + counts["unmatched_requests"]
        severity: Literal["invalid", "note"] = "invalid" if most else "note"
        found.append(Finding("payload_malformed", "", f"records not used: {text}", severity))
    lonely = {key: counts[f"unmatched_{key}"] for key in ("requests", "responses")}
    if any(lonely.values()):
        text = " and ".join(f"{count} {key}" for key, count in lonely.items() if count)
        found.append(Finding("payload_unmatched", "", f"without their other half: {text}", "note"))
    return tuple(found)


@dataclass(slots=True)
class _Reading:
    """Records of objects; what is no record is counted."""

    malformed: Counter[str] = field(default_factory=Counter)

    def left(self, folder: Path, number: int) -> Iterator[Record]:
        """What the batch before left waiting."""
        path = folder / f"{number:08}{segments.SUFFIX}"
        yield from segments.read(str(path)) if number and path.exists() else ()

    def of(self, listed: Listed) -> list[Record]:
        found: list[Record] = []
        if _is_other(listed):
            return found
        try:
            for row in _rows(listed):
                try:
                    found.append(row if isinstance(row, Record) else of_row(row, _at(listed)))
                except MalformedError as fault:
                    self.malformed[fault.reason] += 1
        except AwayError:
            raise
        except (DataError, OSError, KeyError, pa.ArrowException):
            self.malformed[UNREADABLE] += 1
        return found


def _is_other(listed: Listed) -> bool:
    """Whether a file was written again since it was planned: it is listed as a new one then.

    Of objects in a store nothing is asked: that would be one more question for each.
    """
    if is_remote(listed.uri):
        return False
    try:
        facts = Path(listed.uri).stat()
    except OSError:
        return False  # reading it will tell
    return (facts.st_size, facts.st_mtime_ns) != (listed.size, listed.modified_ns)


def _at(listed: Listed) -> float:
    """KServe's log has no time of a record: that of its object stands for it."""
    return listed.modified_ns / 1e9


def _rows(listed: Listed) -> Iterator[Record | dict[str, Any]]:
    if segments.is_segment(listed.uri):
        yield from segments.read(listed.uri)
        return
    with opened(listed.uri) as file:
        names = [name for name in _LOG if name in file.schema_arrow.names]
        if "bytes" not in names or "reqType" not in names:
            raise DataError("is no payload log", where=listed.uri)
        for batch in file.iter_batches(_ROWS, columns=names, use_threads=False):
            columns = [_texts(column) for column in batch.columns]
            for row in zip(*columns, strict=True):
                yield dict(zip(names, row, strict=True))


def _texts(column: pa.Array) -> list[Any]:
    """Values of a column of texts; an id is a header of a client, so it may hold any bytes."""
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column.to_pylist()  # type: ignore[no-any-return] # untyped
    raw = column.cast(pa.binary() if pa.types.is_string(column.type) else pa.large_binary())
    return [
        each if each is None else each.decode(errors="backslashreplace") for each in raw.to_pylist()
    ]


@dataclass(slots=True)
class _Table:
    """Rows as they come; columns that a pair lacks are null there."""

    rows: int = 0
    ids: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    columns: dict[str, list[Value]] = field(default_factory=dict)

    def add(self, pair: Pair, settings: PayloadSettings, malformed: Counter[str]) -> None:
        """The rows of a request, with its response where that can be read and fits."""
        request = pair.request
        try:
            tensors = tensors_of(request.body, request.header_bytes)
            rows, inputs = columns_of(tensors, names=settings.columns)
        except MalformedError as fault:
            malformed[fault.reason] += 1
            return
        outputs: Mapping[str, Sequence[Value]] = {}
        if pair.response is not None:
            try:
                outputs = _outputs(pair.response, rows, settings.outputs)
            except MalformedError as fault:
                malformed[fault.reason] += 1
        columns = beside(inputs, outputs)
        if not self._has_room(rows, columns):
            malformed["too_wide"] += 1
            return
        self._append(rows, columns)
        self.ids += [request.id] * rows
        self.times += [request.at] * rows

    def _has_room(self, rows: int, columns: Mapping[str, Sequence[Value]]) -> bool:
        wide = len(self.columns.keys() | columns.keys())
        return wide <= MOST_COLUMNS and wide * (self.rows + rows) <= MOST_VALUES

    def _append(self, rows: int, columns: Mapping[str, Sequence[Value]]) -> None:
        for name in columns:
            self.columns.setdefault(name, [None] * self.rows)
        for name, known in self.columns.items():
            known.extend(columns.get(name, (None,) * rows))
        self.rows += rows

    def arrow(self, made: Made) -> pa.Table:
        """As Arrow, with the counts in its metadata."""
        # No time of a record is before 1970, whatever its sender says.
        moments = [datetime.fromtimestamp(max(round(at, 6), 0.0), UTC) for at in self.times]
        own = {
            ID: pa.array(map(whole_text, self.ids), pa.string()),
            TIME: pa.array(moments, pa.timestamp("us", "UTC")),
        }
        told = {name: _array(values) for name, values in self.columns.items() if name not in own}
        notes = json.dumps(
            {
                "rows": made.rows,
                "waiting": made.waiting,
                "waiting_since": made.waiting_since,
                "counts": dict(made.counts),
                "malformed": dict(made.malformed),
            },
            sort_keys=True,
        )
        return pa.table({**own, **told}).replace_schema_metadata({NOTES: notes.encode()})


def _outputs(response: Record, rows: int, names: Sequence[str]) -> Mapping[str, Sequence[Value]]:
    tensors = tensors_of(response.body, response.header_bytes)
    answered, outputs = columns_of(tensors, OUTPUT, names)
    if answered != rows:
        raise MalformedError("bad_rows")
    return outputs


def _array(values: Sequence[Value]) -> pa.Array:
    """Numbers as numbers where all are, else as text; of a mixture nothing is guessed."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds == {int} and all(value is None or -(2**63) <= value < 2**63 for value in values):  # type: ignore[operator] # whole numbers
        return pa.array(values, pa.int64())
    if kinds <= {int, float} and all(_is_float(value) for value in values):
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    texts = [None if v is None else v if isinstance(v, str) else json.dumps(v) for v in values]
    return pa.array([None if text is None else whole_text(text) for text in texts], pa.string())


def _is_float(value: Value) -> bool:
    return not isinstance(value, int) or abs(value) < 1 << 1023


def _write(path: Path, table: pa.Table) -> None:
    unfinished = path.with_name(f".{path.name}.unfinished")
    with unfinished.open("wb") as handle:
        pq.write_table(table, handle, compression="zstd", write_page_checksum=True)
        handle.flush()
        os.fsync(handle.fileno())
    unfinished.replace(path)
