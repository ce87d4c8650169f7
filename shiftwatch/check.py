"""One batch walks through the house: read, predict, test, decide. Runs in the worker.

In:    a request.
Out:   its answer; for a batch, the Run and the decision state after it.
Never: writes to the store; reads a clock other than for its own cost.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from shiftwatch import decide, derive, performance, power
from shiftwatch.budget import useful_rows
from shiftwatch.conclude import Found, Moment, Rules, conclude
from shiftwatch.contribution import contribution
from shiftwatch.cost import Stopwatch
from shiftwatch.dependence import doubts, lighter
from shiftwatch.errors import AwayError, DataError, ModelError
from shiftwatch.evaluate import Current, Evaluation, evaluate
from shiftwatch.examples import example_rows
from shiftwatch.payload.plan import Counted, Made
from shiftwatch.phases import WHOLE, Fitted, fitted, span_of
from shiftwatch.provenance import provenance
from shiftwatch.quarantine import NO_FOOTER
from shiftwatch.reference import JOINT, Reference, generator, together
from shiftwatch.requests import (
    Check,
    Checked,
    CountPayloads,
    Digest,
    Digests,
    Inspect,
    Keep,
    Kept,
    List,
    MakePayloads,
    Prepare,
    PreparedInfo,
    Reach,
    Request,
    Survey,
    Surveyed,
)
from shiftwatch.sample import Column, Sample
from shiftwatch.source import parquet, payloads, stores
from shiftwatch.source.fitting import explained, rows_that_fit
from shiftwatch.source.keeping import Draw, keep
from shiftwatch.survey import max_share, survey
from shiftwatch.twosample.protocol import Prepared
from shiftwatch.twosample.registry import Plan
from shiftwatch.values import (
    TESTED_SCOPES,
    ColumnProfile,
    FileFacts,
    Finding,
    Listed,
    Run,
    SchemaColumn,
    Skipped,
    TwoSampleResult,
    Verdict,
)
from shiftwatch.watch import Watch, digests, predict, versions, watch

if TYPE_CHECKING:
    from shiftwatch.model import OnnxModel

Answer = (
    None
    | tuple[Listed, ...]
    | tuple[Counted, ...]
    | Made
    | tuple[FileFacts, ...]
    | PreparedInfo
    | Surveyed
    | Checked
    | Digests
    | Kept
)


def answer(request: Request) -> Answer:
    """Do what the daemon asked."""
    if isinstance(request, Reach):
        stores.reach(request.stores, request.folder)
        return None
    stores.begin()
    found: Answer = _ANSWERS[type(request)](request)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Gathered:
    """A batch as it was read and scored."""

    sample: Sample
    findings: tuple[Finding, ...]
    rows: int
    stratum: str = WHOLE
    """Which batches it may be held against."""


def check(watched: Watch, request: Check) -> Checked:
    """Judge one batch."""
    state = decide.State.from_json(request.state)
    stopwatch = Stopwatch()
    try:
        with stopwatch.stage("read"):
            span = span_of(watched, request.batch)
        gathered = _gather(watched, request, stopwatch)
        if watched.context.model.source == "kserve":
            told = payloads.findings(request.batch.pieces, gathered.findings)
            gathered = replace(gathered, findings=told)
    except AwayError:
        raise  # says nothing about the batch, which is judged when its store answers again
    except DataError as fault:
        code = "incomplete" if NO_FOOTER in fault.what else "unreadable"
        finding = Finding(code, "", str(fault), "invalid")
        return _concluded(watched, request, state, _Judgement.without_tests(finding), stopwatch)
    needed = watched.context.model.window.min_rows
    if gathered.rows < needed:
        reason = f"{gathered.rows} rows of at least {needed}"
        judgement = _Judgement((), (), (), gathered, too_few=reason)
        return _concluded(watched, request, state, judgement, stopwatch)
    with stopwatch.stage("season"):
        fit = fitted(watched, span)
    known = watched.reference.performance()  # of all hours: the more labels, the better
    watched, gathered = fit.watched, _doubted(gathered, fit)
    judgement = _tested(watched, request, gathered, known, stopwatch)
    return _concluded(watched, request, state, judgement, stopwatch)


def _tested(
    watched: Watch,
    request: Check,
    gathered: _Gathered,
    known: Prepared | None,
    stopwatch: Stopwatch,
) -> _Judgement:
    """What the tests find, and how well the model answers as far as that can be told."""
    with stopwatch.stage("test"):
        address = watched.address(request.batch.id)
        current = Current(gathered.sample, _absent(watched.reference, gathered), address)
        plan = _affordable(watched.plan, request)
        evaluation = evaluate(watched.reference, current, plan, watched.root, stopwatch)
    estimated = _estimated(known, gathered, stopwatch)
    return _Judgement.of(_with_left_out(evaluation, watched, request), gathered, estimated)


def _estimated(
    known: Prepared | None, gathered: _Gathered, stopwatch: Stopwatch
) -> Mapping[str, Any]:
    """How well the model answers on the batch; empty where no label is configured."""
    with stopwatch.stage("performance"):
        return {} if known is None else performance.estimate(known, gathered.sample)


def _affordable(plan: Plan, request: Check) -> Plan:
    """The tests as far as the effort of the request lets them run."""
    if request.effort.fewer_draws:
        plan = lighter(plan)
    return plan if request.effort.joint_tests else replace(plan, joint=())


def _with_left_out(evaluation: Evaluation, watched: Watch, request: Check) -> Evaluation:
    """The evaluation with every joint test that there was no time for, named as such."""
    if request.effort.joint_tests:
        return evaluation
    schema = watched.reference.schema
    left_out = tuple(
        Skipped(test.name, JOINT, scope, "time_limit")
        for scope in TESTED_SCOPES
        if together(schema, scope)
        for test in watched.plan.joint
    )
    return replace(evaluation, skipped=(*evaluation.skipped, *left_out))


def _gather(watched: Watch, request: Check, stopwatch: Stopwatch) -> _Gathered:
    """Read the batch and run the model on it."""
    batch, most = request.batch, request.effort.max_rows
    if batch.fault is not None:
        raise DataError(batch.fault, where=batch.uri)
    settings = watched.context.model
    outputs = _model_outputs(watched)
    schema = [c for c in watched.reference.schema if c.name not in outputs and not c.derived_from]
    wanted = derive.to_read(schema)
    allowed = min(settings.window.max_rows, useful_rows(watched.reference.rows))
    allowed = min(allowed, most) if most is not None else allowed
    with stopwatch.stage("read"):
        fitting_rows = rows_that_fit(sorted({p.uri for p in batch.pieces}), wanted, watched.room)
        reading = parquet.read_pieces(
            batch.pieces,
            wanted,
            root=settings.batches,
            max_rows=min(allowed, fitting_rows),
            rng=generator(watched.context.seed, watched.address(batch.id), "rows"),
            time_column=settings.columns.time,
        )
    little = fitting_rows < allowed
    why = watched.room.reason if little else _no_power(reading, watched.reference.rows)
    reading = replace(reading, findings=explained(reading.findings, why))
    if watched.model is None or reading.rows_total < settings.window.min_rows:
        sample = derive.with_derived(reading.sample, watched.reference.schema)
        return _Gathered(sample, reading.findings, reading.rows_total)
    with stopwatch.stage("predict"):
        columns, findings = _predicted(watched.model, reading.sample, schema)
    sample = derive.with_derived(reading.sample.with_columns(columns), watched.reference.schema)
    return _Gathered(sample, (*reading.findings, *findings), reading.rows_total)


def _no_power(reading: parquet.Reading, reference_rows: int) -> str:
    """Why a sample was taken, where the size of the reference is the reason."""
    if reading.sample.rows != useful_rows(reference_rows):
        return ""
    return f"more than {max_share(reference_rows)} add no power"


def _doubted(gathered: _Gathered, fit: Fitted) -> _Gathered:
    """The batch with what stands against the promise for it, and its stratum."""
    settings, reference = fit.watched.context.model, fit.watched.reference
    texts = doubts(reference, gathered.sample.rows, settings, fit.span)
    told = ([fit.doubt] if fit.doubt else []) + list(texts)
    notes = (Finding("promise_not_kept", "", text, "note") for text in told)
    return replace(gathered, findings=(*gathered.findings, *notes), stratum=fit.stratum)


def _model_outputs(watched: Watch) -> frozenset[str]:
    """Names of prediction columns that come from the model, not from the file."""
    logged = set(watched.context.model.columns.prediction)
    return frozenset(
        column.name
        for column in watched.reference.schema
        if column.role == "prediction" and column.name not in logged and not column.derived_from
    )


def _predicted(
    model: OnnxModel, sample: Sample, schema: Sequence[SchemaColumn]
) -> tuple[tuple[Column, ...], tuple[Finding, ...]]:
    missing = [c.name for c in schema if c.role == "input" and not sample.has(c.name)]
    if missing:
        text = f"the model was not run: no usable column {', '.join(missing)}"
        return (), (Finding("model_failed", missing[0], text, "invalid"),)
    try:
        prediction = predict(sample, schema, model)
    except ModelError as fault:
        return (), (Finding("model_failed", "", str(fault), "invalid"),)
    if not prediction.columns:
        told = " ".join(finding.message for finding in prediction.findings)
        return (), (Finding("model_failed", "", told or "the model gave no output", "invalid"),)
    return prediction.columns, prediction.findings


def _absent(reference: Reference, gathered: _Gathered) -> Mapping[str, str]:
    """Why a column of the reference is not in the batch, by name."""
    told = ("missing_column", "changed_type", "duplicate_column")
    reasons = {f.column: f.code for f in gathered.findings if f.code in told}
    absent: dict[str, str] = {}
    for column in reference.schema:
        if column.role in ("input", "prediction") and not gathered.sample.has(column.name):
            fallback = "missing_column" if column.role == "input" else "no_predictions"
            absent[column.name] = reasons.get(column.name, fallback)
            if column.derived_from is not None:
                known = {**reasons, **absent}
                absent[column.name] = derive.absence(column, gathered.sample, known)
    return absent


@dataclass(frozen=True, slots=True, eq=False)
class _Judgement:
    """What is known of a batch before the decision."""

    results: tuple[TwoSampleResult, ...]
    skipped: tuple[Skipped, ...]
    columns: tuple[ColumnProfile, ...]
    gathered: _Gathered
    too_few: str = ""
    estimated: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, evaluation: Evaluation, gathered: _Gathered, estimated: Mapping[str, Any]
    ) -> _Judgement:
        found = evaluation.results, evaluation.skipped, evaluation.columns
        return cls(*found, gathered, estimated=estimated)

    @classmethod
    def without_tests(cls, finding: Finding) -> _Judgement:
        return cls((), (), (), _Gathered(Sample(0, ()), (finding,), 0))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Facts about the data, new categories included."""
        new = (
            Finding(
                "new_categories",
                column.name,
                "never in the reference: " + ", ".join(column.new_categories[:5]),
                "note",
            )
            for column in self.columns
            if column.new_categories
        )
        return (*self.gathered.findings, *new)


