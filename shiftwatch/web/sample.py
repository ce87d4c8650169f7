"""Examples as they are: the framework leaves out of its description what is null, in examples too.

In:    JSON values.
Out:   the same with a mark for null; and again without.
Never: answers a request.
"""

from __future__ import annotations

from typing import Any

Responses = dict[int | str, dict[str, Any]]
"""What a route may answer, by status, as the framework takes it."""

_NULL = "\ue000null"
"""Stands for null until the description is written; of the private use area, so in no example."""


def sample(value: Any) -> Any:
    """An example for the framework.

    Examples
    --------
    >>> completed(sample({"next": None, "seen": [None, 1]}))
    {'next': None, 'seen': [None, 1]}
    """
    return _NULL if value is None else _within(value, sample)


def completed(description: Any) -> Any:
    """The description with its examples as they were."""
    return None if description == _NULL else _within(description, completed)


def _within(value: Any, change: Any) -> Any:
    if isinstance(value, dict):
        return {name: change(part) for name, part in value.items()}
    return [change(part) for part in value] if isinstance(value, list | tuple) else value
