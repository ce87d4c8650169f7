"""The HTML report of one run: one page that needs nothing else.

In:    a Run, and past verdicts for the timeline.
Out:   HTML with inline style and SVG.
Never: needs a script, a font or an address; imports jinja2 before a page is asked for.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from shiftwatch.price import DayCost
from shiftwatch.report import alarm as alarm_words
from shiftwatch.report import details, figures, gauges, layers, loose, phrase, sentence, spending
from shiftwatch.report import lead as leading
from shiftwatch.report import timeline as history
from shiftwatch.report.advice import advice
from shiftwatch.report.phrase import BatchName, Phrase, cut, visible
from shiftwatch.report.ranking import JOINT, Ranked, joint, ranked
from shiftwatch.report.tolerance import policy_of
from shiftwatch.values import (
    FINDING_CODES,
    SKIP_REASONS,
    Acceptance,
    Annotation,
    Decision,
    Run,
    Scope,
    Skipped,
)

if TYPE_CHECKING:
    from jinja2 import Template

UNFOLDED = 60
"""Columns shown with a figure; those with weaker evidence are folded and have none."""

_NAMES_SHOWN = 12
_ENTRIES_SHOWN = 40
_TITLE_WIDTH = 300

TEST_NAMES: Mapping[str, str] = {
    "ks": "Kolmogorov-Smirnov",
    "chi2": "chi-square",
    "nulls": "null rate",
    "unseen": "unseen categories",
    "distinct": "distinct values",
    "mmd": "maximum mean discrepancy",
    "c2st": "classifier two-sample test",
}

EFFECTS: Mapping[str, str] = {
    "ks": "largest gap between the two cumulative distributions, 0 to 1",
    "chi2": "total variation: share of rows that would have to change category, 0 to 1",
    "nulls": "difference of the null rates",
    "unseen": "share of rows in categories the reference has never had",
    "distinct": "change of the share of distinct values among rows",
    "mmd": "distance of the two samples in the space of the kernel",
    "c2st": "2 AUC - 1: 0 where a classifier cannot tell the sides apart, 1 where it always can",
}


def render_html(
    run: Run,
    *,
    timeline: Sequence[Mapping[str, Any]] = (),
    words: Sequence[Annotation | Acceptance] = (),
    promise: str = "",
    linked: bool = False,
    day: DayCost | None = None,
) -> str:
    """The report of one run as a self-contained page.

    Parameters
    ----------
    run
        A judged batch, or a comparison: one whose ``explanation`` names both sides under
        ``comparison``.
    timeline
        Past verdicts in any order, each with ``batch_id``, ``state``, ``alarm`` and ``judged_at``
        (unix seconds), perhaps with ``event_time_start`` and ``evidence``; the newest 120 are
        drawn. Batches that the page names are dated by it.
    words
        What operators have said on the model, in any order.
    promise
        The promise on false alarms in words; the run does not know it.
    linked
        Whether the page is served where ``?batch=ID&format=html`` is the page of another batch.
    day
        What the day up to it cost, where that is known.

    Returns
    -------
    str
        HTML without scripts or outside references. Below 300 kB for 50 columns and below 1.5 MB
        for 1000: columns beyond the 60 that matter most are folded and have no figure.
    """
    dates = _dates(timeline)
    comparison = loose.comparison(run)
    appeared, gone = loose.appeared(run), dict(loose.vanished(run))
    estimated = leading.performance(run)
    inputs, predictions = ranked(run, "input"), ranked(run, "prediction")
    return _template().render(
        run=run,
        alarms=[
            _Alarm(decision, run.batch.id, bool(comparison))
            for decision in _shown_decisions(run, comparison)
        ],
        line=history.timeline(run, timeline, words),
        lead=leading.lead(run, dates),
        dates=dates,
        linked=linked,
        home="/" if linked else "",
        comparison=comparison,
        sides=comparison or {"reference": "reference", "current": "this batch"},
        promise=promise,
        outlook=details.outlook(run),
        slow=any(len(layers.ratios(decision)) > 1 for decision in run.decisions),
        doubts=layers.doubts(run),
        findings=[f for f in layers.other_findings(run) if f.code != "new_categories"],
        held=layers.held_back(run),
        inflated=details.inflated(run),
        inputs=inputs,
        predictions=predictions,
        policy=policy_of(run),
        scale=_scale((*inputs, *predictions)),
        joints=joint(run),
        skips=_skips(run.skipped),
        appeared=appeared,
        vanished=gone,
        categories=list(dict.fromkeys((*appeared, *gone))),
        performance=estimated,
        not_estimated=loose.not_estimated(run),
        rows=loose.example_rows(run),
        provenance=loose.flat(loose.told(run.provenance))[:_ENTRIES_SHOWN],
        reasons=_reasons(run),
        cost=_cost(run, day),
    )


_LEAST_SCALE = 0.1


def _scale(rows: Sequence[Ranked]) -> float:
    """The effect at the right edge of every interval: the largest that is shown."""
    ends = [
        r.effect if r.effect_high is None else r.effect_high for row in rows for r in row.results
    ]
    known = [end for end in ends if math.isfinite(end)]
    return max(_LEAST_SCALE, *known) if known else _LEAST_SCALE


@cache
def _template() -> Template:
    # 11 MB, only when asked for
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=PackageLoader("shiftwatch.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        p=phrase.p_text,
        number=phrase.number,
        effect=phrase.effect_text,
        interval=lambda r: phrase.interval_text(r.effect_low, r.effect_high),
        percent=phrase.percent,
        plural=phrase.plural,
        when=phrase.when,
        span=lambda batch: phrase.span(batch.event_time_start, batch.event_time_end),
        visible=visible,
        cut=cut,
        said=phrase.said,
        upfirst=lambda text: text[:1].upper() + text[1:],
        shortly=loose.shortly,
        ratio=alarm_words.ratio_text,
        effective=details.effective_rows,
        movement=details.movement,
        witnesses=details.witnesses,
        isbatch=lambda piece: isinstance(piece, BatchName),
        plain=lambda text: text.isascii() and text.isalnum(),
        facts=loose.facts,
        shares=loose.shares,
        first_words=lambda text: text.partition(".")[0].partition(",")[0],
    )
    environment.globals.update(
        figures=figures,
        gauges=gauges,
        timeline=history,
        change_text=leading.change_text,
        sentence=sentence,
        advice=advice,
        layers=layers.LAYER_NAMES,
        meanings=layers.LAYER_MEANINGS,
        also=layers.ALSO_MOVING,
        tests=TEST_NAMES,
        effects=EFFECTS,
        finding_codes=FINDING_CODES,
        amount=spending.amount,
        unfolded=UNFOLDED,
        name_width=_TITLE_WIDTH,
    )
    environment.globals["style"] = page_style()
    environment.globals["policy_text"] = _policy(page_style())
    return environment.get_template("page.html")


def _policy(style: str) -> str:
    """Content security policy of a page wherever it is opened: its one style, and nothing else."""
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def page_style() -> str:
    """Content of the only ``style`` element of a page, for a server's content security policy."""
    return _own_file("style.css")


