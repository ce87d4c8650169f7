"""Bodies of the v1 and v2 inference protocols, in JSON and with binary tensors.

In:    the bytes of a request or a response.
Out:   Tensors with names, shapes and plain values; MalformedError with one of :data:`REASONS`.
Never: guesses a value; holds more than :data:`MOST_BYTES` of what a body unpacks to.

Sources: KServe "Data Plane" (v1, and v2, which is the Open Inference Protocol) and its extension
"Binary Tensor Data": the JSON part, then the bytes of each tensor, little-endian and row by row.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_BYTES = 64 << 20
"""Of one body once it is unpacked."""

REASONS: Mapping[str, str] = {
    "bad_base64": "the logged bytes are no base64",
    "bad_gzip": "it begins as gzip does and cannot be unpacked",
    "too_large": f"it unpacks to more than {MOST_BYTES >> 20} MB",
    "not_json": "its JSON part is none",
    "no_tensors": "it has none of instances, inputs, predictions, outputs",
    "bad_tensor": "shape, type and data of a tensor do not fit each other",
    "bad_rows": "its tensors have different numbers of rows, or a row holds no value or list of values",
    "too_wide": "with it the batch would have more columns or values than a batch may have",
    "no_id": "the record has no id, or is neither a request nor a response",
}
"""Why a record cannot be used; label ``reason`` of the metrics."""

UNREADABLE = "unreadable_object"
"""Reason of an object of a log that is none, counted as one record."""

Value = float | int | bool | str | None

_FORMATS: Mapping[str, str] = {
    "BOOL": "?",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
_GZIP = b"\x1f\x8b"
_MOST_VALUES = 20_000_000


class MalformedError(ValueError):
    """A body that cannot be used; ``reason`` is a key of :data:`REASONS`."""

    def __init__(self, reason: str) -> None:
        super().__init__(REASONS[reason])
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor by name: ``shape`` begins with the rows; ``values`` are row by row, flat."""

    name: str
    shape: tuple[int, ...]
    values: Sequence[Value]


def tensors_of(body: bytes, header_bytes: int | None = None) -> tuple[Tensor, ...]:
    """The tensors of a body.

    Parameters
    ----------
    body
        As it was sent; gzip is recognised by its first two bytes.
    header_bytes
        Length of the JSON part (``Inference-Header-Content-Length``), where it was recorded. Else
        it ends where its JSON does.

    Raises
    ------
    MalformedError
        If it cannot be used.

    Examples
    --------
    >>> tensors_of(b'{"instances": [[1, 2], [3, 4]]}')
    (Tensor(name='', shape=(2, 2), values=(1, 2, 3, 4)),)
    """
    document, rest = _parted(_unpacked(body), header_bytes)
    for key in ("inputs", "outputs"):
        if isinstance(document.get(key), list):
            return _v2(document[key], memoryview(rest))
    for key in ("instances", "predictions"):
        if isinstance(document.get(key), list):
            return _v1(document[key])
    raise MalformedError("no_tensors")


def _unpacked(body: bytes) -> bytes:
    if not body.startswith(_GZIP):
        return body
    unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        plain = unpack.decompress(body, MOST_BYTES)
    except zlib.error:
        raise MalformedError("bad_gzip") from None
    if unpack.unconsumed_tail:
        raise MalformedError("too_large")
    if not unpack.eof:
        raise MalformedError("bad_gzip")
    return plain


def _parted(body: bytes, header_bytes: int | None) -> tuple[Mapping[str, Any], bytes]:
    """The JSON part, and what follows it."""
    try:
        if header_bytes is not None:
            document, end = json.loads(body[:header_bytes]), header_bytes
        else:
            # Latin-1 maps each byte to one character, so places in text and bytes agree.
            text = body.decode("latin-1")
            start = len(text) - len(text.lstrip())
            end = json.JSONDecoder().raw_decode(text, start)[1]
            document = json.loads(body[:end])
    except (ValueError, RecursionError):
        raise MalformedError("not_json") from None
    if not isinstance(document, dict):
        raise MalformedError("no_tensors")
    return document, body[end:]


def _v2(told: Sequence[Any], rest: memoryview) -> tuple[Tensor, ...]:
    tensors = []
    for each in told:
        if not isinstance(each, dict):
            raise MalformedError("bad_tensor")
        shape = _shape(each.get("shape"))
        size = _binary_bytes(each)
        if size is None:
            values = _flat(each.get("data"), each.get("datatype"))
        else:
            values, rest = _binary(rest, size, each.get("datatype"), math.prod(shape)), rest[size:]
        if len(values) != math.prod(shape):
            raise MalformedError("bad_tensor")
        tensors.append(Tensor(whole_text(str(each.get("name", ""))), shape, values))
    if not tensors:
        raise MalformedError("no_tensors")
    return tuple(tensors)


