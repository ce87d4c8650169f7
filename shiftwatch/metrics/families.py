"""The table of metrics: names, kinds, labels, units, and what to make of a value.

In:    nothing.
Out:   FAMILIES, and the same as Markdown.
Never: holds a value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its full name, kind, labels in order, unit, and what to make of it.

    ``unit`` is empty where the value has none: flags, probabilities and counts of events.
    """

    name: str
    kind: Literal["gauge", "counter", "info", "histogram"]
    labels: tuple[str, ...]
    unit: str
    help: str

    @property
    def base(self) -> str:
        """The name without the ending its kind adds.

        Examples
        --------
        >>> Family("rows_total", "counter", (), "rows", "Rows.").base
        'rows'
        """
        return self.name.removesuffix({"counter": "_total", "info": "_info"}.get(self.kind, ""))

    @property
    def samples(self) -> dict[str, tuple[str, ...]]:
        """Names of its samples, with the labels of each.

        Examples
        --------
        >>> list(Family("a_seconds", "histogram", (), "seconds", "A.").samples)
        ['a_seconds_bucket', 'a_seconds_count', 'a_seconds_sum']
        """
        if self.kind != "histogram":
            return {self.name: self.labels}
        return {
            f"{self.name}_bucket": (*self.labels, "le"),
            f"{self.name}_count": self.labels,
            f"{self.name}_sum": self.labels,
        }


