"""A run in words: the HTML page, the terminal line, the table, the Markdown text.

In:    Runs.
Out:   text, complete in itself.
Never: imports numpy; opens a connection; shows a row of the data.
"""

from shiftwatch.report.page import render_html
from shiftwatch.report.sentence import verdict_sentence
from shiftwatch.report.text import markdown, run_line, table

__all__ = ["markdown", "render_html", "run_line", "table", "verdict_sentence"]
