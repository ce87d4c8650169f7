"""A run in words: the HTML page, the terminal line, the table, the Markdown text, the CSV.

In:    Runs.
Out:   text, complete in itself.
Never: imports numpy; opens a connection; shows a row of the data.
"""

from shiftwatch.report.broken import broken_lines
from shiftwatch.report.formats import ENDINGS, FORMATS, MEDIA_TYPES, Format
from shiftwatch.report.layers import LAYER_MEANINGS, LAYER_NAMES, crossed, doubts, ratios
from shiftwatch.report.line import run_line
from shiftwatch.report.page import page_style, render_html
from shiftwatch.report.phrase import visible
from shiftwatch.report.sentence import verdict_sentence
from shiftwatch.report.spreadsheet import CSV_FIELDS, csv_table
from shiftwatch.report.text import markdown, table

__all__ = [
    "CSV_FIELDS",
    "ENDINGS",
    "FORMATS",
    "LAYER_MEANINGS",
    "LAYER_NAMES",
    "MEDIA_TYPES",
    "Format",
    "broken_lines",
    "crossed",
    "csv_table",
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
