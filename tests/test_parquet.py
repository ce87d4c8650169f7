"""Parquet files as they come: by other writers, damaged, half-written, changed, large."""

from __future__ import annotations

import base64
import csv
import errno
import hashlib
import math
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Self, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fuzzing import bombs
from shiftwatch.errors import DataError
from shiftwatch.sample import Column, Sample
from shiftwatch.source import facts as file_facts
from shiftwatch.source import keeping, parquet, tables
from shiftwatch.values import FileFacts, Finding, Listed, Piece, Role, SchemaColumn

Schema = tuple[SchemaColumn, ...]


def put(path: Path, table: pa.Table | Mapping[str, Any], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), path, **options)
    return path


def inspected(path: Path, time_column: str | None = None) -> FileFacts:
    found = path.stat()
    return parquet.inspect(Listed(str(path), found.st_size, found.st_mtime_ns), time_column)


def whole(path: Path) -> Piece:
    facts = inspected(path)
    assert facts.fault is None, facts.fault
    return Piece(facts.uri, facts.size, facts.sha256, 0, facts.rows)


def schema_of(path: Path, categorical: Sequence[str] = (), root: Path | None = None) -> Schema:
    return parquet.read_schema([str(path)], categorical, root=str(root or path.parent))


def read(
    paths: Path | Sequence[Piece],
    schema: Schema,
    *,
    root: Path | None = None,
    max_rows: int = 1_000_000,
    seed: int = 0,
    time_column: str | None = None,
) -> parquet.Reading:
    pieces = [whole(paths)] if isinstance(paths, Path) else paths
    return parquet.read_pieces(
        pieces,
        schema,
        root=str(root) if root is not None else os.path.dirname(pieces[0].uri),  # noqa: PTH120
        max_rows=max_rows,
        rng=np.random.default_rng(seed),
        time_column=time_column,
    )


def with_roles(schema: Schema, **roles: Role) -> Schema:
    return tuple(replace(column, role=roles.get(column.name, "input")) for column in schema)


def codes(reading: parquet.Reading) -> list[tuple[str, str, str]]:
    return [(f.code, f.column, f.severity) for f in reading.findings]


def plain(column: Column) -> list[Any]:
    """Values as Python has them, None for null."""
    if column.kind == "unsupported":
        return [True if valid else None for valid in column.valid]
    if column.kind == "categorical":
        return [None if code < 0 else column.categories[int(code)] for code in column.values]
    pairs = zip(column.values.tolist(), column.valid, strict=True)
    return [value if valid else None for value, valid in pairs]


def rows_of(sample: Sample) -> list[tuple[Any, ...]]:
    return list(zip(*(plain(column) for column in sample.columns), strict=True))


MIXED = pa.table(
    {
        "n": [float(i) for i in range(1000)],
        "i": pa.array([None if i % 7 == 0 else i for i in range(1000)], pa.int32()),
        "s": [None if i % 11 == 0 else f"s{i % 13}" for i in range(1000)],
        "b": [i % 3 == 0 for i in range(1000)],
        "t": pa.array(range(1000), pa.timestamp("ms", "UTC")),
        "l": [None if i % 5 == 0 else [i] for i in range(1000)],
    }
)


# Files by other writers -------------------------------------------------------------------------

REFUSED = {
    "bad/ARROW-GH-41317.parquet": "holds fewer rows than its footer says",
    "bad/ARROW-RS-GH-6229-LEVELS.parquet": "Number of decoded rep / def levels do not match",
    "bad/datapage_v1-corrupt-checksum.parquet": "CRC checksum verification failed",
    "bad/rle-dict-uncompressed-corrupt-checksum.parquet": "CRC checksum verification failed",
    "encrypted/encrypt_columns_plaintext_footer.parquet.encrypted": "encrypted; Cannot decrypt",
}
"""Files whose footer is readable and whose rows are not."""

FAULTY = {
    "bad/PARQUET-1481.parquet": "Invalid physical column type: UNKNOWN",
    "encrypted/uniform_encryption.parquet.encrypted": "encrypted; shiftwatch holds no keys",
    "good/incorrect_map_schema.parquet": "Map keys must be annotated as required.",
}
"""Files whose footer is not readable, and the fault."""


@pytest.fixture
def odd(shared_data: Path, tmp_path: Path) -> Path:
    """The files of other writers, where they may be touched."""
    return Path(shutil.copytree(shared_data / "parquet_odd", tmp_path / "odd"))


def test_every_file_of_other_writers_has_a_named_outcome(odd: Path) -> None:
    with (odd / "index.csv").open() as lines:
        index = list(csv.DictReader(lines))
    assert len(index) == 52
    seen = {row["file"]: outcome(odd / row["file"], odd) for row in index}
    good = {name: result for name, result in seen.items() if isinstance(result, int)}
    bad = {name: result for name, result in seen.items() if isinstance(result, str)}
    assert good == {row["file"]: int(row["rows"]) for row in index if row["file"] in good}
    assert bad.keys() == {*REFUSED, *FAULTY}
    assert all(text in bad[name] for name, text in {**REFUSED, **FAULTY}.items())
    assert all("\n" not in text and len(text) <= 220 for text in bad.values())


