"""The HTML report of one run: one page that needs nothing else.

In:    a Run, and past verdicts for the timeline.
Out:   HTML with inline style and SVG.
Never: needs a script, a font or an address; imports jinja2 before a page is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from shiftwatch.report import figures, phrase, sentence
from shiftwatch.report.phrase import Phrase, cut, visible
from shiftwatch.report.ranking import JOINT, joint, ranked
from shiftwatch.values import (
    FINDING_CODES,
    SKIP_REASONS,
    Decision,
    Run,
    Scope,
    Skipped,
    TwoSampleResult,
)

if TYPE_CHECKING:
    from jinja2 import Template

UNFOLDED = 60
"""Columns shown with a figure; those with weaker evidence are folded and have none."""

_NAMES_SHOWN = 12
_ENTRIES_SHOWN = 40
_FOR_PROGRAMS = ("settings", "alarms", "limits")
_BEATS_SHOWN = 60
_SHARES_SHOWN = 8
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


def render_html(run: Run, *, timeline: Sequence[Mapping[str, Any]] = ()) -> str:
    """The report of one run as a self-contained page.

    Parameters
    ----------
    run
        A judged batch.
    timeline
        Past verdicts in any order, each with ``batch_id``, ``state``, ``alarm`` and ``judged_at``
        (unix seconds); the newest 60 are drawn.

    Returns
    -------
    str
        HTML without scripts or outside references. Below 150 kB for 50 columns and below 1 MB for
        1000: columns beyond the 60 with the strongest evidence are folded and have no figure.
    """
    return _template().render(
        run=run,
        alarms=[_Alarm(decision, run.batch.id) for decision in _shown_decisions(run)],
        beats=_timeline(run, timeline),
        inputs=ranked(run, "input"),
        predictions=ranked(run, "prediction"),
        joints=joint(run),
        skips=_skips(run.skipped),
        vanished=_vanished(run),
        provenance=_flat(_told(run.provenance))[:_ENTRIES_SHOWN],
        reasons=_reasons(run),
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - 11 MB, only when asked for

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
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
        shortly=_shortly,
        facts=_facts,
        shares=_shares,
    )
    environment.globals.update(
        figures=figures,
        sentence=sentence,
        tests=TEST_NAMES,
        effects=EFFECTS,
        finding_codes=FINDING_CODES,
        unfolded=UNFOLDED,
        name_width=_TITLE_WIDTH,
    )
    source = files("shiftwatch.report").joinpath("template.html").read_text("utf-8")
    return environment.from_string(source)


@dataclass(frozen=True, slots=True)
class _Alarm:
    """One scope as the page shows it."""

    decision: Decision
    batch_id: str

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
        return sentence.alarm_phrase(self.decision, self.batch_id)

    @property
    def evidence(self) -> Phrase:
        return sentence.evidence_phrase(self.decision)

    @property
    def ratio(self) -> float | None:
        """Evidence over its threshold; a schema fault is a fact and has none."""
        return None if self.decision.scope == "schema" else self.decision.evidence.check


def _shown_decisions(run: Run) -> list[Decision]:
    """Performance is shown once it is watched."""
    return [
        d
        for d in run.decisions
        if d.scope != "performance" or d.alarm or d.evidence.check is not None
    ]


def _reasons(run: Run) -> list[str]:
    """The reasons the headline has not given already."""
    headline = sentence.verdict_sentence(run)
    said = [phrase.said(reason) for reason in run.reasons]
    findings = {phrase.said(finding.message) for finding in run.findings}
    return [text for text in said if text not in headline and text not in findings][:10]


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


# --- free JSON ---------------------------------------------------------------------------------


def _vanished(run: Run) -> list[tuple[str, list[str]]]:
    """Categories of the reference that the batch no longer has, by column."""
    given = run.explanation.get("vanished")
    if not isinstance(given, Mapping):
        return []
    return [
        (str(name), [str(text) for text in texts])
        for name, texts in list(given.items())[:_NAMES_SHOWN]
        if isinstance(texts, Sequence) and not isinstance(texts, str)
    ]


def _shares(result: TwoSampleResult) -> list[tuple[str, float]]:
    """The columns a joint test names, with their part in its statistic."""
    given = result.explanation.get("columns")
    if not isinstance(given, Sequence) or isinstance(given, str):
        return []
    found = [
        (str(entry["column"]), float(entry["share"]))
        for entry in given
        if isinstance(entry, Mapping) and "column" in entry and _is_number(entry.get("share"))
    ]
    return sorted(found, key=lambda pair: -pair[1])[:_SHARES_SHOWN]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _facts(result: TwoSampleResult) -> list[tuple[str, str]]:
    """What else a test says of itself: single numbers and words."""
    return [
        (cut(visible(key)).replace("_", " "), _shortly(value))
        for key, value in result.explanation.items()
        if isinstance(value, str | int | float)
    ][:_SHARES_SHOWN]


def _told(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Without the settings, of which the page would be full; they are for `shiftwatch verify`."""
    return {key: value for key, value in provenance.items() if key not in _FOR_PROGRAMS}


def _flat(given: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested JSON as a list of path and text."""
    entries: list[tuple[str, str]] = []
    for key, value in given.items():
        path = f"{prefix}{visible(str(key))}"
        if isinstance(value, Mapping):
            entries += _flat(value, f"{path} ")
        else:
            entries.append((cut(path), _shortly(value)))
    return entries


def _shortly(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, float):
        return phrase.number(value)
    return cut(visible(str(value)), 200)


# --- timeline ----------------------------------------------------------------------------------


def _timeline(run: Run, entries: Sequence[Mapping[str, Any]]) -> list[figures.Beat]:
    ordered = sorted(entries, key=lambda entry: _seconds(entry.get("judged_at")))
    return [_beat(entry, run.batch.id) for entry in ordered[-_BEATS_SHOWN:]]


def _beat(entry: Mapping[str, Any], current: str) -> figures.Beat:
    state, batch = str(entry.get("state", "error")), str(entry.get("batch_id", ""))
    moment = phrase.when(_seconds(entry.get("judged_at")))
    alarm = bool(entry.get("alarm"))
    ending = ", alarm on" if alarm else ""
    label = (
        f"{moment} {cut(visible(batch), 20)}: {cut(visible(state), 20).replace('_', ' ')}{ending}"
    )
    return figures.Beat(state, alarm, label, batch == current)


def _seconds(value: Any) -> float:
    return float(value) if _is_number(value) else 0.0
