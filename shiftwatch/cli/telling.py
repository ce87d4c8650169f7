"""The verbs that tell: compare, report, verify, explain, schema, version.

In:    files, a history, a name.
Out:   a table, a page, a document, a meaning.
Never: changes a history.
"""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

import typer

from shiftwatch import __version__
from shiftwatch.cli.application import (
    SHIFT,
    USAGE,
    ConfigPath,
    FailOnAlarm,
    Json,
    app,
    chosen,
    complain,
    faults_told,
    print_run,
    refuse_absent,
    write,
)
from shiftwatch.errors import DataError


@app.command()
def compare(  # noqa: PLR0913 - options, not arguments
    reference: Annotated[Path, typer.Argument(help="Parquet file or folder.")],
    current: Annotated[Path, typer.Argument(help="Parquet file or folder.")],
    *,
    model: Annotated[Path | None, typer.Option(help="ONNX model; adds its predictions.")] = None,
    categorical: Annotated[
        list[str] | None, typer.Option(help="Integer column to test as categories.")
    ] = None,
    include: Annotated[list[str] | None, typer.Option(help="Only this column.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Not this column.")] = None,
    tests: Annotated[
        list[str] | None, typer.Option("--test", help="Only this test; may be repeated.")
    ] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="Smallest shift that matters, 0 to 1.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of permutations and samples.")] = 0,
    as_json: Json = False,
    html: Annotated[Path | None, typer.Option(help="Write the report page here.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the report as Markdown.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the results as CSV.")] = None,
    fail_on_alarm: FailOnAlarm = False,
    fail_on_untested: Annotated[
        bool,
        typer.Option("--fail-on-untested", help="End with status 1 unless all could be judged."),
    ] = False,
) -> None:
    """Hold two Parquet files or folders against each other; no daemon, no configuration.

    In a pipeline: --fail-on-alarm --fail-on-untested ends with 0 only if all was judged and no
    shift was found, with 1 otherwise, and with 2 or more if it could not be asked.
    """
    from shiftwatch.verbs import comparing  # noqa: PLC0415
    from shiftwatch.verbs.bar import Bar  # noqa: PLC0415

    refuse_absent(reference, current, model)
    with faults_told():
        asked = comparing.Asked(
            str(reference),
            str(current),
            model=None if model is None else str(model),
            categorical=tuple(categorical or ()),
            include=tuple(include or ()),
            exclude=tuple(exclude or ()),
            tests=tuple(tests or ()),
            tolerance=tolerance,
            seed=seed,
        )
        with closing(Bar(sys.stderr)) as bar:
            judged = comparing.compared(asked, bar)
        if html is not None:
            write(html, comparing.rendered(judged, "html"))
        if markdown is not None:
            write(markdown, comparing.rendered(judged, "markdown"))
        if csv is not None:
            write(csv, comparing.rendered(judged, "csv"))
        if as_json:
            print_run(judged, 1, as_json=True)
        else:
            from shiftwatch.report import table  # noqa: PLC0415

            typer.echo(table(judged))
    untested = judged.verdict not in ("shift", "no_shift")
    if (fail_on_alarm and judged.alarm) or (fail_on_untested and untested):
        raise typer.Exit(SHIFT)


@app.command()
def report(  # noqa: PLR0913 - options, not arguments
    config: ConfigPath,
    *,
    model: Annotated[str | None, typer.Option(help="Model; the only one if not given.")] = None,
    batch: Annotated[str | None, typer.Option(help="Batch id; the newest if not given.")] = None,
    first: Annotated[
        str | None, typer.Option("--from", help="First of several batches, or a time.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last of them, or up to a time.")] = None,
    file: Annotated[
        list[str] | None, typer.Option(help="Instead: a file or folder below `batches:`.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="Compare anew with: reference, ID, ID..ID, TIME..TIME, file:PATH, last-week, or so"
            " much earlier (7d)."
        ),
    ] = None,
    output_format: Annotated[
        Literal["html", "json", "markdown", "csv"],
        typer.Option("--format", help="A page, the document, a text for a ticket, a table."),
    ] = "html",
    output: Annotated[
        Path | None, typer.Option(help="File to write; else standard output.")
    ] = None,
) -> None:
    """Write the report of a stored batch, or hold stored batches or files against others."""
    from shiftwatch import config as configuration  # noqa: PLC0415
    from shiftwatch.verbs import reporting  # noqa: PLC0415

    with faults_told():
        settings = configuration.load(config, os.environ)
        name = chosen([m.name for m in settings.models], model)
        if not any((first, last, against, file)):
            text = reporting.reported(settings, name, batch, output_format)
        else:
            from shiftwatch.sides import side_of, spanned  # noqa: PLC0415
            from shiftwatch.verbs.bar import Bar  # noqa: PLC0415
            from shiftwatch.verbs.contrasting import contrasted  # noqa: PLC0415

            try:
                current = spanned(first or batch, last, file or ())
                sides = current, side_of(against or "reference")
                with closing(Bar(sys.stderr)) as bar:
                    text = contrasted(settings, name, sides, output_format, bar)
            except DataError as fault:
                complain(f"error: {fault}")
                raise typer.Exit(USAGE) from None
    if text is None:
        wanted = f"no batch {batch}" if batch is not None else "no batch yet"
        typer.echo(f"error: {name}: {wanted} in {settings.store.path}", err=True)
        raise typer.Exit(USAGE)
    if output is None:
        typer.echo(text)
    else:
        with faults_told():
            write(output, text)


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

    with faults_told():
        if history:
            settings = configuration.load(target, os.environ)
            if model is not None:
                chosen([m.name for m in settings.models], model)
            status = verifying.verify_history(settings, model, as_json=as_json, say=typer.echo)
        else:
            status = verifying.verify_report(str(target), as_json=as_json, say=typer.echo)
    raise typer.Exit(status)


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
def schema() -> None:
    """Print the JSON Schema of a report as JSON."""
    from shiftwatch.document import report_schema_text  # noqa: PLC0415

    typer.echo(report_schema_text(), nl=False)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)
