"""A snapshot as Prometheus or OpenMetrics text.

In:    a Snapshot, the Accept header, names asked for.
Out:   content type and bytes.
Never: computes a statistic, shows a value of another snapshot, or waits for anything.

A collector renders from the snapshot at scrape time, so what one scrape shows belongs together and
no label outlives what it named. The lines of a model whose status is the very same value as at the
scrape before are the same lines and are not made again: of fifty models one or two change between
two scrapes, and a scrape of all took 50 ms, ten times as long beside busy threads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, get_args

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
    Metric,
    samples,
)
from prometheus_client.exposition import choose_encoder

from shiftwatch.annotation import SILENCED_SCOPES
from shiftwatch.metrics import costs, estimates
from shiftwatch.metrics.families import FAMILIES, Family
from shiftwatch.metrics.point import Point
from shiftwatch.metrics.view import by_test, strength
from shiftwatch.payload.bodies import REASONS as REASONS_OF_PAYLOADS
from shiftwatch.payload.bodies import UNREADABLE
from shiftwatch.payload.joining import COUNTS
from shiftwatch.quarantine import REASONS
from shiftwatch.status import (
    BATCH_OUTCOMES,
    EVENT_DROPS,
    REFUSALS,
    SCHEDULE_EVENTS,
    Exemplar,
    Inbox,
    ModelStatus,
    MonitorState,
    Snapshot,
)
from shiftwatch.values import (
    FINDING_CODES,
    SKIP_REASONS,
    Annotation,
    AnnotationKind,
    Scope,
    TwoSampleResult,
)

WATCHED_SCOPES: tuple[Scope, ...] = ("input", "prediction", "schema")
"""Scopes whose series exist from the first scrape; ``performance`` is not watched yet."""

TEST_OUTCOMES = ("run", "skipped", "failed")
SIDES = ("reference", "current")

LABEL_LENGTH = 200
"""Characters a label value may have; a longer one is cut and ends in a hash of the whole."""


def render(snapshot: Snapshot, accept: str = "", names: Sequence[str] = ()) -> tuple[str, bytes]:
    """The exposition of a snapshot.

    Parameters
    ----------
    snapshot
        What the daemon knows; read, never changed.
    accept
        The Accept header. OpenMetrics where it is asked for, else Prometheus text 0.0.4.
    names
        Names of series to restrict the answer to (``name[]`` of a scrape); all if empty.

    Returns
    -------
    tuple
        Content type, body in UTF-8. Metrics of the process and of Python come with it.
    """
    encode, content_type = choose_encoder(_plain_versions(accept))
    if not names:
        return content_type, b"".join(_whole(snapshot, encode, content_type))
    registry = CollectorRegistry(auto_describe=True)
    for collector in (_Collector(_points(snapshot)), *_PROCESS):
        registry.register(collector)
    return content_type, encode(registry.restricted_registry(names))


def _whole(snapshot: Snapshot, encode: _Encode, content_type: str) -> Iterator[bytes]:
    """Family by family: what it says of itself, then the lines of all and of each model."""
    blocks = _encoded(_general(snapshot), encode)
    models = [_of_model(status, snapshot, encode, content_type) for status in snapshot.models]
    _known_lines.keep({status.name for status in snapshot.models})
    for family, (head, lines) in blocks.items():
        yield head
        yield lines
        for of_model in models:
            yield of_model.get(family, b"")
    yield encode(_Process())  # with the mark of the end, where there is one


def _of_model(
    status: ModelStatus, snapshot: Snapshot, encode: _Encode, content_type: str
) -> Mapping[str, bytes]:
    """Lines of a model by family."""
    key = (status.name, content_type, snapshot.series_per_model)
    known = _known_lines.of(key, status)
    if known is None:
        points = _points_of(status, snapshot.series_per_model)
        known = {family: lines for family, (_, lines) in _encoded(points, encode).items() if lines}
        _known_lines.note(key, status, known)
    return known


def _encoded(points: Iterable[Point], encode: _Encode) -> dict[str, tuple[bytes, bytes]]:
    """By family, the comments and the lines of samples, as the library writes them."""
    return {metric.name: _parted(encode(_One(metric))) for metric in _metrics(points)}


def _parted(text: bytes) -> tuple[bytes, bytes]:
    lines = text.removesuffix(b"# EOF\n").splitlines(keepends=True)
    samples = [line for line in lines if not line.startswith(b"# ")]
    return b"".join(lines[: len(lines) - len(samples)]), b"".join(samples)


class _Lines:
    """Of each model the lines of the last scrape, for as long as its status is the same value."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, int], tuple[ModelStatus, Mapping[str, bytes]]] = {}

    def of(self, key: tuple[str, str, int], status: ModelStatus) -> Mapping[str, bytes] | None:
        before, lines = self._known.get(key, (None, None))
        return lines if before is status else None

    def note(
        self, key: tuple[str, str, int], status: ModelStatus, lines: Mapping[str, bytes]
    ) -> None:
        # One scraper asks in one form, two while a configuration is changed; more are strangers.
        while len(self._known) >= _MOST_LINES:
            self._known.pop(next(iter(self._known)), None)
        self._known[key] = status, lines

    def keep(self, models: Collection[str]) -> None:
        """Forget the others."""
        for key in [key for key in self._known if key[0] not in models]:
            self._known.pop(key, None)