def outcome(path: Path, root: Path) -> int | str:
    """Rows read of every column, or the fault."""
    facts = inspected(path)
    if facts.fault is not None:
        assert not facts.incomplete
        return facts.fault
    assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    schema = schema_of(path, root=root)
    try:
        reading = read(path, schema, root=root)
    except DataError as refused:
        return refused.what
    assert reading.sample.names() == tuple(column.name for column in schema)
    assert reading.findings == ()
    assert {column.rows for column in reading.sample.columns} == {facts.rows}
    assert reading.rows_total == facts.rows
    return facts.rows


def test_values_of_other_writers_are_those_pyarrow_reads(odd: Path) -> None:
    for name in ("alltypes_tiny_pages", "int32_decimal", "float16_nonzeros_and_nans"):
        path = odd / "good" / f"{name}.parquet"
        table = pq.read_table(path)
        for column in read(path, schema_of(path)).sample.of_kind("numeric").columns:
            expected = [
                None if value is None or math.isnan(value) else float(value)
                for value in table.column(column.name).to_pylist()
            ]
            assert plain(column) == expected


class KeyHolder(pe.KmsClient):  # type: ignore[misc]  # pyarrow has no types
    """Wraps keys by writing the master key's name beside them: enough to make a file nobody reads."""

    def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> bytes:
        return base64.b64encode(master_key_identifier.encode() + key_bytes)

    def unwrap_key(self, wrapped_key: bytes, master_key_identifier: str) -> bytes:
        return base64.b64decode(wrapped_key)[len(master_key_identifier) :]


def test_an_encrypted_event_time_is_a_fault_and_does_not_end_the_process(tmp_path: Path) -> None:
    # Asking for the statistics of this column would: a C++ exception that nobody catches.
    factory = pe.CryptoFactory(lambda _: KeyHolder())
    secret = pe.EncryptionConfiguration("footer", column_keys={"k": ["t"]}, plaintext_footer=True)
    properties = factory.file_encryption_properties(pe.KmsConnectionConfig(), secret)
    path = tmp_path / "a.parquet"
    table = pa.table({"n": [1.0], "t": pa.array([0], pa.timestamp("us"))})
    with pq.ParquetWriter(path, table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)
    facts = inspected(path, "t")
    assert facts.fault is not None
    assert facts.fault.startswith("encrypted; Cannot decrypt")
    assert (facts.incomplete, facts.rows) == (False, 0)
    with pytest.raises(DataError, match="encrypted; Cannot decrypt"):
        read(path, schema_of(path))
    open_columns = with_roles(schema_of(path), t="ignored")
    assert rows_of(read(path, open_columns).sample) == [(1.0,)]


def test_partition_folders_are_text_columns(odd: Path) -> None:
    root = odd / "hive_partitioned"
    files = parquet.reference_files(str(root))
    schema = parquet.read_schema(files, (), root=str(root))
    assert [(c.name, c.kind, c.type) for c in schema] == [
        ("num", "numeric", "int64"),
        ("cat", "categorical", "string"),
        ("catnum", "categorical", "string"),
    ]
    reading = parquet.read_reference(str(root), schema, rng=np.random.default_rng(0))
    assert Counter(plain(reading.sample.column("catnum"))) == {"1": 84, "2": 83, "3": 83}
    assert set(plain(reading.sample.column("cat"))) == {"fred"}


def test_partition_folders_are_decoded_and_may_be_null(tmp_path: Path) -> None:
    put(tmp_path / "p=a%20b" / "x.parquet", {"n": [1.0]})
    put(tmp_path / "p=__HIVE_DEFAULT_PARTITION__" / "x.parquet", {"n": [2.0]})
    schema = schema_of(tmp_path / "p=a%20b" / "x.parquet", root=tmp_path)
    reading = parquet.read_reference(str(tmp_path), schema, rng=np.random.default_rng(0))
    assert rows_of(reading.sample) == [(2.0, None), (1.0, "a b")]


def test_the_files_own_column_goes_before_a_partition_folder_of_its_name(tmp_path: Path) -> None:
    path = put(tmp_path / "n=7" / "x.parquet", {"n": [1.0]})
    assert rows_of(read(path, schema_of(path, root=tmp_path), root=tmp_path).sample) == [(1.0,)]


def test_folders_above_the_root_are_no_partitions(tmp_path: Path) -> None:
    path = put(tmp_path / "env=test" / "batches" / "x.parquet", {"n": [1.0]})
    assert [column.name for column in schema_of(path)] == ["n"]
    assert read(path, schema_of(path)).findings == ()


def test_partition_folders_are_seen_through_a_root_that_is_a_link(tmp_path: Path) -> None:
    path = put(tmp_path / "env=test" / "real" / "day=3" / "x.parquet", {"n": [1.0]})
    link = tmp_path / "batches"
    link.symlink_to(path.parents[1])
    below = link / "day=3" / "x.parquet"
    schema = schema_of(below, root=link)
    assert [column.name for column in schema] == ["n", "day"]
    for file, root in ((below, link), (path, link), (below, path.parents[1])):
        assert rows_of(read(file, schema, root=root).sample) == [(1.0, "3")]
        assert read(file, schema, root=root).findings == ()


