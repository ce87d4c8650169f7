"""Bodies and records of model servers, byte by byte as their protocols write them."""

from __future__ import annotations

import base64
import gzip
import json
import math
import struct
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shiftwatch.payload.bodies import MOST_BYTES, REASONS, MalformedError, Tensor, tensors_of
from shiftwatch.payload.joining import COUNTS, join
from shiftwatch.payload.records import Record, of_row
from shiftwatch.payload.rows import beside, columns_of

REQUEST = "org.kubeflow.serving.inference.request"


def v2(*tensors: dict[str, Any], key: str = "inputs") -> bytes:
    return json.dumps({"id": "7", key: list(tensors)}).encode()


# --- v1 and v2 in JSON


def test_v1_instances_come_as_lists_as_values_and_as_mappings() -> None:
    assert tensors_of(b'{"instances": [1, 2.5, null]}') == (Tensor("", (3,), (1, 2.5, None)),)
    assert tensors_of(b'{"predictions": [[0.1, 0.9]]}') == (Tensor("", (1, 2), (0.1, 0.9)),)
    named = b'{"instances": [{"age": 3, "plan": "a"}, {"age": 4, "tags": null}]}'
    assert tensors_of(named) == (
        Tensor("age", (2,), (3, 4)),
        Tensor("plan", (2,), ("a", None)),
        Tensor("tags", (2,), (None, None)),
    )
    assert tensors_of(b'{"instances": [{"image": [[1, 2], [3, 4]]}]}') == (
        Tensor("image", (1, 4), (1, 2, 3, 4)),
    )


@pytest.mark.parametrize("data", ["[1, 2, 3, 4]", "[[1, 2], [3, 4]]", "[[[1], [2]], [[3], [4]]]"])
def test_v2_data_may_be_flat_or_nested(data: str) -> None:
    told = {"name": "x", "shape": [2, 2], "datatype": "FP32", "data": json.loads(data)}
    (tensor,) = tensors_of(v2(told))
    assert tensor == Tensor("x", (2, 2), (1.0, 2.0, 3.0, 4.0))
    assert all(type(value) is float for value in tensor.values)


def test_numbers_that_json_has_no_word_for_are_read_as_servers_write_them() -> None:
    body = b'{"predictions": [NaN, Infinity, -Infinity]}'
    values = tensors_of(body)[0].values
    assert math.isnan(values[0])  # type: ignore[arg-type] # a float
    assert values[1:] == (math.inf, -math.inf)


# --- binary tensors


BINARY = [
    ("BOOL", np.array([True, False, True]), "?"),
    ("UINT8", np.array([0, 1, 255], np.uint8), "B"),
    ("INT64", np.array([-(2**63), 0, 2**63 - 1], np.int64), "<i8"),
    ("UINT64", np.array([0, 1, 2**64 - 1], np.uint64), "<u8"),
    ("FP16", np.array([0.5, -2.0, 65504.0], np.float16), "<f2"),
    ("FP32", np.array([0.1, -1e30, 3.0], np.float32), "<f4"),
    ("FP64", np.array([0.1, -1e300, 3.0], np.float64), "<f8"),
]


@pytest.mark.parametrize("known", [True, False], ids=["length known", "length unknown"])
@pytest.mark.parametrize(("datatype", "values", "layout"), BINARY, ids=[b[0] for b in BINARY])
def test_binary_tensors_are_read_as_numpy_writes_them(
    datatype: str, values: Any, layout: str, known: bool
) -> None:
    raw = values.astype(layout).tobytes()
    tensor = {"name": "x", "shape": [3], "datatype": datatype}
    header = v2(tensor | {"parameters": {"binary_data_size": len(raw)}})
    (found,) = tensors_of(header + raw, len(header) if known else None)
    assert found.shape == (3,)
    assert list(found.values) == values.tolist()


def test_bfloat16_is_the_upper_half_of_a_float() -> None:
    raw = b"".join(struct.pack("<f", value)[2:] for value in (1.0, -2.5))
    tensor = {"name": "x", "shape": [2], "datatype": "BF16"}
    body = v2(tensor | {"parameters": {"binary_data_size": 4}}) + raw
    assert tensors_of(body)[0].values == (1.0, -2.5)


