"""What is kept of a reference: prepared anew whenever it must be, and not otherwise."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shiftwatch import watch as house
from shiftwatch.errors import DataError, ModelError
from shiftwatch.requests import Context
from shiftwatch.settings import (
    AlarmSettings,
    ColumnSettings,
    FalseAlarmSettings,
    FeatureSettings,
    KsSettings,
    ModelSettings,
    TestsSettings,
)
from tests.onnx_models import linear

WEIGHTS = np.array([[1.0], [2.0]], dtype=np.float32)


def _reference(path: Path, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    content = {"a": rng.normal(size=200), "b": rng.normal(size=200), "n": rng.integers(0, 5, 200)}
    pq.write_table(pa.table(content), path)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    _reference(tmp_path / "reference.parquet")
    settings = ModelSettings(
        name="m",
        model=linear(tmp_path / "model.onnx", WEIGHTS, 2),
        reference=str(tmp_path / "reference.parquet"),
        batches=str(tmp_path / "batches"),
        features=FeatureSettings(include=("a", "b")),
        tests=TestsSettings(ks=KsSettings()),
    )
    return Context(settings, AlarmSettings(), 0, str(tmp_path / "cache"), "test")


def _fingerprint(context: Context) -> str:
    """Load, and name the folder in which the prepared reference lies afterwards."""
    house.load(context)
    (folder,) = (Path(context.cache) / context.model.name).iterdir()
    return folder.name


def _with(context: Context, **changes: object) -> Context:
    return replace(context, model=replace(context.model, **changes))  # type: ignore[arg-type] # fields by name


def _other_reference(context: Context) -> Context:
    _reference(Path(context.model.reference), seed=1)
    return context


def _other_model(context: Context) -> Context:
    assert context.model.model is not None
    linear(Path(context.model.model), 2 * WEIGHTS, 2)
    return context


CHANGES: dict[str, Callable[[Context], Context]] = {
    "reference bytes": _other_reference,
    "model bytes": _other_model,
    "seed": lambda context: replace(context, seed=1),
    "tests": lambda context: _with(context, tests=TestsSettings.all()),
    "features": lambda context: _with(context, features=FeatureSettings(include=("b", "a"))),
    "roles": lambda context: _with(context, columns=ColumnSettings(id="n")),
    "categories": lambda context: _with(context, categorical=("n",)),
    "no model": lambda context: _with(context, model=None),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_changes_the_reference_has_it_prepared_anew(
    context: Context, change: Callable[[Context], Context]
) -> None:
    before = _fingerprint(context)
    assert _fingerprint(change(context)) != before


def _moved(context: Context) -> Context:
    old = Path(context.model.reference)
    new = old.parent / "elsewhere"
    new.mkdir()
    shutil.copy(old, new / "r.parquet")
    shutil.copy(old.with_name("model.onnx"), new / "m.onnx")
    return _with(context, reference=str(new / "r.parquet"), model=str(new / "m.onnx"))


KEPT: dict[str, Callable[[Context], Context]] = {
    "nothing": lambda context: context,
    "folder of batches": lambda context: _with(context, batches="elsewhere"),
    "files moved": _moved,
    "level": lambda context: replace(context, alarms=AlarmSettings(FalseAlarmSettings(50))),
}


@pytest.mark.parametrize("change", KEPT.values(), ids=KEPT)
def test_what_does_not_change_the_reference_reuses_the_cache(
    context: Context, change: Callable[[Context], Context]
) -> None:
    before = _fingerprint(context)
    index = Path(context.cache) / "m" / before / "index.json"
    stamp = index.stat().st_ino, index.stat().st_mtime_ns
    assert _fingerprint(change(context)) == before
    assert (index.stat().st_ino, index.stat().st_mtime_ns) == stamp


def test_another_version_of_a_library_prepares_anew(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _fingerprint(context)
    monkeypatch.setattr(house, "versions", lambda: {"numpy": "99.0"})
    assert _fingerprint(context) != before


def test_without_a_cache_the_reference_is_the_same_and_nothing_is_written(
    context: Context, tmp_path: Path
) -> None:
    kept = house.load(context).reference
    before = sorted(tmp_path.rglob("*"))
    made = house.load(replace(context, cache="")).reference
    assert sorted(tmp_path.rglob("*")) == before
    assert made.schema == kept.schema
    assert json.loads(json.dumps(made.to_plain()[1])) == json.loads(json.dumps(kept.to_plain()[1]))
    assert made.arrays.keys() == kept.arrays.keys()
    for name, array in made.arrays.items():
        np.testing.assert_array_equal(array, kept.arrays[name])


def test_a_damaged_cache_is_prepared_again(context: Context) -> None:
    before = _fingerprint(context)
    (arrays,) = (Path(context.cache) / "m" / before).glob("arrays-*.bin")
    arrays.write_bytes(b"")
    again = house.load(context)
    assert again.reference.rows == 200
    assert again.reference.prepared("ks", "input", "a").arrays


def test_a_worker_loads_a_context_once_and_forgets_the_oldest(context: Context) -> None:
    first = house.watch(context)
    assert house.watch(context) is first
    for seed in range(1, 9):
        house.watch(replace(context, seed=seed))
    assert house.watch(context) is not first
    assert len(house._OPEN) <= 8


def test_predictions_lie_beside_the_inputs_and_keep_apart_from_logged_ones(
    context: Context, tmp_path: Path
) -> None:
    content = pq.read_table(tmp_path / "reference.parquet")
    pq.write_table(content.append_column("score", content.column("a")), context.model.reference)
    logged = _with(context, columns=ColumnSettings(prediction=("score",)))
    roles = {c.name: c.role for c in house.load(logged).reference.schema}
    assert roles == {
        "a": "input",
        "b": "input",
        "n": "ignored",
        "score": "prediction",
        "score (model)": "prediction",
    }


def test_what_cannot_be_loaded_is_named(context: Context, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.onnx"):
        house.load(_with(context, model=str(tmp_path / "none.onnx")))
    with pytest.raises(DataError, match=r"none\.parquet"):
        house.load(_with(context, reference=str(tmp_path / "none.parquet")))
    with pytest.raises(ModelError, match="takes 2 columns a row and there are 3"):
        house.load(_with(context, features=FeatureSettings()))
    with pytest.raises(DataError, match="no column 'zz'"):
        house.load(_with(context, features=FeatureSettings(include=("zz",))))


def test_the_facts_for_the_metrics_follow_the_schema(context: Context) -> None:
    info = house.load(context).info()
    other = house.load(_with(context, model=None)).info()
    assert (info.reference.rows, info.reference.columns) == (200, 4)
    assert (other.reference.columns, other.model) == (3, None)
    assert info.reference.sha256 == other.reference.sha256
    assert info.reference.schema_sha256 != other.reference.schema_sha256
    assert info.tests == ("ks", "nulls", "unseen", "distinct")
