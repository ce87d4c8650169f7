"""What the daemon knows at this moment, as one immutable value.

In:    runs and counts, from the monitor.
Out:   Snapshot, swapped as a whole at the end of each step; scrapes and pages read it.
Never: is changed in place; is computed in a request.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from shiftwatch.price import DayCost
from shiftwatch.quarantine import Broken
from shiftwatch.values import Run

MonitorState = Literal["ok", "insufficient_data", "invalid_data", "stale", "error"]
"""Whether the monitor can tell, whatever it tells; label `state` of the metric."""

BATCH_OUTCOMES = ("tested", "too_small", "schema_error", "read_error", "duplicate", "late", "error")
"""What became of a file or batch; label `outcome` of `shiftwatch_batches_total`."""


TEST_SECONDS_BOUNDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Upper bounds of the buckets of `shiftwatch_test_duration_seconds`, besides infinity."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often a value was at most each bound; the last count is that of all."""

    buckets: tuple[int, ...] = (0,) * (len(TEST_SECONDS_BOUNDS) + 1)
    """Cumulative, one for each of :data:`TEST_SECONDS_BOUNDS` and one for infinity."""
    total: float = 0.0

    def with_value(self, value: float) -> Histogram:
        """One more value.

        Examples
        --------
        >>> Histogram().with_value(0.02).buckets
        (0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1)
        """
        bounds = (*TEST_SECONDS_BOUNDS, math.inf)
        counted = zip(self.buckets, bounds, strict=True)
        return Histogram(
            tuple(count + (value <= bound) for count, bound in counted), self.total + value
        )


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
    test_seconds: Mapping[str, Histogram] = field(default_factory=dict)
    """CPU seconds of a test in a check, by test."""
    energy_joules: Mapping[str, float] = field(default_factory=dict)
    """By source."""
    worker_deaths: int = 0
    """Workers that ended without an answer; what they were asked was asked again."""
    quarantined: Mapping[str, int] = field(default_factory=dict)
    """Files put into quarantine, by reason."""
    degraded: Mapping[str, int] = field(default_factory=dict)
    """Checks that were made smaller to end within the limit, by step."""
    findings: Mapping[str, int] = field(default_factory=dict)
    """Facts about the data, by code of ``values.FINDING_CODES``."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Tests that did not run on a target, by reason of ``values.SKIP_REASONS``."""


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
    oldest_at: float | None = None
    """When the oldest file that waits was last changed, in unix seconds; None where none waits."""
    quarantined: int = 0
    """Broken files that were given up and still lie in the folder."""
    retried: int = 0
    """Broken files that are looked at again before they are given up."""
    broken: tuple[Broken, ...] = ()
    """The first of both, the quarantined before the others."""
    day: DayCost | None = None
    """What the checks of the 24 hours up to the last one took; None before the first."""


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
    set_aside: int = 0
    """Damaged histories that lie beside the one in force."""
    ready: bool = False
    ready_reason: str = "starting"
