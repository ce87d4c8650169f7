"""What the daemon says in its log of verdicts and of its configuration: one event a line.

In:    a judged batch; the configuration before and after a reload.
Out:   records whose fields are the same for every line of a kind: model, batch, test, seconds.
Never: holds values of rows; decides anything.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import fields

from shiftwatch.settings import Settings, WebSettings
from shiftwatch.values import Run

_LOG = logging.getLogger(__name__)

_NEWS = ("new_basis", "acceptance_ended")
"""Findings that change how later verdicts are to be read: each is a line of its own."""


def tell_run(run: Run) -> None:
    """A judged batch: one line, and one more for each test that failed and each alarm that moved."""
    degraded = next((f.message for f in run.findings if f.code == "degraded"), None)
    findings = Counter(finding.code for finding in run.findings)
    where = {"model": run.model, "batch": run.batch.id}
    notable = run.alarm or run.verdict == "error" or degraded is not None
    facts = {
        "uri": run.batch.uri,
        "rows": run.batch.rows,
        "verdict": run.verdict,
        "alarm": run.alarm,
        "seconds": round(run.cost.wall_seconds, 3),
        "cpu_seconds": round(run.cost.cpu_seconds, 3),
        "test_cpu_seconds": {name: round(spent, 4) for name, spent in run.cost.tests.items()},
        "findings": dict(findings),
        **({"degraded": degraded} if degraded is not None else {}),
    }
    _LOG.log(logging.WARNING if notable else logging.INFO, "judged", extra=where | facts)
    for skip in run.skipped:
        if skip.reason == "test_failed":
            told = {"test": skip.test, "target": skip.target, "fault": skip.detail}
            _LOG.error("test failed", extra=where | told)
    for finding in run.findings:
        if finding.code in _NEWS:
            _LOG.warning(finding.code.replace("_", " "), extra=where | {"detail": finding.message})
    _tell_alarms(run)


def _tell_alarms(run: Run) -> None:
    for decision in run.decisions:
        facts = {"model": run.model, "batch": run.batch.id, "scope": decision.scope}
        if decision.raised:
            layers, columns = list(decision.crossed), list(decision.columns)
            _LOG.warning("alarm raised", extra=facts | {"layers": layers, "columns": columns})
        if decision.cleared:
            _LOG.warning("alarm cleared", extra=facts)


def tell_change(before: Settings, after: Settings, path: str) -> None:
    """A reload: which models came, went and changed, and what else is set otherwise."""
    old = {model.name: model for model in before.models}
    new = {model.name: model for model in after.models}
    common = [each.name for each in fields(Settings) if each.name != "models"]
    told = {
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "changed": sorted(name for name in old.keys() & new.keys() if old[name] != new[name]),
        "settings": [key for key in common if getattr(before, key) != getattr(after, key)],
    }
    _LOG.info("configuration reloaded", extra={"path": path, **told})


def warn_of_openness(web: WebSettings) -> None:
    """Say what others could do, where more than this machine reaches the port."""
    if web.is_local:
        return
    if not web.is_guarded:
        _LOG.warning("anyone who reaches the port may read reports and start checks")
    elif web.tls is None:
        _LOG.warning("tokens travel in the clear; set web.tls, or serve by a proxy that has it")
