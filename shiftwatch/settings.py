"""What can be set, with defaults, units and reasons: the configuration as values.

In:    plain values, from the configuration file or from Python.
Out:   frozen settings every room can read.
Never: reads a file; knows YAML or pydantic.

A fault in a single value raises :class:`FieldError`, which names the field, so that the
configuration can point at its line.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from shiftwatch.places import check_address, is_remote

_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[smhd])")
_UNIT_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NAME = re.compile(r"[a-z0-9_-]+")
_LONGEST_SECONDS = 10 * 365 * 86400.0


class FieldError(ValueError):
    """A value that cannot be used: which field, and what would be right."""

    def __init__(self, field_name: str, message: str) -> None:
        super().__init__(message)
        self.field = field_name
        self.message = message


def duration_seconds(text: str) -> float:
    """Seconds of a duration such as ``30s``, ``5m``, ``1h`` or ``7d``.

    Raises
    ------
    ValueError
        If the text is not a positive number followed by one of s, m, h, d, or says more than ten
        years.

    Examples
    --------
    >>> duration_seconds("5m")
    300.0
    """
    match = _DURATION.fullmatch(text)
    if match is None or float(match["number"]) == 0:
        message = f"{text!r} is not a duration; write for example 30s, 5m, 1h or 7d"
        raise ValueError(message)
    seconds = float(match["number"]) * _UNIT_SECONDS[match["unit"]]
    if seconds > _LONGEST_SECONDS:
        message = f"{text!r} is more than ten years; write for example 30s, 5m, 1h or 7d"
        raise ValueError(message)
    return seconds


def _check_duration(field_name: str, text: str) -> None:
    try:
        duration_seconds(text)
    except ValueError as fault:
        raise FieldError(field_name, str(fault)) from None


def _check_at_least(field_name: str, value: float, minimum: float) -> None:
    if not value >= minimum:  # so that NaN is refused as well
        raise FieldError(field_name, f"{value} is too small; write {minimum} or more")


def _check_at_most(field_name: str, value: float, maximum: float) -> None:
    if value > maximum:
        raise FieldError(field_name, f"{value} is too large; write {maximum} or less")


def _check_path(field_name: str, path: str | None) -> None:
    if path is not None and is_remote(path):
        try:
            check_address(path)
        except ValueError as fault:
            raise FieldError(field_name, str(fault)) from None


@dataclass(frozen=True, slots=True)
class KsSettings:
    """Kolmogorov-Smirnov, per numeric column: nothing to set yet."""


@dataclass(frozen=True, slots=True)
class ChiSquareSettings:
    """Chi-square, per categorical or boolean column."""

    max_draws: int = 20_000
    """Monte-Carlo draws at most, where expected counts are small. A p-value below 1/max_draws
    comes from the tail of a gamma law fitted to the draws."""

    buckets: int = 64
    """Columns with more than ``max_categories`` categories are hashed into this many buckets."""

    max_categories: int = 1000
    """Above this many reference categories, buckets are tested instead: label-free, so exact."""

    def __post_init__(self) -> None:
        _check_at_least("max_draws", self.max_draws, 999)
        _check_at_least("buckets", self.buckets, 2)
        _check_at_least("max_categories", self.max_categories, 2)


@dataclass(frozen=True, slots=True)
class MmdSettings:
    """Maximum mean discrepancy, jointly over all columns of a scope."""

    permutations: int = 999
    """Permutations of the labels. The p-value is exact down to 1/(permutations + 1); below, it
    comes from a tail fitted to the permutations and is held to be no smaller than they bear out."""

    features: int = 256
    """Random Fourier features per bandwidth, even; up to four bandwidths are used. More follow the
    exact kernel more closely; with two columns 512 had no more power than 256. With ``kernel: median``
    they only name rows and columns."""

    max_rows: int = 5000
    """Rows of each side at most; more are subsampled by seed and the report says so."""

    kernel: Literal["aggregate", "median"] = "aggregate"
    """``aggregate``: several widths of the kernel with random features, combined; finds most.
    ``median``: one Gaussian kernel at the median distance, exact; plain MMD as it is in papers."""

    def __post_init__(self) -> None:
        _check_at_least("permutations", self.permutations, 99)
        _check_at_least("features", self.features, 8)
        _check_at_least("max_rows", self.max_rows, 100)
        if self.features % 2:
            raise FieldError("features", f"{self.features} is odd; write an even number")


@dataclass(frozen=True, slots=True)
class ClassifierSettings:
    """Classifier two-sample test, jointly over all columns of a scope."""

    learner: Literal["ridge", "trees"] = "ridge"
    """``ridge``: closed form in numpy, finds shifts of means, spreads and correlations. ``trees``:
    boosted trees, find interactions too, but only half of the rows test; needs scikit-learn."""

    permutations: int = 999
    """Permutations of the labels. The p-value is exact down to 1/(permutations + 1)."""

    max_rows: int = 5000
    """Rows of each side at most; more are subsampled by seed and the report says so."""

    def __post_init__(self) -> None:
        _check_at_least("permutations", self.permutations, 99)
        _check_at_least("max_rows", self.max_rows, 100)


@dataclass(frozen=True, slots=True)
class NullsSettings:
    """Difference of null rates, per column: nothing to set yet."""


@dataclass(frozen=True, slots=True)
class UnseenSettings:
    """Share of rows in categories the reference has never had: nothing to set yet."""


@dataclass(frozen=True, slots=True)
class DistinctSettings:
    """Number of distinct values, per categorical column of many: nothing to set yet."""


@dataclass(frozen=True, slots=True)
class TestsSettings:
    """Which tests run. One that is left out of a given ``tests:`` is off.

    ``nulls``, ``unseen`` and ``distinct`` watch the quality of the data and are on unless set to
    null.
    """

    __test__ = False  # not a pytest class

    ks: KsSettings | None = None
    chi2: ChiSquareSettings | None = None
    mmd: MmdSettings | None = None
    c2st: ClassifierSettings | None = None
    nulls: NullsSettings | None = field(default_factory=NullsSettings)
    unseen: UnseenSettings | None = field(default_factory=UnseenSettings)
    distinct: DistinctSettings | None = field(default_factory=DistinctSettings)

    @classmethod
    def all(cls) -> TestsSettings:
        """Every test with its defaults: what runs when ``tests:`` is not given."""
        return cls(KsSettings(), ChiSquareSettings(), MmdSettings(), ClassifierSettings())


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
        _check_at_least("rows", self.rows, 30)


@dataclass(frozen=True, slots=True)
class ByTime:
    """A batch is the rows of one interval of event time, aligned to the epoch, in UTC."""

    time: str

    def __post_init__(self) -> None:
        _check_duration("time", self.time)

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
        _check_at_least("min_rows", self.min_rows, 1)
        _check_at_least("max_rows", self.max_rows, self.min_rows)
        _check_duration("grace", self.grace)

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
        _check_at_least("rows", self.rows, 1)
        _check_at_least("buffer_mb", self.buffer_mb, 1)
        for name in ("wait", "join"):
            _check_duration(name, getattr(self, name))
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

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise FieldError("name", f"{self.name!r} has other characters than a-z 0-9 _ -")
        if self.expect_every is not None:
            _check_duration("expect_every", self.expect_every)
        if self.season is not None and self.columns.time is None:
            raise FieldError("season", "a season needs `columns: {time: NAME}`")
        for field_name in ("model", "reference", "batches"):
            _check_path(field_name, getattr(self, field_name))
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


@dataclass(frozen=True, slots=True)
class FalseAlarmSettings:
    """The promise: at most one expected false alarm of a model in so many checks, or days."""

    per_checks: int | None = None
    """Checks of a model per expected false alarm at most; 1000 by default."""
    per_days: float | None = None
    """The same in days: a check may then spend in proportion to the time since the one before."""

    def __post_init__(self) -> None:
        if self.per_days is not None:
            if self.per_checks is not None:
                raise FieldError("per_days", "write either per_checks or per_days")
            _check_at_least("per_days", self.per_days, 0.1)
            _check_at_most("per_days", self.per_days, 36500)
        if self.per_checks is not None:
            _check_at_least("per_checks", self.per_checks, 2)


@dataclass(frozen=True, slots=True)
class AlarmSettings:
    """When an alarm may rise."""

    false_alarms: FalseAlarmSettings = field(default_factory=lambda: FalseAlarmSettings(1000))
    memory: Literal["cusum", "e-process", "none"] = "cusum"
    """The slow layers over past batches: windows, and charts against a growing pool. ``cusum`` finds
    small shifts soonest; ``e-process`` needs longer and rests on a theorem; ``none`` leaves the
    whole level to the single check."""

    @property
    def per_checks(self) -> int:
        """Checks per expected false alarm."""
        return self.false_alarms.per_checks or 1000


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    """When to look for new batches: ``every`` or ``cron``, in UTC."""

    every: str | None = None
    """Time between two looks, such as ``5m``, which is the default."""
    cron: str | None = None
    """Five fields, such as ``*/5 * * * *``, in UTC."""

    def __post_init__(self) -> None:
        if self.every is not None and self.cron is not None:
            raise FieldError("cron", "write either every or cron")
        if self.every is not None:
            _check_duration("every", self.every)

    @property
    def every_seconds(self) -> float | None:
        """Seconds between looks, None where a cron expression is given; 5 minutes by default."""
        if self.cron is not None:
            return None
        return duration_seconds(self.every or "5m")


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where history is kept."""

    path: str = "shiftwatch.db"
    """SQLite file; prepared references are kept beside it."""
    keep_days: float = 400
    """Verdicts older than this many days are forgotten."""

    def __post_init__(self) -> None:
        _check_at_least("keep_days", self.keep_days, 1)


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """The certificate the port shows, and whose certificates it asks for; PEM files."""

    cert: str
    """The certificate, followed by those between it and a known authority."""
    key: str
    """Its private key, without a password."""
    client_ca: str | None = None
    """Authorities of client certificates: whoever shows none of theirs is not answered at all."""


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Where the daemon listens, and whom it answers."""

    listen: str = "127.0.0.1:9464"
    """HOST:PORT; other than loopback needs tokens, client certificates or ``allow_insecure``."""
    tls: TlsSettings | None = None
    """Certificate and key; null: plain HTTP."""
    tokens_file: str | None = None
    """Hashes of the tokens that are let in, as ``shiftwatch token`` writes them."""
    allow_insecure: bool = False
    """Whether to listen on an address that others can reach, without tokens or client certificates."""
    public: tuple[str, ...] = ("/metrics", "/healthz", "/readyz")
    """Paths that may be read without a token. ``/events/MODEL`` named here takes events without one,
    since KServe's logger can show none; else they need an operator's."""
    requests_per_second: float = 50
    """Of one client address, in the long run; four times as many at once. Health and this machine
    itself are not counted."""

    def __post_init__(self) -> None:
        _check_at_least("requests_per_second", self.requests_per_second, 0.1)
        for path in self.public:
            if not path.startswith("/"):
                raise FieldError("public", f"{path!r} is no path; write for example /metrics")
        host, separator, port = self.listen.rpartition(":")
        number = int(port) if port.isascii() and port.isdigit() else -1
        if not separator or not host or not 0 <= number <= 65535:
            raise FieldError("listen", f"{self.listen!r} is no address; write HOST:PORT")
        if not self.is_guarded and not self.allow_insecure and not self.is_local:
            raise FieldError(
                "listen",
                f"{self.listen} can be reached from outside without tokens or client certificates; "
                "listen on 127.0.0.1, name a tokens_file or tls.client_ca, or write "
                "allow_insecure: true if the network is yours",
            )

    @property
    def is_guarded(self) -> bool:
        """Whether a stranger is not let in."""
        return self.tokens_file is not None or (
            self.tls is not None and self.tls.client_ca is not None
        )

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the address."""
        return _is_loopback(self.listen.rpartition(":")[0])

    @property
    def host(self) -> str:
        """Address to bind."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """Port to bind; 0 asks the system for a free one."""
        return int(self.listen.rpartition(":")[2])


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False  # a name, which may lead anywhere


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Bounds on one check of one batch."""

    memory_mb: int = 1024
    """Private memory of the worker in MB of 10^6 bytes. Of a reference or a batch as many rows are
    taken as fit, and the report says so; beyond the limit the check is an ``error``. The libraries
    and the tests themselves need 210 to 340 MB, so 384 is the least that can be set."""
    seconds: float = 120
    """Wall-clock seconds of one check. What would take longer is made smaller in this order: a
    quarter of the rows; a sixteenth and fewer permutations; a 64th and no joint tests. Each is a
    finding (``degraded``); beyond the last the check is an ``error``. Preparing a reference, which
    is done once, may take ten times as long."""
    series_per_model: int = 100
    """Per-feature series of one metric and model; the strongest evidence is kept."""

    def __post_init__(self) -> None:
        _check_at_least("memory_mb", self.memory_mb, 384)
        _check_at_most("memory_mb", self.memory_mb, 1_000_000_000)  # the system counts in 63 bits
        _check_at_least("seconds", self.seconds, 1)
        _check_at_most("seconds", self.seconds, 1_000_000)
        _check_at_least("series_per_model", self.series_per_model, 0)


