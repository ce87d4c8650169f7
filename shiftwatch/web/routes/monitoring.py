"""For Prometheus and Kubernetes: metrics, health, readiness, reload.

In:    the snapshot; a word to reload.
Out:   plain text.
Never: waits on the event loop; computes anything for a scrape.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import PlainTextResponse

from shiftwatch.web import probes
from shiftwatch.web.answers import ProblemError
from shiftwatch.web.description import text_example
from shiftwatch.web.problems import ANY_OTHER, described
from shiftwatch.web.routes.asked import OfBoard, OfSnapshot

ROUTER = APIRouter(responses=ANY_OTHER)


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