def test_a_partition_folder_that_is_a_link_keeps_its_name(tmp_path: Path) -> None:
    put(tmp_path / ".store" / "x.parquet", {"n": [1.0]})
    (tmp_path / "day=3").symlink_to(tmp_path / ".store")
    below = tmp_path / "day=3" / "x.parquet"
    assert rows_of(read(below, schema_of(below, root=tmp_path), root=tmp_path).sample) == [
        (1.0, "3")
    ]


# Facts ------------------------------------------------------------------------------------------


def test_facts_are_the_hash_and_the_rows_of_the_footer(tmp_path: Path) -> None:
    path = put(tmp_path / "a.parquet", MIXED, row_group_size=300)
    facts = inspected(path)
    assert facts == FileFacts(
        str(path),
        path.stat().st_size,
        path.stat().st_mtime_ns,
        hashlib.sha256(path.read_bytes()).hexdigest(),
        1000,
    )


@pytest.mark.parametrize(
    "type_",
    [
        pa.timestamp("s"),
        pa.timestamp("ms", "UTC"),
        pa.timestamp("us", "Europe/Vienna"),
        pa.timestamp("ns"),
        pa.date32(),
        pa.date64(),
    ],
    ids=str,
)
@pytest.mark.parametrize("statistics", [True, False])
def test_event_times_are_unix_seconds_with_and_without_statistics(
    tmp_path: Path, type_: pa.DataType, statistics: bool
) -> None:
    days = [datetime(2024, 1, day, tzinfo=UTC) for day in (5, 2, 9)]
    zoned = [d if getattr(type_, "tz", None) else d.replace(tzinfo=None) for d in days]
    table = pa.table({"t": pa.array([None, *zoned, None], type_)})
    path = put(tmp_path / "a.parquet", table, write_statistics=statistics, row_group_size=2)
    facts = inspected(path, "t")
    assert (facts.time_min, facts.time_max) == (days[1].timestamp(), days[2].timestamp())
    assert facts.fault is None


def test_int96_timestamps_of_spark_are_event_times(odd: Path) -> None:
    facts = inspected(odd / "good" / "int96_from_spark.parquet", "a")
    assert facts.fault is None
    assert facts.time_min is not None


def test_event_time_is_found_by_name_without_regard_to_case(tmp_path: Path) -> None:
    path = put(tmp_path / "a.parquet", {"Event_Time": pa.array([5], pa.timestamp("s"))})
    assert inspected(path, "event_time").time_min == 5.0


@pytest.mark.parametrize(
    ("column", "fault"),
    [
        (["2024-01-01"], "column 't' is no timestamp but string"),
        ([1_700_000_000], "column 't' is no timestamp but int64"),
        (None, "no column 't', which is to be the event time"),
    ],
)
def test_what_is_no_timestamp_is_no_event_time(
    tmp_path: Path, column: list[Any] | None, fault: str
) -> None:
    path = put(tmp_path / "a.parquet", {"x": [1]} if column is None else {"t": column})
    facts = inspected(path, "t")
    assert (facts.fault, facts.incomplete, facts.rows) == (fault, False, 1)


def test_without_any_event_time_there_is_none_and_no_fault(tmp_path: Path) -> None:
    path = put(tmp_path / "a.parquet", {"t": pa.nulls(3, pa.timestamp("us"))})
    facts = inspected(path, "t")
    assert (facts.rows, facts.time_min, facts.time_max, facts.fault) == (3, None, None, None)


def test_a_file_in_the_writing_is_incomplete_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    with path.open("wb") as handle:
        with pq.ParquetWriter(handle, MIXED.schema) as writer:
            handle.flush()
            assert inspected(path).incomplete
            writer.write_table(MIXED)
            handle.flush()
            facts = inspected(path)
            assert (facts.fault, facts.incomplete, facts.rows) == ("no readable footer", True, 0)
        handle.flush()
    assert inspected(path).fault is None


def test_every_way_to_cut_a_file_off_is_incomplete(tmp_path: Path) -> None:
    content = put(tmp_path / "good.parquet", {"n": [1.0, 2.0]}).read_bytes()
    path = tmp_path / "cut.parquet"
    for length in range(len(content)):
        path.write_bytes(content[:length])
        facts = inspected(path)
        assert facts.fault is not None, length
        assert facts.incomplete == (not content[:length].endswith(b"PAR1") or length < 12), length


def test_a_file_that_is_not_what_was_listed_is_still_changing(tmp_path: Path) -> None:
    path = put(tmp_path / "a.parquet", MIXED)
    facts = parquet.inspect(Listed(str(path), path.stat().st_size - 1, 0), None)
    assert (facts.fault, facts.incomplete) == ("changed while it was read", True)


