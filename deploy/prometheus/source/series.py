"""What `promtool test rules` is asked: series, and which alerts come of them.

In:    nothing.
Out:   Case and Told; labels and series that many cases share.
Never: computes what an alert says; the cases say it once more, so that a slip is seen.

Series are written as promtool has them: ``0x4 1x5`` is five times 0, then six times 1, a sample a
minute; ``_`` is a scrape that found nothing, ``stale`` the mark that Prometheus sets when a target
is down. Time begins at 0: a timestamp of 0 is as old as the test, one below 0 is older.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Told:
    """One alert as it should come: its labels besides severity, and its description."""

    description: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """Series, and when an alert fires on them and when it does not."""

    alert: str
    title: str
    series: Mapping[str, str]
    fires: Mapping[str, Sequence[Told]] = field(default_factory=dict)
    quiet: Sequence[str] = ()


A = 'job="shiftwatch",instance="a:9464"'
OF = 'job="shiftwatch",instance="a:9464",model="churn"'
JOB = {"job": "shiftwatch"}
CHURN = {"job": "shiftwatch", "model": "churn"}
INFO = 'shiftwatch_model_info{%s,model_version="",model_sha256="%s",opset="17",ort_version="1"}'
PROCESSED = f"shiftwatch_last_batch_processed_timestamp_seconds{{{OF}}}"
EXPECTED = f"shiftwatch_expected_batch_interval_seconds{{{OF}}}"


def state(name: str) -> str:
    """Series of a state of the monitor."""
    return f'shiftwatch_monitor_state{{{OF},state="{name}"}}'
