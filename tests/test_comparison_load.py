"""Comparisons beside the daemon's own work: scrapes are answered and due batches judged meanwhile."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.test_daemon import Running, _when_done, running, until

pytestmark = pytest.mark.slow

CONFIG = """models:
  - {name: wide, reference: reference.parquet, batches: batches/}
  - {name: small, reference: small.parquet, batches: small/}
schedule: {every: 1s}
store: {path: h.db}
web: {listen: "127.0.0.1:0"}
"""
FILES, ASKED = 4, 5


def table(rng: np.random.Generator, rows: int, columns: int) -> pa.Table:
    return pa.table({f"x{index}": rng.normal(size=rows) for index in range(columns)})


def ids(daemon: Running, model: str, count: int) -> list[str] | None:
    found = daemon.json(f"/api/v1/models/{model}/batches")["batches"]
    return [batch["batch_id"] for batch in found] if len(found) >= count else None


def test_while_comparisons_run_scrapes_are_answered_and_due_batches_judged(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    for name in ("batches", "small"):
        (tmp_path / name).mkdir()
    pq.write_table(table(rng, 20_000, 30), tmp_path / "reference.parquet")
    pq.write_table(table(rng, 500, 1), tmp_path / "small.parquet")
    for index in range(FILES):
        pq.write_table(table(rng, 10_000, 30), tmp_path / "batches" / f"{index}.parquet")
    (tmp_path / "shiftwatch.yml").write_text(CONFIG, encoding="utf-8")
    with running(tmp_path) as daemon:
        stored = until(partial(ids, daemon, "wide", FILES))
        path = "/api/v1/models/wide/comparisons"
        sides = [(one, other) for one in stored for other in stored if one < other][:ASKED]
        asked = [
            json.loads(
                daemon.post(path, {"current": {"first": one}, "reference": {"first": other}})[1]
            )
            for one, other in sides
        ]
        pq.write_table(table(rng, 200, 1), tmp_path / "small" / "due.parquet")
        until(partial(ids, daemon, "small", 1))
        states = [daemon.json(each["status_url"])["status"] for each in asked]
        assert states[-1] in ("queued", "running"), "the batch did not wait for all of them"
        assert 'shiftwatch_batches_total{model="small"' in daemon.get("/metrics")
        for each in asked:
            done = until(partial(_when_done, daemon, each["status_url"]))
            assert done["status"] == "done", done
