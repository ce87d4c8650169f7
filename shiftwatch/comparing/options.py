"""What may be said of a comparison from Python or the command line, made into settings.

In:    names, numbers and mappings as somebody wrote them.
Out:   ModelSettings and a seed.
Never: takes what it does not know; takes text for a number; reads a file.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from os import PathLike, fspath
from typing import Any, Literal, get_args, get_origin, get_type_hints

from shiftwatch.errors import ConfigError
from shiftwatch.settings import (
    FeatureSettings,
    ModelSettings,
    TestsSettings,
    ToleranceSettings,
)
from shiftwatch.settings.fields import FieldError
from shiftwatch.settings.tests import (
    ChiSquareSettings,
    ClassifierSettings,
    DistinctSettings,
    KsSettings,
    MmdSettings,
    NullsSettings,
    UnseenSettings,
)

Tests = Sequence[str] | Mapping[str, Mapping[str, Any] | bool | None]
"""Names of tests, or their parameters by name; None or False leaves one out."""

Tolerance = float | Mapping[str, Any]
"""The smallest shift that matters: for all, or by test or column."""

_TESTS: Mapping[str, Any] = {
    "ks": KsSettings,
    "chi2": ChiSquareSettings,
    "mmd": MmdSettings,
    "c2st": ClassifierSettings,
    "nulls": NullsSettings,
    "unseen": UnseenSettings,
    "distinct": DistinctSettings,
}


@dataclass(frozen=True, slots=True)
class Options:
    """What was said; checked when it is made into settings."""

    model: str | PathLike[str] | None = None
    tests: Tests | None = None
    categorical: Sequence[str] | None = None
    tolerance: Tolerance | None = None
    seed: int = 0
    include: Sequence[str] | None = None
    exclude: Sequence[str] | None = None

    def given(self) -> tuple[str, ...]:
        """Names of what is said otherwise than by default."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) is not f.default)

    def settings(self, reference: str, current: str = "") -> ModelSettings:
        """As the checks know them.

        Raises
        ------
        ConfigError
            If an option is wrong: with its name, and what would be right.
        """
        try:
            return ModelSettings(
                name="compare",
                reference=reference,
                batches=current,
                model=_path(self.model),
                categorical=_names("categorical", self.categorical),
                features=FeatureSettings(
                    _names("include", self.include), _names("exclude", self.exclude)
                ),
                tests=chosen(self.tests),
                tolerance=smallest(self.tolerance),
            )
        except FieldError as fault:
            raise ConfigError(fault.message, where=fault.field) from fault

    def root(self) -> int:
        """The seed.

        Raises
        ------
        ConfigError
            If it is no whole number from 0 on.
        """
        seed = _whole(self.seed)
        if seed is None or seed < 0:
            raise ConfigError(f"`seed` is a whole number from 0 on, not {self.seed!r}")
        return seed


def chosen(given: Tests | None) -> TestsSettings:
    """Which tests run: those that are named and no others; all if None.

    Raises
    ------
    ConfigError
        If one is unknown, none is left, or a parameter is unknown or wrong.

    Examples
    --------
    >>> chosen({"mmd": {"permutations": 199}, "ks": None}).mmd.permutations
    199
    """
    if given is None:
        return TestsSettings.all()
    if isinstance(given, str) or not isinstance(given, Mapping | Sequence):
        wanted = "`tests` is a list of names or a mapping of name to parameters"
        raise ConfigError(f"{wanted}, not {given!r}", hint="for example tests=['ks', 'chi2']")
    asked = given if isinstance(given, Mapping) else dict.fromkeys(given, True)
    for name in asked:
        if name not in _TESTS:
            raise ConfigError(f"no test is called {name!r}; there are {', '.join(_TESTS)}")
    on = {name: value for name, value in asked.items() if value is not None and value is not False}
    if not on:
        raise ConfigError(f"`tests` leaves no test on; name at least one of {', '.join(_TESTS)}")
    made = {name: _made(name, {} if value is True else value) for name, value in on.items()}
    return TestsSettings(**(dict.fromkeys(_TESTS) | made))


