"""The OpenAPI description, and the examples in it.

In:    the application with its routes.
Out:   an OpenAPI 3.1 document as JSON.
Never: answers a request.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from shiftwatch.web.problems import SCHEMA

Responses = dict[int | str, dict[str, Any]]

_TAGS = [
    {"name": "monitoring", "description": "For Prometheus and Kubernetes."},
    {"name": "models", "description": "What is watched, and what was found."},
    {"name": "configuration", "description": "What is in force."},
    {"name": "pages", "description": "For people."},
]


def describe(app: FastAPI) -> dict[str, Any]:
    """The description of every route, with the shape of a problem."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary="Watches deployed ONNX models for distribution shift.",
        description="Times are ISO 8601 in UTC. Faults are `application/problem+json` (RFC 9457).",
        routes=app.routes,
        tags=_TAGS,
    )
    document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = dict(SCHEMA)
    return document


def example(value: Any, status: int = 200, description: str = "As described.") -> Responses:
    """An example of a JSON answer."""
    content = {"application/json": {"example": value}}
    return {status: {"description": description, "content": content}}


def text_example(value: str) -> Responses:
    """An example of a plain text."""
    return {200: {"description": "As text.", "content": {"text/plain": {"example": value}}}}


def html_example(what: str) -> Responses:
    """An example of a page."""
    page = f"<!doctype html><title>shiftwatch</title> ... {what} ..."
    return {200: {"description": "A page.", "content": {"text/html": {"example": page}}}}