def test_a_file_that_is_gone_or_no_file_is_a_fault(tmp_path: Path) -> None:
    gone = parquet.inspect(Listed(str(tmp_path / "gone.parquet"), 10, 0), None)
    assert (gone.fault, gone.sha256, gone.rows) == (
        "gone",
        "",
        0,
    )
    assert gone.incomplete
    (tmp_path / "x.parquet").mkdir()
    folder = parquet.inspect(Listed(str(tmp_path / "x.parquet"), 10, 0), "t")
    assert folder.fault == "cannot be read: Is a directory"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.EACCES, "cannot be read: Permission denied"),
        (errno.ESTALE, "cannot be read: Stale file handle"),
        (errno.EIO, "cannot be read: Input/output error"),
        (errno.ENOENT, "gone"),
    ],
)
@pytest.mark.parametrize("reads", [None, 0, 2, 3])
def test_a_file_the_system_does_not_hand_out_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, text: str, reads: int | None
) -> None:
    path = put(tmp_path / "a.parquet", {"n": [1.0]})
    good = put(tmp_path / "b.parquet", {"n": [1.0]})
    really_open = Path.open

    def refuse(self: Path, mode: str) -> IO[bytes]:
        assert mode == "rb"
        if self != path:
            return really_open(self, "rb")
        if reads is None:
            raise OSError(number, os.strerror(number), str(self))
        return cast("IO[bytes]", FailingFile(really_open(self, "rb"), reads, number))

    monkeypatch.setattr(Path, "open", refuse)
    facts = inspected(path)
    assert (facts.fault, facts.incomplete, facts.rows) == (text, True, 0)
    assert inspected(good).fault is None


class FailingFile:
    """A file whose reads fail after the first few, as on a disk or network that fails."""

    def __init__(self, file: IO[bytes], reads: int, number: int) -> None:
        self.file, self.reads, self.number = file, reads, number

    def read(self, size: int = -1) -> bytes:
        self.reads -= 1
        if self.reads < 0:
            raise OSError(self.number, os.strerror(self.number))
        return self.file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


def test_damage_inside_a_file_is_final(tmp_path: Path) -> None:
    path = put(tmp_path / "a.parquet", {"n": [1.0]})
    content = bytearray(path.read_bytes())
    content[-20:-8] = b"\xff" * 12
    path.write_bytes(content)
    facts = inspected(path)
    assert facts.fault is not None
    assert not facts.incomplete


def test_a_fault_is_one_clean_line(tmp_path: Path) -> None:
    text = file_facts.one_line(ValueError("first\x00 \x1b[31mline\t" + "x" * 300 + "\nsecond"))
    assert text.startswith("first [31mline xxx")
    assert (len(text), text[-3:]) == (200, "...")
    assert file_facts.one_line(ValueError()) == "ValueError"
    assert (
        file_facts.one_line(FileNotFoundError(2, "No such file", str(tmp_path))) == "No such file"
    )


# Damage -----------------------------------------------------------------------------------------


def flip(content: bytes, position: int, bit: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 1 << bit]) + content[position + 1 :]


def test_a_flipped_bit_in_a_page_with_a_checksum_is_never_read_wrong(tmp_path: Path) -> None:
    table = pa.table({"n": np.arange(200.0), "s": [f"s{i % 5}" for i in range(200)]})
    path = put(tmp_path / "a.parquet", table, write_page_checksum=True, compression="none")
    content, schema = path.read_bytes(), schema_of(path)
    expected = rows_of(read(path, schema).sample)
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    rng, refused = np.random.default_rng(1), 0
    for _ in range(150):
        path.write_bytes(flip(content, int(rng.integers(4, footer)), int(rng.integers(8))))
        try:
            assert rows_of(read(path, schema).sample) == expected  # a bit that means nothing
        except DataError:
            refused += 1
    assert refused > 140


def test_a_flipped_bit_in_the_footer_never_loses_a_row_unsaid(tmp_path: Path) -> None:
    times = pa.array(range(60), pa.timestamp("us"))
    path = put(tmp_path / "a.parquet", {"n": np.arange(60.0), "t": times}, row_group_size=25)
    content, schema = path.read_bytes(), schema_of(path)
    start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    rng = np.random.default_rng(2)
    for position in rng.choice(range(start, len(content) - 8), 300, replace=False):
        path.write_bytes(flip(content, int(position), int(rng.integers(8))))
        facts = inspected(path, "t")
        if facts.fault is None:
            try:
                reading = read(path, schema)
            except DataError:
                continue
            assert reading.sample.rows == 60
            complete = all(column.rows == 60 for column in reading.sample.columns)
            assert complete


def test_a_file_deleted_before_it_is_read_is_an_error_with_a_hint(tmp_path: Path) -> None:
    path = put(tmp_path / "a.parquet", MIXED)
    piece, schema = whole(path), schema_of(path)
    path.unlink()
    with pytest.raises(DataError) as caught:
        read([piece], schema)
    assert str(caught.value) == (
        f"{path}: cannot be read: No such file or directory (keep files until they are judged)"
    )


def test_a_file_rewritten_before_it_is_read_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path / "a.parquet", {"n": [1.0] * 50})
    piece, schema = whole(path), schema_of(path)
    put(path, {"n": [1.0, 2.0]})
    with pytest.raises(DataError, match=f"was {piece.size} bytes when it was listed"):
        read([piece], schema)


