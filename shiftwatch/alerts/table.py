"""Every alert by group, as rules and as words.

In:    thresholds, links.
Out:   groups of rules as plain values; the meaning of each name.
Never: says what one alert is; `about_data` and `about_us` do.
"""

from __future__ import annotations

from collections.abc import Mapping

from shiftwatch.alerts.about_data import data_alerts, drift_alerts
from shiftwatch.alerts.about_us import cost_alerts, monitor_alerts
from shiftwatch.alerts.recordings import recordings
from shiftwatch.alerts.shape import Alert, Links, Thresholds


def _by_group(thresholds: Thresholds) -> Mapping[str, tuple[Alert, ...]]:
    return {
        "shiftwatch.drift": drift_alerts(thresholds),
        "shiftwatch.data": data_alerts(thresholds),
        "shiftwatch.monitor": monitor_alerts(thresholds),
        "shiftwatch.cost": cost_alerts(thresholds),
    }


def alerts(thresholds: Thresholds | None = None) -> tuple[Alert, ...]:
    """Every alert, group by group."""
    found = _by_group(thresholds or Thresholds())
    return tuple(alert for group in found.values() for alert in group)


def groups(
    thresholds: Thresholds | None = None, links: Links | None = None
) -> list[dict[str, object]]:
    """Groups of rules as Prometheus reads them; what is recorded comes first.

    Examples
    --------
    >>> [group["name"] for group in groups()][:2]
    ['shiftwatch.recorded', 'shiftwatch.drift']
    """
    thresholds, links = thresholds or Thresholds(), links or Links()
    recorded: dict[str, object] = {
        "name": "shiftwatch.recorded",
        "rules": [recording.rule() for recording in recordings(thresholds)],
    }
    told: list[dict[str, object]] = [
        {"name": name, "rules": [alert.rule(links) for alert in group]}
        for name, group in _by_group(thresholds).items()
    ]
    return [recorded, *told]


def meanings() -> Mapping[str, str]:
    """What every alert and every recorded series means, by its name."""
    links = Links()
    found = {
        alert.name: f"alert, {alert.severity}: {alert.meaning}. What to do: "
        f"{links.section(alert.name)}"
        for alert in alerts()
    }
    recorded = {each.name: f"recorded: {each.meaning}" for each in recordings(Thresholds())}
    return {**found, **recorded}