FAMILIES: tuple[Family, ...] = (
    Family(
        "shiftwatch_build_info",
        "info",
        ("version", "revision", "python"),
        "",
        "The running program, always 1. If it is absent, nothing is watched: alert on that.",
    ),
    Family(
        "shiftwatch_model_info",
        "info",
        ("model", "model_version", "model_sha256", "opset", "ort_version"),
        "",
        "A configured model, always 1. Labels are empty where no ONNX file is loaded.",
    ),
    Family(
        "shiftwatch_reference_info",
        "info",
        ("model", "reference_id", "reference_sha256", "schema_sha256"),
        "",
        "The prepared reference, always 1. If it stays absent for a model, its reference cannot be "
        "used: read the model's fault on the overview page.",
    ),
    Family(
        "shiftwatch_reference_rows",
        "gauge",
        ("model",),
        "rows",
        "Rows of the reference. More rows let the tests see smaller shifts.",
    ),
    Family(
        "shiftwatch_config_last_reload_successful",
        "gauge",
        (),
        "",
        "1 if the last reload was accepted. At 0 the configuration before it is still in force: "
        "run `shiftwatch check`.",
    ),
    Family(
        "shiftwatch_config_last_reload_success_timestamp_seconds",
        "gauge",
        (),
        "seconds",
        "Unix time at which the configuration in force was loaded.",
    ),
    Family(
        "shiftwatch_drift_alarm",
        "gauge",
        ("model", "scope"),
        "",
        "1 while a shift alarm is on, kept over restarts. Alert on 1, then open the report. "
        "0 is only good news while shiftwatch_monitor_state says ok.",
    ),
    Family(
        "shiftwatch_silenced",
        "gauge",
        ("model", "scope"),
        "",
        "1 while an operator has silenced the alarm of a scope, with an end. The alerts on drift heed "
        "it; shiftwatch_drift_alarm does not.",
    ),
    Family(
        "shiftwatch_annotations",
        "gauge",
        ("model", "kind"),
        "",
        "Words of operators that are in force: notes, known changes, silences. The report and the "
        "page of the model show them; look there before you look for a cause.",
    ),
    Family(
        "shiftwatch_drift_evidence_ratio",
        "gauge",
        ("model", "scope", "layer"),
        "ratio",
        "Evidence over its alarm threshold after the last check; 1 or more raises the alarm. Layer "
        "`check` is the last batch alone, `window` past batches together as of when a window was "
        "last full, `pool` what has built up over past batches (with `memory: cusum` it stops at "
        "1.2). Absent while the layer has nothing to say, as with `memory: none`.",
    ),
    Family(
        "shiftwatch_test_p_value",
        "gauge",
        ("model", "scope", "test"),
        "",
        "Smallest p-value of a test in the last check, Bonferroni-corrected over its columns. "
        "Read it beside the effect: with many rows trifles become significant.",
    ),
    Family(
        "shiftwatch_test_effect_ratio",
        "gauge",
        ("model", "scope", "test"),
        "ratio",
        "Largest effect of a test in the last check, as a magnitude in the test's own unit. "
        "Compare it with `tolerance` in the configuration.",
    ),
    Family(
        "shiftwatch_test_effect_lower_bound_ratio",
        "gauge",
        ("model", "scope", "test"),
        "ratio",
        "Lower 95 % confidence bound of shiftwatch_test_effect_ratio: the shift is at least this "
        "large. Absent for a test without an interval.",
    ),
    Family(
        "shiftwatch_estimated_performance",
        "gauge",
        ("model", "metric", "bound"),
        "",
        "Estimated accuracy, or mean absolute error, on the last batch without its labels: "
        "`estimate` in the 95 % band from `low` to `high`, beside that on the `reference`. It sees "
        "no change of what labels mean. Absent where `columns.label` is, or nothing can be said.",
    ),
    Family(
        "shiftwatch_feature_effect_ratio",
        "gauge",
        ("model", "feature", "test"),
        "ratio",
        "Effect on one column in the last check, as a magnitude. Use it to see what moved; "
        "`limits.series_per_model` bounds how many columns are shown.",
    ),
    Family(
        "shiftwatch_feature_p_value",
        "gauge",
        ("model", "feature", "test"),
        "",
        "P-value of one column in the last check, not corrected for the number of columns: look "
        "at it to see what moved, and alert on shiftwatch_drift_alarm.",
    ),
    Family(
        "shiftwatch_monitor_state",
        "gauge",
        ("model", "state"),
        "",
        "1 for the state the monitor of a model is in, 0 for the others. Any state but ok means "
        "it cannot tell: alert on invalid_data, stale and error.",
    ),
    Family(
        "shiftwatch_alarms_total",
        "counter",
        ("model", "scope"),
        "",
        "Alarms raised since the start. More than one in `alarms.false_alarms.per_checks` checks "
        "is more than chance explains.",
    ),
    Family(
        "shiftwatch_tests_total",
        "counter",
        ("model", "test", "outcome"),
        "",
        "Tests by what became of them. A growing `failed` is a fault of ours: please report it; "
        "the reasons for `skipped` are in the report and in shiftwatch_tests_skipped_total.",
    ),
    Family(
        "shiftwatch_tests_skipped_total",
        "counter",
        ("model", "reason"),
        "",
        "Tests that did not run on a column or on all of them, by the reason: `shiftwatch explain "
        "REASON` says what to make of it. Most are harmless, such as `no_nulls`.",
    ),
    Family(
        "shiftwatch_findings_total",
        "counter",
        ("model", "code"),
        "",
        "Facts about the data that need no statistics, each column by itself: `shiftwatch explain "
        "CODE` says what to make of it. `unreadable`, `missing_column` and the like also raise the "
        "schema alarm.",
    ),
    Family(
        "shiftwatch_batches_total",
        "counter",
        ("model", "outcome"),
        "batches",
        "Batches by what became of them. If others than `tested` grow, look at the producer of "
        "the batches.",
    ),
    Family(
        "shiftwatch_rows_total",
        "counter",
        ("model", "side"),
        "rows",
        "Rows compared since the start, by side of the comparison.",
    ),
    Family(
        "shiftwatch_series_dropped_total",
        "counter",
        ("model",),
        "",
        "Pairs of column and test that each shiftwatch_feature_ metric left out, summed over the "
        "checks. If it grows, raise `limits.series_per_model` or read the report, which has them all.",
    ),
    Family(
        "shiftwatch_backlog_batches",
        "gauge",
        ("model",),
        "batches",
        "Batches found and not judged yet. If it keeps growing, check more often, make larger "
        "batches, or give the worker more CPU.",
    ),
    Family(
        "shiftwatch_backlog_oldest_timestamp_seconds",
        "gauge",
        ("model",),
        "seconds",
        "Unix time at which the oldest file that waits was last changed. `time()` minus this is "
        "how far the judging is behind; absent while nothing waits.",
    ),
    Family(
        "shiftwatch_quarantined_files",
        "gauge",
        ("model",),
        "files",
        "Broken files that were given up, each judged once as invalid_data, and links out of the "
        "folder. Above 0, see the overview page or `shiftwatch once`; mended or removed they go.",
    ),
    Family(
        "shiftwatch_retried_files",
        "gauge",
        ("model",),
        "files",
        "Files that cannot be read yet: still written, withheld or broken. Each is looked at again "
        "with growing pauses until `window.grace` is over; then it is quarantined.",
    ),
    Family(
        "shiftwatch_quarantines_total",
        "counter",
        ("model", "reason"),
        "",
        "Files put into quarantine since the start, by reason; see `shiftwatch explain quarantine`.",
    ),
    Family(
        "shiftwatch_expected_batch_interval_seconds",
        "gauge",
        ("model",),
        "seconds",
        "Seconds from one batch to the next, as `expect_every` of the model says; absent where it says "
        "nothing. When three of them pass without a batch, the monitor state is `stale`.",
    ),
    Family(
        "shiftwatch_last_batch_processed_timestamp_seconds",
        "gauge",
        ("model",),
        "seconds",
        "Unix time at which a batch last had every configured test run or skipped for a named "
        "reason. Alert when it grows old; absent before the first batch.",
    ),
    Family(
        "shiftwatch_last_batch_event_timestamp_seconds",
        "gauge",
        ("model",),
        "seconds",
        "Event time of the newest row of the last batch, unix time. Absent without a time column.",
    ),
    Family(
        "shiftwatch_last_checkpoint_timestamp_seconds",
        "gauge",
        (),
        "seconds",
        "Unix time of the last commit to the history. If it stands still while batches are "
        "processed, look at the disk under `store.path`.",
    ),
    Family(
        "shiftwatch_stage_seconds_total",
        "counter",
        ("stage",),
        "seconds",
        "CPU time by stage of a check, over all models; the stages add up to "
        "shiftwatch_cpu_seconds_total. `given_up` is what `limits.seconds` ended.",
    ),
    Family(
        "shiftwatch_test_duration_seconds",
        "histogram",
        ("test",),
        "seconds",
        "CPU time of a test in a check, all its columns and scopes together, over all models. "
        "Shows which test to leave out or to make smaller.",
    ),
    Family(
        "shiftwatch_cpu_seconds_total",
        "counter",
        ("model",),
        "seconds",
        "CPU time of the checks of a model since the start, that of starting their worker "
        "included. Size the CPU request by its rate.",
    ),
    Family(
        "shiftwatch_energy_joules_total",
        "counter",
        ("source",),
        "joules",
        "Energy of the checks, over all models. Source `rapl` was measured by the processor, "
        "`estimate` is CPU time times the watts of a busy core: see `shiftwatch explain energy`.",
    ),
    Family(
        "shiftwatch_check_cpu_seconds",
        "gauge",
        ("model",),
        "seconds",
        "CPU time of the last check, that of starting its worker included if it was the first.",
    ),
    Family(
        "shiftwatch_check_energy_joules",
        "gauge",
        ("model", "source"),
        "joules",
        "Energy of the last check, by its source; see shiftwatch_energy_joules_total.",
    ),
    Family(
        "shiftwatch_check_peak_memory_bytes",
        "gauge",
        ("model",),
        "bytes",
        "Most memory the worker held in the last check. Keep `limits.memory_mb` well above it.",
    ),
    Family(
        "shiftwatch_day_cpu_seconds",
        "gauge",
        ("model",),
        "seconds",
        "CPU time of the checks in the 24 hours up to the last one, from the history: what "
        "watching costs a day, also after a restart.",
    ),
    Family(
        "shiftwatch_day_energy_joules",
        "gauge",
        ("model",),
        "joules",
        "Energy of the checks in the 24 hours up to the last one; see "
        "shiftwatch_energy_joules_total.",
    ),
    Family(
        "shiftwatch_million_rows_cpu_seconds",
        "gauge",
        ("model",),
        "seconds",
        "CPU time for a million rows of batches, by the 24 hours up to the last check. Use it to "
        "foresee what more traffic costs.",
    ),
    Family(
        "shiftwatch_million_rows_energy_joules",
        "gauge",
        ("model",),
        "joules",
        "Energy for a million rows of batches, by the 24 hours up to the last check.",
    ),
    Family(
        "shiftwatch_watching_cost_ratio",
        "gauge",
        ("model",),
        "ratio",
        "CPU time of the last check but for running the model, over what the model itself needs "
        "for all rows of the batch in one call (batch inference). Absent without a model.",
    ),
    Family(
        "shiftwatch_degraded_total",
        "counter",
        ("model", "step"),
        "",
        "Checks that were made smaller to end within `limits.seconds`, by how far: fewer rows, "
        "then fewer permutations, then no joint tests. If it grows, raise the limit.",
    ),
    Family(
        "shiftwatch_histories_set_aside",
        "gauge",
        (),
        "",
        "Damaged histories that lie beside the one in force, which has what could be read of them. "
        "Above 0, read the log of that start, look after the disk, then take the files away.",
    ),
    Family(
        "shiftwatch_batch_duration_seconds",
        "histogram",
        ("model",),
        "seconds",
        "Seconds from asking for a check to its answer, waiting for a worker included. Near "
        "`limits.seconds` checks are made smaller; the exemplar names the batch.",
    ),
    Family(
        "shiftwatch_payloads_total",
        "counter",
        ("model", "outcome"),
        "",
        "With `source: kserve`, logged requests with their response (`matched`), halves without the "
        "other one, and ids used twice.",
    ),
    Family(
        "shiftwatch_payloads_malformed_total",
        "counter",
        ("model", "reason"),
        "",
        "With `source: kserve`, logged records that could not be used, by reason. If it grows, look at "
        "what the model server logs: the finding `payload_malformed` of the batch has the counts.",
    ),
    Family(
        "shiftwatch_requests_unmatched_total",
        "counter",
        ("model",),
        "",
        "With `source: kserve`, requests without a response within `payloads.join`: failed inferences, "
        "which KServe does not log, or records that were lost.",
    ),
    Family(
        "shiftwatch_coverage_ratio",
        "gauge",
        ("model",),
        "ratio",
        "With `source: kserve`, requests with their response over all requests seen since the start. Far "
        "below 1 the predictions are a part of the traffic, and maybe not one like the rest.",
    ),
    Family(
        "shiftwatch_schedule_events_total",
        "counter",
        ("event",),
        "",
        "Looks for batches that did not go to plan: the clock of the machine was set, one was left "
        "out because another was at work (`overlapped`), failed or was missed. What is due is judged "
        "at the next one; if `overlapped` grows, look less often.",
    ),
    Family(
        "shiftwatch_http_requests_refused_total",
        "counter",
        ("reason",),
        "",
        "Requests that were not answered, by reason. Many `unauthorized`: somebody has no token or a "
        "wrong one, see the log for who; `too_many`: a client asks faster than "
        "`web.requests_per_second`.",
    ),
    Family(
        "shiftwatch_events_received_total",
        "counter",
        ("model",),
        "",
        "With `payloads.receive`, requests and responses that came to `/events/MODEL`, dropped ones "
        "included. If it stands still while the model is asked, its logger sends elsewhere.",
    ),
    Family(
        "shiftwatch_events_dropped_total",
        "counter",
        ("model", "reason"),
        "",
        "Received events that were not kept: `full` is the buffer (`payloads.buffer_mb`), `disk` a "
        "failed write, `busy` too much at once. `forward_full` and `forward_failed` were kept, and "
        "not passed on to `payloads.forward_to`.",
    ),
    Family(
        "shiftwatch_events_buffered",
        "gauge",
        ("model",),
        "",
        "Received events that no batch was made of yet. If it only grows, no batch comes to be: look "
        "at the backlog and the log.",
    ),
    Family(
        "shiftwatch_worker_deaths_total",
        "counter",
        ("model",),
        "",
        "Workers that ended without an answer, which was then asked of another. If it grows, the "
        "system lacks memory: read the log, compare `limits.memory_mb` with the container's limit.",
    ),
)
"""Every metric of ours, in the order of exposition; documentation is made from it."""


def table() -> str:
    """Every metric as a Markdown table, for the documentation."""
    lines = ["| metric | type | labels | unit | meaning |", "|---|---|---|---|---|"]
    for family in FAMILIES:
        labels = ", ".join(f"`{label}`" for label in family.labels)
        cells = (f"`{family.name}`", family.kind, labels, family.unit, family.help)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
