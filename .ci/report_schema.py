"""Write the JSON Schema of the report from the nouns it is made of: `make docs`; a test holds it.

In:    the dataclasses of ``values`` and what ``document`` makes of them.
Out:   shiftwatch/schemas/report-1.json, JSON Schema 2020-12.
Never: says of a field what its noun does not say.

Everything that this release writes is required, and nothing else is allowed inside the nouns; what
is free JSON (explanation, provenance) stays free. A report of a later release with the same
version may have more fields: hold it against the schema of that release.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from shiftwatch import price, values  # noqa: E402 - the program is started by its path
from shiftwatch.document import SCHEMA_VERSION  # noqa: E402

TARGET = ROOT / "shiftwatch" / "schemas" / f"report-{SCHEMA_VERSION}.json"

_MOMENT = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T\d{2}:\d{2}:\d{2}(\.\d{6})?Z$"
_TIME = {
    "description": "A moment: ISO 8601 in UTC; seconds since 1970 where the calendar has no such day.",
    "anyOf": [{"type": "string", "pattern": _MOMENT}, {"$ref": "#/$defs/number"}],
}
_NUMBER = {
    "description": "A number; those that JSON lacks are texts.",
    "anyOf": [{"type": "number"}, {"enum": ["Infinity", "-Infinity", "NaN"]}],
}
_FREE_NUMBER = {
    "description": "A number inside free JSON; those that JSON lacks are objects: "
    '{"non_finite": "Infinity"}, so that they are not taken for a text.',
    "type": ["number", "object"],
}
_SHARED = {"number": _NUMBER, "free_number": _FREE_NUMBER, "time": _TIME}
_TEXT = {"type": "string"}


def schema() -> dict[str, Any]:
    """The schema of a report."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:shiftwatch:report:{SCHEMA_VERSION}",
        "title": "Drift report",
        "description": _said(values.Run)[""],
        **_object(
            {
                "schema_version": {"const": SCHEMA_VERSION},
                "model": _TEXT,
                "batch": _ref("batch"),
                "state": {
                    "description": "The answer of this check alone.",
                    "enum": list(values.VERDICTS),
                },
                "alarm": {
                    "description": "Whether any scope is in alarm after this batch.",
                    "type": "boolean",
                },
                "judged_at": _ref("time"),
                "scopes": _scopes(),
                "results": {
                    "description": "Every test on every target: what it found, or why it did not run.",
                    "type": "array",
                    "items": {"oneOf": [_ref("result"), _ref("skipped")]},
                },
                "columns": {"type": "array", "items": _ref("column")},
                **_noun(values.Run, only=("reasons", "findings", "explanation", "provenance")),
                "cost": _ref("cost"),
            }
        ),
        "$defs": {
            **_SHARED,
            "batch": _batch(),
            "piece": _closed(values.Piece),
            "decision": _closed(values.Decision, without=("scope",)),
            "evidence": _closed(values.Evidence),
            "result": _result(),
            "skipped": _skipped(),
            "finding": _closed(values.Finding),
            "column": _column(),
            "cost": _cost(),
        },
    }


_NAMES = {
    values.Piece: "piece",
    values.Evidence: "evidence",
    values.Finding: "finding",
    values.Cost: "cost",
}


def _batch() -> dict[str, Any]:
    times = {name: _or_null(_ref("time")) for name in ("event_time_start", "event_time_end")}
    told = {**_noun(values.Batch), **times}
    told["uri"] = {"description": "The first file.", "type": "string"}
    return _described(values.Batch, _object(told))


def _scopes() -> dict[str, Any]:
    return {
        "description": "What is concluded, by scope; a scope that was not judged may be absent.",
        "type": "object",
        "properties": {name: _ref("decision") for name in values.SCOPES},
        "additionalProperties": False,
    }


def _result() -> dict[str, Any]:
    told = _noun(values.TwoSampleResult)
    told["skipped"] = {"type": "null"}
    told["detail"] = _TEXT
    return _described(values.TwoSampleResult, _object(told))


def _skipped() -> dict[str, Any]:
    told: dict[str, Any] = {name: {"type": "null"} for name in _noun(values.TwoSampleResult)}
    told |= {"explanation": {"type": "object", "maxProperties": 0}}
    told |= _noun(values.Skipped, without=("reason",))
    told["skipped"] = {
        "description": "Why it did not run; a later release may know more reasons.",
        "type": "string",
        "examples": sorted(values.SKIP_REASONS),
    }
    return _described(values.Skipped, _object(told))


def _column() -> dict[str, Any]:
    told = _noun(values.ColumnProfile)
    levels = {str(level): _ref("number") for level in values.PROFILE_QUANTILES}
    for name in ("quantiles_reference", "quantiles_current"):
        told[name] = {
            "description": "By level; empty where the side has no numbers.",
            "type": "object",
            "properties": levels,
            "additionalProperties": False,
        }
    return _described(values.ColumnProfile, _object(told))


def _cost() -> dict[str, Any]:
    told = _noun(values.Cost)
    blank = values.Run("", values.Batch("", (), 0), "error", 0.0)
    told |= {name: _or_null({"type": "number"}) for name in price.told(blank)}
    day = _or_null(_closed(price.DayCost))
    day["description"] = "Of the 24 hours up to this check; where it is read from a history."
    whole = _object(told)
    whole["properties"]["last_day"] = day
    return _described(values.Cost, whole)


def _closed(noun: Any, without: tuple[str, ...] = ()) -> dict[str, Any]:
    return _described(noun, _object(_noun(noun, without=without)))


def _described(noun: Any, shape: dict[str, Any]) -> dict[str, Any]:
    return {"description": _said(noun)[""], **shape}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _noun(
    noun: Any, *, only: tuple[str, ...] = (), without: tuple[str, ...] = ()
) -> dict[str, Any]:
    hints, said = get_type_hints(noun), _said(noun)
    wanted = only or tuple(item.name for item in fields(noun))
    return {
        name: {"description": said[name], **_shape(hints[name])}
        if name in said
        else _shape(hints[name])
        for name in wanted
        if name not in without
    }


def _shape(hint: Any) -> dict[str, Any]:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (UnionType, Union):
        return _or_null(_shape(next(part for part in parts if part is not NoneType)))
    if origin is tuple:
        return {"type": "array", "items": _shape(parts[0])}
    if origin is Literal:
        return {"enum": list(parts)}
    if origin is not None:
        return {"type": "object", **_of_values(parts[1])}
    if hint in _NAMES:
        return _ref(_NAMES[hint])
    plain = {bool: "boolean", int: "integer", str: "string"}
    return {"type": plain[hint]} if hint in plain else _ref("number")


def _of_values(hint: Any) -> dict[str, Any]:
    return {} if hint is Any else {"additionalProperties": _ref("free_number")}


def _or_null(shape: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [shape, {"type": "null"}]}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def _said(noun: Any) -> dict[str, str]:
    """Docstrings of the fields of a noun by name, and of the noun itself under ``""``."""
    tree = ast.parse(inspect.cleandoc(inspect.getsource(noun))).body[0]
    body = getattr(tree, "body", [])
    found = {"": _one_line(inspect.getdoc(noun) or "").partition(" Examples ---")[0]}
    for field, after in pairwise(body):
        match (field, after):
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = _one_line(text)
    return found


def _one_line(text: str) -> str:
    return " ".join(text.split())


def written() -> str:
    """The text of the file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(written(), encoding="utf-8")
