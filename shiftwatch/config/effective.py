"""Show settings as plain values, and name what can change a result.

In:    Settings.
Out:   JSON-able values without secrets; a fingerprint of a model's settings.
Never: shows a password.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from shiftwatch.settings import ModelSettings, Settings

_USERINFO = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*://)[^/\s]*@")
_APART = ("model", "reference", "batches", "expect_every", "source", "payloads")


def effective(settings: Settings) -> dict[str, Any]:
    """Every setting in force, as JSON-able values.

    A test that is off is shown as ``false``, so that the result can be written to a configuration
    file and loaded again. Passwords in addresses (``scheme://user:password@host``) are masked.

    Examples
    --------
    >>> model = ModelSettings("churn", reference="/data/reference.parquet", batches="/data/new")
    >>> effective(Settings((model,)))["alarms"]["false_alarms"]
    {'per_checks': 1000, 'per_days': None}
    """
    shown: dict[str, Any] = _plain(asdict(settings))
    for model in shown["models"]:
        model["tests"] = {
            name: False if test is None else test for name, test in model["tests"].items()
        }
    return shown


def fingerprint(settings: Settings, model: ModelSettings) -> str:
    """SHA-256 (64 hex digits) over everything set that can change a verdict on this model.

    Paths are left out, since the bytes behind them have fingerprints of their own, and so are
    ``expect_every``, how batches come to be, the schedule, the store, the web and ``series_per_model``, which change no verdict.

    Examples
    --------
    >>> model = ModelSettings("churn", reference="/data/reference.parquet", batches="/data/new")
    >>> moved = ModelSettings("churn", reference="/srv/reference.parquet", batches="/srv/new")
    >>> fingerprint(Settings((model,)), model) == fingerprint(Settings((moved,)), moved)
    True
    """
    facts = {
        "model": {key: value for key, value in asdict(model).items() if key not in _APART},
        "scored": model.model is not None,
        "alarms": {
            "per_checks": settings.alarms.per_checks,
            "per_days": settings.alarms.false_alarms.per_days,
            "memory": settings.alarms.memory,
        },
        "limits": {"memory_mb": settings.limits.memory_mb, "seconds": settings.limits.seconds},
        "seed": settings.seed,
    }
    text = json.dumps(_plain(facts), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """JSON-able, and the same for 120 and 120.0."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        return _USERINFO.sub(r"\1***@", value)
    return value
