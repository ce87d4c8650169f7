"""What holds for the API as a whole: pages of lists, methods of paths, examples, schemas, tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from shiftwatch.annotation import Draft, Remark
from shiftwatch.errors import DataError
from shiftwatch.report import MEDIA_TYPES
from shiftwatch.store import Store
from tests import sample_runs
from tests.conftest import absent
from tests.schema import valid_report
from tests.test_desk import MODEL, Office, _run
from tests.test_web import (
    TableBoard,
    ask,
    board_of,
    get,
    problem,
    row_of,
    run_of,
    snapshot_of,
    status_of,
    word_of,
)

CHURN = "/api/v1/models/churn"


# The description


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    document: dict[str, Any] = get(board_of(), "/openapi.json").json()
    return document


def media(part: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything with a schema and examples of it: bodies, answers, headers, parameters."""
    if isinstance(part, dict):
        if "schema" in part:
            yield path, part
        for name, inner in part.items():
            yield from media(inner, f"{path} {name}")
    elif isinstance(part, list):
        for place, inner in enumerate(part):
            yield from media(inner, f"{path} {place}")


def examples(part: dict[str, Any]) -> list[Any]:
    own = [part["example"]] if "example" in part else []
    named = [each["value"] for each in part.get("examples", {}).values()]
    return own + named + list(part["schema"].get("examples", ()))


