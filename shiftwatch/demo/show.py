"""The demo: the real daemon on made-up data, each verdict told as it comes.

In:    number of batches, pace, address.
Out:   lines in the terminal; pages and metrics on the address while it runs.
Never: uses another daemon than `shiftwatch run` does.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path

from shiftwatch import logs
from shiftwatch.daemon import Daemon, Source
from shiftwatch.decide import Policy
from shiftwatch.demo import CONFIG
from shiftwatch.demo.stream import STEPS_TO_FULL_SHIFT
from shiftwatch.errors import ShiftwatchError
from shiftwatch.promise import promise_text
from shiftwatch.report import LAYER_NAMES, crossed, run_line
from shiftwatch.settings import AlarmSettings, ToleranceSettings
from shiftwatch.settings.fields import is_loopback
from shiftwatch.values import Run

_LOOK_SECONDS = 0.2


def show(*, batches: int, leave: bool, pace: float, listen: str) -> None:
    """Run the demo until the last batch was judged, or until Ctrl-C.

    Parameters
    ----------
    batches
        Length of the stream; the second half drifts.
    leave
        End after the last batch instead of serving on.
    pace
        Seconds between batches.
    listen
        HOST:PORT of the pages.
    """
    logs.configure(sys.stderr, logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="shiftwatch-demo-") as name:
        folder = Path(name)
        _say(f"Writing a reference of 5000 rows and a small churn model to {folder} ...")
        with _stream(folder, batches, pace) as stream:
            model = resources.files("shiftwatch.demo") / "model.onnx"
            shutil.copyfile(str(model), folder / "model.onnx")
            config = folder / "shiftwatch.yml"
            config.write_text(_configuration(listen), encoding="utf-8")
            asyncio.run(_Show(batches, leave=leave, stream=stream).run(config))


@contextmanager
def _stream(folder: Path, batches: int, pace: float) -> Iterator[subprocess.Popen[str]]:
    """The process that writes the batches, started and waiting."""
    command = [sys.executable, "-m", "shiftwatch.demo.stream", str(folder), str(batches), str(pace)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        if process.stdout is not None:
            process.stdout.readline()
        try:
            yield process
        finally:
            process.terminate()
            if process.stdin is not None:
                with suppress(BrokenPipeError):  # what it has not read is of no use now
                    process.stdin.close()


class _Show:
    """What is told while the daemon runs."""

    def __init__(self, batches: int, *, leave: bool, stream: subprocess.Popen[str]) -> None:
        self._batches = batches
        self._leave = leave
        self._stream = stream
        self._runs: list[Run] = []
        self._ready = False
        self._fault: ShiftwatchError | None = None

    async def run(self, config: Path) -> None:
        """Serve to the end of the stream, or until a signal."""
        self._loop = asyncio.get_running_loop()
        self._daemon = Daemon(
            Source(str(config), os.environ), on_run=self._on_run, on_ready=self._on_ready
        )
        looking = self._loop.create_task(self._look_for_faults())
        try:
            await self._daemon.run()
        finally:
            looking.cancel()
        if self._fault is not None:
            raise self._fault
        self._summary()

    async def _look_for_faults(self) -> None:
        """End the daemon on a fault; it would wait for a cure, and here nobody can bring one."""
        while self._fault is None:
            await asyncio.sleep(_LOOK_SECONDS)
            self._fault = self._found()
        self._daemon.stop()

    def _found(self) -> ShiftwatchError | None:
        if self._stream.poll():
            return ShiftwatchError(f"the stream ended with status {self._stream.returncode}")
        for status in self._daemon.monitor.snapshot.models if self._ready else ():
            if status.fault is not None:
                return ShiftwatchError(status.fault, where=status.name)
        return None

    def _on_ready(self, url: str) -> None:
        self._ready = True
        half = self._batches // 2
        _say(
            f"\n  overview   {url}/\n"
            f"  metrics    {url}/metrics\n"
            f"  report     {url}/api/v1/models/churn/report\n\n"
            f"{self._batches} batches of 500 rows. The first {half} come from the law of the "
            f"reference; then\ntenure, price, plan and the nulls of satisfaction drift, more by "
            f"an eighth a batch up to batch {min(self._batches, half + STEPS_TO_FULL_SHIFT)}.\n"
            f"{_promise()}\n"
        )
        if self._stream.stdin is not None:
            with suppress(BrokenPipeError):  # it has ended, and its status says more
                self._stream.stdin.write("go\n")
                self._stream.stdin.flush()

    def _on_run(self, run: Run) -> None:
        self._runs.append(run)
        _say(run_line(run, len(self._runs), colour=sys.stdout.isatty()))
        if len(self._runs) == self._batches:
            if self._leave:
                self._loop.call_soon_threadsafe(self._daemon.stop)
            else:
                _say("\nThe stream has ended; the pages stay up. Ctrl-C stops the daemon.")

    def _summary(self) -> None:
        verdicts = Counter(run.verdict for run in self._runs)
        counted = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
        _say(f"\n{len(self._runs)} batches judged: {counted}.")
        alarmed = [number for number, run in enumerate(self._runs, start=1) if run.alarm]
        if alarmed:
            first = alarmed[0] - self._batches // 2
            when = (
                f"{first} after the drift began" if first > 0 else "before the drift: a false one"
            )
            by = _crossed_by(self._runs[alarmed[0] - 1])
            _say(f"The alarm rose at batch {alarmed[0]} ({when}){by}.")
        else:
            _say("No alarm rose.")


def _promise() -> str:
    """What the demo's configuration promises, which says nothing of alarms and takes the defaults."""
    alarms = AlarmSettings()
    level = Policy.of(alarms, ToleranceSettings()).level()
    text = promise_text(alarms.per_checks, None, per_days=alarms.false_alarms.per_days)
    return (
        f"Promised: {text}.\nOf what a check may spend, a batch alone has {level.check:g}, past "
        f"batches together {level.window:g}, and what has\nbuilt up over them {level.pool:g}."
    )


def _crossed_by(run: Run) -> str:
    """The layers that raised the alarm."""
    layers = dict.fromkeys(layer for d in run.decisions if d.raised for layer in crossed(d))
    names = [LAYER_NAMES.get(layer, layer) for layer in layers]
    return f", by {' and by '.join(names)}" if names else ""


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _configuration(listen: str) -> str:
    """That of the demo. Its data are made up, so whoever asks for another address may show them."""
    text = CONFIG.format(listen=listen)
    if (
        is_loopback(listen.rpartition(":")[0]) or ":" not in listen
    ):  # the second is a fault of its own
        return text
    return text.replace(f'{{listen: "{listen}"}}', f'{{listen: "{listen}", allow_insecure: true}}')
