"""The verbs that watch: run, once, check.

In:    a configuration.
Out:   the daemon; a line for each batch; what the configuration can promise.
Never: holds logic that another verb or the daemon needs.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import closing
from typing import Annotated, Literal

import typer

from shiftwatch.cli.application import (
    BAD_CONFIG,
    INTERNAL,
    SHIFT,
    ConfigPath,
    FailOnAlarm,
    Json,
    app,
    complain,
    faults_told,
    print_run,
)


@app.command()
def run(
    config: ConfigPath,
    *,
    log: Annotated[
        Literal["auto", "json", "text"],
        typer.Option(help="Form of a line of the log; auto: text on a terminal, else JSON."),
    ] = "auto",
) -> None:
    """Watch: the daemon."""
    import asyncio  # noqa: PLC0415 - every verb pays only for itself
    import signal  # noqa: PLC0415

    # Until the daemon has its own answer; process 1 of a container would not hear it.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    from shiftwatch import logs  # noqa: PLC0415
    from shiftwatch.daemon import Daemon, Source  # noqa: PLC0415

    logs.configure(sys.stderr, form=log)
    with faults_told(logs.tell_fatal):
        asyncio.run(Daemon(Source(str(config), os.environ)).run())


@app.command()
def once(config: ConfigPath, *, as_json: Json = False, fail_on_alarm: FailOnAlarm = False) -> None:
    """Judge every batch that is due now, print one line each, and end."""
    from shiftwatch import config as configuration  # noqa: PLC0415
    from shiftwatch.monitor import Monitor  # noqa: PLC0415
    from shiftwatch.report import broken_lines  # noqa: PLC0415
    from shiftwatch.store import Store  # noqa: PLC0415
    from shiftwatch.verbs.bar import Bar  # noqa: PLC0415

    with faults_told():
        settings = configuration.load(config, os.environ)
        fingerprints = {m.name: configuration.fingerprint(settings, m) for m in settings.models}
        with (
            Store.open(settings.store.path, clock=time.time) as store,
            closing(Bar(sys.stderr)) as bar,
        ):
            monitor = Monitor(settings, store, time.time, fingerprints, bar)
            for number, judged in enumerate(monitor.step(), start=1):
                bar.close()
                print_run(judged, number, as_json=as_json)
            snapshot = monitor.snapshot
    for status in snapshot.models:
        if status.backlog and status.fault is None:
            text = f"{status.name}: files that may still be in the writing: {status.backlog}"
            typer.echo(f"{text}; they are looked at again next time", err=True)
        for line in broken_lines(status):
            typer.echo(line, err=True)
    faulty = [status for status in snapshot.models if status.fault is not None]
    for status in faulty:
        complain(f"error: {status.name}: {status.fault}")
    if faulty:
        raise typer.Exit(INTERNAL)
    alarms = [s.name for s in snapshot.models if s.last_run is not None and s.last_run.alarm]
    if fail_on_alarm and alarms:
        raise typer.Exit(SHIFT)


@app.command()
def check(config: ConfigPath) -> None:
    """Validate a configuration and its files, and say what the reference can promise and show."""
    from shiftwatch.verbs import checking  # noqa: PLC0415

    with faults_told():
        good = checking.checked(config, os.environ, say=typer.echo, complain=complain)
    if not good:
        raise typer.Exit(BAD_CONFIG)
