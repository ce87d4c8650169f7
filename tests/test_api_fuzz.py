"""The API as its description says it is, asked by a machine: no fault of ours, no undescribed answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from starlette.types import ASGIApp

from shiftwatch.annotation import Draft
from shiftwatch.errors import WorkerError
from shiftwatch.store import Store
from shiftwatch.web.app import build
from tests import sample_runs
from tests.conftest import absent
from tests.test_desk import MODEL, Office, _run

try:
    import schemathesis
    from schemathesis.generation import GenerationMode
    from schemathesis.specs.openapi import checks
except ImportError:
    schemathesis = None
    CHECKS: list[Any] = []
    MODES: list[Any] = []
else:
    CHECKS = [
        schemathesis.checks.not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_headers_conformance,
        checks.response_schema_conformance,
    ]
    MODES = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # some thousand requests

REQUESTS = 50
"""Of each operation: together a quarter of a minute; `test_api_live` asks with more checks."""

IDS = [f"{number:016x}" for number in range(1, 6)]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """A desk over a real store with five judged batches and a job."""
    folder: Path = tmp_path_factory.mktemp("office")
    with Store.open(str(folder / "s.db"), clock=lambda: sample_runs.JUDGED_AT) as store:
        office = Office(folder, store)
        with pytest.MonkeyPatch.context() as patch:
            office.answers(patch, WorkerError("no worker is needed here"))
            for number, identity in enumerate(IDS):
                kind = sample_runs.shift if number == 3 else sample_runs.no_shift
                office.commit(_run(identity, kind()))
            yield office
        office.desk.close()


@pytest.fixture(scope="module")
def app(office: Office) -> ASGIApp:
    return build(office.desk)


@pytest.fixture(scope="module")
def operations(app: ASGIApp) -> list[Any]:
    if schemathesis is None:
        absent("package schemathesis")
    described = schemathesis.openapi.from_asgi("/openapi.json", app)
    return [result.ok() for result in described.get_all_operations()]


def test_every_operation_answers_as_described_whatever_it_is_asked(
    office: Office, operations: list[Any]
) -> None:
    job = office.desk.request_check(MODEL, None)
    draft = Draft("note", "seen", sample_runs.JUDGED_AT, None)
    word = office.desk.annotate(MODEL, draft, "ada")
    known: dict[str, Any] = {"model": MODEL, "job": job, "batch": IDS[0], "path": "a.parquet"}
    known |= {"from": IDS[1], "number": word.id, "until": "2099-01-01T00:00:00Z"}
    known |= {"first": IDS[2], "last": IDS[3], "after": MODEL}
    assert len(operations) > 15
    seen: Counter[int] = Counter()
    for operation in operations:

        @hypothesis.settings(
            max_examples=REQUESTS,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=any_case(operation), real=st.booleans())
        def ask(case: Any, real: bool) -> None:
            if real:  # a made-up name ends at 404, before anything is done
                put(case, known)
            answer = case.call_and_validate(checks=CHECKS)
            seen[answer.status_code // 100] += 1

        ask()
    assert min(seen[2], seen[4]) > 200, "both what is right and what is wrong was asked for"


def any_case(operation: Any) -> Any:
    """Requests that keep to the description, and, where anything can be given, such as do not."""
    parts = (operation.path_parameters, operation.query, operation.headers, operation.body)
    modes = MODES if any(parts) else MODES[:1]
    return st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in modes))


def put(case: Any, known: dict[str, Any]) -> None:
    """Real ids in the places that take one."""
    places = [case.path_parameters, case.query, case.body]
    if isinstance(case.body, dict):
        places += [part for part in case.body.values() if isinstance(part, dict)]
    for place in places:
        if isinstance(place, dict):
            place.update({name: value for name, value in known.items() if name in place})
