"""The lower half of the dashboard of shiftwatch itself: memory and cost.

In:    a dashboard to put panels on.
Out:   the same with them.
Never: says whether the watch stands.
"""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.source.shape import About, Query, lines

ON = 'instance=~"$instance"'
OURS = f"and on (job, instance) shiftwatch_build_info{{{ON}}}"


def memory(board: Any) -> Any:
    """What the daemon and its worker hold."""
    return (
        board.with_row(dashboard.Row("Memory and files"))
        .with_panel(
            lines(
                About(
                    "Memory of the daemon",
                    "Resident memory of the daemon without its worker. It should be flat: a slope "
                    "over days is a leak, please report it.",
                    "bytes",
                    8,
                    8,
                ),
                Query(f"process_resident_memory_bytes{{{ON}}} {OURS}", "{{instance}}"),
            )
        )
        .with_panel(
            lines(
                About(
                    "Memory of the worker",
                    "Most memory of the last check, by model; the container needs this and that of "
                    "the daemon. Near `limits.memory_mb`: raise it.",
                    "bytes",
                    8,
                    8,
                ),
                Query(f"max by (model) (shiftwatch_check_peak_memory_bytes{{{ON}}})", "{{model}}"),
            )
        )
        .with_panel(
            lines(
                About(
                    "Open files",
                    "File descriptors of the daemon, as a share of those allowed. It climbs towards "
                    "1: something holds connections open.",
                    "percentunit",
                    8,
                    8,
                ),
                Query(f"process_open_fds{{{ON}}} / process_max_fds{{{ON}}} {OURS}", "{{instance}}"),
            )
        )
    )


def cost(board: Any) -> Any:
    """CPU and energy of the checks, now, a day, and for a million rows."""
    return (
        board.with_row(dashboard.Row("Cost"))
        .with_panel(
            lines(
                About(
                    "CPU now",
                    "In cores: checks by model, and the daemon beside them. Size the CPU request "
                    "of the container by it.",
                    "none",
                    8,
                    9,
                ),
                Query(
                    "sum by (model) (rate("
                    f"shiftwatch_cpu_seconds_total{{{ON}}}[$__rate_interval]))",
                    "{{model}}",
                ),
                Query(
                    f"sum(rate(process_cpu_seconds_total{{{ON}}}[$__rate_interval]) {OURS})",
                    "daemon",
                ),
            )
        )
        .with_panel(
            lines(
                About(
                    "CPU a day",
                    "CPU seconds of the checks of the last 24 hours, by model: what watching costs.",
                    "s",
                    8,
                    9,
                ),
                Query(f"max by (model) (shiftwatch_day_cpu_seconds{{{ON}}})", "{{model}}"),
            )
        )
        .with_panel(
            lines(
                About(
                    "CPU for a million rows",
                    "By model, from the last 24 hours. Multiply it by the traffic that you expect.",
                    "s",
                    8,
                    9,
                ),
                Query(f"max by (model) (shiftwatch_million_rows_cpu_seconds{{{ON}}})", "{{model}}"),
            )
        )
        .with_panel(
            lines(
                About(
                    "Power",
                    "Of the checks; rapl was measured, estimate is CPU time times the watts of a "
                    "busy core. `shiftwatch explain energy` tells more.",
                    "watt",
                    8,
                    9,
                ),
                Query(
                    "sum by (source) (rate("
                    f"shiftwatch_energy_joules_total{{{ON}}}[$__rate_interval]))",
                    "{{source}}",
                ),
            )
        )
        .with_panel(
            lines(
                About(
                    "Energy a day",
                    "Of the checks of the last 24 hours, by model. 3.6 MJ are a kilowatt hour.",
                    "joule",
                    8,
                    9,
                ),
                Query(f"max by (model) (shiftwatch_day_energy_joules{{{ON}}})", "{{model}}"),
            )
        )
        .with_panel(
            lines(
                About(
                    "Cost beside the model",
                    "CPU of the last check over what the model itself needs for those rows in one "
                    "call. Large for a small model: take fewer rows (`window.max_rows`) or fewer "
                    "tests.",
                    "none",
                    8,
                    9,
                ),
                Query(
                    f"max by (model) (last_over_time(shiftwatch_watching_cost_ratio{{{ON}}}[1h]))",
                    "{{model}}",
                ),
            )
        )
    )
