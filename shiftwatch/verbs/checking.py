"""`shiftwatch check`: whether a configuration would work here, and what it could promise and show.

In:    a configuration file, the environment.
Out:   a line a finding, for people who read them in a terminal or among the logs of a container.
Never: judges a batch; writes anything but the prepared reference, which the daemon finds then.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from shiftwatch import config
from shiftwatch.collect import watched_settings
from shiftwatch.errors import ModelError, ShiftwatchError
from shiftwatch.look import files_now, reach_of
from shiftwatch.promise import pace_seconds, promise_text, survey_lines
from shiftwatch.requests import Context, Survey, Surveyed
from shiftwatch.schedule import check_schedule
from shiftwatch.settings import ModelSettings, Settings
from shiftwatch.values import Listed
from shiftwatch.verbs.bar import Bar
from shiftwatch.web.server import faults as web_faults
from shiftwatch.worker import Worker

Say = Callable[[str], object]


def checked(path: Path, environ: Mapping[str, str], *, say: Say, complain: Say) -> bool:
    """Whether the daemon could work by this configuration here.

    Parameters
    ----------
    path
        Configuration file.
    environ
        Environment variables it may name.
    say, complain
        Take a line of what was found, and of what is wrong.

    Raises
    ------
    ConfigError
        If the file cannot be read or understood.
    """
    settings = config.load(path, environ)
    check_schedule(settings.schedule, time.time())
    located = _Located(path, environ)
    faults = [located(("web", key), fault) for key, fault in web_faults(settings.web)]
    cache = _cache(settings)
    if not cache:
        say(f"note: {settings.store.path} cannot be written here, so the reference is not kept")
    for index, model in enumerate(settings.models):
        surveyed, wrong = _tried(_context(settings, model, cache), settings)
        faults += [located(("models", index, key), fault) for key, fault in wrong]
        if surveyed is not None:
            _tell(model.name, surveyed, say)
    for fault in faults:
        complain(fault)
    if not faults:
        say(f"{path}: good; for each model {_promise(settings)}")
    return not faults


@dataclass(frozen=True, slots=True)
class _Located:
    """A fault with the line of the file where it arose."""

    path: Path
    environ: Mapping[str, str]

    def __call__(self, keys: tuple[str | int, ...], fault: ShiftwatchError) -> str:
        return str(config.fault_at(self.path, keys, str(fault), environ=self.environ))


def _cache(settings: Settings) -> str:
    """Where the daemon keeps prepared references; "" where that cannot be written.

    A configuration is also checked where there is no volume: in a pipeline, by an init container
    with a file system that can only be read.
    """
    cache = Path(settings.store.path).with_suffix(".references")
    nearest = next(folder for folder in (cache, *cache.parents) if folder.exists())
    return str(cache) if os.access(nearest, os.W_OK | os.X_OK) else ""


def _context(settings: Settings, model: ModelSettings, cache: str) -> Context:
    fingerprint = config.fingerprint(settings, model)
    return Context(model, settings.alarms, settings.seed, cache, fingerprint, settings.limits)


def _tried(
    context: Context, settings: Settings
) -> tuple[Surveyed | None, list[tuple[str, ShiftwatchError]]]:
    """What a model needs to be watched, and what stands in its way, by the key concerned."""
    faults: list[tuple[str, ShiftwatchError]] = []
    surveyed: Surveyed | None = None
    newest: Listed | None = None
    with (
        closing(Bar(sys.stderr)) as bar,
        Worker(settings.limits, bar, reach_of(settings)) as worker,
    ):
        try:
            listed = _batches(context.model, settings, worker)
            newest = max(listed, key=lambda each: (each.modified_ns, each.uri), default=None)
        except ShiftwatchError as fault:
            faults.append(("batches", fault))
        try:
            surveyed = worker.call(Survey(context, newest))
        except ShiftwatchError as fault:
            faults.insert(0, ("model" if isinstance(fault, ModelError) else "reference", fault))
    return surveyed, faults


def _batches(model: ModelSettings, settings: Settings, worker: Worker) -> Sequence[Listed]:
    """Batches there are; of a log those made of it so far, since its objects are none.

    A log is listed all the same, to see that it can be, unless the daemon makes its folder.
    """
    unmade = model.payloads.receive and not Path(model.batches).exists()
    listed = () if unmade else files_now(model.batches, worker)
    made = watched_settings(model, settings.store.path).batches
    if made == model.batches:
        return listed
    return files_now(made, worker) if Path(made).is_dir() else ()


def _tell(name: str, surveyed: Surveyed, say: Say) -> None:
    reference, tests = surveyed.info.reference, ", ".join(surveyed.info.tests)
    say(f"{name}: reference of {reference.rows} rows, {reference.columns} columns; tests {tests}")
    for line in survey_lines(surveyed.facts):
        say(f"  {line}")


def _promise(settings: Settings) -> str:
    alarms = settings.alarms
    cuts = [getattr(model.window.by, "seconds", None) for model in settings.models]
    pace = pace_seconds(settings.schedule.every_seconds, cuts)
    return promise_text(alarms.per_checks, pace, per_days=alarms.false_alarms.per_days)
