"""What a check costs, against scipy, the machine's limits and what is asked: ``make bench``.

Every case runs in processes of its own, in interleaved rounds, on one thread; what is timed is CPU
seconds. The README beside this file says how each figure is got. ``--only TEXT`` runs the cases
whose name contains it and keeps what is stored of the others; ``--quick`` runs the small cases once
and stores nothing; ``--case NAME`` is one round of a case, in this process, and prints JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.speed import stored, table  # noqa: E402 - the program may be started by its path
from benchmarks.speed.clock import child  # noqa: E402
from benchmarks.speed.data import write_tables  # noqa: E402
from benchmarks.speed.harness import Case, Measured, Task, figures  # noqa: E402

_ROUNDS, _REPETITIONS = 3, 3
_LIMIT = 300
"""CPU seconds of one round of a case."""


def one_round(name: str, task: Task) -> Measured:
    """One round of a case in a fresh process on one thread.

    Raises
    ------
    RuntimeError
        If it fails; with what it said.
    """
    command = [sys.executable, __file__, "--case", name]
    command += ["--repetitions", str(task.repetitions), "--folder", str(task.folder)]
    command += ["--alone"] if task.alone else []
    ended = child(command, folder=ROOT, limit=_LIMIT)
    if ended.status:
        how = f"was stopped after {_LIMIT} s" if ended.stopped else f"ended with {ended.status}"
        raise RuntimeError(f"{name} {how}\n{ended.told}")
    return Measured(**json.loads(ended.printed))


def run(chosen: Sequence[Case], rounds: int, repetitions: int, kept: stored.Stored | None) -> int:
    """Run all rounds with a line for each; store after each unless ``kept`` is None.

    A case that fails is said and left out, and its stored figures stay as they were.
    """
    measured: dict[str, list[Measured]] = {}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="shiftwatch-bench-") as name:
        write_tables(Path(name))
        for number in range(rounds):
            for case in (case for case in chosen if case.name not in failed):
                try:
                    made = one_round(case.name, Task(repetitions, Path(name)))
                except RuntimeError as fault:
                    failed[case.name] = str(fault)
                    print(fault, flush=True)
                    continue
                measured.setdefault(case.name, []).append(made)
                found = figures(measured[case.name])
                print(
                    f"round {number + 1}/{rounds}  {case.name:20}  {table.brief(found)}", flush=True
                )
                if kept is not None:
                    about = stored.circumstances() | {"rounds": number + 1}
                    kept[case.name] = about | {"work": case.work, "figures": found}
                    stored.keep(stored.BENCH, kept, [*stored.cases()])
    fresh = {case: {"figures": figures(made)} for case, made in measured.items()}
    print(table.aligned(table.asked(chosen, fresh if kept is None else kept, {})))
    print(table.aligned(table.scipy(chosen, fresh if kept is None else kept)))
    return len(failed)


def main() -> int:
    """Run cases and store the figures; or one round of one case; status 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--quick", action="store_true", help="few cases, once; not stored")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--repetitions", type=int, default=_REPETITIONS)
    parser.add_argument("--case", help="one round of this case, here")
    parser.add_argument("--folder", type=Path, help="where the tables are; for --case")
    parser.add_argument("--alone", action="store_true", help="without scipy; for --case")
    options = parser.parse_args()
    cases = stored.cases()
    if options.case:
        task = Task(options.repetitions, options.folder, options.alone)
        made = cases[options.case].run(task)
        print(json.dumps(asdict(made)))
        return 0
    chosen = [case for case in cases.values() if options.only in case.name]
    if options.quick:
        return int(run([case for case in chosen if case.quick], 1, 1, None) > 0)
    kept = stored.load(stored.BENCH)
    return int(run(chosen, options.rounds, options.repetitions, kept) > 0)


if __name__ == "__main__":
    sys.exit(main())
