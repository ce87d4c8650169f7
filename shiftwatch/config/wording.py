"""Say in plain words what a value should have been.

In:    pydantic's errors and the values they are about.
Out:   Problem: key path and message.
Never: shows pydantic's own words where there are better ones.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from decimal import Decimal
from typing import Any, cast, get_args, get_type_hints

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shiftwatch.config.fault import KeyPath
from shiftwatch.settings import (
    ByTime,
    FieldError,
    ModelSettings,
    ScheduleSettings,
    Settings,
    TlsSettings,
    WindowSettings,
)

_BRANCHES = {"ByRows": "rows", "ByTime": "time", "literal['file']": ""}
_BY = "write file, {rows: 1000} or {time: 1h}"
_DURATIONS = {(ScheduleSettings, "every"), (WindowSettings, "grace"), (ByTime, "time")}

_WANTED = {
    "string_type": "write text",
    "int_type": "write a whole number",
    "int_from_float": "write a whole number",
    "float_type": "write a number",
    "bool_type": "write true or false",
    "tuple_type": "write a list such as [a, b]",
    "dict_type": "write keys with values such as {ks: 0.05}",
}
_MISSING = {
    (Settings, "models"): "list at least one model with name, reference and batches",
    (ModelSettings, "name"): "write a name of a-z 0-9 _ -",
    (ModelSettings, "reference"): "write the path of the reference, a Parquet file or a folder",
    (ModelSettings, "batches"): "write the path of the folder where batches arrive",
    (TlsSettings, "cert"): "write the path of the certificate, a PEM file",
    (TlsSettings, "key"): "write the path of the certificate's private key, a PEM file",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault before it has a line.

    ``unknown`` marks a key that no setting has. The message is empty where another one says it: a
    misspelt key is not reported as missing as well.
    """

    path: KeyPath
    message: str
    unknown: bool = False


def problems(error: ValidationError, data: Any) -> list[Problem]:
    """Every fault of one validation, once each.

    Parameters
    ----------
    error
        What pydantic raised on ``data``.
    data
        The plain values that were validated.
    """
    details = error.errors(include_url=False)
    found = [problem for detail in details for problem in _problem(detail, data)]
    meant = {near for problem in found if problem.unknown for near in _meant(problem.path)}
    missing = {_path(detail["loc"]) for detail in details if detail["type"] == "missing"}
    return [
        replace(problem, message="") if problem.path in missing & meant else problem
        for problem in found
    ]


def kinds_at(path: KeyPath) -> tuple[type[Any], ...]:
    """Settings classes a mapping at this path may be of; empty where it is none of ours.

    Examples
    --------
    >>> [kind.__name__ for kind in kinds_at(("models", 0, "window", "by"))]
    ['ByRows', 'ByTime']
    """
    kinds: tuple[type[Any], ...] = (Settings,)
    for step in path:
        if isinstance(step, str):
            kinds = tuple(inner for kind in kinds for inner in _below(kind).get(step, ()))
    return kinds


def look_up(data: Any, path: Iterable[str | int]) -> Any:
    """The value at a path, or None where there is nothing.

    Examples
    --------
    >>> look_up({"models": [{"name": "churn"}]}, ("models", 0, "name"))
    'churn'
    """
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _below(kind: type[Any]) -> Mapping[str, tuple[type[Any], ...]]:
    return {
        name: tuple(inner for inner in (hint, *get_args(hint)) if _is_settings(inner))
        for name, hint in get_type_hints(kind).items()
        if name in {field.name for field in fields(kind)}
    }


def _is_settings(hint: Any) -> bool:
    return isinstance(hint, type) and is_dataclass(hint)


def _path(location: KeyPath) -> KeyPath:
    """Pydantic's location without its marks for the branches of ``by``."""
    return tuple(
        step
        for index, step in enumerate(location)
        if not (step in _BRANCHES and index and location[index - 1] == "by")
    )


