"""The smallest shift that matters, as the check of a run was told.

In:    the settings in a run's provenance.
Out:   a policy to ask by test and column.
Never: trusts the shape of a provenance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shiftwatch.decide import Policy
from shiftwatch.report.details import is_number
from shiftwatch.settings import ToleranceSettings
from shiftwatch.values import Run


def policy_of(run: Run) -> Policy:
    """The tolerances of the check; the defaults where the run does not say.

    Examples
    --------
    >>> from shiftwatch.values import Batch
    >>> told = {"settings": {"tolerance": {"default": 0.1, "columns": {"age": 0.3}}}}
    >>> run = Run("m", Batch("7d", (), 0), "no_shift", 0.0, provenance=told)
    >>> policy_of(run).smallest("ks", "age"), policy_of(run).smallest("ks", "city")
    (0.3, 0.1)
    """
    settings = run.provenance.get("settings")
    given = settings.get("tolerance") if isinstance(settings, Mapping) else None
    if not isinstance(given, Mapping):
        return Policy()
    default = given.get("default")
    settled = ToleranceSettings(
        tests=_numbers(given.get("tests")), columns=_numbers(given.get("columns"))
    )
    if is_number(default) and 0 <= default < 1:
        settled = replace(settled, default=default)
    return Policy(tolerance=settled)


def _numbers(given: Any) -> dict[str, float]:
    pairs = given.items() if isinstance(given, Mapping) else ()
    return {str(name): float(value) for name, value in pairs if is_number(value)}
