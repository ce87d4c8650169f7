"""Every name that a reader meets has a meaning."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import get_args, get_type_hints

import pytest

from shiftwatch import settings
from shiftwatch.budget import STEPS
from shiftwatch.config.wording import kinds_at
from shiftwatch.glossary import meaning, names, similar
from shiftwatch.metrics import FAMILIES
from shiftwatch.price import ENERGY_SOURCES, STAGES
from shiftwatch.quarantine import REASONS
from shiftwatch.twosample.registry import COLUMN_TESTS, JOINT_TESTS
from shiftwatch.values import FINDING_CODES, SKIP_REASONS, VERDICTS, AnnotationKind


@pytest.mark.parametrize(
    "name",
    sorted({*COLUMN_TESTS, *JOINT_TESTS, *VERDICTS, *FINDING_CODES, *SKIP_REASONS})
    + [*STAGES, *ENERGY_SOURCES, *STEPS, "energy"]
    + [*REASONS, "quarantine"]
    + [*get_args(AnnotationKind), "annotation", "acceptance"]
    + [family.name for family in FAMILIES],
)
def test_what_reports_and_metrics_name_has_a_meaning(name: str) -> None:
    text = meaning(name)
    assert text is not None
    assert len(text) > 20


def test_every_key_of_the_configuration_has_a_meaning_by_its_path() -> None:
    kinds = [k for k in vars(settings).values() if isinstance(k, type) and is_dataclass(k)]
    keys = {each.name for kind in kinds for each in fields(kind) if get_type_hints(kind)}
    found = {name: meaning(name) for name in keys}
    assert [name for name, text in found.items() if text is None or text.endswith(": ")] == []


@pytest.mark.parametrize(
    "key",
    [
        "models[0].window.max_rows",
        "models.window.max_rows",
        "window.max_rows",
        "limits.memory_mb",
        "web.listen",
        "models[3].tests.mmd.permutations",
        "models[0].window.by.rows",
        "alarms.false_alarms.per_checks",
    ],
)
def test_a_key_may_be_named_as_faults_and_hints_name_it(key: str) -> None:
    text = meaning(key)
    assert text is not None
    assert "; or " not in text
    assert text.startswith("`")


def test_keys_of_the_glossary_are_keys_of_the_configuration() -> None:
    paths = [name for name in names() if name.startswith(("models.", "web.", "limits."))]
    assert len(paths) > 40
    for path in paths:
        *above, key = path.split(".")
        owners = kinds_at(tuple(above))
        assert any(key in {each.name for each in fields(kind)} for kind in owners), path


def test_a_name_with_several_senses_has_all_of_them() -> None:
    rows = meaning("max_rows")
    assert rows is not None
    for path in ("models.window.max_rows", "models.tests.mmd.max_rows", "models.tests.c2st"):
        assert f"`{path}" in rows
    missing = meaning("missing_column")
    assert missing == "; or ".join(
        [FINDING_CODES["missing_column"], SKIP_REASONS["missing_column"]]
    )


def test_an_unknown_name_has_no_meaning_and_near_ones_are_suggested() -> None:
    assert meaning("kss") is None
    assert meaning("") is None
    assert similar("kss") == ["ks"]
    assert similar("maxrows")[0] == "max_rows"
    assert similar("drift_alarm")[0] == "shiftwatch_drift_alarm"
    everything = similar("\x00" * 40)
    assert {"ks", "shift", "max_rows"} <= set(everything) <= set(names())
