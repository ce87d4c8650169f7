"""The nouns of the house: what walks from room to room.

In:    nothing.
Out:   frozen values, light enough for the daemon's own process (no numpy).
Never: computes, opens, or decides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["numeric", "categorical", "timestamp", "unsupported"]
"""What a column can be tested as."""

Role = Literal["input", "prediction", "id", "time", "arrival", "label", "ignored"]
"""What a column is for. Only inputs and predictions are tested."""

Scope = Literal["input", "prediction", "schema", "performance"]
"""What an alarm is about."""

Verdict = Literal["shift", "no_shift", "insufficient_data", "invalid_data", "error"]
"""The answer of one check; the last four are never the same thing as each other."""

SCOPES: tuple[Scope, ...] = ("input", "prediction", "schema", "performance")
TESTED_SCOPES: tuple[Scope, ...] = ("input", "prediction")
"""Scopes whose alarms rest on tests; the others are facts or need labels."""

VERDICTS: tuple[Verdict, ...] = (
    "shift",
    "no_shift",
    "insufficient_data",
    "invalid_data",
    "error",
)


@dataclass(frozen=True, slots=True)
class Listed:
    """A file as the listing shows it; three equal fields mean: nothing has changed."""

    uri: str
    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file after its footer was read and its bytes were hashed.

    ``rows`` is 0 and ``fault`` says why where the footer cannot be read. ``incomplete`` marks a
    file without a closing footer, which may still be in the writing. Event times are unix seconds,
    None without a time column.
    """

    uri: str
    size: int
    modified_ns: int
    sha256: str
    rows: int
    time_min: float | None = None
    time_max: float | None = None
    fault: str | None = None
    incomplete: bool = False


@dataclass(frozen=True, slots=True)
class SchemaColumn:
    """A column of the reference: what it is called, can be tested as, and is for."""

    name: str
    kind: Kind
    role: Role
    type: str
    derived_from: str | None = None
    """The column it is computed from, where it is in no file; see ``derive``."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of one file that belong to a batch.

    ``first_row`` and ``rows`` cut by position; ``time_from`` and ``time_to`` (unix seconds, half
    open) cut by event time instead, and are None otherwise.
    """

    uri: str
    size: int
    sha256: str
    first_row: int
    rows: int
    time_from: float | None = None
    time_to: float | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Identity of a current sample: where its rows lie, not the rows.

    ``id`` is the first 16 hex digits of a SHA-256 over the pieces, so the same bytes are the same
    batch. Event times are unix seconds in UTC, None where no time column is configured.
    ``fault`` is set when the batch is known to be unreadable before it is read.
    """

    id: str
    pieces: tuple[Piece, ...]
    rows: int
    event_time_start: float | None = None
    event_time_end: float | None = None
    fault: str | None = None

    @property
    def uri(self) -> str:
        """The first file; the others follow in ``pieces``. Empty where there is none."""
        return self.pieces[0].uri if self.pieces else ""


@dataclass(frozen=True, slots=True)
class TwoSampleResult:
    """Evidence of one test on one target: never a verdict.

    ``target`` is a column name, or ``"*"`` for a joint test. ``p_value`` is in (0, 1]. ``effect``
    is in the test's own unit (KS distance, total variation, difference of rates, 2*AUC-1, MMD)
    with its 95 % interval; None where a test has no interval. ``explanation`` is JSON, by test.
    """

    test: str
    target: str
    scope: Scope
    statistic: float
    p_value: float
    effect: float
    effect_low: float | None
    effect_high: float | None
    rows_reference: int
    rows_current: int
    explanation: Mapping[str, Any] = field(default_factory=dict)
    inflation: float = 1.0
    """Factor by which dependence between rows enlarges the squared statistic; the p-value and the
    interval are widened by it already. Rows over this are the effective rows."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A test that was not run, and why: ``reason`` is a code of :data:`SKIP_REASONS`."""

    test: str
    target: str
    scope: Scope
    reason: str
    detail: str = ""


SKIP_REASONS: Mapping[str, str] = {
    "too_few_rows": "fewer than 10 non-null rows on one side; collect larger batches",
    "constant": "both sides hold one and the same value, so nothing can differ",
    "no_nulls": "neither side has a null, so the rate cannot differ",
    "missing_column": "the batch lacks the column; see the schema finding",
    "duplicate_column": "the batch has more than one column of the name; see the schema finding",
    "changed_type": "the column's type cannot be compared with the reference's; see the finding",
    "all_null": "every value is null on one side; the null rate is tested instead",
    "timestamp": "raw timestamps always move on; hour and weekday are tested where the data span enough",
    "span_too_short": "the batch spans less than a day (hours) or a week (weekdays)",
    "few_categories": "so few distinct values that their number says nothing; chi2 tests them",
    "unsupported_type": "nested and binary columns are not tested; exclude them in `features`",
    "no_predictions": "the model could not be run on this batch; see the finding",
    "all_categories_known": "no category in the batch is absent from the reference",
    "time_limit": "left out so that the check ends within `limits.seconds`; raise it, or give the "
    "worker more CPU",
    "test_failed": "the test stopped with an error of our own; please report it",
}
"""Every reason a test may give for not running, with what it means."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A fact about the data that needs no statistics.

    ``severity`` is ``"invalid"`` (the batch cannot be judged as it should, the schema alarm rises)
    or ``"note"`` (worth reading, no alarm).
    """

    code: str
    column: str
    message: str
    severity: Literal["invalid", "note"]


