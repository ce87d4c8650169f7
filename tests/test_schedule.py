"""The ticker: at once, on time, never two at a time, whatever the wall clock does."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shiftwatch.errors import ConfigError
from shiftwatch.schedule import Ticker, cron_trigger
from shiftwatch.settings import ScheduleSettings

LONG = 30.0
FAST = ScheduleSettings(every="0.05s")
MONDAY = datetime(2026, 6, 1, tzinfo=UTC)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG):
        while not condition():  # noqa: ASYNC110  # counts of the scheduler have no event
            await asyncio.sleep(0.01)


class Ticks:
    """Counts ticks, and how many run at a time."""

    def __init__(self, body: Callable[[], Awaitable[None]] | None = None) -> None:
        self.begun = 0
        self.running = 0
        self.most = 0
        self._body = body

    async def __call__(self) -> None:
        self.begun += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if self._body is not None:
                await self._body()
        finally:
            self.running -= 1


def test_the_first_tick_comes_at_once_even_if_the_next_is_days_away() -> None:
    async def scene() -> int:
        ticks = Ticks()
        ticker = Ticker(ScheduleSettings(every="7d"), ticks)
        ticker.start()
        await until(lambda: ticks.begun == 1)
        ticker.stop()
        return ticks.begun

    assert asyncio.run(scene()) == 1


def test_the_first_tick_comes_at_once_with_cron_too() -> None:
    async def scene() -> int:
        ticks = Ticks()
        ticker = Ticker(ScheduleSettings(cron="0 0 1 1 *"), ticks)
        ticker.start()
        await until(lambda: ticks.begun == 1)
        ticker.stop()
        return ticks.begun

    assert asyncio.run(scene()) == 1


def test_ticks_come_repeatedly_until_stopped() -> None:
    async def scene() -> tuple[int, int]:
        ticks = Ticks()
        ticker = Ticker(FAST, ticks)
        ticker.start()
        await until(lambda: ticks.begun >= 4)
        ticker.stop()
        at_stop = ticks.begun
        await asyncio.sleep(0.3)
        return at_stop, ticks.begun

    at_stop, later = asyncio.run(scene())
    assert later == at_stop


def test_a_tick_that_is_still_running_is_not_started_twice(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)

    async def scene() -> tuple[int, int]:
        release = asyncio.Event()

        async def body() -> None:
            await release.wait()

        ticks = Ticks(body)
        ticker = Ticker(FAST, ticks)
        ticker.start()
        await until(lambda: ticker.counts["skipped"] >= 3)
        begun = ticks.begun
        release.set()
        await until(lambda: ticks.begun >= 3)
        ticker.stop()
        return begun, ticks.most

    assert asyncio.run(scene()) == (1, 1)


def test_a_tick_that_raises_is_counted_and_logged_and_the_next_one_comes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene() -> Ticker:
        async def body() -> None:
            message = "the store is locked"
            raise RuntimeError(message)

        ticks = Ticks(body)
        ticker = Ticker(FAST, ticks)
        ticker.start()
        await until(lambda: ticker.counts["errors"] >= 3)
        ticker.stop()
        return ticker

    ticker = asyncio.run(scene())
    assert ticker.counts["errors"] >= 3
    assert ticker.counts["missed"] == 0
    assert "the store is locked" in caplog.text


def test_stopping_lets_the_running_tick_finish() -> None:
    async def scene() -> list[str]:
        happened: list[str] = []
        release = asyncio.Event()

        async def body() -> None:
            happened.append("begun")
            await release.wait()
            happened.append("finished")

        ticker = Ticker(FAST, body)
        ticker.start()
        await until(lambda: happened == ["begun"])
        ticker.stop()
        ticker.stop()
        await asyncio.sleep(0.1)
        release.set()
        await ticker.idle()
        await asyncio.sleep(0.2)
        return happened

    assert asyncio.run(scene()) == ["begun", "finished"]


def test_a_ticker_that_was_never_started_can_be_stopped() -> None:
    ticker = Ticker(FAST, Ticks())
    ticker.stop()
    assert ticker.counts == {"missed": 0, "errors": 0, "skipped": 0, "clock_steps": 0}


@pytest.mark.parametrize("step", [-3600.0, 3600.0, 365 * 86400.0])
@pytest.mark.parametrize(
    "settings", [ScheduleSettings(every="1h"), ScheduleSettings(cron="0 0 1 1 *")]
)
def test_a_step_between_the_clocks_brings_one_tick_and_is_counted(
    step: float, settings: ScheduleSettings
) -> None:
    async def scene() -> tuple[int, int]:
        ahead = 0.0
        loop = asyncio.get_running_loop()
        ticks = Ticks()
        ticker = Ticker(settings, ticks, monotonic=lambda: loop.time() - ahead, longest_sleep=0.05)
        ticker.start()
        await until(lambda: ticks.begun == 1)
        await asyncio.sleep(0.2)
        ahead = step
        await until(lambda: ticks.begun == 2)
        await asyncio.sleep(0.2)
        ticker.stop()
        return ticks.begun, ticker.counts["clock_steps"]

    assert asyncio.run(scene()) == (2, 1)


def test_a_clock_that_is_slewed_is_not_taken_for_a_stepped_one() -> None:
    async def scene() -> int:
        loop = asyncio.get_running_loop()
        ticks = Ticks()
        ticker = Ticker(ScheduleSettings(every="0.1s"), ticks, monotonic=lambda: loop.time() * 1.05)
        ticker.start()
        await until(lambda: ticks.begun >= 4)
        ticker.stop()
        return ticker.counts["clock_steps"]

    assert asyncio.run(scene()) == 0


STEPPED = """
import asyncio, json, pathlib, sys, time
from shiftwatch.schedule import Ticker
from shiftwatch.settings import ScheduleSettings

