"""What an alert and a recording rule are made of, and the forms their expressions take.

In:    names of metrics, durations as Prometheus writes them.
Out:   Alert, Recording, Thresholds, Links; pieces of PromQL.
Never: says what is alerted on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["critical", "warning", "info"]
"""``critical`` is for a page: the data are invalid, or nobody watches. A shift is a ticket."""

Dashboard = Literal["model", "fleet", "self"]

PLACES = ("instance", "pod", "container", "endpoint", "node")
"""Labels that say where a daemon runs. They are taken out, since a Pod that moves is no other
model; all others stay, so that clusters and namespaces are told apart wherever they have a label."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When an alert fires; durations as Prometheus writes them (``90s``, ``15m``, ``1d``)."""

    outage: str = "15m"
    """How long the last value of a daemon that does not answer counts: a restart resolves nothing."""
    absent: str = "10m"
    """How long no daemon answers at all."""
    down: str = "5m"
    """How long one daemon does not answer."""
    intervals: int = 3
    """Expected intervals (``expect_every``) without a batch."""
    silence_seconds: float = 26 * 3600.0
    """Time without a batch where a model does not say what it expects: a day and some slack."""
    first_batch: str = "3h"
    """Time to the first batch of a model."""
    unable: str = "15m"
    """How long a model cannot be watched, which is tried again meanwhile."""
    backlog: int = 10
    """Batches that wait."""
    backlog_for: str = "30m"
    """How long more wait."""
    fleet_ratio: float = 0.5
    """Share of the models in alarm at once that hints at a cause in common."""
    fleet_models: int = 4
    """Models below which a share says nothing."""
    fleet_for: str = "10m"
    """How long as many are in alarm."""
    coverage_ratio: float = 0.9
    """Share of the requests that are seen, below which what is seen may not be typical."""
    unmatched_ratio: float = 0.05
    """Share of the requests without their other half."""
    deaths: int = 2
    """Workers that may die within an hour before somebody should look."""
    refused: int = 100
    """Requests refused within a quarter of an hour."""
    resident_bytes: float = 300e6
    """Memory of the daemon's own process; it idles at a sixth of that."""


@dataclass(frozen=True, slots=True)
class Links:
    """Where an alert leads; the one place that knows.

    ``grafana`` goes before the paths of the dashboards, such as ``https://grafana.example``. Empty,
    the links are paths alone, which serve where Alertmanager's messages pass through Grafana.
    """

    runbook: str = "https://github.com/shiftwatch/shiftwatch/blob/main/deploy/RUNBOOK.md"
    grafana: str = ""

    def section(self, alert: str) -> str:
        """The runbook's section on an alert.

        Examples
        --------
        >>> Links("RUNBOOK.md").section("ShiftwatchDriftDetected")
        'RUNBOOK.md#shiftwatchdriftdetected'
        """
        return f"{self.runbook}#{alert.lower()}"

    def dashboard(self, name: Dashboard) -> str:
        """Address of a dashboard, of the model concerned where it is about one model.

        Examples
        --------
        >>> Links().dashboard("model")
        '/d/shiftwatch-model/?var-model={{ $labels.model }}'
        """
        of_model = "/?var-model={{ $labels.model }}" if name == "model" else ""
        return f"{self.grafana}/d/shiftwatch-{name}{of_model}"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert.

    Parameters
    ----------
    name
        With the prefix ``Shiftwatch``.
    severity
        Whom it concerns.
    expr
        PromQL; it fires for every series of the answer.
    after
        How long before it fires; empty for at once.
    summary
        One sentence, the same for every series.
    description
        A template of Prometheus: what it is about, with labels and value.
    meaning
        What to make of it, for ``shiftwatch explain``; the runbook says more.
    dashboard
        The dashboard to open.
    """

    name: str
    severity: Severity
    expr: str
    after: str
    summary: str
    description: str
    meaning: str
    dashboard: Dashboard = "model"

    def rule(self, links: Links) -> dict[str, object]:
        """As it stands in a file of rules."""
        return {
            "alert": self.name,
            "expr": self.expr,
            **({"for": self.after} if self.after else {}),
            "labels": {"severity": self.severity},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": links.section(self.name),
                "dashboard_url": links.dashboard(self.dashboard),
            },
        }


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording rule, and what its value means."""

    name: str
    expr: str
    meaning: str

    def rule(self) -> dict[str, object]:
        """As it stands in a file of rules."""
        return {"record": self.name, "expr": self.expr}


def latest(
    metric: str, span: str, *, fold: Literal["max", "min"] = "max", without: tuple[str, ...] = ()
) -> str:
    """The last value within a span, over the places it came from.

    A daemon that is down leaves no value at once, and an alert without a value is resolved: what
    was known last counts on until the daemon is back, or the span is over.

    Examples
    --------
    >>> latest("up", "15m", without=("job",))
    'max without (instance, pod, container, endpoint, node, job) (last_over_time(up[15m]))'
    """
    labels = ", ".join((*PLACES, *without))
    return f"{fold} without ({labels}) (last_over_time({metric}[{span}]))"


def grown(metric: str, span: str, *, without: tuple[str, ...] = ()) -> str:
    """By how much a counter has grown within a span, over the places it came from.

    Examples
    --------
    >>> grown("a_total", "1h")
    'sum without (instance, pod, container, endpoint, node) (increase(a_total[1h]))'
    """
    labels = ", ".join((*PLACES, *without))
    return f"sum without ({labels}) (increase({metric}[{span}]))"
