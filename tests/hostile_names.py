"""Names that somebody could hide in the data, each to do something where it is shown.

Whatever of it ran in a browser would set ``window.__owned``.
"""

from __future__ import annotations

_RUNS = "window.__owned=1"

NAMES = {
    "script": f"<script>{_RUNS}</script>",
    "closing": f"</title></style></script></textarea><script>{_RUNS}</script>",
    "style": "</style><style>*{display:none}</style><p>",
    "image": f"<img src=x onerror={_RUNS}>",
    "picture": f"</text></svg><svg onload={_RUNS}>",
    "double quote": f'" autofocus tabindex=0 onfocus="{_RUNS}" x="',
    "single quote": f"' autofocus tabindex=0 onfocus='{_RUNS}' x='",
    "unquoted": f"x onmouseover={_RUNS} autofocus onfocus={_RUNS}",
    "entity": f"&lt;img src=x onerror={_RUNS}&gt;&#60;b&#62;",
    "section": f"]]><script>{_RUNS}</script><![CDATA[",
    "comment": f"--><script>{_RUNS}</script><!--",
    "address": f"javascript:{_RUNS}",
    "template": "{{7*7}}{% for x in y %}{# z #}",
    "literal": f"`${{{_RUNS}}}`",
    "document": f'</script><script type="application/json">"}}];{_RUNS}//',
    "direction": "\u202egpj.exe\u2066\u200f",
    "line ends": "one\ntwo\r\n\tthree",
    "separator": "a\u2028b\u2029c\x85d\x0be",
    "zero": "a\x00b",
    "terminal": "\x1b[31mred\x1b]0;title\x07\x9b2J\x1b]8;;http://evil.example\x1b\\",
    "metric": 'a"} 1\nshiftwatch_drift_alarm{model="forged",scope="input"} 1\n# EOF\n',
    "log": 'a\n{"event": "forged"}\r\nforged',
    "formula": '=HYPERLINK("http://evil.example","click")',
    "sum": "@SUM(1+9)*cmd|' /C calc'!A0",
    "table": "`a` | **b** | [c](http://evil.example) | ![d](http://evil.example/x.png)",
    "markdown": "\n\n# Heading\n\n- [x] <b>bold</b> ~~gone~~ https://evil.example",
    "path": "../../../../etc/passwd",
    "backslash": "a\\",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈\ufe0f",
    "flood": "z" + "\u0301\u0489" * 400,
    "arabic": "عمر العميل",
    "wide": "W" * 10_000,
    "long": "<b>" + "x" * 9_997,
    "empty": "",
}
"""By what they try; a Parquet file can hold each of them as a name of a column and as a category."""

NEVER_IN_A_FILE = {"surrogate": f"a\ud800<script>{_RUNS}</script>"}
"""What no Parquet file can hold, but a name of a file as Python reads it, or a body of JSON."""
