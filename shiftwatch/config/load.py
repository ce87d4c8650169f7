"""Load a configuration file, or say everything that is wrong with it.

In:    a path and the environment.
Out:   Settings with absolute paths.
Never: stops at the first fault; takes text for a number or a number for text.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from shiftwatch.config.fault import ConfigFaultsError, Fault, KeyPath, key_text
from shiftwatch.config.tree import Tree, read_tree
from shiftwatch.config.wording import Problem, kinds_at, look_up, problems
from shiftwatch.places import is_remote
from shiftwatch.settings import (
    ByRows,
    ByTime,
    ColumnSettings,
    ModelSettings,
    Settings,
    TlsSettings,
    WebSettings,
)

MAX_BYTES = 1_000_000
"""Largest file that is read: far more than a thousand models."""

_TESTS = ("ks", "chi2", "mmd", "c2st", "nulls", "unseen", "distinct")
_ALWAYS_ON = ("nulls", "unseen", "distinct")
_MODEL: Mapping[str, Any] = {"name": "stand-in", "reference": "x", "batches": "x"}

# What takes the place of a faulty value, so that the rest can be checked as well. Where nothing is
# listed the key is dropped and its default serves.
_STAND_INS: Mapping[tuple[type[Any], str], Any] = {
    (Settings, "models"): [_MODEL],
    (ModelSettings, "reference"): "x",
    (ModelSettings, "batches"): "x",
    (ModelSettings, "columns"): {"time": "x"},
    (ColumnSettings, "time"): "x",
    (ByRows, "rows"): 1000,
    (ByTime, "time"): "1h",
    (WebSettings, "allow_insecure"): True,
    (TlsSettings, "cert"): "x",
    (TlsSettings, "key"): "x",
}


def load(path: str | Path, environ: Mapping[str, str]) -> Settings:
    """Read settings from a YAML file.

    Parameters
    ----------
    path
        The file. Relative paths in it are taken from the folder it lies in.
    environ
        Where ``${NAME}`` in a value is looked up.

    Returns
    -------
    Settings
        With absolute paths.

    Raises
    ------
    ConfigFaultsError
        With every fault that could be found, each with its line.
    """
    file = Path(path)
    tree = read_tree(_content(file), str(path), environ)
    if not isinstance(tree.value, dict):
        root = Fault(tree.file, 1, "", _no_mapping(tree.value))
        raise ConfigFaultsError(tree.faults or [root])
    settings = _checked(tree)
    if settings is None or tree.faults:
        raise ConfigFaultsError(tree.faults)
    return _anchored(settings, file.absolute().parent)


def fault_at(path: str | Path, keys: KeyPath, message: str, *, environ: Mapping[str, str]) -> Fault:
    """A fault that showed only when a value was used, at the line of its key.

    Parameters
    ----------
    path
        The file, which was loaded before.
    keys
        Way to the value, such as ``("models", 0, "reference")``.
    message
        What is wrong and what would be right.
    environ
        As for :func:`load`.
    """
    tree = read_tree(_content(Path(path)), str(path), environ)
    return Fault(str(path), tree.line(keys), key_text(keys), message)


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        message = "there is no such file; check the path"
    except IsADirectoryError:
        message = "is a folder; name a YAML file in it"
    except OSError as fault:
        message = f"cannot be read ({fault.strerror}); check the path and its permissions"
    else:
        if len(content) <= MAX_BYTES:
            return content
        message = f"is larger than {MAX_BYTES} bytes; is it the configuration?"
    raise ConfigFaultsError([Fault(str(file), 0, "", message)])


def _no_mapping(value: Any) -> str:
    what = "is empty" if value is None else "does not begin with keys"
    return f"{what}; write `models:` and below it a list of models"


@cache
def _adapter() -> TypeAdapter[Settings]:
    return TypeAdapter(Settings)


def _checked(tree: Tree) -> Settings | None:
    """Validate; after a fault put a stand-in for the value and look for the next one."""
    data = tree.value
    _spell_out(data)
    for path in tree.broken:
        _stand_in(data, Problem(path, ""))
    document, before = json.dumps(data), ""
    while document != before:
        try:
            settings = _adapter().validate_json(document, strict=True, extra="forbid")
        except ValidationError as error:
            for problem in problems(error, data):
                if problem.message:
                    tree.fault(problem.path, problem.message)
                _stand_in(data, problem)
            document, before = json.dumps(data), document
        else:
            for problem in _beyond_types(settings):
                tree.fault(problem.path, problem.message)
            return settings
    return None


def _stand_in(data: Any, problem: Problem) -> None:
    """Replace or drop the value of a problem, or the nearest one above it that is there."""
    path = problem.path
    parent = look_up(data, path[:-1])
    if isinstance(parent, list) and isinstance(path[-1], int):
        stand_in: Any = {**_MODEL, "name": f"stand-in-{path[-1]}"} if len(path) == 2 else "x"
        parent[path[-1]] = stand_in
    elif isinstance(parent, dict):
        _stand_in_key(data, parent, problem)
    elif len(path) > 1:
        _stand_in(data, Problem(path[:-1], ""))


def _stand_in_key(data: Any, parent: dict[Any, Any], problem: Problem) -> None:
    path = problem.path
    key = str(path[-1])
    owners = () if problem.unknown else kinds_at(path[:-1])
    if ModelSettings in owners and key == "name":
        parent[key] = f"stand-in-{path[1]}"
        return
    for owner in owners:
        if (owner, key) in _STAND_INS:
            parent[key] = json.loads(json.dumps(_STAND_INS[owner, key]))
            return
    if key in parent:
        del parent[key]
    elif len(path) > 1:
        _stand_in(data, Problem(path[:-1], ""))


def _spell_out(data: dict[str, Any]) -> None:
    """Turn the short forms that people write into the long ones."""
    models = data.get("models")
    for model in models if isinstance(models, list) else ():
        columns = look_up(model, ("columns",))
        if isinstance(columns, dict) and isinstance(columns.get("prediction"), str):
            columns["prediction"] = [columns["prediction"]]
        tolerance = look_up(model, ("tolerance",))
        if isinstance(tolerance, int | float) and not isinstance(tolerance, bool):
            model["tolerance"] = {"default": tolerance}
        window = look_up(model, ("window",))
        if isinstance(window, dict) and isinstance(window.get("by"), str):
            window["by"] = _spelled_by(window["by"])
        tests = look_up(model, ("tests",))
        if isinstance(tests, dict):
            tests.update({name: _spelled_test(name, tests[name]) for name in _TESTS & tests.keys()})


def _spelled_by(text: str) -> Any:
    rows = re.fullmatch(r"rows:\s*([1-9][0-9]{0,17})", text)
    time = re.fullmatch(r"time:\s*(\S+)", text)
    if rows:
        return {"rows": int(rows[1])}
    return {"time": time[1]} if time else text


def _spelled_test(name: str, value: Any) -> Any:
    if value is True or (value is None and name not in _ALWAYS_ON):
        return {}
    return None if value is False else value


def _beyond_types(settings: Settings) -> Iterator[Problem]:
    """What settings do not check themselves."""
    if settings.seed < 0:
        yield Problem(("seed",), f"{settings.seed} is negative; write 0 or more")
    if not settings.store.path:
        yield Problem(("store", "path"), "is empty; write the path of a file")
    if settings.web.tokens_file == "":
        yield Problem(("web", "tokens_file"), "is empty; write the path of a file, or null")
    cron = settings.schedule.cron
    if cron is not None and len(cron.split()) != 5:
        message = f"{cron!r} has {len(cron.split())} fields; write five, such as */5 * * * *"
        yield Problem(("schedule", "cron"), message)
    for index, model in enumerate(settings.models):
        yield from _model_problems(model, ("models", index))


def _model_problems(model: ModelSettings, path: KeyPath) -> Iterator[Problem]:
    for key in ("model", "reference", "batches"):
        if getattr(model, key) == "":
            yield Problem((*path, key), "is empty; write a path")
    if all(getattr(model.tests, name) is None for name in _TESTS):
        message = f"leaves no test on; name at least one of {', '.join(_TESTS)}"
        yield Problem((*path, "tests"), message)
    tolerance = model.tolerance
    for key in ("tests", "columns"):
        for name, value in getattr(tolerance, key).items():
            here = (*path, "tolerance", key, name)
            if key == "tests" and name not in _TESTS:
                yield Problem(here, f"is not a test; write one of {', '.join(_TESTS)}")
            if not 0 <= value < 1:
                yield Problem(here, f"{value} is no effect size; write 0 to 1")


def _anchored(settings: Settings, folder: Path) -> Settings:
    def absolute(path: str) -> str:
        return path if is_remote(path) else os.path.normpath(folder / path)

    models = tuple(
        replace(
            model,
            model=None if model.model is None else absolute(model.model),
            reference=absolute(model.reference),
            batches=absolute(model.batches),
        )
        for model in settings.models
    )
    store = replace(settings.store, path=absolute(settings.store.path))
    web = _anchored_web(settings.web, absolute)
    own = settings.stores.s3.ca_file
    s3 = replace(settings.stores.s3, ca_file=None if own is None else absolute(own))
    stores = replace(settings.stores, s3=s3)
    return replace(settings, models=models, store=store, web=web, stores=stores)


def _anchored_web(web: WebSettings, absolute: Callable[[str], str]) -> WebSettings:
    tokens, tls = web.tokens_file, web.tls
    if tls is not None:
        authorities = None if tls.client_ca is None else absolute(tls.client_ca)
        tls = TlsSettings(absolute(tls.cert), absolute(tls.key), authorities)
    return replace(web, tokens_file=None if tokens is None else absolute(tokens), tls=tls)