def _concluded(
    watched: Watch,
    request: Check,
    state: decide.State,
    judgement: _Judgement,
    stopwatch: Stopwatch,
) -> Checked:
    policy = decide.Policy.of(watched.context.alarms, watched.context.model.tolerance)
    if request.alone:
        policy = replace(policy, memory="none")
    findings = judgement.findings
    if request.effort.step != "whole" and (judgement.results or judgement.skipped):
        findings = (*findings, _degraded(request, judgement))
    if watched.ended:
        text = "the configured reference has changed since another one was accepted, and is used"
        findings = (*findings, Finding("acceptance_ended", "", text, "note"))
    if watched.reference.sampled:
        findings = (*findings, Finding("subsampled", "", watched.reference.sampled, "note"))
    if state.basis not in (None, watched.basis):
        text = "the reference or the model is another one than before: the alarms start anew"
        findings = (*findings, Finding("new_basis", "", text, "note"))
        state = decide.State(checks=state.checks)
    with stopwatch.stage("decide"):
        sample = judgement.gathered.sample
        rules = Rules(watched.reference, policy, watched.root, sample.rows)
        found = Found(judgement.results, judgement.skipped, findings, sample)
        concluded = conclude(
            rules, found, _moment(watched, request, judgement.gathered.stratum), state, stopwatch
        )
    verdict = concluded.verdict
    if judgement.too_few and verdict != "invalid_data":
        verdict = "insufficient_data"
    rows = judgement.gathered.rows or request.batch.rows
    run = Run(
        model=request.context.model.name,
        batch=replace(request.batch, rows=rows),
        verdict=verdict,
        judged_at=request.judged_at,
        reasons=_reasons(verdict, judgement),
        decisions=concluded.decisions,
        results=judgement.results,
        skipped=judgement.skipped,
        findings=findings,
        columns=judgement.columns,
        explanation=_explanation(judgement, rows=watched.context.model.report.rows)
        | power.outlook(judgement.results, concluded.level.check),
        provenance=_provenance(watched, request),
        cost=stopwatch.cost(judgement.gathered.sample.rows),
    )
    return Checked(run, replace(concluded.state, basis=watched.basis).to_json())


