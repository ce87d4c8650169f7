"""A run in words: the HTML page, the terminal line, the table, the Markdown text.

In:    Runs.
Out:   text, complete in itself.
Never: imports numpy; opens a connection; shows a row of the data.
"""

from shiftwatch.report.broken import broken_lines
from shiftwatch.report.layers import LAYER_MEANINGS, LAYER_NAMES, crossed, doubts, ratios
from shiftwatch.report.line import run_line
from shiftwatch.report.page import page_style, render_html
from shiftwatch.report.phrase import visible
from shiftwatch.report.sentence import verdict_sentence
from shiftwatch.report.text import markdown, table

__all__ = [
    "LAYER_MEANINGS",
    "LAYER_NAMES",
    "broken_lines",
    "crossed",
    "doubts",
    "markdown",
    "page_style",
    "ratios",
    "render_html",
    "run_line",
    "table",
    "verdict_sentence",
    "visible",
]
