"""Counts of one model since the daemon started.

In:    what happened, as it happens.
Out:   immutable Counts for the snapshot.
Never: is stored; Prometheus expects counters to begin at 0 after a restart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from shiftwatch.payload.plan import Made
from shiftwatch.status import BATCH_SECONDS_BOUNDS, Counts, Exemplar, Histogram
from shiftwatch.values import Run, Verdict

_OUTCOMES: dict[Verdict, str] = {
    "shift": "tested",
    "no_shift": "tested",
    "insufficient_data": "too_small",
    "invalid_data": "schema_error",
    "error": "error",
}


class Tally:
    """Adds up; one thread writes."""

    def __init__(self) -> None:
        self._batches: Counter[str] = Counter()
        self._tests: Counter[tuple[str, str]] = Counter()
        self._alarms: Counter[str] = Counter()
        self._rows: Counter[str] = Counter()
        self._stages: Counter[str] = Counter()
        self._cpu_seconds = 0.0
        self._test_seconds: dict[str, Histogram] = {}
        self._batch_seconds = Histogram(BATCH_SECONDS_BOUNDS)
        self._raised: dict[str, Exemplar] = {}
        self._energy: Counter[str] = Counter()
        self._degraded: Counter[str] = Counter()
        self._quarantined: Counter[str] = Counter()
        self._findings: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._payloads: Counter[str] = Counter()
        self._malformed: Counter[str] = Counter()
        self._deaths = 0
        self._dropped = 0

    def add_death(self) -> None:
        """A worker that ended without an answer."""
        self._deaths += 1

    def add_made(self, made: Made) -> None:
        """A batch made of logged records."""
        self._payloads.update(made.counts)
        self._malformed.update(made.malformed)

    def add_file(self, outcome: str) -> None:
        """A file that made no batch: duplicate or late."""
        self._batches[outcome] += 1

    def add_quarantined(self, reasons: Iterable[str]) -> None:
        """Files put into quarantine, by their reasons."""
        self._quarantined.update(reasons)

    def add_run(self, run: Run, series: int | None = None) -> None:
        """A judged batch; ``series`` is how many pairs of column and test are shown, all by default."""
        pairs = len({(r.target, r.test) for r in run.results if r.target != "*"})
        self._dropped += max(0, pairs - series) if series is not None else 0
        self._batches[_outcome(run)] += 1
        self._tests.update((result.test, "run") for result in run.results)
        self._tests.update(
            (skip.test, "failed" if skip.reason == "test_failed" else "skipped")
            for skip in run.skipped
        )
        self._findings.update(finding.code for finding in run.findings)
        self._skipped.update(skip.reason for skip in run.skipped)
        raised = [decision.scope for decision in run.decisions if decision.raised]
        self._alarms.update(raised)
        exemplar = Exemplar(run.batch.id, 1.0, run.judged_at)
        self._raised.update(dict.fromkeys(raised, exemplar))
        if run.results:
            self._rows["current"] += max(result.rows_current for result in run.results)
            self._rows["reference"] += max(result.rows_reference for result in run.results)
        self._add_cost(run)
        if any(finding.code == "degraded" for finding in run.findings):
            self._degraded[run.provenance["effort"]["step"]] += 1

    def _add_cost(self, run: Run) -> None:
        cost, whose = run.cost, (run.batch.id, run.judged_at)
        self._batch_seconds = self._batch_seconds.with_value(cost.wall_seconds, *whose)
        self._cpu_seconds += cost.cpu_seconds
        for stage, seconds in cost.stages.items():
            self._stages[stage] += seconds  # type: ignore[assignment] # a Counter adds floats too
        for test, seconds in cost.tests.items():
            before = self._test_seconds.get(test, Histogram())
            self._test_seconds[test] = before.with_value(seconds, *whose)
        if cost.energy_joules is not None and cost.energy_source is not None:
            self._energy[cost.energy_source] += cost.energy_joules  # type: ignore[assignment] # likewise

    def counts(self) -> Counts:
        """Everything so far."""
        return Counts(
            batches=dict(self._batches),
            tests=dict(self._tests),
            alarms=dict(self._alarms),
            rows=dict(self._rows),
            cpu_seconds=self._cpu_seconds,
            stage_seconds=dict(self._stages),
            test_seconds=dict(self._test_seconds),
            batch_seconds=self._batch_seconds,
            raised=dict(self._raised),
            energy_joules=dict(self._energy),
            degraded=dict(self._degraded),
            findings=dict(self._findings),
            skipped=dict(self._skipped),
            payloads=dict(self._payloads),
            malformed=dict(self._malformed),
            worker_deaths=self._deaths,
            quarantined=dict(self._quarantined),
            series_dropped=self._dropped,
        )


def _outcome(run: Run) -> str:
    if any(finding.code in ("unreadable", "incomplete") for finding in run.findings):
        return "read_error"
    return _OUTCOMES[run.verdict]
