"""Settings again from the JSON that a report keeps of them.

In:    JSON values.
Out:   the settings they were.
Never: guesses: a key of another release is a fault, not ignored.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import TypeAdapter

_Kind = TypeVar("_Kind")


def restored(kind: type[_Kind], value: Any) -> _Kind:
    """Settings of a kind.

    Raises
    ------
    ValueError
        If the value is not what ``dataclasses.asdict`` makes of such settings.

    Examples
    --------
    >>> from shiftwatch.settings import WindowSettings
    >>> restored(WindowSettings, {"by": {"rows": 500}, "min_rows": 40}).by
    ByRows(rows=500)
    """
    adapter = TypeAdapter(kind)
    return adapter.validate_json(json.dumps(value), strict=True, extra="forbid")
