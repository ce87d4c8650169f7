"""Give every column of the reference its role.

In:    the reference's columns, settings, the columns the model wants.
Out:   the same columns with roles.
Never: reads data.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from shiftwatch.errors import DataError
from shiftwatch.settings import ModelSettings
from shiftwatch.values import Role, SchemaColumn


def assign(
    schema: Sequence[SchemaColumn], settings: ModelSettings, wanted: Collection[str] | None
) -> tuple[SchemaColumn, ...]:
    """Roles from the settings; what is left is an input.

    Parameters
    ----------
    schema
        Columns of the reference; their roles are ignored.
    settings
        Roles by name, features to include and exclude.
    wanted
        Columns a model with one input per column asks for; None for a single tensor or no model.

    Raises
    ------
    DataError
        If a configured column is not in the reference, or no input is left.
    """
    names = [column.name for column in schema]
    given = _given(settings)
    listed = [*given, *settings.features.include, *settings.features.exclude, *settings.categorical]
    for name in listed:
        if name not in names:
            raise DataError(
                f"the reference has no column {name!r}",
                where=settings.reference,
                hint="its columns are " + ", ".join(names),
            )
    inputs = _inputs(settings, wanted, names, given)
    assigned = tuple(_with_role(column, given, inputs) for column in _ordered(schema, settings))
    if not any(column.role == "input" for column in assigned):
        raise DataError("no column is left as input", where=settings.reference)
    return assigned


def _given(settings: ModelSettings) -> dict[str, Role]:
    roles: dict[str, Role] = dict.fromkeys(settings.columns.prediction, "prediction")
    singles: tuple[tuple[str | None, Role], ...] = (
        (settings.columns.id, "id"),
        (settings.columns.time, "time"),
        (settings.columns.arrival, "arrival"),
        (settings.columns.label, "label"),
    )
    roles.update({name: role for name, role in singles if name is not None})
    return roles


def _inputs(
    settings: ModelSettings,
    wanted: Collection[str] | None,
    names: Sequence[str],
    given: Collection[str],
) -> set[str]:
    included = settings.features.include or wanted or [n for n in names if n not in given]
    return set(included) - set(settings.features.exclude)


def _ordered(schema: Sequence[SchemaColumn], settings: ModelSettings) -> list[SchemaColumn]:
    """The reference's order; `features.include` is an order of its own, as the user wrote it."""
    rank = {name: index for index, name in enumerate(settings.features.include)}
    return sorted(schema, key=lambda column: rank.get(column.name, len(rank)))


def _with_role(
    column: SchemaColumn, given: dict[str, Role], inputs: Collection[str]
) -> SchemaColumn:
    if column.name in inputs:
        return replace(column, role="input")
    return replace(column, role=given.get(column.name, "ignored"))
