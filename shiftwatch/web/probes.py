"""What is asked for all the time: metrics, alive, ready.

In:    a snapshot; what a scrape accepts.
Out:   responses.
Never: waits; imports FastAPI.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from shiftwatch.metrics import render
from shiftwatch.status import Snapshot
from shiftwatch.web.answers import answer

OK = "ok\n"

Probe = Callable[[Snapshot, Request], Response]


def metrics(snapshot: Snapshot, accept: str, names: Sequence[str]) -> Response:
    """Every metric, or those of these names, as Prometheus text or OpenMetrics."""
    content_type, body = render(snapshot, accept, names)
    return Response(body, headers={"content-type": content_type})


def _metrics(snapshot: Snapshot, request: Request) -> Response:
    accept = request.headers.get("accept", "")
    return metrics(snapshot, accept, request.query_params.getlist("name[]"))


def _healthy(snapshot: Snapshot, request: Request) -> Response:
    del snapshot, request
    return PlainTextResponse(OK)


def _ready(snapshot: Snapshot, request: Request) -> Response:
    if not snapshot.ready:
        return answer(503, snapshot.ready_reason, request.url.path)
    return PlainTextResponse(OK)


PROBES: Mapping[str, Probe] = {
    "/metrics": _metrics,
    "/healthz": _healthy,
    "/-/healthy": _healthy,
    "/readyz": _ready,
    "/-/ready": _ready,
}
"""By path; a GET of anything else is for the whole application."""
