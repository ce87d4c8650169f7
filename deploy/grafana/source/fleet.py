"""The dashboard of all models: which of them needs a look.

In:    nothing.
Out:   the dashboard with the uid shiftwatch-fleet.
Never: shows columns of data; that is for the dashboard of a model.
"""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.source.shape import (
    BAD,
    CALM,
    WARN,
    About,
    Column,
    Query,
    bars,
    choice,
    frame,
    from_one,
    lines,
    linked,
    narrowed,
    number,
    rows,
    states,
)
from deploy.grafana.source.words import STATES, monitor_code

OF = 'model=~"$model"'
EACH = "namespace, model"
NAME = "{{namespace}} {{model}}"


def worst(metric: str, more: str = "") -> str:
    """The largest value of each model, wherever it is watched."""
    return f"max by ({EACH}) ({metric}{{{OF}{more}}})"


AGE = f"time() - {worst('shiftwatch_last_batch_processed_timestamp_seconds')}"
EVIDENCE = worst("shiftwatch_drift_evidence_ratio")
ALARM = worst("shiftwatch_drift_alarm")
SILENCED = worst("shiftwatch_silenced")
QUIET = worst("shiftwatch_monitor_state", ', state!="ok"')


def fleet() -> Any:
    """All models at a glance."""
    board = frame(
        "shiftwatch-fleet",
        "shiftwatch: fleet",
        "All watched models at a glance: which are in alarm, which cannot be judged. A model of the "
        "same name in two namespaces is two rows.",
    )
    board = board.with_variable(
        choice("model", "Model", "shiftwatch_model_info", several=True)
    ).with_variable(narrowed())
    for part in (_now, _each, _course):
        board = part(board)
    return board


def _now(board: Any) -> Any:
    return (
        board.with_row(dashboard.Row("Now"))
        .with_panel(
            number(
                About(
                    "Models",
                    "Models that are watched. Fewer than configured: a daemon is down or not "
                    "scraped; see the dashboard of shiftwatch itself.",
                    "short",
                    4,
                    4,
                ),
                Query(f"count({worst('shiftwatch_model_info')})"),
            )
        )
        .with_panel(
            number(
                About(
                    "In alarm",
                    "Models with a shift alarm in any scope. Above 0: open the model in the table "
                    "below, then its report. Many at once: look for what they share, such as a "
                    "feature pipeline.",
                    "short",
                    4,
                    4,
                ),
                Query(f"sum({ALARM})"),
                from_one(),
            )
        )
        .with_panel(
            number(
                About(
                    "Cannot be judged",
                    "Models whose monitor is in any state but ok; for them no alarm means nothing. "
                    "Above 0: the table below names the state, the runbook what to do.",
                    "short",
                    4,
                    4,
                ),
                Query(f"sum({QUIET})"),
                from_one(WARN),
            )
        )
        .with_panel(
            number(
                About(
                    "Worst evidence",
                    "Largest evidence over its threshold, of any model, scope and layer; 1 raises "
                    "an alarm. Near 1: something may be on its way.",
                    "none",
                    4,
                    4,
                ),
                Query(f"max({EVIDENCE})"),
                ((None, CALM), (0.8, WARN), (1, BAD)),
            )
        )
        .with_panel(
            number(
                About(
                    "Oldest check",
                    "Age of the last processed batch of the model that waits longest. Older than "
                    "its batches come: the producer or the daemon has stopped.",
                    "s",
                    4,
                    4,
                ),
                Query(f"max({AGE})"),
                ((None, CALM), (26 * 3600, WARN), (72 * 3600, BAD)),
            )
        )
        .with_panel(
            number(
                About(
                    "Files given up",
                    "Broken files in quarantine. Above 0: the overview page of shiftwatch names "
                    "them with the reason; mended or removed they go.",
                    "short",
                    4,
                    4,
                ),
                Query(f"sum({worst('shiftwatch_quarantined_files')})"),
                from_one(WARN),
            )
        )
    )


