"""Where a verdict comes from: enough to compute it again from its report alone.

In:    what was asked of the worker: context, batch, decision state, effort.
Out:   the part of the provenance that needs no file to be read, as JSON.
Never: reads a file; names a secret (settings of a model hold none).
"""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict
from typing import Any

from shiftwatch import __version__
from shiftwatch.requests import Check
from shiftwatch.values import Batch


def provenance(request: Check) -> dict[str, Any]:
    """What was asked of a check.

    Parameters
    ----------
    request
        With its context as it was used: with an accepted reference, ``settings.reference`` is its
        path, and ``acceptance`` says by which word of an operator it came to be used. ``alone`` is
        there where the check belongs to no history, ``draws`` where they do not go by the bytes.

    Returns
    -------
    dict
        ``state_sha256`` is null where there is no state. Whoever ran the tests adds the SHA-256 of
        the model and of the reference, and the versions of the libraries.
    """
    context = request.context
    return {
        "shiftwatch": __version__,
        "python": platform.python_version(),
        "config_sha256": context.config_sha256,
        "batch_sha256": batch_sha256(request.batch),
        "state_sha256": state_sha256(request.state),
        "seed": context.seed,
        "settings": plain(context.model),
        "alarms": plain(context.alarms),
        "limits": plain(context.limits),
        "effort": plain(request.effort),
        "acceptance": plain(context.accepted) if context.accepted is not None else None,
        **({"alone": True} if request.alone else {}),
        **({"draws": context.draws} if context.draws else {}),
    }


def batch_sha256(batch: Batch) -> str:
    """Hash of the file; of several files, the hash over their hashes in order."""
    hashes = [piece.sha256 for piece in batch.pieces]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def state_sha256(state: str | None) -> str | None:
    """SHA-256 of a decision state as it is stored; None for none."""
    return hashlib.sha256(state.encode()).hexdigest() if state is not None else None


def plain(value: Any) -> Any:
    """A noun as JSON gives it back: lists, not tuples."""
    return json.loads(json.dumps(asdict(value)))
