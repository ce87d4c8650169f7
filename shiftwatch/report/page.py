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
from shiftwatch.report import (
    categories,
    chart,
    derived,
    details,
    figures,
    gauges,
    layers,
    loose,
    phrase,
    sentence,
    spending,
)
from shiftwatch.report import lead as leading
from shiftwatch.report import timeline as history
from shiftwatch.report.advice import advice
from shiftwatch.report.cards import cards
from shiftwatch.report.headline import headline
from shiftwatch.report.phrase import BatchName, cut, visible
from shiftwatch.report.ranking import JOINT, joint, ranked
from shiftwatch.report.tolerance import policy_of
from shiftwatch.report.untested import untested
from shiftwatch.values import (
    FINDING_CODES,
    Acceptance,
    Annotation,
    Run,
)

if TYPE_CHECKING:
    from jinja2 import Template

UNFOLDED = 60
"""Columns shown with a figure; those with weaker evidence are folded and have none."""

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
    moments = _moments(timeline)
    comparison = loose.comparison(run)
    return _template().render(
        run=run,
        alarms=cards(run),
        line=history.timeline(run, timeline, words),
        headline=headline(run, moments),
        lead=leading.after_headline(run),
        dates={batch: phrase.when(at) for batch, at in moments.items()},
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
        origins=derived.origins(run),
        inputs=ranked(run, "input"),
        predictions=ranked(run, "prediction"),
        policy=policy_of(run),
        carried={d.scope for d in run.decisions if "check" in layers.crossed(d)},
        seen=details.detectable(run),
        scale=_scale(run),
        joints=joint(run),
        skips=untested(run.skipped),
        categories=categories.came_and_went(run),
        performance=leading.performance(run),
        not_estimated=loose.not_estimated(run),
        rows=loose.example_rows(run),
        provenance=loose.flat(loose.told(run.provenance))[:_ENTRIES_SHOWN],
        reasons=_reasons(run),
        cost=_cost(run, day),
    )


_LEAST_SCALE = 0.1


def _scale(run: Run) -> float:
    """The effect at the right edge of every interval: the largest that is drawn."""
    ends = [
        result.effect if result.effect_high is None else result.effect_high
        for result in run.results
        if result.target != JOINT
    ]
    known = [end for end in (*ends, *details.detectable(run).values()) if math.isfinite(end)]
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
        chart=chart,
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


def _moments(entries: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """When each batch was, unix seconds: by its events where known, else when it was judged."""
    found = {}
    for entry in entries:
        known = [entry.get(key) for key in ("event_time_start", "judged_at")]
        times = [float(time) for time in known if details.is_number(time)]
        if times:
            found[str(entry.get("batch_id", ""))] = times[0]
    return found
