"""Settings of one watched model: what it reads, what a batch is, what matters.

In:    plain values.
Out:   ModelSettings and its parts.
Never: opens a path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from shiftwatch.places import is_remote
from shiftwatch.settings.fields import (
    NAME,
    FieldError,
    check_at_least,
    check_duration,
    check_path,
    duration_seconds,
)
from shiftwatch.settings.tests import TestsSettings


@dataclass(frozen=True, slots=True)
class FeatureSettings:
    """Which columns are model inputs. Empty ``include`` means: all without another role."""

    include: tuple[str, ...] = ()
    """Columns that are inputs, in the order in which a single tensor takes them."""
    exclude: tuple[str, ...] = ()
    """Columns that are no inputs."""


@dataclass(frozen=True, slots=True)
class ColumnSettings:
    """Roles of columns that are not inputs."""

    id: str | None = None
    """Identifies a row; never tested."""
    time: str | None = None
    """Event time, an Arrow timestamp: orders the batches and cuts time windows."""
    prediction: tuple[str, ...] = ()
    """Logged predictions, watched as columns of scope prediction."""
    label: str | None = None
    """Outcome. Kept out of the inputs; performance is not watched yet."""
    arrival: str | None = None
    """Arrival time, an Arrow timestamp: the seconds since the event time are watched as
    ``NAME.lag``. Needs ``time``."""

    def __post_init__(self) -> None:
        if self.arrival is not None and self.time is None:
            raise FieldError("arrival", "a lag needs the event time too; write `time: NAME`")


@dataclass(frozen=True, slots=True)
class ByRows:
    """A batch is this many consecutive rows."""

    rows: int

    def __post_init__(self) -> None:
        check_at_least("rows", self.rows, 30)


@dataclass(frozen=True, slots=True)
class ByTime:
    """A batch is the rows of one interval of event time, aligned to the epoch, in UTC."""

    time: str

    def __post_init__(self) -> None:
        check_duration("time", self.time)

    @property
    def seconds(self) -> float:
        """Length of the interval in seconds."""
        return duration_seconds(self.time)


@dataclass(frozen=True, slots=True)
class WindowSettings:
    """What makes a batch."""

    by: Literal["file"] | ByRows | ByTime = "file"
    """``file``, ``{rows: N}`` or ``{time: 1h}``."""

    min_rows: int = 30
    """Below this many rows the verdict is ``insufficient_data``."""

    max_rows: int = 50_000
    """Above this many rows a seeded sample is tested: more only make trifles significant."""

    grace: str = "5m"
    """How long a file may be broken, or still be written, before it is judged as ``invalid_data`` and
    quarantined. Until then it is looked at again with growing pauses."""

    def __post_init__(self) -> None:
        check_at_least("min_rows", self.min_rows, 1)
        check_at_least("max_rows", self.max_rows, self.min_rows)
        check_duration("grace", self.grace)

    @property
    def grace_seconds(self) -> float:
        """Seconds since a file's last change during which it may be broken."""
        return duration_seconds(self.grace)


@dataclass(frozen=True, slots=True)
class ToleranceSettings:
    """The smallest shift that matters, in the unit of each test's effect.

    ``suppress``: no alarm for a shift whose upper confidence bound is below the tolerance.
    ``prove``: an alarm only for a shift that is shown to exceed it.
    """

    default: float = 0.02
    """For every test and column that is not named; smaller for ``nulls`` and ``unseen``."""
    mode: Literal["suppress", "prove"] = "suppress"
    """``suppress`` or ``prove``; the latter needs many rows, and finds nothing small."""
    tests: Mapping[str, float] = field(default_factory=dict)
    """By test."""
    columns: Mapping[str, float] = field(default_factory=dict)
    """By column; goes before ``tests``."""

    def __post_init__(self) -> None:
        if not 0 <= self.default < 1:
            raise FieldError("default", f"{self.default} is no effect size; write 0 to 1")


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """What reports may show beyond aggregates."""

    rows: bool = False
    """Whether a report shows up to ten rows of the batch that are the least like the reference.
    They are kept in the history then, so this is off unless somebody asks for it."""


