"""The dashboard of shiftwatch itself: whether the watch stands, and what it costs.

In:    nothing.
Out:   the dashboard with the uid shiftwatch-self.
Never: says anything about the data of a model.
"""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.source.shape import (
    BAD,
    CALM,
    WARN,
    About,
    Query,
    bars,
    choice,
    frame,
    from_one,
    lines,
    narrowed,
    number,
    text,
    word,
)
from deploy.grafana.source.spending import ON, cost, memory

WAS_OURS = f"and on (job, instance) last_over_time(shiftwatch_build_info{{{ON}}}[1d])"
SMALL = (4, 4)


def own() -> Any:
    """The daemons themselves."""
    board = frame(
        "shiftwatch-self",
        "shiftwatch: itself",
        "The daemons: whether they run and answer, how long checks take, what they cost.",
    )
    board = board.with_variable(
        choice("instance", "Instance", "shiftwatch_build_info", several=True)
    ).with_variable(narrowed())
    for part in (_health, _scrapes, _latency, _backlog, memory, cost):
        board = part(board)
    return board


def _health(board: Any) -> Any:
    return (
        board.with_row(dashboard.Row("Health"))
        .with_panel(
            number(
                About(
                    "Daemons down",
                    "Daemons of the last day that do not answer scrapes now. Above 0: their models "
                    "are not watched; look at the Pod and its log.",
                    "short",
                    *SMALL,
                ),
                Query(f"count(up{{{ON}}} {WAS_OURS}) - sum(up{{{ON}}} {WAS_OURS})"),
                from_one(),
            )
        )
        .with_panel(
            text(
                About(
                    "Version",
                    "Of the running daemons. Two at a time: an update that has not come to an end.",
                    "none",
                    *SMALL,
                ),
                Query(
                    f"count by (version) (shiftwatch_build_info{{{ON}}})",
                    "{{version}}",
                ),
            )
        )
        .with_panel(
            word(
                About(
                    "Configuration",
                    "Whether the last reload was accepted. If not, the one before it is still in "
                    "force: `shiftwatch check FILE` names the fault.",
                    "none",
                    *SMALL,
                ),
                Query(f"min(shiftwatch_config_last_reload_successful{{{ON}}})"),
                {0: ("refused", BAD), 1: ("accepted", CALM)},
            )
        )
        .with_panel(
            number(
                About(
                    "Last commit",
                    "Time since the history was last written, of the daemon where it is longest "
                    "ago. Old while batches are processed: look at the disk under `store.path`.",
                    "s",
                    *SMALL,
                ),
                Query(f"time() - min(shiftwatch_last_checkpoint_timestamp_seconds{{{ON}}})"),
            )
        )
        .with_panel(
            number(
                About(
                    "Worker deaths",
                    "Workers that ended without an answer within the time shown. Above 0: the "
                    "system lacks memory; compare `limits.memory_mb` with the container's limit.",
                    "short",
                    *SMALL,
                ),
                Query(f"sum(increase(shiftwatch_worker_deaths_total{{{ON}}}[$__range]))"),
                from_one(WARN),
            )
        )
        .with_panel(
            number(
                About(
                    "Histories set aside",
                    "Damaged histories beside the ones in force. Above 0: read the log of that "
                    "start, look after the disk, then take the files away.",
                    "short",
                    *SMALL,
                ),
                Query(f"sum(shiftwatch_histories_set_aside{{{ON}}})"),
                from_one(WARN),
            )
        )
    )