def test_texts_have_their_length_before_them_and_tensors_follow_each_other() -> None:
    texts = b"".join(struct.pack("<I", len(t)) + t for t in (b"basic", b"", "größe".encode()))
    numbers = struct.pack("<3i", 1, 2, 3)
    body = v2(
        {"name": "plan", "shape": [3], "datatype": "BYTES"}
        | {"parameters": {"binary_data_size": len(texts)}},
        {"name": "score", "shape": [3], "datatype": "FP32", "data": [0.5, 0.25, 1]},
        {"name": "age", "shape": [3, 1], "datatype": "INT32"}
        | {"parameters": {"binary_data_size": 12}},
    )
    plan, score, age = tensors_of(body + texts + numbers)
    assert plan.values == ("basic", "", "größe")
    assert score.values == (0.5, 0.25, 1.0)
    assert columns_of([plan, score, age]) == (
        3,
        {"plan": plan.values, "score": score.values, "age": (1, 2, 3)},
    )


# --- what is malformed


SHORT = {"name": "x", "shape": [3], "datatype": "FP32", "parameters": {"binary_data_size": 12}}
MALFORMED: list[tuple[str, bytes]] = [
    ("not_json", b""),
    ("not_json", b"hello"),
    ("not_json", b"\xff\xfe{}"),
    ("not_json", b'{"instances": [1,'),
    ("not_json", b"[" * 100_000),
    ("no_tensors", b"[1, 2]"),
    ("no_tensors", b"{}"),
    ("no_tensors", b'{"instances": 3}'),
    ("no_tensors", b'{"inputs": []}'),
    ("bad_rows", b'{"instances": [[1, 2], [3]]}'),
    ("bad_rows", b'{"instances": [1, [2]]}'),
    ("bad_rows", b'{"instances": [{"a": [1]}, {"a": [1, 2]}]}'),
    ("bad_tensor", b'{"instances": [{"a": {"b": 1}}]}'.replace(b'{"b": 1}', b'[{"b": 1}]')),
    ("bad_tensor", b'{"inputs": [3]}'),
    ("bad_tensor", v2({"name": "x", "datatype": "FP32", "data": [1]})),
    ("bad_tensor", v2({"name": "x", "shape": [-1], "datatype": "FP32", "data": [1]})),
    ("bad_tensor", v2({"name": "x", "shape": [True], "datatype": "FP32", "data": [1]})),
    ("bad_tensor", v2({"name": "x", "shape": [2], "datatype": "FP32", "data": [1]})),
    ("bad_tensor", v2({"name": "x", "shape": [1], "datatype": "FP32", "data": ["a"]})),
    ("bad_tensor", v2({"name": "x", "shape": [1], "datatype": "FP64", "data": [10**400]})),
    ("bad_tensor", v2({"name": "x", "shape": [1], "datatype": "FP32", "data": {"a": 1}})),
    ("bad_tensor", v2(SHORT) + b"\0" * 11),
    ("bad_tensor", v2(SHORT | {"datatype": "FP99"}) + b"\0" * 12),
    ("bad_tensor", v2(SHORT | {"datatype": "FP64"}) + b"\0" * 12),
    ("bad_tensor", v2(SHORT | {"parameters": {"binary_data_size": -4}}) + b"\0" * 12),
    ("bad_tensor", v2(SHORT | {"datatype": "BYTES"}) + b"\xff\xff\xff\xff" + b"\0" * 8),
    ("too_large", v2({"name": "x", "shape": [10**6, 10**6], "datatype": "FP32", "data": []})),
    ("bad_gzip", b"\x1f\x8b and no more"),
    ("bad_gzip", gzip.compress(b'{"instances": [1]}')[:-9]),
    ("too_large", gzip.compress(b" " * (MOST_BYTES + 1))),
]


@pytest.mark.parametrize(("reason", "body"), MALFORMED, ids=[str(n) for n in range(len(MALFORMED))])
def test_a_malformed_body_has_a_reason(reason: str, body: bytes) -> None:
    with pytest.raises(MalformedError) as raised:
        tensors_of(body)
    assert raised.value.reason == reason
    assert str(raised.value) == REASONS[reason]


def test_a_packed_body_is_recognised_by_its_first_bytes() -> None:
    body = b'{"instances": [1, 2]}'
    assert tensors_of(gzip.compress(body)) == tensors_of(body)