def _binary_bytes(tensor: Mapping[str, Any]) -> int | None:
    parameters = tensor.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is not None and (type(size) is not int or size < 0):
        raise MalformedError("bad_tensor")
    return size


def _shape(told: object) -> tuple[int, ...]:
    if not isinstance(told, list) or not told:
        raise MalformedError("bad_tensor")
    if any(type(side) is not int or side < 0 for side in told):
        raise MalformedError("bad_tensor")
    # Each side as well: with a side of 0 the product says nothing about the others.
    if max(told) > _MOST_VALUES or math.prod(told) > _MOST_VALUES:
        raise MalformedError("too_large")
    return tuple(told)


def _binary(rest: memoryview, size: int, datatype: object, count: int) -> tuple[Value, ...]:
    raw = bytes(rest[:size])
    if len(raw) != size:
        raise MalformedError("bad_tensor")
    if datatype == "BYTES":
        return tuple(_texts(raw))
    if datatype == "BF16":  # the upper half of a 32-bit float
        halves = struct.iter_unpack("<H", raw) if size % 2 == 0 else ()
        raw, datatype = b"".join(struct.pack("<I", half << 16) for (half,) in halves), "FP32"
    format_ = _FORMATS.get(str(datatype))
    if format_ is None or len(raw) != count * struct.calcsize(f"<{format_}"):
        raise MalformedError("bad_tensor")
    return struct.unpack(f"<{count}{format_}", raw)


def _texts(raw: bytes) -> Iterator[str]:
    """Each with its length before it, in four bytes."""
    at = 0
    while at < len(raw):
        end = at + 4 + int.from_bytes(raw[at : at + 4], "little")
        if end > len(raw) or at + 4 > len(raw):
            raise MalformedError("bad_tensor")
        yield raw[at + 4 : end].decode("utf-8", "backslashreplace")
        at = end


def _flat(data: object, datatype: object) -> tuple[Value, ...]:
    """Values of nested or flat JSON lists; whole numbers of a float tensor become floats."""
    if not isinstance(data, list):
        raise MalformedError("bad_tensor")
    values: list[Value] = []
    waiting: list[Any] = [iter(data)]
    while waiting:
        for each in waiting[-1]:
            if isinstance(each, list):
                waiting.append(iter(each))
                break
            values.append(_value(each))
        else:
            waiting.pop()
    if str(datatype).startswith(("FP", "BF")):
        return tuple(float(v) if isinstance(v, int) else v for v in map(_checked_float, values))
    return tuple(values)


def _checked_float(value: Value) -> Value:
    """A whole number beyond any float is no float."""
    if isinstance(value, str) or (isinstance(value, int) and abs(value) > 1 << 1023):
        raise MalformedError("bad_tensor")
    return value


def _value(told: object) -> Value:
    if told is None or isinstance(told, bool | int | float | str):
        return told
    raise MalformedError("bad_tensor")


def _v1(rows: Sequence[Any]) -> tuple[Tensor, ...]:
    """Instances as mappings, as lists of values, or as values."""
    if not rows:
        return (Tensor("", (0,), ()),)
    if all(isinstance(row, dict) for row in rows):
        names = list(dict.fromkeys(name for row in rows for name in row))
        if not names:
            raise MalformedError("bad_rows")
        return tuple(_named(name, rows) for name in names)
    if all(isinstance(row, list) for row in rows):
        flat = [_flat(row, None) for row in rows]
        width = len(flat[0])
        if any(len(row) != width for row in flat):
            raise MalformedError("bad_rows")
        return (Tensor("", (len(rows), width), tuple(value for row in flat for value in row)),)
    if any(isinstance(row, dict | list) for row in rows):
        raise MalformedError("bad_rows")
    return (Tensor("", (len(rows),), tuple(map(_value, rows))),)


def _named(name: str, rows: Sequence[Mapping[str, Any]]) -> Tensor:
    """One key of all instances; absent ones are None."""
    told = [row.get(name) for row in rows]
    if not any(isinstance(each, list | dict) for each in told):
        return Tensor(whole_text(name), (len(rows),), tuple(map(_value, told)))
    if not all(isinstance(each, list) for each in told):
        raise MalformedError("bad_rows")
    flat = [_flat(each, None) for each in told]
    width = len(flat[0])
    if any(len(each) != width for each in flat):
        raise MalformedError("bad_rows")
    values = tuple(value for each in flat for value in each)
    return Tensor(whole_text(name), (len(rows), width), values)


def whole_text(text: str) -> str:
    """JSON may hold halves of characters, which no file can."""
    return text.encode("utf-8", "backslashreplace").decode()
