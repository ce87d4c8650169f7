"""Cases of the alerts on shiftwatch itself, firing and not firing.

In:    nothing.
Out:   ABOUT_US.
Never: leaves an alert without a case that never fires.
"""

from __future__ import annotations

from deploy.prometheus.source.series import (
    CHURN,
    EXPECTED,
    INFO,
    JOB,
    OF,
    PROCESSED,
    A,
    Case,
    Told,
    state,
)

_LOADED = f"shiftwatch_config_last_reload_success_timestamp_seconds{{{A}}}"
_BUILD = f'shiftwatch_build_info{{{A},version="0.1.0",revision="",python="3.11.2"}}'
_FAULTY = Told(
    "Model churn: the monitor is in state error; the overview page and the log name the fault.",
    CHURN,
)
_NEVER = Told("Model churn is configured, and not one of its batches was processed.", CHURN)
_UNWATCHED = Told(
    "Model churn was watched within the last 6 hours, and no daemon tells of it now. Ends by itself "
    "if it was taken out on purpose.",
    CHURN,
)

ABOUT_US: tuple[Case, ...] = (
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
            f"up{{{A}}}": "1x4 0x20",
            _BUILD: "1x4 stale",
            'up{job="shiftwatch",instance="b:9464"}': "1x24",
            'shiftwatch_build_info{job="shiftwatch",instance="b:9464",version="0.1.0"}': "1x24",
        },
        {
            "10m": [
                Told(
                    "a:9464 of job shiftwatch does not answer scrapes: its models are not watched.",
                    {**JOB, "instance": "a:9464"},
                )
            ]
        },
        ("9m",),
    ),
    Case(
        "ShiftwatchTargetDown",
        "another program's target is down, which was never ours",
        {'up{job="node",instance="n:9100"}': "0x30", f"up{{{A}}}": "1x30", _BUILD: "1x30"},
        quiet=("30m",),
    ),
    Case(
        "ShiftwatchModelUnwatched",
        "a model vanishes while another stays",
        {
            f"shiftwatch_backlog_batches{{{OF}}}": "0x4 stale",
            f'shiftwatch_backlog_batches{{{A},model="fraud"}}': "0x500",
        },
        {"20m": [_UNWATCHED], "6h": [_UNWATCHED]},
        ("4m", "18m", "6h10m"),
    ),
    Case(
        "ShiftwatchModelUnwatched",
        "a Pod moves",
        {
            f'shiftwatch_backlog_batches{{{OF},pod="a"}}': "0x4 stale",
            'shiftwatch_backlog_batches{job="shiftwatch",instance="b:9464",pod="b",model="churn"}': "_x6 0x60",
        },
        quiet=("5m", "20m", "60m"),
    ),
    Case(
        "ShiftwatchMonitorStale",
        "hourly batches stop",
        {PROCESSED: "0x300", EXPECTED: "3600x300"},
        {
            "4h": [
                Told(
                    "Model churn: the last batch was processed 4h 0m 0s ago, more than 3 times its "
                    "expect_every.",
                    CHURN,
                )
            ]
        },
        ("3h",),
    ),
    Case(
        "ShiftwatchMonitorStale",
        "daily batches are not stale after four hours, nor is a model that expects nothing",
        {
            PROCESSED: "0x300",
            EXPECTED: "86400x300",
            f'shiftwatch_last_batch_processed_timestamp_seconds{{{A},model="fraud"}}': "0x300",
        },
        quiet=("5h",),
    ),
    Case(
        "ShiftwatchNoNewBatches",
        "a model that expects nothing is silent for more than a day",
        {PROCESSED: "-90000x130"},
        {
            "2h": [
                Told(
                    "Model churn: the last batch was processed 1d 3h 0m 0s ago. Say expect_every in "
                    "its configuration, and the alert fits its pace.",
                    CHURN,
                )
            ]
        },
        ("50m",),
    ),
    Case(
        "ShiftwatchNoNewBatches",
        "weekly batches that are expected weekly",
        {PROCESSED: "-90000x130", EXPECTED: "604800x130"},
        quiet=("2h",),
    ),
    Case(
        "ShiftwatchMonitorNeverRan",
        "three hours without a first batch, while the model file was exchanged",
        {
            INFO % (OF, "aa"): "1x60 stale",
            INFO % (OF, "bb"): "_x61 1x200",
        },
        {"181m": [_NEVER]},
        ("179m",),
    ),
    Case(
        "ShiftwatchMonitorNeverRan",
        "a daily model has three days and three hours",
        {INFO % (OF, "aa"): "1x300", EXPECTED: "86400x300", _LOADED: "-255600x300"},
        {"245m": [_NEVER]},
        ("200m", "239m"),
    ),
    Case(
        "ShiftwatchMonitorNeverRan",
        "the first batch came",
        {INFO % (OF, "aa"): "1x300", PROCESSED: "_x100 6000x200", _LOADED: "0x300"},
        quiet=("5h",),
    ),
    Case(
        "ShiftwatchMonitorError",
        "a model cannot be watched",
        {state("error"): "1x40"},
        {"16m": [_FAULTY]},
        ("14m",),
    ),
    Case(
        "ShiftwatchMonitorError",
        "one failed check that the next one makes good",
        {state("error"): "0x4 1x5 0x30"},
        quiet=("6m", "20m", "30m"),
    ),
    Case(
        "ShiftwatchReferenceMissing",
        "a model without a reference",
        {INFO % (OF, "aa"): "1x40"},
        {"11m": [Told("Model churn: no reference is prepared, so nothing is compared.", CHURN)]},
        ("9m",),
    ),
    Case(
        "ShiftwatchReferenceMissing",
        "a reference that takes five minutes to prepare",
        {
            INFO % (OF, "aa"): "1x40",
            f'shiftwatch_reference_info{{{OF},reference_id="1",reference_sha256="11",schema_sha256="2"}}': "_x5 1x40",
        },
        quiet=("4m", "20m", "40m"),
    ),
    Case(
        "ShiftwatchBatchBacklog",
        "twelve batches wait for half an hour",
        {f"shiftwatch_backlog_batches{{{OF}}}": "12x60"},
        {"31m": [Told("Model churn: 12 batches wait; a shift is seen late.", CHURN)]},
        ("29m",),
    ),
    Case(
        "ShiftwatchBatchBacklog",
        "a restart finds many batches and works them off",
        {f"shiftwatch_backlog_batches{{{OF}}}": "40-2x20 0x40"},
        quiet=("10m", "40m"),
    ),
    Case(
        "ShiftwatchConfigReloadFailed",
        "a bad file is refused, then mended",
        {f"shiftwatch_config_last_reload_successful{{{A}}}": "1x4 0x10 1x5"},
        {
            "11m": [
                Told("The last reload failed; the configuration before it is still in force.", JOB)
            ]
        },
        ("4m", "9m", "16m"),
    ),
    Case(
        "ShiftwatchConfigReloadFailed",
        "every reload was accepted",
        {f"shiftwatch_config_last_reload_successful{{{A}}}": "1x30"},
        quiet=("30m",),
    ),
    Case(
        "ShiftwatchTestsFailing",
        "one test fails, the others run",
        {
            f'shiftwatch_tests_total{{{OF},test="mmd",outcome="failed"}}': "0x9 0+1x60",
            f'shiftwatch_tests_total{{{OF},test="ks",outcome="run"}}': "0+1x70",
        },
        {
            "70m": [
                Told(
                    "Model churn: test mmd failed 60 times within an hour; the other tests go on.",
                    {**CHURN, "test": "mmd"},
                )
            ]
        },
        ("9m",),
    ),
    Case(
        "ShiftwatchTestsFailing",
        "tests are skipped",
        {
            f'shiftwatch_tests_total{{{OF},test="mmd",outcome="failed"}}': "0x70",
            f'shiftwatch_tests_total{{{OF},test="mmd",outcome="skipped"}}': "0+1x70",
        },
        quiet=("70m",),
    ),
    Case(
        "ShiftwatchWorkerDeaths",
        "a worker dies every ten minutes",
        {f"shiftwatch_worker_deaths_total{{{OF}}}": "0x9 1x9 2x9 3x9 4x9 5x9 6x9 7x9"},
        {
            "70m": [
                Told(
                    "Model churn: 6 workers ended without an answer within an hour.",
                    CHURN,
                )
            ]
        },
        ("9m",),
    ),
    Case(
        "ShiftwatchWorkerDeaths",
        "one worker died",
        {f"shiftwatch_worker_deaths_total{{{OF}}}": "0x29 1x60"},
        quiet=("31m", "80m"),
    ),
    Case(
        "ShiftwatchScheduleFailed",
        "a look ends in a fault",
        {f'shiftwatch_schedule_events_total{{{A},event="failed"}}': "0x9 1x100"},
        {
            "60m": [
                Told(
                    "1 looks within an hour ended in a fault. What is due comes from the history, so "
                    "the next look makes up for it.",
                    JOB,
                )
            ]
        },
        ("9m", "75m"),
    ),
    Case(
        "ShiftwatchScheduleFailed",
        "looks that come while another goes on are no fault",
        {
            f'shiftwatch_schedule_events_total{{{A},event="failed"}}': "0x60",
            f'shiftwatch_schedule_events_total{{{A},event="overlapped"}}': "0+1x60",
        },
        quiet=("60m",),
    ),
    Case(
        "ShiftwatchHistorySetAside",
        "a damaged history lies there",
        {f"shiftwatch_histories_set_aside{{{A}}}": "1x10"},
        {
            "5m": [
                Told(
                    "1 damaged histories lie beside the one in force, which holds what could be read "
                    "of them.",
                    JOB,
                )
            ]
        },
    ),
    Case(
        "ShiftwatchHistorySetAside",
        "no history was ever damaged",
        {f"shiftwatch_histories_set_aside{{{A}}}": "0x10"},
        quiet=("10m",),
    ),
    Case(
        "ShiftwatchChecksDegraded",
        "every check is made smaller",
        {f'shiftwatch_degraded_total{{{OF},step="subsample"}}': "0+1x360"},
        {
            "360m": [
                Told(
                    "Model churn: 360 checks of the last 6 hours were made smaller to end within "
                    "limits.seconds; they see only larger shifts.",
                    CHURN,
                )
            ]
        },
        ("1m",),
    ),
    Case(
        "ShiftwatchChecksDegraded",
        "one check was made smaller while the machine was busy",
        {f'shiftwatch_degraded_total{{{OF},step="subsample"}}': "0x99 1x300"},
        quiet=("101m", "360m"),
    ),
    Case(
        "ShiftwatchMemoryHigh",
        "the daemon holds ten times what it needs",
        {f"process_resident_memory_bytes{{{A}}}": "524288000x60", _BUILD: "1x60"},
        {
            "31m": [
                Told(
                    "a:9464 holds 500MiB in its own process, which idles at a sixth of what is "
                    "allowed.",
                    {**JOB, "instance": "a:9464"},
                )
            ]
        },
        ("29m",),
    ),
    Case(
        "ShiftwatchMemoryHigh",
        "the daemon is small, and another program is large",
        {
            f"process_resident_memory_bytes{{{A}}}": "60000000x60",
            _BUILD: "1x60",
            'process_resident_memory_bytes{job="node",instance="n:9100"}': "900000000x60",
        },
        quiet=("60m",),
    ),
    Case(
        "ShiftwatchRequestsRefused",
        "somebody tries tokens",
        {f'shiftwatch_http_requests_refused_total{{{A},reason="unauthorized"}}': "0+60x60"},
        {
            "30m": [
                Told(
                    "900 requests within 15 minutes were refused, reason unauthorized.",
                    {**JOB, "reason": "unauthorized"},
                )
            ]
        },
    ),
    Case(
        "ShiftwatchRequestsRefused",
        "a forgotten token now and then",
        {f'shiftwatch_http_requests_refused_total{{{A},reason="unauthorized"}}': "0+1x60"},
        quiet=("30m", "60m"),
    ),
)
