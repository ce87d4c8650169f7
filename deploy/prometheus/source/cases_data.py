"""Cases of the alerts on data, firing and not firing.

In:    nothing.
Out:   ABOUT_DATA.
Never: leaves an alert without a case that never fires.
"""

from __future__ import annotations

from deploy.prometheus.source.series import CHURN, INFO, OF, PROCESSED, A, Case, Told, state

_DRIFT = f'shiftwatch_drift_alarm{{{OF},scope="input"}}'
_SILENCED = _DRIFT.replace("drift_alarm", "silenced")
_DRIFTED = Told(
    "Model churn, scope input: the shift alarm is on. The report names the columns that moved and "
    "by how much.",
    {**CHURN, "scope": "input"},
)
_INVALID = Told(
    "Model churn: the last batch is invalid; the findings of its report name the columns or the file.",
    CHURN,
)

ABOUT_DATA: tuple[Case, ...] = (
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
        "a silence holds it, and it fires when the silence ends with the alarm still on",
        {_DRIFT: "1x30", _SILENCED: "0x4 1x9 0x16"},
        {"4m": [_DRIFTED], "15m": [_DRIFTED]},
        ("6m", "13m"),
    ),
    Case(
        "ShiftwatchDriftDetected",
        "a silence of another scope, of another model or in another cluster holds nothing",
        {
            _DRIFT: "1x9",
            _SILENCED.replace('"input"', '"prediction"'): "1x9",
            _SILENCED.replace("churn", "fraud"): "1x9",
            _SILENCED.replace("{", '{cluster="b",'): "1x9",
        },
        {"5m": [_DRIFTED]},
    ),
    Case(
        "ShiftwatchDriftDetected",
        "with a label of Kubernetes a silence holds it over a new Pod, and a known change does not",
        {
            _DRIFT.replace("{", '{namespace="n",pod="a",'): "1x5 stale",
            _SILENCED.replace("{", '{namespace="n",pod="a",'): "1x5 stale",
            _DRIFT.replace("{", '{namespace="n",pod="b",'): "_x8 1x30",
            _SILENCED.replace("{", '{namespace="n",pod="b",'): "_x8 1x10 0x20",
            f'shiftwatch_annotations{{{OF},kind="known_change"}}': "1x40",
        },
        {
            "24m": [
                Told(_DRIFTED.description, {**_DRIFTED.labels, "namespace": "n"}),
            ]
        },
        ("3m", "7m", "15m"),
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
                f'shiftwatch_drift_alarm{{{A},model="{model}",scope="{scope}"}}': values
                for model, values in zip("abcd", ("1x40", "1x40", "0x40", "0x40"), strict=True)
                for scope in ("input", "prediction")
            },
            **{INFO % (f'{A},model="{model}"', "ff"): "1x40" for model in "abcd"},
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
        "an alarm that is silenced does not count; it does when one of its scopes is not",
        {
            **{
                f'shiftwatch_drift_alarm{{{A},model="{model}",scope="{scope}"}}': values
                for model, values in zip("abcd", ("1x40", "1x40", "0x40", "0x40"), strict=True)
                for scope in ("input", "prediction")
            },
            f'shiftwatch_silenced{{{A},model="a",scope="input"}}': "1x40",
            f'shiftwatch_silenced{{{A},model="a",scope="prediction"}}': "0x14 1x25",
            **{INFO % (f'{A},model="{model}"', "ff"): "1x40" for model in "abcd"},
        },
        {
            "11m": [
                Told(
                    "50% of the models have a shift alarm: look for what they have in common, such "
                    "as a feature pipeline, before looking at each."
                )
            ]
        },
        ("16m", "40m"),
    ),
    Case(
        "ShiftwatchManyModelsInAlarm",
        "one of four models, and one of one",
        {
            **{
                f'shiftwatch_drift_alarm{{{A},model="{model}",scope="input"}}': values
                for model, values in zip("abcd", ("1x40", "0x40", "0x40", "0x40"), strict=True)
            },
            **{INFO % (f'{A},model="{model}"', "ff"): "1x40" for model in "abcd"},
        },
        quiet=("5m", "40m"),
    ),
    Case(
        "ShiftwatchManyModelsInAlarm",
        "all of two models are too few to speak of",
        {
            **{
                f'shiftwatch_drift_alarm{{{A},model="{model}",scope="input"}}': "1x40"
                for model in "ab"
            },
            **{INFO % (f'{A},model="{model}"', "ff"): "1x40" for model in "ab"},
        },
        quiet=("40m",),
    ),
    Case(
        "ShiftwatchPromiseNotKept",
        "every check carries the finding",
        {f'shiftwatch_findings_total{{{OF},code="promise_not_kept"}}': "0+1x60"},
        {
            "30m": [
                Told(
                    "Model churn: 30 checks of the last day carry the finding promise_not_kept; the "
                    "report says why.",
                    CHURN,
                )
            ]
        },
    ),
    Case(
        "ShiftwatchPromiseNotKept",
        "other findings are no matter of it",
        {
            f'shiftwatch_findings_total{{{OF},code="promise_not_kept"}}': "3x60",
            f'shiftwatch_findings_total{{{OF},code="new_categories"}}': "0+1x60",
        },
        quiet=("30m",),
    ),
    Case(
        "ShiftwatchDataInvalid",
        "one batch is invalid, the next one is sound",
        {state("invalid_data"): "0x4 1x4 0x5", state("ok"): "1x4 0x4 1x5"},
        {"5m": [_INVALID], "9m": [_INVALID]},
        ("4m", "10m"),
    ),
    Case(
        "ShiftwatchDataInvalid",
        "a batch too small is not invalid",
        {state("invalid_data"): "0x30", state("insufficient_data"): "1x30"},
        quiet=("5m", "30m"),
    ),
    Case(
        "ShiftwatchDataInsufficient",
        "batches come and are too small for three hours",
        {state("insufficient_data"): "1x300", PROCESSED: "0+60x300"},
        {
            "181m": [
                Told(
                    "Model churn: the last batch has fewer rows than window.min_rows, so a shift "
                    "would not be seen.",
                    CHURN,
                )
            ]
        },
        ("179m",),
    ),
    Case(
        "ShiftwatchDataInsufficient",
        "before its first batch a model lacks data, which is another alert",
        {state("insufficient_data"): "1x300"},
        quiet=("300m",),
    ),
    Case(
        "ShiftwatchFilesQuarantined",
        "two files are given up, then taken away",
        {f"shiftwatch_quarantined_files{{{OF}}}": "0x4 2x10 0x5"},
        {
            "11m": [
                Told(
                    "Model churn: 2 files lie in quarantine; the overview page names them with the "
                    "reason.",
                    CHURN,
                )
            ]
        },
        ("8m", "16m"),
    ),
    Case(
        "ShiftwatchFilesQuarantined",
        "files that are looked at again are not given up",
        {
            f"shiftwatch_quarantined_files{{{OF}}}": "0x30",
            f"shiftwatch_retried_files{{{OF}}}": "3x30",
        },
        quiet=("30m",),
    ),
    Case(
        "ShiftwatchEventsDropped",
        "the buffer is full for a while",
        {f'shiftwatch_events_dropped_total{{{OF},reason="full"}}': "0x9 0+1x4 4x30"},
        {
            "15m": [
                Told(
                    "Model churn: 4 events were dropped within 15 minutes, reason full.",
                    {**CHURN, "reason": "full"},
                )
            ]
        },
        ("9m", "35m"),
    ),
    Case(
        "ShiftwatchEventsDropped",
        "events come and none is dropped",
        {
            f'shiftwatch_events_dropped_total{{{OF},reason="full"}}': "0x30",
            f"shiftwatch_events_received_total{{{OF}}}": "0+100x30",
        },
        quiet=("15m", "30m"),
    ),
    Case(
        "ShiftwatchCoverageLow",
        "a fifth of the requests is not seen",
        {f"shiftwatch_coverage_ratio{{{OF}}}": "0.8x60"},
        {
            "31m": [
                Told(
                    "Model churn: 80% of the requests are seen; verdicts speak of these only.",
                    CHURN,
                )
            ]
        },
        ("29m",),
    ),
    Case(
        "ShiftwatchCoverageLow",
        "one request in a hundred is not seen",
        {f"shiftwatch_coverage_ratio{{{OF}}}": "0.99x60"},
        quiet=("60m",),
    ),
    Case(
        "ShiftwatchRequestsUnmatched",
        "one event in ten has no other half",
        {
            f"shiftwatch_requests_unmatched_total{{{OF}}}": "0+10x120",
            f"shiftwatch_events_received_total{{{OF}}}": "0+100x120",
        },
        {
            "20m": [
                Told(
                    "Model churn: 10% of the events of the last hour have no other half with the "
                    "same id.",
                    CHURN,
                )
            ]
        },
        ("10m",),
    ),
    Case(
        "ShiftwatchRequestsUnmatched",
        "one event in a hundred, and no events at all",
        {
            f"shiftwatch_requests_unmatched_total{{{OF}}}": "0+1x60 60x120",
            f"shiftwatch_events_received_total{{{OF}}}": "0+100x60 6000x120",
        },
        quiet=("30m", "180m"),
    ),
)
