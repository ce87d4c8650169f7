"""The stored report of a batch.

In:    the report of a run, from the board.
Out:   any format of a report.
Never: computes a verdict.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request, Response

from shiftwatch.report import Format
from shiftwatch.web import shapes
from shiftwatch.web.answers import ProblemError
from shiftwatch.web.formats import answered, wanted
from shiftwatch.web.problems import ANY_OTHER, described
from shiftwatch.web.routes.asked import AT_WORK, OfBoard, OfModel

_T = TypeVar("_T")

ROUTER = APIRouter(responses=ANY_OTHER)


@ROUTER.get(
    "/api/v1/models/{model}/report",
    tags=["models"],
    summary="Report",
    response_model=dict[str, Any],
    responses={
        200: {
            "description": "The report, in the format asked for.",
            "content": {
                "application/json": {"example": {"schema_version": 1, "state": "shift"}},
                **{
                    kind: {"schema": {"type": "string"}}
                    for kind in ("text/html", "text/markdown", "text/csv")
                },
            },
        },
        304: {"description": "The report is the one that `If-None-Match` names."},
        **described(404, 406, 422, 503),
    },
)
def report(
    request: Request,
    board: OfBoard,
    model: OfModel,
    batch: Annotated[
        str | None, Query(max_length=200, description="Id of the batch; the newest if left out.")
    ] = None,
    form: Annotated[
        Format | None,
        Query(alias="format", description="By the Accept header if left out, else JSON."),
    ] = None,
) -> Response:
    """The stored report of a batch: a page, JSON, Markdown for a ticket, or a table as CSV.

    Nothing is computed anew. Ask again with `If-None-Match` to be told that nothing has changed.
    """
    chosen = wanted(form, request.headers.get("accept", ""))
    with AT_WORK:
        text = _found(board.report(model.name, batch, chosen), model.name, batch)
    return answered(request, text, chosen, f"{model.name}-{batch or 'newest'}")


def _found(report: _T | None, model: str, batch: str | None) -> _T:
    if report is None and batch is None:
        raise ProblemError(404, f"no batch of {model} has been judged yet")
    if report is None:
        hint = f"{shapes.batches_path(model)} lists them"
        raise ProblemError(404, f"no batch {batch!r} of {model} is stored; {hint}")
    return report
