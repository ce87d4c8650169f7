"""Write the generated parts of the README files anew: `make docs`; a test fails if they are stale.

In:    the code's own tables and the stored results of the benchmarks.
Out:   README.md and benchmarks/README.md with the parts between their markers replaced.
Never: writes a figure that a command of the repository did not make.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from shiftwatch.decide import TOLERANCES
from shiftwatch.metrics import table
from shiftwatch.web.routes import ROUTERS

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.speed import stored  # noqa: E402 - the program is started by its path
from benchmarks.speed import table as speed  # noqa: E402

READMES = (ROOT / "README.md", ROOT / "benchmarks" / "README.md")
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
    """What `make calibrate` stored: a row a case, and the levels of every test."""
    path = ROOT / "benchmarks" / "results" / "calibration.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    lines = [
        "| case | rivals or naive | must reach | reached (standard error) | runs | kept |",
        "|---|---|---|---|---|---|",
    ]
    for name, case in sorted(stored.items(), key=lambda item: (item[1]["topic"], item[0])):
        figures = case["headline"] or list(case["figures"])
        reached = "; ".join(_figure(each, case["figures"][each]) for each in figures)
        cells = (name, case["rivals"] or "-", case["target"], reached, str(case["runs"]))
        kept = "yes" if case["kept"] else "**no**"
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in (*cells, kept)) + " |")
    return "\n".join(lines) + "\n"


def _figure(name: str, values: dict[str, float]) -> str:
    text = f"{name} {values['mean']:.3g} ({values['standard_error']:.1g})"
    return f"{text}, median {values['median']:g}" if name == "delay" else text


def levels() -> str:
    """Rates at which every test rejects where nothing has shifted."""
    path = ROOT / "benchmarks" / "results" / "calibration.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    case = next((each for each in stored.values() if each["topic"] == "whole"), {"figures": {}})
    rates: dict[str, dict[str, float]] = {}
    for name, values in case["figures"].items():
        test, _, level = name.rpartition(" at ")
        rates.setdefault(test, {})[level] = values["mean"]
    lines = ["| test (scope) | rejected at .05 | at .01 | at .001 |", "|---|---|---|---|"]
    for test, found in sorted(rates.items()):
        if "0.05" in found:
            cells = " | ".join(f"{found[level]:.4f}" for level in ("0.05", "0.01", "0.001"))
            lines.append(f"| {test} | {cells} |")
    return "\n".join(lines) + "\n"


def tolerances() -> str:
    """The smallest shift that matters by test, and why."""
    lines = ["| test | default tolerance | why |", "|---|---|---|"]
    lines += [f"| `{test}` | {value:g} | {why} |" for test, (value, why) in TOLERANCES.items()]
    return "\n".join(lines) + "\n"


def asked() -> str:
    """Goals of speed and memory, and what was measured."""
    cases = [*stored.cases().values()]
    bench, peers = stored.load(stored.BENCH), stored.load(stored.PEERS)
    return _where(bench) + speed.markdown(speed.asked(cases, bench, peers))


def bench() -> str:
    """What `make bench` stored: seconds and memory of every case."""
    found = stored.load(stored.BENCH)
    return speed.markdown(speed.scipy([*stored.cases().values()], found))


def limits() -> str:
    """What `make bench` stored of the machine's limits."""
    found = stored.load(stored.BENCH)
    return speed.markdown(speed.limits([*stored.cases().values()], found))


def peers() -> str:
    """What `make bench-peers` stored: every peer in every case."""
    found = stored.load(stored.PEERS)
    return _where(found) + speed.markdown(speed.against([*stored.cases().values()], found))


def _where(found: Mapping[str, Any]) -> str:
    """The machine and the days of stored figures, as a sentence."""
    machines = " and ".join(sorted({each["cpu"] for each in found.values()}))
    days = sorted({each["measured"] for each in found.values()})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return f"Measured on {machines}, one thread, {when}.\n\n"


def http() -> str:
    """Every path of the API with its summary, a line each."""
    lines = ["| path | answers |", "|---|---|"]
    found: dict[tuple[str, str], list[str]] = {}
    for router in ROUTERS:
        for route in router.routes:
            if getattr(route, "include_in_schema", False):
                key = (route.path, route.summary)
                found.setdefault(key, []).extend(sorted(route.methods))
    for (path, summary), methods in found.items():
        lines.append(f"| `{' '.join(dict.fromkeys(methods))} {path}` | {summary} |")
    return "\n".join(lines) + "\n"


def reliability() -> str:
    """What `make torture` stored, in a few lines; ``benchmarks/reliability.md`` has all of it."""
    path = ROOT / "benchmarks" / "results" / "torture.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    kills = [each for each in found["faults"] if each["name"].startswith("kill")]
    others = [each["name"] for each in found["faults"] if each not in kills]
    ledgers = [each["batches"] for each in found["faults"]]
    load, tried = found["load"], found["bad_inputs"]["kinds"].values()
    count = {key: sum(each[key] for each in ledgers) for key in ledgers[0]}
    flooded = (
        f"{load['files']} waiting files of {load['models']} models, 50 reports asked for at a "
    )
    flooded += "time: 99th percentile of a scrape"
    rows = (
        ("`kill -9` at every named point of a step, and at random", _sum(kills, "injected")),
        ("other faults: " + ", ".join(others), len(others)),
        ("survived, of all of these", _sum(found["faults"], "survived")),
        ("batches expected, judged", f"{count['expected']}, {count['judged']}"),
        (
            "judged twice, lost, judged differently",
            f"**{count['judged_twice']}, {count['lost']}, {count['different']}**",
        ),
        ("of daemons with an alarm up, ready without showing it", found["asked"]["alarms_missing"]),
        (flooded, f"{1000 * load['scrape_p99_seconds']:.0f} ms"),
        (
            "broken and made-up inputs tried, without a named answer",
            f"{sum(each['tried'] for each in tried)}, {len(found['bad_inputs']['defects'])}",
        ),
    )
    lines = ["| what | how many |", "|---|---|", *(f"| {what} | {many} |" for what, many in rows)]
    return "\n".join(lines) + "\n"


def _sum(faults: list[dict[str, Any]], key: str) -> int:
    return sum(each[key] for each in faults)


PARTS = {
    "metrics": table,
    "http": http,
    "reliability": reliability,
    "rooms": rooms,
    "calibration": calibration,
    "levels": levels,
    "tolerances": tolerances,
    "asked": asked,
    "bench": bench,
    "limits": limits,
    "peers": peers,
}


def written(text: str) -> str:
    """A README with its generated parts as they should be."""
    return _PART.sub(lambda found: found[1] + "\n" + PARTS[found[2]]() + "\n" + found[3], text)


def main() -> int:
    """Write the files; or, with ``--check``, only say by the status whether they are stale."""
    stale = False
    for path in READMES:
        before = path.read_text(encoding="utf-8")
        after = written(before)
        stale |= before != after
        if "--check" not in sys.argv and before != after:
            path.write_text(after, encoding="utf-8")
    return int(stale and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
