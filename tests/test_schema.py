"""The schema of the report: generated from the nouns, fits what we write, refuses what we do not."""

from __future__ import annotations

import copy
import io
import json
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from shiftwatch.cli import app
from shiftwatch.document import to_document
from tests import sample_runs
from tests.schema import valid_report, validator
from tests.test_web import board_of, get

ROOT = Path(__file__).parents[1]


def test_the_schema_is_what_the_nouns_say() -> None:
    program = "import report_schema, sys; sys.stdout.write(report_schema.written())"
    made = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT / ".ci", capture_output=True, check=True
    )
    kept = files("shiftwatch").joinpath("schemas", "report-1.json").read_bytes()
    assert made.stdout == kept, "run make docs"


@pytest.mark.parametrize("name", sorted(sample_runs.every()))
def test_every_kind_of_report_fits(name: str) -> None:
    valid_report(json.loads(json.dumps(to_document(sample_runs.every()[name]))))


def drop(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda document: document.pop(name)


FAULTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "no state": drop("state"),
    "no cost": drop("cost"),
    "an unknown state": lambda d: d.update(state="fine"),
    "another version": lambda d: d.update(schema_version=2),
    "a field of nobody": lambda d: d.update(green=True),
    "a text for an alarm": lambda d: d.update(alarm="yes"),
    "a day that is none": lambda d: d.update(judged_at="2026-13-41T00:00:00Z"),
    "a p-value as text": lambda d: d["results"][0].update(p_value="small"),
    "a result both run and skipped": lambda d: d["results"][0].update(skipped="constant"),
    "a reason that is no text": lambda d: d["results"][-1].update(skipped=True),
    "an unknown scope": lambda d: d["scopes"].update(weather=d["scopes"]["input"]),
    "a column of no kind": lambda d: d["columns"][0].pop("kind"),
    "a piece without its hash": lambda d: d["batch"]["pieces"][0].pop("sha256"),
    "rows that are no number": lambda d: d["batch"].update(rows=None),
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_what_is_no_report_is_refused(fault: str) -> None:
    document = copy.deepcopy(to_document(sample_runs.shift()))
    assert validator().is_valid(document)
    assert document["results"][-1]["skipped"] is not None
    FAULTS[fault](document)
    assert not validator().is_valid(document)


def test_no_test_can_read_a_report_that_does_not_fit() -> None:
    document = to_document(sample_runs.shift())
    assert json.loads(json.dumps(document)) == document
    document["green"] = True
    with pytest.raises(AssertionError, match="green"):
        json.loads(json.dumps(document))
    with pytest.raises(AssertionError, match="green"):
        httpx.Response(200, json=document).json()
    with pytest.raises(AssertionError, match="green"):
        json.load(io.StringIO(json.dumps(document)))


def test_the_schema_is_to_be_had_from_the_package_the_command_line_and_the_daemon() -> None:
    kept = files("shiftwatch").joinpath("schemas", "report-1.json").read_text("utf-8")
    served = get(board_of(), "/api/v1/schemas/report.json")
    assert served.headers["content-type"] == "application/schema+json"
    assert CliRunner().invoke(app, ["schema"]).stdout == served.text == kept
    assert json.loads(kept)["$id"] == "urn:shiftwatch:report:1"
