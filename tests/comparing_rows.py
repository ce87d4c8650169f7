"""Two tables with a column of every kind, and what is compared of reports on them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa


class Stream:
    """Anything that offers itself as an Arrow stream, as data frames do."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


def made(seed: int, rows: int, shift: float = 0.0) -> pa.Table:
    """Columns of every kind, with nulls and NaN."""
    rng = np.random.default_rng(seed)
    x = rng.normal(shift, size=rows)
    x[::17] = np.nan
    cities = rng.choice(["Oslo", "Rome", "Lima"], size=rows, p=[0.5, 0.3, 0.2])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return pa.table(
        {
            "x": pa.array(x),
            "n": pa.array(rng.integers(0, 1000, rows), pa.int64(), mask=rng.random(rows) < 0.05),
            "small": pa.array(rng.normal(size=rows).astype(np.float32)),
            "city": pa.array(cities.tolist()),
            "coded": pa.array(cities.tolist()).dictionary_encode(),
            "yes": pa.array(rng.random(rows) < 0.4),
            "price": pa.array([Decimal(int(v)) / 100 for v in rng.integers(0, 9999, rows)]),
            "when": pa.array([start + timedelta(minutes=int(m)) for m in range(rows)]),
            "nested": pa.array([[1, 2]] * rows),
        }
    )


def told(report: Any) -> list[tuple[Any, ...]]:
    fields = ("test", "target", "statistic", "p_value", "effect", "skipped")
    return [tuple(result[name] for name in fields) for result in report.results]