def _check_endpoint(endpoint: str | None, *, carries_token: bool = False) -> None:
    """Refuse what is no server's address; the text never repeats it, as it may hold a password."""
    if endpoint is None:
        return
    try:
        parts = urlsplit(endpoint)
        plain = parts.scheme in ("http", "https") and parts.port != 0 and bool(parts.hostname)
    except ValueError:
        plain = False
    if not plain or parts.username is not None or (parts.path, parts.query) not in _BARE:
        message = "is no address of a server; write http://HOST:PORT or https://HOST, no more"
        raise FieldError("endpoint", message)
    if carries_token and parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise FieldError("endpoint", "would carry a token in the clear; write https://")


_BARE = (("", ""), ("/", ""))


@dataclass(frozen=True, slots=True)
class S3Settings:
    """Where ``s3://`` leads. Credentials come from the environment, a profile, or the machine."""

    endpoint: str | None = None
    """Another server than Amazon's that speaks S3, ``https://HOST:PORT``; by default that of
    ``AWS_ENDPOINT_URL``."""
    region: str | None = None
    """Region; by default that of the environment, the profile, or the bucket."""
    anonymous: bool = False
    """Look for no credentials: public buckets only."""
    virtual_hosts: bool = False
    """Whether an own endpoint wants the bucket in its host name."""
    ca_file: str | None = None
    """Certificates to trust instead of the system's, PEM."""

    def __post_init__(self) -> None:
        _check_endpoint(self.endpoint)


