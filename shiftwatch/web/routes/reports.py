"""The stored report of a batch.

In:    the report of a run, from the board.
Out:   any format of a report.
Never: computes a verdict.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from shiftwatch.document import report_schema_text
from shiftwatch.report import Format
from shiftwatch.web import shapes
from shiftwatch.web.answers import ProblemError
from shiftwatch.web.formats import answered, wanted
from shiftwatch.web.problems import ANY_OTHER, described
from shiftwatch.web.report_shape import REPORT_RESPONSES
from shiftwatch.web.routes.asked import AT_WORK, OfBoard, OfModel

_T = TypeVar("_T")

ROUTER = APIRouter(responses=ANY_OTHER)


@ROUTER.get(
    "/api/v1/models/{model}/report",
    tags=["models"],
    summary="Report",
    response_class=Response,
    responses={
        **REPORT_RESPONSES,
        **described(400, 404, 406, 422, 503),
    },
)
def report(
    request: Request,
    board: OfBoard,
    model: OfModel,
    batch: Annotated[
        str | None,
        Query(
            max_length=200,
            description="Id of the batch, or 8 characters of it or more that no other begins with; "
            "the newest if left out.",
            examples=["0f3c5a1e9b7d2468"],
        ),
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
    return answered(text, chosen, f"{model.name}-{batch or 'newest'}")


@ROUTER.get(
    "/api/v1/batches/{batch}/report",
    tags=["models"],
    summary="Report, by the batch alone",
    status_code=307,
    response_class=RedirectResponse,
    responses={
        307: {"description": "The report is at `Location`."},
        **described(300, 404, 503),
    },
)
def report_of_batch(
    request: Request,
    board: OfBoard,
    batch: Annotated[
        str, Path(max_length=200, description="Id of the batch.", examples=["0f3c5a1e9b7d2468"])
    ],
) -> RedirectResponse:
    """Where the report of a batch is, for who knows nothing but its id, such as an exemplar.

    Models that judged the same bytes have a report each: 300 lists them.
    """
    models = board.judges(batch)
    addresses = [shapes.report_path(model, batch) for model in models]
    if len(addresses) > 1:
        detail = f"{len(models)} models have judged it: {', '.join(models)}"
        raise ProblemError(300, detail, models=models, reports=addresses)
    if not addresses:
        raise ProblemError(404, f"no batch {batch!r} of any model is stored")
    query = f"&{request.url.query}" if request.url.query else ""
    return RedirectResponse(addresses[0] + query, 307)


@ROUTER.get(
    "/api/v1/schemas/report.json",
    tags=["models"],
    summary="Schema of a report",
    response_class=Response,
    responses={
        200: {
            "description": "As it is in the package.",
            "content": {
                "application/schema+json": {
                    "schema": {"type": "object"},
                    "example": {"$id": "urn:shiftwatch:report:1"},
                }
            },
        }
    },
)
def report_schema() -> Response:
    """The JSON Schema (2020-12) of a report as JSON; `$id` names its version."""
    headers = {"cache-control": "no-cache"}
    return Response(report_schema_text(), media_type="application/schema+json", headers=headers)


def _found(report: _T | None, model: str, batch: str | None) -> _T:
    if report is None and batch is None:
        raise ProblemError(404, f"no batch of {model} has been judged yet")
    if report is None:
        hint = f"{shapes.batches_path(model)} lists them"
        raise ProblemError(404, f"no batch {batch!r} of {model} is stored; {hint}")
    return report
