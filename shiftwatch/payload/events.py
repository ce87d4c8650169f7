"""CloudEvents over HTTP as a logger sends them: records of what they carry.

In:    the headers and the body of a request, the time it came.
Out:   records; MalformedError where it is no event of an inference.
Never: looks into what was asked or answered; believes a time that is still to come.

Sources: CloudEvents 1.0 with its HTTP binding, in binary, structured and batched mode; KServe's
logger sends the binary mode.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from shiftwatch.payload.bodies import MalformedError
from shiftwatch.payload.records import HEADER_LENGTH, TYPES, Record, header_length

_ONE = "application/cloudevents+json"
_MANY = "application/cloudevents-batch+json"


def records_of(headers: Mapping[str, str], body: bytes, now: float) -> tuple[Record, ...]:
    """What a request carries.

    Parameters
    ----------
    headers
        With names in lower case.
    body
        As it was sent.
    now
        Unix seconds at which it came: the time of an event that has none, and of one that claims
        a later one, since a half that lies in the future would wait for its other half for ever.

    Raises
    ------
    MalformedError
        ``not_json``, ``bad_base64`` or ``no_id``; nothing of the request is used then.

    Examples
    --------
    >>> told = {"ce-id": "7", "ce-type": "org.kubeflow.serving.inference.request"}
    >>> records_of(told, b"{}", now=10.0)
    (Record(id='7', kind='request', body=b'{}', at=10.0, header_bytes=None),)
    """
    form = headers.get("content-type", "").partition(";")[0].strip().lower()
    if form not in (_ONE, _MANY):
        told = {name[3:]: unquote(text) for name, text in headers.items() if name[:3] == "ce-"}
        record = _record(told, body, now)
        # A sender that is no logger may pass the header on as it is.
        length = header_length(json.dumps({HEADER_LENGTH: [headers.get(HEADER_LENGTH, "")]}))
        return (record if length is None else replace(record, header_bytes=length),)
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise MalformedError("not_json") from None
    events = document if form == _MANY else [document]
    if not isinstance(events, list):
        raise MalformedError("no_id")
    return tuple(_structured(event, now) for event in events)


def _structured(event: object, now: float) -> Record:
    if not isinstance(event, dict):
        raise MalformedError("no_id")
    try:
        if event.get("data_base64") is not None:
            data = base64.b64decode(event["data_base64"], validate=True)
        else:
            told = event.get("data")
            # A text that is not of a JSON type is the body itself.
            text = told if isinstance(told, str) else json.dumps(told)
            data = text.encode("utf-8", "surrogatepass")
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise MalformedError("bad_base64") from None
    return _record(event, data, now)


def _record(attributes: Mapping[str, Any], body: bytes, now: float) -> Record:
    told, kind = attributes.get("id"), TYPES.get(str(attributes.get("type")))
    if not isinstance(told, str) or not told or kind is None:
        raise MalformedError("no_id")
    at = min(_seconds(attributes.get("time"), now), now)
    return Record(told, kind, body, at, header_length(attributes.get("metadata")))


def _seconds(told: object, now: float) -> float:
    """Unix seconds of an RFC 3339 time; ``now`` where that is none."""
    try:
        time = datetime.fromisoformat(str(told))
        return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return now
