"""What the names mean: tests, verdicts, layers, metrics, alerts, findings, words, settings.

In:    a name.
Out:   its meaning, from the place in the code that defines it.
Never: keeps a text that another room already has.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from shiftwatch import annotation, settings
from shiftwatch.alerts import meanings
from shiftwatch.budget import STEPS
from shiftwatch.metrics import FAMILIES
from shiftwatch.price import ENERGY_SOURCES, STAGES
from shiftwatch.quarantine import MEANING, REASONS
from shiftwatch.report import LAYER_MEANINGS, LAYER_NAMES
from shiftwatch.values import FINDING_CODES, SKIP_REASONS

TESTS = {
    "ks": "Kolmogorov-Smirnov, per numeric column; the effect is the largest distance between the "
    "two distribution functions, 0 to 1",
    "chi2": "chi-square, per categorical or boolean column; the effect is the total variation "
    "distance, 0 to 1",
    "nulls": "difference of null rates, per column, by the exact hypergeometric law",
    "unseen": "rows in categories the reference has never had; the effect is their share",
    "distinct": "number of distinct values, per categorical column of many: repeated or too many "
    "new ones; the effect is the change of the share of distinct rows",
    "mmd": "maximum mean discrepancy over all columns of a scope together, p-value by permutation",
    "c2st": "classifier two-sample test: can the batch be told from the reference? The effect is "
    "2*AUC-1 of held-out scores, 0 when it cannot",
}

ENERGY = {
    "energy": "joules of the checks: measured by the processor's own counters where they can be "
    "read (source `rapl`), else estimated (source `estimate`). "
    + "; ".join(f"{source}: {text}" for source, text in ENERGY_SOURCES.items()),
    **ENERGY_SOURCES,
}

QUARANTINE = {
    "quarantine": MEANING,
    **{reason: f"reason for quarantine: {text}" for reason, text in REASONS.items()},
}

STAGE_MEANINGS = {name: f"stage of a check: {text}" for name, text in STAGES.items()}

VERDICTS = {
    "shift": "on this batch evidence crossed the threshold that keeps the promise on false alarms: "
    "of the batch alone, of the last batches together, or of what has built up over past ones",
    "no_shift": "everything was tested and nothing crossed its threshold",
    "insufficient_data": "too few rows to test anything; collect larger batches",
    "invalid_data": "the batch cannot be judged as it should; see its findings",
    "error": "a failure of shiftwatch itself, never a statement about the data; see the log",
}

LAYERS = {
    layer: f"layer of evidence, {LAYER_NAMES[layer]}: {text}"
    for layer, text in LAYER_MEANINGS.items()
}

_Fields = list[tuple[str, str, tuple[str, ...]]]
"""Name, docstring and settings classes of each field of a class."""


def _classes() -> dict[str, tuple[str, _Fields]]:
    """First line and fields of every class of the settings, by name."""
    sources = (path.read_text("utf-8") for path in sorted(Path(settings.__path__[0]).glob("*.py")))
    nodes = [node for source in sources for node in ast.parse(source).body]
    found = {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}
    return {
        name: ((ast.get_docstring(node) or "").partition("\n")[0], list(_fields(node, found)))
        for name, node in found.items()
    }


def _fields(
    node: ast.ClassDef, classes: Mapping[str, ast.ClassDef]
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for statement, after in zip(node.body, [*node.body[1:], ast.Pass()], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            text = ""
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                text = " ".join(str(after.value.value).split())
            names = (n.id for n in ast.walk(statement.annotation) if isinstance(n, ast.Name))
            yield statement.target.id, text, tuple(name for name in names if name in classes)


def _config_keys() -> dict[str, str]:
    """What is said of each key, by its whole path, such as ``models.window.max_rows``."""
    classes = _classes()

    def walk(kind: str, path: str) -> Iterator[tuple[str, str]]:
        for name, text, kinds in classes[kind][1]:
            here = f"{path}.{name}".removeprefix(".")
            yield here, text or "; ".join(classes[inner][0] for inner in kinds or (kind,))
            for inner in kinds:
                yield from walk(inner, here)

    return dict(walk("Settings", ""))


def _senses() -> dict[str, list[str]]:
    """Every name with all it stands for; a key is found by any end of its path."""
    senses: dict[str, list[str]] = {}
    metrics = {family.name: family.help for family in FAMILIES}
    own = (
        TESTS,
        VERDICTS,
        LAYERS,
        FINDING_CODES,
        SKIP_REASONS,
        STEPS,
        STAGE_MEANINGS,
        ENERGY,
        QUARANTINE,
        annotation.MEANINGS,
        meanings(),
    )
    for texts in (*own, metrics):
        for name, text in texts.items():
            senses.setdefault(name, []).append(text)
    for path, text in _config_keys().items():
        steps = path.split(".")
        for start in range(len(steps)):
            senses.setdefault(".".join(steps[start:]), []).append(f"`{path}`: {text}")
    return senses


def meaning(name: str) -> str | None:
    """What a name means, all senses of it; None if nothing has it.

    A configuration key may be given as faults print it, ``models[0].window.max_rows``, or by any
    end of that.

    Examples
    --------
    >>> meaning("no_nulls")
    'neither side has a null, so the rate cannot differ'
    >>> meaning("missing_column").count("; or ")
    1
    """
    senses = _senses().get(re.sub(r"\[\d+\]", "", name))
    return "; or ".join(dict.fromkeys(text.rstrip(".") for text in senses)) if senses else None


def names() -> list[str]:
    """Every name that has a meaning, sorted; configuration keys by every end of their path."""
    return sorted(_senses())


def similar(name: str) -> list[str]:
    """Names that may have been meant; every name without a dot where none is close.

    Examples
    --------
    >>> similar("no_null")[0]
    'no_nulls'
    """
    known = names()
    close = difflib.get_close_matches(name, known, n=5)
    return close or [each for each in known if "." not in each]
