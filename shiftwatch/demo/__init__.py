"""The demonstration: a made-up subscription service whose customers slowly change.

In:    a seed, the size of a batch, how far the drift has gone.
Out:   a reference, batches, and the path of a small model; see `generator` and `train`.
Never: imports numpy, pyarrow or scikit-learn itself; its modules do.
"""

from __future__ import annotations

from pathlib import Path

MODEL_PATH = Path(__file__).with_name("model.onnx")
"""The churn model made by ``python -m shiftwatch.demo.train``."""

CONFIG = """\
# The configuration of the demo: what a first one of your own may look like.
models:
  - name: churn
    model: model.onnx
    reference: reference.parquet
    batches: batches/
    columns: {{time: event_time, label: churned}}
schedule: {{every: 1s}}
web: {{listen: "{listen}"}}
"""
"""To be formatted with the address to listen on."""
