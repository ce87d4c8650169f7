"""What a reference can promise and show, before any batch is judged: the facts behind `check`.

In:    a model with its prepared reference; the newest file of its batches.
Out:   Surveyed.
Never: judges a batch.
"""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import Any

from shiftwatch import decide, power
from shiftwatch.budget import LEAST_USEFUL, MOST_PER_REFERENCE, useful_rows
from shiftwatch.dependence import doubts
from shiftwatch.errors import DataError
from shiftwatch.phases import Fitted, fitted, span_of
from shiftwatch.reference import JOINT, Reference
from shiftwatch.requests import Survey, Surveyed
from shiftwatch.settings import ByRows, ByTime, ModelSettings
from shiftwatch.source import parquet
from shiftwatch.source.plan import batch_id
from shiftwatch.values import TESTED_SCOPES, Batch, FileFacts, Piece, Scope
from shiftwatch.watch import Watch

_USUAL_SHARE = 20


def max_share(reference_rows: int) -> str:
    """What :func:`budget.useful_rows` is, in words."""
    if useful_rows(reference_rows) == LEAST_USEFUL:
        return f"{LEAST_USEFUL} rows against {reference_rows} of the reference"
    return f"{MOST_PER_REFERENCE} times the reference's"


def survey(watched: Watch, request: Survey) -> Surveyed:
    """Measure what the user wants to know before trusting the watch.

    Parameters
    ----------
    watched
        The model; its dependence was measured when the reference was prepared.
    request
        Names the newest file, whose size and hours stand for those of a batch.
    """
    model = watched.context.model
    newest = None
    if request.newest is not None:
        newest = parquet.inspect(request.newest, model.columns.time)
    fit = _fitted(watched, newest)
    reference = fit.watched.reference
    rows = _batch_rows(reference.rows, newest, model)
    told = ([fit.doubt] if fit.doubt else []) + list(doubts(reference, rows, model, fit.span))
    policy = decide.Policy.of(watched.context.alarms, model.tolerance)
    level = policy.level().check
    facts = {
        **reference.order,
        **_extremes(reference),
        **_outlook(reference, rows, level),
        "timed": model.columns.time is not None,
        "season": watched.reference.order["season"],
        "batch_rows": rows,
        "doubts": told,
    }
    return Surveyed(watched.info(), facts)


def _fitted(watched: Watch, newest: FileFacts | None) -> Fitted:
    whole = Fitted(watched, None, "all")
    if newest is None or newest.fault is not None or newest.rows == 0:
        return whole
    pieces = (Piece(newest.uri, newest.size, newest.sha256, 0, newest.rows),)
    batch = Batch(batch_id(pieces), pieces, newest.rows, newest.time_min, newest.time_max)
    try:
        span = span_of(watched, batch)
    except DataError:
        return whole  # the file will be reported when it is judged
    return fitted(watched, span)


def _batch_rows(reference_rows: int, newest: FileFacts | None, model: ModelSettings) -> int:
    window = model.window
    rows = max(window.min_rows, reference_rows // _USUAL_SHARE)
    if model.source == "kserve":
        rows = model.payloads.rows
    if newest is not None and newest.fault is None and newest.rows:
        rows = newest.rows
        if isinstance(window.by, ByTime) and newest.time_min is not None:
            span = (newest.time_max or newest.time_min) - newest.time_min
            rows = max(window.min_rows, round(rows * min(1.0, window.by.seconds / max(span, 1.0))))
    if isinstance(window.by, ByRows):
        rows = window.by.rows
    return min(rows, window.max_rows, useful_rows(reference_rows))


def _kappas(reference: Reference, rows: int) -> dict[str, float]:
    """Largest inflation of each column over its tests, 1 where it has none."""
    kappas: dict[str, float] = {}
    for scope, test, target in _targets(reference):
        if target != JOINT:
            kappa = reference.kappa(test, scope, target, rows)
            kappas[target] = max(kappa, kappas.get(target, 1.0))
    return kappas


def _targets(reference: Reference) -> list[tuple[Scope, str, str]]:
    keys = (key.split("/", 2) for key in reference.facts)
    known: dict[str, Scope] = {scope: scope for scope in TESTED_SCOPES}
    return [(known[scope], test, target) for test, scope, target in keys if test != "profile"]


def _extremes(reference: Reference) -> dict[str, Any]:
    """The columns that depend most and usually on their past, over all of the reference."""
    kappas = _kappas(reference, reference.rows)
    worst = max(kappas, key=lambda name: kappas[name], default="")
    return {
        "worst": {"target": worst, "kappa": kappas.get(worst, 1.0)},
        "median": {"kappa": median(kappas.values()) if kappas else 1.0},
    }


def _outlook(reference: Reference, rows: int, level: float) -> dict[str, Any]:
    """As ``power.outlook``, from the reference alone."""
    targets = _targets(reference)
    families = Counter((test, scope) for scope, test, _ in targets)
    seen: dict[str, Any] = {}
    factor = kappa = 1.0
    for test in ("chi2", "ks"):
        own = [(scope, target) for scope, name, target in targets if name == test]
        if own:
            used = {
                "n": rows,
                "m": reference.rows,
                "kappa": median(reference.kappa(test, scope, name, rows) for scope, name in own),
                "level": power.level_of_one(level, families, test),
                "categories": median(_categories(reference, test, *pair) for pair in own),
            }
            seen |= power.smallest(test, used)
            factor = power.luck(used)
            kappa = used["kappa"]
    return {"detectable": seen, "luck_factor": factor, "batch_kappa": kappa}


def _categories(reference: Reference, test: str, scope: Scope, target: str) -> int:
    facts = reference.prepared(test, scope, target).facts
    return len(facts.get("categories", ())) or 2
