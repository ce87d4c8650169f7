"""The stored report of a batch.

In:    the document or the page of a run, from the board.
Out:   JSON or HTML.
Never: computes a verdict.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from shiftwatch.report import page_style
from shiftwatch.web import shapes
from shiftwatch.web.answers import ProblemError, page_headers
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
                "text/html": {"schema": {"type": "string"}},
            },
        },
        **described(404, 422, 503),
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
        Literal["html", "json"] | None,
        Query(alias="format", description="By the Accept header if left out, else JSON."),
    ] = None,
) -> Response:
    """The stored report of a batch. Nothing is computed anew."""
    form = form or ("html" if "text/html" in request.headers.get("accept", "") else "json")
    with AT_WORK:
        if form == "html":
            page = board.html(model.name, batch)
            return HTMLResponse(_found(page, model.name, batch), headers=page_headers(page_style()))
        document = board.document(model.name, batch)
        return JSONResponse(dict(_found(document, model.name, batch)))


def _found(report: _T | None, model: str, batch: str | None) -> _T:
    if report is None and batch is None:
        raise ProblemError(404, f"no batch of {model} has been judged yet")
    if report is None:
        hint = f"{shapes.batches_path(model)} lists them"
        raise ProblemError(404, f"no batch {batch!r} of {model} is stored; {hint}")
    return report
