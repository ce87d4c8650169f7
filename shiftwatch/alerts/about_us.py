"""Alerts on shiftwatch itself: whether it watches, and what that costs.

In:    thresholds.
Out:   alerts.
Never: alerts on what the tests have found; `about_data` does.
"""

from __future__ import annotations

from shiftwatch.alerts.recordings import MODEL_FACTS
from shiftwatch.alerts.shape import Alert, Thresholds, grown, latest

_MODEL = "Model {{ $labels.model }}"
_PROCESSED = "shiftwatch_last_batch_processed_timestamp_seconds"
_EXPECTED = "shiftwatch_expected_batch_interval_seconds"
_HOUR = 3600


def monitor_alerts(thresholds: Thresholds) -> tuple[Alert, ...]:
    """Whether anybody watches, and whether everything is watched."""
    return (
        *_dead_alerts(thresholds),
        *_pace_alerts(thresholds),
        *_unable_alerts(thresholds),
    )


def _dead_alerts(thresholds: Thresholds) -> tuple[Alert, ...]:
    known = latest("shiftwatch_backlog_batches", "6h")
    shown = latest("shiftwatch_backlog_batches", thresholds.outage)
    return (
        Alert(
            "ShiftwatchMonitorAbsent",
            "critical",
            "absent(shiftwatch_build_info)",
            thresholds.absent,
            "No shiftwatch daemon is scraped.",
            "No daemon answers the scrapes of this Prometheus: no model is watched.",
            "no daemon is scraped at all, so nothing is watched: it is down, or Prometheus does not "
            "find it",
            "fleet",
        ),
        Alert(
            "ShiftwatchTargetDown",
            "critical",
            "up == 0\n  and on (job, instance) last_over_time(shiftwatch_build_info[7d])",
            thresholds.down,
            "A shiftwatch daemon does not answer.",
            "{{ $labels.instance }} of job {{ $labels.job }} does not answer scrapes: its models "
            "are not watched.",
            "a daemon that was scraped before does not answer now. What it had not judged is judged "
            "when it is back",
            "self",
        ),
        Alert(
            "ShiftwatchModelUnwatched",
            "warning",
            f"{known}\n  unless {shown}",
            "",
            "A model that was watched is watched no more.",
            f"{_MODEL} was watched within the last 6 hours, and no daemon tells of it now. Ends by "
            "itself if it was taken out on purpose.",
            "no daemon tells of a model that was watched within the last six hours. If it was taken "
            "out of the configuration on purpose, the alert ends by itself",
            "fleet",
        ),
    )


def _pace_alerts(thresholds: Thresholds) -> tuple[Alert, ...]:
    span, times = thresholds.outage, thresholds.intervals
    processed, expected = latest(_PROCESSED, span), latest(_EXPECTED, span)
    models = latest("shiftwatch_model_info", span, without=MODEL_FACTS)
    loaded = latest("shiftwatch_config_last_reload_success_timestamp_seconds", span)
    return (
        Alert(
            "ShiftwatchMonitorStale",
            "critical",
            f"time() - {processed}\n  > {times} * {expected}",
            "",
            f"No batch of a model was processed for {times} expected intervals.",
            f"{_MODEL}: the last batch was processed {{{{ $value | humanizeDuration }}}} ago, more "
            f"than {times} times its expect_every.",
            f"no batch was processed for {times} times `expect_every`: the producer of the batches "
            "has stopped, or shiftwatch cannot process them. An alarm that is off says nothing now",
        ),
        Alert(
            "ShiftwatchNoNewBatches",
            "warning",
            f"time() - {processed} > {thresholds.silence_seconds:g}\n  unless {expected}",
            "",
            "No batch of a model was processed for more than a day.",
            f"{_MODEL}: the last batch was processed {{{{ $value | humanizeDuration }}}} ago. Say "
            "expect_every in its configuration, and the alert fits its pace.",
            "no batch was processed for more than a day, and the model does not say by "
            "`expect_every` how often one should come. Say it, and ShiftwatchMonitorStale watches",
        ),
        Alert(
            "ShiftwatchMonitorNeverRan",
            "critical",
            f"(\n  {models}\n"
            f"    unless {processed}\n"
            f"    unless {expected} > {_HOUR}\n"
            ") or (\n"
            f"  time() - {loaded}\n"
            "    > ignoring (model) group_right ()\n"
            f"  {times} * ({expected}\n    unless {processed})\n)",
            thresholds.first_batch,
            "No batch of a model was ever processed.",
            f"{_MODEL} is configured, and not one of its batches was processed.",
            "a model is configured and not one batch was ever processed: the path of the batches is "
            "wrong, nobody writes them, or the model cannot be watched",
        ),
    )


