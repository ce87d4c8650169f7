"""Wake the daemon: at once, then every so often or by cron.

In:    ScheduleSettings, a coroutine to call, two clocks.
Out:   ticks, never two at a time; counts of what did not go to plan.
Never: decides what is due; keeps state that a restart would lose.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from shiftwatch.errors import ConfigError
from shiftwatch.settings import ScheduleSettings

LONGEST_SLEEP = 10.0
"""Seconds after which the wall clock is looked at again, however far the next tick is."""

STEP_TOLERANCE = 1.0
"""Seconds the wall clock may gain or lose on the monotonic one between two looks; more is a step.
Slewing by NTP stays far below: 0.5 ms a second."""

_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_WEEKDAY_PART = re.compile(
    r"(?P<first>\*|[a-z]{3}|[0-7])(?:-(?P<last>[a-z]{3}|[0-7]))?(?:/(?P<step>[1-7]))?"
)
_JOB = "tick"


class Ticker:
    """Calls ``tick`` at once, then as the settings say, until stopped.

    Ticks that come due while one is running are left out, and one that is late still comes, so a
    tick must find out by itself what there is to do. A step of the wall clock, in either
    direction, brings a tick within ``longest_sleep`` seconds and starts the pace anew.

    Parameters
    ----------
    settings
        ``every`` or ``cron``, in UTC.
    tick
        What to await. An exception is logged by APScheduler and counted, and the ticks go on.
    wall, monotonic
        Clocks in seconds. Their difference tells a step of the wall clock.
    longest_sleep
        Seconds between two looks at the clocks at most.

    Raises
    ------
    ConfigError
        If the cron expression cannot be read or never comes.
    """

    def __init__(
        self,
        settings: ScheduleSettings,
        tick: Callable[[], Awaitable[None]],
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        longest_sleep: float = LONGEST_SLEEP,
    ) -> None:
        self._settings = settings
        self._tick = tick
        self._wall = wall
        self._counts = {"missed": 0, "errors": 0, "skipped": 0, "clock_steps": 0}
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopped = False
        guard = _ClockGuard(wall, monotonic)
        self._scheduler: Any = _SteadyScheduler(guard, self._on_step, longest_sleep)
        self._trigger()  # a faulty expression shows now, not when the daemon is up

    @property
    def counts(self) -> Mapping[str, int]:
        """What did not go to plan since the start.

        ``missed``: ticks the scheduler gave up; ``errors``: ticks that raised; ``skipped``: ticks
        left out because one was running; ``clock_steps``: steps of the wall clock.
        """
        return dict(self._counts)

    def start(self) -> None:
        """Begin, in the running event loop; the first tick comes at once."""
        for event, name in (
            (EVENT_JOB_MISSED, "missed"),
            (EVENT_JOB_ERROR, "errors"),
            (EVENT_JOB_MAX_INSTANCES, "skipped"),
        ):
            self._scheduler.add_listener(self._counter(name), event)
        self._scheduler.add_job(
            self._run,
            self._trigger(),
            id=_JOB,
            next_run_time=self._now(),
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )
        self._scheduler.start()

    def stop(self) -> None:
        """Send no further tick. One that is running goes on; await :meth:`idle` for its end."""
        if self._stopped or not self._scheduler.running:
            return
        self._stopped = True
        self._scheduler.remove_all_jobs()
        if self._idle.is_set():
            self._scheduler.shutdown(wait=False)

    async def idle(self) -> None:
        """Wait until no tick is running."""
        await self._idle.wait()

    async def _run(self) -> None:
        self._idle.clear()
        try:
            await self._tick()
        finally:
            self._idle.set()
            if self._stopped:  # not before: a shutdown cancels what is running
                self._scheduler.shutdown(wait=False)

    def _counter(self, name: str) -> Callable[[Any], None]:
        def count(_event: Any) -> None:
            self._counts[name] += 1

        return count

    def _on_step(self) -> None:
        self._counts["clock_steps"] += 1
        if self._scheduler.get_job(_JOB) is not None:
            self._scheduler.modify_job(_JOB, trigger=self._trigger(), next_run_time=self._now())

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._wall(), UTC)

    def _trigger(self) -> Any:
        if self._settings.cron is not None:
            return cron_trigger(self._settings.cron, self._now())
        seconds = self._settings.every_seconds
        return IntervalTrigger(seconds=seconds, start_date=self._now(), timezone=UTC)


class _ClockGuard:
    """Tells whether the wall clock was stepped since it was last asked."""

    def __init__(self, wall: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._offset = wall() - monotonic()

    def stepped(self) -> bool:
        before, self._offset = self._offset, self._wall() - self._monotonic()
        return abs(self._offset - before) > STEP_TOLERANCE


class _SteadyScheduler(AsyncIOScheduler):  # type: ignore[misc]  # APScheduler has no types
    """APScheduler computes its sleeps from the wall clock and so sleeps through a step backwards.

    After a long step forwards it would walk through every missed run. Both are met by looking at
    the clocks before due jobs are computed, at least every ``longest_sleep`` seconds. The method
    overridden is private: hence the bound below version 4 and the tests with stepped clocks.
    """

    def __init__(
        self, guard: _ClockGuard, on_step: Callable[[], None], longest_sleep: float
    ) -> None:
        super().__init__(timezone=UTC)
        self._guard = guard
        self._on_step = on_step
        self._longest_sleep = longest_sleep

    def _process_jobs(self) -> float:
        if self._guard.stepped():
            self._on_step()
        wait: float | None = super()._process_jobs()
        return self._longest_sleep if wait is None else min(wait, self._longest_sleep)


def check_schedule(settings: ScheduleSettings, now: float) -> None:
    """Refuse a cron expression that cannot be read or never comes, before it is in force.

    Parameters
    ----------
    settings
        ``every`` needs no check; its text was checked when it was set.
    now
        Unix seconds, UTC.

    Raises
    ------
    ConfigError
        As :func:`cron_trigger`.
    """
    if settings.cron is not None:
        cron_trigger(settings.cron, datetime.fromtimestamp(now, UTC))


def cron_trigger(expression: str, now: datetime) -> Any:
    """APScheduler's trigger for a crontab expression, with the meaning crontab gives it.

    Two differences are bridged: APScheduler counts weekdays from Monday where crontab has Sunday
    as 0 and 7, and where both the day of the month and the weekday are restricted it asks for
    both, where crontab takes either.

    Parameters
    ----------
    expression
        Minute, hour, day of month, month, day of week.
    now
        An expression that has no time after this one is refused.

    Raises
    ------
    ConfigError
        If the expression cannot be read or never comes.

    Examples
    --------
    >>> sunday_noon = cron_trigger("0 12 * * 0", datetime(2026, 1, 1, tzinfo=UTC))
    >>> print(sunday_noon.get_next_fire_time(None, datetime(2026, 1, 1, tzinfo=UTC)))
    2026-01-04 12:00:00+00:00
    """
    values = expression.split()
    try:
        minute, hour, day, month, weekday = values
        common = {"minute": minute, "hour": hour, "month": month, "timezone": UTC}
        weekdays = _weekdays(weekday.lower())
        if day.startswith("*") or weekday.startswith("*"):
            trigger = CronTrigger(day=day, day_of_week=weekdays, **common)
        else:
            either = [CronTrigger(day=day, **common), CronTrigger(day_of_week=weekdays, **common)]
            trigger = OrTrigger(either)
    except ValueError as fault:
        raise _cron_error(expression, f"cannot be read: {fault}") from None
    if trigger.get_next_fire_time(None, now) is None:
        raise _cron_error(expression, "never comes")
    return trigger


def _cron_error(expression: str, what: str) -> ConfigError:
    hint = "write minute, hour, day of month, month, day of week, such as */5 * * * *"
    return ConfigError(f"{expression!r} {what}", where="schedule.cron", hint=hint)


def _weekdays(text: str) -> str:
    """Crontab's weekdays as names, which have one meaning only."""
    numbers = sorted({number for part in text.split(",") for number in _weekday_part(part)})
    return ",".join(_WEEKDAYS[number] for number in numbers)


def _weekday_part(part: str) -> list[int]:
    match = _WEEKDAY_PART.fullmatch(part)
    if match is None:
        message = f"{part!r} is no weekday"
        raise ValueError(message)
    step = int(match["step"] or 1)
    if match["first"] == "*":
        return list(range(0, 7, step))
    first = _weekday_number(match["first"])
    last = _weekday_number(match["last"]) if match["last"] else (6 if match["step"] else first)
    if last < first:
        last += 7  # fri-mon
    return [number % 7 for number in range(first, last + 1, step)]


def _weekday_number(text: str) -> int:
    if text.isdigit():
        return int(text)
    if text in _WEEKDAYS:
        return _WEEKDAYS.index(text)
    message = f"{text!r} is no weekday"
    raise ValueError(message)
