"""What every two-sample test owes, asked of the whole registry: a test added later is in it."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from shiftwatch import cache, glossary
from shiftwatch.sample import Column, Sample, categorical, numeric
from shiftwatch.settings import ClassifierSettings, MmdSettings, TestsSettings
from shiftwatch.twosample.protocol import (
    MIN_ROWS,
    ColumnTest,
    JointTest,
    NotTested,
    Outcome,
    Prepared,
)
from shiftwatch.twosample.registry import COLUMN_TESTS, JOINT_TESTS, Plan, build
from shiftwatch.values import SKIP_REASONS, Kind

Floats = NDArray[np.float64]
Generator = np.random.Generator
Pair = tuple[Sample, Sample]

NAMES = {**COLUMN_TESTS, **JOINT_TESTS}
TESTABLE: frozenset[Kind] = frozenset({"numeric", "categorical"})
PLAN = build(TestsSettings.all())
# Fewer permutations and features keep every promise but power: the level is exact at any number.
QUICK = replace(
    TestsSettings.all(),
    mmd=MmdSettings(permutations=199, features=32),
    c2st=ClassifierSettings(permutations=199),
)


# ------------------------------------------------------------------ one face for both sorts of test


@dataclass(frozen=True)
class Subject:
    """A test as the conformance suite sees it: a column test takes its column from a sample."""

    id: str
    kind: Kind | None
    """The kind of its column; None is a joint test, which takes all columns."""
    keep: Callable[[Sample, Generator], Prepared]
    hold: Callable[[Prepared, Sample, Generator], Outcome | NotTested]

    def prepare(self, reference: Sample, seed: int = 1) -> Prepared:
        prepared = self.keep(read_only(reference), np.random.default_rng(seed))
        json.dumps(prepared.facts, allow_nan=False)
        for array in prepared.arrays.values():
            array.flags.writeable = False
        return prepared

    def run(self, prepared: Prepared, current: Sample, seed: int = 2) -> Outcome | NotTested:
        return self.hold(prepared, read_only(current), np.random.default_rng(seed))

    def compare(self, reference: Sample, current: Sample, seed: int = 0) -> Outcome | NotTested:
        prepared = self.prepare(reference, 2 * seed + 1)
        answer = self.run(prepared, current, 2 * seed + 2)
        check_form(answer, reference.rows, current.rows)
        return answer


def of_column(test: ColumnTest, kind: Kind, variant: str) -> Subject:
    def column(sample: Sample) -> Column:
        return sample.of_kind(kind).columns[0]

    return Subject(
        f"{test.name}-{kind}{variant}",
        kind,
        lambda sample, rng: test.prepare(column(sample), rng),
        lambda prepared, sample, rng: test.run(prepared, column(sample), rng),
    )


def subjects(plan: Plan, variant: str = "") -> Iterator[Subject]:
    for column_test in plan.column:
        for kind in sorted(column_test.kinds):
            yield of_column(column_test, kind, variant)
    for joint_test in plan.joint:
        yield Subject(joint_test.name + variant, None, joint_test.prepare, joint_test.run)


def settings_of(name: str) -> Any:
    return next(kind for kind in get_args(get_type_hints(TestsSettings)[name]) if kind)


def variants() -> Iterator[Subject]:
    """Tests in each way their settings name by a word, such as another learner."""
    off = TestsSettings(nulls=None, unseen=None)
    for name in NAMES:
        for field, hint in get_type_hints(settings_of(name)).items():
            usual = getattr(settings_of(name)(), field)
            others = get_args(hint) if get_origin(hint) is Literal else ()
            for word in (word for word in others if word != usual):
                chosen = replace(getattr(QUICK, name), **{field: word})
                yield from subjects(build(replace(off, **{name: chosen})), f"-{word}")


SUBJECTS = [*subjects(build(QUICK)), *variants()]
SLOW = {"c2st-trees"}
"""Subjects whose fits take tens of milliseconds: fewer null draws."""
EACH = pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.id)


def read_only(sample: Sample) -> Sample:
    """The same sample; whoever writes into it raises."""
    for column in sample.columns:
        column.values.flags.writeable = False
        column.valid.flags.writeable = False
    return sample


def check_form(answer: Outcome | NotTested, rows_reference: int, rows_current: int) -> None:
    """What holds of every answer, whatever the data."""
    if isinstance(answer, NotTested):
        assert answer.reason in SKIP_REASONS
        assert isinstance(answer.detail, str)
        return
    assert 0 < answer.p_value <= 1
    assert 0 <= answer.effect <= 1
    assert (answer.effect_low is None) == (answer.effect_high is None)
    if answer.effect_low is not None and answer.effect_high is not None:
        assert 0 <= answer.effect_low <= answer.effect <= answer.effect_high <= 1
    assert MIN_ROWS <= answer.rows_reference <= rows_reference
    assert MIN_ROWS <= answer.rows_current <= rows_current
    # Also refuses NaN, infinities and numpy's numbers, anywhere.
    json.dumps(asdict(answer), allow_nan=False)
    for number in (answer.statistic, answer.p_value, answer.effect):
        assert type(number) is float
    for key, rows in (("appeared", rows_current), ("vanished", rows_reference)):
        positions = answer.explanation.get(key, [])
        assert len(set(positions)) == len(positions) <= 10
        assert all(0 <= position < rows for position in positions)


def p_value_of(answer: Outcome | NotTested) -> float:
    """A test that was not run raises no alarm, as one with p-value 1."""
    return answer.p_value if isinstance(answer, Outcome) else 1.0


# ---------------------------------------------------------------------------------------- the laws


def plain(rng: Generator, rows: int) -> Sample:
    """Two dependent normal numbers and a category of five levels."""
    number = rng.standard_normal(rows)
    other = 0.7 * number + rng.standard_normal(rows)
    level = rng.choice(list("abcde"), rows, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    columns = (numeric("n", number), numeric("o", other), categorical("c", level.tolist()))
    return Sample(rows, columns)


def tied(rng: Generator, rows: int) -> Sample:
    """Few distinct numbers, most of them 0, and hundreds of rare categories."""
    number = np.where(rng.random(rows) < 0.5, 0.0, rng.poisson(3, rows))
    level = rng.zipf(1.6, rows) % 300
    columns = (numeric("n", number), categorical("c", [f"level {x}" for x in level]))
    return Sample(rows, columns)


def holed(rng: Generator, rows: int) -> Sample:
    """Heavy tails and a fifth of nulls, in both kinds of column, often in the same rows."""
    number, other = rng.standard_t(1.5, rows), rng.exponential(size=rows)
    gone = rng.random(rows) < 0.2
    number[gone] = np.nan
    other[gone & (rng.random(rows) < 0.5)] = np.nan
    level = [None if x == "null" else x for x in rng.choice(["x", "y", "", "null"], rows).tolist()]
    columns = (numeric("n", number), numeric("o", other), categorical("c", level))
    return Sample(rows, columns)


def keyed(rng: Generator, rows: int) -> Sample:
    """A number, and a key of which most rows have their own."""
    level = rng.integers(600, size=rows)
    columns = (numeric("n", rng.standard_normal(rows)), categorical("c", [f"k {x}" for x in level]))
    return Sample(rows, columns)


LAWS = {"plain": plain, "tied": tied, "holed": holed, "keyed": keyed}
EACH_LAW = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)


def texts(column: Column) -> list[str | None]:
    return [None if code < 0 else column.categories[code] for code in column.values.tolist()]


# ----------------------------------------------------------------------------------------- the level

NULLS = (
    ("plain", 300, 60),
    ("plain", 40, 31),
    ("tied", 300, 60),
    ("tied", 60, 300),
    ("holed", 200, 200),
    ("holed", 70, 45),
    ("keyed", 300, 150),
    ("plain", 100, MIN_ROWS),
    ("tied", 20, 20),
)
LEVELS = (0.01, 0.05, 0.2)
BEYOND = 1e-4
"""Chance that a test with the exact level leaves the binomial band."""


@lru_cache(maxsize=len(NULLS))
def null_pairs(law: str, rows_reference: int, rows_current: int, runs: int) -> list[Pair]:
    rng = np.random.default_rng([6, rows_reference, rows_current])
    draw = LAWS[law]
    return [(draw(rng, rows_reference), draw(rng, rows_current)) for _ in range(runs)]


@lru_cache(maxsize=len(NULLS) * len(SUBJECTS))
def null_p_values(position: int, law: str, rows_reference: int, rows_current: int) -> Floats:
    subject = SUBJECTS[position]
    pairs = null_pairs(law, rows_reference, rows_current, 300)
    used = pairs if subject.kind is not None else pairs[: 40 if subject.id in SLOW else 150]
    answers = (subject.compare(*pair, seed) for seed, pair in enumerate(used))
    return np.array([p_value_of(answer) for answer in answers])


BOUNDS = {"unseen-categorical"}
"""Subjects whose p-values are upper bounds by construction, so a half is seldom reached."""


def check_level(p_values: Floats) -> None:
    for level in LEVELS:
        rejected = np.count_nonzero(p_values <= level)
        assert rejected <= stats.binom.isf(BEYOND, p_values.size, level), level


EACH_POSITION = pytest.mark.parametrize(
    "position", range(len(SUBJECTS)), ids=[subject.id for subject in SUBJECTS]
)


@pytest.mark.slow
@pytest.mark.parametrize(("law", "m", "n"), NULLS)
@EACH_POSITION
def test_false_alarms_stay_within_the_binomial_band_of_the_level(
    position: int, law: str, m: int, n: int
) -> None:
    check_level(null_p_values(position, law, m, n))


@pytest.mark.slow
@EACH_POSITION
def test_false_alarms_over_all_null_laws_together_stay_within_the_narrower_band(
    position: int,
) -> None:
    p_values = np.concatenate([null_p_values(position, *null) for null in NULLS])
    check_level(p_values)
    # A test that is never sure of anything would pass the above; the level is there to be used.
    tested = p_values[p_values < 1]
    assert tested.size >= 10, "hardly any null law was tested"
    least = 0.05 if SUBJECTS[position].id in BOUNDS else 0.2
    assert np.mean(tested <= 0.5) >= least, "the p-values are far too large"


# ------------------------------------------------------------------------- what must not matter


def reordered(sample: Sample, rng: Generator) -> Sample:
    """The same rows as another file could hold them: other order, other dictionary."""
    shuffled = sample.take(rng.permutation(sample.rows))
    columns = (
        replace(column, **recoded(column)) if column.kind == "categorical" else column
        for column in shuffled.columns
    )
    return Sample(sample.rows, tuple(columns))


def recoded(column: Column) -> dict[str, Any]:
    """Codes by first appearance in this order, behind a category that no row holds."""
    again = categorical(column.name, texts(column))
    codes = np.where(again.valid, again.values + 1, -1).astype(np.int32)
    return {"values": codes, "categories": ("held by no row", *again.categories)}


@EACH_LAW
@EACH
def test_the_order_of_the_batchs_rows_and_of_its_dictionary_does_not_matter(
    subject: Subject, law: Callable[[Generator, int], Sample]
) -> None:
    rng = np.random.default_rng(1)
    reference, current = law(rng, 500), law(rng, 150)
    prepared = subject.prepare(reference)
    answer = placeless(subject.run(prepared, current))
    for _ in range(3):
        assert placeless(subject.run(prepared, reordered(current, rng))) == answer


def placeless(answer: Outcome | NotTested) -> Outcome | NotTested:
    """Without the positions of rows of the batch, which are in its order."""
    if isinstance(answer, NotTested):
        return answer
    said = {key: value for key, value in answer.explanation.items() if key != "appeared"}
    return replace(answer, explanation=said)


def turned(sample: Sample) -> Sample:
    """The same columns from the last to the first."""
    return Sample(sample.rows, sample.columns[::-1])


def same_answer(one: Outcome | NotTested, other: Outcome | NotTested) -> None:
    """The same up to rounding."""
    if isinstance(one, NotTested) or isinstance(other, NotTested):
        assert one == other
        return
    for name in ("statistic", "p_value", "effect"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-5, abs=1e-12)


@EACH_LAW
@EACH
@pytest.mark.parametrize("shifted", [False, True], ids=["null", "shifted"])
def test_the_order_of_the_references_rows_does_not_matter(
    subject: Subject, law: Callable[[Generator, int], Sample], shifted: bool
) -> None:
    rng = np.random.default_rng(11)
    reference, current = law(rng, 400), law(rng, 150)
    if shifted:
        current = moved(rng, reshared(rng, current))
    again = subject.compare(reordered(reference, rng), current)
    same_answer(subject.compare(reference, current), again)


@EACH_LAW
@pytest.mark.parametrize("subject", [s for s in SUBJECTS if s.kind is None], ids=lambda s: s.id)
@pytest.mark.parametrize("shifted", [False, True], ids=["null", "shifted"])
def test_the_order_of_columns_does_not_matter(
    subject: Subject, law: Callable[[Generator, int], Sample], shifted: bool
) -> None:
    rng = np.random.default_rng(12)
    reference, current = law(rng, 400), law(rng, 150)
    if shifted:
        current = moved(rng, reshared(rng, current))
    again = subject.compare(turned(reference), turned(current))
    same_answer(subject.compare(reference, current), again)


@EACH_LAW
@EACH
def test_the_same_generators_give_the_same_answer(
    subject: Subject, law: Callable[[Generator, int], Sample]
) -> None:
    rng = np.random.default_rng(2)
    reference, current = law(rng, 400), law(rng, 100)
    assert subject.compare(reference, current) == subject.compare(reference, current)


@EACH_LAW
@EACH
def test_global_randomness_is_neither_read_nor_moved(
    subject: Subject, law: Callable[[Generator, int], Sample]
) -> None:
    rng = np.random.default_rng(3)
    reference, current = law(rng, 400), law(rng, 100)
    answer = subject.compare(reference, current)
    np.random.random(3)  # noqa: NPY002 - the global state is what this is about
    random.random()
    before = (str(np.random.get_state(legacy=False)), random.getstate())  # noqa: NPY002
    assert subject.compare(reference, current) == answer
    assert (str(np.random.get_state(legacy=False)), random.getstate()) == before  # noqa: NPY002


@EACH_LAW
@EACH
def test_a_reference_mapped_read_only_from_the_cache_gives_the_same_answer(
    subject: Subject, law: Callable[[Generator, int], Sample], tmp_path: Path
) -> None:
    rng = np.random.default_rng(4)
    prepared, current = subject.prepare(law(rng, 500)), law(rng, 150)
    cache.write(tmp_path / "reference", prepared.arrays, prepared.facts)
    stored = cache.read(tmp_path / "reference", verify=True)
    assert stored is not None
    arrays, facts = stored
    assert not any(array.flags.writeable for array in arrays.values())
    mapped = Prepared(arrays, facts)
    assert subject.run(mapped, current) == subject.run(prepared, current)
    assert subject.run(mapped, current) == subject.run(mapped, current)


# ------------------------------------------------------------------------------- degenerate input

ROWS = (100, 60)
ANY = np.random.default_rng(5)


def numbers(draw: Callable[[int], Any]) -> tuple[Column, Column]:
    """Both sides from one law: whatever a test makes of it, it is no shift."""
    one, two = (numeric("odd", np.asarray(draw(rows), dtype=np.float64)) for rows in ROWS)
    return one, two


def levels(draw: Callable[[int], list[str | None]]) -> tuple[Column, Column]:
    one, two = (categorical("odd", draw(rows)) for rows in ROWS)
    return one, two


def normal(rows: int) -> Floats:
    return ANY.standard_normal(rows)


def constant(value: float) -> tuple[Column, Column]:
    return numbers(lambda rows: np.full(rows, value))


def mostly(usual: float, rare: float) -> tuple[Column, Column]:
    return numbers(lambda rows: np.where(np.arange(rows) % 20 == 0, rare, usual))


def number(values: Any) -> Column:
    return numeric("odd", np.asarray(values, dtype=np.float64))


def level(values: list[str | None]) -> Column:
    return categorical("odd", values)


MANY: list[str | None] = [f"level {index}" for index in range(5000)]
ORDINARY: list[str | None] = ["a", "b", "b"] * 20
FEW = number([])

SAME: Mapping[str, tuple[Column, Column]] = {
    "a constant": constant(0.1),
    "a constant of 1e308": constant(1e308),
    "a constant denormal": constant(5e-324),
    "a constant infinity": constant(math.inf),
    "all null": constant(math.nan),
    "both zeros": numbers(lambda rows: ANY.choice([0.0, -0.0], rows)),
    "both infinities": numbers(lambda rows: ANY.choice([-math.inf, math.inf], rows)),
    "infinities, null and numbers": numbers(
        lambda rows: ANY.choice([-math.inf, -1.0, math.nan, 2.0, math.inf], rows)
    ),
    "both ends of double": numbers(lambda rows: ANY.choice([-1.0, 1.0], rows) * 1.7e308),
    "spread out to 1e308": numbers(lambda rows: ANY.uniform(-1.0, 1.0, rows) * 1.7e308),
    "rarely 1e308": mostly(0.0, 1e308),
    "rarely minus 1e308 among numbers": numbers(
        lambda rows: np.where(np.arange(rows) % 20 == 0, -1.7e308, ANY.standard_normal(rows))
    ),
    "denormals": numbers(lambda rows: ANY.integers(0, 50, rows) * 5e-324),
    "rarely a denormal": mostly(0.0, 5e-324),
    "integers beyond 2**53": numbers(lambda rows: 2.0**63 + ANY.integers(0, 1000, rows) * 2048),
    "one level": levels(lambda rows: ["only"] * rows),
    "one level, the empty text": levels(lambda rows: [""] * rows),
    "all levels null": levels(lambda rows: [None] * rows),
    "the empty text and null": levels(lambda rows: ["", None, "a", "b"] * (rows // 4)),
    "texts beyond the plane": levels(
        lambda rows: ["\U0001f600", "\U0001d538", "e\u0301", "\u00e9", "a\0b"] * (rows // 5)
    ),
    "texts that are syntax": levels(lambda rows: ['"', "{}", "\n", "%s", "\\"] * (rows // 5)),
    "one row": (number([1.0]), number([2.0])),
    "no rows": (FEW, FEW),
    "one level in one row": (level(["a"]), level(["b"])),
    "levels in no rows": (level([]), level([])),
    "5000 levels": levels(lambda rows: [MANY[k] for k in ANY.integers(5000, size=100 * rows)]),
}
"""By name: both sides of one law, or too few rows to tell."""

APART: Mapping[str, tuple[Column, Column]] = {
    "two constants": (constant(3.0)[0], constant(4.0)[1]),
    "null in the reference": (constant(math.nan)[0], number(normal(60))),
    "null in the batch": (number(normal(100)), constant(math.nan)[1]),
    "infinite in the reference": (constant(math.inf)[0], number(normal(60))),
    "infinite in the batch": (number(normal(100)), constant(-math.inf)[1]),
    "infinities of both signs": (constant(math.inf)[0], constant(-math.inf)[1]),
    "1e308 in the reference": (number(normal(100) * 5e307), number(normal(60))),
    "1e308 in the batch": (number(normal(100)), number(normal(60) * 5e307)),
    "denormals in the reference": (
        number(ANY.integers(0, 5, 100) * 5e-324),
        number(normal(60)),
    ),
    "denormals in the batch": (number(normal(100)), number(ANY.integers(0, 5, 60) * 5e-324)),
    "a reference of one row": (number([1.0]), number(normal(60))),
    "a batch of one row": (number(normal(100)), number([1.0])),
    "a reference of no rows": (FEW, number(normal(60))),
    "a batch of no rows": (number(normal(100)), FEW),
    "two levels, one each": (level(["a"] * 100), level(["b"] * 60)),
    "levels null in the reference": (level([None] * 100), level(ORDINARY)),
    "levels null in the batch": (level(ORDINARY), level([None] * 60)),
    "levels, a reference of one row": (level(["a"]), level(ORDINARY)),
    "levels, a batch of one row": (level(ORDINARY), level(["a"])),
    "levels, a reference of no rows": (level([]), level(ORDINARY)),
    "levels, a batch of no rows": (level(ORDINARY), level([])),
    "5000 levels in the reference": (level(MANY), level(ORDINARY)),
    "5000 levels in the batch": (level(ORDINARY), level(MANY)),
    "another level in every row": (level(MANY[:100]), level(MANY[100:160])),
}
"""By name: sides that differ, in ways that invite a division by zero."""


def suited(pairs: Mapping[str, tuple[Column, Column]]) -> list[Any]:
    """Subject and pair, where the subject takes such columns."""
    return [
        pytest.param(subject, pair, id=f"{subject.id}-{name}")
        for subject in SUBJECTS
        for name, pair in pairs.items()
        if subject.kind in (None, pair[0].kind)
    ]


def alone(column: Column) -> Sample:
    return Sample(column.rows, (column,))


def beside(column: Column, seed: int) -> Sample:
    """The column among ordinary ones, as in a real sample."""
    ordinary = plain(np.random.default_rng(seed), column.rows)
    return Sample(column.rows, (column, *ordinary.columns))


@pytest.mark.parametrize(("subject", "pair"), suited(SAME))
def test_odd_data_without_a_shift_is_answered_and_is_no_shift(
    subject: Subject, pair: tuple[Column, Column]
) -> None:
    answer = subject.compare(alone(pair[0]), alone(pair[1]))
    assert p_value_of(answer) > BEYOND


@pytest.mark.parametrize(("subject", "pair"), suited(APART))
def test_odd_data_with_a_shift_is_answered_or_the_reason_is_named(
    subject: Subject, pair: tuple[Column, Column]
) -> None:
    subject.compare(alone(pair[0]), alone(pair[1]))


@pytest.mark.parametrize("subject", [s for s in SUBJECTS if s.kind is None], ids=lambda s: s.id)
@pytest.mark.parametrize("name", [*SAME, *APART])
def test_an_odd_column_beside_ordinary_ones_is_answered(subject: Subject, name: str) -> None:
    reference, current = {**SAME, **APART}[name]
    answer = subject.compare(beside(reference, 1), beside(current, 2))
    if min(reference.rows, current.rows) >= MIN_ROWS:
        assert isinstance(answer, Outcome), "one odd column silenced the others"
    if name in SAME:
        assert p_value_of(answer) > BEYOND


@EACH_LAW
@EACH
def test_rows_that_occur_again_and_again_are_no_shift_and_no_trouble(
    subject: Subject, law: Callable[[Generator, int], Sample]
) -> None:
    """The batch repeats what the reference holds; then both hold one row over and over."""
    rng = np.random.default_rng(14)
    reference = law(rng, 300)
    answer = subject.compare(reference, reference.take(rng.permutation(300)))
    assert p_value_of(answer) > 0.05
    one = reference.take(np.zeros(100, dtype=np.int64))
    assert p_value_of(subject.compare(one, one.take(np.arange(60)))) == 1.0
    subject.compare(reference, one)
    subject.compare(one, reference)


@EACH
def test_fewer_rows_than_the_least_give_no_p_value(subject: Subject) -> None:
    rng = np.random.default_rng(6)
    few, many = holed(rng, MIN_ROWS - 1), holed(rng, 500)
    for reference, current in ((few, many), (many, few), (few, few)):
        answer = subject.compare(reference, current)
        assert isinstance(answer, NotTested)
        assert answer.reason == "too_few_rows"


# -------------------------------------------------------------------------------- strong shifts


def moved(rng: Generator, sample: Sample) -> Sample:
    """Numbers go up by two standard deviations."""
    del rng
    return changed(sample, n=numeric("n", values_of(sample, "n") + 2.0))


def widened(rng: Generator, sample: Sample) -> Sample:
    """Numbers scatter four times as wide about the same centre."""
    del rng
    return changed(sample, n=numeric("n", values_of(sample, "n") * 4.0))


def reshared(rng: Generator, sample: Sample) -> Sample:
    """Half of the rows get the level that was the rarest."""
    return changed(sample, c=overwritten(rng, sample, "e"))


def renewed(rng: Generator, sample: Sample) -> Sample:
    """Half of the rows get a level the reference has never had."""
    return changed(sample, c=overwritten(rng, sample, "new"))


def scattered(rng: Generator, sample: Sample) -> Sample:
    """Every row gets a level of its own."""
    own = [f"own {index}" for index in rng.permutation(sample.rows).tolist()]
    return changed(sample, c=categorical("c", own))


def emptied(rng: Generator, sample: Sample) -> Sample:
    """Half of the values of every column are null."""
    gone = np.where(rng.random(sample.rows) < 0.5, np.nan, values_of(sample, "n"))
    return changed(sample, n=numeric("n", gone), c=overwritten(rng, sample, None))


def untied(rng: Generator, sample: Sample) -> Sample:
    """The two numbers no longer depend on each other; each by itself is as before."""
    return changed(sample, o=numeric("o", rng.permutation(values_of(sample, "o"))))


def values_of(sample: Sample, name: str) -> Floats:
    return sample.column(name).values.astype(np.float64)


def changed(sample: Sample, **columns: Column) -> Sample:
    return Sample(sample.rows, tuple(columns.get(c.name, c) for c in sample.columns))


def overwritten(rng: Generator, sample: Sample, text: str | None) -> Column:
    hit = rng.random(sample.rows) < 0.5
    kept = texts(sample.column("c"))
    return categorical("c", [text if h else t for h, t in zip(hit, kept, strict=True)])


SHIFTS = (moved, widened, reshared, renewed, scattered, emptied, untied)
FOUND = 1e-6
"""The p-value of a shift that nobody could miss."""

OWES = {
    "ks-numeric": {"moved", "widened"},
    "chi2-categorical": {"reshared", "renewed"},
    "nulls-numeric": {"emptied"},
    "nulls-categorical": {"emptied"},
    "unseen-categorical": {"renewed", "scattered"},
    "distinct-categorical": {"scattered"},
    "mmd": {shift.__name__ for shift in SHIFTS},
    # One kernel without regularisation: of a dependence alone it shows 1e-5 or so.
    "mmd-median": {shift.__name__ for shift in SHIFTS} - {"untied"},
    "c2st": {shift.__name__ for shift in SHIFTS},
    # Half of the rows train the trees: of a dependence alone the other half shows 1e-6 in 6 of 10.
    "c2st-trees": {shift.__name__ for shift in SHIFTS} - {"untied"},
}
"""Shifts each test must find; one that is not named here must find at least one of them all."""


def with_odd_rows(sample: Sample) -> Sample:
    """Three rows gone wild, and a column that was constant has a new level in one of them."""
    wild = values_of(sample, "n").copy()
    wild[:3] = (1e308, -math.inf, math.nan)
    flat: list[str | None] = ["usual"] * (sample.rows - 1)
    odd = categorical("flat", ["odd", *flat])
    return changed(sample, n=numeric("n", wild), flat=odd)


def found(subject: Subject, spoil: Callable[[Sample], Sample] = lambda sample: sample) -> set[str]:
    """Names of the shifts the subject finds."""
    rng = np.random.default_rng(7)
    names = set()
    for shift in SHIFTS:
        reference, current = flat_beside(plain(rng, 1500)), flat_beside(plain(rng, 500))
        answer = subject.compare(reference, spoil(shift(rng, current)))
        if p_value_of(answer) < FOUND:
            names.add(shift.__name__)
    return names


def flat_beside(sample: Sample) -> Sample:
    flat = categorical("flat", ["usual"] * sample.rows)
    return Sample(sample.rows, (*sample.columns, flat))


@EACH
def test_a_strong_shift_of_its_kind_is_found(subject: Subject) -> None:
    names = found(subject)
    assert names
    assert names >= OWES.get(subject.id, set())


@EACH
def test_a_few_odd_rows_do_not_hide_a_strong_shift(subject: Subject) -> None:
    names = found(subject, with_odd_rows)
    assert names
    assert names >= OWES.get(subject.id, set())


def test_what_tests_owe_is_said_of_tests_there_are() -> None:
    assert set(OWES) <= {subject.id for subject in SUBJECTS}


# ------------------------------------------------------------------------------------- the registry


def test_every_test_can_be_configured_and_explained_and_nothing_else_can() -> None:
    configured = {field.name for field in fields(TestsSettings)}
    assert set(NAMES) == configured == set(glossary.TESTS) == set(PLAN.names)
    assert len(NAMES) == len(COLUMN_TESTS) + len(JOINT_TESTS)


@pytest.mark.parametrize("name", NAMES)
def test_a_test_has_the_parameters_and_defaults_of_its_settings(name: str) -> None:
    test: Any = NAMES[name]
    assert is_dataclass(test)
    assert defaults(test) == defaults(settings_of(name))


def defaults(kind: Any) -> dict[str, Any]:
    return {field.name: field.default for field in fields(kind)}


@pytest.mark.parametrize("test", [*PLAN.column, *PLAN.joint], ids=lambda test: test.name)
def test_a_test_is_frozen_and_knows_its_name_and_kinds(test: ColumnTest | JointTest) -> None:
    assert type(test) is NAMES[test.name]
    assert hash(test) == hash(replace(test))  # type: ignore[type-var]
    assert getattr(test, "kinds", TESTABLE) <= TESTABLE
