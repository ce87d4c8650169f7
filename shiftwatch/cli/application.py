"""The program itself: its name, its version, and what its verbs have in common.

In:    texts, faults, runs.
Out:   the application that verbs are added to; lines, messages, exit statuses.
Never: knows a verb.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shiftwatch import __version__
from shiftwatch.errors import ConfigError, ShiftwatchError

if TYPE_CHECKING:
    from shiftwatch.values import Run

SHIFT, USAGE, INTERNAL, BAD_CONFIG = 1, 2, 70, 78

PRINTED = Path("-")
"""Stands for standard output where a file is written."""

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
def faults_told(log: Callable[[str], bool] = lambda _text: False) -> Iterator[None]:
    """Turn our own errors into a message and a status instead of a traceback.

    ``log`` takes the message into a log, if there is one to be read by programs.
    """
    try:
        yield
    except ConfigError as fault:
        if not log(str(fault)):
            complain(str(fault))
        raise typer.Exit(BAD_CONFIG) from None
    except ShiftwatchError as fault:
        if not log(str(fault)):
            complain(f"error: {fault}")
        raise typer.Exit(INTERNAL) from None


def complain(text: str) -> None:
    """Say what is wrong; a name from the data in it cannot steer the terminal."""
    from shiftwatch.report import visible  # noqa: PLC0415

    typer.echo("\n".join(visible(line) for line in text.split("\n")), err=True)


def chosen(names: list[str], wanted: str | None) -> str:
    """The model that is meant; ConfigError if it is not told which."""
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted in names:
        return wanted
    raise ConfigError("choose one model with --model: " + ", ".join(names))


def refuse_absent(*paths: Path | None) -> None:
    """End with a usage error that names every path that is not there."""
    absent = [path for path in paths if path is not None and not path.exists()]
    for path in absent:
        typer.echo(f"error: {path}: no such file or folder", err=True)
    if absent:
        raise typer.Exit(USAGE)


def write(path: Path, text: str) -> None:
    """Write a file; ShiftwatchError with its name where that fails."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as fault:
        raise ShiftwatchError(f"cannot be written: {fault.strerror}", where=str(path)) from fault


def put(path: Path, text: str) -> None:
    """Write a file, or print where the path is ``-``."""
    if path == PRINTED:
        typer.echo(text, nl=not text.endswith("\n"))
    else:
        write(path, text)


def print_run(judged: Run, number: int, *, as_json: bool) -> None:
    """One line of a judged batch, for people or for programs."""
    if as_json:
        from shiftwatch.document import to_document  # noqa: PLC0415

        typer.echo(json.dumps(to_document(judged), ensure_ascii=False))
    else:
        from shiftwatch.report import run_line  # noqa: PLC0415

        typer.echo(run_line(judged, number, colour=sys.stdout.isatty()))
