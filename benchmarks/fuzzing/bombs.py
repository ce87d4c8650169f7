"""Parquet files of a few kB that claim, unpack to or nest without end, written by hand.

In:    nothing.
Out:   bytes of files; the table they are to be held against.
Never: holds what a file unpacks to.

Thrift's compact protocol, as far as a footer and a page header need it; field numbers are those of
``parquet.thrift``.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_FLOAT, _BYTE_ARRAY = 4, 6
_PLAIN, _RLE, _RLE_DICTIONARY = 0, 3, 8
_NONE, _ZSTD = 0, 6
_DATA, _DICTIONARY = 0, 2
_REQUIRED = 0

_MOST = 2**31 - 1
"""The largest size a page header can state."""

_ONE_IN_EVERY_ROW = 8_000_000
"""Bytes of the text that one bomb repeats in every row."""


def reference(rows: int = 200) -> pa.Table:
    """A number and a text, as every bomb says it has."""
    rng = np.random.default_rng(11)
    return pa.table(
        {
            "x": pa.array(rng.normal(size=rows), pa.float32()),
            "s": rng.choice(["a", "b"], rows),
        }
    )


def nested_reference(rows: int = 200) -> pa.Table:
    """The same with a list, a group and a map of texts."""
    nested = {
        "l": pa.array([["a"]] * rows),
        "g": pa.array([{"f": "a"}] * rows),
        "m": pa.array([[("k", "a")]] * rows, pa.map_(pa.string(), pa.string())),
    }
    plain = reference(rows)
    return pa.table({name: plain.column(name) for name in plain.column_names} | nested)


# --- Thrift ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wide:
    """An integer of 64 bits; plain ones are of 32."""

    value: int


Fields = Mapping[int, Any]
"""Values by field number: int, Wide, text, a list of one kind, or fields of their own."""


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _zigzag(value: int) -> bytes:
    return _varint(value << 1 if value >= 0 else (-value << 1) - 1)


def _element(value: Any) -> tuple[int, bytes]:
    """Type number and bytes of a value."""
    if isinstance(value, Wide):
        return 6, _zigzag(value.value)
    if isinstance(value, int):
        return 5, _zigzag(value)
    if isinstance(value, str):
        return 8, _varint(len(value.encode())) + value.encode()
    if isinstance(value, Mapping):
        return 12, thrift(value)
    if not value:
        return 9, bytes([12])
    elements = [_element(each) for each in value]
    kind, count = elements[0][0], len(elements)
    head = bytes([count << 4 | kind]) if count < 15 else bytes([0xF0 | kind]) + _varint(count)
    return 9, head + b"".join(data for _, data in elements)


def thrift(fields: Fields) -> bytes:
    """A struct in the compact protocol; field numbers ascend by less than 16."""
    out, last = b"", 0
    for number, value in fields.items():
        kind, data = _element(value)
        out += bytes([(number - last) << 4 | kind]) + data
        last = number
    return out + b"\0"


# --- Parquet -----------------------------------------------------------------------------------


def _page(
    kind: int, values: int, data: bytes, *, encoding: int, claimed: int | None = None
) -> bytes:
    """A page with its header; compressed by zstd where it claims a size."""
    size = len(data) if claimed is None else claimed
    head: dict[int, Any] = {1: kind, 2: size, 3: len(data)}
    if kind == _DICTIONARY:
        head[7] = {1: values, 2: encoding}
    else:
        head[5] = {1: values, 2: encoding, 3: _RLE, 4: _RLE}
    return thrift(head) + data


def _same(rows: int) -> bytes:
    """A data page in which every row has the first entry of the dictionary."""
    run = bytes([1]) + _varint(rows << 1) + b"\0"
    return _page(_DATA, rows, run, encoding=_RLE_DICTIONARY)


def _text(text: bytes) -> bytes:
    return struct.pack("<I", len(text)) + text


@dataclass(frozen=True)
class _Chunk:
    """A column: name, physical type, its pages, the first of which may be a dictionary."""

    name: str
    type: int
    pages: Sequence[bytes]
    codec: int = _NONE


def _number(rows: int) -> _Chunk:
    first = _page(_DICTIONARY, 1, struct.pack("<f", 0.5), encoding=_PLAIN)
    return _Chunk("x", _FLOAT, (first, _same(rows)))


def _word(rows: int) -> _Chunk:
    first = _page(_DICTIONARY, 1, _text(b"a"), encoding=_PLAIN)
    return _Chunk("s", _BYTE_ARRAY, (first, _same(rows)))


def _file(chunks: Sequence[_Chunk], rows: int, claimed: int | None = None) -> bytes:
    """A file of one row group."""
    body, columns, size = b"PAR1", [], 0
    for chunk in chunks:
        data = b"".join(chunk.pages)
        place = len(body)
        facts = {
            1: chunk.type,
            2: [_PLAIN, _RLE, _RLE_DICTIONARY],
            3: [chunk.name],
            4: chunk.codec,
            5: Wide(rows),
            6: Wide(len(data)),
            7: Wide(len(data)),
        }
        if len(chunk.pages) > 1:
            facts |= {9: Wide(place + len(chunk.pages[0])), 11: Wide(place)}
        else:
            facts |= {9: Wide(place)}
        columns.append({2: Wide(place), 3: facts})
        body, size = body + data, size + len(data)
    said = rows if claimed is None else claimed
    leaves = [
        {1: c.type, 3: _REQUIRED, 4: c.name} | ({6: 0} if c.type == _BYTE_ARRAY else {})
        for c in chunks
    ]
    schema = [{4: "schema", 5: len(leaves)}, *leaves]
    footer = {1: 1, 2: schema, 3: Wide(said)}
    footer[4] = [{1: columns, 2: Wide(size), 3: Wide(said)}]
    return _ended(body, footer)


def _ended(body: bytes, footer: Fields) -> bytes:
    data = thrift(footer)
    return body + data + struct.pack("<I", len(data)) + b"PAR1"


def _zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


# --- the bombs ---------------------------------------------------------------------------------


def sound(rows: int = 200) -> bytes:
    """No bomb: shows that what the others refuse is not the writing."""
    return _file((_number(rows), _word(rows)), rows)


def many_rows() -> bytes:
    """2^28 rows that are truly there, in 400 bytes."""
    return sound(2**28)


def endless_rows() -> bytes:
    """A footer that claims 2^62 rows."""
    return _file((_number(200), _word(200)), 200, claimed=2**62)


def more_rows_than_there_are() -> bytes:
    """A footer that claims a thousand million rows; 200 are there."""
    return _file((_number(200), _word(200)), 200, claimed=10**9)


def negative_rows() -> bytes:
    """A footer that claims less than nothing."""
    return _file((_number(200), _word(200)), 200, claimed=-1)


def page_of_gigabytes() -> bytes:
    """A page whose header says that it unpacks to 2 GB."""
    page = _page(_DATA, 200, _zstd(bytes(800)), encoding=_PLAIN, claimed=_MOST)
    return _file((_Chunk("x", _FLOAT, (page,), _ZSTD), _word(200)), 200)


def dictionary_of_gigabytes() -> bytes:
    """A dictionary page whose header says that it unpacks to 2 GB."""
    first = _page(_DICTIONARY, 1, _zstd(_text(b"a")), encoding=_PLAIN, claimed=_MOST)
    run = bytes([1]) + _varint(400) + b"\0"
    page = _page(_DATA, 200, _zstd(run), encoding=_RLE_DICTIONARY, claimed=len(run))
    return _file((_number(200), _Chunk("s", _BYTE_ARRAY, (first, page), _ZSTD)), 200)


def truly_packed() -> bytes:
    """A page of 1.6 GB of zeros that is truly there, in 70 kB: frames of zstd one after another."""
    piece, count = bytes(16_000_000), 100
    page = _page(
        _DATA,
        len(piece) * count // 4,
        _zstd(piece) * count,
        encoding=_PLAIN,
        claimed=len(piece) * count,
    )
    rows = len(piece) * count // 4
    return _file((_Chunk("x", _FLOAT, (page,), _ZSTD), _word(rows)), rows)


def long_text_in_every_row(name: str = "s") -> bytes:
    """A text of 8 MB in the dictionary, which 100 000 rows repeat: 800 GB if written out."""
    text, rows = _text(b"a" * _ONE_IN_EVERY_ROW), 100_000
    first = _page(_DICTIONARY, 1, _zstd(text), encoding=_PLAIN, claimed=len(text))
    run = bytes([1]) + _varint(rows << 1) + b"\0"
    page = _page(_DATA, rows, _zstd(run), encoding=_RLE_DICTIONARY, claimed=len(run))
    return _file((_number(rows), _Chunk(name, _BYTE_ARRAY, (first, page), _ZSTD)), rows)


def long_text_under_another_case() -> bytes:
    """The same, in a column whose name is found without regard to case."""
    return long_text_in_every_row("S")


def long_text_in_every_list() -> bytes:
    """A text of 2 MB that 50 000 lists, groups and maps hold each: as pyarrow writes it."""
    rows = 50_000
    texts = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(rows, dtype=np.int32)), pa.array(["a" * 2_000_000])
    )
    starts = pa.array(np.arange(rows + 1), pa.int32())
    columns = {
        "x": pa.array(np.zeros(rows), pa.float32()),
        "s": pa.array(["a"] * rows),
        "l": pa.ListArray.from_arrays(starts, texts),
        "g": pa.StructArray.from_arrays([texts], names=["f"]),
        "m": pa.MapArray.from_arrays(starts, pa.array(["k"] * rows), texts),
    }
    sink = io.BytesIO()
    pq.write_table(
        pa.table(columns), sink, compression="zstd", store_schema=False, write_statistics=False
    )
    return sink.getvalue()


def nested(depth: int) -> bytes:
    """Groups within groups, and a number in the last."""
    groups = [{3: _REQUIRED, 4: "g", 5: 1} for _ in range(depth)]
    schema = [{4: "schema", 5: 1}, *groups, {1: _FLOAT, 3: _REQUIRED, 4: "x"}]
    return _ended(b"PAR1", {1: 1, 2: schema, 3: Wide(0), 4: []})


def nested_deep() -> bytes:
    """A thousand groups, each in the one before."""
    return nested(1000)


def nested_without_end() -> bytes:
    """200 000 groups, each in the one before: no stack is as deep."""
    return nested(200_000)


def name_that_is_no_text() -> bytes:
    """A column whose name is not UTF-8, which pyarrow cannot even list."""
    return sound().replace(b"\x01x", b"\x01\xff")


def footer_longer_than_the_file() -> bytes:
    """The length of the footer is that of gigabytes."""
    return sound()[:-8] + struct.pack("<I", 2**31 - 1) + b"PAR1"


def list_without_end() -> bytes:
    """A footer whose schema says that it has 2^31 - 1 elements, and has none."""
    footer = bytes([1 << 4 | 5]) + _zigzag(1) + bytes([1 << 4 | 9, 0xF0 | 12]) + _varint(_MOST)
    return b"PAR1" + footer + struct.pack("<I", len(footer)) + b"PAR1"


ALL: Mapping[str, Callable[[], bytes]] = {
    made.__name__: made
    for made in (
        sound,
        many_rows,
        endless_rows,
        more_rows_than_there_are,
        negative_rows,
        page_of_gigabytes,
        dictionary_of_gigabytes,
        truly_packed,
        long_text_in_every_row,
        long_text_under_another_case,
        nested_deep,
        nested_without_end,
        name_that_is_no_text,
        footer_longer_than_the_file,
        list_without_end,
    )
}
