"""KServe payload logs as its logger writes them: 14 columns, base64 bodies, tiny objects."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

TYPE = "org.kubeflow.serving.inference."
TEXTS = [
    "url",
    "bytes",
    "contentType",
    "reqType",
    "id",
    "sourceUri",
    "inferenceService",
    "namespace",
    "component",
    "endpoint",
    "metadata",
    "annotations",
    "certName",
]
SCHEMA = pa.schema([*((name, pa.string()) for name in TEXTS), ("tlsSkipVerify", pa.bool_())])

DATATYPES = {int: "INT64", float: "FP64", str: "BYTES", bool: "BOOL"}


def record(name: str, kind: str, body: bytes, **changes: object) -> dict[str, object]:
    """A record as the logger marshals it."""
    return {
        **dict.fromkeys(TEXTS, ""),
        "url": "s3://logs",
        "bytes": base64.b64encode(body).decode(),
        "contentType": "application/json",
        "reqType": TYPE + kind,
        "id": name,
        "sourceUri": "http://localhost:9081/",
        "inferenceService": "churn",
        "namespace": "models",
        "component": "predictor",
        "endpoint": "default",
        "tlsSkipVerify": False,
    } | changes


def v2(columns: Mapping[str, Sequence[Any]], key: str = "inputs") -> bytes:
    """A body of the v2 protocol with a tensor a column."""
    tensors = [
        {
            "name": name,
            "shape": [len(values)],
            "datatype": DATATYPES[type(next(v for v in values if v is not None))],
            "data": list(values),
        }
        for name, values in columns.items()
    ]
    return json.dumps({"model_name": "churn", key: tensors}).encode()


def write(folder: Path, name: str, records: Iterable[Mapping[str, object]]) -> Path:
    """An object of the log, put in place whole as a store does."""
    path = folder / "models" / "churn" / "predictor" / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".tmp")
    pq.write_table(pa.Table.from_pylist(list(records), SCHEMA), unfinished)
    unfinished.replace(path)
    return path


def asked_and_answered(
    name: str, inputs: Mapping[str, Sequence[Any]], scores: Sequence[float]
) -> list[dict[str, object]]:
    """A request with its response."""
    return [
        record(name, "request", v2(inputs)),
        record(name, "response", v2({"score": scores}, "outputs")),
    ]