clock = pathlib.Path(sys.argv[1])
ticks = 0

async def tick():
    global ticks
    ticks += 1

async def more(count):
    goal = ticks + count
    async with asyncio.timeout(30):
        while ticks < goal:
            await asyncio.sleep(0.02)

async def scene():
    ticker = Ticker(ScheduleSettings(every="0.2s"), tick, longest_sleep=0.5)
    ticker.start()
    years = []
    for step in ("+0", "-3600", "+31536000"):
        clock.write_text(step)
        await more(3)
        years.append(time.gmtime().tm_year)
    ticker.stop()
    print(json.dumps({"years": years, "steps": ticker.counts["clock_steps"]}))

asyncio.run(scene())
"""


def faketime_library() -> Path:
    """libfaketime, or a skip by name; a failure where every part is required."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        reason = "needs the Debian package faketime"
        if os.environ.get("SHIFTWATCH_REQUIRE") == "all":
            pytest.fail(reason)
        pytest.skip(reason)
    return found[0]


@pytest.mark.slow
def test_ticks_go_on_when_the_real_wall_clock_is_stepped_an_hour_back_and_a_year_ahead(
    tmp_path: Path,
) -> None:
    clock = tmp_path / "clock"
    clock.write_text("+0")
    fake = {
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "LD_PRELOAD": str(faketime_library()),
    }
    done = subprocess.run(
        [sys.executable, "-c", STEPPED, str(clock)],
        env=os.environ | fake,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["steps"] == 2
    assert answer["years"][2] == answer["years"][1] + 1


def runs(expression: str, count: int) -> list[datetime]:
    trigger, found, previous, now = cron_trigger(expression, MONDAY), [], None, MONDAY
    for _ in range(count):
        previous = trigger.get_next_fire_time(previous, now)
        found.append(previous)
        now = previous + timedelta(microseconds=1)
    return found


@pytest.mark.parametrize(
    ("weekday", "names"),
    [
        ("0", {"Sunday"}),
        ("7", {"Sunday"}),
        ("1", {"Monday"}),
        ("SUN", {"Sunday"}),
        ("1-5", {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday"}),
        ("5-7", {"Friday", "Saturday", "Sunday"}),
        ("fri-mon", {"Friday", "Saturday", "Sunday", "Monday"}),
        ("*/3", {"Sunday", "Wednesday", "Saturday"}),
        ("1/2", {"Monday", "Wednesday", "Friday"}),
        ("1,sat", {"Monday", "Saturday"}),
    ],
)
def test_weekdays_are_counted_as_crontab_counts_them(weekday: str, names: set[str]) -> None:
    assert {f"{run:%A}" for run in runs(f"0 0 * * {weekday}", 14)} == names


def test_day_and_weekday_together_mean_either_as_in_crontab() -> None:
    assert [run.day for run in runs("0 0 10 * 1", 4)] == [1, 8, 10, 15]


def test_cron_is_in_utc() -> None:
    assert runs("30 6 * * *", 1) == [MONDAY + timedelta(hours=6, minutes=30)]


@pytest.mark.parametrize(
    "expression",
    ["61 * * * *", "* * *", "* * * * funday", "* * * * 8", "* * * * mon-xyz", "0 0 30 2 *", "x"],
)
def test_an_expression_that_cannot_be_kept_is_refused_before_the_start(expression: str) -> None:
    with pytest.raises(ConfigError, match=r"schedule\.cron: ") as caught:
        Ticker(ScheduleSettings(cron=expression), Ticks())
    assert repr(expression) in str(caught.value)
    assert "such as" in caught.value.hint
