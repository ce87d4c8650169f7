"""Stored verdicts computed again from the same bytes, to see whether the same comes out.

In:    a report, or a history; a way to ask the worker.
Out:   what differs, what was compared how closely, and what could not be compared.
Never: changes a history; calls a difference small without saying how small.

``difference`` holds two runs against each other, ``report`` recomputes one from its own
provenance, ``history`` folds all of a model in order.
"""

from shiftwatch.replay.difference import RELATIVE, Agreement, Comparison, Difference, compare
from shiftwatch.replay.history import History, Replayed, replay
from shiftwatch.replay.report import Outcome, read_report, verify

__all__ = [
    "RELATIVE",
    "Agreement",
    "Comparison",
    "Difference",
    "History",
    "Outcome",
    "Replayed",
    "compare",
    "read_report",
    "replay",
    "verify",
]
