"""A small Failing Loudly: shifts of handwritten digits, found by the whole check or by rivals.

After Rabanser, Günnemann & Lipton (2019), Failing Loudly, NeurIPS: noise, a class that is knocked
out, and rotations, each on a part of the images, at several sample sizes. The digits are those of
scikit-learn (1797 images of 8 x 8); the model is a logistic regression on 600 of them, and 600
others are the reference. The rival is the paper's best: Kolmogorov-Smirnov on every softmax output
(BBSDs) with Bonferroni's correction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats

from benchmarks.calibration.harness import Case, Figures, Summaries
from shiftwatch.decide import Policy, weigh
from shiftwatch.evaluate import Current, evaluate
from shiftwatch.reference import Reference, prepare
from shiftwatch.sample import Sample, numeric
from shiftwatch.settings import TestsSettings
from shiftwatch.twosample.registry import build
from shiftwatch.values import SchemaColumn

Floats = NDArray[np.float64]
Generator = np.random.Generator

SIZES = (10, 20, 50, 100, 200, 500)
LEVEL = 0.05
TRAIN, REFERENCE = 600, 600
NULLS = 8
"""Batches without a shift in each run."""

PARTS = (0.1, 0.5, 1.0)
PLAN = build(TestsSettings.all())


@dataclass(frozen=True)
class Split:
    """Images and digits to draw batches from, the model, and the prepared reference."""

    images: Floats
    digits: NDArray[np.int64]
    model: Any
    reference: Reference
    reference_outputs: Floats


@lru_cache(maxsize=1)
def _digits() -> tuple[Floats, NDArray[np.int64]]:
    from sklearn.datasets import load_digits  # noqa: PLC0415 - an extra of the project

    images, digits = load_digits(return_X_y=True)
    return np.asarray(images) / 16.0, np.asarray(digits)


def _split(rng: Generator, run: int) -> Split:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - an extra of the project

    images, digits = _digits()
    order = rng.permutation(len(images))
    images, digits = images[order], digits[order]
    model = LogisticRegression(max_iter=500).fit(images[:TRAIN], digits[:TRAIN])
    kept = images[TRAIN : TRAIN + REFERENCE]
    outputs = model.predict_proba(kept)
    sample = _sample(kept, outputs)
    schema = [SchemaColumn(c.name, c.kind, c.role, c.type) for c in sample.columns]
    rest = slice(TRAIN + REFERENCE, None)
    return Split(images[rest], digits[rest], model, prepare(sample, schema, PLAN, run), outputs)


def _sample(images: Floats, outputs: Floats) -> Sample:
    pixels = [numeric(f"pixel{j:02}", column) for j, column in enumerate(images.T)]
    scores = [numeric(f"p{j}", column, "prediction") for j, column in enumerate(outputs.T)]
    return Sample(len(images), (*pixels, *scores))


# -------------------------------------------------------------------------------------- the shifts

Shift = Callable[[Generator, Split, int], Floats]


def unshifted(rng: Generator, split: Split, rows: int) -> Floats:
    return np.asarray(split.images[rng.permutation(len(split.images))[:rows]])


def noisy(spread: float, part: float, rng: Generator, split: Split, rows: int) -> Floats:
    images = unshifted(rng, split, rows).copy()
    hit = rng.random(rows) < part
    noise = spread * rng.standard_normal(images.shape)
    return np.where(hit[:, None], np.clip(images + noise, 0.0, 1.0), images)


def rotated(degrees: float, part: float, rng: Generator, split: Split, rows: int) -> Floats:
    images = unshifted(rng, split, rows).copy()
    hit = np.flatnonzero(rng.random(rows) < part)
    stack = images[hit].reshape(-1, 8, 8)
    turned = ndimage.rotate(stack, degrees, axes=(1, 2), reshape=False, order=1)
    images[hit] = turned.reshape(-1, 64)
    return images


def knocked_out(part: float, rng: Generator, split: Split, rows: int) -> Floats:
    gone = (split.digits == 0) & (rng.random(len(split.digits)) < part)
    left = split.images[~gone]
    return np.asarray(left[rng.permutation(len(left))[:rows]])


def shifts() -> Iterator[Shift]:
    for part in PARTS:
        yield partial(knocked_out, part)
        for spread in (0.02, 0.1, 0.4):
            yield partial(noisy, spread, part)
        for degrees in (10.0, 40.0, 90.0):
            yield partial(rotated, degrees, part)


# ------------------------------------------------------------------------------------- the verdicts


def whole_check(split: Split, images: Floats, outputs: Floats, batch: str) -> float:
    """Corrected p-value of everything the daemon runs by default, both scopes together."""
    current = Current(_sample(images, outputs), {}, batch)
    evaluation = evaluate(split.reference, current, PLAN, seed=0)
    weighed = weigh(evaluation.results, evaluation.skipped, Policy(round(1 / LEVEL)))
    return min((entry.corrected for entry in weighed), default=1.0)


def softmax_ks(split: Split, outputs: Floats) -> float:
    """KS on every output, Bonferroni, by scipy."""
    pairs = zip(split.reference_outputs.T, outputs.T, strict=True)
    return len(outputs.T) * min(float(stats.ks_2samp(x, y).pvalue) for x, y in pairs)


def simulate(rows: int, run: int) -> Figures:
    rng = np.random.default_rng([2026, run, rows])
    split = _split(rng, run)

    def found(shift: Shift, name: str) -> tuple[bool, bool]:
        images = shift(rng, split, rows)
        outputs = split.model.predict_proba(images)
        ours = whole_check(split, images, outputs, name) <= LEVEL
        return ours, softmax_ks(split, outputs) <= LEVEL

    shifted = np.mean([found(shift, f"shift {i}") for i, shift in enumerate(shifts())], axis=0)
    plain = np.mean([found(unshifted, f"null {i}") for i in range(NULLS)], axis=0)
    return {
        "whole check": float(shifted[0]),
        "softmax KS": float(shifted[1]),
        "whole check, no shift": float(plain[0]),
        "softmax KS, no shift": float(plain[1]),
    }


def kept(summaries: Summaries) -> bool:
    """No fewer shifts than the rival, and a level within its error."""
    null = summaries["whole check, no shift"]
    error = np.sqrt(LEVEL * (1 - LEVEL) / (null.runs * NULLS))
    quiet = null.mean <= LEVEL + 3 * error
    return bool(quiet and summaries["whole check"].mean >= summaries["softmax KS"].mean)


CASES: tuple[Case, ...] = tuple(
    Case(
        f"digits: 21 shifts, {rows} images",
        "KS on softmax outputs with Bonferroni: column `softmax KS`",
        "whole check finds no fewer, level .05 within its error",
        partial(simulate, rows),
        kept,
        runs=8,
        quick_runs=1 if rows in (20, 200) else 0,
    )
    for rows in SIZES
)
