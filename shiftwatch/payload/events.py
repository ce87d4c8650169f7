"""CloudEvents of inference requests and responses, as HTTP brings them.

In:    headers and body of one HTTP request, the time.
Out:   Records; MalformedError where it holds none.
Never: decodes what was inferred.

Source: CloudEvents 1.0.2, HTTP protocol binding: in binary mode the attributes are headers that begin
with ``ce-`` and the body is the data; in structured mode the body is JSON with all of it; a batch is
a list of these.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shiftwatch.payload.bodies import MalformedError
from shiftwatch.payload.records import HEADER_LENGTH, TYPES, Record

_STRUCTURED, _BATCHED = "application/cloudevents+json", "application/cloudevents-batch+json"


def of_request(headers: Mapping[str, str], body: bytes, now: float) -> tuple[Record, ...]:
    """The records of one HTTP request.

    Parameters
    ----------
    headers
        With names in lower case.
    body
        As it came.
    now
        Unix seconds, for events without a time of their own.

    Raises
    ------
    MalformedError
        If it is no CloudEvent of an inference.

    Examples
    --------
    >>> headers = {"ce-id": "7", "ce-type": "org.kubeflow.serving.inference.request"}
    >>> of_request(headers, b"{}", 5.0)
    (Record(id='7', kind='request', body=b'{}', at=5.0, header_bytes=None),)
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (_STRUCTURED, _BATCHED):
        told = {name.removeprefix("ce-"): value for name, value in headers.items()}
        return (_record(told, body, now, headers.get(HEADER_LENGTH)),)
    try:
        events = json.loads(body)
    except (ValueError, RecursionError):
        raise MalformedError("not_json") from None
    events = events if kind == _BATCHED else [events]
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        raise MalformedError("no_id")
    return tuple(_record(event, _data(event), now, event.get(HEADER_LENGTH)) for event in events)


def _record(told: Mapping[str, Any], body: bytes, now: float, header: object) -> Record:
    kind, name = TYPES.get(str(told.get("type"))), told.get("id")
    if kind is None or not isinstance(name, str) or not name:
        raise MalformedError("no_id")
    length = str(header) if header is not None else ""
    known = length.isascii() and length.isdecimal() and len(length) < 12
    return Record(name, kind, body, _time(told.get("time"), now), int(length) if known else None)


def _time(told: object, now: float) -> float:
    """When it happened; now where that is not said, or is no time of this earth."""
    try:
        moment = datetime.fromisoformat(str(told))
        return moment.timestamp() if moment.tzinfo is not None and moment.year > 1970 else now
    except (ValueError, OverflowError):
        return now


def _data(event: Mapping[str, Any]) -> bytes:
    packed = event.get("data_base64")
    if packed is None:
        return json.dumps(event.get("data")).encode()
    try:
        return base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise MalformedError("bad_base64") from None
