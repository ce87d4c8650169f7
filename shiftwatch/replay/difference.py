"""Hold a stored run against one computed again.

In:    two runs of one batch.
Out:   every difference by name, and how closely what agrees does.
Never: computes a statistic; rounds before it compares.

Three classes. Statistics of ranks and counts, with their effects and p-values, are equal bit for
bit (p-values and intervals are told with nine digits, see ``evaluate.settled``). Those that are sums of many
floating-point numbers (mmd, c2st) may differ by 1e-5 of themselves, since the order of a sum and
the rounding of a function depend on the processor and the version of a library. Their p-values are
counts of permutations and are equal; below the resolution of the permutations they are tails, equal
in their logarithm to 1e-4. Where a test says which p-values ties in rounding could lead to
(``p_value_band`` in its explanation), one within that band is told and is no difference. The
decision is compared in what the batch alone determines; all of it, where the state before the batch
is known.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from shiftwatch.document import from_document, to_document
from shiftwatch.values import Decision, Finding, Run, TwoSampleResult

EXACT_TESTS = frozenset({"ks", "chi2", "nulls", "unseen", "distinct"})
"""Tests of ranks and counts; every other one is compared as a sum of floating-point numbers."""

RELATIVE = 1e-5
"""Largest difference of a floating-point statistic, relative to the larger of the two."""

ABSOLUTE = 1e-5
"""The same for effects and shares, which are at most 1 and may be 0: two rows of a thousand that
change places in a ranking change an AUC by this much at most."""

EVIDENCE = 1e-4
"""Largest difference of the logarithm of a p-value that is no count: below the resolution of the
permutations it is a tail, and one of 1e-50 changes by a hundred times as much of itself as the
statistic does. One permutation in 999 more or less is ten times this."""

TOLD = 1e-9
"""Largest difference of a number in the explanation of a rank or count, which decides nothing."""

_LONGEST_NAME = 200
"""Characters of a text in a decision state that is longer than any name: a packed array."""

SHARE = 2e-4
"""Largest difference of a share in an explanation, which is told with four digits."""

CANCELLED = 1e-7
"""And for a statistic that is a small difference of numbers near 1 with seven digits each, as the
squared distance of two nearly equal samples."""

BAND = "p_value_band"
"""Key of an explanation: the lowest and highest p-value that ties in rounding could lead to."""

OF_THE_CHECK = frozenset({"p_value", "level", "columns", "evidence"})
"""Fields of a decision that the batch alone determines, of the evidence that of the check."""

_OF_A_P_VALUE = ("p_value", "evidence")
"""Fields that follow from p-values, one of which lies within its band."""

_ABSOLUTE_BY_FIELD = {"statistic": CANCELLED, "explanation": SHARE}

_OF_THE_BATCH = ("columns", "contribution", "appeared", "vanished", "performance", "rows")
"""Parts of the explanation of a run that rest on nothing before it."""

FROM_THE_PAST = frozenset({"new_basis", "acceptance_ended"})
"""Findings about what was before the batch."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that came out otherwise. None as a value: there is none."""

    where: str
    stored: Any
    recomputed: Any


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many statistics were compared how, and how closely they agree."""

    exact: int = 0
    """Statistics of ranks and counts that were compared."""
    exact_equal: int = 0
    """Those equal in every bit, with effect and p-value."""
    close: int = 0
    """Floating-point statistics that were compared."""
    close_equal: int = 0
    """Those within :data:`RELATIVE`, with an equal p-value or one within its band."""
    largest: float = 0.0
    """Largest relative difference of a floating-point statistic."""
    in_band: int = 0
    """P-values that differ and lie within the band of ties."""

    def __add__(self, other: Agreement) -> Agreement:
        """Of both."""
        return Agreement(
            self.exact + other.exact,
            self.exact_equal + other.exact_equal,
            self.close + other.close,
            self.close_equal + other.close_equal,
            max(self.largest, other.largest),
            self.in_band + other.in_band,
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs, and how the rest agrees."""

    differences: tuple[Difference, ...] = ()
    agreement: Agreement = field(default_factory=Agreement)