def _degraded(request: Check, judgement: _Judgement) -> Finding:
    """What was left out to stay within the limit, and what to do about it."""
    effort, limit = request.effort, request.context.limits.seconds
    gathered = judgement.gathered
    told = [f"{gathered.sample.rows} of {gathered.rows} rows tested"]
    if effort.fewer_draws:
        told.append("fewer permutations and draws")
    if not effort.joint_tests:
        told.append("no joint tests")
    tried = f"; ended at the limit before: {', '.join(effort.given_up)}" if effort.given_up else ""
    text = (
        f"to end within limits.seconds = {limit:g}: {', '.join(told)}{tried}; raise limits.seconds, "
        "lower window.max_rows, or give the worker more CPU"
    )
    return Finding("degraded", "", text, "note")


def _moment(watched: Watch, request: Check, stratum: str) -> Moment:
    """When the batch came: by its events where they have times, else when it is judged."""
    batch = request.batch
    if watched.context.model.columns.time is None or batch.event_time_end is None:
        return Moment(batch.id, request.judged_at, stratum=stratum)
    start = batch.event_time_start
    took = None if start is None else batch.event_time_end - start
    return Moment(batch.id, batch.event_time_end, took, stratum)


def _reasons(verdict: Verdict, judgement: _Judgement) -> tuple[str, ...]:
    """Why the verdict is not a plain answer."""
    if verdict == "insufficient_data":
        return (judgement.too_few or _why_untested({skip.reason for skip in judgement.skipped}),)
    if verdict == "error":
        failed = [skip for skip in judgement.skipped if skip.reason == "test_failed"]
        return tuple(f"{skip.test} on {skip.target}: {skip.detail}" for skip in failed)
    return tuple(f.message for f in judgement.findings if f.severity == "invalid")