def _problem(detail: ErrorDetails, data: Any) -> list[Problem]:
    location, path = detail["loc"], _path(detail["loc"])
    if location != path:
        by = location.index("by", 3) + 1
        value, branch = look_up(data, location[:by]), _BRANCHES[str(location[by])]
        taken = _branch(value)
        if branch != taken:
            return []
        if not taken:
            return [Problem(location[:by], f"{_found(value)}; {_BY}")]
    if detail["type"] == "unexpected_keyword_argument":
        return [Problem(path, f"is not a known key; {_suggestion(path)}", unknown=True)]
    if detail["type"] == "value_error":
        return [_refused(path, cast("FieldError", detail["ctx"]["error"]), data)]
    return [Problem(path, _message(detail, path))]


def _branch(value: Any) -> str:
    given = [key for key in ("rows", "time") if isinstance(value, dict) and key in value]
    return given[0] if len(given) == 1 else ""


def _refused(path: KeyPath, fault: FieldError, data: Any) -> Problem:
    """A value that settings refuse; of two equal names, the second."""
    if (*path, fault.field) == ("models",):
        seen: set[Any] = set()
        for index, model in enumerate(look_up(data, ("models",))):
            if model["name"] in seen:
                return Problem(("models", index, "name"), fault.message)
            seen.add(model["name"])
    return Problem((*path, fault.field), fault.message)


def _message(detail: ErrorDetails, path: KeyPath) -> str:
    kind, value, owner = detail["type"], detail["input"], _owners(path)
    if kind == "missing":
        return "is missing; " + next((_MISSING[key] for key in owner if key in _MISSING), "add it")
    if kind == "string_type" and owner & _DURATIONS and _is_number(value):
        return f"{value} has no unit; write {value}s for seconds"
    return f"{_found(value)}; {_wanted(detail, path)}"


def _owners(path: KeyPath) -> set[tuple[type[Any], str]]:
    return {(kind, str(path[-1])) for kind in kinds_at(path[:-1])} if path else set()


def _wanted(detail: ErrorDetails, path: KeyPath) -> str:
    kind, value = detail["type"], detail["input"]
    if path == ("models",):
        return "write a list, each model beginning with `- name:`"
    if isinstance(value, str) and (
        kind in {"int_type", "float_type"} or (ModelSettings, "tolerance") in _owners(path)
    ):
        return _as_number(value) or _WANTED.get(kind, _known(path))
    if kind == "dataclass_type":
        return _known(path)
    if kind == "literal_error":
        return f"write {detail['ctx']['expected']}".replace("'", "")
    if kind == "string_type" and isinstance(value, int | float):
        return "write text, in quotes if it looks like a number or a truth value"
    return _WANTED.get(kind, detail["msg"])


def _as_number(text: str) -> str | None:
    """How YAML would read this text as a number, if it is meant as one."""
    try:
        number = float(text)
    except ValueError:
        return None
    if not math.isfinite(number) or not 1e-12 <= abs(number) < 1e15:
        return None
    return f"write {Decimal(text.strip().replace('_', '')):f} without quotes"


def _found(value: Any) -> str:
    if value is None:
        return "found nothing"
    if isinstance(value, bool):
        return f"found {str(value).lower()}"
    if isinstance(value, str):
        return f"found the text {value if len(value) <= 40 else value[:40] + '...'!r}"
    if isinstance(value, list):
        return "found a list"
    return "found keys with values" if isinstance(value, dict) else f"found {value}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _names(path: KeyPath) -> list[str]:
    return [field.name for kind in kinds_at(path) for field in fields(kind)]


def _known(path: KeyPath) -> str:
    names = ", ".join(_names(path))
    return f"write keys with values; known here: {names}" if names else "write {}"


def _meant(path: KeyPath) -> list[KeyPath]:
    near = difflib.get_close_matches(str(path[-1]).lower(), _names(path[:-1]), n=1)
    return [(*path[:-1], name) for name in near]


def _suggestion(path: KeyPath) -> str:
    for near in _meant(path):
        return f"did you mean {near[-1]}?"
    names = _names(path[:-1])
    return f"known here: {', '.join(names)}" if names else "nothing can be set here"
