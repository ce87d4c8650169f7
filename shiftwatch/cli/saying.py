"""The verbs of an operator: accept, token.

In:    a configuration, a word.
Out:   what is in force then.
Never: does it without being told so by a person or by --yes.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Literal

import typer

from shiftwatch.cli.application import USAGE, ConfigPath, app, chosen, complain, faults_told
from shiftwatch.errors import DataError


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

    with faults_told():
        settings = configuration.load(config, os.environ)
        name = chosen([m.name for m in settings.models], model)
        try:
            if not undo:
                accepting.tell_proposal(settings, name, Span(first, last), typer.echo)
            _agreed(yes=yes)
            word = accepting.accept(settings, name, None if undo else Span(first, last), note, url)
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
