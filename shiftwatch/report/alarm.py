"""The alarm of one scope in words: since when, why, and what will clear it.

In:    a Decision and the id of its batch.
Out:   phrases.
Never: says that an alarm is over because one batch is quiet.
"""

from __future__ import annotations

import math

from shiftwatch.decide.latch import QUIET_ABOVE, QUIET_CHECKS, QUIET_POOL, QUIET_WINDOW
from shiftwatch.report.layers import ALSO_MOVING, LAYER_NAMES, crossed
from shiftwatch.report.phrase import BatchName, Phrase, listed, p_text
from shiftwatch.values import Decision


def alarm_phrase(decision: Decision, batch_id: str) -> Phrase:
    """The latched alarm of one scope after this batch."""
    if decision.raised or (decision.alarm and decision.since == batch_id):
        return ("Alarm raised by this batch",)
    if decision.alarm and decision.since:
        return ("Alarm on since batch ", BatchName(decision.since))
    if decision.alarm:
        return ("Alarm on",)
    return ("Alarm cleared by this batch",) if decision.cleared else ("No alarm",)


def why_phrase(decision: Decision, batch_id: str) -> Phrase:
    """Which layers crossed on this batch, and with which batch the change began; may be empty."""
    if decision.scope == "schema" or not (decision.alarm or crossed(decision)):
        return ()
    layers = [LAYER_NAMES.get(layer, layer) for layer in crossed(decision)]
    said = (
        f"The threshold was crossed by {_both(layers)}"
        if layers
        else "No threshold was crossed on this batch"
    )
    began = decision.change_from
    if began is None:
        return (f"{said}.",)
    if began == batch_id:
        return (f"{said}; the change is estimated to have begun with it.",)
    return (f"{said}; the change is estimated to have begun with batch ", BatchName(began), ".")


def unheeded_phrase(decision: Decision) -> Phrase:
    """Why what has built up past its threshold raises no alarm; empty where there is no such thing.

    Examples
    --------
    >>> from shiftwatch.values import Evidence
    >>> quiet = Decision("input", False, False, False, Evidence(check=0.2, pool=1.1), 0.3, 0.001)
    >>> unheeded_phrase(quiet)[0][:47]
    'What has built up raises no alarm while that of'
    """
    pool = decision.evidence.pool
    if decision.alarm or crossed(decision) or pool is None or pool < 1:
        return ()
    why = "the rows it is compared with stand still then, and chance adds up"
    return (f"What has built up raises no alarm while that of another scope is on: {why}.",)


def _both(texts: list[str]) -> str:
    return " and by ".join([", by ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def clearing_phrase(decision: Decision) -> Phrase:
    """What will clear an alarm that is on; empty where none is, or a layer has just crossed."""
    if not decision.alarm or crossed(decision):
        return ()
    if decision.scope == "schema":
        return ("It clears with the first batch without such a fault.",)
    if decision.p_value is None:
        return ("Nothing could be judged in this batch, so the alarm stays as it was.",)
    asked = [f"a corrected p-value above {p_text(max(QUIET_ABOVE, decision.level))}"]
    if decision.evidence.pool is not None:
        asked.append(f"what has built up below {QUIET_POOL:g} of its threshold")
    if decision.evidence.window is not None:
        asked.append(
            f"and that of the windows below {QUIET_WINDOW:g} if they alone raised the alarm"
        )
    rule = f"It clears after {QUIET_CHECKS} quiet checks in a row: {', '.join(asked)}."
    loud = _loud(decision)
    return (f"{rule} This check is not quiet: {' and '.join(loud)}." if loud else rule,)


def _loud(decision: Decision) -> list[str]:
    """Why this check puts off the clearing, as far as the decision tells."""
    p_value, pool = decision.p_value, decision.evidence.pool
    found = []
    if p_value is not None and p_value <= max(QUIET_ABOVE, decision.level):
        found.append(f"its corrected p-value is {p_text(p_value)}")
    if pool is not None and pool >= QUIET_POOL:
        found.append(f"what has built up stands at {pool:.2f} of its threshold")
    return found


def also_phrase(decision: Decision) -> Phrase:
    """Columns on the wider list; empty where there are none."""
    if not decision.also_moving:
        return ()
    return ("Also moving: ", *listed(decision.also_moving, 8), f" ({ALSO_MOVING}).")


def evidence_phrase(decision: Decision) -> Phrase:
    """What this batch alone says of one scope."""
    if decision.scope == "schema":
        if not decision.alarm:
            return ("No fault in columns or types.",)
        named = (": ", *listed(decision.columns), ".") if decision.columns else (".",)
        return ("A fault of the data itself, no statistics", *named)
    if decision.p_value is None:
        return ("Not judged in this batch.",)
    relation = "reaches" if decision.p_value <= decision.level else "stays above"
    return (f"{relation} the level {p_text(decision.level)} of this batch alone",)


def ratio_text(ratio: float | None) -> str:
    """Evidence over its threshold as text, empty where there is none.

    Examples
    --------
    >>> ratio_text(0.7213), ratio_text(None)
    ('0.72', '')
    """
    if ratio is None or math.isnan(ratio):
        return ""
    return f"{ratio + 0.0:.2f}"
