"""The models, their histories, and checks that are asked for.

In:    the snapshot, rows of the store, jobs.
Out:   JSON of ``shapes``.
Never: runs a test in a request.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Body, Path, Query, Response

from shiftwatch.values import Verdict
from shiftwatch.web import shapes
from shiftwatch.web.answers import ProblemError
from shiftwatch.web.description import example, page_example
from shiftwatch.web.problems import ANY_OTHER, described
from shiftwatch.web.routes.asked import (
    AT_WORK,
    OfBoard,
    OfModel,
    OfSnapshot,
    paged,
    unknown_model,
)

MAX_LIMIT = 1000

ROUTER = APIRouter(responses=ANY_OTHER)

_MOMENT = {"format": "date-time"}


@ROUTER.get(
    "/api/v1/models",
    tags=["models"],
    summary="Models",
    responses={**page_example(shapes.EXAMPLES["models"]), **described(404, 422)},
)
async def models(
    response: Response,
    snapshot: OfSnapshot,
    limit: Annotated[
        int | None, Query(ge=1, le=MAX_LIMIT, description="Models at most; all if left out.")
    ] = None,
    after: Annotated[
        str | None, Query(max_length=200, description="Only those after the model of this name.")
    ] = None,
) -> shapes.ModelsShape:
    """Every watched model with its state, its alarms and its last batch, as they are configured."""
    names = [status.name for status in snapshot.models]
    if after is not None and after not in names:
        raise unknown_model(after, names)
    first = 0 if after is None else names.index(after) + 1
    shown = snapshot.models[first:][:limit]
    following = None
    if limit is not None and first + limit < len(names):
        following = f"/api/v1/models?limit={limit}&after={quote(shown[-1].name, safe='')}"
    lines = [shapes.model_shape(status) for status in shown]
    return shapes.ModelsShape(lines, paged(response, following))


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
    responses={**page_example(shapes.EXAMPLES["batches"]), **described(404, 422, 503)},
)
def batches(  # noqa: PLR0913 - a parameter of the query each
    *,
    response: Response,
    board: OfBoard,
    model: OfModel,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Batches at most.")] = 100,
    before: Annotated[
        int | None, Query(ge=0, le=2**63 - 1, description="Only those with a smaller `seq`.")
    ] = None,
    state: Annotated[Verdict | None, Query(description="Only those with this answer.")] = None,
    since: Annotated[
        str | None,
        Query(
            max_length=40,
            description="Only those that begin then or later: by event, else by check; UTC.",
            examples=["2026-09-21T00:00:00Z"],
            json_schema_extra=_MOMENT,
        ),
    ] = None,
    until: Annotated[
        str | None,
        Query(
            max_length=40,
            description="Only those that begin before, likewise.",
            examples=["2026-09-22T00:00:00Z"],
            json_schema_extra=_MOMENT,
        ),
    ] = None,
) -> shapes.BatchesShape:
    """Stored verdicts, newest first. Follow `next`, or the header `Link`, to read all of them."""
    during = (_seconds(since, "since"), _seconds(until, "until"))
    with AT_WORK:
        rows = board.runs(model.name, limit=limit, before=before, verdict=state, during=during)
        lines = [shapes.batch_shape(model.name, row) for row in rows]
    following = None
    if len(lines) == limit:
        kept: dict[str, object] = {"limit": limit, "before": lines[-1].seq, "state": state}
        kept |= {"since": since, "until": until}
        chosen = urlencode({name: value for name, value in kept.items() if value is not None})
        following = f"{shapes.batches_path(model.name)}?{chosen}"
    return shapes.BatchesShape(model.name, lines, paged(response, following))


def _seconds(moment: str | None, where: str) -> float | None:
    """Unix seconds; a moment without a zone is in UTC."""
    if moment is None:
        return None
    try:
        found = datetime.fromisoformat(moment.upper())
    except ValueError:
        what = f"{moment!r} is no time; write 2026-09-21T14:00:00Z"
        errors = [{"where": f"query.{where}", "what": what}]
        raise ProblemError(422, f"query.{where}: {what}", errors=errors) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


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
    body: Annotated[
        shapes.CheckRequest | None,
        Body(openapi_examples={"one file": {"value": shapes.CHECK_REQUEST}}),
    ] = None,
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
