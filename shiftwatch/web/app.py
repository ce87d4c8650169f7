"""The routes.

In:    a Board; requests.
Out:   FastAPI application.
Never: waits on the event loop: what may wait is a plain function and runs in the thread pool,
       so metrics and health answer while every thread of it is busy.
"""

from __future__ import annotations

import threading
from typing import Annotated, Any, Literal, TypeVar, cast

from fastapi import APIRouter, Body, Depends, FastAPI, Header, Path, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from shiftwatch.report import page_style
from shiftwatch.status import ModelStatus, Snapshot
from shiftwatch.values import Verdict
from shiftwatch.web import pages, probes, shapes
from shiftwatch.web.answers import ProblemError, page_headers
from shiftwatch.web.board import Board
from shiftwatch.web.description import describe, example, html_example, text_example
from shiftwatch.web.guard import Guard
from shiftwatch.web.problems import ANY_OTHER, described, install

ROUTER = APIRouter(responses=ANY_OTHER)

MAX_LIMIT = 1000

_AT_WORK = threading.Lock()
"""One page is made at a time. Pages only compute, so more threads make none of them sooner, and a
scrape shares the interpreter with every thread that computes. With 50 reports asked for without a
pause, a scrape of 50 models took 100 ms (median) beside 40 threads, 45 beside 2, 15 beside 1."""

_T = TypeVar("_T")