@dataclass(frozen=True, slots=True)
class GsSettings:
    """Where ``gs://`` leads. Credentials are Google's application default credentials."""

    endpoint: str | None = None
    """Another server than Google's."""
    anonymous: bool = False
    """Look for no credentials: public buckets only."""

    def __post_init__(self) -> None:
        _check_endpoint(self.endpoint, carries_token=not self.anonymous)


@dataclass(frozen=True, slots=True)
class AbfsSettings:
    """Where ``abfs://`` leads.

    Credentials: ``AZURE_STORAGE_KEY``, ``AZURE_STORAGE_SAS_TOKEN``, else Azure's default chain.
    """

    account: str | None = None
    """Storage account, where the address names none; by default ``AZURE_STORAGE_ACCOUNT``."""
    endpoint: str | None = None
    """Another server than Azure's."""

    def __post_init__(self) -> None:
        _check_endpoint(self.endpoint, carries_token=True)


@dataclass(frozen=True, slots=True)
class StoresSettings:
    """Stores of objects, and how patient to be with them."""

    timeout: str = "10s"
    """A connection that takes longer, or a server that is silent for longer, is tried again."""
    patience: str = "30s"
    """How long, with growing and random pauses; then everything waits for the next look."""
    s3: S3Settings = field(default_factory=S3Settings)
    gs: GsSettings = field(default_factory=GsSettings)
    abfs: AbfsSettings = field(default_factory=AbfsSettings)

    def __post_init__(self) -> None:
        _check_duration("timeout", self.timeout)
        _check_duration("patience", self.patience)

    @property
    def timeout_seconds(self) -> float:
        """Seconds of silence."""
        return duration_seconds(self.timeout)

    @property
    def patience_seconds(self) -> float:
        """Seconds of trying."""
        return duration_seconds(self.patience)