KEYS = [
    "instances",
    "inputs",
    "outputs",
    "name",
    "shape",
    "datatype",
    "data",
    "parameters",
    "binary_data_size",
    "x",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(KEYS) | st.sampled_from(["FP32", "BYTES"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=30,
)


@given(document=JSON, rest=st.binary(max_size=40), length=st.none() | st.integers(0, 60))
def test_no_body_ends_in_anything_but_tensors_or_a_reason(
    document: object, rest: bytes, length: int | None
) -> None:
    with suppress(MalformedError):  # which knows only reasons that have a text
        rows, columns = columns_of(tensors_of(json.dumps(document).encode() + rest, length))
        assert all(len(values) == rows for values in columns.values())


@given(body=st.binary(max_size=200))
def test_no_bytes_do_either(body: bytes) -> None:
    with suppress(MalformedError):
        tensors_of(body)


# --- columns


def test_columns_are_called_as_asked_where_there_are_as_many() -> None:
    (pair,) = tensors_of(b'{"instances": [[1, 2], [3, 4]]}')
    assert columns_of([pair], names=("a", "b"))[1] == {"a": (1, 3), "b": (2, 4)}
    assert list(columns_of([pair], names=("a", "b", "c"))[1]) == ["input_0", "input_1"]


def test_tensors_of_different_rows_are_no_table() -> None:
    with pytest.raises(MalformedError, match="different numbers of rows"):
        columns_of([Tensor("a", (2,), (1, 2)), Tensor("b", (3,), (1, 2, 3))])


def test_an_output_never_takes_the_place_of_an_input() -> None:
    assert beside({"x": (1,)}, {"x": (2,)}) == {"x": (1,), "prediction_x": (2,)}


# --- records


def row(**changes: object) -> dict[str, object]:
    body = base64.b64encode(b'{"instances": [[1]]}').decode()
    return {
        "url": "s3://logs",
        "bytes": body,
        "contentType": "application/json",
        "reqType": REQUEST,
        "id": "7c1d",
        "metadata": "",
    } | changes


def test_a_row_of_the_log_is_a_record_at_the_time_of_its_object() -> None:
    assert of_row(row(), 5.0) == Record("7c1d", "request", b'{"instances": [[1]]}', 5.0)
    told = '{"Inference-Header-Content-Length": ["148"], "x": []}'
    assert of_row(row(metadata=told), 5.0).header_bytes == 148


@pytest.mark.parametrize("metadata", ["{", "[]", '{"inference-header-content-length": "-3"}', 4])
def test_a_length_that_cannot_be_read_is_not_known(metadata: object) -> None:
    assert of_row(row(metadata=metadata), 5.0).header_bytes is None


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("no_id", {"id": None}),
        ("no_id", {"id": ""}),
        ("no_id", {"reqType": "org.kubeflow.serving.inference.other"}),
        ("bad_base64", {"bytes": "é"}),
        ("bad_base64", {"bytes": "abc"}),
        ("bad_base64", {"bytes": 3}),
    ],
)
def test_a_row_that_is_no_record_has_a_reason(reason: str, changes: dict[str, object]) -> None:
    with pytest.raises(MalformedError) as raised:
        of_row(row(**changes), 5.0)
    assert raised.value.reason == reason


# --- joining


def asked(name: str, at: float = 0.0, body: bytes = b"q") -> Record:
    return Record(name, "request", body, at)


def answered(name: str, at: float = 0.0, body: bytes = b"a") -> Record:
    return Record(name, "response", body, at)


def test_halves_are_joined_whatever_their_order() -> None:
    told = join([answered("b", 2), asked("a", 1), answered("a", 0), asked("b", 3)], 10, 5)
    assert [(p.request.id, p.response is not None) for p in told.pairs] == [
        ("a", True),
        ("b", True),
    ]
    assert told.counts == dict.fromkeys(COUNTS, 0) | {"matched": 2}
    assert told.waiting == ()


def test_a_request_without_response_is_a_row_and_a_response_without_request_is_counted() -> None:
    told = join([asked("a", 1), answered("b", 1), asked("young", 9), answered("late", 9)], 10, 5)
    assert [pair.request.id for pair in told.pairs] == ["a"]
    assert {record.id for record in told.waiting} == {"young", "late"}
    assert (told.counts["unmatched_requests"], told.counts["unmatched_responses"]) == (1, 1)


def test_an_id_used_twice_counts_once() -> None:
    told = join([asked("a", 1), asked("a", 2), answered("a", 3), answered("a", 4)], 10, -1)
    (pair,) = told.pairs
    assert (pair.request.at, told.counts["duplicates"]) == (1, 2)


RECORDS = st.lists(
    st.builds(
        Record,
        st.sampled_from("abcdef"),
        st.sampled_from(["request", "response"]),
        st.sampled_from([b"x", b"y"]),
        st.integers(0, 9).map(float),
    ),
    max_size=20,
)


@given(records=RECORDS, patience=st.integers(-1, 10), seed=st.randoms())
def test_every_record_is_accounted_for_once_in_any_order(
    records: list[Record], patience: int, seed: Any
) -> None:
    told = join(records, 9.0, patience)
    paired = sum(1 + (pair.response is not None) for pair in told.pairs)
    dropped = told.counts["unmatched_responses"] + told.counts["duplicates"]
    assert paired + len(told.waiting) + dropped == len(records)
    shuffled = list(records)
    seed.shuffle(shuffled)
    assert join(shuffled, 9.0, patience) == told
