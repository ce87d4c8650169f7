"""What is remembered of one model between two steps, and what of it the store brings back. Light.

In:    the settings of a model; the store after a restart.
Out:   its context, its status, its counts; the state of its monitor at a time.
Never: asks a worker; writes to the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from shiftwatch.budget import REMEMBERED, Spent
from shiftwatch.collect import Collecting, watched_settings
from shiftwatch.intake import MOST_SHOWN, Known
from shiftwatch.look import Looking
from shiftwatch.requests import Context
from shiftwatch.settings import ModelSettings, Settings, TestsSettings
from shiftwatch.status import ModelStatus, MonitorState
from shiftwatch.store import Store
from shiftwatch.tally import Tally
from shiftwatch.values import Run, Verdict

_RECENT = 50
"""Runs looked through after a restart for the newest that was not an error of ours."""

_MISSED = 3
"""Expected batches that may stay away before the monitor is called stale."""

STATES: Mapping[Verdict, MonitorState] = {
    "shift": "ok",
    "no_shift": "ok",
    "insufficient_data": "insufficient_data",
    "invalid_data": "invalid_data",
    "error": "error",
}
"""Of the monitor after a verdict."""


@dataclass(slots=True)
class Watched:
    """What the monitor remembers of one model between steps; only its thread changes it."""

    settings: ModelSettings
    context: Context
    status: ModelStatus
    tally: Tally
    due: bool = True
    """False when the last plan was worked off and no file has come since."""
    broken: Known = field(default_factory=Known)
    """Files that are broken, as the store knows them."""
    settled: int = 0
    """Number of an accepted file: it and all before it were judged, where a batch is a file."""
    past: tuple[Spent, ...] = ()
    """What the last checks took, the newest last: by it the next one is kept within the limit."""
    collecting: Collecting | None = None
    """The log that batches are made of, where they are."""
    looking: Looking = field(default_factory=Looking)
    """What is remembered from one look at the batches to the next."""

    def same_as(self, other: Watched) -> bool:
        """Whether both are of the same configuration, also of what lies behind the batches."""
        logs = [each.collecting and each.collecting.model for each in (self, other)]
        return self.context == other.context and logs[0] == logs[1]

    @property
    def waiting(self) -> Mapping[str, float]:
        """Files that cannot be read yet, and since when; an outage of their store is no verdict."""
        withheld = {file.uri: file.modified_ns / 1e9 for file in self.looking.withheld}
        return {**self.broken.retried, **withheld}

    @property
    def reference_rows(self) -> int | None:
        """Rows of the reference, once it is prepared."""
        reference = self.status.reference
        return reference.rows if reference is not None else None

    def oldest_with(self, changed: float) -> float:
        """The earlier of a time and that of the oldest file known to wait, in unix seconds."""
        known = self.status.oldest_at
        return changed if known is None else min(known, changed)


def restored(store: Store, settings: Settings, model: ModelSettings, fingerprint: str) -> Watched:
    """A model as the store knows it."""
    configured, model = model, watched_settings(model, settings.store.path)
    last = store.run(model.name)
    rows = store.runs(model.name, limit=_RECENT)
    processed = (row.judged_at for row in rows if row.verdict != "error")
    status = ModelStatus(
        name=model.name,
        tests=_configured(model.tests),
        monitor_state=_state_of(last),
        expected_seconds=model.expected_seconds,
        logged=model.source == "kserve",
        last_run=last,
        last_processed_at=next(processed, None),
        backlog=0,
        day=store.day_cost(model.name, last.judged_at) if last is not None else None,
    )
    cache = str(Path(settings.store.path).with_suffix(".references"))
    context = Context(
        model,
        settings.alarms,
        settings.seed,
        cache,
        fingerprint,
        settings.limits,
        store.acceptance(model.name),
    )
    known = Known(store.broken(model.name))
    past = store.spent(model.name, REMEMBERED)
    watched = Watched(model, context, with_broken(status, known), Tally(), past=past, broken=known)
    if model.source == "kserve":
        watched.collecting = Collecting(configured, settings.store.path)
    return watched


def _configured(tests: TestsSettings) -> tuple[str, ...]:
    """Names of the tests that are on; once the reference is prepared the worker names its own."""
    return tuple(each.name for each in fields(tests) if getattr(tests, each.name) is not None)


def with_broken(status: ModelStatus, known: Known) -> ModelStatus:
    """The status with what is known of broken files."""
    shown = known.shown
    quarantined = sum(entry.quarantined for entry in shown)
    return replace(
        status,
        quarantined=quarantined,
        retried=len(shown) - quarantined,
        broken=shown[:MOST_SHOWN],
    )


def state_now(status: ModelStatus, now: float) -> MonitorState:
    """State after the last verdict; stale where no batch has come for three times as long as expected.

    A batch that ended in an error of ours has come, so the error goes on being told, and not that
    nothing comes.
    """
    expected, last = status.expected_seconds, status.last_run
    if expected is not None and last is not None and now - last.judged_at > _MISSED * expected:
        return "stale"
    return _state_of(last)


def _state_of(run: Run | None) -> MonitorState:
    return STATES[run.verdict] if run is not None else "insufficient_data"