FINDING_CODES: Mapping[str, str] = {
    "missing_column": "a column of the reference is not in the batch",
    "extra_column": "a column of the batch is not in the reference; it is not tested",
    "duplicate_column": "more than one column of the batch has the name of one of the reference, so "
    "no one can tell which is meant; it is not tested",
    "changed_type": "a column changed its type in a way that cannot be compared",
    "renamed_by_case": "a column's name differs from the reference's only by case; it is used",
    "payload_malformed": "logged requests or responses that could not be used; where they are most of "
    "the batch, it cannot be judged as it should",
    "payload_unmatched": "logged requests without a response, which count as rows without a prediction, "
    "or responses without a request, which do not count",
    "unreadable": "the file cannot be read",
    "incomplete": "the file had no readable footer when its grace period ended",
    "subsampled": "the batch has more rows than `max_rows`, than 4 times the reference's (and 1000) "
    "or than fit `limits.memory_mb`, or the reference than fit; a seeded sample was tested",
    "new_categories": "the batch has categories the reference has never had",
    "infinite": "a numeric column holds infinite values",
    "rows_not_scored": "the model was not run on rows with a null in an input that takes none",
    "model_failed": "the model refused the batch",
    "output_skipped": "an output of the model is not one value per row, and is not watched",
    "rows_without_time": "rows with a null event time belong to no time window and are not tested",
    "degraded": "the check was made smaller, in the order that `limits.seconds` declares, to end "
    "within it: fewer rows, then fewer permutations, then no joint tests. What it says holds, but "
    "it sees only larger shifts; raise `limits.seconds`, lower `window.max_rows`, or give the worker "
    "more CPU",
    "promise_not_kept": "the promise on false alarms cannot be shown to hold for this check, for "
    "the reason given; its results stand as they are",
    "new_basis": "the reference or the model was replaced, so the alarms start anew",
    "acceptance_ended": "the configured reference has changed, so it is used, not the accepted one",
}
"""Every finding, with what it means."""


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """What the report shows of one column: aggregates, never rows.

    Numeric columns have ``quantiles_*`` (at :data:`PROFILE_QUANTILES`) and counts between
    ``edges``, the first and last bin being open: ``len(counts_*) == len(edges) + 1``. Categorical
    columns have ``categories`` with counts of both sides, the most frequent first. Rows include
    nulls; counts do not. Sides that are unknown (column missing) are empty.
    """

    name: str
    kind: Kind
    role: Role
    type: str
    rows_reference: int
    rows_current: int
    nulls_reference: int
    nulls_current: int
    new_categories: tuple[str, ...] = ()
    quantiles_reference: tuple[float, ...] = ()
    quantiles_current: tuple[float, ...] = ()
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    counts_reference: tuple[int, ...] = ()
    counts_current: tuple[int, ...] = ()


