"""The pages for people: overview and API description.

In:    a Board, or the OpenAPI document.
Out:   HTML that is whole without script, and needs nothing from elsewhere.
Never: puts a text from outside on the page unescaped; shows more than the API says.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from shiftwatch.errors import StoreError
from shiftwatch.metrics import TestView, by_test
from shiftwatch.promise import promised
from shiftwatch.quarantine import REASONS, Broken
from shiftwatch.report import LAYER_MEANINGS, LAYER_NAMES, crossed, doubts, ratios
from shiftwatch.status import ModelStatus
from shiftwatch.values import Annotation, Decision, Run
from shiftwatch.web import assets, shapes, words
from shiftwatch.web.board import Board

if TYPE_CHECKING:
    import jinja2

TIMELINE = 60
"""Verdicts on the strip of a model."""

_MOST_BROKEN = 20
"""Broken files named on the card of a model; the API has more."""

_HEIGHTS = {"insufficient_data": 18, "invalid_data": 28, "error": 28, "shift": 40}
"""Pixels of a bar; height and title say the same as the colour."""


@dataclass(frozen=True, slots=True)
class Past:
    """A past batch by its id and its time, which is None if it is older than the timeline."""

    batch: str
    time: str | None


@dataclass(frozen=True, slots=True)
class AlarmLine:
    """A scope, its alarm and the evidence of its layers."""

    scope: str
    on: bool
    why: str
    """Which layers crossed their threshold on the last batch."""
    since: Past | None
    began: Past | None
    """The batch with which the change is estimated to have begun."""
    evidence: tuple[float | None, ...]
    """By layer: check, window, pool."""
    columns: tuple[str, ...]
    also: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """A verdict on the timeline."""

    state: str
    x: int
    height: int
    alarm: bool
    title: str
    href: str


@dataclass(frozen=True, slots=True)
class Said:
    """A word of an operator that is in force, in words."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Card:
    """A model on the overview."""

    name: str
    points: str
    """The timeline as JSON, for the chart."""
    said: tuple[Said, ...]
    badges: tuple[words.Badge, ...]
    alarms: tuple[AlarmLine, ...]
    run: Run | None
    judged_at: str | None
    backlog: int
    tests: tuple[TestView, ...]
    bars: tuple[Bar, ...]
    summary: str
    promise: str
    """What is promised of false alarms, at the pace seen; empty where it is not known."""
    doubts: tuple[str, ...]
    """Why the promise cannot be shown to hold for the last batch."""
    history_fault: str | None
    quarantined: int
    retried: int
    broken: tuple[Broken, ...]
    """The first broken files; see ``ModelStatus.broken``."""

    @property
    def states(self) -> tuple[str, ...]:
        """Kinds of its badges, by which it is found."""
        return tuple(badge.kind for badge in self.badges)

    @property
    def version(self) -> str:
        """Changes with whatever the card shows."""
        return version_of(self)


def version_of(*shown: object) -> str:
    """A short digest of what is shown, by which a page tells whether it has changed."""
    return sha256(repr(shown).encode(errors="surrogatepass")).hexdigest()[:12]


STATES: Mapping[str, str] = {
    "shift": "alarm or shift",
    "error": "error",
    "stale": "stale",
    "invalid_data": "invalid data",
    "insufficient_data": "not enough data",
    "waiting": "waiting",
    "no_shift": "no shift",
}
"""Kinds of badges, the most urgent first."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which models are to be shown: part of the name, kind of a badge."""

    q: str = ""
    state: str = ""


_ALL = Asked()


def overview(board: Board, asked: Asked = _ALL) -> str:
    """The page of all models, the most urgent first, or of those that are asked for."""
    snapshot = board.snapshot()
    config = board.effective_config()
    named = [s for s in snapshot.models if asked.q.strip().lower() in s.name.lower()]
    cards = [card_of(board, status, config, snapshot.around.words) for status in named]
    cards = [card for card in cards if not asked.state or asked.state in card.states]
    cards.sort(key=_urgency)
    template = environment().get_template("overview.html")
    return template.render(
        snapshot=snapshot,
        cards=cards,
        layers=LAYERS,
        asked=asked,
        states=STATES,
        everything=len(snapshot.models),
        scripts=scripts(),
    )


