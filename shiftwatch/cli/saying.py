"""The verbs of an operator: accept, annotate, silence, token.

In:    a configuration, a word.
Out:   what is in force then.
Never: does it without being told so by a person or by --yes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from shiftwatch.cli.application import USAGE, ConfigPath, app, chosen, complain, faults_told
from shiftwatch.errors import DataError

if TYPE_CHECKING:
    from shiftwatch.annotation import Draft


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
    by: Annotated[
        str | None, typer.Option(help="Who says it; the login name if not given.")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(help="Where the running daemon answers, if it is not `web.listen`."),
    ] = None,
) -> None:
    """Take what came after a change as the new normal: a reference made of judged batches."""
    from shiftwatch import config as configuration  # noqa: PLC0415
    from shiftwatch.acceptance import Span  # noqa: PLC0415
    from shiftwatch.annotation import Remark  # noqa: PLC0415
    from shiftwatch.verbs import accepting, annotating  # noqa: PLC0415

    with faults_told():
        settings = configuration.load(config, os.environ)
        name = chosen([m.name for m in settings.models], model)
        try:
            if not undo:
                accepting.tell_proposal(settings, name, Span(first, last), typer.echo)
            _agreed(yes=yes)
            remark = Remark(note, annotating.login_name() if by is None else by)
            word = accepting.accept(
                settings, name, None if undo else Span(first, last), remark, url
            )
        except DataError as fault:
            complain(f"error: {fault}")
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


Url = Annotated[
    str | None, typer.Option(help="Where the running daemon answers, if it is not `web.listen`.")
]
ListAll = Annotated[bool, typer.Option("--list", help="Show what was said, and end.")]
End = Annotated[int | None, typer.Option("--end", help="Take back the word of this number.")]
From = Annotated[str | None, typer.Option("--from", help="When it begins; now if not given.")]
For = Annotated[
    str | None, typer.Option("--for", help="How long, from its beginning: 90m, 2h, 3d, 1w.")
]
By = Annotated[str | None, typer.Option(help="Who says it; the login name if not given.")]


@app.command()
def annotate(  # noqa: PLR0913 - options, not arguments
    config: ConfigPath,
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    text: Annotated[str, typer.Argument(help="What is known.")] = "",
    *,
    kind: Annotated[
        Literal["note", "known-change"], typer.Option(help="A remark, or a change that is meant.")
    ] = "known-change",
    start: From = None,
    until: Annotated[
        str | None,
        typer.Option(help="When it ends: 2026-12-01, 2026-12-01T08:00; 3d is three days from now."),
    ] = None,
    lasting: For = None,
    by: By = None,
    end: End = None,
    list_all: ListAll = False,
    url: Url = None,
) -> None:
    """Say what is known of a stretch of time; it is drawn on every timeline."""
    from shiftwatch.verbs.annotating import Times, drafted  # noqa: PLC0415

    if not text and end is None and not list_all:
        _complain_of_use("say what is known, or --end NUMBER, or --list")
    _said(
        (config, model, url),
        lambda: drafted(
            "note" if kind == "note" else "known_change", text, Times(start, until, lasting), ()
        ),
        _Doing(by, end, list_all=list_all),
    )


@app.command()
def silence(  # noqa: PLR0913 - options, not arguments
    config: ConfigPath,
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    text: Annotated[str, typer.Argument(help="Why.")] = "",
    *,
    start: From = None,
    until: Annotated[
        str | None,
        typer.Option(help="When it ends: 2026-12-01T08:00; 2h is two hours from now."),
    ] = None,
    lasting: For = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="Only the alarm of this scope (input, prediction, schema); may be repeated."
        ),
    ] = None,
    by: By = None,
    end: End = None,
    list_all: ListAll = False,
    url: Url = None,
) -> None:
    """Let the alerts on drift of a model be quiet until a time; verdicts and alarms stay as they are."""
    from shiftwatch.verbs.annotating import Times, drafted  # noqa: PLC0415

    _said(
        (config, model, url),
        lambda: drafted("silence", text, Times(start, until, lasting), scope or ()),
        _Doing(by, end, list_all=list_all),
    )


@dataclass(frozen=True)
class _Doing:
    """What is to be done with a word."""

    by: str | None
    end: int | None
    list_all: bool


def _said(where: tuple[Path, str, str | None], draft: Callable[[], Draft], doing: _Doing) -> None:
    from shiftwatch import config as configuration  # noqa: PLC0415
    from shiftwatch.verbs import annotating  # noqa: PLC0415

    config, model, url = where
    with faults_told():
        settings = configuration.load(config, os.environ)
        name = chosen([m.name for m in settings.models], model)
        by = annotating.login_name() if doing.by is None else doing.by
        try:
            if doing.list_all:
                lines = annotating.listed(settings, name)
            elif doing.end is not None:
                ended = annotating.end(settings, name, doing.end, by, url)
                lines = iter([annotating.told(ended)])
            else:
                kept = annotating.annotate(settings, name, draft(), by, url)
                lines = iter([annotating.told(kept)])
            for line in lines:
                typer.echo(line)
        except DataError as fault:
            _complain_of_use(str(fault))


def _complain_of_use(what: str) -> NoReturn:
    complain(f"error: {what}")
    raise typer.Exit(USAGE) from None


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

    with faults_told():
        secret, line = made(name, role)
    typer.echo(line)
    typer.echo(f"the token of {name}, which is not kept anywhere: {secret}", err=True)