def test_two_columns_of_one_name_make_no_reference(tmp_path: Path) -> None:
    double = pa.Table.from_arrays([pa.array([1])] * 4, names=["x", "y", "x", "y"])
    path = put(tmp_path / "double.parquet", double)
    with pytest.raises(DataError) as caught:
        schema_of(path)
    assert str(caught.value) == (
        f"{path}: more than one column is named 'x', 'y' (give every column a name of its own)"
    )


def test_two_columns_of_one_name_are_left_out_and_the_others_read(tmp_path: Path) -> None:
    good = put(tmp_path / "good.parquet", {"x": [1], "y": [1], "z": ["a"]})
    double = pa.Table.from_arrays(
        [pa.array([1]), pa.array([2]), pa.array([3]), pa.array(["b"])], names=["x", "y", "x", "z"]
    )
    path = put(tmp_path / "double.parquet", double)
    in_memory = parquet.table_sample(double, schema_of(good))
    for reading in (read(path, schema_of(good)), in_memory):
        assert codes(reading) == [("duplicate_column", "x", "invalid")]
        assert reading.sample.names() == ("y", "z")
        assert rows_of(reading.sample) == [(2.0, "b")]


def test_rows_with_two_columns_of_one_name_are_not_accepted_as_a_reference(tmp_path: Path) -> None:
    double = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    path = put(tmp_path / "a.parquet", double)
    with pytest.raises(DataError, match="more than one column is named 'x'"):
        keeping._own_types(str(path), str(tmp_path))


def test_an_event_time_that_is_there_twice_is_a_fault(tmp_path: Path) -> None:
    times = pa.array([0], pa.timestamp("us"))
    path = put(tmp_path / "a.parquet", pa.Table.from_arrays([times, times], names=["t", "t"]))
    assert inspected(path, "t").fault == "more than one column is named 't', the event time"


def test_rows_beyond_any_file_are_a_lie_of_the_footer(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(bombs.endless_rows())
    facts = inspected(path)
    assert facts.fault is not None
    assert facts.fault.startswith("the footer says 4611686018427387904 rows, more than")
    assert facts.rows == 0


# Rows -------------------------------------------------------------------------------------------


def test_every_kind_of_column_is_read(tmp_path: Path) -> None:
    path = put(tmp_path / "a.parquet", MIXED)
    sample = read(path, schema_of(path)).sample
    table = MIXED.to_pydict()
    assert [column.kind for column in sample.columns] == [
        *("numeric", "numeric", "categorical", "categorical", "timestamp", "unsupported")
    ]
    assert plain(sample.column("n")) == table["n"]
    assert plain(sample.column("i")) == table["i"]
    assert plain(sample.column("s")) == table["s"]
    assert plain(sample.column("b")) == [str(value).lower() for value in table["b"]]
    assert plain(sample.column("t")) == [t.timestamp() for t in table["t"]]
    assert plain(sample.column("l")) == [None if v is None else True for v in table["l"]]


@settings(max_examples=30)
@given(
    size=st.integers(1, 100),
    cut=st.tuples(st.integers(0, 200), st.integers(0, 200)),
    paging=st.sampled_from([16, 1 << 20]),
)
def test_any_rows_of_any_row_groups_equal_the_slice_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, size: int, cut: tuple[int, int], paging: int
) -> None:
    folder, table = tmp_path_factory.mktemp("cut"), MIXED.slice(0, 200)
    path = put(folder / "a.parquet", table, row_group_size=size, data_page_size=paging)
    first, last = sorted(cut)
    schema = schema_of(path)
    everything = rows_of(parquet.table_sample(table, schema).sample)
    reading = read([replace(whole(path), first_row=first, rows=last - first)], schema)
    assert reading.rows_total == reading.sample.rows == last - first
    assert rows_of(reading.sample) == everything[first:last]


def test_pieces_of_several_files_stand_one_after_the_other(tmp_path: Path) -> None:
    first = put(tmp_path / "a.parquet", {"n": [1.0, 2.0], "s": ["x", "y"]})
    second = put(tmp_path / "b.parquet", {"s": ["z", "y"], "n": pa.array([3, 4], pa.int8())})
    pieces = [replace(whole(first), first_row=1, rows=1), whole(second)]
    assert rows_of(read(pieces, schema_of(first)).sample) == [(2.0, "y"), (3.0, "z"), (4.0, "y")]


def test_only_inputs_and_logged_predictions_are_read(tmp_path: Path) -> None:
    path = put(tmp_path / "a.parquet", {name: [1.0] for name in ("id", "x", "score", "y", "z")})
    schema = with_roles(schema_of(path), id="id", score="prediction", y="label", z="ignored")
    reading = read(path, schema)
    assert [(c.name, c.role) for c in reading.sample.columns] == [
        ("x", "input"),
        ("score", "prediction"),
    ]
    assert reading.findings == ()


def test_a_batch_without_rows_has_the_columns_and_no_rows(tmp_path: Path) -> None:
    path = put(tmp_path / "a.parquet", MIXED.slice(0, 0))
    sample = read(path, schema_of(path)).sample
    assert (sample.rows, sample.names()) == (0, tuple(MIXED.column_names))
    assert all(column.rows == 0 for column in sample.columns)


