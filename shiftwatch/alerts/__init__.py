"""Alerts and recording rules for Prometheus: what is worth telling a person, and when.

In:    thresholds; where runbook and dashboards are reached.
Out:   alerts and recordings, which ``make rules`` writes into files and ``explain`` reads.
Never: asks Prometheus; names a metric that is not in the table of metrics.
"""

from shiftwatch.alerts.recordings import recordings
from shiftwatch.alerts.shape import Alert, Links, Recording, Thresholds
from shiftwatch.alerts.table import alerts, groups, meanings

__all__ = [
    "Alert",
    "Links",
    "Recording",
    "Thresholds",
    "alerts",
    "groups",
    "meanings",
    "recordings",
]
