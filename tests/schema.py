"""The report's published schema, and what does not fit it.

Every document that a test makes in its own process, or reads as JSON, is held against it:
``conftest`` watches ``to_document`` and ``json.loads``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema_rs


@cache
def validator() -> jsonschema_rs.Draft202012Validator:
    """Of the schema in the package."""
    schema = json.loads(files("shiftwatch").joinpath("schemas", "report-1.json").read_text("utf-8"))
    jsonschema_rs.meta.validate(schema)
    return jsonschema_rs.Draft202012Validator(schema)


def is_report(value: object) -> bool:
    """Whether a value is meant as a report of this schema."""
    return isinstance(value, dict) and {"schema_version", "scopes", "results"} <= value.keys()


def valid_report(document: Mapping[str, Any]) -> None:
    """Fail with every place where the document does not fit the schema."""
    found = validator().iter_errors(dict(document))
    faults = [
        f"{'.'.join(map(str, fault.instance_path))}: {fault.message[:200]}" for fault in found
    ]
    assert faults == [], faults
