"""Sound files to damage: one small table as different writers would store it, one small model.

In:    nothing; a generator.
Out:   tables and bytes.
Never: writes a file.
"""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper

from benchmarks.fuzzing.mutations import damaged

_TRAILER = 8
"""Length of the footer and the magic number."""


def table(rows: int = 120) -> pa.Table:
    """Numbers, texts, times, booleans and lists, some of them null."""
    rng = np.random.default_rng(5)
    numbers = rng.normal(size=rows)
    return pa.table(
        {
            "x": pa.array(numbers, pa.float32()),
            "y": pa.array([None if v > 1.5 else v for v in numbers[::-1]]),
            "i": rng.integers(0, 9, rows),
            "s": rng.choice(["basic", "plus", "family"], rows),
            "t": pa.array(rng.integers(0, 10**9, rows), pa.timestamp("ms", "UTC")),
            "b": rng.random(rows) < 0.5,
            "l": pa.array([[int(v)] * int(v) for v in rng.integers(0, 3, rows)]),
        }
    )


_WRITERS: tuple[dict[str, Any], ...] = (
    {"compression": "none", "use_dictionary": False},
    {"compression": "snappy"},
    {"compression": "zstd", "data_page_version": "2.0"},
    {"compression": "brotli", "use_dictionary": ["s"], "row_group_size": 40},
    {"compression": "gzip", "store_schema": False, "write_statistics": False},
    {"compression": "lz4", "write_page_checksum": True, "write_page_index": True},
    {
        "compression": "none",
        "use_dictionary": False,
        "column_encoding": {
            "x": "BYTE_STREAM_SPLIT",
            "i": "DELTA_BINARY_PACKED",
            "s": "DELTA_LENGTH_BYTE_ARRAY",
        },
    },
    {"compression": "none", "use_dictionary": False, "column_encoding": {"s": "DELTA_BYTE_ARRAY"}},
)


def parquet_files() -> tuple[bytes, ...]:
    """The table as different writers would store it."""
    return tuple(_written(options) for options in _WRITERS)


def _written(options: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table(), sink, **options)
    return sink.getvalue()


def damaged_parquet(data: bytes, rng: np.random.Generator) -> bytes:
    """Damage to pages and footer that leaves the end in place, or nobody would look further."""
    (length,) = struct.unpack("<I", data[-_TRAILER:-4])
    body = damaged(data[:-_TRAILER], rng, tail=length)
    grown = max(0, length + len(body) - len(data) + _TRAILER)
    return body + struct.pack("<I", grown) + data[-4:]


def onnx_file() -> bytes:
    """A model of the numbers and the text of the table: a sum, a product, a choice."""
    nodes = [
        helper.make_node("Cast", ["i"], ["whole"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["x", "whole"], ["both"], axis=1),
        helper.make_node("MatMul", ["both", "weights"], ["raw"]),
        helper.make_node("Reshape", ["raw", "shape"], ["flat"]),
        helper.make_node("Expand", ["flat", "shape"], ["wide"]),
        helper.make_node("Sigmoid", ["wide"], ["score"]),
    ]
    weights = numpy_helper.from_array(np.array([[0.5], [0.1]], dtype=np.float32), "weights")
    shape = numpy_helper.from_array(np.array([-1, 1], dtype=np.int64), "shape")
    shape_out = numpy_helper.from_array(np.array([1, 1], dtype=np.int64), "ones")
    nodes[4].input[1] = "ones"
    graph = helper.make_graph(
        nodes,
        "small",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1]),
            helper.make_tensor_value_info("i", TensorProto.INT64, ["N", 1]),
        ],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N", 1])],
        [weights, shape, shape_out],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data: bytes = model.SerializeToString()
    return data