# Schemas that differ ----------------------------------------------------------------------------


@pytest.fixture
def reference(tmp_path: Path) -> Schema:
    path = put(tmp_path / "reference.parquet", {"id": [1], "age": [30.0], "plan": ["basic"]})
    return with_roles(schema_of(path), id="id")


def test_a_missing_column_is_invalid_and_absent(tmp_path: Path, reference: Schema) -> None:
    reading = read(put(tmp_path / "a.parquet", {"plan": ["basic"]}), reference)
    assert reading.findings == (Finding("missing_column", "age", "no column 'age'", "invalid"),)
    assert reading.sample.names() == ("plan",)


def test_a_column_missing_in_one_file_is_missing_and_the_file_is_named(
    tmp_path: Path, reference: Schema
) -> None:
    pieces = [
        whole(put(tmp_path / "a.parquet", {"plan": ["basic"], "age": [1.0]})),
        whole(put(tmp_path / "b.parquet", {"plan": ["basic"]})),
        whole(put(tmp_path / "c.parquet", {"plan": ["basic"]})),
    ]
    reading = read(pieces, reference)
    (finding,) = reading.findings
    assert (finding.code, finding.message) == ("missing_column", "no column 'age' (in b.parquet)")
    assert (reading.sample.names(), reading.sample.rows) == (("plan",), 3)


def test_a_changed_type_is_invalid_and_absent(tmp_path: Path, reference: Schema) -> None:
    reading = read(put(tmp_path / "a.parquet", {"plan": ["basic"], "age": ["30"]}), reference)
    assert reading.findings == (
        Finding(
            "changed_type",
            "age",
            "column 'age' is double in the reference, string here",
            "invalid",
        ),
    )
    assert not reading.sample.has("age")


def test_fractions_in_whole_number_categories_are_a_changed_type(tmp_path: Path) -> None:
    schema = schema_of(put(tmp_path / "r.parquet", {"zone": [1, 2]}), ["zone"])
    fine = read(put(tmp_path / "a.parquet", {"zone": [1.0, None]}), schema)
    assert rows_of(fine.sample) == [("1",), (None,)]
    reading = read(put(tmp_path / "b.parquet", {"zone": [1.0, 1.5]}), schema)
    assert codes(reading) == [("changed_type", "zone", "invalid")]
    assert "int64 in the reference, double with fractions here" in reading.findings[0].message


def test_a_name_that_differs_by_case_is_used_and_noted(tmp_path: Path, reference: Schema) -> None:
    reading = read(put(tmp_path / "a.parquet", {"Plan": ["basic"], "AGE": [1.0]}), reference)
    assert codes(reading) == [
        ("renamed_by_case", "age", "note"),
        ("renamed_by_case", "plan", "note"),
    ]
    assert rows_of(reading.sample) == [(1.0, "basic")]
    assert reading.sample.names() == ("age", "plan")


def test_two_names_that_differ_by_case_only_are_not_guessed(
    tmp_path: Path, reference: Schema
) -> None:
    table = {"Plan": ["a"], "PLAN": ["b"], "age": [1.0]}
    assert codes(read(put(tmp_path / "a.parquet", table), reference)) == [
        ("missing_column", "plan", "invalid"),
        ("extra_column", "Plan", "note"),
        ("extra_column", "PLAN", "note"),
    ]


def test_the_exact_name_goes_before_another_case(tmp_path: Path, reference: Schema) -> None:
    table = {"Plan": ["wrong"], "plan": ["right"], "age": [1.0]}
    reading = read(put(tmp_path / "a.parquet", table), reference)
    assert rows_of(reading.sample) == [(1.0, "right")]
    assert codes(reading) == [("extra_column", "Plan", "note")]


def test_extra_columns_are_noted_but_not_those_with_another_role(
    tmp_path: Path, reference: Schema
) -> None:
    table = {"id": [7], "plan": ["basic"], "age": [1.0], "new": [1], "newer": [[1]]}
    reading = read(put(tmp_path / "a.parquet", table), reference)
    assert codes(reading) == [("extra_column", "new", "note"), ("extra_column", "newer", "note")]


def test_a_column_without_any_value_is_all_null_of_the_references_kind(
    tmp_path: Path, reference: Schema
) -> None:
    reading = read(
        put(tmp_path / "a.parquet", {"plan": pa.nulls(2), "age": pa.nulls(2)}), reference
    )
    assert [(c.kind, c.nulls) for c in reading.sample.columns] == [
        ("numeric", 2),
        ("categorical", 2),
    ]
    assert reading.findings == ()


def test_infinite_values_are_kept_counted_and_noted(tmp_path: Path, reference: Schema) -> None:
    table = {"plan": ["a"] * 4, "age": [1.0, math.inf, -math.inf, math.nan]}
    reading = read(put(tmp_path / "a.parquet", table), reference)
    (finding,) = reading.findings
    assert (finding.code, finding.severity) == ("infinite", "note")
    assert finding.message == "column 'age' has 2 infinite of 4 values"
    assert plain(reading.sample.column("age")) == [1.0, math.inf, -math.inf, None]


# Subsamples -------------------------------------------------------------------------------------