def _each(board: Any) -> Any:
    columns = (
        Column(worst_state(), ""),
        Column(ALARM, "alarm", "bool_on_off", from_one()),
        Column(SILENCED, "silenced", "bool_on_off"),
        Column(EVIDENCE, "worst evidence", "none", from_one()),
        Column(AGE, "last check", "s"),
        Column(worst("shiftwatch_backlog_batches"), "waiting"),
        Column(worst("shiftwatch_quarantined_files"), "given up", "short", from_one(WARN)),
        Column(worst("shiftwatch_day_cpu_seconds"), "CPU a day", "s"),
    )
    about = About(
        "Every model",
        "Every model, worst evidence first. Click a name for its dashboard. An evidence of 1 and "
        "more raises the alarm; without one the model was never judged. In any state but ok the "
        "monitor cannot tell, whatever the alarm says. Silenced: an operator holds the alerts of a "
        "scope or of all until an end.",
        "none",
        24,
        9,
    )
    headings = {"namespace": "namespace", "model": "model", "state": "state"}
    panel = rows(about, headings, columns, "worst evidence")
    panel = linked(
        panel,
        "model",
        "Open ${__value.raw}",
        "/d/shiftwatch-model/?var-datasource=${datasource}&var-model=${__value.raw}",
    )
    return board.with_row(dashboard.Row("Each model")).with_panel(panel)


def worst_state() -> str:
    """The state of each model, as a label."""
    return f"max by ({EACH}, state) (shiftwatch_monitor_state{{{OF}}} == 1)"


def _course(board: Any) -> Any:
    return (
        board.with_row(dashboard.Row("Over time"))
        .with_panel(
            states(
                About(
                    "State of each model",
                    "Red: a shift alarm. Other colours but green: the monitor cannot tell. Several "
                    "bands that turn at one time have one cause.",
                    "none",
                    24,
                    9,
                ),
                STATES,
                Query(monitor_code(OF, EACH, alarms=True), NAME),
            )
        )
        .with_panel(
            lines(
                About(
                    "Worst evidence by model",
                    "Largest evidence of any scope and layer; the red ground begins at 1, where "
                    "alarms are raised. A slow climb is a drift that builds up: open the model.",
                    "none",
                    24,
                    9,
                ),
                Query(EVIDENCE, NAME),
                limit=1,
            )
        )
        .with_panel(
            lines(
                About(
                    "Share of models in alarm",
                    "Of the chosen models, the share with a shift alarm. A step up of many at once "
                    "points to a shared cause upstream.",
                    "percentunit",
                    12,
                    8,
                ),
                Query(f"avg({ALARM})", "in alarm"),
                Query(f"avg({QUIET.replace('max by', 'sum by')})", "cannot be judged"),
            )
        )
        .with_panel(
            bars(
                About(
                    "Alarms raised a day",
                    "Alarms of the 24 hours before each point, by model. More than the promised "
                    "rate of false alarms allows are not chance: see the reports.",
                    "short",
                    12,
                    8,
                ),
                Query(f"sum by ({EACH}) (increase(shiftwatch_alarms_total{{{OF}}}[1d]))", NAME),
            )
        )
        .with_panel(
            bars(
                About(
                    "Batches judged an hour, by outcome",
                    "Batches of the hour before each point. Outcomes but tested: look at the "
                    "producer of the batches.",
                    "short",
                    12,
                    8,
                ),
                Query(
                    f"sum by (outcome) (increase(shiftwatch_batches_total{{{OF}}}[1h]))",
                    "{{outcome}}",
                ),
            )
        )
        .with_panel(
            lines(
                About(
                    "Batches waiting",
                    "Batches found and not judged yet. A line that keeps growing: check more often, "
                    "make larger batches, or give the worker more CPU.",
                    "short",
                    12,
                    8,
                ),
                Query(worst("shiftwatch_backlog_batches"), NAME),
            )
        )
    )
