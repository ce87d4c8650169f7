"""The OpenAPI description, and the examples in it.

In:    the application with its routes.
Out:   an OpenAPI 3.1 document as JSON.
Never: answers a request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from shiftwatch.document import report_schema_text, to_document
from shiftwatch.values import Batch, Decision, Evidence, Piece, Run, Skipped, TwoSampleResult
from shiftwatch.web.problems import SCHEMA

Responses = dict[int | str, dict[str, Any]]

_TAGS = [
    {"name": "monitoring", "description": "For Prometheus and Kubernetes."},
    {"name": "models", "description": "What is watched, and what was found."},
    {"name": "words of operators", "description": "What is accepted, known and silenced."},
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
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = dict(SCHEMA)
    schemas.update(_report_schemas())
    return document


REPORT: Mapping[str, str] = {"$ref": "#/components/schemas/Report"}
"""The schema of a report as JSON, among the components."""


def _report_example() -> dict[str, Any]:
    batch = Batch(
        "0f3c5a1e9b7d2468", (Piece("batches/a.parquet", 48213, "b7" * 32, 0, 2000),), 2000
    )
    result = TwoSampleResult(
        "ks", "age", "input", 0.12, 3e-9, 0.12, 0.08, 0.16, rows_reference=9000, rows_current=2000
    )
    decision = Decision(
        scope="input",
        alarm=True,
        raised=True,
        cleared=False,
        evidence=Evidence(check=2.8, window=0.4, pool=0.7),
        p_value=2.4e-8,
        level=0.001,
        columns=("age",),
        since=batch.id,
        crossed=("check",),
        change_from=batch.id,
    )
    skipped = Skipped("nulls", "age", "input", "no_nulls")
    run = Run("churn", batch, "shift", 1_790_000_000.0, (), (decision,), (result,), (skipped,))
    return to_document(run)


REPORT_EXAMPLE: Mapping[str, Any] = _report_example()


def _report_schemas() -> dict[str, Any]:
    """The published schema of a report, its definitions as components of their own."""
    text = report_schema_text().replace('"#/$defs/', '"#/components/schemas/Report_')
    schema = json.loads(text)
    parts = {f"Report_{name}": part for name, part in schema.pop("$defs").items()}
    whole = {name: schema[name] for name in schema if not name.startswith("$")}
    return {"Report": whole, **parts}


def example(value: Any, status: int = 200, description: str = "As described.") -> Responses:
    """An example of a JSON answer."""
    content = {"application/json": {"example": value}}
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
