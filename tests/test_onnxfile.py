"""Hostile model files: weights named where exporters do not put them, and messages without end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from onnx import load as load_model

from shiftwatch.errors import ModelError
from shiftwatch.model import OnnxModel, onnxfile
from tests.onnx_models import constant, echo, node, outside, save, tensor


def in_a_constant(weights: Any, model: Any) -> None:
    model.graph.node[0].CopyFrom(node("Constant", [], ["weights"], value=weights))
    model.graph.node.append(node("MatMul", ["x", "weights"], ["y"]))


def in_a_branch(weights: Any, model: Any) -> None:
    branch = helper.make_graph(
        [node("Identity", ["inner"], ["out"])], "b", [], [tensor("out", "float", [2, 1])], [weights]
    )
    branch.initializer[0].name = "inner"
    chosen = node("If", ["yes"], ["weights"], then_branch=branch, else_branch=branch)
    model.graph.initializer.append(constant("yes", np.array(1, bool)))
    model.graph.node.insert(0, chosen)


def in_a_sparse_tensor(weights: Any, model: Any) -> None:
    weights.dims[:] = [2]
    places = constant("weights_places", np.array([0, 1], np.int64))
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(weights, places, [2, 1]))


def in_a_function(weights: Any, model: Any) -> None:
    body = [node("Constant", [], ["w"], value=weights), node("MatMul", ["a", "w"], ["b"])]
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("local", "Scale", ["a"], ["b"], body, opsets))
    model.opset_import.append(helper.make_opsetid("local", 1))
    model.graph.node[0].CopyFrom(node("Scale", ["x"], ["y"], domain="local"))


HIDDEN = [in_a_constant, in_a_branch, in_a_sparse_tensor, in_a_function]


def hiding(path: Path, location: str, hide: Callable[[Any, Any], None]) -> str:
    """A model with weights in another file, named where exporters do not put them."""
    save(
        path,
        [node("MatMul", ["x", "weights"], ["y"])],
        [tensor("x", "float", ["N", 2])],
        [tensor("y", "float", ["N", 1])],
    )
    model = load_model(str(path), load_external_data=False)
    hide(outside("weights", location, [2, 1]), model)
    path.write_bytes(model.SerializeToString())
    return str(path)


@pytest.mark.parametrize("hide", HIDDEN)
def test_weights_outside_the_folder_are_found_wherever_they_are_named(
    tmp_path: Path, hide: Callable[[Any, Any], None]
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "w.bin").write_bytes(np.ones(2, np.float32).tobytes())
    path = hiding(tmp_path / "model" / "m.onnx", "../w.bin", hide)
    with pytest.raises(ModelError, match="outside the model's folder"):
        OnnxModel.load(path)


@pytest.mark.parametrize("hide", HIDDEN)
def test_weights_beside_the_model_are_part_of_its_identity_wherever_they_are_named(
    tmp_path: Path, hide: Callable[[Any, Any], None]
) -> None:
    path = hiding(tmp_path / "m.onnx", "w.bin", hide)
    identities = set()
    for factor in (1.0, 3.0):
        (tmp_path / "w.bin").write_bytes(np.full(2, factor, np.float32).tobytes())
        identities.add(onnxfile.read(path).sha256)
    assert len(identities) == 2


def test_a_graph_that_is_there_twice_hides_nothing(tmp_path: Path) -> None:
    """Protobuf merges the two, so the weights of the first are read."""
    (tmp_path / "model").mkdir()
    (tmp_path / "w.bin").write_bytes(np.ones(2, np.float32).tobytes())
    path = Path(hiding(tmp_path / "model" / "m.onnx", "../w.bin", in_a_constant))
    harmless = Path(echo(tmp_path / "echo.onnx", z=("float", ["N", 1])))
    path.write_bytes(path.read_bytes() + harmless.read_bytes())
    with pytest.raises(ModelError, match="outside the model's folder"):
        OnnxModel.load(str(path))


def test_graphs_in_each_other_without_end_are_refused(tmp_path: Path) -> None:
    inner = b""
    for _ in range(3000):  # a graph in an attribute of a node of a graph
        for field in (6, 5, 1):
            inner = bytes([field << 3 | 2]) + _varint(len(inner)) + inner
    path = tmp_path / "deep.onnx"
    path.write_bytes(bytes([7 << 3 | 2]) + _varint(len(inner)) + inner)
    with pytest.raises(ModelError, match="is not an ONNX model"):
        OnnxModel.load(str(path))


def _varint(value: int) -> bytes:
    groups = [value >> shift & 0x7F for shift in range(0, max(1, value.bit_length()), 7)]
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])
