"""Train the demonstration's churn model and write it: ``python -m shiftwatch.demo.train``.

In:    rows of the generator without drift.
Out:   model.onnx: one input per column, outputs `label` and `probabilities`.
Never: is imported by the package; scikit-learn and skl2onnx are there for developers only.

A logistic regression on scaled numbers (nulls of float columns become the median) and one-hot
texts; an unknown or empty text sets none of its columns. On 100 000 fresh rows its AUC is 0.80
without drift and 0.76 at full drift, where the true law itself reaches 0.80 and 0.77.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skl2onnx import to_onnx
from skl2onnx.common.data_types import (
    BooleanTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from shiftwatch.demo import MODEL_PATH
from shiftwatch.demo.generator import FEATURES, LABEL, Drawn, draw

ROWS, SEED = 20_000, 7

FLOATS = ("monthly_charge", "data_gb", "late_days", "satisfaction")
INTEGERS = ("tenure_months", "support_calls")
TEXTS = ("plan", "region", "device")
BOOLEANS = ("autopay",)

_OPSET = {"": 17, "ai.onnx.ml": 3}


def matrix(drawn: Drawn) -> NDArray[np.object_]:
    """Drawn columns side by side as scikit-learn takes them: (rows, features), null text as ''."""
    rows = np.empty((len(drawn[LABEL]), len(FEATURES)), dtype=np.object_)
    for index, name in enumerate(FEATURES):
        values = list(drawn[name])
        rows[:, index] = ["" if value is None else value for value in values]
    return rows


def train() -> Pipeline:
    """The fitted pipeline; the same every time up to the arithmetic of the processor."""
    drawn = draw(ROWS, np.random.default_rng(SEED))
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    columns = ColumnTransformer(
        [
            ("floats", numbers, _places(FLOATS)),
            ("integers", StandardScaler(), _places(INTEGERS)),
            ("booleans", "passthrough", _places(BOOLEANS)),
            ("texts", OneHotEncoder(handle_unknown="ignore"), _places(TEXTS)),
        ]
    )
    pipeline = make_pipeline(columns, LogisticRegression(max_iter=1000))
    return pipeline.fit(matrix(drawn), drawn[LABEL])


def export(pipeline: Pipeline) -> bytes:
    """The pipeline as an ONNX file."""
    model = to_onnx(
        pipeline,
        name="shiftwatch-demo-churn",
        initial_types=[(name, _input_type(name)) for name in FEATURES],
        options={id(pipeline): {"zipmap": False}},
        target_opset=_OPSET,
    )
    content: bytes = model.SerializeToString()
    return content


def _places(names: tuple[str, ...]) -> list[int]:
    return [FEATURES.index(name) for name in names]


def _input_type(name: str) -> Any:
    if name in TEXTS:
        return StringTensorType([None, 1])
    if name in BOOLEANS:
        return BooleanTensorType([None, 1])
    return Int64TensorType([None, 1]) if name in INTEGERS else FloatTensorType([None, 1])


def main(path: Path = MODEL_PATH) -> None:
    """Train and write the model."""
    path.write_bytes(export(train()))
    print(f"wrote {path}, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
