"""Small ONNX models, built node by node."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

ELEMENTS: dict[str, int] = {
    "float": TensorProto.FLOAT,
    "double": TensorProto.DOUBLE,
    "int64": TensorProto.INT64,
    "int32": TensorProto.INT32,
    "uint8": TensorProto.UINT8,
    "bool": TensorProto.BOOL,
    "string": TensorProto.STRING,
}

Dimensions = Sequence[int | str | None]


def tensor(name: str, element: str, shape: Dimensions) -> Any:
    return helper.make_tensor_value_info(name, ELEMENTS[element], list(shape))


def node(
    operator: str, inputs: Sequence[str], outputs: Sequence[str], domain: str = "", **facts: Any
) -> Any:
    return helper.make_node(operator, list(inputs), list(outputs), domain=domain, **facts)


def constant(name: str, values: NDArray[Any]) -> Any:
    return numpy_helper.from_array(values, name)


def outside(name: str, location: str, shape: Sequence[int]) -> Any:
    """A float32 constant whose values lie in another file."""
    weights = constant(name, np.zeros(shape, dtype=np.float32))
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", location
    return weights


def save(
    path: Path,
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    constants: Sequence[Any] = (),
    domains: Sequence[str] = (),
) -> str:
    """Write the model; the path as text."""
    graph = helper.make_graph(list(nodes), "made", list(inputs), list(outputs), list(constants))
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(name, 1) for name in domains)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="tests")
    path.write_bytes(model.SerializeToString())
    return str(path)


def echo(path: Path, **inputs: tuple[str, Dimensions]) -> str:
    """A model that answers every input ``x`` unchanged as ``x_out``."""
    return save(
        path,
        [node("Identity", [name], [f"{name}_out"]) for name in inputs],
        [tensor(name, *declared) for name, declared in inputs.items()],
        [tensor(f"{name}_out", *declared) for name, declared in inputs.items()],
    )


def linear(path: Path, weights: NDArray[np.float32], width: int | str | None) -> str:
    """``score = features @ weights`` with features of shape [N, width]."""
    return save(
        path,
        [node("MatMul", ["features", "weights"], ["score"])],
        [tensor("features", "float", ["N", width])],
        [tensor("score", "float", ["N", weights.shape[1]])],
        [constant("weights", weights)],
    )
