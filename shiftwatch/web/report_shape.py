"""The report in the description of the API: its schema, and an example in each format.

In:    the published schema; a run made up for it.
Out:   parts of an OpenAPI document.
Never: answers a request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shiftwatch.document import report_schema_text, to_document, with_day
from shiftwatch.report import csv_table, markdown
from shiftwatch.values import Batch, Decision, Evidence, Piece, Run, Skipped, TwoSampleResult
from shiftwatch.web.sample import Responses, sample

_REPORT: Mapping[str, str] = {"$ref": "#/components/schemas/Report"}

_BATCH = Batch("0f3c5a1e9b7d2468", (Piece("batches/a.parquet", 48213, "b7" * 32, 0, 2000),), 2000)
_DECISION = Decision(
    scope="input",
    alarm=True,
    raised=True,
    cleared=False,
    evidence=Evidence(check=2.8, window=0.4, pool=0.7),
    p_value=2.4e-8,
    level=0.001,
    columns=("age",),
    since=_BATCH.id,
    crossed=("check",),
    change_from=_BATCH.id,
)
_RESULT = TwoSampleResult(
    "ks", "age", "input", 0.12, 3e-9, 0.12, 0.08, 0.16, rows_reference=9000, rows_current=2000
)
_SKIPPED = Skipped("nulls", "age", "input", "no_nulls")
_RUN = Run(
    "churn",
    _BATCH,
    "shift",
    1_790_000_000.0,
    ("age moved up",),
    (_DECISION,),
    (_RESULT,),
    (_SKIPPED,),
)


def report_schemas() -> dict[str, Any]:
    """The published schema of a report, its definitions as components of their own."""
    text = report_schema_text().replace('"#/$defs/', '"#/components/schemas/Report_')
    schema = json.loads(text)
    parts = {f"Report_{name}": part for name, part in schema.pop("$defs").items()}
    whole = {name: schema[name] for name in schema if not name.startswith("$")}
    return {"Report": whole, **parts}


def _text(example: str) -> dict[str, Any]:
    return {"schema": {"type": "string"}, "example": example}


_ETAG = {
    "description": "Names this content; give it as `If-None-Match`.",
    "schema": {"type": "string"},
    "example": '"5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e"',
}

REPORT_RESPONSES: Responses = {
    200: {
        "description": "The report, in the format asked for.",
        "headers": {"ETag": _ETAG},
        "content": {
            "application/json": {
                "schema": _REPORT,
                "example": sample(with_day(to_document(_RUN), None)),
            },
            "text/html": _text("<!doctype html><title>churn: shift</title> ..."),
            "text/markdown": _text(markdown(replace(_RUN, skipped=()))),
            "text/csv": _text(csv_table(_RUN)),
        },
    },
    304: {"description": "The report is the one that `If-None-Match` names."},
}
"""What a path of reports answers."""