_MOST_LINES = 500
_known_lines = _Lines()


_PROCESS = (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR)


def _plain_versions(accept: str) -> str:
    """The Accept header without media ranges whose version is no small number such as 1.0.0.

    The library would compare the parts of such a version as numbers and repeat it in the answer.
    """

    def plain(media_range: str) -> bool:
        parameters = (part.partition("=") for part in media_range.split(";")[1:])
        versions = [value.strip() for key, _, value in parameters if key.strip() == "version"]
        return all(_VERSION.fullmatch(version) for version in versions)

    return ",".join(media_range for media_range in accept.split(",") if plain(media_range))


_MOST_OF_EXEMPLAR = 128 - len("batch_id")

_VERSION = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}")


@dataclass(frozen=True, slots=True, eq=False)
class _Collector:
    """Points, as prometheus_client collects them."""

    points: Iterable[Point]

    def describe(self) -> Iterable[Metric]:
        return (_metric(family) for family in FAMILIES)

    def collect(self) -> Iterable[Metric]:
        return _metrics(self.points)


@dataclass(frozen=True, slots=True, eq=False)
class _One:
    """One metric, as an encoder wants it."""

    metric: Metric

    def collect(self) -> Iterable[Metric]:
        return (self.metric,)


class _Process:
    """What is measured of the process and of Python."""

    def collect(self) -> Iterator[Metric]:
        for collector in _PROCESS:
            yield from collector.collect()


_Encode = Callable[[Any], bytes]


def _metrics(points: Iterable[Point]) -> Iterable[Metric]:
    metrics = {family.name: _metric(family) for family in FAMILIES}
    for name, values, value, *exemplar in points:
        family, keys = _SAMPLES[name]
        labels = dict(zip(keys, map(_label, values), strict=True))
        metrics[family].add_sample(name, labels, value, exemplar=_exemplar(*exemplar))
    return metrics.values()


def _exemplar(of: Exemplar | None = None) -> samples.Exemplar | None:
    """As OpenMetrics writes it: labels of at most 128 characters, value, time."""
    if of is None:
        return None
    return samples.Exemplar({"batch_id": of.batch_id[:_MOST_OF_EXEMPLAR]}, of.value, of.at)


_SAMPLES = {
    name: (family.name, labels) for family in FAMILIES for name, labels in family.samples.items()
}
"""Family and labels of every sample, by its name."""


def _metric(family: Family) -> Metric:
    return Metric(family.base, family.help, family.kind, family.unit)


