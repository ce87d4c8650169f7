"""The JSON document of a run: nothing of a run is lost in it, and scripts find what is promised."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shiftwatch import document as room
from shiftwatch.document import dumps, from_document, sha256, to_document
from shiftwatch.errors import DataError
from shiftwatch.values import (
    PROFILE_QUANTILES,
    SCOPES,
    Batch,
    ColumnProfile,
    Cost,
    Decision,
    Evidence,
    Finding,
    Piece,
    Run,
    Skipped,
    TwoSampleResult,
)

floats = st.floats(allow_nan=False)
texts = st.text(max_size=8) | st.sampled_from(
    ["NaN", "Infinity", "-Infinity", "non_finite", "", "ä"]
)
free_json = st.recursive(
    st.none() | st.booleans() | st.integers() | floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
free_objects = st.dictionaries(texts, free_json, max_size=3)
microseconds = st.integers(-(10**15), 4 * 10**15).map(lambda count: count / 1e6)
quantiles = st.just(()) | st.tuples(*[floats] * len(PROFILE_QUANTILES))


def every_field(noun: type[Any], **given_fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """All fields of a dataclass, also those that are added one day, from their declared types."""
    hints = get_type_hints(noun)
    drawn = {item.name: st.from_type(hints[item.name]) for item in fields(noun)}
    return st.builds(noun, **(drawn | given_fields))


def some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=2).map(tuple)


st.register_type_strategy(float, floats)
st.register_type_strategy(str, texts)

pieces = every_field(Piece)
batches = every_field(
    Batch,
    pieces=st.lists(pieces, min_size=1, max_size=2).map(tuple),
    event_time_start=st.none() | microseconds | st.just(math.inf),
    event_time_end=st.none() | microseconds,
)
decisions = st.lists(st.sampled_from(SCOPES), unique=True).flatmap(
    lambda scopes: st.tuples(
        *[every_field(Decision, scope=st.just(scope)) for scope in SCOPES if scope in scopes]
    )
)
runs = every_field(
    Run,
    batch=batches,
    judged_at=microseconds,
    decisions=decisions,
    results=some(every_field(TwoSampleResult, explanation=free_objects)),
    skipped=some(every_field(Skipped)),
    findings=some(every_field(Finding)),
    columns=some(
        every_field(ColumnProfile, quantiles_reference=quantiles, quantiles_current=quantiles)
    ),
    explanation=free_objects,
    provenance=free_objects,
    cost=every_field(Cost, stages=st.dictionaries(texts, floats, max_size=3)),
)

PIECE = Piece("batches/a.parquet", 4096, "ab" * 32, 0, 500, 1767225600.0, 1767229200.0)
BATCH = Batch("0123456789abcdef", (PIECE,), 500, 1767225600.0, 1767229199.25)
RUN = Run("churn", BATCH, "shift", 1767230000.5)


@given(run=runs)
@settings(max_examples=80, deadline=None)
def test_a_run_comes_back_from_its_json_text_as_it_was(run: Run) -> None:
    text = json.dumps(to_document(run), allow_nan=False)
    assert from_document(json.loads(text)) == run
    assert from_document(json.loads(dumps(to_document(run)))) == run


@given(run=runs)
@settings(max_examples=25, deadline=None)
def test_writing_what_was_read_gives_the_same_hash(run: Run) -> None:
    document = to_document(run)
    again = to_document(from_document(json.loads(dumps(document))))
    assert sha256(again) == sha256(document)


@given(seconds=st.floats(0, 4e9))
@settings(max_examples=100, deadline=None)
def test_a_time_moves_by_at_most_half_a_microsecond(seconds: float) -> None:
    back = from_document(to_document(replace(RUN, judged_at=seconds))).judged_at
    assert abs(back - seconds) <= 0.5e-6 + math.ulp(seconds)


def test_the_document_has_the_fields_that_scripts_read() -> None:
    result = TwoSampleResult("ks", "age", "input", 0.4, 1e-9, 0.4, 0.3, None, 900, 500, {"at": 3})
    skipped = Skipped("chi2", "plan", "input", "constant", "only 'basic'")
    raised = Decision("input", True, True, False, Evidence(2.5), 1e-9, 0.001, ("age",), BATCH.id)
    quiet = Decision("prediction", False, False, False, Evidence(), None, 0.001)
    column = ColumnProfile(
        *("age", "numeric", "input", "double", 900, 500, 1, 2),
        quantiles_current=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, math.inf),
    )
    run = replace(
        RUN,
        decisions=(raised, quiet),
        results=(result,),
        skipped=(skipped,),
        columns=(column,),
        cost=Cost(1.5, 2.5, 10, None, None, {"read": 0.5}),
    )
    document = to_document(run)
    assert document["schema_version"] == 1
    assert (document["model"], document["state"], document["alarm"]) == ("churn", "shift", True)
    assert document["judged_at"] == "2026-01-01T01:13:20.500000Z"
    assert document["batch"] == {
        "id": "0123456789abcdef",
        "uri": "batches/a.parquet",
        "rows": 500,
        "event_time_start": "2026-01-01T00:00:00Z",
        "event_time_end": "2026-01-01T00:59:59.250000Z",
        "fault": None,
        "pieces": [
            {
                "uri": "batches/a.parquet",
                "size": 4096,
                "sha256": "ab" * 32,
                "first_row": 0,
                "rows": 500,
                "time_from": 1767225600.0,
                "time_to": 1767229200.0,
            }
        ],
    }
    assert list(document["scopes"]) == ["input", "prediction"]
    assert document["scopes"]["input"] == {
        "alarm": True,
        "raised": True,
        "cleared": False,
        "since": BATCH.id,
        "p_value": 1e-9,
        "level": 0.001,
        "columns": ["age"],
        "evidence": {"check": 2.5, "window": None, "pool": None},
        "crossed": [],
        "also_moving": [],
        "change_from": None,
    }
    assert document["results"] == [
        {
            "test": "ks",
            "target": "age",
            "scope": "input",
            "statistic": 0.4,
            "p_value": 1e-9,
            "effect": 0.4,
            "effect_low": 0.3,
            "effect_high": None,
            "rows_reference": 900,
            "rows_current": 500,
            "skipped": None,
            "detail": "",
            "explanation": {"at": 3},
            "inflation": 1.0,
        },
        {
            "test": "chi2",
            "target": "plan",
            "scope": "input",
            "statistic": None,
            "p_value": None,
            "effect": None,
            "effect_low": None,
            "effect_high": None,
            "rows_reference": None,
            "rows_current": None,
            "skipped": "constant",
            "detail": "only 'basic'",
            "explanation": {},
            "inflation": None,
        },
    ]
    assert document["columns"][0]["quantiles_reference"] == {}
    assert document["columns"][0]["quantiles_current"]["0.05"] == 2.0
    assert document["columns"][0]["quantiles_current"]["0.99"] == "Infinity"
    assert document["cost"]["stages"] == {"read": 0.5}
    for key in ("reasons", "findings", "explanation", "provenance"):
        assert document[key] in ([], {})


def test_numbers_that_json_lacks_are_told_from_texts_that_look_like_them() -> None:
    explanation = {
        "edges": [-math.inf, 0.0, math.inf],
        "nan": math.nan,
        "categories": ["Infinity", "NaN"],
        "non_finite": {"non_finite": "Infinity"},
    }
    back = from_document(json.loads(dumps(to_document(replace(RUN, explanation=explanation)))))
    assert back.explanation["edges"] == [-math.inf, 0.0, math.inf]
    assert math.isnan(back.explanation["nan"])
    assert back.explanation["categories"] == ["Infinity", "NaN"]
    assert back.explanation["non_finite"] == {"non_finite": "Infinity"}


def test_a_statistic_that_is_not_a_number_stays_one() -> None:
    result = TwoSampleResult("ks", "age", "input", math.nan, 1.0, -math.inf, None, None, 1, 1)
    document = to_document(replace(RUN, results=(result,)))
    assert document["results"][0]["statistic"] == "NaN"
    (back,) = from_document(document).results
    assert math.isnan(back.statistic)
    assert back.effect == -math.inf


def test_a_time_that_no_calendar_holds_stays_a_number() -> None:
    batch = replace(BATCH, event_time_start=-math.inf, event_time_end=1.7e15)
    document = to_document(replace(RUN, batch=batch))
    assert document["batch"]["event_time_start"] == "-Infinity"
    assert document["batch"]["event_time_end"] == 1.7e15
    assert from_document(document).batch == batch


def test_a_file_name_that_is_not_unicode_survives() -> None:
    piece = replace(PIECE, uri="odd\udce9.parquet")
    run = replace(RUN, batch=replace(BATCH, pieces=(piece,)))
    assert from_document(json.loads(dumps(to_document(run)))) == run


def test_the_canonical_text_does_not_depend_on_the_order_of_keys() -> None:
    one = to_document(replace(RUN, provenance={"seed": 0, "python": "3.11"}))
    other = to_document(replace(RUN, provenance={"python": "3.11", "seed": 0}))
    assert dumps(one) == dumps(other)
    assert sha256(one) == sha256(other)
    assert sha256(one) != sha256(one | {"alarm": True})
    with pytest.raises(ValueError, match="not JSON compliant"):
        dumps({"p_value": math.nan})


def test_decisions_come_back_in_the_order_of_the_scopes() -> None:
    pair = [Decision(s, False, False, False, Evidence(), None, 0.1) for s in ("schema", "input")]
    document = to_document(replace(RUN, decisions=tuple(pair)))
    assert [d.scope for d in from_document(document).decisions] == ["input", "schema"]


def test_a_document_of_an_older_release_takes_the_defaults() -> None:
    document = {
        "schema_version": 1,
        "model": "churn",
        "state": "no_shift",
        "judged_at": "2026-01-01T00:00:00Z",
        "batch": {
            "id": "7d",
            "rows": 0,
            "pieces": [
                {"uri": "a.parquet", "size": 0, "sha256": "", "first_row": 0, "rows": 0},
            ],
        },
    }
    batch = Batch("7d", (Piece("a.parquet", 0, "", 0, 0),), 0)
    assert from_document(document) == Run("churn", batch, "no_shift", 1767225600.0)


def test_a_key_of_a_newer_release_is_ignored() -> None:
    document = to_document(RUN) | {"weather": "fair"}
    document["batch"]["pieces"][0]["colour"] = "blue"
    assert from_document(document) == RUN


def test_a_field_added_later_is_written_and_read_without_new_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @dataclass(frozen=True, slots=True)
    class LaterRun(Run):
        layers: tuple[float, ...] = (1.0,)

        @property
        def alarm(self) -> bool:
            return False

    monkeypatch.setitem(room._READERS, LaterRun, room._READERS[Run])
    document = to_document(LaterRun("churn", BATCH, "shift", 0.0, layers=(0.5, math.inf)))
    assert document["layers"] == [0.5, "Infinity"]
    assert room._restore(LaterRun, document, "document").layers == (0.5, math.inf)
    assert room._restore(LaterRun, to_document(RUN), "document").layers == (1.0,)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("schema_version", 2, "document.schema_version: schema version 2 is unknown, this release"),
        ("schema_version", None, "document.schema_version: schema version None is unknown"),
        ("state", "fine", "document.verdict: 'fine' is unknown, not one of shift, no_shift"),
        ("state", ["shift"], "document.verdict: ['shift'] is unknown"),
        ("judged_at", "yesterday", "document.judged_at: 'yesterday' is not an ISO 8601 time"),
        ("judged_at", "2026-01-01", "document.judged_at: '2026-01-01' has no time zone"),
        ("judged_at", None, "document.judged_at: None is not of type float"),
        ("model", 3, "document.model: 3 is not of type str"),
        ("batch", [], "document.batch: is not an object"),
        ("batch.rows", True, "document.batch.rows: True is not of type int"),
        ("batch.rows", "NaN", "document.batch.rows: 'NaN' is not of type int"),
        ("batch.pieces", {}, "document.batch.pieces: is not a list"),
        ("results", [3], "document.results.0: is not an object"),
        ("results", [{"test": "ks"}], "document.results.0.target: is missing"),
        ("scopes", {"input": 1}, "document.scopes.input: is not an object"),
        (
            "columns",
            [{"quantiles_current": {"low": 1}}],
            "quantiles_current: has a key that is not",
        ),
        ("explanation", {"a": {"non_finite": 3}}, "document.explanation: 3 is unknown, not one of"),
        ("cost", 1, "document.cost: is not an object"),
    ],
)
def test_a_document_that_cannot_be_read_says_where(path: str, value: Any, message: str) -> None:
    document = to_document(RUN)
    *parents, key = path.split(".")
    inner = document
    for parent in parents:
        inner = inner[parent]
    inner[key] = value
    with pytest.raises(DataError) as fault:
        from_document(document)
    assert message in str(fault.value)


@pytest.mark.parametrize("key", ["model", "batch", "state", "judged_at"])
def test_a_document_without_a_needed_field_names_it(key: str) -> None:
    document = to_document(RUN)
    del document[key]
    with pytest.raises(DataError, match="is missing"):
        from_document(document)


def _with(**changes: Any) -> Run:
    return replace(RUN, **changes)


TWO_OF_A_SCOPE = (Decision("input", False, False, False, Evidence(), None, 0.1),) * 2
SHORT_COLUMN = ColumnProfile(
    *("age", "numeric", "input", "double", 1, 1, 0, 0), quantiles_reference=(1.0,)
)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (_with(decisions=TWO_OF_A_SCOPE), "decisions: two decisions share a scope"),
        (_with(columns=(SHORT_COLUMN,)), "columns.age.quantiles_reference: 1 quantiles for 7"),
        (_with(explanation={"a": [{1, 2}]}), "explanation.a.0: set is not JSON"),
        (_with(provenance={1: 2}), "provenance: the key 1 is not text, so it is not JSON"),
    ],
)
def test_a_run_that_json_cannot_hold_is_refused(run: Run, message: str) -> None:
    with pytest.raises(DataError) as fault:
        to_document(run)
    assert message in str(fault.value)


def test_any_mapping_may_explain() -> None:
    class Wrapped(Mapping[str, Any]):
        def __getitem__(self, key: str) -> Any:
            return {"a": (1, 2)}[key]

        def __iter__(self) -> Any:
            return iter(("a",))

        def __len__(self) -> int:
            return 1

    assert from_document(to_document(_with(explanation=Wrapped()))).explanation == {"a": [1, 2]}


def test_the_room_is_light() -> None:
    program = (
        "import sys, shiftwatch.document, shiftwatch.store\n"
        "heavy = {'numpy', 'scipy', 'pyarrow', 'onnxruntime', 'sklearn', 'pandas', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[]"
