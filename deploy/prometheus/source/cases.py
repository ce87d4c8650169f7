"""Every alert, firing and not firing, as a file of `promtool test rules`.

In:    the cases.
Out:   CASES, and the same as promtool reads them; what is recorded as well.
Never: holds a case of an alert; `cases_data` and `cases_us` do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from deploy.prometheus.source.cases_data import ABOUT_DATA
from deploy.prometheus.source.cases_us import ABOUT_US
from deploy.prometheus.source.series import INFO, A, Case, Told
from shiftwatch.alerts import Alert, Links, alerts

CASES: tuple[Case, ...] = (*ABOUT_DATA, *ABOUT_US)


def _alert_tests(case: Case) -> Iterator[dict[str, object]]:
    alert = {each.name: each for each in alerts()}[case.alert]
    for moment, told in case.fires.items():
        yield _asked(case, moment, [_expected(alert, each) for each in told])
    for moment in case.quiet:
        yield _asked(case, moment, [])


def _asked(case: Case, moment: str, expected: list[dict[str, object]]) -> dict[str, object]:
    return {"eval_time": moment, "alertname": case.alert, "exp_alerts": expected}


def _expected(alert: Alert, told: Told) -> dict[str, object]:
    links = Links()
    board = links.dashboard(alert.dashboard)
    return {
        "exp_labels": {"severity": alert.severity, **told.labels},
        "exp_annotations": {
            "summary": alert.summary,
            "description": told.description,
            "runbook_url": links.section(alert.name),
            "dashboard_url": board.replace("{{ $labels.model }}", told.labels.get("model", "")),
        },
    }


_FLEET = {
    f'shiftwatch_drift_alarm{{{A},model="a",scope="input"}}': "1x10",
    f'shiftwatch_drift_alarm{{{A},model="a",scope="prediction"}}': "0x10",
    f'shiftwatch_drift_alarm{{{A},model="b",scope="input"}}': "0x10",
    f'shiftwatch_drift_evidence_ratio{{{A},model="a",scope="input",layer="check"}}': "0.5x10",
    f'shiftwatch_drift_evidence_ratio{{{A},model="a",scope="input",layer="pool"}}': "1.2x10",
    f'shiftwatch_last_batch_processed_timestamp_seconds{{{A},model="a"}}': "0x10",
    f'shiftwatch_monitor_state{{{A},model="a",state="ok"}}': "1x10",
    f'shiftwatch_monitor_state{{{A},model="b",state="ok"}}': "0x10",
    INFO % (f'{A},model="a"', "aa"): "1x3 stale",
    INFO % (f'{A},model="a",pod="moved"', "bb"): "_x4 1x6",
    INFO % (f'{A},model="b"', "aa"): "1x10",
}

_RECORDED: Mapping[str, Sequence[tuple[str, float]]] = {
    "model:shiftwatch_drift_alarm:max": [
        ('model:shiftwatch_drift_alarm:max{job="shiftwatch",model="a"}', 1),
        ('model:shiftwatch_drift_alarm:max{job="shiftwatch",model="b"}', 0),
    ],
    "model:shiftwatch_drift_evidence_ratio:max": [
        ('model:shiftwatch_drift_evidence_ratio:max{job="shiftwatch",model="a"}', 1.2)
    ],
    "model:shiftwatch_last_check_age:seconds": [
        ('model:shiftwatch_last_check_age:seconds{job="shiftwatch",model="a"}', 480)
    ],
    "shiftwatch:models:count": [("shiftwatch:models:count", 2)],
    "shiftwatch:models_in_alarm:ratio": [("shiftwatch:models_in_alarm:ratio", 0.5)],
    "shiftwatch:models_not_ok:ratio": [("shiftwatch:models_not_ok:ratio", 0.5)],
}


def _recorded() -> dict[str, object]:
    return {
        "name": "recorded: two models, of which one is in alarm and one cannot be told of",
        "interval": "1m",
        "input_series": _series(_FLEET),
        "promql_expr_test": [
            {
                "expr": name,
                "eval_time": "8m",
                "exp_samples": [{"labels": labels, "value": value} for labels, value in samples],
            }
            for name, samples in _RECORDED.items()
        ],
    }


def _series(series: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"series": name, "values": values} for name, values in series.items()]


def unit_tests(cases: Sequence[Case], rules: str = "../rules.yml") -> dict[str, object]:
    """Cases and recordings as a file of `promtool test rules`, which lies beside its rules."""
    asked = [
        {
            "name": f"{case.alert}: {case.title}",
            "interval": "1m",
            "input_series": _series(case.series),
            "alert_rule_test": list(_alert_tests(case)),
        }
        for case in cases
    ]
    return {"rule_files": [rules], "evaluation_interval": "1m", "tests": [_recorded(), *asked]}
