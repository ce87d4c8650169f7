"""The promises, quick form; `make calibrate` is the full one."""

from __future__ import annotations

import json

import pytest

from benchmarks.calibrate import RESULTS, cases
from benchmarks.calibration.harness import Case, measure

ALL = {case.name: case for _, case in cases()}
QUICK = [case for case in ALL.values() if case.quick_runs]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.name)
def test_the_promise_is_kept_in_a_few_runs(case: Case) -> None:
    measured = measure(case, case.quick_runs, workers=1)
    assert measured.figures
    assert measured.kept, {name: figure.mean for name, figure in measured.figures.items()}


def test_every_case_has_a_stored_result_of_its_full_form() -> None:
    stored = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert set(stored) == set(ALL)
    for name, case in ALL.items():
        assert stored[name]["runs"] == case.runs, name
        assert (stored[name]["target"], stored[name]["rivals"]) == (case.target, case.rivals)
