"""Faults as RFC 9457 problem documents.

In:    errors raised while a request is answered.
Out:   ``application/problem+json`` with what is wrong and what to do, and its description.
Never: a traceback, or a fault that is answered as if nothing were wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from shiftwatch.errors import DataError, ShiftwatchError, StoreError, WorkerError
from shiftwatch.web.answers import MEDIA_TYPE, ProblemError, answer, document

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "A fault, as RFC 9457 describes it.",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "description": "Always about:blank; `status` says the kind."},
        "title": {"type": "string", "description": "The kind of fault in words."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "What is wrong, and what to do."},
        "instance": {"type": "string", "description": "The path that was asked for."},
        "models": {
            "type": "array",
            "items": {"type": "string"},
            "description": "The models there are, where an unknown one was asked for.",
        },
        "reports": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Addresses of the reports that may be meant.",
        },
        "errors": {
            "type": "array",
            "items": {"type": "object"},
            "description": "Each value that cannot be used: `where` it stands and `what` is wrong.",
        },
    },
    "additionalProperties": True,
}

_MEANINGS: Mapping[int, tuple[str, str]] = {
    300: (
        "Several models have judged the batch; `reports` has an address for each.",
        "2 models have judged it: churn, fraud",
    ),
    400: ("The request cannot be carried out.", "/etc/passwd: outside the batches of churn"),
    403: ("A web page of another origin sent the request.", "sent by a page of another origin"),
    404: ("There is no such thing.", "no model is called 'chrun'; known: churn"),
    406: (
        "Nothing that the Accept header takes is there.",
        "there is no report as 'image/png'; there is text/html, application/json",
    ),
    409: ("It has been done already.", "churn: word 7 has ended already, by ada"),
    422: ("A value of the request cannot be used.", "query.limit: should be less than 1001"),
    500: ("The daemon could not do it; its log says more.", "config.yml:3: unknown key 'modle'"),
    503: ("Not now; ask again later.", "loading the reference of churn"),
}


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The faults of a route for its OpenAPI description."""
    return {status: _description(status) for status in statuses}


def _description(status: int) -> dict[str, Any]:
    meaning, example = _MEANINGS[status]
    content = {
        "schema": {"$ref": "#/components/schemas/Problem"},
        "example": document(status, example, "/..."),
    }
    return {"description": meaning, "content": {MEDIA_TYPE: content}}


ANY_OTHER: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "Any other fault.",
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": document(429, "more than 50 requests a second", "/..."),
            }
        },
    }
}


def install(app: FastAPI, methods: Callable[[str], Sequence[str]]) -> None:
    """Answer every fault of ``app`` with a problem document.

    ``methods`` says what may be asked of a path: the framework names one route's alone.
    """
    app.state.methods = methods
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(ShiftwatchError, _on_shiftwatch)
    app.add_exception_handler(Exception, _on_anything)


async def _on_problem(request: Request, fault: Exception) -> JSONResponse:
    if not isinstance(fault, ProblemError):
        raise TypeError(fault)
    return answer(fault.status, fault.detail, request.url.path, members=fault.members)


async def _on_http(request: Request, fault: Exception) -> JSONResponse:
    """What the framework itself refuses: unknown paths and methods, broken bodies."""
    if not isinstance(fault, HTTPException):
        raise TypeError(fault)
    headers = dict(fault.headers or {})
    detail = str(fault.detail)
    if fault.status_code == 404:
        detail = "there is nothing at this path; /docs lists what there is"
    if fault.status_code == 405:
        headers["allow"] = ", ".join(request.app.state.methods(request.url.path))
        headers.pop("Allow", None)
        detail = f"{request.method} is not for this path; use {headers['allow']}"
    return answer(fault.status_code, detail, request.url.path, headers=headers)


async def _on_invalid(request: Request, fault: Exception) -> JSONResponse:
    if not isinstance(fault, RequestValidationError):
        raise TypeError(fault)
    errors = [
        {"where": ".".join(str(part) for part in error["loc"]), "what": error["msg"]}
        for error in fault.errors()
    ]
    detail = "; ".join(f"{error['where']}: {error['what']}" for error in errors)
    return answer(422, detail, request.url.path, members={"errors": errors})


_STATUS: Mapping[type[Exception], int] = {DataError: 400, StoreError: 503, WorkerError: 503}


async def _on_shiftwatch(request: Request, fault: Exception) -> JSONResponse:
    return answer(_STATUS.get(type(fault), 500), str(fault), request.url.path)


async def _on_anything(request: Request, _fault: Exception) -> JSONResponse:
    """The last resort; the server logs the traceback, the client gets none."""
    detail = "an internal error; the daemon's log has the details, please report it"
    return answer(500, detail, request.url.path)