def test_the_description_is_openapi_3_1(described: dict[str, Any]) -> None:
    try:
        from schemathesis.specs.openapi.definitions import OPENAPI_31  # noqa: PLC0415
    except ImportError:
        absent("package schemathesis")
    faults = jsonschema_rs.Draft202012Validator(OPENAPI_31).iter_errors(described)
    assert [(list(fault.instance_path), fault.message[:200]) for fault in faults] == []
    for name, schema in described["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid(schema), name


def test_every_answer_and_body_has_an_example_and_every_example_fits_its_schema(
    described: dict[str, Any],
) -> None:
    seen = 0
    for path, part in media(described["paths"]):
        found = examples(part)
        assert (
            found
            or " parameters " in path
            or path.endswith("acceptance post requestBody content application/json")
        ), path
        whole = {**part["schema"], "components": described["components"]}
        judge = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        for each in found:
            seen += 1
            assert [fault.message[:200] for fault in judge.iter_errors(each)] == [], path
    assert seen > 150


def test_the_report_in_the_description_is_the_published_one(described: dict[str, Any]) -> None:
    answer = described["paths"]["/api/v1/models/{model}/report"]["get"]["responses"]["200"]
    told = answer["content"]["application/json"]
    assert told["schema"] == {"$ref": "#/components/schemas/Report"}
    valid_report(told["example"])
    assert set(answer["content"]) == set(MEDIA_TYPES.values())


def test_the_description_says_what_needs_a_token_where_there_are_tokens() -> None:
    open_to_all, closed = board_of(), board_of()
    open_to_all.effective_config = lambda: {"web": {"tokens_file": None}}  # type: ignore[method-assign]
    web = {"tokens_file": "***", "public": ["/metrics", "/healthz", "/events/churn"]}
    closed.effective_config = lambda: {"web": web}  # type: ignore[method-assign]
    assert "security" not in get(open_to_all, "/openapi.json").json()
    told = get(closed, "/openapi.json").json()
    assert set(told["components"]["securitySchemes"]) == {"token", "password"}
    assert told["security"] == [{"token": []}, {"password": []}]
    free = {
        path
        for path, methods in told["paths"].items()
        for operation in methods.values()
        if operation.get("security") == []
    }
    assert free == {"/metrics", "/healthz"}


# Pages of lists


def full_board() -> TableBoard:
    """A board with more of everything than fits on a page of two."""
    names = ["churn", "fraud", "a b/c", "z"]
    models = [status_of(run_of(model=name), name=name) for name in names]
    board = TableBoard(snapshot_of(*models), [row_of(seq) for seq in range(1, 6)])
    for number in range(5):
        span = (f"{number}", f"{number}")
        board.words.insert(0, word_of("churn", "accepted", span, Remark("", "ada")))
        board.annotate("churn", Draft("note", f"{number}", board.now_is, None), "ada")
        ask(board, "POST", f"{CHURN}/comparisons", json={})
    return board


LISTS = {
    "/api/v1/models": ("models", "model"),
    f"{CHURN}/batches": ("batches", "seq"),
    f"{CHURN}/annotations": ("annotations", "id"),
    f"{CHURN}/comparisons": ("comparisons", "seq"),
    f"{CHURN}/acceptance": ("history", "from_batch"),
}


@pytest.mark.parametrize("path", LISTS)
def test_every_list_can_be_read_to_its_end_by_the_body_or_by_the_header(path: str) -> None:
    board, (name, key) = full_board(), LISTS[path]
    whole = [entry[key] for entry in get(board, path).json()[name]]
    assert len(whole) >= 4
    seen: list[Any] = []
    following: str | None = f"{path}?limit=2"
    while following is not None:
        page = get(board, following)
        entries = [entry[key] for entry in page.json()[name]]
        assert len(entries) <= 2
        seen += entries
        following = page.json()["next"]
        link = re.fullmatch(r'<(.+)>; rel="next"', page.headers.get("link", ""))
        assert (link[1] if link else None) == following
    assert seen == whole


def test_models_after_one_that_is_unknown_are_not_guessed() -> None:
    assert problem(get(board_of(), "/api/v1/models?after=chrun"), 404)["models"] == ["churn"]


def test_the_history_can_be_narrowed_to_a_stretch_of_time_and_stays_so() -> None:
    board = board_of(rows=[row_of(seq) for seq in range(1, 9)])
    # A zone with its sign as a client writes it, and none, which is UTC.
    stretch = "since=2026-09-21T16:13:23%2B02:00&until=2026-09-21T14:13:26"
    page = get(board, f"{CHURN}/batches?{stretch}&limit=2").json()
    assert [entry["seq"] for entry in page["batches"]] == [5, 4]
    rest = get(board, page["next"]).json()
    assert [entry["seq"] for entry in rest["batches"]] == [3]
    problem(get(board, f"{CHURN}/batches?since=yesterday"), 422)


# A real history


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with Store.open(str(tmp_path / "s.db"), clock=lambda: sample_runs.JUDGED_AT) as store:
        office = Office(tmp_path, store)
        for identity in ("0a1b2c3d4e5f6071", "0a1b2c3d4e5f6072", "9999999900000000"):
            office.commit(_run(identity))
        yield office
        office.desk.close()


def test_the_beginning_of_an_id_is_enough_as_long_as_no_other_begins_so(office: Office) -> None:
    assert '"9999999900000000"' in (office.desk.report(MODEL, "99999999", "json") or "")
    assert '"0a1b2c3d4e5f6071"' in (office.desk.report(MODEL, "0a1b2c3d4e5f6071", "json") or "")
    with pytest.raises(DataError, match="0a1b2c3d4e5f6071, 0a1b2c3d4e5f6072"):
        office.desk.report(MODEL, "0a1b2c3d", "json")
    for beginning in ("9999999", "", "99999999%", "9999999_"):
        assert office.desk.report(MODEL, beginning, "json") is None


def test_a_stretch_of_time_is_that_of_the_events(office: Office) -> None:
    rows = office.store.runs(MODEL)
    began = rows[0].event_time_start
    assert began is not None
    assert office.store.runs(MODEL, during=(began, None)) == rows
    assert office.store.runs(MODEL, during=(None, began)) == ()
    assert office.store.runs(MODEL, during=(began, began + 1)) == rows


# Methods


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (f"{CHURN}/acceptance", "DELETE, GET, HEAD, POST"),
        (f"{CHURN}/annotations", "GET, HEAD, POST"),
        (f"{CHURN}/annotations/1", "DELETE"),
        (f"{CHURN}/report", "GET, HEAD"),
        ("/-/reload", "POST, PUT"),
        ("/metrics", "GET, HEAD"),
    ],
)
def test_a_path_says_what_may_be_asked_of_it(path: str, allowed: str) -> None:
    board = board_of()
    answer = ask(board, "OPTIONS", path)
    assert (answer.status_code, answer.content) == (204, b"")
    refused = ask(board, "PATCH", path)
    assert problem(refused, 405)["detail"] == f"PATCH is not for this path; use {allowed}"
    assert answer.headers["allow"] == refused.headers["allow"] == allowed


def test_nothing_may_be_asked_of_a_path_that_is_not_there() -> None:
    answer = ask(board_of(), "OPTIONS", "/nothing")
    assert "allow" not in answer.headers
    problem(answer, 404)


def test_no_other_origin_is_told_that_it_may_ask() -> None:
    asked = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    answer = ask(board_of(), "OPTIONS", f"{CHURN}/annotations", headers=asked)
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_the_head_of_a_report_is_that_of_the_report() -> None:
    board, path = board_of(), f"{CHURN}/report?format=csv"
    head, whole = ask(board, "HEAD", path), get(board, path)
    assert head.content == b""
    for name in ("etag", "content-length", "content-type", "content-disposition", "vary"):
        assert head.headers.get(name) == whole.headers.get(name)
    known = {"if-none-match": head.headers["etag"]}
    assert ask(board, "HEAD", path, headers=known).status_code == 304