def _unable_alerts(thresholds: Thresholds) -> tuple[Alert, ...]:
    span = thresholds.outage
    fault = latest('shiftwatch_monitor_state{state="error"}', span, without=("state",))
    models = latest("shiftwatch_model_info", span, without=MODEL_FACTS)
    facts = ("reference_id", "reference_sha256", "schema_sha256")
    prepared = latest("shiftwatch_reference_info", span, without=facts)
    reload = latest("shiftwatch_config_last_reload_successful", span, fold="min")
    return (
        Alert(
            "ShiftwatchMonitorError",
            "critical",
            f"{fault} == 1",
            thresholds.unable,
            "A model cannot be watched because of a fault.",
            f"{_MODEL}: the monitor is in state error; the overview page and the log name the fault.",
            "the last batch ended in a failure of shiftwatch, or the model cannot be watched at all. "
            "It is tried again at every look; the overview page names the fault",
        ),
        Alert(
            "ShiftwatchReferenceMissing",
            "warning",
            f"{models}\n  unless {prepared}",
            "10m",
            "The reference of a model cannot be used.",
            f"{_MODEL}: no reference is prepared, so nothing is compared.",
            "no reference is prepared for a model: the file is missing, cannot be read or does not "
            "fit the model. `shiftwatch check` names the fault",
        ),
        Alert(
            "ShiftwatchBatchBacklog",
            "warning",
            f"{latest('shiftwatch_backlog_batches', span)} > {thresholds.backlog}",
            thresholds.backlog_for,
            "Batches of a model wait to be judged.",
            f"{_MODEL}: {{{{ $value }}}} batches wait; a shift is seen late.",
            "more batches come than are judged. Give the worker more CPU, make batches larger, or "
            "test fewer rows",
            "self",
        ),
        Alert(
            "ShiftwatchConfigReloadFailed",
            "warning",
            f"{reload} == 0",
            "5m",
            "A changed configuration was refused.",
            "The last reload failed; the configuration before it is still in force.",
            "the configuration was changed and cannot be used; the one before is still in force, "
            "until a restart, which would fail. `shiftwatch check` names the fault",
            "self",
        ),
    )


def cost_alerts(thresholds: Thresholds) -> tuple[Alert, ...]:
    """What goes wrong inside, and what it costs."""
    return (*_fault_alerts(thresholds), *_burden_alerts(thresholds))


def _fault_alerts(thresholds: Thresholds) -> tuple[Alert, ...]:
    failed = grown('shiftwatch_tests_total{outcome="failed"}', "1h", without=("outcome",))
    ticks = grown('shiftwatch_schedule_events_total{event="failed"}', "1h", without=("event",))
    aside = latest("shiftwatch_histories_set_aside", thresholds.outage)
    return (
        Alert(
            "ShiftwatchTestsFailing",
            "warning",
            f"{failed} > 0",
            "",
            "A test ends in a fault.",
            f"{_MODEL}: test {{{{ $labels.test }}}} failed {{{{ $value | humanize }}}} times within "
            "an hour; the other tests go on.",
            "a test ended in a fault of shiftwatch and said nothing; the others did. The report has "
            "it as skipped for `test_failed`. Please report it",
        ),
        Alert(
            "ShiftwatchWorkerDeaths",
            "warning",
            f"{grown('shiftwatch_worker_deaths_total', '1h')} > {thresholds.deaths}",
            "",
            "Workers of a model die.",
            f"{_MODEL}: {{{{ $value | humanize }}}} workers ended without an answer within an hour.",
            "workers end without an answer, mostly because the system lacks memory: compare "
            "`limits.memory_mb` plus 100 MB with the container's limit",
            "self",
        ),
        Alert(
            "ShiftwatchScheduleFailed",
            "warning",
            f"{ticks} > 0",
            "",
            "A look for new batches ended in a fault.",
            "{{ $value | humanize }} looks within an hour ended in a fault. What is due comes from "
            "the history, so the next look makes up for it.",
            "a look for new batches ended in a fault of shiftwatch; the log has it. The next look "
            "finds the same batches due, so nothing is lost",
            "self",
        ),
        Alert(
            "ShiftwatchHistorySetAside",
            "warning",
            f"{aside} > 0",
            "",
            "A damaged history was set aside.",
            "{{ $value }} damaged histories lie beside the one in force, which holds what could be "
            "read of them.",
            "the history was damaged, and what could be read of it goes on. Look after the disk, "
            "then take the file away",
            "self",
        ),
    )


def _burden_alerts(thresholds: Thresholds) -> tuple[Alert, ...]:
    smaller = grown("shiftwatch_degraded_total", "6h", without=("step",))
    refused = grown("shiftwatch_http_requests_refused_total", "15m")
    return (
        Alert(
            "ShiftwatchChecksDegraded",
            "info",
            f"{smaller} > 2",
            "",
            "Checks of a model are made smaller to end in time.",
            f"{_MODEL}: {{{{ $value | humanize }}}} checks of the last 6 hours were made smaller to "
            "end within limits.seconds; they see only larger shifts.",
            "checks take longer than `limits.seconds` and are made smaller: what they say holds, but "
            "they see only larger shifts. Raise the limit, or give the worker more CPU",
            "self",
        ),
        Alert(
            "ShiftwatchMemoryHigh",
            "warning",
            f"process_resident_memory_bytes > {thresholds.resident_bytes:.0f}\n"
            "  and on (job, instance) shiftwatch_build_info",
            "30m",
            "A shiftwatch daemon holds too much memory.",
            "{{ $labels.instance }} holds {{ $value | humanize1024 }}B in its own process, which "
            "idles at a sixth of what is allowed.",
            "the daemon's own process, without its worker, holds several times what it needs: please "
            "report it. A restart loses nothing",
            "self",
        ),
        Alert(
            "ShiftwatchRequestsRefused",
            "info",
            f"{refused} > {thresholds.refused}",
            "",
            "Many requests are refused.",
            "{{ $value | humanize }} requests within 15 minutes were refused, reason "
            "{{ $labels.reason }}.",
            "somebody asks without a token that counts, or too often: a scraper or dashboard with an "
            "old token, or a guest. The label `reason` says which",
            "self",
        ),
    )
