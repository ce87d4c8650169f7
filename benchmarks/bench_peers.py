"""What others take for the same work: ``make bench-peers``.

Each peer is installed as pinned in `benchmarks/peers` into an environment of its own below
`.peers`, and runs the same data as we do, in fresh processes, by turns with ours. ``--only TEXT``
runs the cells whose case or peer contains it and keeps what is stored of the others; ``--setup``
only installs. Processes that take long run in one round only, and none for more than two minutes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.bench import one_round  # noqa: E402 - the program may be started by its path
from benchmarks.speed import stored, table  # noqa: E402
from benchmarks.speed.clock import child  # noqa: E402
from benchmarks.speed.harness import Measured, Task, ratio, spread  # noqa: E402
from benchmarks.speed.peers import CELLS, Cell, Told, ask, difference, environment, names  # noqa: E402

_ROUNDS, _REPETITIONS = 3, 3
_LONG = 8.0
"""CPU seconds of a process from which one round must do."""

Rounds = list[tuple[Told, Measured]]


def run_case(case: str, cells: Mapping[str, Cell], options: argparse.Namespace) -> dict[str, Any]:
    """All rounds of a case: in each, a peer, ours, the next peer, ours."""
    made: dict[str, Rounds] = {peer: [] for peer in cells}
    with tempfile.TemporaryDirectory(prefix="shiftwatch-peers-") as name:
        folder = Path(name)
        _write(case, folder)
        task = Task(options.repetitions, folder, alone=True)
        for number in range(options.rounds):
            for peer in (peer for peer, rounds in made.items() if not _settled(rounds)):
                told = _told(peer, case, task)
                ours = Measured() if told.fault else one_round(case, task)
                made[peer].append((told, ours))
                print(f"round {number + 1}  {case:20} {peer:14} {_said(told, ours)}", flush=True)
    return {peer: entry(cells[peer], rounds) for peer, rounds in made.items()}


def _write(case: str, folder: Path) -> None:
    """Write the data in a process of its own: what it holds would count as the peers' memory."""
    ended = child([sys.executable, "-m", "benchmarks.speed.data", case, str(folder)], folder=ROOT)
    if ended.status:
        raise RuntimeError(ended.told)


def _settled(rounds: Rounds) -> bool:
    """Whether a peer has failed, or takes so long that one round must do."""
    return any(told.fault or told.cost > _LONG for told, _ in rounds)


def _told(peer: str, case: str, task: Task) -> Told:
    fault = environment(peer)
    return Told(fault=fault) if fault else ask(peer, case, task.folder, task.repetitions)


def _said(told: Told, ours: Measured) -> str:
    if told.fault:
        return told.fault
    theirs, mine = (table.short(statistics.median(each.seconds)) for each in (told, ours))
    return f"{theirs} s, ours {mine} s"


def entry(cell: Cell, rounds: Rounds) -> dict[str, Any]:
    """What is stored of a peer in a case; no ratio where its answers are not ours."""
    told, ours = rounds[0]
    made: dict[str, Any] = {"version": told.version, "scaled": told.scaled, "rounds": len(rounds)}
    fault = next((each.fault for each, _ in rounds if each.fault), "")
    made["fault"] = fault or difference(cell, ours.answers, told)
    made["figures"] = {}
    if not fault:
        made["answers"] = {"statistic": told.statistic[:1], "p_value": told.p_value[:1]}
        made["figures"] = {
            "seconds": spread([each for one, _ in rounds for each in one.seconds]),
            "ours seconds": spread([each for _, one in rounds for each in one.seconds]),
            **{key: spread([one.facts[key] for one, _ in rounds]) for key in told.facts},
        }
    if not made["fault"]:
        ratios = [ratio(one.seconds, other.seconds) for one, other in rounds]
        made["figures"]["ratio"] = spread(ratios)
    return made


def chosen(only: str) -> dict[str, dict[str, Cell]]:
    """Cells whose case or peer contains a text."""
    found = {
        case: {peer: cell for peer, cell in cells.items() if only in case or only in peer}
        for case, cells in CELLS.items()
    }
    return {case: cells for case, cells in found.items() if cells}


def main() -> int:
    """Install, run, store after every case, print the tables; status 1 if a case of ours failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cells whose case or peer contains this")
    parser.add_argument("--setup", action="store_true", help="install the peers and stop")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--repetitions", type=int, default=_REPETITIONS)
    options = parser.parse_args()
    if options.setup:
        for peer in names():
            print(f"{peer:14} {environment(peer) or 'ready'}", flush=True)
        return 0
    kept = stored.load(stored.PEERS)
    wanted = chosen(options.only)
    failed = 0
    for case, cells in wanted.items():
        try:
            found = run_case(case, cells, options)
        except RuntimeError as fault:  # ours failed; the other cases may not
            print(fault, flush=True)
            failed += 1
            continue
        others = kept.get(case, {}).get("peers", {})
        about = stored.circumstances()
        kept[case] = about | {
            "peers": {p: (others | found)[p] for p in CELLS[case] if p in others | found}
        }
        stored.keep(stored.PEERS, kept, [*CELLS])
    cases = [case for name, case in stored.cases().items() if name in wanted]
    print(table.aligned(table.against(cases, kept)))
    print(table.aligned(table.asked(cases, stored.load(stored.BENCH), kept)))
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
