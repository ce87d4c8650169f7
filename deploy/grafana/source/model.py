"""The dashboard of one model: whether its data shifted, in what, and whether that can be told.

In:    nothing.
Out:   the dashboard with the uid shiftwatch-model.
Never: says again what the report says of one batch; it shows the course and links to it.
"""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as kinds

from deploy.grafana.source.data import OF, quality, requests
from deploy.grafana.source.shape import (
    BAD,
    BOUND,
    CALM,
    WARN,
    About,
    Column,
    Query,
    choice,
    frame,
    heat,
    lines,
    lines_with_bounds,
    narrowed,
    number,
    rows,
    states,
    word,
)
from deploy.grafana.source.words import SAID, STATES, alarm_code, monitor_code

REPORT = "${report_url}/api/v1/models/${model}/report?format=html"
LAYERS = (
    (
        "check",
        "Evidence of the last batch",
        "The last batch by itself. A peak that goes again is one odd batch; at 1 it raises an alarm.",
    ),
    (
        "window",
        "Evidence of the window",
        (
            "The past batches of a window together: it sees shifts too small for one batch. Empty until "
            "a window is full once."
        ),
    ),
    (
        "pool",
        "Evidence built up",
        (
            "What has built up over past batches; a slow climb is a shift that stays. Empty where the "
            "memory is off."
        ),
    ),
)
MOST_MOVED = (
    "topk(30, max by (feature) (max_over_time("
    f"shiftwatch_feature_effect_ratio{{{OF}}}[$__range] @ end())))"
)
"""The columns that moved most within the time shown: the same ones at every point of it."""

LEAST_LIKELY = (
    "bottomk(10, min by (feature) (min_over_time("
    f"shiftwatch_feature_p_value{{{OF}}}[$__range] @ end())))"
)
"""The columns with the smallest p-values, likewise."""


def detail() -> Any:
    """Everything on one model."""
    board = frame(
        "shiftwatch-model",
        "shiftwatch: model",
        "One model: verdict, evidence, what moved, its data, its cost. Where the same name is "
        "watched in two namespaces, the worse of them is shown: choose one by Filters.",
    )
    address = dashboard.TextBoxVariable("report_url").label("Address of shiftwatch")
    address = address.default_value("http://localhost:9464").description(
        "Where your browser reaches shiftwatch; the links to reports begin with it."
    )
    report = dashboard.DashboardLink("Report of the last batch").url(REPORT).target_blank(True)
    report = report.type(kinds.DashboardLinkType.LINK).icon("doc").tooltip("Opens shiftwatch.")
    board = board.with_variable(
        choice("model", "Model", "shiftwatch_model_info", several=False)
    ).with_variable(narrowed())
    board = board.with_variable(address).link(report)
    for part in (_verdict, _now, _watched, _evidence, _moved, _predictions, quality, requests):
        board = part(board)
    return board


def _verdict(board: Any) -> Any:
    panel = states(
        About(
            "State and alarms",
            "Upper band: whether the monitor can tell. Below: the shift alarm of each scope. Red: "
            "open the report (link above). Other colours but green: the last batch could not be "
            "judged; the runbook has a section for each.",
            "none",
            24,
            8,
        ),
        STATES,
        Query(monitor_code(OF, "model", alarms=False), "monitor"),
        Query(f"max by (scope) ({alarm_code(OF)})", "alarm: {{scope}}"),
    )
    link = dashboard.DashboardLink("Report of the last batch").url(REPORT).target_blank(True)
    panel = panel.links([link.type(kinds.DashboardLinkType.LINK)])
    return board.with_row(dashboard.Row("Verdict")).with_panel(panel).with_panel(_said())


def _said() -> Any:
    """What operators have said, below what it is about."""
    return states(
        About(
            "What operators said",
            "Where a band is blue, an operator has silenced the alarm of a scope, or a known change or "
            "note is in force. A silence holds alerts until its end; the alarms above stay. Who said "
            "what, and why: the page of the model on shiftwatch.",
            "none",
            24,
            6,
        ),
        SAID,
        Query(f"max by (scope) (shiftwatch_silenced{{{OF}}})", "silenced: {{scope}}"),
        Query(
            f'max by (kind) (shiftwatch_annotations{{{OF}, kind!="silence"}}) > bool 0', "{{kind}}"
        ),
    )