def _made(name: str, parameters: object) -> Any:
    kind = _TESTS[name]
    if not isinstance(parameters, Mapping):
        raise ConfigError(f"`{name}` has a mapping of parameters, not {parameters!r}")
    hints = get_type_hints(kind)
    for parameter in parameters:
        if parameter not in hints:
            there = ", ".join(sorted(hints)) or "none"
            raise ConfigError(f"{name} has no parameter {parameter!r}; it has {there}")
    values = {key: _typed(f"{name}.{key}", value, hints[key]) for key, value in parameters.items()}
    try:
        return kind(**values)
    except FieldError as fault:
        raise ConfigError(f"{name}.{fault.field}: {fault.message}") from fault


def _typed(name: str, value: object, kind: Any) -> Any:
    """The value as a setting has it: a whole number, or one of some words."""
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            words = ", ".join(get_args(kind))
            raise ConfigError(f"{name}: {value!r} is none of {words}")
        return value
    number = _whole(value)
    if number is None:
        raise ConfigError(f"{name}: {value!r} is no whole number")
    return number


def smallest(given: Tolerance | None) -> ToleranceSettings:
    """The smallest shift that matters.

    Parameters
    ----------
    given
        A number, or a mapping with ``default``, ``mode``, and numbers by test or column. A column
        that is called as a test goes below ``columns``.

    Raises
    ------
    ConfigError
        If a number is no effect size, or the mode unknown.

    Examples
    --------
    >>> told = smallest({"default": 0.05, "ks": 0.1, "age": 0.2})
    >>> told.default, dict(told.tests), dict(told.columns)
    (0.05, {'ks': 0.1}, {'age': 0.2})
    """
    if given is None:
        return ToleranceSettings()
    told = dict(given) if isinstance(given, Mapping) else {"default": given}
    own: dict[str, Any] = {"tests": {}, "columns": {}}
    if "mode" in told:
        mode = get_type_hints(ToleranceSettings)["mode"]
        own["mode"] = _typed("tolerance.mode", told.pop("mode"), mode)
    if "default" in told:
        own["default"] = _effect("default", told.pop("default"))
    for group in ("tests", "columns"):
        for name, value in _mapping(group, told.pop(group, {})).items():
            own[group][name] = _effect(name, value)
    for name, value in told.items():
        own["tests" if name in _TESTS else "columns"].setdefault(name, _effect(name, value))
    unknown = [name for name in own["tests"] if name not in _TESTS]
    if unknown:
        raise ConfigError(f"no test is called {unknown[0]!r}; there are {', '.join(_TESTS)}")
    return ToleranceSettings(**own)


def _mapping(group: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"`tolerance` has a mapping of {group}, not {value!r}")
    return value


def _effect(name: object, value: Any) -> float:
    """A distance between two distributions: 0 up to 1, as a plain number."""
    wrong = f"tolerance.{name}: {value!r} is no effect size; write 0 to 1"
    if isinstance(value, str | bytes | bool):
        raise ConfigError(wrong)
    try:
        number = float(value)
    except (TypeError, ValueError) as fault:
        raise ConfigError(wrong) from fault
    if not 0 <= number < 1:
        raise ConfigError(wrong)
    return number


def _whole(value: Any) -> int | None:
    """A plain whole number, also of numpy's; None if it is none."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def _names(option: str, given: Sequence[str] | None) -> tuple[str, ...]:
    if given is None:
        return ()
    wrong = f"`{option}` is a list of column names, not {given!r}"
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ConfigError(wrong, hint=f"for example {option}=['level']")
    names = list(given)
    if not all(isinstance(name, str) for name in names):
        raise ConfigError(wrong)
    return tuple(map(str, names))


def _path(model: str | PathLike[str] | None) -> str | None:
    if model is None:
        return None
    if not isinstance(model, str | PathLike):
        raise ConfigError(f"`model` is the path of an ONNX file, not {type(model).__name__}")
    path = fspath(model)
    if not path:
        raise ConfigError("`model` is empty; give the path of an ONNX file")
    return path