def compare(stored: Run, again: Run, *, memory: bool) -> Comparison:
    """Hold two runs of one batch against each other.

    Parameters
    ----------
    stored
        As read from a report or the history.
    again
        As computed now, from the same bytes. Its times, cost and provenance do not count.
    memory
        Whether both began from the same decision state, so that alarms and findings about the
        past are compared too.
    """
    again = from_document(to_document(again))  # lists for tuples, and times as they are stored
    numbers = _results(stored.results, again.results)
    parts = [*_verdict(stored, again, memory=memory), *numbers.differences]
    parts += _by_name("skip", stored.skipped, again.skipped, ("test", "target", "scope"), 0.0)
    parts += _findings(stored.findings, again.findings, memory=memory)
    parts += _by_name("profile", stored.columns, again.columns, ("name",), RELATIVE)
    parts += _explanations(stored, again, memory=memory)
    parts += _decisions(stored, again, memory=memory, loose=numbers.agreement.in_band > 0)
    return Comparison(tuple(parts), numbers.agreement)


# Results ---------------------------------------------------------------------------------------


def _results(stored: Sequence[TwoSampleResult], again: Sequence[TwoSampleResult]) -> Comparison:
    differences: list[Difference] = []
    agreement = Agreement()
    for name, before, now in _paired(stored, again, ("test", "target", "scope")):
        if before is None or now is None:
            p_values = (each.p_value if each is not None else None for each in (before, now))
            differences.append(Difference(f"{name}: p_value", *p_values))
            continue
        found = (
            _exact(name, before, now) if before.test in EXACT_TESTS else _close(name, before, now)
        )
        differences += found.differences
        agreement += found.agreement
    return Comparison(tuple(differences), agreement)


def _exact(name: str, before: TwoSampleResult, now: TwoSampleResult) -> Comparison:
    known = [asdict(each) for each in (before, now)]
    told = [each.pop("explanation") for each in known]
    found = list(_unequal(name, known[0], known[1], 0.0))
    agreement = Agreement(exact=1, exact_equal=int(not found))
    found += _unequal(f"{name}: explanation", told[0], told[1], TOLD, TOLD)
    return Comparison(tuple(found), agreement)


def _close(name: str, before: TwoSampleResult, now: TwoSampleResult) -> Comparison:
    banded = _in_band(before, now)
    found: list[Difference] = []
    if not banded and not _near_p(before.p_value, now.p_value):
        found.append(Difference(f"{name}: p_value", before.p_value, now.p_value))
    # What the band rests on is a count of near ties, which may differ as the p-value may.
    known = [_without(asdict(each), "p_value", BAND) for each in (before, now)]
    for key in known[0]:
        absolute = _ABSOLUTE_BY_FIELD.get(key, ABSOLUTE)
        stored, again = (_by_column(each[key]) for each in known)
        found += _unequal(f"{name}: {key}", stored, again, RELATIVE, absolute)
    largest = _relative(before.statistic, now.statistic)
    return Comparison(tuple(found), Agreement(0, 0, 1, int(not found), largest, int(banded)))


def _without(known: dict[str, Any], *keys: str) -> dict[str, Any]:
    """A result without fields and parts of its explanation."""
    told = {key: value for key, value in known["explanation"].items() if key not in keys}
    return {key: value for key, value in known.items() if key not in keys} | {"explanation": told}


def _near_p(before: float, now: float) -> bool:
    """Whether p-values are equal on the scale of evidence; see :data:`EVIDENCE`."""
    return math.isclose(math.log(before), math.log(now), rel_tol=EVIDENCE, abs_tol=EVIDENCE)


def _in_band(before: TwoSampleResult, now: TwoSampleResult) -> bool:
    """Whether the p-values differ, and ties in rounding are enough to explain it."""
    band = before.explanation.get(BAND)
    if not band or _near_p(before.p_value, now.p_value):
        return False
    low, high = band
    return bool(low * (1 - RELATIVE) <= now.p_value <= high * (1 + RELATIVE))


