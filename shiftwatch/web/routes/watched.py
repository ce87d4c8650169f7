"""The models, their histories, and checks that are asked for.

In:    the snapshot, rows of the store, jobs.
Out:   JSON of ``shapes``.
Never: runs a test in a request.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from shiftwatch.values import Verdict
from shiftwatch.web import shapes
from shiftwatch.web.answers import ProblemError
from shiftwatch.web.description import example
from shiftwatch.web.problems import ANY_OTHER, described
from shiftwatch.web.routes.asked import AT_WORK, OfBoard, OfModel, OfSnapshot

MAX_LIMIT = 1000

ROUTER = APIRouter(responses=ANY_OTHER)


@ROUTER.get(
    "/api/v1/models",
    tags=["models"],
    summary="Models",
    responses=example(shapes.EXAMPLES["models"]),
)
async def models(snapshot: OfSnapshot) -> shapes.ModelsShape:
    """Every watched model with its state, its alarms and its last batch."""
    return shapes.ModelsShape([shapes.model_shape(status) for status in snapshot.models])


@ROUTER.get(
    "/api/v1/models/{model}",
    tags=["models"],
    summary="One model",
    responses={**example(shapes.EXAMPLES["model"]), **described(404)},
)
async def one_model(model: OfModel) -> shapes.ModelShape:
    """A watched model with its state, its alarms and its last batch."""
    return shapes.model_shape(model)


@ROUTER.get(
    "/api/v1/models/{model}/batches",
    tags=["models"],
    summary="History",
    responses={**example(shapes.EXAMPLES["batches"]), **described(404, 422, 503)},
)
def batches(
    board: OfBoard,
    model: OfModel,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Batches at most.")] = 100,
    before: Annotated[
        int | None, Query(ge=0, le=2**63 - 1, description="Only those with a smaller `seq`.")
    ] = None,
    state: Annotated[Verdict | None, Query(description="Only those with this answer.")] = None,
) -> shapes.BatchesShape:
    """Stored verdicts, newest first. Follow `next` to read all of them."""
    with AT_WORK:
        rows = board.runs(model.name, limit=limit, before=before, verdict=state)
        lines = [shapes.batch_shape(model.name, row) for row in rows]
    following = None
    if len(lines) == limit:
        chosen = f"&state={state}" if state else ""
        path = shapes.batches_path(model.name)
        following = f"{path}?limit={limit}&before={lines[-1].seq}{chosen}"
    return shapes.BatchesShape(model.name, lines, following)


@ROUTER.post(
    "/api/v1/models/{model}/checks",
    tags=["models"],
    summary="Check now",
    status_code=202,
    responses={
        **example(shapes.EXAMPLES["queued"], 202, "Accepted; `status_url` tells how it goes."),
        **described(400, 403, 404, 422, 503),
    },
)
def check(
    response: Response,
    board: OfBoard,
    model: OfModel,
    body: shapes.CheckRequest | None = None,
) -> shapes.JobShape:
    """Check all due batches, or report on one file inside the configured prefix.

    A report on a named file stands alone: it does not enter the history and raises no alarm.
    """
    job = board.request_check(model.name, body.path if body else None)
    facts = board.job(job) or {"status": "queued"}
    shape = shapes.job_shape(model.name, job, facts)
    response.headers["location"] = shape.status_url
    return shape


@ROUTER.get(
    "/api/v1/models/{model}/checks/{job}",
    tags=["models"],
    summary="How a check goes",
    responses={**example(shapes.EXAMPLES["job"]), **described(404)},
)
def check_status(
    board: OfBoard,
    model: OfModel,
    job: Annotated[str, Path(description="Id of the job.", examples=["7c1d"])],
) -> shapes.JobShape:
    """The state of a check that was asked for. Jobs are forgotten when the daemon restarts."""
    facts = board.job(job)
    if facts is None or facts["model"] != model.name:
        raise ProblemError(404, f"no check {job!r} of {model.name} is known; ask for a new one")
    return shapes.job_shape(model.name, job, facts)
