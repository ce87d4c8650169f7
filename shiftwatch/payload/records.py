"""Records of what a model server was asked and what it answered, whoever logged them.

In:    a row of a KServe log; the attributes of a CloudEvent.
Out:   Record.
Never: looks into a body.

KServe's log has no time of its own; the time of a record is then that of its object.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from shiftwatch.payload.bodies import MalformedError

Kind = Literal["request", "response"]

TYPES: Mapping[str, Kind] = {
    "org.kubeflow.serving.inference.request": "request",
    "org.kubeflow.serving.inference.response": "response",
}

HEADER_LENGTH = "inference-header-content-length"


@dataclass(frozen=True, slots=True)
class Record:
    """A body, whose it is, and when it was logged (unix seconds UTC).

    ``header_bytes`` is the length of the JSON part before binary tensors, where it is known.
    """

    id: str
    kind: Kind
    body: bytes
    at: float
    header_bytes: int | None = None


def of_row(row: Mapping[str, Any], at: float) -> Record:
    """A row of KServe's log.

    Raises
    ------
    MalformedError
        If it has no id or type, or its bytes are no base64.
    """
    told, kind = row.get("id"), TYPES.get(str(row.get("reqType")))
    if not isinstance(told, str) or not told or kind is None:
        raise MalformedError("no_id")
    try:
        body = base64.b64decode(row.get("bytes") or "", validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise MalformedError("bad_base64") from None
    return Record(told, kind, body, at, header_length(row.get("metadata")))


def header_length(metadata: object) -> int | None:
    """Length of the JSON part of a body, from the JSON of the headers that were logged with it.

    Examples
    --------
    >>> header_length('{"Inference-Header-Content-Length": ["70"]}')
    70
    """
    try:
        headers = json.loads(metadata) if isinstance(metadata, str) and metadata else {}
    except (ValueError, RecursionError):
        return None
    if not isinstance(headers, dict):
        return None
    found = next((told for name, told in headers.items() if name.lower() == HEADER_LENGTH), None)
    first = found[0] if isinstance(found, list) and found else found
    text = str(first) if first is not None else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else None