def _own_file(name: str) -> str:
    return files("shiftwatch.report").joinpath(name).read_text("utf-8")


_FOUND = {"on": "Shift", "off": "No shift found", "unknown": "Could not be judged"}


@dataclass(frozen=True, slots=True)
class _Alarm:
    """One scope as the page shows it."""

    decision: Decision
    batch_id: str
    alone: bool = False
    """Whether it is of a comparison, which has no past and raises no alarm."""

    @property
    def title(self) -> str:
        return sentence.SCOPE_NOUNS[self.decision.scope].capitalize()

    @property
    def state(self) -> str:
        """Class of the card: on, cleared or off; unknown where nothing was judged."""
        if self.decision.alarm:
            return "on"
        if self.decision.scope != "schema" and self.decision.p_value is None:
            return "unknown"
        return "off"

    @property
    def phrase(self) -> Phrase:
        if self.alone and self.decision.scope != "schema":
            return (_FOUND[self.state],)
        return alarm_words.alarm_phrase(self.decision, self.batch_id)

    @property
    def why(self) -> Phrase:
        if self.alone:
            return ()
        return alarm_words.why_phrase(self.decision, self.batch_id)

    @property
    def evidence(self) -> Phrase:
        return alarm_words.evidence_phrase(self.decision)

    @property
    def also(self) -> Phrase:
        return alarm_words.also_phrase(self.decision)

    @property
    def clearing(self) -> Phrase:
        if self.alone:
            return ()
        return alarm_words.clearing_phrase(self.decision)

    @property
    def layers(self) -> tuple[tuple[str, float], ...]:
        """Evidence over its threshold by layer; a schema fault is a fact and has none."""
        return layers.ratios(self.decision)


def _shown_decisions(run: Run, comparison: Mapping[str, str]) -> list[Decision]:
    """Performance is shown once it is watched; a comparison has no quiet schema to tell of."""
    return [
        d
        for d in run.decisions
        if (d.scope != "performance" or d.alarm or d.evidence.check is not None)
        and not (comparison and d.scope == "schema" and not d.alarm)
    ]


def _reasons(run: Run) -> list[str]:
    """The reasons the headline has not given already."""
    headline = sentence.verdict_sentence(run)
    said = [phrase.said(reason) for reason in run.reasons]
    findings = {phrase.said(finding.message) for finding in run.findings}
    return [text for text in said if text not in headline and text not in findings][:10]


@dataclass(frozen=True, slots=True)
class _Cost:
    """What the check cost, as the page shows it."""

    told: tuple[str, ...]
    assumed: str
    stages: list[spending.Part]
    tests: list[spending.Part]


def _cost(run: Run, day: DayCost | None) -> _Cost:
    cost = run.cost
    return _Cost(
        spending.spending(run, day),
        spending.energy_meaning(cost),
        spending.by_stage(cost),
        spending.by_test(cost),
    )


# --- what was not tested -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Skips:
    """Targets one test skipped for one reason."""

    test: str
    scope: Scope
    reason: str
    meaning: str
    targets: tuple[str, ...]
    more: int
    detail: str


def _skips(skipped: Sequence[Skipped]) -> list[_Skips]:
    groups: dict[tuple[Scope, str, str], list[Skipped]] = {}
    for skip in skipped:
        groups.setdefault((skip.scope, skip.test, skip.reason), []).append(skip)
    return [_group(key, members) for key, members in groups.items()]


def _group(key: tuple[Scope, str, str], members: Sequence[Skipped]) -> _Skips:
    scope, test, reason = key
    names = [m.target for m in members if m.target != JOINT]
    details = list(dict.fromkeys(m.detail for m in members if m.detail))
    return _Skips(
        test,
        scope,
        reason,
        SKIP_REASONS.get(reason, reason.replace("_", " ")),
        tuple(names[:_NAMES_SHOWN]),
        max(len(names) - _NAMES_SHOWN, 0),
        details[0] if len(details) == 1 else "",
    )


def _dates(entries: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """When each batch was: by its events where their time is known, else when it was judged."""
    found = {}
    for entry in entries:
        known = [entry.get(key) for key in ("event_time_start", "judged_at")]
        times = [phrase.when(float(time)) for time in known if details.is_number(time)]
        found[str(entry.get("batch_id", ""))] = times[0] if times else ""
    return found
