"""Every alert, firing and not firing: what `promtool test rules` is asked.

In:    nothing.
Out:   CASES, and the same as promtool reads them.
Never: computes what an alert says; that is written here once more, so that a slip is seen.

Series are written as promtool has them: ``0x4 1x5`` is five times 0, then six times 1, a sample a
minute; ``_`` is a scrape that found nothing, ``stale`` the mark that Prometheus sets when a target
is down. Time begins at 0: a timestamp of 0 is as old as the test, one below 0 is older.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from shiftwatch.alerts import Alert, Links, alerts


@dataclass(frozen=True, slots=True)
class Told:
    """One alert as it should come: its labels besides severity, and its description."""

    description: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """Series, and when an alert fires on them and when it does not."""

    alert: str
    title: str
    series: Mapping[str, str]
    fires: Mapping[str, Sequence[Told]] = field(default_factory=dict)
    quiet: Sequence[str] = ()


_A = 'job="shiftwatch",instance="a:9464"'
_OF = 'job="shiftwatch",instance="a:9464",model="churn"'
_JOB = {"job": "shiftwatch"}
_CHURN = {"job": "shiftwatch", "model": "churn"}
_DRIFT = f'shiftwatch_drift_alarm{{{_OF},scope="input"}}'
_INFO = 'shiftwatch_model_info{%s,model_version="",model_sha256="%s",opset="17",ort_version="1"}'
_PROCESSED = f"shiftwatch_last_batch_processed_timestamp_seconds{{{_OF}}}"
_EXPECTED = f"shiftwatch_expected_batch_interval_seconds{{{_OF}}}"
_LOADED = f"shiftwatch_config_last_reload_success_timestamp_seconds{{{_A}}}"
_BUILD = f'shiftwatch_build_info{{{_A},version="0.1.0",revision="",python="3.11.2"}}'


def _state(name: str) -> str:
    return f'shiftwatch_monitor_state{{{_OF},state="{name}"}}'


_DRIFTED = Told(
    "Model churn, scope input: the shift alarm is on. The report names the columns that moved and "
    "by how much.",
    {**_CHURN, "scope": "input"},
)
_INVALID = Told(
    "Model churn: the last batch is invalid; the findings of its report name the columns or the file.",
    _CHURN,
)
_FAULTY = Told(
    "Model churn: the monitor is in state error; the overview page and the log name the fault.",
    _CHURN,
)
_NEVER = Told("Model churn is configured, and not one of its batches was processed.", _CHURN)
_UNWATCHED = Told(
    "Model churn was watched within the last 6 hours, and no daemon tells of it now. Ends by itself "
    "if it was taken out on purpose.",
    _CHURN,
)

_ABOUT_DATA = (
    Case(
        "ShiftwatchDriftDetected",
        "the alarm rises, holds and clears",
        {_DRIFT: "0x4 1x4 0x5"},
        {"5m": [_DRIFTED], "9m": [_DRIFTED]},
        ("4m", "10m"),
    ),
    Case(
        "ShiftwatchDriftDetected",
        "a restart of ten minutes resolves nothing, and the Pod that comes back is the same alert",
        {
            'shiftwatch_drift_alarm{job="shiftwatch",instance="a:9464",pod="a",model="churn",scope="input"}': "1x4 stale",
            'shiftwatch_drift_alarm{job="shiftwatch",instance="b:9464",pod="b",model="churn",scope="input"}': "_x15 1x10",
        },
        {
            "4m": [_DRIFTED],
            "6m": [_DRIFTED],
            "14m": [_DRIFTED],
            "20m": [_DRIFTED],
            "25m": [_DRIFTED],
        },
    ),
    Case(
        "ShiftwatchDriftDetected",
        "a model that is gone for good ends its alert",
        {_DRIFT: "1x4 stale"},
        {"18m": [_DRIFTED]},
        ("20m",),
    ),
    Case(
        "ShiftwatchDriftDetected",
        "no alarm",
        {_DRIFT: "0x30"},
        quiet=("1m", "30m"),
    ),
    Case(
        "ShiftwatchManyModelsInAlarm",
        "two of four models for ten minutes",
        {
            **{
                f'shiftwatch_drift_alarm{{{_A},model="{model}",scope="{scope}"}}': values
                for model, values in zip("abcd", ("1x40", "1x40", "0x40", "0x40"), strict=True)
                for scope in ("input", "prediction")
            },
            **{_INFO % (f'{_A},model="{model}"', "ff"): "1x40" for model in "abcd"},
        },
        {
            "11m": [
                Told(
                    "50% of the models have a shift alarm: look for what they have in common, such "
                    "as a feature pipeline, before looking at each."
                )
            ]
        },
        ("9m",),
    ),
    Case(
        "ShiftwatchManyModelsInAlarm",
        "one of four models, and one of one",
        {
            **{
                f'shiftwatch_drift_alarm{{{_A},model="{model}",scope="input"}}': values
                for model, values in zip("abcd", ("1x40", "0x40", "0x40", "0x40"), strict=True)
            },
            **{_INFO % (f'{_A},model="{model}"', "ff"): "1x40" for model in "abcd"},
        },
        quiet=("5m", "40m"),
    ),
    Case(
        "ShiftwatchManyModelsInAlarm",
        "all of two models are too few to speak of",
        {
            **{
                f'shiftwatch_drift_alarm{{{_A},model="{model}",scope="input"}}': "1x40"
                for model in "ab"
            },
            **{_INFO % (f'{_A},model="{model}"', "ff"): "1x40" for model in "ab"},
        },
        quiet=("40m",),
    ),
    Case(
        "ShiftwatchPromiseNotKept",
        "every check carries the finding",
        {f'shiftwatch_findings_total{{{_OF},code="promise_not_kept"}}': "0+1x60"},
        {
            "30m": [
                Told(
                    "Model churn: 30 checks of the last day carry the finding promise_not_kept; the "
                    "report says why.",
                    _CHURN,
                )
            ]
        },
    ),
    Case(
        "ShiftwatchPromiseNotKept",
        "other findings are no matter of it",
        {
            f'shiftwatch_findings_total{{{_OF},code="promise_not_kept"}}': "3x60",
            f'shiftwatch_findings_total{{{_OF},code="new_categories"}}': "0+1x60",
        },
        quiet=("30m",),
    ),
    Case(
        "ShiftwatchDataInvalid",
        "one batch is invalid, the next one is sound",
        {_state("invalid_data"): "0x4 1x4 0x5", _state("ok"): "1x4 0x4 1x5"},
        {"5m": [_INVALID], "9m": [_INVALID]},
        ("4m", "10m"),
    ),
    Case(
        "ShiftwatchDataInvalid",
        "a batch too small is not invalid",
        {_state("invalid_data"): "0x30", _state("insufficient_data"): "1x30"},
        quiet=("5m", "30m"),
    ),
    Case(
        "ShiftwatchDataInsufficient",
        "batches come and are too small for three hours",
        {_state("insufficient_data"): "1x300", _PROCESSED: "0+60x300"},
        {
            "181m": [
                Told(
                    "Model churn: the last batch has fewer rows than window.min_rows, so a shift "
                    "would not be seen.",
                    _CHURN,
                )
            ]
        },
        ("179m",),
    ),
    Case(
        "ShiftwatchDataInsufficient",
        "before its first batch a model lacks data, which is another alert",
        {_state("insufficient_data"): "1x300"},
        quiet=("300m",),
    ),
    Case(
        "ShiftwatchFilesQuarantined",
        "two files are given up, then taken away",
        {f"shiftwatch_quarantined_files{{{_OF}}}": "0x4 2x10 0x5"},
        {
            "11m": [
                Told(
                    "Model churn: 2 files lie in quarantine; the overview page names them with the "
                    "reason.",
                    _CHURN,
                )
            ]
        },
        ("8m", "16m"),
    ),
    Case(
        "ShiftwatchFilesQuarantined",
        "files that are looked at again are not given up",
        {
            f"shiftwatch_quarantined_files{{{_OF}}}": "0x30",
            f"shiftwatch_retried_files{{{_OF}}}": "3x30",
        },
        quiet=("30m",),
    ),
    Case(
        "ShiftwatchEventsDropped",
        "the buffer is full for a while",
        {f'shiftwatch_events_dropped_total{{{_OF},reason="full"}}': "0x9 0+1x4 4x30"},
        {
            "15m": [
                Told(
                    "Model churn: 4 events were dropped within 15 minutes, reason full.",
                    {**_CHURN, "reason": "full"},
                )
            ]
        },
        ("9m", "35m"),
    ),
    Case(
        "ShiftwatchEventsDropped",
        "events come and none is dropped",
        {
            f'shiftwatch_events_dropped_total{{{_OF},reason="full"}}': "0x30",
            f"shiftwatch_events_received_total{{{_OF}}}": "0+100x30",
        },
        quiet=("15m", "30m"),
    ),
    Case(
        "ShiftwatchCoverageLow",
        "a fifth of the requests is not seen",
        {f"shiftwatch_coverage_ratio{{{_OF}}}": "0.8x60"},
        {
            "31m": [
                Told(
                    "Model churn: 80% of the requests are seen; verdicts speak of these only.",
                    _CHURN,
                )
            ]
        },
        ("29m",),
    ),
    Case(
        "ShiftwatchCoverageLow",
        "one request in a hundred is not seen",
        {f"shiftwatch_coverage_ratio{{{_OF}}}": "0.99x60"},
        quiet=("60m",),
    ),
    Case(
        "ShiftwatchRequestsUnmatched",
        "one event in ten has no other half",
        {
            f"shiftwatch_requests_unmatched_total{{{_OF}}}": "0+10x120",
            f"shiftwatch_events_received_total{{{_OF}}}": "0+100x120",
        },
        {
            "20m": [
                Told(
                    "Model churn: 10% of the events of the last hour have no other half with the "
                    "same id.",
                    _CHURN,
                )
            ]
        },
        ("10m",),
    ),
    Case(
        "ShiftwatchRequestsUnmatched",
        "one event in a hundred, and no events at all",
        {
            f"shiftwatch_requests_unmatched_total{{{_OF}}}": "0+1x60 60x120",
            f"shiftwatch_events_received_total{{{_OF}}}": "0+100x60 6000x120",
        },
        quiet=("30m", "180m"),
    ),
)

_ABOUT_US = (
    Case(
        "ShiftwatchMonitorAbsent",
        "the only daemon is gone",
        {_BUILD: "1x4 stale"},
        {
            "16m": [
                Told("No daemon answers the scrapes of this Prometheus: no model is watched."),
            ]
        },
        ("4m", "14m"),
    ),
    Case(
        "ShiftwatchMonitorAbsent",
        "a restart takes five minutes",
        {_BUILD: "1x4 stale _x4 1x20"},
        quiet=("8m", "14m", "29m"),
    ),
    Case(
        "ShiftwatchTargetDown",
        "one of two daemons does not answer",
        {
            f"up{{{_A}}}": "1x4 0x20",
            _BUILD: "1x4 stale",
            'up{job="shiftwatch",instance="b:9464"}': "1x24",
            'shiftwatch_build_info{job="shiftwatch",instance="b:9464",version="0.1.0"}': "1x24",
        },
        {
            "10m": [
                Told(
                    "a:9464 of job shiftwatch does not answer scrapes: its models are not watched.",
                    {**_JOB, "instance": "a:9464"},
                )
            ]
        },
        ("9m",),
    ),
    Case(
        "ShiftwatchTargetDown",
        "another program's target is down, which was never ours",
        {'up{job="node",instance="n:9100"}': "0x30", f"up{{{_A}}}": "1x30", _BUILD: "1x30"},
        quiet=("30m",),
    ),
    Case(
        "ShiftwatchModelUnwatched",
        "a model vanishes while another stays",
        {
            f"shiftwatch_backlog_batches{{{_OF}}}": "0x4 stale",
            f'shiftwatch_backlog_batches{{{_A},model="fraud"}}': "0x500",
        },
        {"20m": [_UNWATCHED], "6h": [_UNWATCHED]},
        ("4m", "18m", "6h10m"),
    ),
    Case(
        "ShiftwatchModelUnwatched",
        "a Pod moves",
        {
            f'shiftwatch_backlog_batches{{{_OF},pod="a"}}': "0x4 stale",
            'shiftwatch_backlog_batches{job="shiftwatch",instance="b:9464",pod="b",model="churn"}': "_x6 0x60",
        },
        quiet=("5m", "20m", "60m"),
    ),
    Case(
        "ShiftwatchMonitorStale",
        "hourly batches stop",
        {_PROCESSED: "0x300", _EXPECTED: "3600x300"},
        {
            "4h": [
                Told(
                    "Model churn: the last batch was processed 4h 0m 0s ago, more than 3 times its "
                    "expect_every.",
                    _CHURN,
                )
            ]
        },
        ("3h",),
    ),
    Case(
        "ShiftwatchMonitorStale",
        "daily batches are not stale after four hours, nor is a model that expects nothing",
        {
            _PROCESSED: "0x300",
            _EXPECTED: "86400x300",
            f'shiftwatch_last_batch_processed_timestamp_seconds{{{_A},model="fraud"}}': "0x300",
        },
        quiet=("5h",),
    ),
    Case(
        "ShiftwatchNoNewBatches",
        "a model that expects nothing is silent for more than a day",
        {_PROCESSED: "-90000x130"},
        {
            "2h": [
                Told(
                    "Model churn: the last batch was processed 1d 3h 0m 0s ago. Say expect_every in "
                    "its configuration, and the alert fits its pace.",
                    _CHURN,
                )
            ]
        },
        ("50m",),
    ),
    Case(
        "ShiftwatchNoNewBatches",
        "weekly batches that are expected weekly",
        {_PROCESSED: "-90000x130", _EXPECTED: "604800x130"},
        quiet=("2h",),
    ),
    Case(
        "ShiftwatchMonitorNeverRan",
        "three hours without a first batch, while the model file was exchanged",
        {
            _INFO % (_OF, "aa"): "1x60 stale",
            _INFO % (_OF, "bb"): "_x61 1x200",
        },
        {"181m": [_NEVER]},
        ("179m",),
    ),
    Case(
        "ShiftwatchMonitorNeverRan",
        "a daily model has three days and three hours",
        {_INFO % (_OF, "aa"): "1x300", _EXPECTED: "86400x300", _LOADED: "-255600x300"},
        {"245m": [_NEVER]},
        ("200m", "239m"),
    ),
    Case(
        "ShiftwatchMonitorNeverRan",
        "the first batch came",
        {_INFO % (_OF, "aa"): "1x300", _PROCESSED: "_x100 6000x200", _LOADED: "0x300"},
        quiet=("5h",),
    ),
    Case(
        "ShiftwatchMonitorError",
        "a model cannot be watched",
        {_state("error"): "1x40"},
        {"16m": [_FAULTY]},
        ("14m",),
    ),
    Case(
        "ShiftwatchMonitorError",
        "one failed check that the next one makes good",
        {_state("error"): "0x4 1x5 0x30"},
        quiet=("6m", "20m", "30m"),
    ),
    Case(
        "ShiftwatchReferenceMissing",
        "a model without a reference",
        {_INFO % (_OF, "aa"): "1x40"},
        {"11m": [Told("Model churn: no reference is prepared, so nothing is compared.", _CHURN)]},
        ("9m",),
    ),
    Case(
        "ShiftwatchReferenceMissing",
        "a reference that takes five minutes to prepare",
        {
            _INFO % (_OF, "aa"): "1x40",
            f'shiftwatch_reference_info{{{_OF},reference_id="1",reference_sha256="11",schema_sha256="2"}}': "_x5 1x40",
        },
        quiet=("4m", "20m", "40m"),
    ),
    Case(
        "ShiftwatchBatchBacklog",
        "twelve batches wait for half an hour",
        {f"shiftwatch_backlog_batches{{{_OF}}}": "12x60"},
        {"31m": [Told("Model churn: 12 batches wait; a shift is seen late.", _CHURN)]},
        ("29m",),
    ),
    Case(
        "ShiftwatchBatchBacklog",
        "a restart finds many batches and works them off",
        {f"shiftwatch_backlog_batches{{{_OF}}}": "40-2x20 0x40"},
        quiet=("10m", "40m"),
    ),
    Case(
        "ShiftwatchConfigReloadFailed",
        "a bad file is refused, then mended",
        {f"shiftwatch_config_last_reload_successful{{{_A}}}": "1x4 0x10 1x5"},
        {
            "11m": [
                Told("The last reload failed; the configuration before it is still in force.", _JOB)
            ]
        },
        ("4m", "9m", "16m"),
    ),
    Case(
        "ShiftwatchConfigReloadFailed",
        "every reload was accepted",
        {f"shiftwatch_config_last_reload_successful{{{_A}}}": "1x30"},
        quiet=("30m",),
    ),
    Case(
        "ShiftwatchTestsFailing",
        "one test fails, the others run",
        {
            f'shiftwatch_tests_total{{{_OF},test="mmd",outcome="failed"}}': "0x9 0+1x60",
            f'shiftwatch_tests_total{{{_OF},test="ks",outcome="run"}}': "0+1x70",
        },
        {
            "70m": [
                Told(
                    "Model churn: test mmd failed 60 times within an hour; the other tests go on.",
                    {**_CHURN, "test": "mmd"},
                )
            ]
        },
        ("9m",),
    ),
    Case(
        "ShiftwatchTestsFailing",
        "tests are skipped",
        {
            f'shiftwatch_tests_total{{{_OF},test="mmd",outcome="failed"}}': "0x70",
            f'shiftwatch_tests_total{{{_OF},test="mmd",outcome="skipped"}}': "0+1x70",
        },
        quiet=("70m",),
    ),
    Case(
        "ShiftwatchWorkerDeaths",
        "a worker dies every ten minutes",
        {f"shiftwatch_worker_deaths_total{{{_OF}}}": "0x9 1x9 2x9 3x9 4x9 5x9 6x9 7x9"},
        {
            "70m": [
                Told(
                    "Model churn: 6 workers ended without an answer within an hour.",
                    _CHURN,
                )
            ]
        },
        ("9m",),
    ),
    Case(
        "ShiftwatchWorkerDeaths",
        "one worker died",
        {f"shiftwatch_worker_deaths_total{{{_OF}}}": "0x29 1x60"},
        quiet=("31m", "80m"),
    ),
    Case(
        "ShiftwatchScheduleFailed",
        "a look ends in a fault",
        {f'shiftwatch_schedule_events_total{{{_A},event="failed"}}': "0x9 1x100"},
        {
            "60m": [
                Told(
                    "1 looks within an hour ended in a fault. What is due comes from the history, so "
                    "the next look makes up for it.",
                    _JOB,
                )
            ]
        },
        ("9m", "75m"),
    ),
    Case(
        "ShiftwatchScheduleFailed",
        "looks that come while another goes on are no fault",
        {
            f'shiftwatch_schedule_events_total{{{_A},event="failed"}}': "0x60",
            f'shiftwatch_schedule_events_total{{{_A},event="overlapped"}}': "0+1x60",
        },
        quiet=("60m",),
    ),
    Case(
        "ShiftwatchHistorySetAside",
        "a damaged history lies there",
        {f"shiftwatch_histories_set_aside{{{_A}}}": "1x10"},
        {
            "5m": [
                Told(
                    "1 damaged histories lie beside the one in force, which holds what could be read "
                    "of them.",
                    _JOB,
                )
            ]
        },
    ),
    Case(
        "ShiftwatchHistorySetAside",
        "no history was ever damaged",
        {f"shiftwatch_histories_set_aside{{{_A}}}": "0x10"},
        quiet=("10m",),
    ),
    Case(
        "ShiftwatchChecksDegraded",
        "every check is made smaller",
        {f'shiftwatch_degraded_total{{{_OF},step="subsample"}}': "0+1x360"},
        {
            "360m": [
                Told(
                    "Model churn: 360 checks of the last 6 hours were made smaller to end within "
                    "limits.seconds; they see only larger shifts.",
                    _CHURN,
                )
            ]
        },
        ("1m",),
    ),
    Case(
        "ShiftwatchChecksDegraded",
        "one check was made smaller while the machine was busy",
        {f'shiftwatch_degraded_total{{{_OF},step="subsample"}}': "0x99 1x300"},
        quiet=("101m", "360m"),
    ),
    Case(
        "ShiftwatchMemoryHigh",
        "the daemon holds ten times what it needs",
        {f"process_resident_memory_bytes{{{_A}}}": "524288000x60", _BUILD: "1x60"},
        {
            "31m": [
                Told(
                    "a:9464 holds 500MiB in its own process, which idles at a sixth of what is "
                    "allowed.",
                    {**_JOB, "instance": "a:9464"},
                )
            ]
        },
        ("29m",),
    ),
    Case(
        "ShiftwatchMemoryHigh",
        "the daemon is small, and another program is large",
        {
            f"process_resident_memory_bytes{{{_A}}}": "60000000x60",
            _BUILD: "1x60",
            'process_resident_memory_bytes{job="node",instance="n:9100"}': "900000000x60",
        },
        quiet=("60m",),
    ),
    Case(
        "ShiftwatchRequestsRefused",
        "somebody tries tokens",
        {f'shiftwatch_http_requests_refused_total{{{_A},reason="token"}}': "0+60x60"},
        {
            "30m": [
                Told(
                    "900 requests within 15 minutes were refused, reason token.",
                    {**_JOB, "reason": "token"},
                )
            ]
        },
    ),
    Case(
        "ShiftwatchRequestsRefused",
        "a forgotten token now and then",
        {f'shiftwatch_http_requests_refused_total{{{_A},reason="token"}}': "0+1x60"},
        quiet=("30m", "60m"),
    ),
)

CASES: tuple[Case, ...] = (*_ABOUT_DATA, *_ABOUT_US)


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
    f'shiftwatch_drift_alarm{{{_A},model="a",scope="input"}}': "1x10",
    f'shiftwatch_drift_alarm{{{_A},model="a",scope="prediction"}}': "0x10",
    f'shiftwatch_drift_alarm{{{_A},model="b",scope="input"}}': "0x10",
    f'shiftwatch_drift_evidence_ratio{{{_A},model="a",scope="input",layer="check"}}': "0.5x10",
    f'shiftwatch_drift_evidence_ratio{{{_A},model="a",scope="input",layer="pool"}}': "1.2x10",
    f'shiftwatch_last_batch_processed_timestamp_seconds{{{_A},model="a"}}': "0x10",
    f'shiftwatch_monitor_state{{{_A},model="a",state="ok"}}': "1x10",
    f'shiftwatch_monitor_state{{{_A},model="b",state="ok"}}': "0x10",
    _INFO % (f'{_A},model="a"', "aa"): "1x3 stale",
    _INFO % (f'{_A},model="a",pod="moved"', "bb"): "_x4 1x6",
    _INFO % (f'{_A},model="b"', "aa"): "1x10",
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