# The rest --------------------------------------------------------------------------------------


def _findings(
    stored: Sequence[Finding], again: Sequence[Finding], *, memory: bool
) -> Iterator[Difference]:
    hidden = FROM_THE_PAST - ({"new_basis"} if memory else set())
    before, now = (
        [finding for finding in each if finding.code not in hidden] for each in (stored, again)
    )
    for finding in before:
        if finding not in now:
            yield Difference(f"finding {finding.code}", finding.message, None)
    for finding in now:
        if finding not in before:
            yield Difference(f"finding {finding.code}", None, finding.message)


def _explanations(stored: Run, again: Run, *, memory: bool) -> Iterator[Difference]:
    """What is said in words and ranks; all of it only where the past is the same."""
    before, now = (
        {key: _by_column(value) for key, value in run.explanation.items()}
        if memory
        else {key: _by_column(run.explanation.get(key)) for key in _OF_THE_BATCH}
        for run in (stored, again)
    )
    yield from _unequal("explanation", before, now, RELATIVE, SHARE)
    if memory:
        yield from _unequal("reasons", list(stored.reasons), list(again.reasons), 0.0)


def _by_column(value: Any) -> Any:
    """Ranked columns by their names: of equal shares, rounding decides which comes first.

    Examples
    --------
    >>> _by_column([{"column": "age", "share": 0.5}])
    {'age': {'column': 'age', 'share': 0.5}}
    """
    if isinstance(value, Mapping):
        return {key: _by_column(inner) for key, inner in value.items()}
    if _is_list(value) and value and all(isinstance(x, Mapping) and "column" in x for x in value):
        return {str(inner["column"]): inner for inner in value}
    return value


def _verdict(stored: Run, again: Run, *, memory: bool) -> Iterator[Difference]:
    """The answers, unless one is that of a slow layer and the past is not the same."""
    if not memory and any(_is_slow(run) and not _is_of_the_check(run) for run in (stored, again)):
        return
    if stored.verdict != again.verdict:
        yield Difference("verdict", stored.verdict, again.verdict)


def _is_slow(run: Run) -> bool:
    """Whether a layer over past batches has reached its threshold."""
    layers = (layer for d in run.decisions for layer in (d.evidence.window, d.evidence.pool))
    return any(layer is not None and layer >= 1 for layer in layers)


def _is_of_the_check(run: Run) -> bool:
    return any(d.p_value is not None and d.p_value <= d.level for d in run.decisions)


def _decisions(stored: Run, again: Run, *, memory: bool, loose: bool) -> Iterator[Difference]:
    hidden = set(_OF_A_P_VALUE) if loose else set()
    if not memory:
        hidden |= {item.name for item in fields(Decision)} - OF_THE_CHECK
        hidden |= _of_the_past(stored, again)
    for name, before, now in _paired(stored.decisions, again.decisions, ("scope",)):
        if before is None or now is None:
            # A scope that is only remembered: nothing of it was decided on this batch.
            if memory or (before or now).p_value is not None:
                yield Difference(f"decision on {name}", before and "made", now and "made")
            continue
        then, today = (_decided(each, hidden, memory=memory) for each in (before, now))
        if then.pop("level", None) != today.pop("level", None):
            yield Difference(f"decision on {name}: level", before.level, now.level)
        yield from _unequal(f"decision on {name}", then, today, EVIDENCE, EVIDENCE)


def _of_the_past(stored: Run, again: Run) -> set[str]:
    """What of a decision the past takes part in, here."""
    found = set()
    if _is_slow(stored) or _is_slow(again):
        found.add("columns")  # those of slow layers are among them
    if stored.provenance.get("alarms", {}).get("false_alarms", {}).get("per_days") is not None:
        found |= {"level", "evidence"}  # a promise in days: the level follows the time between
    return found


