"""What an ONNX file says about itself, read without a runtime.

In:    a path.
Out:   OnnxFile: the bytes, their SHA-256, opset, producer and operators.
Never: runs anything the file contains; needs the `onnx` package.

An ONNX file is one protobuf message. Only the few fields named below are read; their numbers are
those of ``onnx.proto`` and never change. onnxruntime tells neither the opset nor the operators.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shiftwatch.errors import ModelError

_LFS_START = b"version "
_LFS_MARK = b"git-lfs"
_ORT_FORMAT = b"ORTM"
_BLOCK = 1 << 20

# Field numbers by message.
_MODEL_PRODUCER, _MODEL_PRODUCER_VERSION, _MODEL_GRAPH, _MODEL_OPSET = 2, 3, 7, 8
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_NODE_OPERATOR, _NODE_DOMAIN = 4, 7
_TENSOR_EXTERNAL, _ENTRY_KEY, _ENTRY_VALUE = 13, 1, 2

# Every way from the model to a node or a tensor: message, field, message below. Weights can hide in
# the branch of an If, in an attribute or in a function, not only where exporters put them.
_BELOW: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_MOST_LEVELS = 100
"""Of messages in each other: what protobuf itself reads."""

_RUNTIME_DOMAINS = ("", "ai.onnx", "ai.onnx.", "com.microsoft", "com.ms.", "org.pytorch.aten")
"""Operator domains that onnxruntime brings itself; a trailing dot means: and all below."""


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """A model file that looks like ONNX.

    Parameters
    ----------
    data
        The file as it is.
    sha256
        Over the file, then over each file of external weights in name order: new weights are a
        new model, wherever they lie.
    opset
        Imported operator sets, such as ``"ai.onnx 17, ai.onnx.ml 1"``.
    producer
        Who wrote the file, such as ``"skl2onnx 1.17"``; may be empty.
    custom
        Operators that no known domain has, such as ``"acme::Lookup"``.
    """

    data: bytes = field(repr=False)
    sha256: str
    opset: str
    producer: str
    custom: tuple[str, ...]


def read(path: str) -> OnnxFile:
    """Read a model file and refuse what is no ONNX model.

    Raises
    ------
    ModelError
        If the file is missing, unreadable, empty, a git-LFS pointer or not ONNX, or if its
        weights lie in a file that is missing or outside the model's folder.
    """
    data = _bytes(path)
    _refuse_lookalikes(data, path)
    try:
        return _parse(data, path)
    except (ValueError, IndexError) as fault:
        raise _not_onnx(path, "the file is damaged or cut off") from fault


def weights_of(path: str) -> tuple[str, ...]:
    """Where the external weights of a model lie, as it says, without looking there; sorted.

    Raises
    ------
    ModelError
        If the file is no ONNX model; see :func:`read`.
    """
    data = _bytes(path)
    _refuse_lookalikes(data, path)
    try:
        return _hidden(memoryview(data))[1]
    except (ValueError, IndexError) as fault:
        raise _not_onnx(path, "the file is damaged or cut off") from fault


def _bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise ModelError("no such file", where=path, hint="check `model:`") from None
    except OSError as fault:
        raise ModelError(
            f"cannot be read: {fault.strerror}", where=path, hint="`model:` names one file"
        ) from fault


def _refuse_lookalikes(data: bytes, path: str) -> None:
    if not data:
        raise ModelError("the file is empty", where=path, hint="was the copy finished?")
    if data.startswith(_LFS_START) and _LFS_MARK in data[:200]:
        raise ModelError(
            "is a git-LFS pointer, not the model itself", where=path, hint="run `git lfs pull`"
        )
    if data[4:8] == _ORT_FORMAT:
        raise ModelError(
            "is in onnxruntime's own ORT format", where=path, hint="give the .onnx file"
        )


def _not_onnx(path: str, why: str) -> ModelError:
    return ModelError(f"is not an ONNX model: {why}", where=path, hint="export the model anew")


def _parse(data: bytes, path: str) -> OnnxFile:
    texts = {_MODEL_PRODUCER: "", _MODEL_PRODUCER_VERSION: ""}
    opsets: list[str] = []
    graph = False
    for number, value in _fields(memoryview(data)):
        if number in texts:
            texts[number] = _text(value)
        elif number == _MODEL_OPSET:
            opsets.append(_opset(value))
        graph = graph or number == _MODEL_GRAPH
    if not graph:
        raise _not_onnx(path, "it holds no graph")
    custom, locations = _hidden(memoryview(data))
    return OnnxFile(
        data=data,
        sha256=_sha256(data, locations, path),
        opset=", ".join(opsets),
        producer=" ".join(text for text in texts.values() if text),
        custom=custom,
    )


def _opset(value: int | memoryview) -> str:
    domain, version = "", 0
    for number, part in _fields(value):
        if number == _OPSET_DOMAIN:
            domain = _text(part)
        elif number == _OPSET_VERSION and isinstance(part, int):
            version = part
    return f"{domain or 'ai.onnx'} {version}"


def _parts(
    message: int | memoryview, kind: str = "model", level: int = 0
) -> Iterator[tuple[str, memoryview]]:
    """Every node and tensor of a model, wherever it stands, with its kind.

    A field that is there twice counts twice: protobuf merges the two.
    """
    if level > _MOST_LEVELS:
        raise ValueError("too many messages in each other")
    for number, value in _fields(message):
        below = _BELOW[kind].get(number)
        if below is None:
            continue
        if isinstance(value, int):
            raise ValueError("a number where a message was expected")  # noqa: TRY004 - bad bytes
        if below in ("node", "tensor"):
            yield below, value
        yield from _parts(value, below, level + 1)


def _hidden(data: memoryview) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Custom operators and locations of external weights, each once and sorted."""
    custom: set[str] = set()
    locations: set[str] = set()
    for kind, part in _parts(data):
        if kind == "node":
            custom.update(_custom_operator(part))
        else:
            locations.update(_locations(part))
    return tuple(sorted(custom)), tuple(sorted(locations))


