"""Write the generated parts of README.md anew: `make docs`; a test fails when they are stale.

In:    the code's own tables and the stored results of the benchmarks.
Out:   README.md with the parts between its markers replaced.
Never: writes a figure that a command of the repository did not make.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from shiftwatch.metrics import table

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
_PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def rooms() -> str:
    """Every module's or package's card, as a table."""
    lines = ["| room | what it is | in | out | never |", "|---|---|---|---|---|"]
    for name, text in _cards():
        first, _, rest = text.partition("\n")
        parts = {key: _entry(rest, key) for key in ("In", "Out", "Never")}
        cells = (f"`{name}`", first.rstrip("."), parts["In"], parts["Out"], parts["Never"])
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _cards() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "shiftwatch").iterdir()):
        source = path / "__init__.py" if path.is_dir() else path
        if source.suffix == ".py" and source.exists() and path.name != "__init__.py":
            card = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8")))
            yield path.name + ("/" if path.is_dir() else ""), card or ""


def _entry(text: str, key: str) -> str:
    found = re.search(rf"^{key}: +(.*?)(?=^\w+: |^$|\Z)", text, re.DOTALL | re.MULTILINE)
    return " ".join(found[1].split()).rstrip(".") if found else ""


def calibration() -> str:
    """What `make calibrate` stored."""
    path = ROOT / "benchmarks" / "results" / "calibration.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    expected = stored["checks"] / stored["per_checks"]
    alarms = (
        f"**{stored['alarms']} alarms in {stored['checks']} checks without a shift; "
        f"promised: at most {expected:g} expected.**"
    )
    lines = [
        alarms,
        "",
        "| test (scope) | runs | rejected at .05 | at .01 | at .001 |",
        "|---|---|---|---|---|",
    ]
    for row in stored["tests"]:
        rates = " | ".join(f"{rate:.4f}" for rate in row["rates"].values())
        lines.append(f"| {row['test']} | {row['runs']} | {rates} |")
    return "\n".join(lines) + "\n"


def written(text: str) -> str:
    """The README with its generated parts as they should be."""
    parts = {"metrics": table, "rooms": rooms, "calibration": calibration}
    return _PART.sub(lambda found: found[1] + "\n" + parts[found[2]]() + "\n" + found[3], text)


if __name__ == "__main__":
    before = README.read_text(encoding="utf-8")
    if "--check" in sys.argv:
        sys.exit(before != written(before))
    README.write_text(written(before), encoding="utf-8")