def _scrapes(board: Any) -> Any:
    return (
        board.with_row(dashboard.Row("Scrapes"))
        .with_panel(
            lines(
                About(
                    "Answers",
                    "1 while a daemon answers the scrapes of Prometheus, 0 while it does not. Gaps "
                    "that come again: restarts; see the log and the memory below.",
                    "none",
                    8,
                    7,
                ),
                Query(f"up{{{ON}}} {WAS_OURS}", "{{instance}}"),
            )
        )
        .with_panel(
            lines(
                About(
                    "Time of a scrape",
                    "Close to the timeout of Prometheus (10 s): the machine is starved.",
                    "s",
                    8,
                    7,
                ),
                Query(f"scrape_duration_seconds{{{ON}}} {WAS_OURS}", "{{instance}}"),
            )
        )
        .with_panel(
            lines(
                About(
                    "Series",
                    "Samples of a scrape, and those of columns that its checks left out. Too many for "
                    "your Prometheus: lower `limits.series_per_model`.",
                    "short",
                    8,
                    7,
                ),
                Query(f"scrape_samples_scraped{{{ON}}} {WAS_OURS}", "{{instance}}"),
                Query(
                    f"sum(increase(shiftwatch_series_dropped_total{{{ON}}}[1h]))",
                    "left out, an hour",
                ),
            )
        )
        .with_panel(
            bars(
                About(
                    "Requests refused",
                    "Requests to the web server that were not let in, a minute, by reason. Many: a "
                    "wrong token, or somebody who tries.",
                    "cpm",
                    12,
                    7,
                ),
                Query(
                    "60 * sum by (reason) (rate("
                    f"shiftwatch_http_requests_refused_total{{{ON}}}[$__rate_interval]))",
                    "{{reason}}",
                ),
            )
        )
        .with_panel(
            bars(
                About(
                    "Ticks of the schedule that went wrong",
                    "Of the hour before each point. Overlapped: checks take longer than "
                    "`schedule.every`, look less often. Missed: the machine slept or was starved. "
                    "Failed: see the log. Nothing is lost: the next tick takes up what waits.",
                    "short",
                    12,
                    7,
                ),
                Query(
                    f"sum by (event) (increase(shiftwatch_schedule_events_total{{{ON}}}[1h]))",
                    "{{event}}",
                ),
            )
        )
    )


def _latency(board: Any) -> Any:
    return (
        board.with_row(dashboard.Row("Latency"))
        .with_panel(
            lines(
                About(
                    "Time of a batch, 19 of 20",
                    "19 of 20 batches were judged in less, wall time. Longer than batches take to "
                    "come: the backlog will grow. Each point names a batch (batch_id).",
                    "s",
                    8,
                    9,
                ),
                Query(
                    "histogram_quantile(0.95, sum by (le, model) (rate("
                    f"shiftwatch_batch_duration_seconds_bucket{{{ON}}}[$__rate_interval])))",
                    "{{model}}",
                    exemplars=True,
                ),
            )
        )
        .with_panel(
            lines(
                About(
                    "CPU of a test, 19 of 20",
                    "19 of 20 runs of a test took less, over all models. The largest is the one to "
                    "leave out or to make smaller.",
                    "s",
                    8,
                    9,
                ),
                Query(
                    "histogram_quantile(0.95, sum by (le, test) (rate("
                    f"shiftwatch_test_duration_seconds_bucket{{{ON}}}[$__rate_interval])))",
                    "{{test}}",
                    exemplars=True,
                ),
            )
        )
        .with_panel(
            bars(
                About(
                    "CPU by stage",
                    "What checks spend their CPU on, in cores. `given_up` is what `limits.seconds` "
                    "ended: raise it, or spend less.",
                    "none",
                    8,
                    9,
                ),
                Query(
                    "sum by (stage) (rate("
                    f"shiftwatch_stage_seconds_total{{{ON}}}[$__rate_interval]))",
                    "{{stage}}",
                ),
            )
        )
    )


def _backlog(board: Any) -> Any:
    oldest = f"max by (model) (shiftwatch_backlog_oldest_timestamp_seconds{{{ON}}})"
    return (
        board.with_row(dashboard.Row("Backlog"))
        .with_panel(
            lines(
                About(
                    "Batches waiting",
                    "By model. It keeps growing: check more often, make larger batches, or give "
                    "the worker more CPU.",
                    "short",
                    8,
                    8,
                ),
                Query(f"max by (model) (shiftwatch_backlog_batches{{{ON}}})", "{{model}}"),
            )
        )
        .with_panel(
            lines(
                About(
                    "How far behind",
                    "Age of the oldest file that waits, by model; 0 while none does.",
                    "s",
                    8,
                    8,
                ),
                Query(
                    f"time() - {oldest} or 0 * max by (model) (shiftwatch_backlog_batches{{{ON}}})",
                    "{{model}}",
                ),
            )
        )
        .with_panel(
            bars(
                About(
                    "Faults an hour",
                    "Of the hour before each point: tests that failed, workers that died, checks "
                    "cut short. Failed tests are faults of shiftwatch, please report them.",
                    "short",
                    8,
                    8,
                ),
                Query(
                    f'sum(increase(shiftwatch_tests_total{{{ON}, outcome="failed"}}[1h]))',
                    "failed tests",
                ),
                Query(f"sum(increase(shiftwatch_worker_deaths_total{{{ON}}}[1h]))", "deaths"),
                Query(f"sum(increase(shiftwatch_degraded_total{{{ON}}}[1h]))", "cut short"),
            )
        )
    )
