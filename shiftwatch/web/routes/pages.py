"""The pages for people, the configuration in force, and the description of the API.

In:    a Board; the OpenAPI document.
Out:   HTML with its headers; JSON.
Never: waits on the event loop.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from shiftwatch.status import Snapshot
from shiftwatch.values import Verdict
from shiftwatch.web import assets, pages
from shiftwatch.web import model_page as one
from shiftwatch.web.answers import ProblemError, page_headers
from shiftwatch.web.description import example, html_example
from shiftwatch.web.kept import Kept
from shiftwatch.web.problems import ANY_OTHER, described
from shiftwatch.web.routes.asked import AT_WORK, OfBoard, OfModel, OfSnapshot
from shiftwatch.web.tokens import Holder

ROUTER = APIRouter(responses=ANY_OTHER)


@ROUTER.get(
    "/",
    tags=["pages"],
    summary="Overview",
    response_class=HTMLResponse,
    responses={**html_example("every model, its state and its history"), **described(503)},
)
def overview(
    request: Request,
    board: OfBoard,
    q: Annotated[str, Query(max_length=100, description="Only models with this in the name.")] = "",
    state: Annotated[
        str, Query(max_length=40, description="Only those with a badge of this kind.")
    ] = "",
    page: Annotated[int, Query(ge=1, le=10_000, description="Of 100 models each.")] = 1,
) -> HTMLResponse:
    """A page for people: every model, its state in words, its timeline, links to its reports.

    It brings a script that draws timelines with zoom, filters while typing and shows news as they
    come; it is whole without.
    """
    asked, snapshot = pages.Asked(q, state, page), board.snapshot()
    with AT_WORK:
        if len(snapshot.models) <= pages.AT_LENGTH:
            text = pages.overview(board, asked)
        else:
            kept: Kept = request.app.state.kept
            text = kept.page((_version(snapshot), asked), lambda: pages.overview(board, asked))
    return HTMLResponse(text, headers=_headers())


def _headers() -> dict[str, str]:
    return dict(page_headers(pages.style(), scripted=True)) | {"cache-control": "no-cache, private"}


@ROUTER.get(
    "/models/{model}",
    tags=["pages"],
    summary="Page of a model",
    response_class=HTMLResponse,
    responses={
        **html_example("one model, its timeline, its history, forms for operators"),
        **described(404, 422, 503),
    },
)
def model_page(
    request: Request,
    board: OfBoard,
    model: OfModel,
    state: Annotated[
        Verdict | Literal[""] | None, Query(description="Only batches with this verdict.")
    ] = None,
    before: Annotated[
        int | None, Query(ge=0, le=2**63 - 1, description="Only those with a smaller `seq`.")
    ] = None,
) -> HTMLResponse:
    """A page for people: a model at length, what operators said, and forms for them."""
    with AT_WORK:
        page = one.model_page(board, model, one.Asked(state or None, before), _reader(request))
    return HTMLResponse(page, headers=_headers())


def _reader(request: Request) -> one.Reader:
    holder: Holder | None = getattr(request.state, "holder", None)
    return one.Reader() if holder is None else one.Reader(holder.name, holder.role == "operator")


@ROUTER.get(
    "/static/{name}",
    tags=["pages"],
    summary="A script of the pages",
    response_class=Response,
    responses={
        200: {
            "description": "The script.",
            "content": {"text/javascript": {"schema": {"type": "string"}, "example": "..."}},
        },
        **described(404),
    },
)
async def static(
    name: Annotated[
        str, Path(max_length=100, description="Of a fixed list.", examples=["pages.js"])
    ],
) -> Response:
    """The scripts that pages name; kept by browsers, since another content has another address."""
    content = assets.content(name)
    if content is None:
        raise ProblemError(404, f"no script is called {name!r}")
    headers = {"cache-control": "public, max-age=31536000, immutable"}
    return Response(content, headers=headers, media_type=assets.media_type(name))


@ROUTER.get(
    "/api/v1/state",
    tags=["models"],
    summary="Whether anything is new",
    responses=example({"state": "0f3c5a1e9b7d2468"}),
)
async def state(snapshot: OfSnapshot) -> dict[str, str]:
    """A short text that changes whenever a page would; costs next to nothing to ask for."""
    return {"state": _version(snapshot)}


def _version(snapshot: Snapshot) -> str:
    models = [
        (
            status.name,
            status.monitor_state,
            status.last_run.batch.id if status.last_run else None,
            status.last_run.judged_at if status.last_run else None,
            *(status.backlog, status.quarantined, status.retried, status.fault),
        )
        for status in snapshot.models
    ]
    told = (models, snapshot.around.words, snapshot.reload_at, snapshot.reload_successful)
    return pages.version_of(told, snapshot.ready)


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
