"""The lower half of a model's dashboard: its data, its requests, its cost.

In:    a dashboard to put panels on.
Out:   the same with them.
Never: speaks of more than one model.
"""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.source.shape import About, Query, bars, lines, ranking

OF = 'model="$model"'
NOTE = ((None, "blue"), (1, "orange"))


def quality(board: Any) -> Any:
    """Findings, skipped tests, quarantine, outcomes, and what the checks cost."""
    board = board.with_row(dashboard.Row("Data quality"))
    return _cost(_files(_tests(board)))


def _tests(board: Any) -> Any:
    return (
        board.with_panel(
            ranking(
                About(
                    "Findings by code",
                    "Facts about the data that need no statistics, within the time shown; the ten "
                    "most frequent. `shiftwatch explain CODE` says what to make of one.",
                    "short",
                    8,
                    9,
                ),
                Query(
                    "topk(10, sum by (code) "
                    f"(increase(shiftwatch_findings_total{{{OF}}}[$__range])))",
                    "{{code}}",
                ),
                NOTE,
            )
        )
        .with_panel(
            ranking(
                About(
                    "Skipped tests by reason",
                    "Tests that did not run on a column or on all, within the time shown; the ten "
                    "most frequent reasons. Most are harmless, such as no_nulls; `shiftwatch "
                    "explain REASON` says what to make of one.",
                    "short",
                    8,
                    9,
                ),
                Query(
                    "topk(10, sum by (reason) "
                    f"(increase(shiftwatch_tests_skipped_total{{{OF}}}[$__range])))",
                    "{{reason}}",
                ),
            )
        )
        .with_panel(
            bars(
                About(
                    "Tests an hour, by outcome",
                    "Tests of the hour before each point. Any failed: a fault of shiftwatch, "
                    "please report it. Many skipped: see the reasons beside.",
                    "short",
                    8,
                    9,
                ),
                Query(
                    f"sum by (outcome) (increase(shiftwatch_tests_total{{{OF}}}[1h]))",
                    "{{outcome}}",
                ),
            )
        )
    )


def _files(board: Any) -> Any:
    return (
        board.with_panel(
            bars(
                About(
                    "Batches an hour, by outcome",
                    "Batches of the hour before each point. Anything but tested: the producer "
                    "writes what cannot be judged; too_small: make larger batches.",
                    "short",
                    8,
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
                    "Files that cannot be read",
                    "Looked at again: still written or withheld, they often come right. In "
                    "quarantine: given up; the overview page of shiftwatch names them. Mended or "
                    "removed they go.",
                    "short",
                    8,
                    8,
                ),
                Query(f"max(shiftwatch_retried_files{{{OF}}})", "looked at again"),
                Query(f"max(shiftwatch_quarantined_files{{{OF}}})", "in quarantine"),
            )
        )
        .with_panel(
            ranking(
                About(
                    "Files given up, by reason",
                    "Files put into quarantine within the time shown. Above 0: `shiftwatch explain "
                    "quarantine` says what each reason means.",
                    "short",
                    8,
                    8,
                ),
                Query(
                    f"sum by (reason) (increase(shiftwatch_quarantines_total{{{OF}}}[$__range]))",
                    "{{reason}}",
                ),
                NOTE,
            )
        )
    )


