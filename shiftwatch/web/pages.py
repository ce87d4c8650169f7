"""The pages for people: overview and API description.

In:    a Board, or the OpenAPI document.
Out:   HTML that is whole without script, and needs nothing from elsewhere.
Never: puts a text from outside on the page unescaped; shows more than the API says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from shiftwatch.annotation import KIND_WORDS
from shiftwatch.errors import StoreError
from shiftwatch.metrics import TestView, by_test
from shiftwatch.promise import promised
from shiftwatch.quarantine import REASONS, Broken
from shiftwatch.report import LAYER_MEANINGS, LAYER_NAMES, crossed, doubts, ratios
from shiftwatch.status import ModelStatus, Snapshot
from shiftwatch.values import Annotation, Decision, Run
from shiftwatch.web import assets, shapes, strip, words
from shiftwatch.web.board import Board

if TYPE_CHECKING:
    import jinja2

AT_LENGTH = 3
"""Models that are shown with all their tables; of more, each has a line, and a page of its own."""

ON_A_PAGE = 100
"""Models at most, the most urgent first."""

_WORDS = 12
"""Words of operators on the timeline of a model."""

_LONGEST_END = 80
"""Characters of the last part of an address, where there is room for one line."""

_MOST_BROKEN = 20
"""Broken files named on the card of a model; the API has more."""


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
class Said:
    """A word of an operator that is in force, in words."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Card:
    """A model on the overview.

    Its ``badges`` have kinds, by which it is found.
    """

    name: str
    strip: strip.Strip
    said: tuple[Said, ...]
    badges: tuple[words.Badge, ...]
    alarms: tuple[AlarmLine, ...]
    run: Run | None
    judged_at: str | None
    backlog: int
    tests: tuple[TestView, ...]
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
    """Which models are to be shown: part of the name, kind of a badge, page from 1 on."""

    q: str = ""
    state: str = ""
    page: int = 1


_ALL = Asked()


def overview(board: Board, asked: Asked = _ALL) -> str:
    """The page of all models, the most urgent first, or of those that are asked for."""
    snapshot = board.snapshot()
    config = board.effective_config()
    found = _found(snapshot, config, asked)
    last = max(1, -(-len(found) // ON_A_PAGE))
    page = min(asked.page, last)
    shown = found[(page - 1) * ON_A_PAGE : page * ON_A_PAGE]
    cards = [card_of(board, status, config, snapshot.around.words) for status in shown]
    template = environment().get_template("overview.html")
    return template.render(
        snapshot=snapshot,
        cards=cards,
        at_length=len(found) <= AT_LENGTH,
        layers=LAYERS,
        asked=asked,
        states=STATES,
        found=len(found),
        pages=[(at, _link(asked, at)) for at in range(1, last + 1)] if last > 1 else [],
        page=page,
        everything=len(snapshot.models),
        scripts=scripts(),
    )


def _found(snapshot: Snapshot, config: Mapping[str, Any], asked: Asked) -> list[ModelStatus]:
    """The models that are asked for, the most urgent first, then by name."""
    order = {kind: place for place, kind in enumerate(STATES)}
    folders = {entry["name"]: entry["batches"] for entry in config.get("models", ())}
    found = []
    for status in snapshot.models:
        kinds = [badge.kind for badge in words.badges(status, folders.get(status.name))]
        if asked.q.strip().lower() in status.name and (not asked.state or asked.state in kinds):
            urgency = min(order.get(kind, len(order)) for kind in kinds)
            found.append((urgency, status.name, status))
    return [status for *_, status in sorted(found, key=lambda each: each[:2])]


def _link(asked: Asked, page: int) -> str:
    """The address of another page of the same models."""
    chosen = {"q": asked.q, "state": asked.state, "page": page}
    return f"/?{urlencode({name: value for name, value in chosen.items() if value})}"


LAYERS = [(name, LAYER_NAMES[name], LAYER_MEANINGS[name]) for name in LAYER_NAMES]


def scripts() -> list[str]:
    """Addresses of the scripts of a page."""
    return [assets.address(name) for name in assets.SCRIPTS]


def _folder(config: Mapping[str, Any], model: str) -> str | None:
    own = (entry["batches"] for entry in config.get("models", ()) if entry["name"] == model)
    return next(own, None)


def card_of(
    board: Board, status: ModelStatus, config: Mapping[str, Any], spoken: Sequence[Annotation]
) -> Card:
    """A model as it is shown."""
    run, fault = status.last_run, None
    said: list[Annotation | Mapping[str, Any]] = []
    try:
        points = sorted(board.timeline(status.name, strip.SHOWN), key=lambda row: row["judged_at"])
        said += board.annotations(status.name, limit=_WORDS)
        said += board.acceptances(status.name)
    except StoreError as error:
        points, fault = [], str(error)
    times = {point["batch_id"]: strip.moment(point) for point in points}
    return Card(
        name=status.name,
        strip=strip.strip(status.name, points, said),
        said=tuple(_said(word) for word in spoken if word.model == status.name),
        badges=words.badges(status, _folder(config, status.name)),
        alarms=_alarms(run, times) if run else (),
        run=run,
        judged_at=shapes.iso_time(run.judged_at) if run else None,
        backlog=status.backlog,
        tests=by_test(run) if run else (),
        promise=_promise(config, points),
        doubts=tuple(finding.message for finding in doubts(run)) if run else (),
        history_fault=fault,
        quarantined=status.quarantined,
        retried=status.retried,
        broken=status.broken[:_MOST_BROKEN],
    )


def _promise(config: Mapping[str, Any], points: Sequence[Mapping[str, Any]]) -> str:
    asked = config.get("alarms", {}).get("false_alarms", {})
    per_checks, per_days = asked.get("per_checks"), asked.get("per_days")
    return "" if per_checks is per_days is None else promised(points, per_checks, per_days)


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


_KINDS = {**KIND_WORDS, "silence": "silenced"}


def _said(word: Annotation) -> Said:
    until = f" until {_minute(word.until)}" if word.until is not None else ""
    scopes = f" ({', '.join(word.scopes)})" if word.scopes else ""
    text = f": {word.text}" if word.text else ""
    return Said(f"{_KINDS[word.kind]}{scopes}{until}", f"by {word.by}{text}")


def _minute(seconds: float) -> str:
    return (shapes.iso_time(seconds) or "")[:16].replace("T", " ")


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
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    environment.filters.update(
        shown=words.shown,
        end=lambda uri: uri.rstrip("/").rpartition("/")[2][:_LONGEST_END] or uri[:_LONGEST_END],
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