def _label(text: str) -> str:
    """A label value that can be encoded and is not endless."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    if len(text) <= LABEL_LENGTH:
        return text
    suffix = "~" + sha256(text.encode("utf-8")).hexdigest()[:12]
    return text[: LABEL_LENGTH - len(suffix)] + suffix


def _points(snapshot: Snapshot) -> Iterator[Point]:
    yield from _general(snapshot)
    for status in snapshot.models:
        yield from _points_of(status, snapshot.series_per_model)


def _general(snapshot: Snapshot) -> Iterator[Point]:
    """What is said of the daemon, and sums over all models."""
    # A local version such as 0.1.0+gdeadbee carries the revision it was built from.
    revision = snapshot.version.partition("+")[2]
    yield "shiftwatch_build_info", (snapshot.version, revision, snapshot.python), 1.0
    reload = float(snapshot.reload_successful)
    yield "shiftwatch_config_last_reload_successful", (), reload
    yield from _at(
        "shiftwatch_config_last_reload_success_timestamp_seconds", (), snapshot.reload_at
    )
    yield from _at("shiftwatch_last_checkpoint_timestamp_seconds", (), snapshot.checkpoint_at)
    yield "shiftwatch_histories_set_aside", (), snapshot.set_aside
    for event, count in _known(SCHEDULE_EVENTS, snapshot.around.schedule_events):
        yield "shiftwatch_schedule_events_total", (event,), count
    for reason, count in _known(REFUSALS, snapshot.around.refused):
        yield "shiftwatch_http_requests_refused_total", (reason,), count
    yield from _inboxes(snapshot.around.inboxes)
    for status in snapshot.models:
        yield from _words(status.name, snapshot.around.words)
    yield from costs.of_all(snapshot.models, snapshot.departed)


def _words(model: str, words: Sequence[Annotation]) -> Iterator[Point]:
    """What operators have said of a model that is in force now."""
    own = [word for word in words if word.model == model]
    silences = [word for word in own if word.kind == "silence"]
    for scope in SILENCED_SCOPES:
        silent = any(not word.scopes or scope in word.scopes for word in silences)
        yield "shiftwatch_silenced", (model, scope), float(silent)
    for kind in get_args(AnnotationKind):
        yield "shiftwatch_annotations", (model, kind), sum(word.kind == kind for word in own)


def _inboxes(inboxes: Mapping[str, Inbox]) -> Iterator[Point]:
    """Of the models that receive events."""
    for model, inbox in inboxes.items():
        yield "shiftwatch_events_received_total", (model,), inbox.received
        yield "shiftwatch_events_buffered", (model,), inbox.buffered
        for reason, count in _known(EVENT_DROPS, inbox.dropped):
            yield "shiftwatch_events_dropped_total", (model, reason), count


def _points_of(status: ModelStatus, series: int) -> Iterator[Point]:
    """What is said of one model; families of :func:`_general` are not among these."""
    yield from _identity(status)
    yield from _progress(status)
    yield from _counters(status)
    yield from costs.of_model(status)
    yield from _alarms(status)
    yield from _tests(status)
    yield from estimates.of_model(status)
    yield from _features(status, series)


def _at(name: str, labels: tuple[str, ...], value: float | None) -> Iterator[Point]:
    """Nothing where nothing is known: a 0 would be read as a value, or as fifty years ago."""
    if value is not None:
        yield name, labels, value


def _identity(status: ModelStatus) -> Iterator[Point]:
    name, model, reference = status.name, status.model, status.reference
    facts = ("", "", "") if model is None else (model.sha256, model.opset, model.runtime)
    yield "shiftwatch_model_info", (name, "", *facts), 1.0
    if reference is not None:
        digests = (reference.sha256[:16], reference.sha256, reference.schema_sha256)
        yield "shiftwatch_reference_info", (name, *digests), 1.0
        yield "shiftwatch_reference_rows", (name,), reference.rows


def _progress(status: ModelStatus) -> Iterator[Point]:
    labels = (status.name,)
    event_time = status.last_run.batch.event_time_end if status.last_run else None
    yield "shiftwatch_backlog_batches", labels, status.backlog
    expected = status.expected_seconds
    yield from _at("shiftwatch_expected_batch_interval_seconds", labels, expected)
    yield from _at("shiftwatch_backlog_oldest_timestamp_seconds", labels, status.oldest_at)
    yield "shiftwatch_quarantined_files", labels, status.quarantined
    yield "shiftwatch_retried_files", labels, status.retried
    yield from _at(
        "shiftwatch_last_batch_processed_timestamp_seconds", labels, status.last_processed_at
    )
    yield from _at("shiftwatch_last_batch_event_timestamp_seconds", labels, event_time)
    for state in get_args(MonitorState):
        current = float(state == status.monitor_state)
        yield "shiftwatch_monitor_state", (status.name, state), current


def _counters(status: ModelStatus) -> Iterator[Point]:
    name, counts = status.name, status.counts
    for outcome, count in _known(BATCH_OUTCOMES, counts.batches):
        yield "shiftwatch_batches_total", (name, outcome), count
    for reason, count in _known(REASONS, counts.quarantined):
        yield "shiftwatch_quarantines_total", (name, reason), count
    for side, count in _known(SIDES, counts.rows):
        yield "shiftwatch_rows_total", (name, side), count
    for scope, count in _known(WATCHED_SCOPES, counts.alarms):
        yield "shiftwatch_alarms_total", (name, scope), count, counts.raised.get(scope)
    for code, count in _known(FINDING_CODES, counts.findings):
        yield "shiftwatch_findings_total", (name, code), count
    for reason, count in _known(SKIP_REASONS, counts.skipped):
        yield "shiftwatch_tests_skipped_total", (name, reason), count
    yield "shiftwatch_worker_deaths_total", (name,), counts.worker_deaths
    yield "shiftwatch_series_dropped_total", (name,), counts.series_dropped
    yield from _payloads(status)
    expected = {(test, outcome): 0 for test in status.tests for outcome in TEST_OUTCOMES}
    for key, count in (expected | dict(counts.tests)).items():
        yield "shiftwatch_tests_total", (name, *key), count


def _payloads(status: ModelStatus) -> Iterator[Point]:
    """Of models whose batches are made of a log."""
    if not status.logged:
        return
    name, counts = status.name, status.counts
    for outcome, count in _known(COUNTS, counts.payloads):
        yield "shiftwatch_payloads_total", (name, outcome), count
    for reason, count in _known((*REASONS_OF_PAYLOADS, UNREADABLE), counts.malformed):
        yield "shiftwatch_payloads_malformed_total", (name, reason), count
    matched, lonely = (counts.payloads.get(key, 0) for key in ("matched", "unmatched_requests"))
    yield "shiftwatch_requests_unmatched_total", (name,), lonely
    if matched + lonely:
        yield "shiftwatch_coverage_ratio", (name,), matched / (matched + lonely)


def _known(expected: Iterable[str], counts: Mapping[str, int]) -> Iterable[tuple[str, int]]:
    """The counts, with a 0 for each key that is known in advance."""
    return (dict.fromkeys(expected, 0) | dict(counts)).items()


def _alarms(status: ModelStatus) -> Iterator[Point]:
    decisions = status.last_run.decisions if status.last_run else ()
    alarms: dict[str, int] = {decision.scope: int(decision.alarm) for decision in decisions}
    for scope, alarm in _known(WATCHED_SCOPES, alarms):
        yield "shiftwatch_drift_alarm", (status.name, scope), alarm
    for decision in decisions:
        layers = decision.evidence
        for layer, ratio in (
            ("check", layers.check),
            ("window", layers.window),
            ("pool", layers.pool),
        ):
            labels = (status.name, decision.scope, layer)
            yield from _at("shiftwatch_drift_evidence_ratio", labels, ratio)


def _tests(status: ModelStatus) -> Iterator[Point]:
    for view in by_test(status.last_run) if status.last_run else ():
        labels = (status.name, view.scope, view.test)
        yield "shiftwatch_test_p_value", labels, view.p_value
        yield "shiftwatch_test_effect_ratio", labels, view.effect
        yield from _at("shiftwatch_test_effect_lower_bound_ratio", labels, view.effect_low)


def _features(status: ModelStatus, cap: int) -> Iterator[Point]:
    strongest: dict[tuple[str, str], TwoSampleResult] = {}
    results = status.last_run.results if status.last_run else ()
    for result in sorted(results, key=strength):
        if result.target != "*":
            # One column may be an input and a logged prediction; the series has no scope.
            strongest.setdefault((result.target, result.test), result)
    kept = sorted(list(strongest)[:cap])
    for key in kept:
        labels = (status.name, *key)
        yield "shiftwatch_feature_effect_ratio", labels, abs(strongest[key].effect)
        yield "shiftwatch_feature_p_value", labels, strongest[key].p_value