def _why_untested(skipped: Collection[str]) -> str:
    """Why no test ran, by the reasons of all."""
    if "time_limit" in skipped:
        return "limits.seconds left no time for a test"
    if "too_few_rows" in skipped or not skipped:
        return "no test had enough rows"
    return f"no column can be tested: {', '.join(sorted(skipped))}"


def _explanation(judgement: _Judgement, *, rows: bool) -> dict[str, Any]:
    """Columns by their contribution to the joint tests, and categories that came or went."""
    ranked = {
        result.scope: list(result.explanation.get("columns", ()))
        for result in judgement.results
        if result.test == "c2st"
    }
    appeared = {c.name: list(c.new_categories) for c in judgement.columns if c.new_categories}
    vanished = {
        c.name: [
            text
            for text, before, now in zip(
                c.categories, c.counts_reference, c.counts_current, strict=False
            )
            if before and not now
        ]
        for c in judgement.columns
        if c.kind == "categorical"
    }
    told: dict[str, Any] = {}
    shares = contribution(judgement.results)
    if judgement.estimated:
        told["performance"] = dict(judgement.estimated)
    if rows:
        first = [share.column for share in shares.get("input", ())]
        shown = example_rows(judgement.gathered.sample, judgement.results, first, "input")
        told |= {"rows": {"input": shown}} if shown else {}
    return told | {
        "columns": ranked,
        "contribution": {
            scope: [asdict(share) for share in found] for scope, found in shares.items()
        },
        "appeared": appeared,
        "vanished": {name: texts for name, texts in vanished.items() if texts},
    }


def _provenance(watched: Watch, request: Check) -> dict[str, Any]:
    return {
        "model_sha256": watched.model.sha256 if watched.model is not None else None,
        "reference_sha256": watched.reference_sha256,
        "libraries": versions(),
        **provenance(replace(request, context=watched.context)),
    }


def _rows_kept(asked: Keep) -> Kept:
    """Rows of batches as a file, at most so many of them."""
    if asked.max_rows is None:
        return keep(asked.context.model, asked.batches, asked.folder)
    first = asked.batches[0].id
    draw = Draw(asked.max_rows, generator(asked.context.seed, first, "reference"))
    return keep(asked.context.model, asked.batches, asked.folder, draw)


_ANSWERS: Mapping[type, Callable[[Any], Any]] = {
    List: lambda asked: parquet.list_files(asked.path, complete=asked.complete, after=asked.after),
    CountPayloads: lambda asked: tuple(payloads.counted(each) for each in asked.objects),
    MakePayloads: lambda asked: payloads.make(asked.plan, asked.settings, asked.folder),
    Inspect: lambda asked: tuple(parquet.inspect(each, asked.time_column) for each in asked.files),
    Digest: digests,
    Keep: _rows_kept,
    Prepare: lambda asked: watch(asked.context).info(),
    Survey: lambda asked: survey(watch(asked.context), asked),
    Check: lambda asked: check(watch(asked.context), asked),
}
