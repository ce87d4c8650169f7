"""The pages for people, the configuration in force, and the description of the API.

In:    a Board; the OpenAPI document.
Out:   HTML with its headers; JSON.
Never: waits on the event loop.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse

from shiftwatch.web import pages
from shiftwatch.web.answers import page_headers
from shiftwatch.web.description import example, html_example
from shiftwatch.web.problems import ANY_OTHER, described
from shiftwatch.web.routes.asked import AT_WORK, OfBoard

ROUTER = APIRouter(responses=ANY_OTHER)


@ROUTER.get(
    "/",
    tags=["pages"],
    summary="Overview",
    response_class=HTMLResponse,
    responses={**html_example("every model, its state and its history"), **described(503)},
)
def overview(board: OfBoard) -> HTMLResponse:
    """A page for people: every model, its state in words, its timeline, links to its reports."""
    with AT_WORK:
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
