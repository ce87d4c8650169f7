"""What the daemon knows at this moment, as one immutable value.

In:    runs and counts, from the monitor.
Out:   Snapshot, swapped as a whole at the end of each step; scrapes and pages read it.
Never: is changed in place; is computed in a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from shiftwatch.values import Run

MonitorState = Literal["ok", "insufficient_data", "invalid_data", "stale", "error"]
"""Whether the monitor can tell, whatever it tells; label `state` of the metric."""

BATCH_OUTCOMES = ("tested", "too_small", "schema_error", "read_error", "duplicate", "late", "error")
"""What became of a file or batch; label `outcome` of `shiftwatch_batches_total`."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Monotone counts since the daemon started; keys are label values."""

    batches: Mapping[str, int] = field(default_factory=dict)
    """By outcome."""
    tests: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """By (test, outcome); outcome is run, skipped or failed."""
    alarms: Mapping[str, int] = field(default_factory=dict)
    """Alarms raised, by scope."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """Rows tested, by side: reference or current."""
    cpu_seconds: float = 0.0
    stage_seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReferenceInfo:
    """The prepared reference of a model."""

    sha256: str
    schema_sha256: str
    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The loaded ONNX model; empty texts where no model is configured."""

    sha256: str
    opset: str
    producer: str
    runtime: str


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One watched model now.

    ``last_run`` is the newest stored run, also after a restart. ``last_processed_at`` moves only
    when every configured test ran or was skipped for a named reason; None before the first.
    ``fault`` is why the model cannot be watched at all (reference missing, model refused).
    """

    name: str
    tests: tuple[str, ...]
    monitor_state: MonitorState
    last_run: Run | None
    last_processed_at: float | None
    backlog: int
    counts: Counts = field(default_factory=Counts)
    reference: ReferenceInfo | None = None
    model: ModelInfo | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a scrape or a page shows."""

    models: tuple[ModelStatus, ...]
    version: str
    python: str
    series_per_model: int
    reload_successful: bool = True
    reload_at: float | None = None
    checkpoint_at: float | None = None
    ready: bool = False
    ready_reason: str = "starting"