def numbered(tmp_path: Path, *counts: int, group: int = 37) -> list[Piece]:
    """Files whose only column counts the rows of all of them."""
    starts = np.cumsum([0, *counts])
    return [
        whole(
            put(
                tmp_path / f"{index}.parquet",
                {"n": np.arange(start, start + count, dtype=np.float64)},
                row_group_size=group,
            )
        )
        for index, (start, count) in enumerate(zip(starts, counts, strict=False))
    ]


def test_a_large_batch_is_a_seeded_subset_in_order_and_says_so(tmp_path: Path) -> None:
    pieces = numbered(tmp_path, 500, 0, 300)
    schema = schema_of(Path(pieces[0].uri))
    reading = read(pieces, schema, max_rows=100)
    chosen = reading.sample.column("n").values.tolist()
    assert (len(chosen), reading.rows_total) == (100, 800)
    assert chosen == sorted(set(chosen))
    assert reading.findings == (Finding("subsampled", "", "tested 100 of 800 rows", "note"),)
    assert read(pieces, schema, max_rows=100).sample.column("n").values.tolist() == chosen
    other = read(pieces, schema, max_rows=100, seed=1).sample.column("n").values.tolist()
    assert other != chosen


def test_as_many_rows_as_the_limit_are_all_read_and_draw_nothing(tmp_path: Path) -> None:
    pieces = numbered(tmp_path, 60, 40)
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    reading = parquet.read_pieces(
        pieces, schema_of(Path(pieces[0].uri)), root=None, max_rows=100, rng=rng
    )
    assert (reading.sample.rows, reading.findings) == (100, ())
    assert rng.bit_generator.state == before


def test_a_subset_of_cut_pieces_holds_only_their_rows(tmp_path: Path) -> None:
    first, second = numbered(tmp_path, 200, 200)
    pieces = [replace(first, first_row=150, rows=50), replace(second, first_row=0, rows=70)]
    chosen = read(pieces, schema_of(Path(first.uri)), max_rows=110).sample.column("n").values
    assert (chosen.size, chosen.min() >= 150, chosen.max() < 270) == (110, True, True)


@pytest.mark.parametrize(("total", "size"), [(60, 20), (60, 10), (1000, 10)])
def test_every_row_is_drawn_equally_often(total: int, size: int) -> None:
    """Both ways of drawing; the sum of squared deviations against its chi-square law."""
    rng, rounds = np.random.default_rng(3), 3000
    counts = np.zeros(total)
    for _ in range(rounds):
        drawn = parquet._draw(total, size, rng)
        assert drawn.size == size
        assert (np.diff(drawn) > 0).all()
        counts[drawn] += 1
    share = size / total
    statistic = ((counts - rounds * share) ** 2).sum() / (rounds * share * (1 - share))
    degrees = total - 1  # the counts of a draw add up, which the finite population factor undoes
    statistic *= degrees / total
    assert abs(statistic - degrees) < 4 * math.sqrt(2 * degrees)


def test_memory_holds_the_chosen_rows_and_not_the_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = {f"c{i}": rng.normal(size=1_500_000) for i in range(4)}  # 48 MB in one row group
    path = put(tmp_path / "large.parquet", table, use_dictionary=False, row_group_size=1_500_000)
    piece, schema = whole(path), schema_of(path)
    before, watched = pa.default_memory_pool(), pa.proxy_memory_pool(pa.system_memory_pool())
    pa.set_memory_pool(watched)
    try:
        assert read([piece], schema, max_rows=1000).sample.rows == 1000
    finally:
        pa.set_memory_pool(before)
    assert 0 < watched.max_memory() < 24_000_000


# Time windows -----------------------------------------------------------------------------------


@pytest.fixture
def timed(tmp_path: Path) -> Piece:
    times = pa.array([0, 10, None, 5, 20, 9, 10], pa.timestamp("s"))
    table = {"n": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "t": times}
    return whole(put(tmp_path / "timed.parquet", table, row_group_size=3))


def in_window(piece: Piece, start: float, end: float) -> list[float]:
    cut = replace(piece, time_from=start, time_to=end)
    schema = with_roles(schema_of(Path(piece.uri)), t="time")
    reading = read([cut], schema, time_column="T")
    assert reading.rows_total == reading.sample.rows
    return plain(reading.sample.column("n"))


def test_a_time_window_is_half_open_and_leaves_out_rows_without_a_time(timed: Piece) -> None:
    assert in_window(timed, 0, 10) == [0.0, 3.0, 5.0]
    assert in_window(timed, 10, 20) == [1.0, 6.0]
    assert in_window(timed, 20, 30) == [4.0]
    assert in_window(timed, 30, 40) == []


def test_a_subset_of_a_time_window_is_drawn_from_its_rows_only(timed: Piece) -> None:
    schema = with_roles(schema_of(Path(timed.uri)), t="time")
    cut = replace(timed, time_from=0.0, time_to=11.0)
    reading = read([cut], schema, max_rows=4, time_column="t")
    assert reading.findings[-1].message == "tested 4 of 5 rows"
    assert set(plain(reading.sample.column("n"))) < {0.0, 1.0, 3.0, 5.0, 6.0}