def _urgency(card: Card) -> int:
    order = list(STATES)
    return min((order.index(kind) for kind in card.states if kind in order), default=len(order))


LAYERS = [(name, LAYER_NAMES[name], LAYER_MEANINGS[name]) for name in LAYER_NAMES]


def scripts() -> list[str]:
    """Addresses of the scripts of a page."""
    return [assets.address(name) for name in assets.SCRIPTS]


def card_of(
    board: Board, status: ModelStatus, config: Mapping[str, Any], spoken: Sequence[Annotation]
) -> Card:
    """A model as it is shown."""
    run, fault = status.last_run, None
    try:
        points = sorted(board.timeline(status.name, TIMELINE), key=lambda row: row["judged_at"])
    except StoreError as error:
        points, fault = [], str(error)
    return Card(
        name=status.name,
        points=_points(status.name, points[-TIMELINE:]),
        said=tuple(_said(word) for word in spoken if word.model == status.name),
        badges=words.badges(status, _folder(config, status.name)),
        alarms=_alarms(run, {point["batch_id"]: _time(point) for point in points}) if run else (),
        run=run,
        judged_at=shapes.iso_time(run.judged_at) if run else None,
        backlog=status.backlog,
        tests=by_test(run) if run else (),
        bars=_bars(status.name, points[-TIMELINE:]),
        summary=_summary(points[-TIMELINE:]),
        promise=_promise(config, points),
        doubts=tuple(finding.message for finding in doubts(run)) if run else (),
        history_fault=fault,
        quarantined=status.quarantined,
        retried=status.retried,
        broken=status.broken[:_MOST_BROKEN],
    )


def _folder(config: Mapping[str, Any], model: str) -> str | None:
    folders = {entry["name"]: entry["batches"] for entry in config.get("models", ())}
    return folders.get(model)


def _promise(config: Mapping[str, Any], points: Sequence[Mapping[str, Any]]) -> str:
    asked = config.get("alarms", {}).get("false_alarms", {})
    per_checks, per_days = asked.get("per_checks"), asked.get("per_days")
    return "" if per_checks is per_days is None else promised(points, per_checks, per_days)


def _time(point: Mapping[str, Any]) -> str | None:
    """When a batch was: by its events where their time is known, else when it was judged."""
    start = point.get("event_time_start")
    return shapes.iso_time(point["judged_at"] if start is None else start)


def _alarms(run: Run, times: Mapping[str, str | None]) -> tuple[AlarmLine, ...]:
    def past(batch: str | None) -> Past | None:
        return None if batch is None else Past(batch, times.get(batch))

    return tuple(
        AlarmLine(
            scope=decision.scope,
            on=decision.alarm,
            why=_why(decision),
            since=past(decision.since),
            began=past(decision.change_from),
            evidence=tuple(_ratios(decision)),
            columns=decision.columns,
            also=decision.also_moving,
        )
        for decision in run.decisions
    )


def _ratios(decision: Decision) -> list[float | None]:
    """By layer; a fault of the schema is a fact and has none."""
    found = dict(ratios(decision))
    return [found.get(layer) for layer in LAYER_NAMES]


def _why(decision: Decision) -> str:
    """What crossed on the last batch; of an alarm that holds on, that nothing did."""
    layers = [LAYER_NAMES.get(layer, layer) for layer in crossed(decision)]
    if layers:
        return f"crossed by {', '.join(layers)}"
    quiet = decision.alarm and decision.scope != "schema"
    return "holds on; the last batch crossed nothing" if quiet else ""


_KINDS = {"note": "note", "known_change": "known change", "silence": "silenced"}


