"""What a scrape sees: one snapshot as text, and the table of what it may hold.

In:    a Snapshot, the Accept header, names asked for.
Out:   content type and bytes; the table of metrics; evidence gathered by test.
Never: computes a statistic, shows a value of another snapshot, or waits for anything.
"""

from shiftwatch.metrics.exposition import render
from shiftwatch.metrics.families import FAMILIES, Family, table
from shiftwatch.metrics.view import TestView, by_test

__all__ = ["FAMILIES", "Family", "TestView", "by_test", "render", "table"]
