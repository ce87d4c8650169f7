"""A memory as text, and back: what the store keeps after every batch.

In:    a Memory and what it rests on.
Out:   text; None where a text does not fit what the memory would rest on now.
Never: unpickles; trusts a shape.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shiftwatch.memory.charts import Evidences, Sums
from shiftwatch.memory.excursion import Since
from shiftwatch.memory.state import Basis, Memory
from shiftwatch.memory.windows import LENGTHS, Window
from shiftwatch.summary import Summary
from shiftwatch.values import Scope, SlowEvidence

Array = NDArray[Any]

VERSION = 2
_UNPLANED = 1
"""The version before, whose bytes lie as numbers do."""

_LEVEL = 4


def encode(memory: Memory, basis: Basis) -> str:
    """Text of a memory: a JSON head and compressed arrays.

    About 2 kB for each numeric column of a narrow model; the number of batches plays no part.
    """
    arrays = _arrays(memory)
    blob = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays.values())
    head = {
        "version": VERSION,
        "basis": _fingerprint(basis),
        "number": memory.number,
        "frozen": memory.frozen,
        "ids": {str(number): name for number, name in sorted(memory.ids.items())},
        "windows": [[w.first, w.held, w.spent] for w in memory.windows],
        "held": {
            str(length): {scope: asdict(found) for scope, found in scopes.items()}
            for length, scopes in memory.held.items()
        },
        "arrays": [[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()],
    }
    body = base64.b64encode(zlib.compress(_planes(blob), _LEVEL)).decode("ascii")
    return json.dumps(head, sort_keys=True) + "\n" + body


def decode(text: str, basis: Basis, method: str) -> Memory | None:
    """The inverse of :func:`encode`.

    None if the text is of another version, method, reference or layout of columns: then the
    memory begins anew.
    """
    head_text, _, body = text.partition("\n")
    head = json.loads(head_text)
    known = head.get("version") in (VERSION, _UNPLANED)
    if not known or head.get("basis") != _fingerprint(basis):
        return None
    blob = zlib.decompress(base64.b64decode(body))
    if head["version"] == VERSION:
        blob = _numbers(blob)
    arrays = _views(head["arrays"], blob)
    empty = _arrays(Memory.new(basis, "cusum" if method == "cusum" else "e-process"))
    if {n: a.shape for n, a in arrays.items()} != {n: a.shape for n, a in empty.items()}:
        return None
    return _restored(head, arrays)


def _planes(blob: bytes) -> bytes:
    """First bytes of all four-byte words, then their second bytes, and so on.

    Counts are small, so most planes are zeros: measured, a third less text in a quarter of the
    time. All arrays are of words of four or eight bytes.
    """
    return np.frombuffer(blob, np.uint8).reshape(-1, 4).T.tobytes()


def _numbers(planes: bytes) -> bytes:
    """The inverse of :func:`_planes`."""
    return np.frombuffer(planes, np.uint8).reshape(4, -1).T.tobytes()


def _fingerprint(basis: Basis) -> str:
    """Of the cells and the reference's counts in them: counts over other cells cannot be added."""
    layout, own = basis.plan.layout, basis.reference
    digest = hashlib.sha256(repr((layout.columns, layout.categories)).encode(errors="replace"))
    for array in (layout.edges, own.numeric, own.cells, own.nulls):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _arrays(memory: Memory) -> dict[str, Array]:
    arrays: dict[str, Array] = dict(_summary("pool", memory.pool))
    for length, window in zip(LENGTHS, memory.windows, strict=True):
        arrays.update(_summary(f"window{length}", window.counts))
    since = memory.since
    arrays["since.numbers"], arrays["since.cells"] = _small(since.numbers), _small(since.cells)
    arrays["since.nulls"] = _small(since.nulls)
    charts = memory.charts
    arrays["starts"] = _small(charts.starts)
    arrays["heights" if isinstance(charts, Sums) else "sums"] = np.asarray(
        charts.heights if isinstance(charts, Sums) else charts.sums, dtype="<f8"
    )
    return arrays


def _summary(name: str, summary: Summary) -> dict[str, Array]:
    return {
        f"{name}.numeric": _small(summary.numeric),
        f"{name}.cells": _small(summary.cells),
        f"{name}.nulls": _small(summary.nulls),
    }


def _small(counts: Array) -> Array:
    """Counts in four bytes where they fit, which halves what is stored."""
    fits = counts.size == 0 or (int(counts.max()) < 2**31 and int(counts.min()) >= -(2**31))
    return np.ascontiguousarray(counts, dtype="<i4" if fits else "<i8")


def _views(listed: list[Any], blob: bytes) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    offset = 0
    for name, dtype, shape in listed:
        kind = np.dtype(dtype)
        count = int(np.prod(shape))
        view = np.frombuffer(blob, dtype=kind, count=count, offset=offset).reshape(shape)
        arrays[name] = view.astype(np.int64 if kind.kind == "i" else np.float64)
        offset += count * kind.itemsize
    return arrays


def _restored(head: Mapping[str, Any], arrays: Mapping[str, Array]) -> Memory:
    def summary(name: str) -> Summary:
        return Summary(*(arrays[f"{name}.{part}"] for part in ("numeric", "cells", "nulls")))

    charts: Sums | Evidences
    if "heights" in arrays:
        charts = Sums(arrays["heights"], arrays["starts"])
    else:
        charts = Evidences(arrays["sums"], arrays["starts"])
    windows = tuple(
        Window(summary(f"window{length}"), *kept)
        for length, kept in zip(LENGTHS, head["windows"], strict=True)
    )
    return Memory(
        number=head["number"],
        ids={int(number): name for number, name in head["ids"].items()},
        pool=summary("pool"),
        windows=windows,
        held={int(length): _evidence(scopes) for length, scopes in head["held"].items()},
        charts=charts,
        since=Since(arrays["since.numbers"], arrays["since.cells"], arrays["since.nulls"]),
        frozen=head["frozen"],
    )


def _evidence(scopes: Mapping[Scope, Mapping[str, Any]]) -> dict[Scope, SlowEvidence]:
    return {
        scope: SlowEvidence(**{**found, "columns": tuple(found["columns"])})
        for scope, found in scopes.items()
    }
