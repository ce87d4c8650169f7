"""Answers that need no framework: a problem document, and the headers of every answer.

In:    a status and what is wrong.
Out:   Starlette responses.
Never: imports FastAPI, so that metrics and probes are answered without it.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"

POLICY = (
    "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content security policy of what holds no style: nothing is run, loaded, sent or framed."""

SCRIPTED = (
    POLICY.replace("form-action 'none'", "form-action 'self'")
    + "; script-src 'self'; connect-src 'self'"
)
"""Of a page with our scripts: files of this server are run, and it alone is asked."""

HEADERS: Mapping[str, str] = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
"""On every answer, faults included."""


CLOSING: Mapping[str, str] = {"connection": "close"}
"""On a refusal, so that nobody goes on sending a body that is not read."""


def page_headers(style: str, *, scripted: bool = False) -> Mapping[str, str]:
    """Headers of a page whose one ``style`` element holds exactly this text.

    With ``scripted`` the page may run the scripts of this server, and ask it. The style is allowed by its hash (Content Security Policy Level 3, 6.7.3.3), so a page is one
    file and still no other style, were one brought in with a name, is applied.

    Examples
    --------
    >>> page_headers("p{}")["content-security-policy"].rpartition("; ")[2]
    "style-src 'sha256-gG2yISYereRMiG2lMXrbiUgi0Ubw9p7QCeWcroOvy9Y='"
    """
    source = b64encode(sha256(style.encode()).digest()).decode()
    policy = SCRIPTED if scripted else POLICY
    return {"content-security-policy": f"{policy}; style-src 'sha256-{source}'"}


class ProblemError(Exception):
    """A fault of a request, found while answering it; ``members`` extend the document."""

    def __init__(self, status: int, detail: str, **members: Any) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.members = members


class _Plain(JSONResponse):
    """JSON in ASCII: a fault may quote what no encoding has, such as half a character."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, separators=(",", ":")).encode("ascii")


def answer(
    status: int,
    detail: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    members: Mapping[str, Any] | None = None,
) -> JSONResponse:
    """A problem document as a response, with the security headers."""
    return _Plain(
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
