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
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from shiftwatch import logs
from shiftwatch.daemon import Daemon, Source
from shiftwatch.demo.stream import STEPS_TO_FULL_SHIFT
from shiftwatch.report import run_line
from shiftwatch.values import Run

_CONFIG = """\
# The configuration of the demo: what a first one of your own may look like.
models:
  - name: churn
    model: model.onnx
    reference: reference.parquet
    batches: batches/
    columns: {{time: event_time, label: churned}}
schedule: {{every: 1s}}
web: {{listen: "{listen}"}}
"""


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
            config.write_text(_CONFIG.format(listen=listen), encoding="utf-8")
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


class _Show:
    """What is told while the daemon runs."""

    def __init__(self, batches: int, *, leave: bool, stream: subprocess.Popen[str]) -> None:
        self._batches = batches
        self._leave = leave
        self._stream = stream
        self._runs: list[Run] = []

    async def run(self, config: Path) -> None:
        """Serve to the end of the stream, or until a signal."""
        self._loop = asyncio.get_running_loop()
        self._daemon = Daemon(
            Source(str(config), os.environ), on_run=self._on_run, on_ready=self._on_ready
        )
        await self._daemon.run()
        self._summary()

    def _on_ready(self, url: str) -> None:
        half = self._batches // 2
        _say(
            f"\n  overview   {url}/\n"
            f"  metrics    {url}/metrics\n"
            f"  report     {url}/api/v1/models/churn/report\n\n"
            f"{self._batches} batches of 500 rows. The first {half} come from the law of the "
            f"reference; after that\ntenure, price, plan and a new device drift, full by batch "
            f"{half + STEPS_TO_FULL_SHIFT}. Level per check: 1 in 1000.\n"
        )
        if self._stream.stdin is not None:
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
            _say(f"The alarm rose at batch {alarmed[0]} ({when}).")
        else:
            _say("No alarm rose.")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