def _cost(board: Any) -> Any:
    waiting = f"max(shiftwatch_backlog_oldest_timestamp_seconds{{{OF}}})"
    return (
        board.with_row(dashboard.Row("Pace and cost"))
        .with_panel(
            lines(
                About(
                    "Time of a batch",
                    "Seconds from asking for a check to its verdict: half of the batches took less "
                    "than the lower line, 19 of 20 less than the upper. It climbs: larger batches, "
                    "or a busy machine. Each point names a batch (batch_id): `&batch=ID` behind "
                    "the address of the report opens its report.",
                    "s",
                    8,
                    8,
                ),
                *(
                    Query(
                        f"histogram_quantile({share}, sum by (le) (rate("
                        f"shiftwatch_batch_duration_seconds_bucket{{{OF}}}[$__rate_interval])))",
                        name,
                        exemplars=share == 0.95,
                    )
                    for share, name in ((0.5, "half"), (0.95, "19 of 20"))
                ),
            )
        )
        .with_panel(
            lines(
                About(
                    "Batches waiting",
                    "Batches found and not judged yet. It keeps growing: check more often, make "
                    "larger batches, or give the worker more CPU.",
                    "short",
                    8,
                    8,
                ),
                Query(f"max(shiftwatch_backlog_batches{{{OF}}})", "batches"),
            )
        )
        .with_panel(
            lines(
                About(
                    "How far behind",
                    "Age of the oldest file that waits, 0 while none does. Longer than the pause "
                    "between two checks: judging is slower than batches come.",
                    "s",
                    8,
                    8,
                ),
                Query(
                    f"time() - {waiting} or 0 * max(shiftwatch_backlog_batches{{{OF}}})", "oldest"
                ),
            )
        )
        .with_panel(
            lines(
                About(
                    "CPU of a check",
                    "CPU seconds of the last check. A step up: more rows, more columns, or another "
                    "test; `limits.seconds` bounds it.",
                    "s",
                    8,
                    8,
                ),
                Query(f"max(shiftwatch_check_cpu_seconds{{{OF}}})", "last check"),
            )
        )
        .with_panel(
            lines(
                About(
                    "Memory of a check",
                    "Most memory the worker held in the last check. Keep `limits.memory_mb`, and "
                    "the memory of the container, well above it.",
                    "bytes",
                    8,
                    8,
                ),
                Query(f"max(shiftwatch_check_peak_memory_bytes{{{OF}}})", "peak"),
            )
        )
        .with_panel(
            lines(
                About(
                    "Checks made smaller",
                    "Checks of the 24 hours before each point that were cut to end within "
                    "`limits.seconds`, by how far. It grows: raise that limit, or shifts are seen "
                    "later.",
                    "short",
                    8,
                    8,
                ),
                Query(
                    f"sum by (step) (increase(shiftwatch_degraded_total{{{OF}}}[1d]))",
                    "{{step}}",
                ),
            )
        )
    )


def requests(board: Any) -> Any:
    """What arrives as payload logs of a model server; without them these stay empty."""
    return (
        board.with_row(dashboard.Row("Requests logged by the model server (source: kserve)"))
        .with_panel(
            lines(
                About(
                    "Events",
                    "Requests and responses received a second, and what was lost. Dropped: the "
                    "buffer is too small or the disk too slow. Unmatched: the logger leaves out "
                    "one half. Empty where no payload logs are read.",
                    "cps",
                    8,
                    8,
                ),
                Query(
                    f"sum(rate(shiftwatch_events_received_total{{{OF}}}[$__rate_interval]))",
                    "received",
                ),
                Query(
                    "sum by (reason) "
                    f"(rate(shiftwatch_events_dropped_total{{{OF}}}[$__rate_interval]))",
                    "dropped: {{reason}}",
                ),
                Query(
                    f"sum(rate(shiftwatch_requests_unmatched_total{{{OF}}}[$__rate_interval]))",
                    "unmatched",
                ),
            )
        )
        .with_panel(
            lines(
                About(
                    "Share of requests seen",
                    "Of the requests to the model, the share that is judged. Below 1 the verdicts "
                    "speak of these only; ask whether what is missing is like what is seen.",
                    "percentunit",
                    8,
                    8,
                ),
                Query(f"min(shiftwatch_coverage_ratio{{{OF}}})", "seen"),
            )
        )
        .with_panel(
            lines(
                About(
                    "Events buffered",
                    "Events that wait to become a batch. It keeps growing: batches are cut too "
                    "seldom, and soon events are dropped.",
                    "short",
                    8,
                    8,
                ),
                Query(f"max(shiftwatch_events_buffered{{{OF}}})", "events"),
            )
        )
    )
