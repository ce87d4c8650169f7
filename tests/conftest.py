"""What every test file may ask for: the shared data, and the programs of the system."""

from __future__ import annotations

import json
import os

# As in the worker: BLAS threads that compete with each other cost more than they bring.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, settings

from shiftwatch import document as documents
from shiftwatch.values import Run
from tests.schema import is_report, valid_report

REQUIRE_ALL = os.environ.get("SHIFTWATCH_REQUIRE") == "all"

settings.register_profile(
    "shiftwatch",
    deadline=None,  # a slow machine is no defect
    derandomize=REQUIRE_ALL,  # the gate must answer the same twice; at a desk new examples help
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("shiftwatch")


def _published(read: Callable[..., Any]) -> Callable[..., Any]:
    """Hold every report that is read as JSON against the published schema, whoever wrote it."""

    @wraps(read)
    def held(*given: Any, **how: Any) -> Any:
        found = read(*given, **how)
        if is_report(found):
            valid_report(found)
        return found

    return held


def _written(write: Callable[[Run], dict[str, Any]]) -> Callable[[Run], dict[str, Any]]:
    @wraps(write)
    def held(run: Run) -> dict[str, Any]:
        document = write(run)
        if type(run) is Run:  # not one that a test has given more fields
            valid_report(document)
        return document

    return held


# Before any module takes the function by its name: no test makes a report that its schema does
# not describe. What another process has made, a daemon, a command or an older run, is held against
# it where a test reads it.
documents.to_document = _written(documents.to_document)  # type: ignore[assignment] # on purpose
json.loads = _published(json.loads)


def absent(part: str) -> NoReturn:
    """End the test by name: a skip at a desk, a failure where everything is required."""
    if REQUIRE_ALL:
        pytest.fail(f"{part} absent, and SHIFTWATCH_REQUIRE=all", pytrace=False)
    pytest.skip(f"{part} absent")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data sets, which lies beside the repository."""
    folder = Path(__file__).parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        absent(f"shared data ({folder})")
    return folder


@pytest.fixture(scope="session")
def system() -> Callable[[str], str]:
    """Path of a program by name, from PATH; ends the test by name where there is none."""

    def find(program: str) -> str:
        return shutil.which(program) or absent(f"program {program}")

    return find