def _said(word: Annotation) -> Said:
    until = f" until {_minute(word.until)}" if word.until is not None else ""
    scopes = f" ({', '.join(word.scopes)})" if word.scopes else ""
    text = f": {word.text}" if word.text else ""
    return Said(f"{_KINDS[word.kind]}{scopes}{until}", f"by {word.by}{text}")


def _minute(seconds: float) -> str:
    return (shapes.iso_time(seconds) or "")[:16].replace("T", " ")


def _points(model: str, points: Sequence[Mapping[str, Any]]) -> str:
    """The timeline for the script, as JSON."""
    told = {
        "when": [(_time(point) or "")[5:16].replace("T", " ") for point in points],
        "told": [words.shown(_title(point)) for point in points],
        "input": [_ratio(point, "input") for point in points],
        "prediction": [_ratio(point, "prediction") for point in points],
        "alarm": [int(bool(point["alarm"])) for point in points],
        "href": [f"{shapes.report_path(model, point['batch_id'])}&format=html" for point in points],
    }
    return json.dumps(told, separators=(",", ":"))


def _ratio(point: Mapping[str, Any], scope: str) -> float | None:
    ratio = (point.get("evidence") or {}).get(scope)
    return None if ratio is None or not math.isfinite(ratio) else round(ratio, 4)


def _bars(model: str, points: Sequence[Mapping[str, Any]]) -> tuple[Bar, ...]:
    first = TIMELINE - len(points)
    return tuple(
        Bar(
            state=point["state"],
            x=12 * (first + place),
            height=_height(point),
            alarm=bool(point["alarm"]),
            title=_title(point),
            href=f"{shapes.report_path(model, point['batch_id'])}&format=html",
        )
        for place, point in enumerate(points)
    )


def _height(point: Mapping[str, Any]) -> int:
    """By verdict; a quiet bar grows with the strongest evidence of any layer."""
    if point["state"] == "no_shift":
        return 6 + round(18 * min(1.0, max(0.0, _evidence(point) or 0.0)))
    return _HEIGHTS.get(point["state"], 28)


def _evidence(point: Mapping[str, Any]) -> float | None:
    return max((point.get("evidence") or {}).values(), default=None)


def _title(point: Mapping[str, Any]) -> str:
    verdict = words.VERDICTS.get(point["state"], point["state"])
    alarm = ", alarm on" if point["alarm"] else ""
    ratio = _evidence(point)
    evidence = "" if ratio is None else f", strongest evidence {words.number(ratio)}"
    start = f"{_time(point)} batch {point['batch_id']}"
    return f"{start}: {verdict}{alarm}{evidence}"


def _summary(points: Sequence[Mapping[str, Any]]) -> str:
    counts = Counter(point["state"] for point in points)
    parts = (f"{n} {words.VERDICTS.get(state, state)}" for state, n in counts.most_common())
    return f"last {len(points)} batches: {', '.join(parts)}"


def docs(description: Mapping[str, Any]) -> str:
    """The page of the API description."""
    return environment().get_template("docs.html").render(api=description)


@cache
def style() -> str:
    """Content of the only ``style`` element of these pages."""
    own = files("shiftwatch.web").joinpath("templates", "style.css").read_text("utf-8")
    return assets.chart_style() + own


@cache
def environment() -> jinja2.Environment:
    """What renders the templates of this room."""
    import jinja2  # noqa: PLC0415  # 11 MB that only pages need
    import markupsafe  # noqa: PLC0415  # comes with it

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("shiftwatch.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["style"] = markupsafe.Markup(style())  # noqa: S704 - our own file
    environment.filters.update(
        shown=words.shown,
        minute=lambda time: time[:16].replace("T", " "),
        number=words.number,
        verdict=_verdict,
        reason=REASONS.__getitem__,
        moment=shapes.iso_time,
        report=shapes.report_path,
        model_path=lambda name: f"/models/{quote(name, safe='')}",
    )
    return environment


def _verdict(state: str) -> str:
    return {str(verdict): text for verdict, text in words.VERDICTS.items()}[state]
