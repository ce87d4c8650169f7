"""The JSON document of a run: what the store keeps, the API hands out and scripts read.

In:    a Run; or a document written earlier, by this or an older release of the same schema.
Out:   a plain dict that is strict JSON; its canonical text and SHA-256; the Run again.
Never: opens a file; rounds a number other than a point in time; leaves out a field of a Run.

The fields of the dataclasses are walked by their declared types, so a field added to a noun of
``values`` is written and read without a line here, and a document from before it existed takes
the field's default.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from shiftwatch import price
from shiftwatch.errors import DataError
from shiftwatch.values import (
    PROFILE_QUANTILES,
    SCOPES,
    Batch,
    ColumnProfile,
    Decision,
    Run,
    Skipped,
    TwoSampleResult,
)

SCHEMA_VERSION = 1
"""Raised only when a field changes its meaning or goes; additions keep it."""


@cache
def report_schema_text() -> str:
    """The JSON Schema (2020-12) of what :func:`to_document` writes, as text."""
    name = f"report-{SCHEMA_VERSION}.json"
    return files("shiftwatch").joinpath("schemas", name).read_text("utf-8")


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NON_FINITE = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}
_MARK = "non_finite"
_EVENT_TIMES = ("event_time_start", "event_time_end")
_QUANTILES = ("quantiles_reference", "quantiles_current")

_RESHAPED = frozenset(
    ("model", "batch", "verdict", "judged_at", "decisions", "results", "skipped", "columns")
)

_Noun = TypeVar("_Noun")


def to_document(run: Run) -> dict[str, Any]:
    """The JSON document of one run, schema version 1.

    Parameters
    ----------
    run
        At most one decision for each scope; ``explanation`` and ``provenance`` hold JSON only.

    Returns
    -------
    dict
        Strict JSON. ``judged_at`` and the event times are ISO 8601 in UTC, rounded to whole
        microseconds (a time outside the years 1 to 9999 stays a number of seconds). Numbers that
        JSON lacks are the texts ``"Infinity"``, ``"-Infinity"`` and ``"NaN"`` where the schema
        has a number, and ``{"non_finite": "Infinity"}`` inside free JSON, where the bare text
        could be a category. Tuples inside free JSON become lists.

    Raises
    ------
    DataError
        If two decisions share a scope, quantiles do not fit their levels, or free JSON holds
        something JSON cannot.

    Examples
    --------
    >>> from shiftwatch.values import Batch, Piece, Run
    >>> piece = Piece("a.parquet", 10, "0" * 64, 0, 100)
    >>> run = Run("churn", Batch("7d", (piece,), 100), "no_shift", 1767225600.5)
    >>> document = to_document(run)
    >>> document["state"], document["judged_at"]
    ('no_shift', '2026-01-01T00:00:00.500000Z')
    >>> from_document(document) == run
    True
    """
    written = _noun(run, without=_RESHAPED)
    return {
        "schema_version": SCHEMA_VERSION,
        "model": run.model,
        "batch": _batch(run.batch),
        "state": run.verdict,
        "alarm": run.alarm,
        "judged_at": _time_text(run.judged_at),
        "scopes": _scopes(run.decisions),
        "results": [*map(_result, run.results), *map(_skipped, run.skipped)],
        "columns": [_column(column) for column in run.columns],
        **written,
        "cost": written["cost"] | price.told(run),
    }


def with_day(document: Mapping[str, Any], day: price.DayCost | None) -> dict[str, Any]:
    """The document with what the 24 hours up to the check cost, which the run does not know."""
    told = asdict(day) if day is not None else None
    return {**document, "cost": {**document.get("cost", {}), "last_day": told}}


def from_document(document: Mapping[str, Any]) -> Run:
    """The run of a document: the inverse of :func:`to_document`.

    Equal to the run that was written, given times in whole microseconds and decisions in the order
    of ``values.SCOPES``. Unknown keys are ignored and absent ones take the field's default, so
    documents of other releases with the same schema version can be read.

    Raises
    ------
    DataError
        If the schema version is unknown, or a value is missing or of the wrong type; ``where``
        is its path in the document.
    """
    version = document.get("schema_version")
    if version != SCHEMA_VERSION:
        raise DataError(
            f"schema version {version!r} is unknown, this release reads {SCHEMA_VERSION}",
            where="document.schema_version",
            hint="read it with the release that wrote it, or a newer one",
        )
    return _restore(Run, document, "document")


def batch_from(told: object) -> Batch:
    """The batch of a document, as its part is written there; DataError if it is none."""
    batch: Batch = _restore(Batch, told, "document.batch")
    return batch


def dumps(document: Mapping[str, Any]) -> str:
    """Canonical text: keys sorted, no white space, ASCII; equal documents have equal texts.

    Raises
    ------
    ValueError
        If the document holds a float that is not finite (:func:`to_document` leaves none).

    Examples
    --------
    >>> dumps({"b": 1.5, "a": None})
    '{"a":null,"b":1.5}'
    """
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256(document: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical text, 64 hex digits."""
    return hashlib.sha256(dumps(document).encode("ascii")).hexdigest()


