"""The command line: one function a verb, every heavy import inside it.

In:    arguments.
Out:   lines for people or programs, an exit status.
Never: holds logic that another verb or the daemon needs.

Exit status: 0 done; 1 the verb's question was answered "shift" (of verify: "not the same"); 2 usage; 70 internal error;
78 bad configuration.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from shiftwatch import __version__
from shiftwatch.errors import ConfigError, DataError, ShiftwatchError

if TYPE_CHECKING:
    from shiftwatch.values import Run

SHIFT, USAGE, INTERNAL, BAD_CONFIG = 1, 2, 70, 78

app = typer.Typer(
    help="Watches a deployed ONNX model for distribution shift.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="Configuration file (YAML).")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
FailOnAlarm = Annotated[
    bool, typer.Option("--fail-on-alarm", help="End with status 1 if an alarm is up.")
]


def main() -> None:
    """Run the command line; the entry point of the program."""
    try:
        app()
    except Exception:
        # Python would end with 1, which says "shift" to whoever asked with --fail-on-alarm.
        sys.excepthook = partial(_end_as_internal_error, sys.excepthook)
        raise


def _end_as_internal_error(
    tell: Callable[[type[BaseException], BaseException, TracebackType | None], object],
    kind: type[BaseException],
    fault: BaseException,
    trace: TracebackType | None,
) -> None:
    tell(kind, fault, trace)
    raise SystemExit(INTERNAL)


def _told_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=lambda wanted: _told_version(wanted=wanted),
            help="Print the version and end.",
        ),
    ] = False,
) -> None:
    """Options of the program itself."""


@contextmanager
def _faults_told(log: Callable[[str], bool] = lambda _text: False) -> Iterator[None]:
    """Turn our own errors into a message and a status instead of a traceback.

    ``log`` takes the message into a log, if there is one to be read by programs.
    """
    try:
        yield
    except ConfigError as fault:
        if not log(str(fault)):
            _complain(str(fault))
        raise typer.Exit(BAD_CONFIG) from None
    except ShiftwatchError as fault:
        if not log(str(fault)):
            _complain(f"error: {fault}")
        raise typer.Exit(INTERNAL) from None


def _complain(text: str) -> None:
    """Say what is wrong; a name from the data in it cannot steer the terminal."""
    from shiftwatch.report import visible  # noqa: PLC0415

    typer.echo("\n".join(visible(line) for line in text.split("\n")), err=True)


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
    with _faults_told(logs.tell_fatal):
        asyncio.run(Daemon(Source(str(config), os.environ)).run())


@app.command()
def once(config: ConfigPath, *, as_json: Json = False, fail_on_alarm: FailOnAlarm = False) -> None:
    """Judge every batch that is due now, print one line each, and end."""
    from shiftwatch import config as configuration  # noqa: PLC0415
    from shiftwatch.monitor import Monitor  # noqa: PLC0415
    from shiftwatch.report import broken_lines  # noqa: PLC0415
    from shiftwatch.store import Store  # noqa: PLC0415
    from shiftwatch.verbs.bar import Bar  # noqa: PLC0415

    with _faults_told():
        settings = configuration.load(config, os.environ)
        fingerprints = {m.name: configuration.fingerprint(settings, m) for m in settings.models}
        with (
            Store.open(settings.store.path, clock=time.time) as store,
            closing(Bar(sys.stderr)) as bar,
        ):
            monitor = Monitor(settings, store, time.time, fingerprints, bar)
            for number, judged in enumerate(monitor.step(), start=1):
                bar.close()
                _print_run(judged, number, as_json=as_json)
            snapshot = monitor.snapshot
    for status in snapshot.models:
        if status.backlog and status.fault is None:
            text = f"{status.name}: files that may still be in the writing: {status.backlog}"
            typer.echo(f"{text}; they are looked at again next time", err=True)
        for line in broken_lines(status):
            typer.echo(line, err=True)
    faulty = [status for status in snapshot.models if status.fault is not None]
    for status in faulty:
        _complain(f"error: {status.name}: {status.fault}")
    if faulty:
        raise typer.Exit(INTERNAL)
    alarms = [s.name for s in snapshot.models if s.last_run is not None and s.last_run.alarm]
    if fail_on_alarm and alarms:
        raise typer.Exit(SHIFT)


@app.command()
def check(config: ConfigPath) -> None:
    """Validate a configuration and its files, and say what the reference can promise and show."""
    from shiftwatch.verbs import checking  # noqa: PLC0415

    with _faults_told():
        good = checking.checked(config, os.environ, say=typer.echo, complain=_complain)
    if not good:
        raise typer.Exit(BAD_CONFIG)


@app.command()
def compare(  # noqa: PLR0913 - options, not arguments
    reference: Annotated[Path, typer.Argument(help="Parquet file or folder.")],
    current: Annotated[Path, typer.Argument(help="Parquet file or folder.")],
    *,
    model: Annotated[Path | None, typer.Option(help="ONNX model; adds its predictions.")] = None,
    categorical: Annotated[
        list[str] | None, typer.Option(help="Integer column to test as categories.")
    ] = None,
    as_json: Json = False,
    html: Annotated[Path | None, typer.Option(help="Write the report page here.")] = None,
    fail_on_alarm: FailOnAlarm = False,
) -> None:
    """Hold two Parquet files or folders against each other; no daemon, no configuration."""
    from shiftwatch.compare import compare_files  # noqa: PLC0415
    from shiftwatch.settings import AlarmSettings, ModelSettings  # noqa: PLC0415
    from shiftwatch.verbs.bar import Bar  # noqa: PLC0415

    _refuse_absent(reference, current, model)
    with _faults_told():
        settings = ModelSettings(
            name="compare",
            reference=str(reference),
            batches=str(current),
            model=str(model) if model is not None else None,
            categorical=tuple(categorical or ()),
        )
        with closing(Bar(sys.stderr)) as bar:
            judged = compare_files(settings, alarms=AlarmSettings(), listener=bar)
        if html is not None:
            from shiftwatch.report import render_html  # noqa: PLC0415

            _write(html, render_html(judged))
        if as_json:
            _print_run(judged, 1, as_json=True)
        else:
            from shiftwatch.report import table  # noqa: PLC0415

            typer.echo(table(judged))
    if fail_on_alarm and judged.alarm:
        raise typer.Exit(SHIFT)


@app.command()
def report(
    config: ConfigPath,
    *,
    model: Annotated[str | None, typer.Option(help="Model; the only one if not given.")] = None,
    batch: Annotated[str | None, typer.Option(help="Batch id; the newest if not given.")] = None,
    output_format: Annotated[Literal["html", "json"], typer.Option("--format")] = "html",
    output: Annotated[
        Path | None, typer.Option(help="File to write; else standard output.")
    ] = None,
) -> None:
    """Write the report of a stored batch."""
    from shiftwatch import config as configuration  # noqa: PLC0415
    from shiftwatch.verbs.reporting import reported  # noqa: PLC0415

    with _faults_told():
        settings = configuration.load(config, os.environ)
        name = _chosen([m.name for m in settings.models], model)
        text = reported(settings, name, batch, output_format)
    if text is None:
        wanted = f"no batch {batch}" if batch is not None else "no batch yet"
        typer.echo(f"error: {name}: {wanted} in {settings.store.path}", err=True)
        raise typer.Exit(USAGE)
    if output is None:
        typer.echo(text)
    else:
        with _faults_told():
            _write(output, text)


@app.command()
def verify(
    target: Annotated[
        Path, typer.Argument(metavar="REPORT", help="Report as JSON; with --history, CONFIG.")
    ],
    *,
    history: Annotated[
        bool, typer.Option("--history", help="Every stored batch of a configuration, in order.")
    ] = False,
    model: Annotated[str | None, typer.Option(help="With --history: only this model.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Recompute a verdict from the same bytes; status 0 if it is the same, 1 if not."""
    from shiftwatch import config as configuration  # noqa: PLC0415
    from shiftwatch.verbs import verifying  # noqa: PLC0415

    with _faults_told():
        if history:
            settings = configuration.load(target, os.environ)
            if model is not None:
                _chosen([m.name for m in settings.models], model)
            status = verifying.verify_history(settings, model, as_json=as_json, say=typer.echo)
        else:
            status = verifying.verify_report(str(target), as_json=as_json, say=typer.echo)
    raise typer.Exit(status)