def _now(board: Any) -> Any:
    return (
        board.with_panel(
            word(
                About(
                    "Alarm",
                    "Whether a shift alarm is on in any scope. On: open the report, which names the "
                    "columns that moved and by how much.",
                    "none",
                    4,
                    4,
                ),
                Query(f"max({alarm_code(OF)})"),
                {0: ("no shift", CALM), 2: ("SHIFT", BAD)},
            )
        )
        .with_panel(
            number(
                About(
                    "Worst evidence",
                    "Largest evidence of any scope and layer now; at 1 an alarm is raised.",
                    "none",
                    4,
                    4,
                ),
                Query(f"max(shiftwatch_drift_evidence_ratio{{{OF}}})"),
                ((None, CALM), (0.8, WARN), (1, BAD)),
                grow=True,
            )
        )
        .with_panel(
            number(
                About(
                    "Last check",
                    "Time since a batch was last processed. Longer than batches take to come: look "
                    "whether the producer writes, then at Batches waiting below.",
                    "s",
                    4,
                    4,
                ),
                Query(f"time() - max(shiftwatch_last_batch_processed_timestamp_seconds{{{OF}}})"),
            )
        )
        .with_panel(
            number(
                About(
                    "Newest row",
                    "Age of the newest row of the last batch, by its own time. Much more than the time "
                    "since the last check: data arrive late. Empty without a time column.",
                    "s",
                    4,
                    4,
                ),
                Query(f"time() - max(shiftwatch_last_batch_event_timestamp_seconds{{{OF}}})"),
            )
        )
        .with_panel(
            number(
                About(
                    "Rows of the reference",
                    "More rows let the tests see smaller shifts.",
                    "short",
                    4,
                    4,
                ),
                Query(f"max(shiftwatch_reference_rows{{{OF}}})"),
            )
        )
        .with_panel(
            number(
                About(
                    "Expected interval",
                    "How often a batch should come, `expect_every` of the configuration; after three "
                    "times as long the state is stale. None yet: say it, and silence is told of.",
                    "s",
                    4,
                    4,
                ),
                Query(f"max(shiftwatch_expected_batch_interval_seconds{{{OF}}})"),
            )
        )
    )


def _watched(board: Any) -> Any:
    about = About(
        "What is watched",
        "The model and its reference, by digests. After a new release of the model both should have "
        "changed. Empty while the reference cannot be used: the overview page of shiftwatch says why.",
        "none",
        24,
        4,
    )
    headings = {
        "reference_id": "reference",
        "ort_version": "runtime",
        "opset": "opset",
        "model_sha256": "model",
    }
    facts = (
        "max by (model_sha256, opset, ort_version, reference_id) ("
        f"shiftwatch_model_info{{{OF}}} * on (job, instance, model) group_left (reference_id) "
        f"shiftwatch_reference_info{{{OF}}})"
    )
    return board.with_panel(rows(about, headings, (Column(facts, ""),), "model"))


def _evidence(board: Any) -> Any:
    board = board.with_row(dashboard.Row("Evidence of the three layers: 1 raises the alarm"))
    for layer, title, what in LAYERS:
        query = Query(
            f'max by (scope) (shiftwatch_drift_evidence_ratio{{{OF}, layer="{layer}"}})',
            "{{scope}}",
        )
        board = board.with_panel(lines(About(title, what, "none", 8, 9), query, limit=1))
    return board