def _custom_operator(node: int | memoryview) -> Iterator[str]:
    found = {_NODE_OPERATOR: "", _NODE_DOMAIN: ""}
    for number, value in _fields(node):
        if number in found:
            found[number] = _text(value)
    domain = found[_NODE_DOMAIN]
    below = tuple(known for known in _RUNTIME_DOMAINS if known.endswith("."))
    if domain not in _RUNTIME_DOMAINS and not domain.startswith(below):
        yield f"{domain}::{found[_NODE_OPERATOR]}"


def _locations(tensor: int | memoryview) -> Iterator[str]:
    for number, value in _fields(tensor):
        if number == _TENSOR_EXTERNAL:
            entry = dict(_fields(value))
            if _text(entry.get(_ENTRY_KEY, memoryview(b""))) == "location":
                yield _text(entry.get(_ENTRY_VALUE, memoryview(b"")))


def _sha256(data: bytes, locations: tuple[str, ...], path: str) -> str:
    digest = hashlib.sha256(data)
    for location in locations:
        try:
            _add(digest, _beside(path, location))
        except OSError as fault:
            raise ModelError(
                f"its weights {location!r} cannot be read: {fault.strerror}",
                where=path,
                hint="copy them beside the model",
            ) from fault
    return digest.hexdigest()


def _beside(path: str, location: str) -> Path:
    folder = Path(path).resolve().parent
    weights = (folder / location).resolve()
    if not weights.is_relative_to(folder):
        raise ModelError(
            f"its weights {location!r} lie outside the model's folder",
            where=path,
            hint="export the model into one folder",
        )
    return weights


def _add(digest: hashlib._Hash, weights: Path) -> None:
    with weights.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)


def _text(value: int | memoryview) -> str:
    return "" if isinstance(value, int) else bytes(value).decode()


def _fields(message: int | memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field numbers and values of a protobuf message.

    Varints come as integers, everything else as bytes. Raises ValueError or IndexError where the
    bytes are no message.
    """
    if isinstance(message, int):
        raise ValueError("a number where a message was expected")  # noqa: TRY004 - bad bytes
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        size, at = _size(message, at, wire)
        if at + size > len(message):
            raise ValueError("a field is longer than its message")
        yield number, message[at : at + size]
        at += size


def _size(message: memoryview, at: int, wire: int) -> tuple[int, int]:
    if wire == 2:
        return _varint(message, at)
    fixed = {1: 8, 5: 4}
    if wire not in fixed:
        raise ValueError(f"unknown wire type {wire}")
    return fixed[wire], at


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """The base-128 integer at a place, and the place after it.

    Examples
    --------
    >>> _varint(memoryview(bytes([0xAC, 0x02])), 0)
    (300, 2)
    """
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("an integer is longer than 64 bits")
