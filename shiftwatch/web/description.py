"""The OpenAPI description, and the examples in it.

In:    the application with its routes.
Out:   an OpenAPI 3.1 document as JSON.
Never: answers a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from shiftwatch.web.problems import SCHEMA
from shiftwatch.web.report_shape import report_schemas
from shiftwatch.web.sample import Responses, completed, sample

_TAGS = [
    {"name": "monitoring", "description": "For Prometheus and Kubernetes."},
    {"name": "models", "description": "What is watched, and what was found."},
    {"name": "words of operators", "description": "What is accepted, known and silenced."},
    {"name": "configuration", "description": "What is in force."},
    {"name": "pages", "description": "For people."},
]


_SCHEMES = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "Made by `shiftwatch token`; what changes something needs one of an operator.",
    },
    "password": {
        "type": "http",
        "scheme": "basic",
        "description": "The same token as a password, under any name, as browsers ask for it.",
    },
}


def describe(app: FastAPI, web: Mapping[str, Any]) -> dict[str, Any]:
    """The description of every route, with the shape of a problem.

    ``web`` are the settings of the web, which say what needs a token.
    """
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary="Watches deployed ONNX models for distribution shift.",
        description="Times are ISO 8601 in UTC. Faults are `application/problem+json` (RFC 9457).",
        routes=app.routes,
        tags=_TAGS,
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = dict(SCHEMA)
    schemas.update(report_schemas())
    if web.get("tokens_file"):
        _secure(document, frozenset(web.get("public", ())))
    whole: dict[str, Any] = completed(document)
    return whole


def _secure(document: dict[str, Any], public: frozenset[str]) -> None:
    document["components"]["securitySchemes"] = _SCHEMES
    document["security"] = [{name: []} for name in _SCHEMES]
    for path in public & document["paths"].keys():
        if "get" in document["paths"][path]:
            document["paths"][path]["get"]["security"] = []


def example(value: Any, status: int = 200, description: str = "As described.") -> Responses:
    """An example of a JSON answer."""
    content = {"application/json": {"example": sample(value)}}
    return {status: {"description": description, "content": content}}


def page_example(value: Any) -> Responses:
    """An example of a page of a list."""
    link = {
        "description": "The next page, as `next` says it; left out on the last.",
        "schema": {"type": "string"},
        "example": '</api/v1/...?limit=100&before=41>; rel="next"',
    }
    answer = example(value)
    answer[200]["headers"] = {"Link": link}
    return answer


def text_example(value: str) -> Responses:
    """An example of a plain text."""
    return {200: {"description": "As text.", "content": {"text/plain": {"example": value}}}}


def html_example(what: str) -> Responses:
    """An example of a page."""
    page = f"<!doctype html><title>shiftwatch</title> ... {what} ..."
    return {200: {"description": "A page.", "content": {"text/html": {"example": page}}}}
