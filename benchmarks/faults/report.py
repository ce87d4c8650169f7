"""What was tortured, as a table.

In:    what ``torture.json`` holds.
Out:   Markdown.
Never: writes a figure that is not in the results.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Results = Mapping[str, Any]


def table(results: Results) -> str:
    """Faults, requests, load, bad inputs."""
    return "\n".join([*_head(results), *_faults(results), *_asked(results), *_inputs(results)])


def _head(results: Results) -> Iterator[str]:
    machine = results["machine"]
    yield "# Reliability"
    yield ""
    yield "Written by `make torture` from `results/torture.json`; not to be edited."
    yield ""
    yield (
        f"{results['wall_seconds']} s on {machine['cores']} cores of {machine['cpu']}, "
        f"Python {machine['python']}, seed {results['seed']}."
    )
    yield ""


def _faults(results: Results) -> Iterator[str]:
    yield (
        "| fault | injected | survived | batches expected | judged | judged twice | lost | "
        "verdicts that differ |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for fault in results["faults"]:
        ledger = fault["batches"]
        cells = [fault["name"], fault["injected"], fault["survived"]]
        cells += [ledger[key] for key in ("expected", "judged", "judged_twice", "lost")]
        yield "| " + " | ".join(map(str, [*cells, ledger["different"]])) + " |"
    yield ""
    for name, reason in results["not_tried"].items():
        yield f"Not tried on this machine: {name} ({reason})."
        yield ""


def _asked(results: Results) -> Iterator[str]:
    asked, load = results["asked"], results["load"]
    yield "| asked | |"
    yield "|---|---|"
    yield f"| requests sent while faults were injected | {asked['requests']} |"
    yield f"| answers with 5xx | {asked['server_errors']} |"
    yield f"| slowest scrape | {_ms(asked['slowest_scrape'])} |"
    yield f"| daemons that became ready after a fault | {asked['ready']} |"
    yield f"| of these, with an alarm up before the fault | {asked['alarmed']} |"
    yield f"| of these, that did not show it once ready | {asked['alarms_missing']} |"
    yield ""
    yield f"| load: {load['files']} waiting files, {load['models']} models | |"
    yield "|---|---|"
    yield f"| judged | {load['judged']} in {load['seconds']:g} s |"
    yield f"| judged before an older file of the model | {load['out_of_order']} |"
    yield f"| reports answered, 50 asked for at any time | {load['reports']} |"
    yield f"| of these, refused | {load['refused']} |"
    yield f"| connections that say nothing or do not read | {load['idle_connections']} |"
    yield f"| answers with 5xx | {load['server_errors']} |"
    yield (
        f"| {load['scrapes']} scrapes, one a second: median, 99th percentile, slowest | "
        f"{_ms(load['scrape_median_seconds'])}, {_ms(load['scrape_p99_seconds'])}, "
        f"{_ms(load['scrape_slowest_seconds'])} |"
    )
    yield ""


def _inputs(results: Results) -> Iterator[str]:
    found = results.get("bad_inputs")
    if not found:
        return
    yield "| bad inputs | tried | outcomes |"
    yield "|---|---|---|"
    for name, kind in found["kinds"].items():
        told = ", ".join(f"{outcome}: {count}" for outcome, count in kind["outcomes"].items())
        yield f"| {name} | {kind['tried']} | {told} |"
    yield ""
    yield f"Defects found by these: {len(found['defects'])}."
    yield ""


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"