def _check_own_folders(models: tuple[ModelSettings, ...]) -> None:
    """Events of two models in one folder could not be told apart, and are taken away once used."""
    logs = [model for model in models if model.source == "kserve"]
    for model in logs:
        others = {each.batches.rstrip("/") for each in logs if each is not model}
        if model.payloads.receive and model.batches.rstrip("/") in others:
            message = (
                f"{model.batches} belongs to two models; one that receives events needs its own"
            )
            raise FieldError("models", message)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be configured."""

    models: tuple[ModelSettings, ...]
    """The watched models; at least one."""
    alarms: AlarmSettings = field(default_factory=AlarmSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    web: WebSettings = field(default_factory=WebSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    stores: StoresSettings = field(default_factory=StoresSettings)
    watch_config: bool = True
    """Whether the daemon puts a changed configuration in force by itself, within some five seconds of
    the change; a mounted ConfigMap changes without a signal. SIGHUP and ``/-/reload`` always do."""
    seed: int = 0
    """Root of all randomness; the same seed and bytes give the same verdict."""

    def __post_init__(self) -> None:
        if not self.models:
            raise FieldError("models", "no model is listed; write at least one")
        names = [model.name for model in self.models]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise FieldError("models", f"the name {twice[0]!r} is used twice; names are labels")
        _check_own_folders(self.models)
        least = self.stores.patience_seconds + self.stores.timeout_seconds
        if any(model.remote for model in self.models) and least >= self.limits.seconds:
            message = (
                f"patience and timeout are {least:g} s together; they must end before "
                f"limits.seconds, {self.limits.seconds:g} s, does"
            )
            raise FieldError("stores", message)
