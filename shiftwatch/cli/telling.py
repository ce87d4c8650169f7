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
    PRINTED,
    SHIFT,
    USAGE,
    ConfigPath,
    FailOnAlarm,
    Json,
    app,
    chosen,
    complain,
    faults_told,
    put,
    refuse_absent,
    write,
)
from shiftwatch.errors import DataError
from shiftwatch.places import is_remote


@app.command()
def compare(  # noqa: PLR0913 - options, not arguments
    reference: Annotated[str, typer.Argument(help="Parquet file, folder, or s3:// address.")],
    current: Annotated[str, typer.Argument(help="The same; what is judged.")],
    *,
    model: Annotated[str | None, typer.Option(help="ONNX model; adds its predictions.")] = None,
    categorical: Annotated[
        list[str] | None, typer.Option(help="Integer column to test as categories.")
    ] = None,
    include: Annotated[list[str] | None, typer.Option(help="Only this column.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Not this column.")] = None,
    tests: Annotated[
        list[str] | None,
        typer.Option("--tests", "--test", help="Only these tests, such as ks,chi2."),
    ] = None,
    tolerance: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]NUMBER",
            help="Smallest shift that matters, 0 to 1: for all, or for a test or a column.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of permutations and samples.")] = 0,
    as_json: Json = False,
    html: Annotated[Path | None, typer.Option(help="Write the page here; - prints it.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="The same as Markdown.")] = None,
    csv: Annotated[Path | None, typer.Option(help="The results as CSV.")] = None,
    fail_on_alarm: FailOnAlarm = False,
    fail_on_untested: Annotated[
        bool,
        typer.Option(
            "--fail-on-untested",
            help="End with status 1 if there is no verdict: too few rows, or data that are invalid.",
        ),
    ] = False,
) -> None:
    """Hold two Parquet files or folders against each other; no daemon, no configuration.

    In a pipeline, --fail-on-alarm --fail-on-untested ends with 0 only if there is a verdict and it
    is "no shift", with 1 if not, and with 2 or more if the question could not be asked. A step of
    GitHub Actions that shows the report in the summary of the run:

    shiftwatch compare reference.parquet current.parquet --fail-on-alarm --fail-on-untested --html
    drift.html --markdown - >> "$GITHUB_STEP_SUMMARY"
    """
    from shiftwatch.verbs import comparing  # noqa: PLC0415
    from shiftwatch.verbs.bar import Bar  # noqa: PLC0415

    wanted = {"json": PRINTED if as_json else None, "html": html, "markdown": markdown, "csv": csv}
    printed = [form for form, path in wanted.items() if path == PRINTED]
    if len(printed) > 1:
        raise typer.BadParameter(f"{' and '.join(printed)} cannot both be printed")
    refuse_absent(*(Path(p) for p in (reference, current, model) if p and not is_remote(p)))
    with faults_told():
        asked = comparing.Asked(
            reference,
            current,
            model=model,
            categorical=categorical or (),
            include=include or (),
            exclude=exclude or (),
            tests=tests or (),
            tolerance=tolerance or (),
            seed=seed,
        )
        with closing(Bar(sys.stderr)) as bar:
            judged = comparing.compared(asked, bar)
        for form, path in wanted.items() if printed else {"table": PRINTED, **wanted}.items():
            if path is not None:
                put(path, comparing.rendered(judged, form))
    told = comparing.untold(judged)
    if (fail_on_alarm and judged.alarm) or (fail_on_untested and told):
        raise typer.Exit(SHIFT)
    if fail_on_alarm and told:
        complain(f"warning: no verdict, {told}; --fail-on-untested would end with {SHIFT}")


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