PROFILE_QUANTILES: tuple[float, ...] = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence of one scope over its threshold, by layer: 1 or more raises the alarm.

    ``check`` is log(p)/log(level) of the adjusted p-value of this check. ``window`` is the same for
    the windows of past batches, each as of when it was last full. ``pool`` is the height of the
    strongest chart against the growing pool over its threshold. The last two are None with
    ``memory: none``.
    """

    check: float | None = None
    window: float | None = None
    pool: float | None = None

    @property
    def strongest(self) -> float | None:
        """That of the layer with most of it; None where no layer has anything to say."""
        layers = (self.check, self.window, self.pool)
        return max((layer for layer in layers if layer is not None), default=None)


@dataclass(frozen=True, slots=True)
class SlowEvidence:
    """What a layer over past batches says of one scope after one batch.

    ``ratio`` is its evidence over its threshold; ``crossed`` whether that was reached on this very
    batch; ``columns`` carry it, the strongest first; ``change_from`` is the id of the batch with
    which the change is estimated to have begun, None if nothing has.
    """

    ratio: float
    crossed: bool = False
    columns: tuple[str, ...] = ()
    change_from: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy concludes for one scope after one batch.

    ``alarm`` is latched: it stays until the clearing rule of the policy is met. ``raised`` is True
    on the batch that crossed the threshold, and ``crossed`` names the layers that did so on this
    very batch. ``columns`` are the targets named by Holm's procedure at the level of the check, and
    those of the slow layers that crossed; ``also_moving`` is a wider list (false discovery rate
    .05), a hint and no reason for an alarm. ``since`` is the id of the batch on which the alarm
    rose, ``change_from`` of the one with which the change is estimated to have begun.
    """

    scope: Scope
    alarm: bool
    raised: bool
    cleared: bool
    evidence: Evidence
    p_value: float | None
    level: float
    columns: tuple[str, ...] = ()
    since: str | None = None
    crossed: tuple[str, ...] = ()
    also_moving: tuple[str, ...] = ()
    change_from: str | None = None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A word of the operator on what is normal for a model, as the history keeps it.

    ``accepted``: the rows of the batches from ``from_batch`` to ``to_batch``, written to ``path``,
    are the reference as long as the configured one has the bytes of ``configured_sha256``.
    ``undone``: an operator has gone back to the configured reference. ``ended``: the configured
    reference has changed, which ends the acceptance by itself. The last two repeat the batches and
    the file of what they end. ``at`` is unix seconds UTC.
    """

    model: str
    kind: Literal["accepted", "undone", "ended"]
    from_batch: str
    to_batch: str
    rows: int
    path: str
    sha256: str
    configured_sha256: str
    note: str
    at: float
    by: str = ""
    """Who said it; empty where that was not recorded, or it ended by itself."""


AnnotationKind = Literal["note", "known_change", "silence"]
"""What an operator says of a stretch of time: a remark; that a change is known and meant; that
nobody is to be called by its alarms."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """A word of an operator on a stretch of a model's time, as the history keeps it.

    Times are unix seconds UTC. ``start`` to ``until`` (half open, None: not known yet) is what it is
    about; ``by`` who said it, ``at`` when. A word is never deleted: ``ended_at`` and ``ended_by`` say
    when and by whom it was taken back, and it is in force no longer. ``scopes`` are those whose
    alarms a silence holds, empty for all of them. A silence changes no verdict and no alarm: it is
    exported, and the alerts heed it.
    """

    id: int
    model: str
    kind: AnnotationKind
    text: str
    start: float
    until: float | None
    by: str
    at: float
    scopes: tuple[Scope, ...] = ()
    ended_at: float | None = None
    ended_by: str = ""

    def in_force(self, now: float) -> bool:
        """Whether it is in force at a moment.

        Examples
        --------
        >>> word = Annotation(1, "churn", "silence", "campaign", 10.0, 20.0, "ada", 5.0)
        >>> word.in_force(15.0), word.in_force(20.0)
        (True, False)
        """
        return self.start <= now < self.end

    @property
    def end(self) -> float:
        """When it is in force no longer: its end, or when it was taken back; infinite without both."""
        return min((at for at in (self.until, self.ended_at) if at is not None), default=math.inf)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one check took. Joules are None where nothing can be read or estimated."""

    cpu_seconds: float
    wall_seconds: float
    peak_memory_bytes: int
    energy_joules: float | None = None
    energy_source: str | None = None
    """A key of ``price.ENERGY_SOURCES``."""
    stages: Mapping[str, float] = field(default_factory=dict)
    """CPU seconds by stage, see ``price.STAGES``; they add up to the whole."""
    tests: Mapping[str, float] = field(default_factory=dict)
    """CPU seconds by test, over all of its columns and scopes; a part of the stage ``test``."""
    rows: int = 0
    """Rows that were tested and that the model was run on; 0 where none were, or it is not known."""
    given_up_seconds: float = 0.0
    """The part of ``wall_seconds`` that attempts took which `limits.seconds` ended."""


@dataclass(frozen=True, slots=True)
class Run:
    """One batch, fully judged: what is stored, exposed and reported.

    ``verdict`` is the answer of this check alone; ``alarm`` is latched over checks. ``reasons`` are
    sentences for people, the most important first. ``provenance`` and ``explanation`` are JSON.
    ``judged_at`` is unix seconds UTC.
    """

    model: str
    batch: Batch
    verdict: Verdict
    judged_at: float
    reasons: tuple[str, ...] = ()
    decisions: tuple[Decision, ...] = ()
    results: tuple[TwoSampleResult, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    findings: tuple[Finding, ...] = ()
    columns: tuple[ColumnProfile, ...] = ()
    explanation: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    cost: Cost = field(default_factory=lambda: Cost(0.0, 0.0, 0))

    @property
    def alarm(self) -> bool:
        """Whether any scope is in alarm after this batch."""
        return any(decision.alarm for decision in self.decisions)
