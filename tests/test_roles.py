"""Which column is for what."""

from __future__ import annotations

import pytest

from shiftwatch.errors import DataError
from shiftwatch.roles import assign
from shiftwatch.settings import ColumnSettings, FeatureSettings, ModelSettings
from shiftwatch.values import Role, SchemaColumn

NAMES = ("a", "b", "c", "key", "at", "score", "outcome")
SCHEMA = [SchemaColumn(name, "numeric", "label", "double") for name in NAMES]
COLUMNS = ColumnSettings(id="key", time="at", prediction=("score",), label="outcome")


def _settings(
    columns: ColumnSettings = COLUMNS,
    include: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
    categorical: tuple[str, ...] = (),
) -> ModelSettings:
    return ModelSettings(
        name="m",
        reference="reference.parquet",
        batches="batches",
        features=FeatureSettings(include, exclude),
        columns=columns,
        categorical=categorical,
    )


def _roles(settings: ModelSettings, wanted: tuple[str, ...] | None = None) -> dict[str, Role]:
    return {column.name: column.role for column in assign(SCHEMA, settings, wanted)}


def test_what_has_no_other_role_is_an_input() -> None:
    assert _roles(_settings()) == {
        "a": "input",
        "b": "input",
        "c": "input",
        "key": "id",
        "at": "time",
        "score": "prediction",
        "outcome": "label",
    }


def test_without_settings_everything_is_an_input() -> None:
    assert set(_roles(_settings(ColumnSettings())).values()) == {"input"}


def test_only_what_the_model_asks_for_is_an_input() -> None:
    roles = _roles(_settings(), wanted=("b", "a"))
    assert [name for name, role in roles.items() if role == "input"] == ["a", "b"]
    assert roles["c"] == "ignored"


def test_included_columns_are_inputs_in_the_order_in_which_they_are_written() -> None:
    assigned = assign(SCHEMA, _settings(include=("c", "a")), None)
    assert [column.name for column in assigned if column.role == "input"] == ["c", "a"]
    assert [column.name for column in assigned] == ["c", "a", "b", *NAMES[3:]]
    assert _roles(_settings(include=("c", "a")))["b"] == "ignored"


def test_include_goes_before_what_the_model_asks_for() -> None:
    roles = _roles(_settings(include=("c",)), wanted=("a", "b"))
    assert [name for name, role in roles.items() if role == "input"] == ["c"]


def test_excluded_columns_are_ignored_wherever_they_come_from() -> None:
    assert _roles(_settings(exclude=("b",)))["b"] == "ignored"
    assert _roles(_settings(exclude=("b",)), wanted=("a", "b"))["b"] == "ignored"
    assert _roles(_settings(include=("a", "b"), exclude=("b",)))["b"] == "ignored"
    assert _roles(_settings(exclude=("score",)))["score"] == "prediction"


def test_nothing_but_roles_and_order_is_changed() -> None:
    schema = [SchemaColumn("a", "categorical", "input", "string")]
    assert assign(schema, _settings(ColumnSettings()), None) == tuple(schema)


@pytest.mark.parametrize(
    "settings",
    [
        _settings(ColumnSettings(id="zz")),
        _settings(ColumnSettings(time="zz")),
        _settings(ColumnSettings(label="zz")),
        _settings(ColumnSettings(prediction=("score", "zz"))),
        _settings(include=("a", "zz")),
        _settings(exclude=("zz",)),
        _settings(categorical=("zz",)),
    ],
)
def test_a_configured_column_the_reference_lacks_is_refused_with_those_it_has(
    settings: ModelSettings,
) -> None:
    with pytest.raises(DataError) as raised:
        assign(SCHEMA, settings, None)
    assert str(raised.value) == (
        "reference.parquet: the reference has no column 'zz' "
        "(its columns are a, b, c, key, at, score, outcome)"
    )


def test_a_model_without_an_input_is_refused() -> None:
    with pytest.raises(DataError) as raised:
        assign(SCHEMA, _settings(exclude=("a", "b", "c")), None)
    assert str(raised.value) == "reference.parquet: no column is left as input"
