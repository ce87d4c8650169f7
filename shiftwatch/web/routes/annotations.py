"""What operators say of stretches of time: notes, known changes, silences.

In:    their words.
Out:   JSON of ``annotation_shapes``.
Never: changes a verdict or an alarm.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Response

from shiftwatch.annotation import LONGEST_NAME
from shiftwatch.errors import DataError
from shiftwatch.web import annotation_shapes as shapes
from shiftwatch.web.answers import ProblemError
from shiftwatch.web.description import example, page_example
from shiftwatch.web.problems import ANY_OTHER, described
from shiftwatch.web.routes.asked import OfBoard, OfModel, OfSpeaker, paged

ROUTER = APIRouter(responses=ANY_OTHER)

MAX_LIMIT = 1000


@ROUTER.get(
    "/api/v1/models/{model}/annotations",
    tags=["words of operators"],
    summary="What was said",
    responses={**page_example(shapes.EXAMPLES), **described(404, 422, 503)},
)
def said(
    response: Response,
    board: OfBoard,
    model: OfModel,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Words at most.")] = 100,
    before: Annotated[
        int | None, Query(ge=0, le=2**63 - 1, description="Only those with a smaller `id`.")
    ] = None,
    in_force: Annotated[bool, Query(description="Only those that are in force now.")] = False,
) -> shapes.AnnotationsShape:
    """Notes, known changes and silences, newest first. Follow `next` to read all of them."""
    now = board.clock()
    words = board.annotations(
        model.name, limit=limit, before=before, in_force_at=now if in_force else None
    )
    told = [shapes.annotation_shape(word, now) for word in words]
    following = None
    if len(words) == limit:
        chosen = "&in_force=true" if in_force else ""
        path = shapes.annotations_path(model.name)
        following = f"{path}?limit={limit}&before={words[-1].id}{chosen}"
    return shapes.AnnotationsShape(model.name, told, paged(response, following))


@ROUTER.post(
    "/api/v1/models/{model}/annotations",
    tags=["words of operators"],
    summary="Annotate or silence",
    status_code=201,
    responses={
        **example(shapes.EXAMPLE, 201, "Kept; `id` is its number."),
        **described(400, 403, 404, 422, 503),
    },
)
def annotate(
    response: Response,
    board: OfBoard,
    model: OfModel,
    speaker: OfSpeaker,
    body: Annotated[
        shapes.AnnotationRequest,
        Body(openapi_examples={"silence": {"value": shapes.REQUEST_EXAMPLE}}),
    ],
) -> shapes.AnnotationShape:
    """Say what is known of a stretch of time: a note, a known change, or a silence with an end.

    Nothing is hidden by it: verdicts, alarms and metrics of drift stay. A silence is exported as
    `shiftwatch_silenced`, and the alerts on drift heed it until it ends.
    """
    now = board.clock()
    word = board.annotate(model.name, body.draft(now), speaker.called(body.by))
    response.headers["location"] = f"{shapes.annotations_path(model.name)}/{word.id}"
    return shapes.annotation_shape(word, now)


@ROUTER.delete(
    "/api/v1/models/{model}/annotations/{number}",
    tags=["words of operators"],
    summary="Take a word back",
    responses={**example(shapes.EXAMPLE), **described(403, 404, 409, 422, 503)},
)
def end_annotation(
    board: OfBoard,
    model: OfModel,
    speaker: OfSpeaker,
    number: Annotated[int, Path(ge=0, le=2**63 - 1, description="Its `id`.", examples=[7])],
    by: Annotated[
        str,
        Query(
            max_length=LONGEST_NAME,
            description="Who says so, where there are no tokens; with tokens it is the holder's name.",
        ),
    ] = "",
) -> shapes.AnnotationShape:
    """End a note, a known change or a silence now. It stays on record, with who ended it."""
    try:
        word = board.end_annotation(model.name, number, speaker.called(by))
    except DataError as fault:
        raise ProblemError(409, str(fault)) from fault
    if word is None:
        path = shapes.annotations_path(model.name)
        raise ProblemError(404, f"no word {number} on {model.name} is kept; {path} lists them")
    return shapes.annotation_shape(word, board.clock())
