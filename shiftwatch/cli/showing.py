"""The verb that shows the main job on made-up data.

In:    how many batches, and how fast.
Out:   a daemon and a stream that drifts.
Never: needs a file.
"""

from __future__ import annotations

from typing import Annotated

import typer

from shiftwatch.cli.application import app, faults_told


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

    with faults_told():
        show(batches=batches, leave=leave, pace=pace, listen=listen)