@app.command()
def accept(  # noqa: PLR0913 - options, not arguments
    config: ConfigPath,
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    *,
    first: Annotated[
        str | None,
        typer.Option("--from", help="First batch id; where the change began if not given."),
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", help="Last batch id; the newest if not given.")
    ] = None,
    note: Annotated[str, typer.Option(help="Why; kept in the history.")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Return to the configured one.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    url: Annotated[
        str | None,
        typer.Option(help="Where the running daemon answers, if it is not `web.listen`."),
    ] = None,
) -> None:
    """Take what came after a change as the new normal: a reference made of judged batches."""
    from shiftwatch import config as configuration  # noqa: PLC0415
    from shiftwatch.acceptance import Span  # noqa: PLC0415
    from shiftwatch.verbs import accepting  # noqa: PLC0415

    with _faults_told():
        settings = configuration.load(config, os.environ)
        name = _chosen([m.name for m in settings.models], model)
        try:
            if not undo:
                accepting.tell_proposal(settings, name, Span(first, last), typer.echo)
            _agreed(yes=yes)
            word = accepting.accept(settings, name, None if undo else Span(first, last), note, url)
        except DataError as fault:
            _complain(f"error: {fault}")
            raise typer.Exit(USAGE) from None
    for line in accepting.told(word):
        typer.echo(line)


def _agreed(*, yes: bool) -> None:
    """Ask a person; what runs without one must say --yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        typer.echo("nothing was done: say --yes to do it", err=True)
        raise typer.Exit(USAGE)
    if not typer.confirm("Do it?"):
        typer.echo("nothing was done", err=True)
        raise typer.Exit(USAGE)


@app.command()
def explain(
    name: Annotated[
        str, typer.Argument(help="A test, metric, alert, key, finding or skip reason.")
    ],
) -> None:
    """Say what a name means."""
    from shiftwatch.glossary import meaning, similar  # noqa: PLC0415

    text = meaning(name)
    if text is None:
        tried = ", ".join(similar(name))
        typer.echo(f"error: nothing is called {name!r}; try one of: {tried}", err=True)
        raise typer.Exit(USAGE)
    typer.echo(f"{name}: {text}")


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="Who is to hold it; one line a name.")],
    *,
    role: Annotated[
        Literal["read-only", "operator"],
        typer.Option(help="An operator may also reload, start checks and accept."),
    ] = "read-only",
) -> None:
    """Make a token: its line for `web.tokens_file` on standard output, itself on standard error."""
    from shiftwatch.web.tokens import made  # noqa: PLC0415

    with _faults_told():
        secret, line = made(name, role)
    typer.echo(line)
    typer.echo(f"the token of {name}, which is not kept anywhere: {secret}", err=True)


@app.command()
def demo(
    *,
    batches: Annotated[
        int, typer.Option(min=1, help="Batches to stream; the second half drifts.")
    ] = 30,
    leave: Annotated[bool, typer.Option("--exit", help="End after the last batch.")] = False,
    pace: Annotated[float, typer.Option(min=0, help="Seconds between batches.")] = 1.0,
    listen: Annotated[str, typer.Option(help="Address of the pages.")] = "127.0.0.1:9464",
) -> None:
    """Show the main job on made-up data: a daemon, a model, a stream that drifts part-way."""
    from shiftwatch.demo.show import show  # noqa: PLC0415

    with _faults_told():
        show(batches=batches, leave=leave, pace=pace, listen=listen)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def _chosen(names: list[str], wanted: str | None) -> str:
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted in names:
        return wanted
    raise ConfigError("choose one model with --model: " + ", ".join(names))


def _refuse_absent(*paths: Path | None) -> None:
    absent = [path for path in paths if path is not None and not path.exists()]
    for path in absent:
        typer.echo(f"error: {path}: no such file or folder", err=True)
    if absent:
        raise typer.Exit(USAGE)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as fault:
        raise ShiftwatchError(f"cannot be written: {fault.strerror}", where=str(path)) from fault


def _print_run(judged: Run, number: int, *, as_json: bool) -> None:
    if as_json:
        from shiftwatch.document import to_document  # noqa: PLC0415

        typer.echo(json.dumps(to_document(judged), ensure_ascii=False))
    else:
        from shiftwatch.report import run_line  # noqa: PLC0415

        typer.echo(run_line(judged, number, colour=sys.stdout.isatty()))
