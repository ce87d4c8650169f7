"""Recording rules: a fleet of models at a glance.

In:    how long the last value of a daemon that does not answer counts.
Out:   recordings, by names of the form level:metric:operation.
Never: holds a threshold.
"""

from __future__ import annotations

from shiftwatch.alerts.shape import Recording, Thresholds, latest

MODEL_FACTS = ("model_version", "model_sha256", "opset", "ort_version")
"""Labels of ``shiftwatch_model_info`` that change while the model stays the same one."""


def recordings(thresholds: Thresholds) -> tuple[Recording, ...]:
    """Every recording rule, in the order of evaluation."""
    span = thresholds.outage
    models = latest("shiftwatch_model_info", span, without=MODEL_FACTS)
    alarms = latest("shiftwatch_drift_alarm", span, without=("scope",))
    evidence = latest("shiftwatch_drift_evidence_ratio", span, without=("scope", "layer"))
    fine = latest('shiftwatch_monitor_state{state="ok"}', span, without=("state",))
    processed = latest("shiftwatch_last_batch_processed_timestamp_seconds", span)
    return (
        Recording(
            "model:shiftwatch_drift_alarm:max",
            alarms,
            "1 while a model has an alarm of any scope",
        ),
        Recording(
            "model:shiftwatch_drift_evidence_ratio:max",
            evidence,
            "the worst evidence of a model over all scopes and layers; at 1 an alarm rises",
        ),
        Recording(
            "model:shiftwatch_last_check_age:seconds",
            f"time() - {processed}",
            "time since a batch of a model was last processed",
        ),
        Recording(
            "shiftwatch:models:count",
            f"count({models})",
            "how many models are watched, by all daemons that are scraped",
        ),
        Recording(
            "shiftwatch:models_in_alarm:ratio",
            "avg(model:shiftwatch_drift_alarm:max)",
            "share of the models with an alarm of any scope, 0 to 1",
        ),
        Recording(
            "shiftwatch:models_not_ok:ratio",
            f"1 - avg({fine})",
            "share of the models of which nothing can be told at the moment, 0 to 1",
        ),
    )
