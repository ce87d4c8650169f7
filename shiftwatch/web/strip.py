"""The timeline of a model as pages show it: bars without script, numbers for the chart.

In:    past verdicts; words of operators.
Out:   a Strip.
Never: draws evidence where nothing was tested; marks up.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from shiftwatch.annotation import KIND_WORDS, covered
from shiftwatch.values import Annotation
from shiftwatch.web import shapes, words

SHOWN = 60
"""Verdicts on the strip of a model."""

STEP = 12
"""Pixels from a bar to the next."""

_WIDE, _LOW = 10, 42
_HEIGHTS = {"insufficient_data": 18, "invalid_data": 28, "error": 28, "shift": 40}
"""Pixels of a bar; height and title say the same as the colour."""

_LONGEST = 200
"""Characters of a word on the timeline; the page of the model has all of them."""

KINDS: Mapping[str, str] = {
    **KIND_WORDS,
    "accepted": "accepted as normal",
    "undone": "back to the configured reference",
    "ended": "acceptance ended",
}
"""What operators say, in words."""

Point = Mapping[str, Any]


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
class Stretch:
    """A word of an operator over places of the timeline, from ``first`` up to before ``last``."""

    text: str
    first: int
    last: int

    @property
    def x(self) -> int:
        """Where it begins on a strip that is full."""
        return STEP * self.first

    @property
    def width(self) -> int:
        """Pixels."""
        return STEP * (self.last - self.first)


@dataclass(frozen=True, slots=True)
class Strip:
    """The timeline of a model."""

    summary: str = ""
    bars: tuple[Bar, ...] = ()
    stretches: tuple[Stretch, ...] = ()
    chart: Mapping[str, Any] = field(default_factory=dict)
    """For the script: see :func:`_chart`."""

    @property
    def outlines(self) -> Iterator[tuple[str, str]]:
        """By verdict one path of all its bars: the strip in a tenth of the bytes, without links."""
        for state in dict.fromkeys(bar.state for bar in self.bars):
            own = (bar for bar in self.bars if bar.state == state)
            drawn = (f"M{bar.x} {_LOW}v-{bar.height}h{_WIDE}v{bar.height}z" for bar in own)
            yield state, "".join(drawn)

    @property
    def dots(self) -> str:
        """A path of the dots below bars with an alarm."""
        return "".join(f"M{bar.x + 2} 48h6v4h-6z" for bar in self.bars if bar.alarm)


def strip(model: str, points: Sequence[Point], said: Sequence[Annotation | Point] = ()) -> Strip:
    """The newest points in their order, with what operators said of them.

    Parameters
    ----------
    model
        Its name.
    points
        Past verdicts, oldest first.
    said
        Annotations, and rows of acceptances, in any order.
    """
    points = points[-SHOWN:]
    if not points:
        return Strip()
    told = tuple(_stretch(word, points) for word in said)
    empty = SHOWN - len(points)
    return Strip(
        _summary(points),
        _bars(model, points, empty),
        tuple(
            Stretch(each.text, each.first + empty, each.last + empty)
            for each in told
            if each.first < each.last
        ),
        _chart(model, points, told),
    )


def at(point: Point) -> Any:
    """When a batch was: by its events where their time is known, else when it was judged."""
    start = point.get("event_time_start")
    return point["judged_at"] if start is None else start


def moment(point: Point) -> str | None:
    """The same as ISO 8601."""
    return shapes.iso_time(at(point))


def _bars(model: str, points: Sequence[Point], empty: int) -> tuple[Bar, ...]:
    return tuple(
        Bar(
            state=point["state"],
            x=STEP * (empty + place),
            height=_height(point),
            alarm=bool(point["alarm"]),
            title=_title(point),
            href=f"{shapes.report_path(model, point['batch_id'])}&format=html",
        )
        for place, point in enumerate(points)
    )


def _height(point: Point) -> int:
    """By verdict; a quiet bar grows with the strongest evidence of any layer."""
    if point["state"] == "no_shift":
        return 6 + round(18 * min(1.0, max(0.0, _strongest(point) or 0.0)))
    return _HEIGHTS.get(point["state"], 28)


def _strongest(point: Point) -> float | None:
    return max((point.get("evidence") or {}).values(), default=None)


def _title(point: Point) -> str:
    verdict = words.VERDICTS.get(point["state"], point["state"])
    alarm = ", alarm on" if point["alarm"] else ""
    ratio = _strongest(point)
    evidence = "" if ratio is None else f", strongest evidence {words.number(ratio)}"
    return f"{moment(point)} batch {point['batch_id']}: {verdict}{alarm}{evidence}"


def _summary(points: Sequence[Point]) -> str:
    counts = Counter(point["state"] for point in points)
    parts = (f"{n} {words.VERDICTS.get(state, state)}" for state, n in counts.most_common())
    return f"last {len(points)} batches: {', '.join(parts)}"


def _chart(model: str, points: Sequence[Point], told: Sequence[Stretch]) -> Mapping[str, Any]:
    """What the script draws: a list entry for each check, verdicts by their place in a list."""
    kinds = list(dict.fromkeys(point["state"] for point in points))
    return {
        "report": f"/api/v1/models/{quote(model, safe='')}/report?format=html&batch=",
        "kinds": [[kind, words.VERDICTS.get(kind, kind)] for kind in kinds],
        "kind": [kinds.index(point["state"]) for point in points],
        "batch": [point["batch_id"] for point in points],
        "when": [(moment(point) or "")[:16].replace("T", " ") for point in points],
        "alarm": [int(bool(point["alarm"])) for point in points],
        "input": [_ratio(point, "input") for point in points],
        "prediction": [_ratio(point, "prediction") for point in points],
        "words": [[each.first, each.last, each.text] for each in told if each.first < each.last],
    }


def _ratio(point: Point, scope: str) -> float | None:
    """Evidence over its threshold; what is beyond all measure is drawn at the top."""
    ratio: float | None = (point.get("evidence") or {}).get(scope)
    if ratio is None or math.isnan(ratio):
        return None
    return round(min(max(float(ratio), 0.0), 1e6), 3)


# --- words of operators ------------------------------------------------------------------------


def _stretch(word: Annotation | Point, points: Sequence[Point]) -> Stretch:
    kind, text, start, until = _read(word)
    told = f"{KINDS[kind]}: {text}" if text.strip() else KINDS[kind]
    cut = told if len(told) <= _LONGEST else told[: _LONGEST - 3] + "..."
    return Stretch(words.shown(cut), *_covered(points, start, until))


def _read(word: Annotation | Point) -> tuple[str, str, float, float]:
    if isinstance(word, Annotation):
        return word.kind, word.text, word.start, word.end
    return word["kind"], word["note"], word["at"], word["at"]


def _covered(points: Sequence[Point], start: float, until: float) -> tuple[int, int]:
    """Places of the points within; of a moment, that of the first batch judged after it, if any."""
    is_moment = until <= start
    return covered(
        [float(point["judged_at"] if is_moment else at(point)) for point in points], start, until
    )
