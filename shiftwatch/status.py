"""What the daemon knows at this moment, as one immutable value.

In:    runs and counts, from the monitor.
Out:   Snapshot, swapped as a whole at the end of each step; scrapes and pages read it.
Never: is changed in place; is computed in a request.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from shiftwatch.price import DayCost
from shiftwatch.quarantine import Broken
from shiftwatch.values import Annotation, Run

MonitorState = Literal["ok", "insufficient_data", "invalid_data", "stale", "error"]
"""Whether the monitor can tell, whatever it tells; label `state` of the metric."""

BATCH_OUTCOMES = ("tested", "too_small", "schema_error", "read_error", "duplicate", "late", "error")
"""What became of a file or batch; label `outcome` of `shiftwatch_batches_total`."""


SCHEDULE_EVENTS = ("missed", "overlapped", "failed", "clock_step")
"""What may happen to a tick; label `event` of `shiftwatch_schedule_events_total`."""

REFUSALS = ("unauthorized", "forbidden", "too_many", "misdirected", "no_tokens")
"""Why a request is refused; label `reason` of `shiftwatch_http_requests_refused_total`."""

EVENT_DROPS = (
    "full",
    "disk",
    "busy",
    "too_large",
    "malformed",
    "forward_full",
    "forward_failed",
)
"""Why a received event was not kept, or not passed on; label `reason` of
`shiftwatch_events_dropped_total`."""

TEST_SECONDS_BOUNDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Upper bounds of the buckets of `shiftwatch_test_duration_seconds`, besides infinity."""

BATCH_SECONDS_BOUNDS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""The same of `shiftwatch_batch_duration_seconds`; a batch may take ``limits.seconds``."""


@dataclass(frozen=True, slots=True)
class Exemplar:
    """The newest batch that was counted: whose report says more.

    ``at`` is in unix seconds; ``value`` what was observed, 1 for an event.
    """

    batch_id: str
    value: float
    at: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often a value was at most each bound; the last count is that of all."""

    bounds: tuple[float, ...] = TEST_SECONDS_BOUNDS
    buckets: tuple[int, ...] = ()
    """Cumulative, one for each bound and one for infinity."""
    total: float = 0.0
    exemplars: tuple[Exemplar | None, ...] = ()
    """For each bucket the newest value that lies in it and in none before."""

    def __post_init__(self) -> None:
        for name, empty in (("buckets", 0), ("exemplars", None)):
            given = getattr(self, name) or (empty,) * (len(self.bounds) + 1)
            object.__setattr__(self, name, given)

    def with_value(self, value: float, batch_id: str = "", at: float = 0.0) -> Histogram:
        """One more value, and whose it was.

        Examples
        --------
        >>> Histogram((0.1, 1.0)).with_value(0.5, "7c1d").buckets
        (0, 1, 1)
        """
        place = bisect_left(self.bounds, value)
        exemplars = list(self.exemplars)
        exemplars[place] = Exemplar(batch_id, value, at) if batch_id else exemplars[place]
        return replace(
            self,
            buckets=tuple(count + (n >= place) for n, count in enumerate(self.buckets)),
            total=self.total + value,
            exemplars=tuple(exemplars),
        )


def added(parts: Sequence[Histogram]) -> Histogram:
    """The sum of histograms of the same bounds, with the newest exemplar of each bucket.

    Examples
    --------
    >>> one = Histogram((0.1, 1.0)).with_value(0.5)
    >>> added((one, one)).buckets
    (0, 2, 2)
    """
    return replace(
        parts[0],
        buckets=tuple(map(sum, zip(*(part.buckets for part in parts), strict=True))),
        total=sum(part.total for part in parts),
        exemplars=tuple(map(newest, zip(*(part.exemplars for part in parts), strict=True))),
    )


def newest(exemplars: Iterable[Exemplar | None]) -> Exemplar | None:
    """The newest of those there are."""
    known = [exemplar for exemplar in exemplars if exemplar is not None]
    return max(known, key=lambda exemplar: exemplar.at, default=None)


@dataclass(frozen=True, slots=True)
class Counts:
    """Monotone counts since the daemon started; keys are label values."""

    batches: Mapping[str, int] = field(default_factory=dict)
    """By outcome."""
    tests: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """By (test, outcome); outcome is run, skipped or failed."""
    alarms: Mapping[str, int] = field(default_factory=dict)
    """Alarms raised, by scope."""
    raised: Mapping[str, Exemplar] = field(default_factory=dict)
    """The last batch that raised one, by scope."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """Rows tested, by side: reference or current."""
    cpu_seconds: float = 0.0
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    test_seconds: Mapping[str, Histogram] = field(default_factory=dict)
    """CPU seconds of a test in a check, by test."""
    batch_seconds: Histogram = field(default_factory=lambda: Histogram(BATCH_SECONDS_BOUNDS))
    """Seconds from asking for a check to its answer."""
    energy_joules: Mapping[str, float] = field(default_factory=dict)
    """By source."""
    payloads: Mapping[str, int] = field(default_factory=dict)
    """Logged records by what became of them; empty where batches are not made of a log."""
    malformed: Mapping[str, int] = field(default_factory=dict)
    """Logged records that could not be used, by reason."""
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
    series_dropped: int = 0
    """Pairs of column and test that had no series, summed over the checks."""

    def costs_with(self, other: Counts) -> Counts:
        """Both together, of what is told as a sum over all models and of nothing else.

        Examples
        --------
        >>> one = Counts(stage_seconds={"read": 0.5}, cpu_seconds=0.5)
        >>> both = one.costs_with(one)
        >>> both.stage_seconds, both.cpu_seconds
        ({'read': 1.0}, 0.0)
        """
        return Counts(
            stage_seconds=_sums(self.stage_seconds, other.stage_seconds),
            energy_joules=_sums(self.energy_joules, other.energy_joules),
            test_seconds={
                test: added(
                    [each[test] for each in (self.test_seconds, other.test_seconds) if test in each]
                )
                for test in {**self.test_seconds, **other.test_seconds}
            },
        )


def _sums(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {key: one.get(key, 0.0) + other.get(key, 0.0) for key in {**one, **other}}


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
    logged: bool = False
    """Whether its batches are made of a log of requests and responses."""
    expected_seconds: float | None = None
    """Seconds from a batch to the next, as configured; None where that was not said."""
    day: DayCost | None = None
    """What the checks of the 24 hours up to the last one took; None before the first."""


@dataclass(frozen=True, slots=True)
class Inbox:
    """Events received for a model since the daemon started; ``buffered`` is what waits now."""

    received: int
    dropped: Mapping[str, int]
    buffered: int


@dataclass(frozen=True, slots=True)
class Around:
    """Counts of what happens around the models."""

    schedule_events: Mapping[str, int] = field(default_factory=dict)
    """Ticks that did not go to plan, by :data:`SCHEDULE_EVENTS`."""
    refused: Mapping[str, int] = field(default_factory=dict)
    """Requests that were not answered, by :data:`REFUSALS`."""
    inboxes: Mapping[str, Inbox] = field(default_factory=dict)
    """Of the models that receive events."""
    words: tuple[Annotation, ...] = ()
    """What operators have said of a model that is in force now."""


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
    departed: Counts = field(default_factory=Counts)
    """Costs of models that were removed: a sum over all models must not fall when one goes."""
    around: Around = field(default_factory=Around)
    """What happened outside of any model since the start."""
    ready: bool = False
    ready_reason: str = "starting"
