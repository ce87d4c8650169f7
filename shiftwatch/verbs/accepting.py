"""`shiftwatch accept`: done here, or by the daemon that holds the history.

In:    settings, a model, a span of batches.
Out:   what would be done and what was done, in words.
Never: accepts without having been told to; asks another daemon than the one of this history.
"""

from __future__ import annotations

import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from shiftwatch import config
from shiftwatch.acceptance import Proposal, Span, propose
from shiftwatch.annotation import Remark
from shiftwatch.errors import StoreInUseError
from shiftwatch.monitor import Monitor
from shiftwatch.report import visible
from shiftwatch.settings import Settings
from shiftwatch.store import Store
from shiftwatch.values import Acceptance
from shiftwatch.verbs.asking import Daemon

Say = Callable[[str], None]


def tell_proposal(settings: Settings, model: str, span: Span, say: Say) -> None:
    """Say what an acceptance would do; DataError if it cannot be."""
    with Store.read(settings.store.path) as store:
        proposal = propose(store, model, span)
    for line in proposal_lines(proposal):
        say(line)


def proposal_lines(proposal: Proposal) -> list[str]:
    """What would be accepted, in words."""
    first, last = proposal.batches[0], proposal.batches[-1]
    verdicts = Counter(proposal.verdicts)
    size = f"{proposal.rows} rows of {len(proposal.batches)} batches"
    lines = [
        f"{proposal.model}: take {size} as the reference,",
        f"  from {first.id} ({first.uri})",
        f"  to   {last.id} ({last.uri}),",
        "  judged: " + ", ".join(f"{count} {name}" for name, count in verdicts.items()) + ";",
        "  until the configured reference changes. Alarms start anew with the next batch.",
    ]
    lines += [f"  left out: {batch}, which is {verdict}" for batch, verdict in proposal.left_out]
    return lines


def accept(
    settings: Settings, model: str, span: Span | None, remark: Remark, url: str | None
) -> Acceptance | Mapping[str, Any]:
    """Accept a span of batches, or undo it (None), through the daemon that holds the history.

    Parameters
    ----------
    settings
        The configuration.
    model
        Name of the model.
    span
        None returns to the configured reference.
    remark
        Why, and who says so; the daemon goes by the token where it has tokens.
    url
        Where the daemon answers; by the configuration if None.

    Raises
    ------
    ShiftwatchError
        If it is refused, or a daemon holds the history and does not answer.
    """
    fingerprints = {m.name: config.fingerprint(settings, m) for m in settings.models}
    try:
        with Store.open(settings.store.path, clock=time.time) as store:
            monitor = Monitor(settings, store, time.time, fingerprints)
            if span is None:
                return monitor.undo_acceptance(model, remark)
            return monitor.accept(model, span, remark)
    except StoreInUseError as fault:
        return _asked(Daemon.of(settings, url, fault), model, span, remark)


def _asked(daemon: Daemon, model: str, span: Span | None, remark: Remark) -> Mapping[str, Any]:
    path = f"/api/v1/models/{model}/acceptance"
    said = {"note": remark.text, "by": remark.by}
    if span is None:
        return daemon.ask("DELETE", f"{path}?{urllib.parse.urlencode(said)}")
    return daemon.ask("POST", path, {"from": span.first, "to": span.last, **said})


def told(word: Acceptance | Mapping[str, Any]) -> list[str]:
    """What became of it, in words."""
    facts = asdict(word) if isinstance(word, Acceptance) else word
    if facts["kind"] == "accepted":
        name = Path(facts["path"]).name
        by = f", by {visible(facts['by'])}" if facts["by"] else ""
        return [
            f"{facts['model']}: accepted {facts['rows']} rows as the reference, {name}{by}",
            "It is in force from the next batch on; shiftwatch accept --undo returns.",
        ]
    return [f"{facts['model']}: the configured reference is in force again"]