# --- writing -----------------------------------------------------------------------------------


def _noun(value: Any, without: frozenset[str] = frozenset()) -> dict[str, Any]:
    names = [item.name for item in fields(value) if item.name not in without]
    return {name: _plain(getattr(value, name), name) for name in names}


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else _name_of(value)
    if isinstance(value, tuple):
        return [_plain(item, where) for item in value]
    if isinstance(value, Mapping):
        return _free(value, where)
    if is_dataclass(value):
        return _noun(value)
    return value


def _name_of(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _free(value: Any, where: str) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {_MARK: _name_of(value)}
    if isinstance(value, list | tuple):
        return [_free(item, f"{where}.{place}") for place, item in enumerate(value)]
    if isinstance(value, Mapping):
        return _free_object(value, where)
    raise DataError(f"{type(value).__name__} is not JSON", where=where)


def _free_object(value: Mapping[Any, Any], where: str) -> dict[str, Any]:
    for key in value:
        if not isinstance(key, str):
            raise DataError(f"the key {key!r} is not text, so it is not JSON", where=where)
    plain = {key: _free(item, f"{where}.{key}") for key, item in value.items()}
    # An object that looks like our mark is wrapped in the mark, so that it comes back as it was.
    return {_MARK: plain} if set(plain) == {_MARK} else plain


def _time_text(seconds: float | None) -> str | float | None:
    if seconds is None:
        return None
    if not math.isfinite(seconds):
        return _name_of(seconds)
    whole = math.floor(seconds)
    try:
        # The fraction is exact here; of the whole number it would lose its last digits.
        moment = _EPOCH + timedelta(seconds=whole, microseconds=round((seconds - whole) * 1e6))
    except OverflowError:
        return seconds
    return moment.replace(tzinfo=None).isoformat() + "Z"


def _batch(batch: Batch) -> dict[str, Any]:
    times = {name: _time_text(getattr(batch, name)) for name in _EVENT_TIMES}
    return _noun(batch) | {"uri": batch.uri} | times


def _scopes(decisions: tuple[Decision, ...]) -> dict[str, Any]:
    scopes = {decision.scope: _noun(decision) for decision in decisions}
    if len(scopes) != len(decisions):
        raise DataError("two decisions share a scope", where="decisions")
    for scope in scopes.values():
        del scope["scope"]
    return {name: scopes[name] for name in SCOPES if name in scopes}


def _result(result: TwoSampleResult) -> dict[str, Any]:
    return _noun(result) | {"skipped": None, "detail": ""}


def _skipped(skipped: Skipped) -> dict[str, Any]:
    blank = dict.fromkeys(item.name for item in fields(TwoSampleResult))
    entry = blank | {"explanation": {}} | _noun(skipped)
    entry["skipped"] = entry.pop("reason")
    return entry


def _column(column: ColumnProfile) -> dict[str, Any]:
    return _noun(column) | {
        name: _quantiles(getattr(column, name), f"columns.{column.name}.{name}")
        for name in _QUANTILES
    }


def _quantiles(values: tuple[float, ...], where: str) -> dict[str, Any]:
    if values and len(values) != len(PROFILE_QUANTILES):
        raise DataError(f"{len(values)} quantiles for {len(PROFILE_QUANTILES)} levels", where=where)
    return {
        str(level): _plain(value, where)
        for level, value in zip(PROFILE_QUANTILES, values, strict=False)
    }


# --- reading -----------------------------------------------------------------------------------


def _restore(noun: Callable[..., _Noun], document: Any, where: str) -> _Noun:
    known = _object(document, where)
    if noun in _READERS:
        known = _READERS[noun](known, where)
    given: dict[str, Any] = {}
    for name, (hint, required) in _field_hints(noun).items():
        if name in known:
            given[name] = _value(hint, known[name], f"{where}.{name}")
        elif required:
            raise DataError("is missing", where=f"{where}.{name}")
    return noun(**given)


@cache
def _field_hints(noun: Any) -> dict[str, tuple[Any, bool]]:
    """By field: its declared type, and whether it has no default."""
    hints = get_type_hints(noun)
    return {
        item.name: (hints[item.name], item.default is MISSING and item.default_factory is MISSING)
        for item in fields(noun)
    }


def _value(hint: Any, value: Any, where: str) -> Any:
    origin = get_origin(hint)
    if origin in (UnionType, Union):
        (present,) = (arm for arm in get_args(hint) if arm is not NoneType)
        return None if value is None else _value(present, value, where)
    if origin is tuple:
        item_hint = get_args(hint)[0]
        items = enumerate(_list(value, where))
        return tuple(_value(item_hint, item, f"{where}.{place}") for place, item in items)
    if origin is Literal:
        return _one_of(get_args(hint), value, where)
    if origin is not None:
        return _free_value(_object(value, where), where)
    return (_restore if is_dataclass(hint) else _scalar)(hint, value, where)


def _scalar(kind: type, value: Any, where: str) -> Any:
    if kind is float and isinstance(value, str) and value in _NON_FINITE:
        return _NON_FINITE[value]
    accepted = (int, float) if kind is float else (kind,)
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise DataError(f"{value!r} is not of type {kind.__name__}", where=where)
    return value


def _one_of(choices: tuple[str, ...], value: Any, where: str) -> Any:
    if not isinstance(value, str) or value not in choices:
        raise DataError(f"{value!r} is unknown, not one of {', '.join(choices)}", where=where)
    return value


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise DataError("is not an object", where=where)
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise DataError("is not a list", where=where)
    return value


def _free_value(value: Any, where: str) -> Any:
    if isinstance(value, list):
        return [_free_value(item, where) for item in value]
    if not isinstance(value, Mapping):
        return value
    if set(value) != {_MARK}:
        return {key: _free_value(item, where) for key, item in value.items()}
    marked = value[_MARK]
    if isinstance(marked, Mapping):
        return {key: _free_value(item, where) for key, item in marked.items()}
    return _NON_FINITE[_one_of(tuple(_NON_FINITE), marked, where)]


def _seconds(value: Any, where: str) -> Any:
    if not isinstance(value, str) or value in _NON_FINITE:
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise DataError(f"{value!r} is not an ISO 8601 time", where=where) from None
    if moment.tzinfo is None:
        raise DataError(f"{value!r} has no time zone", where=where)
    return (moment - _EPOCH) / timedelta(seconds=1)


def _run_fields(document: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    entries = [
        _object(entry, f"{where}.results.{place}")
        for place, entry in enumerate(_list(document.get("results", []), f"{where}.results"))
    ]
    scopes = _object(document.get("scopes", {}), f"{where}.scopes")
    known = dict(document) | {
        "decisions": [
            dict(_object(scopes[name], f"{where}.scopes.{name}")) | {"scope": name}
            for name in SCOPES
            if name in scopes
        ],
        "results": [entry for entry in entries if entry.get("skipped") is None],
        "skipped": [entry for entry in entries if entry.get("skipped") is not None],
    }
    return _renamed(_timed(known, ("judged_at",), where), "state", "verdict")


def _skipped_fields(document: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    del where
    return _renamed(document, "skipped", "reason")


def _batch_fields(document: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    return _timed(document, _EVENT_TIMES, where)


def _column_fields(document: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    sides = {
        name: _by_level(_object(document[name], f"{where}.{name}"), f"{where}.{name}")
        for name in _QUANTILES
        if name in document
    }
    return dict(document) | sides


def _by_level(quantiles: Mapping[str, Any], where: str) -> list[Any]:
    try:
        levels = sorted(quantiles, key=float)
    except ValueError:
        raise DataError("has a key that is not a level", where=where) from None
    return [quantiles[level] for level in levels]


def _renamed(document: Mapping[str, Any], old: str, new: str) -> Mapping[str, Any]:
    return dict(document) | ({new: document[old]} if old in document else {})


def _timed(document: Mapping[str, Any], names: tuple[str, ...], where: str) -> Mapping[str, Any]:
    times = {
        name: _seconds(document[name], f"{where}.{name}") for name in names if name in document
    }
    return dict(document) | times


_READERS: Mapping[Any, Callable[[Mapping[str, Any], str], Mapping[str, Any]]] = {
    Run: _run_fields,
    Batch: _batch_fields,
    Skipped: _skipped_fields,
    ColumnProfile: _column_fields,
}