def _decided(decision: Decision, hidden: Collection[str], *, memory: bool) -> dict[str, Any]:
    """What is compared of a decision."""
    known = asdict(decision)
    if not memory:
        known["evidence"] = {"check": decision.evidence.check}
    if decision.p_value is not None:
        known["p_value"] = math.log(decision.p_value)  # as its evidence is compared
    return {key: value for key, value in known.items() if key not in hidden}


def _paired(
    stored: Sequence[Any], again: Sequence[Any], keys: Sequence[str]
) -> Iterator[tuple[str, Any, Any]]:
    """Those of one key, by a name for people; None where one side has none."""
    sides = [{tuple(getattr(x, key) for key in keys): x for x in side} for side in (stored, again)]
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        yield _named(key), sides[0].get(key), sides[1].get(key)


def _named(key: Sequence[str]) -> str:
    """A key in words.

    Examples
    --------
    >>> _named(("ks", "age", "input")), _named(("mmd", "*", "input")), _named(("age",))
    ('ks of age (input)', 'mmd (input)', 'age')
    """
    if len(key) == 1:
        return key[0]
    test, target, scope = key
    return f"{test} ({scope})" if target == "*" else f"{test} of {target} ({scope})"


def _by_name(
    what: str, stored: Sequence[Any], again: Sequence[Any], keys: Sequence[str], relative: float
) -> Iterator[Difference]:
    for name, before, now in _paired(stored, again, keys):
        if before is None or now is None:
            yield Difference(f"{what}: {name}", before and "there", now and "there")
        else:
            yield from _unequal(f"{what}: {name}", asdict(before), asdict(now), relative)


# Values ----------------------------------------------------------------------------------------


def states_differ(stored: str, again: str) -> bool:
    """Whether two decision states say other things: counts and names equal, numbers to 1e-4.

    Arrays packed into text are left out: their bits are not the same and their form is not ours.

    Examples
    --------
    >>> states_differ('{"checks": 6, "sum": 0.5}', '{"checks": 6, "sum": 0.50000001}')
    False
    >>> states_differ('{"checks": 6}', '{"checks": 7}')
    True
    """
    return any(_unequal("state", _opened(stored), _opened(again), EVIDENCE, EVIDENCE))


def _opened(value: Any) -> Any:
    """JSON with the JSON that is kept in its texts, and without packed arrays."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        with suppress(ValueError):
            return _opened(json.loads(value))
    if isinstance(value, str) and len(value) > _LONGEST_NAME:
        return None
    if isinstance(value, Mapping):
        return {key: _opened(inner) for key, inner in value.items()}
    return [_opened(inner) for inner in value] if _is_list(value) else value


def _unequal(
    where: str, stored: Any, again: Any, relative: float, absolute: float = 0.0
) -> Iterator[Difference]:
    """Leaves of two JSON-like values that differ by more than is allowed."""
    if isinstance(stored, Mapping) and isinstance(again, Mapping):
        for key in dict.fromkeys([*stored, *again]):
            inner = f"{where}: {key}"
            yield from _unequal(inner, stored.get(key), again.get(key), relative, absolute)
    elif _is_list(stored) and _is_list(again) and len(stored) == len(again):
        for place, (before, now) in enumerate(zip(stored, again, strict=True)):
            yield from _unequal(f"{where}[{place}]", before, now, relative, absolute)
    elif not _near(stored, again, relative, absolute):
        yield Difference(where, stored, again)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _near(stored: Any, again: Any, relative: float, absolute: float) -> bool:
    if not isinstance(stored, float) or not isinstance(again, float):
        return bool(stored == again)
    if math.isnan(stored) or math.isnan(again):
        return math.isnan(stored) and math.isnan(again)
    return stored == again or math.isclose(stored, again, rel_tol=relative, abs_tol=absolute)


def _relative(stored: float, again: float) -> float:
    """Difference relative to the larger of the two; 0 for equal ones.

    Examples
    --------
    >>> _relative(2.0, 1.0), _relative(0.0, 0.0)
    (0.5, 0.0)
    """
    if stored == again:
        return 0.0
    return abs(stored - again) / max(abs(stored), abs(again))
