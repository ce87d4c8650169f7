"""Answers that need no framework: a problem document, and the headers of every answer.

In:    a status and what is wrong.
Out:   Starlette responses.
Never: imports FastAPI, so that metrics and probes are answered without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"

HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
"""On every answer, faults included."""


class ProblemError(Exception):
    """A fault of a request, found while answering it; ``members`` extend the document."""

    def __init__(self, status: int, detail: str, **members: Any) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.members = members


def answer(
    status: int,
    detail: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    members: Mapping[str, Any] | None = None,
) -> JSONResponse:
    """A problem document as a response, with the security headers."""
    return JSONResponse(
        {**(members or {}), **document(status, detail, path)},
        status_code=status,
        headers={**HEADERS, **(headers or {})},
        media_type=MEDIA_TYPE,
    )


def document(status: int, detail: str, path: str) -> dict[str, Any]:
    """The members of a problem document that RFC 9457 names."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": path,
    }
