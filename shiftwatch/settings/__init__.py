"""What can be set, with defaults, units and reasons: the configuration as values.

In:    plain values, from the configuration file or from Python.
Out:   frozen settings every room can read.
Never: reads a file; knows YAML or pydantic.

A fault in a single value raises :class:`FieldError`, which names the field, so that the
configuration can point at its line. ``models``, ``tests``, ``web`` and ``stores`` hold the larger parts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from shiftwatch.settings.fields import (
    FieldError,
    check_at_least,
    check_at_most,
    check_duration,
    duration_seconds,
)
from shiftwatch.settings.models import (
    ByRows,
    ByTime,
    ColumnSettings,
    FeatureSettings,
    ModelSettings,
    PayloadSettings,
    ReportSettings,
    ToleranceSettings,
    WindowSettings,
)
from shiftwatch.settings.stores import AbfsSettings, GsSettings, S3Settings, StoresSettings
from shiftwatch.settings.tests import (
    ChiSquareSettings,
    ClassifierSettings,
    DistinctSettings,
    KsSettings,
    MmdSettings,
    NullsSettings,
    TestsSettings,
    UnseenSettings,
)
from shiftwatch.settings.web import TlsSettings, WebSettings

__all__ = [
    "AbfsSettings",
    "AlarmSettings",
    "ByRows",
    "ByTime",
    "ChiSquareSettings",
    "ClassifierSettings",
    "ColumnSettings",
    "DistinctSettings",
    "FalseAlarmSettings",
    "FeatureSettings",
    "FieldError",
    "GsSettings",
    "KsSettings",
    "LimitSettings",
    "MmdSettings",
    "ModelSettings",
    "NullsSettings",
    "PayloadSettings",
    "ReportSettings",
    "S3Settings",
    "ScheduleSettings",
    "Settings",
    "StoreSettings",
    "StoresSettings",
    "TestsSettings",
    "TlsSettings",
    "ToleranceSettings",
    "UnseenSettings",
    "WebSettings",
    "WindowSettings",
    "duration_seconds",
]


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
            check_at_least("per_days", self.per_days, 0.1)
            check_at_most("per_days", self.per_days, 36500)
        if self.per_checks is not None:
            check_at_least("per_checks", self.per_checks, 2)


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
            check_duration("every", self.every)

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
        check_at_least("keep_days", self.keep_days, 1)


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
        check_at_least("memory_mb", self.memory_mb, 384)
        check_at_most("memory_mb", self.memory_mb, 1_000_000_000)  # the system counts in 63 bits
        check_at_least("seconds", self.seconds, 1)
        check_at_most("seconds", self.seconds, 1_000_000)
        check_at_least("series_per_model", self.series_per_model, 0)


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
