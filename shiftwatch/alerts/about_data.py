"""Alerts on the data: shifts, and data that cannot be judged.

In:    thresholds.
Out:   alerts.
Never: alerts on shiftwatch itself; `about_us` does.
"""

from __future__ import annotations

from shiftwatch.alerts.shape import Alert, Thresholds, grown, latest

_MODEL = "Model {{ $labels.model }}"


def drift_alerts(thresholds: Thresholds) -> tuple[Alert, ...]:
    """What the tests have found.

    A silence is heeded by the alerts on the alarm it silences and by no other. A known change is not
    heeded: it says what is expected, not that nobody need look, and a shift of another cause would
    go under in it. Severities stay; the report and the pages show the word beside the alarm.
    """
    alarm = latest("shiftwatch_drift_alarm", thresholds.outage)
    silenced = latest("shiftwatch_silenced", thresholds.outage)
    doubted = 'shiftwatch_findings_total{code="promise_not_kept"}'
    return (
        Alert(
            "ShiftwatchDriftDetected",
            "warning",
            f"{alarm} == 1\n  unless {silenced} == 1",
            "",
            "The data of a model have shifted.",
            f"{_MODEL}, scope {{{{ $labels.scope }}}}: the shift alarm is on. The report names the "
            "columns that moved and by how much.",
            "a shift alarm is on. Open the report: it names what moved, by how much and since when. "
            "The alarm keeps to the promise on false alarms. It ends with `shiftwatch accept`, or by "
            "itself after three quiet batches and when the memory of past ones has calmed down. It is "
            "quiet while `shiftwatch silence` holds, and fires at the end of a silence if the alarm "
            "is still on",
        ),
        Alert(
            "ShiftwatchManyModelsInAlarm",
            "warning",
            f"count(\n  max without (scope) ({alarm} == 1\n    unless {silenced} == 1)\n)"
            f" / shiftwatch:models:count >= {thresholds.fleet_ratio:g}\n"
            f"  and shiftwatch:models:count >= {thresholds.fleet_models}",
            thresholds.fleet_for,
            "Many models are in alarm at once.",
            "{{ $value | humanizePercentage }} of the models have a shift alarm: look for what they "
            "have in common, such as a feature pipeline, before looking at each.",
            "a large share of the models is in alarm at once, which hints at a cause in common: a "
            "pipeline, a source, a deployment, the calendar. An alarm that `shiftwatch silence` "
            "holds does not count",
            "fleet",
        ),
        Alert(
            "ShiftwatchPromiseNotKept",
            "info",
            f"{grown(doubted, '1d', without=('code',))} > 0",
            "",
            "The promise on false alarms cannot be shown to hold.",
            f"{_MODEL}: {{{{ $value | humanize }}}} checks of the last day carry the finding "
            "promise_not_kept; the report says why.",
            "checks carry the finding `promise_not_kept`: their alarms may be false more often than "
            "was asked for. Mostly the reference is too short for the dependence or season of its "
            "rows",
        ),
    )


def data_alerts(thresholds: Thresholds) -> tuple[Alert, ...]:
    """What keeps the tests from finding anything."""
    return (*_batch_alerts(thresholds), *_event_alerts(thresholds))


def _batch_alerts(thresholds: Thresholds) -> tuple[Alert, ...]:
    span = thresholds.outage
    invalid = latest('shiftwatch_monitor_state{state="invalid_data"}', span, without=("state",))
    few = latest('shiftwatch_monitor_state{state="insufficient_data"}', span, without=("state",))
    processed = latest("shiftwatch_last_batch_processed_timestamp_seconds", span)
    return (
        Alert(
            "ShiftwatchDataInvalid",
            "critical",
            f"{invalid} == 1",
            "",
            "The last batch of a model cannot be judged as it should.",
            f"{_MODEL}: the last batch is invalid; the findings of its report name the columns or "
            "the file.",
            "the last batch is broken, or lacks columns or types of the reference: the model itself "
            "most likely gets the same data. Ends with the next sound batch",
        ),
        Alert(
            "ShiftwatchDataInsufficient",
            "warning",
            f"{few} == 1\n  and {processed}",
            thresholds.first_batch,
            "The batches of a model are too small to be tested.",
            f"{_MODEL}: the last batch has fewer rows than window.min_rows, so a shift would not be "
            "seen.",
            "batches come, but with fewer rows than `window.min_rows`: nothing is tested, and no "
            "shift would be seen. Cut batches by rows or time instead of by file",
        ),
        Alert(
            "ShiftwatchFilesQuarantined",
            "warning",
            f"{latest('shiftwatch_quarantined_files', span)} > 0",
            "5m",
            "Broken files of a model were given up.",
            f"{_MODEL}: {{{{ $value }}}} files lie in quarantine; the overview page names them with "
            "the reason.",
            "files stayed broken for longer than `window.grace`, or are links out of the folder. "
            "Mended or taken away they leave the quarantine by themselves",
        ),
    )


def _event_alerts(thresholds: Thresholds) -> tuple[Alert, ...]:
    coverage = latest("shiftwatch_coverage_ratio", thresholds.outage, fold="min")
    unmatched = grown("shiftwatch_requests_unmatched_total", "1h")
    received = grown("shiftwatch_events_received_total", "1h")
    return (
        Alert(
            "ShiftwatchEventsDropped",
            "warning",
            f"{grown('shiftwatch_events_dropped_total', '15m')} > 0",
            "",
            "Events of a model were dropped before they were judged.",
            f"{_MODEL}: {{{{ $value | humanize }}}} events were dropped within 15 minutes, reason "
            "{{ $labels.reason }}.",
            "events of the payload log were dropped, so what is judged may not be typical of what "
            "the model sees. The label `reason` says why",
        ),
        Alert(
            "ShiftwatchCoverageLow",
            "warning",
            f"{coverage} < {thresholds.coverage_ratio:g}",
            "30m",
            "Too few of the requests to a model are seen.",
            f"{_MODEL}: {{{{ $value | humanizePercentage }}}} of the requests are seen; verdicts "
            "speak of these only.",
            "a large part of the requests never reaches shiftwatch whole, so its verdicts are about "
            "a part that may not be typical",
        ),
        Alert(
            "ShiftwatchRequestsUnmatched",
            "warning",
            f"{unmatched}\n  / {received} > {thresholds.unmatched_ratio:g}",
            "15m",
            "Requests and responses of a model do not find each other.",
            f"{_MODEL}: {{{{ $value | humanizePercentage }}}} of the events of the last hour have no "
            "other half with the same id.",
            "requests without response, or the other way round: look at the logger in front of the "
            "model, which loses one of them or changes their ids",
        ),
    )