@dataclass(frozen=True, slots=True)
class PayloadSettings:
    """How logged requests and responses become batches, with ``source: kserve``."""

    rows: int = 1000
    """Requests of a batch, about: objects of the log are taken whole, and never more than 2000 of
    them or 64 MB. With a logger that writes an object for each record that is 1000 requests."""
    wait: str = "15m"
    """A batch is made of fewer when the oldest request has waited so long."""
    join: str = "2m"
    """How long a request waits for its response, and a response for its request."""
    columns: tuple[str, ...] = ()
    """Names of the inputs in order, for tensors that name no columns."""
    outputs: tuple[str, ...] = ()
    """The same of the outputs."""
    receive: bool = False
    """Whether the daemon takes CloudEvents at ``POST /events/MODEL``; ``batches`` is then a local
    folder, where they are kept until a batch is made of them."""
    buffer_mb: int = 256
    """Events kept at most; what comes beyond is dropped and counted."""
    forward_to: str | None = None
    """Where received events are passed on to: KServe allows one logger URL."""

    def __post_init__(self) -> None:
        check_at_least("rows", self.rows, 1)
        check_at_least("buffer_mb", self.buffer_mb, 1)
        for name in ("wait", "join"):
            check_duration(name, getattr(self, name))
        if self.forward_to is not None and not self.forward_to.startswith(("http://", "https://")):
            raise FieldError("forward_to", "write http://HOST/PATH or https://HOST/PATH")

    @property
    def wait_seconds(self) -> float:
        """``wait`` in seconds."""
        return duration_seconds(self.wait)

    @property
    def join_seconds(self) -> float:
        """``join`` in seconds."""
        return duration_seconds(self.join)


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """One watched model."""

    name: str
    """Label ``model`` of the metrics; a-z 0-9 _ - only."""
    reference: str
    """Parquet file or folder: what the model was trained or accepted on. A path, or the address of
    an object or a prefix: ``s3://``, ``gs://``, ``abfs://``; so are the next two."""
    batches: str
    """Folder; every new Parquet file below it is looked at."""
    model: str | None = None
    """ONNX file; without it inputs and logged predictions are watched and no model is run."""
    features: FeatureSettings = field(default_factory=FeatureSettings)
    columns: ColumnSettings = field(default_factory=ColumnSettings)
    categorical: tuple[str, ...] = ()
    """Integer columns to be tested as categories; strings and booleans always are."""
    window: WindowSettings = field(default_factory=WindowSettings)
    source: Literal["parquet", "kserve"] = "parquet"
    """What lies in ``batches``: Parquet files with a column a feature, or KServe's payload logs."""
    payloads: PayloadSettings = field(default_factory=PayloadSettings)
    """With ``source: kserve``, how the logs become batches."""
    expect_every: str | None = None
    """Time from one batch to the next, such as ``1h``: after three of them without one the monitor's
    state is ``stale``, and the alert for that needs no figure of its own. None: nothing is said."""
    season: Literal["day", "week"] | None = None
    """Compare a batch with the reference rows of the same hours of the ``day`` or ``week`` (UTC).
    Needs ``columns.time``, and ten days or weeks of reference."""
    tests: TestsSettings = field(default_factory=TestsSettings.all)
    tolerance: ToleranceSettings = field(default_factory=ToleranceSettings)
    report: ReportSettings = field(default_factory=ReportSettings)

    def __post_init__(self) -> None:
        if NAME.fullmatch(self.name) is None:
            raise FieldError("name", f"{self.name!r} has other characters than a-z 0-9 _ -")
        if self.expect_every is not None:
            check_duration("expect_every", self.expect_every)
        if self.season is not None and self.columns.time is None:
            raise FieldError("season", "a season needs `columns: {time: NAME}`")
        for field_name in ("model", "reference", "batches"):
            check_path(field_name, getattr(self, field_name))
        if self.payloads != PayloadSettings() and self.source != "kserve":
            raise FieldError("payloads", "needs `source: kserve`")
        if self.payloads.receive and is_remote(self.batches):
            raise FieldError("batches", "with `payloads: {receive: true}` write a local folder")
        if isinstance(self.window.by, ByTime) and self.columns.time is None:
            raise FieldError("window", "time windows need `columns: {time: NAME}`")

    @property
    def expected_seconds(self) -> float | None:
        """``expect_every`` in seconds."""
        return None if self.expect_every is None else duration_seconds(self.expect_every)

    @property
    def remote(self) -> bool:
        """Whether anything of it lies in a store of objects."""
        return any(is_remote(path) for path in (self.model or "", self.reference, self.batches))
