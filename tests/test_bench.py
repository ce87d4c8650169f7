"""The harness of the benchmarks; `make bench` and `make bench-peers` do the measuring."""

from __future__ import annotations

import doctest
import json
import sys
import time
from pathlib import Path

import pytest

from benchmarks.bench_peers import chosen, entry
from benchmarks.speed import clock, harness, peers, stored, table
from benchmarks.speed.harness import Case, Goal, Measured, Task, faster, figures
from benchmarks.speed.peers import CELLS, PROGRAMS, Cell, Told, difference

CASES = stored.cases()
ASKED_OF_PEERS = {"nannyml", "whylogs", "alibi_detect", "goodpoints"}
"""Of whom a goal of the cases speaks, besides scipy and the floor."""


def measured(task: Task) -> Measured:
    del task
    return Measured()


@pytest.mark.parametrize("module", [harness, table], ids=lambda module: module.__name__)
def test_the_examples_of_the_harness_hold(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


def test_names_of_cases_are_their_own_and_every_goal_is_a_figure_someone_measures() -> None:
    assert all(name == case.name for name, case in CASES.items())
    for case in CASES.values():
        for goal in case.goals:
            name, unit = harness.split_unit(goal.figure)
            if unit == "x" and name not in {"scipy", harness.FLOOR}:
                assert name in CELLS[case.name], goal.text


def test_every_case_has_a_stored_result_with_the_figures_its_goals_ask_for() -> None:
    bench = stored.load(stored.BENCH)
    assert list(bench) == list(CASES)
    for name, case in CASES.items():
        figures_ = bench[name]["figures"]
        for goal in case.goals:
            peer, unit = harness.split_unit(goal.figure)
            assert goal.figure in figures_ or (unit == "x" and peer in CELLS[name]), goal.text


def test_every_cell_of_a_peer_has_a_stored_result_or_a_reason() -> None:
    found = stored.load(stored.PEERS)
    assert {case: set(each["peers"]) for case, each in found.items()} == {
        case: set(cells) for case, cells in CELLS.items()
    }
    for each in found.values():
        for told in each["peers"].values():
            assert told["fault"] or "ratio" in told["figures"]


def test_every_peer_has_a_program_and_pins_without_a_place_they_come_from() -> None:
    assert set(peers.names()) >= ASKED_OF_PEERS
    for peer in peers.names():
        assert (PROGRAMS / f"{peer}.py").exists()
        lines = (PROGRAMS / f"{peer}.txt").read_text(encoding="utf-8").splitlines()
        pins = [line for line in lines if not line.startswith("#")]
        assert pins
        assert all("==" in pin and "/" not in pin for pin in pins)


def test_a_ratio_is_taken_within_a_round_and_the_floor_is_what_we_are_above() -> None:
    rounds = [
        Measured([1.0], {"scipy": [10.0], "floor": [0.5]}),
        Measured([4.0], {"scipy": [8.0], "floor": [1.0]}),
    ]
    made = figures(rounds)
    assert made["scipy ratio"] == {"median": 6.0, "min": 2.0, "max": 10.0}
    assert made["floor ratio"] == {"median": 3.0, "min": 2.0, "max": 4.0}


def test_a_table_says_reached_only_of_what_was_measured() -> None:
    case = Case("c", "work", measured, (Goal("seconds", 0.1), faster("a", 2), faster("b", 2)))
    bench = {"c": {"figures": {"seconds": {"median": 0.2, "min": 0.05, "max": 0.3}}}}
    told = {"figures": {"ratio": {"median": 3.0, "min": 3.0, "max": 3.0}}, "fault": ""}
    failed = {"figures": {}, "fault": "cannot be installed: no such version"}
    found = {"c": {"peers": {"a": told, "b": failed}}}
    assert table.asked([case], bench, found)[1:] == [
        ("work", "<= 0.1 s", "0.2 s (0.05 to 0.3)", "**no**"),
        ("work", ">= 2x a", "3x", "yes"),
        ("work", ">= 2x b", "cannot be installed: no such version", "-"),
    ]
    assert table.asked([case], {}, {})[1][2:] == ("not measured", "-")


def test_a_peer_whose_answers_differ_gets_no_ratio() -> None:
    ours = Measured([1.0], answers={"statistic": [0.5], "p_value": [0.2]})
    near, far = Told([2.0], [0.5], [0.2]), Told([2.0], [0.6], [0.2])
    cell = Cell("KS", statistic=1e-12, p_value=0.02)
    assert entry(cell, [(near, ours)])["figures"]["ratio"]["median"] == 2.0
    made = entry(cell, [(far, ours)])
    assert made["fault"].startswith("answers differ")
    assert "ratio" not in made["figures"]
    assert difference(Cell("MMD", noise=100), ours.answers, Told([2.0], [], [0.3])) == ""
    assert difference(Cell("MMD", noise=100), ours.answers, Told([2.0], [], [0.9])) != ""


def test_a_peer_that_failed_is_named_with_the_reason() -> None:
    fault = "cannot be installed: no matching distribution"
    made = entry(Cell("KS"), [(Told(fault=fault), Measured([1.0]))])
    assert (made["fault"], made["figures"]) == (fault, {})


def test_a_part_of_the_cells_is_chosen_by_case_or_by_peer() -> None:
    assert set(chosen("mmd")) == {"mmd_1000", "mmd_5000", "mmd_10000"}
    assert {peer for cells in chosen("frouros").values() for peer in cells} == {"frouros"}


def test_a_process_is_stopped_at_its_limit_and_measured_until_then() -> None:
    ended = clock.child([sys.executable, "-c", "while True: pass"], limit=0.3)
    assert ended.stopped
    assert ended.seconds > 0.2  # two clocks of the system, which may differ by some ticks
    ended = clock.child([sys.executable, "-c", "print('told')"], limit=60)
    assert (ended.status, ended.stopped, ended.printed) == (0, False, "told\n")


def test_the_clock_of_a_limited_process_still_counts_less_than_a_millisecond() -> None:
    """A limit of the system makes it count in ticks of 4 ms."""
    program = (
        "import time, json\n"
        "seen = {time.process_time() for _ in range(20000)}\n"
        "print(json.dumps(len(seen)))"
    )
    ended = clock.child([sys.executable, "-c", program], limit=60)
    assert json.loads(ended.printed) > 100


def test_memory_is_that_of_the_work_alone() -> None:
    """In a process of its own, as every case: in ours freed memory may lie ready to be used again."""
    program = (
        "from benchmarks.speed import clock\n"
        "work = lambda size=50_000_000: len(bytes([120]) * size)\n"
        "work()\n"
        "print(clock.extra_megabytes(work))\n"
    )
    ended = clock.child([sys.executable, "-c", program], folder=Path(__file__).parents[1])
    assert 45 < float(ended.printed) < 60, ended.told


def test_cpu_seconds_leave_out_waiting_and_count_children() -> None:
    assert clock.cpu_seconds(lambda: time.sleep(0.2)) < 0.1
    spin = "import time\nwhile time.process_time() < 0.2: pass"
    assert clock.cpu_seconds(lambda: clock.child([sys.executable, "-c", spin])) > 0.15


def test_stored_figures_are_kept_in_the_order_of_the_cases(tmp_path: Path) -> None:
    path = tmp_path / "results" / "bench.json"
    stored.keep(path, {"b": 1, "a": 2, "gone": 3}, ["a", "b", "c"])
    assert list(stored.load(path).items()) == [("a", 2), ("b", 1)]
    assert stored.load(tmp_path / "none.json") == {}