def test_a_time_window_needs_its_column(timed: Piece) -> None:
    cut = replace(timed, time_from=0.0, time_to=11.0)
    with pytest.raises(DataError, match="no column 'when' to cut time windows by"):
        read([cut], schema_of(Path(timed.uri)), time_column="when")


# References and tables --------------------------------------------------------------------------


def test_a_reference_is_a_file_or_all_files_of_a_folder(tmp_path: Path) -> None:
    put(tmp_path / "r" / "b.parquet", {"n": [3.0]})
    one = put(tmp_path / "r" / "a.parquet", {"n": [1.0, 2.0]})
    schema, rng = schema_of(one), np.random.default_rng(0)
    folder = parquet.read_reference(str(tmp_path / "r"), schema, rng=rng)
    assert rows_of(folder.sample) == [(1.0,), (2.0,), (3.0,)]
    assert parquet.read_reference(str(one), schema, rng=rng).rows_total == 2
    assert parquet.read_reference(str(tmp_path / "r"), schema, rng=rng, max_rows=2).findings == (
        Finding("subsampled", "", "tested 2 of 3 rows", "note"),
    )


def test_a_reference_that_does_not_agree_with_itself_is_refused(tmp_path: Path) -> None:
    first = put(tmp_path / "a.parquet", {"n": [1.0], "s": ["x"]})
    put(tmp_path / "b.parquet", {"n": [1.0]})
    with pytest.raises(DataError) as caught:
        parquet.read_reference(str(tmp_path), schema_of(first), rng=np.random.default_rng(0))
    assert str(caught.value) == (
        f"{tmp_path}: no column 's' (in b.parquet) "
        "(every file of a reference must have the same columns and types)"
    )


def test_an_empty_or_missing_reference_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no Parquet file"):
        parquet.reference_files(str(tmp_path))
    with pytest.raises(DataError, match="no such file or folder"):
        parquet.reference_sha256(str(tmp_path / "absent"))


def test_the_hash_of_a_reference_changes_with_names_and_bytes_but_not_with_its_place(
    tmp_path: Path,
) -> None:
    one = put(tmp_path / "r" / "a.parquet", {"n": [1.0]})
    put(tmp_path / "r" / "day=1" / "b.parquet", {"n": [2.0]})
    first = parquet.reference_sha256(str(tmp_path / "r"))
    shutil.copytree(tmp_path / "r", tmp_path / "moved")
    assert parquet.reference_sha256(f"{tmp_path}/moved/") == first
    (tmp_path / "r" / "day=1").rename(tmp_path / "r" / "day=2")
    renamed = parquet.reference_sha256(str(tmp_path / "r"))
    put(one, {"n": [1.5]})
    assert len({first, renamed, parquet.reference_sha256(str(tmp_path / "r"))}) == 3
    assert parquet.reference_sha256(str(one)) == hashlib.sha256(one.read_bytes()).hexdigest()


def test_a_table_in_memory_reads_as_its_file_does(tmp_path: Path) -> None:
    path = put(tmp_path / "a.parquet", MIXED)
    schema = parquet.table_schema(MIXED, ["i"])
    assert schema[:-1] == schema_of(path, ["i"])[:-1]  # the item of a list is named otherwise
    from_table, from_file = parquet.table_sample(MIXED, schema), read(path, schema)
    assert rows_of(from_table.sample) == rows_of(from_file.sample)
    assert (from_table.rows_total, from_table.findings) == (1000, ())
    some = parquet.table_sample(MIXED, schema, max_rows=10, rng=np.random.default_rng(0))
    same = read(path, schema, max_rows=10)
    assert rows_of(some.sample) == rows_of(same.sample)
    assert some.findings == same.findings


def test_anything_that_streams_arrow_is_a_table() -> None:
    class Stream:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return MIXED.__arrow_c_stream__(requested_schema)

    assert tables.as_table(Stream()).equals(MIXED)
    assert tables.as_table(MIXED) is MIXED
    with pytest.raises(DataError, match="list is no table"):
        tables.as_table([{"n": 1.0}])


def test_texts_too_many_for_a_dictionary_are_read_as_others_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    many = [f"customer number {k}" if k % 7 else None for k in rng.permutation(200_000)]
    few = [f"plan {k}" for k in rng.integers(0, 3, 200_000)]
    table = pa.table({"many": many, "few": few})
    path = str(tmp_path / "x.parquet")
    pq.write_table(table, path)
    with file_facts.opened(path, ["many", "few"]) as file:
        kinds = {f.name: str(f.type) for f in file.schema_arrow}
    assert kinds["many"] == "string"
    assert kinds["few"].startswith("dictionary")
    schema = parquet.read_schema([path], ())
    read = parquet.read_reference(path, schema, max_rows=500, rng=np.random.default_rng(1)).sample
    same = parquet.table_sample(table, schema, max_rows=500, rng=np.random.default_rng(1)).sample
    for name in ("many", "few"):
        texts = [
            [side.column(name).categories[c] if c >= 0 else None for c in side.column(name).values]
            for side in (read, same)
        ]
        assert texts[0] == texts[1]
