"""The table of answers to bad input: what it says of us is what we answer."""

from __future__ import annotations

import re

import pytest

from benchmarks import badinput
from shiftwatch.values import FINDING_CODES, SKIP_REASONS, Run


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    return badinput.runs(tmp_path_factory.mktemp("badinput"))


def test_the_table_says_what_is_answered(judged: dict[str, Run]) -> None:
    stored = badinput.TABLE.read_text(encoding="utf-8")
    assert badinput.rendered(judged) == stored, "run benchmarks/badinput.py"


def test_every_input_has_an_outcome_with_a_name(judged: dict[str, Run]) -> None:
    assert len(judged) == 9
    for name, run in judged.items():
        told = badinput.cell(run, badinput.INPUTS[name][0])
        assert re.match(r"(ok|E) `[a-z_]+`: .", told), told
        for word in re.findall(r"(?:finding|skip) `([a-z_]+)`", told):
            assert word in FINDING_CODES or word in SKIP_REASONS
        assert all(0 < result.p_value <= 1 for result in run.results)


def test_no_input_is_answered_with_a_silent_no_shift(judged: dict[str, Run]) -> None:
    silent = {name for name, run in judged.items() if run.verdict == "no_shift"}
    assert silent == {"constant in both", "one inf"}
    assert "infinite" in {finding.code for finding in judged["one inf"].findings}
    assert "constant" in {skip.reason for skip in judged["constant in both"].skipped}


def test_a_bad_column_hides_no_other_one(judged: dict[str, Run]) -> None:
    for name, run in judged.items():
        if run.verdict != "insufficient_data":
            assert "y" in {result.target for result in run.results}, name