def _moved(board: Any) -> Any:
    effect = (
        f"max by (feature) (shiftwatch_feature_effect_ratio{{{OF}}}) and on (feature) {MOST_MOVED}"
    )
    p_value = f"clamp_min(min by (feature) (shiftwatch_feature_p_value{{{OF}}}), 1e-9)"
    board = board.with_row(dashboard.Row("What moved")).with_panel(
        heat(
            About(
                "Effect by column",
                "How far each column is from the reference, the largest of its tests; the 30 that "
                "moved most within the time shown. A row that turns dark from one batch on: that "
                "column changed then. All rows at once: look upstream, or at the reference.",
                "percentunit",
                24,
                12,
            ),
            Query(effect, "{{feature}}"),
            most=0.5,
        )
    )
    return (
        board.with_panel(
            lines(
                About(
                    "P-values of columns",
                    "Smallest p-value of each column's tests, not corrected for the number of "
                    "columns, on a logarithmic axis; cut at 1e-9. The ten columns with the smallest "
                    "within the time shown. One alone means little: with 100 columns one is below 0.01 by chance.",
                    "none",
                    12,
                    10,
                ),
                Query(f"{p_value} and on (feature) {LEAST_LIKELY}", "{{feature}}"),
                log=True,
            )
        )
        .with_panel(
            lines(
                About(
                    "P-values of tests",
                    "Smallest p-value of each test, corrected over its columns, on a logarithmic "
                    "axis; cut at 1e-9. Read it beside the effects: with many rows trifles become "
                    "significant.",
                    "none",
                    12,
                    10,
                ),
                Query(
                    f"clamp_min(min by (scope, test) (shiftwatch_test_p_value{{{OF}}}), 1e-9)",
                    "{{scope}}: {{test}}",
                ),
                log=True,
            )
        )
        .with_panel(
            lines_with_bounds(
                About(
                    "Largest effect of inputs, by test",
                    "Largest effect of each test over the inputs, in its own unit, and the least "
                    "it can be. Compare it with `tolerance` of the configuration.",
                    "percentunit",
                    12,
                    9,
                ),
                *_effects("input"),
            )
        )
        .with_panel(
            rows(
                About(
                    "Columns of the last batch",
                    "Every column and test with its effect and p-value, largest effect first. The "
                    "report has pictures of them.",
                    "none",
                    12,
                    9,
                ),
                {"feature": "column", "test": "test"},
                (
                    Column(
                        f"max by (feature, test) (shiftwatch_feature_effect_ratio{{{OF}}})",
                        "effect",
                        "percentunit",
                    ),
                    Column(
                        f"min by (feature, test) (shiftwatch_feature_p_value{{{OF}}})",
                        "p-value",
                        "none",
                        ((None, BAD), (0.001, WARN), (0.01, CALM)),
                    ),
                ),
                "effect",
            )
        )
    )


def _effects(scope: str) -> tuple[Query, Query]:
    of = f'{OF}, scope="{scope}"'
    return (
        Query(f"max by (test) (shiftwatch_test_effect_ratio{{{of}}})", "{{test}}"),
        Query(
            f"max by (test) (shiftwatch_test_effect_lower_bound_ratio{{{of}}})",
            f"{{{{test}}}}, {BOUND}",
        ),
    )


def _predictions(board: Any) -> Any:
    of = f'{OF}, scope="prediction"'
    return (
        board.with_row(dashboard.Row("Predictions"))
        .with_panel(
            lines(
                About(
                    "Evidence on predictions",
                    "Whether what the model answers has shifted, by layer. It rises though the "
                    "inputs are still: their dependence changed, or the model was replaced.",
                    "none",
                    8,
                    9,
                ),
                Query(
                    f"max by (layer) (shiftwatch_drift_evidence_ratio{{{of}}})",
                    "{{layer}}",
                ),
                limit=1,
            )
        )
        .with_panel(
            lines_with_bounds(
                About(
                    "Effect on predictions",
                    "How far predictions are from those on the reference, and the least it can be. "
                    "Large: ask whether decisions made by them still fit.",
                    "percentunit",
                    8,
                    9,
                ),
                *_effects("prediction"),
            )
        )
        .with_panel(
            lines(
                About(
                    "P-values of predictions",
                    "By test, on a logarithmic axis; cut at 1e-9. Small while the effect is small "
                    "too: a trifle that many rows made visible.",
                    "none",
                    8,
                    9,
                ),
                Query(
                    f"clamp_min(min by (test) (shiftwatch_test_p_value{{{of}}}), 1e-9)", "{{test}}"
                ),
                log=True,
            )
        )
    )
