"""What the names mean: tests, verdicts, metrics, findings, skip reasons, configuration keys.

In:    a name.
Out:   its meaning, from the place in the code that defines it.
Never: keeps a text that another room already has.
"""

from __future__ import annotations

import ast
import inspect

from shiftwatch import settings
from shiftwatch.metrics import FAMILIES
from shiftwatch.values import FINDING_CODES, SKIP_REASONS

TESTS = {
    "ks": "Kolmogorov-Smirnov, per numeric column; the effect is the largest distance between the "
    "two distribution functions, 0 to 1",
    "chi2": "chi-square, per categorical or boolean column; the effect is the total variation "
    "distance, 0 to 1",
    "nulls": "difference of null rates, per column, by the exact hypergeometric law",
    "unseen": "rows in categories the reference has never had; the effect is their share",
    "mmd": "maximum mean discrepancy over all columns of a scope together, p-value by permutation",
    "c2st": "classifier two-sample test: can the batch be told from the reference? The effect is "
    "2*AUC-1 of held-out scores, 0 when it cannot",
}

VERDICTS = {
    "shift": "the evidence of this batch crossed the level that keeps the promise on false alarms",
    "no_shift": "everything was tested and nothing crossed the level",
    "insufficient_data": "too few rows to test anything; collect larger batches",
    "invalid_data": "the batch cannot be judged as it should; see its findings",
    "error": "a failure of shiftwatch itself, never a statement about the data; see the log",
}


def _config_keys() -> dict[str, str]:
    """Docstrings of the settings' classes and, behind their names, of their fields."""
    tree = ast.parse(inspect.getsource(settings))
    keys: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            for field, text in zip(node.body, node.body[1:], strict=False):
                if (
                    isinstance(field, ast.AnnAssign)
                    and isinstance(field.target, ast.Name)
                    and isinstance(text, ast.Expr)
                    and isinstance(text.value, ast.Constant)
                ):
                    keys[field.target.id] = " ".join(str(text.value.value).split())
    return keys


def _all() -> dict[str, str]:
    metrics = {family.name: family.help for family in FAMILIES}
    return {**_config_keys(), **metrics, **FINDING_CODES, **SKIP_REASONS, **VERDICTS, **TESTS}


def meaning(name: str) -> str | None:
    """What a name means; None if nothing has it.

    Examples
    --------
    >>> meaning("no_nulls")
    'neither side has a null, so the rate cannot differ'
    """
    return _all().get(name)


def names() -> list[str]:
    """Every name that has a meaning, sorted."""
    return sorted(_all())
