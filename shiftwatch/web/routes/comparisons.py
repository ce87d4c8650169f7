"""Comparisons on demand.

In:    what is to be held against what.
Out:   how far it is; its report in any format.
Never: compares in a request.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Request, Response

from shiftwatch.report import Format
from shiftwatch.web import comparison_shapes as shapes
from shiftwatch.web.answers import ProblemError
from shiftwatch.web.description import example, page_example
from shiftwatch.web.formats import answered, wanted
from shiftwatch.web.problems import ANY_OTHER, described
from shiftwatch.web.report_shape import REPORT_RESPONSES
from shiftwatch.web.routes.asked import AT_WORK, OfBoard, OfModel, paged

ROUTER = APIRouter(responses=ANY_OTHER)

MAX_LIMIT = 100

Identity = Annotated[
    str, Path(max_length=200, description="Id of the comparison.", examples=["5f3c5a1e9b7d2468"])
]


@ROUTER.get(
    "/api/v1/models/{model}/comparisons",
    tags=["models"],
    summary="Comparisons that were made",
    responses={**page_example(shapes.EXAMPLES), **described(404, 422, 503)},
)
def made(
    response: Response,
    board: OfBoard,
    model: OfModel,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Comparisons at most.")] = 20,
    before: Annotated[
        int | None, Query(ge=0, le=2**63 - 1, description="Only those with a smaller `seq`.")
    ] = None,
) -> shapes.ComparisonsShape:
    """Newest first. Follow `next` to read all of them. What is under way is told beside them."""
    rows = board.comparisons.made(model.name, limit=limit, before=before)
    following = None
    if len(rows) == limit:
        following = f"{shapes.path(model.name)}?limit={limit}&before={rows[-1]['seq']}"
    others = board.comparisons.others(model.name) if before is None else ()
    return shapes.ComparisonsShape(
        model.name,
        [shapes.made_shape(row) for row in rows],
        paged(response, following),
        [shapes.comparison_shape(facts) for facts in others],
    )


@ROUTER.post(
    "/api/v1/models/{model}/comparisons",
    tags=["models"],
    summary="Compare batches or files",
    status_code=202,
    response_model=shapes.ComparisonShape,
    responses={
        **example(shapes.EXAMPLE, 202, "Accepted; `status_url` tells how it goes."),
        **example(shapes.EXAMPLE_DONE, 200, "Made before: its report is there."),
        **described(400, 403, 404, 422, 503),
    },
)
def compare(
    response: Response,
    board: OfBoard,
    model: OfModel,
    body: Annotated[
        shapes.ComparisonRequest | None,
        Body(openapi_examples=shapes.REQUEST_EXAMPLES),
    ] = None,
) -> shapes.ComparisonShape:
    """Hold batches or files against the reference, against others, or the same time last week.

    It stands alone: it enters no history and raises no alarm. Asked again, the one that was made is
    answered, as long as neither side nor the configuration has changed.
    """
    current, reference = (body or shapes.ComparisonRequest()).sides(board.clock())
    shape = shapes.comparison_shape(board.compare(model.name, current, reference))
    response.headers["location"] = shape.status_url
    response.status_code = 200 if shape.status == "done" else 202
    return shape


@ROUTER.get(
    "/api/v1/models/{model}/comparisons/{comparison}",
    tags=["models"],
    summary="How a comparison goes",
    responses={**example(shapes.EXAMPLE), **described(404, 503)},
)
def comparison_state(
    board: OfBoard, model: OfModel, comparison: Identity
) -> shapes.ComparisonShape:
    """Queued, running with its progress, done with the address of its report, or failed and why."""
    facts = board.comparisons.state(model.name, comparison)
    if facts is None:
        raise _unknown(model.name, comparison)
    return shapes.comparison_shape(facts)


@ROUTER.get(
    "/api/v1/models/{model}/comparisons/{comparison}/report",
    tags=["models"],
    summary="Report of a comparison",
    response_class=Response,
    responses={
        **REPORT_RESPONSES,
        **described(404, 406, 422, 503),
    },
)
def comparison_report(
    request: Request,
    board: OfBoard,
    model: OfModel,
    comparison: Identity,
    form: Annotated[
        Format | None,
        Query(alias="format", description="By the Accept header if left out, else JSON."),
    ] = None,
) -> Response:
    """What was found; the names of both sides are under `explanation.comparison`."""
    chosen = wanted(form, request.headers.get("accept", ""))
    with AT_WORK:
        text = board.comparison_report(model.name, comparison, chosen)
    if text is None:
        raise _unknown(model.name, comparison)
    return answered(text, chosen, f"{model.name}-comparison-{comparison}")


def _unknown(model: str, comparison: str) -> ProblemError:
    hint = f"{shapes.path(model)} lists those that were made"
    return ProblemError(404, f"no comparison {comparison!r} of {model} is kept; {hint}")
