"""What operators take as the new normal.

In:    their words.
Out:   JSON of ``shapes``.
Never: changes what was judged.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query, Response

from shiftwatch.annotation import LONGEST_NAME, Remark
from shiftwatch.web import shapes
from shiftwatch.web.description import example, page_example
from shiftwatch.web.problems import ANY_OTHER, described
from shiftwatch.web.routes.asked import OfBoard, OfModel, OfSpeaker, paged

ROUTER = APIRouter(responses=ANY_OTHER)

MAX_LIMIT = 1000

_WHY, _WHO = "Why.", "Who says so, where there are no tokens; with tokens it is the holder's name."


def _said(
    speaker: OfSpeaker,
    note: Annotated[str, Body(max_length=2000, description=_WHY)] = "",
    by: Annotated[str, Body(max_length=LONGEST_NAME, description=_WHO)] = "",
) -> Remark:
    return Remark(note, speaker.called(by))


def _asked(
    speaker: OfSpeaker,
    note: Annotated[str, Query(max_length=2000, description=_WHY)] = "",
    by: Annotated[str, Query(max_length=LONGEST_NAME, description=_WHO)] = "",
) -> Remark:
    return Remark(note, speaker.called(by))


@ROUTER.get(
    "/api/v1/models/{model}/acceptance",
    tags=["words of operators"],
    summary="What is taken as normal",
    responses={**page_example(shapes.EXAMPLES["acceptances"]), **described(404, 422, 503)},
)
def acceptance(
    response: Response,
    board: OfBoard,
    model: OfModel,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Words at most.")] = 100,
    before: Annotated[
        int | None,
        Query(ge=0, le=2**63 - 1, description="Only words before this one, the first being 0."),
    ] = None,
) -> shapes.AcceptancesShape:
    """The accepted reference in force, if any, and everything that was said on it before."""
    words = [shapes.acceptance_shape(word) for word in board.acceptances(model.name)]
    in_force = words[0] if words and words[0].kind == "accepted" else None
    older = len(words) if before is None else min(before, len(words))
    shown = words[len(words) - older :][:limit]
    following = None
    if older > limit:
        path = shapes.acceptance_path(model.name)
        following = f"{path}?limit={limit}&before={older - limit}"
    return shapes.AcceptancesShape(model.name, in_force, shown, paged(response, following))


@ROUTER.post(
    "/api/v1/models/{model}/acceptance",
    tags=["words of operators"],
    summary="Accept as the new normal",
    status_code=201,
    responses={
        **example(shapes.EXAMPLES["acceptance"], 201, "In force from the next batch on."),
        **described(400, 403, 404, 422, 503),
    },
)
def accept(
    board: OfBoard,
    model: OfModel,
    remark: Annotated[Remark, Depends(_said)],
    first: Annotated[
        str | None,
        Body(
            alias="from",
            min_length=1,
            max_length=200,
            description="First batch; where the change began.",
        ),
    ] = None,
    last: Annotated[
        str | None,
        Body(alias="to", min_length=1, max_length=200, description="Last batch; the newest."),
    ] = None,
) -> shapes.AcceptanceShape:
    """Take the rows of judged batches as the reference, until the configured one changes.

    Alarms start anew with the next batch. What was judged stays as it is.
    """
    return shapes.acceptance_shape(board.accept(model.name, first=first, last=last, remark=remark))


@ROUTER.delete(
    "/api/v1/models/{model}/acceptance",
    tags=["words of operators"],
    summary="Return to the configured reference",
    responses={**example(shapes.EXAMPLES["acceptance"]), **described(400, 403, 404, 503)},
)
def undo_acceptance(
    board: OfBoard,
    model: OfModel,
    remark: Annotated[Remark, Depends(_asked)],
) -> shapes.AcceptanceShape:
    """End what was accepted. Alarms start anew with the next batch."""
    return shapes.acceptance_shape(board.undo_acceptance(model.name, remark))