def build(board: Board) -> FastAPI:
    """The application; see :func:`shiftwatch.web.create_app`."""
    app = FastAPI(
        title="shiftwatch",
        version=board.snapshot().version,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.board = board
    app.include_router(ROUTER)
    app.state.description = describe(app)
    app.add_middleware(Guard)
    install(app)
    return app


async def _board(request: Request) -> Board:
    return cast("Board", request.app.state.board)


async def _snapshot(request: Request) -> Snapshot:
    return (await _board(request)).snapshot()


async def _status(
    request: Request,
    model: Annotated[str, Path(description="Name of a configured model.", examples=["churn"])],
) -> ModelStatus:
    """The model of the path, or 404 with the names there are."""
    models = (await _snapshot(request)).models
    for status in models:
        if status.name == model:
            return status
    names = [status.name for status in models]
    detail = f"no model is called {model!r}; known: {', '.join(names) or 'none'}"
    raise ProblemError(404, detail, models=names)


OfBoard = Annotated[Board, Depends(_board)]
OfSnapshot = Annotated[Snapshot, Depends(_snapshot)]
OfModel = Annotated[ModelStatus, Depends(_status)]


@ROUTER.get(
    "/metrics",
    tags=["monitoring"],
    summary="Metrics",
    response_class=PlainTextResponse,
    responses=text_example('shiftwatch_drift_alarm{model="churn",scope="input"} 1.0\n'),
)
async def metrics(
    snapshot: OfSnapshot,
    accept: Annotated[str, Header(description="OpenMetrics is given if asked for.")] = "",
    names: Annotated[
        list[str] | None,
        Query(alias="name[]", description="Only these series; may be repeated."),
    ] = None,
) -> Response:
    """Every metric as Prometheus text, or as OpenMetrics by the Accept header."""
    return probes.metrics(snapshot, accept, names or ())


@ROUTER.get(
    "/healthz",
    tags=["monitoring"],
    summary="Alive",
    response_class=PlainTextResponse,
    responses=text_example("ok\n"),
)
async def healthz() -> str:
    """200 while the event loop turns. Says nothing about data or models."""
    return probes.OK


@ROUTER.get(
    "/-/healthy",
    tags=["monitoring"],
    summary="Alive, by the name Prometheus uses",
    response_class=PlainTextResponse,
    responses=text_example("ok\n"),
)
async def healthy() -> str:
    """The same as `/healthz`."""
    return probes.OK


@ROUTER.get(
    "/readyz",
    tags=["monitoring"],
    summary="Ready",
    response_class=PlainTextResponse,
    responses={**text_example("ok\n"), **described(503)},
)
async def readyz(snapshot: OfSnapshot) -> str:
    """200 once the configuration is read and the history is open; before that 503 says why."""
    if not snapshot.ready:
        raise ProblemError(503, snapshot.ready_reason)
    return probes.OK


@ROUTER.get(
    "/-/ready",
    tags=["monitoring"],
    summary="Ready, by the name Prometheus uses",
    response_class=PlainTextResponse,
    responses={**text_example("ok\n"), **described(503)},
)
async def ready(snapshot: OfSnapshot) -> str:
    """The same as `/readyz`."""
    return await readyz(snapshot)


@ROUTER.post(
    "/-/reload",
    operation_id="reload",
    tags=["configuration"],
    summary="Reload the configuration",
    response_class=PlainTextResponse,
    responses={**text_example("reloaded\n"), **described(403, 500)},
)
@ROUTER.put(
    "/-/reload",
    operation_id="reload_by_put",
    tags=["configuration"],
    summary="Reload the configuration, by PUT",
    response_class=PlainTextResponse,
    responses={**text_example("reloaded\n"), **described(403, 500)},
)
def reload(board: OfBoard) -> str:
    """Read the configuration again. If it cannot be used, the one before stays in force."""
    board.reload()
    return "reloaded\n"


@ROUTER.api_route("/-/reload", methods=["GET", "DELETE", "PATCH"], include_in_schema=False)
async def reload_otherwise() -> None:
    """Name both methods: the framework would name one."""
    raise HTTPException(405, headers={"Allow": "POST, PUT"})


@ROUTER.get(
    "/",
    tags=["pages"],
    summary="Overview",
    response_class=HTMLResponse,
    responses={**html_example("every model, its state and its history"), **described(503)},
)
def overview(board: OfBoard) -> HTMLResponse:
    """A page for people: every model, its state in words, its timeline, links to its reports."""
    with _AT_WORK:
        page = pages.overview(board)
    return HTMLResponse(page, headers=page_headers(pages.style()))


@ROUTER.get(
    "/config",
    tags=["configuration"],
    summary="Configuration in force",
    response_model=dict[str, Any],
    responses=example({"models": [{"name": "churn", "batches": "batches/"}], "seed": 0}),
)
def config(board: OfBoard) -> JSONResponse:
    """The effective configuration with all defaults; secrets are masked."""
    return JSONResponse(dict(board.effective_config()))


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
    with _AT_WORK:
        rows = board.runs(model.name, limit=limit, before=before, verdict=state)
        lines = [shapes.batch_shape(model.name, row) for row in rows]
    following = None
    if len(lines) == limit:
        chosen = f"&state={state}" if state else ""
        path = shapes.batches_path(model.name)
        following = f"{path}?limit={limit}&before={lines[-1].seq}{chosen}"
    return shapes.BatchesShape(model.name, lines, following)


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
    with _AT_WORK:
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


@ROUTER.get(
    "/api/v1/models/{model}/acceptance",
    tags=["models"],
    summary="What is taken as normal",
    responses={**example(shapes.EXAMPLES["acceptances"]), **described(404, 503)},
)
def acceptance(board: OfBoard, model: OfModel) -> shapes.AcceptancesShape:
    """The accepted reference in force, if any, and everything that was said on it before."""
    words = [shapes.acceptance_shape(word) for word in board.acceptances(model.name)]
    in_force = words[0] if words and words[0].kind == "accepted" else None
    return shapes.AcceptancesShape(model.name, in_force, words)


@ROUTER.post(
    "/api/v1/models/{model}/acceptance",
    tags=["models"],
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
    first: Annotated[
        str | None,
        Body(alias="from", max_length=200, description="First batch; where the change began."),
    ] = None,
    last: Annotated[
        str | None, Body(alias="to", max_length=200, description="Last batch; the newest.")
    ] = None,
    note: Annotated[str, Body(max_length=2000, description="Why.")] = "",
) -> shapes.AcceptanceShape:
    """Take the rows of judged batches as the reference, until the configured one changes.

    Alarms start anew with the next batch. What was judged stays as it is.
    """
    return shapes.acceptance_shape(board.accept(model.name, first=first, last=last, note=note))


@ROUTER.delete(
    "/api/v1/models/{model}/acceptance",
    tags=["models"],
    summary="Return to the configured reference",
    responses={**example(shapes.EXAMPLES["acceptance"]), **described(400, 403, 404, 503)},
)
def undo_acceptance(
    board: OfBoard,
    model: OfModel,
    note: Annotated[str, Query(max_length=2000, description="Why.")] = "",
) -> shapes.AcceptanceShape:
    """End what was accepted. Alarms start anew with the next batch."""
    return shapes.acceptance_shape(board.undo_acceptance(model.name, note))


@ROUTER.get(
    "/openapi.json",
    tags=["pages"],
    summary="This description",
    response_model=dict[str, Any],
    responses=example({"openapi": "3.1.0"}),
)
async def openapi(request: Request) -> JSONResponse:
    """The API as an OpenAPI 3.1 document."""
    return JSONResponse(request.app.state.description)


@ROUTER.get(
    "/docs",
    tags=["pages"],
    summary="This description as a page",
    response_class=HTMLResponse,
    responses=html_example("this description"),
)
def docs(request: Request) -> HTMLResponse:
    """The API as a page that needs nothing from elsewhere."""
    page = pages.docs(request.app.state.description)
    return HTMLResponse(page, headers=page_headers(pages.style()))
