"""The accuracy of a classifier on a batch without labels.

In:    probabilities of classes and the label of the reference; a batch's probabilities and inputs.
Out:   an estimated accuracy with a band.
Never: trusts a probability as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shiftwatch.performance.answers import Answers, Recognised, places, read
from shiftwatch.performance.isotonic import fitted, isotonic, variance
from shiftwatch.performance.losses import Known, Losses, fit, inputs
from shiftwatch.sample import Sample, categorical, numeric
from shiftwatch.twosample.protocol import Prepared
from shiftwatch.values import SchemaColumn

Floats = NDArray[np.float64]

METRIC = "accuracy"

LEAST_ROWS = 200
"""Labelled rows of the reference below which nothing is said."""

LEAST_BATCH = 30
"""Rows of a batch with predictions below which nothing is said."""

ASSUMES = "no concept drift: that labels go with inputs as they did in the reference"

NORMAL_975 = 1.959964


def prepare(
    sample: Sample, schema: Sequence[SchemaColumn], label: str, known: Recognised
) -> Prepared:
    """What the reference says of confidence and being right.

    Returns
    -------
    Prepared
        Arrays ``curve`` (see :func:`isotonic`) and those of :class:`Losses`; facts: how to read the
        predictions, accuracy, mean confidence, threshold with the part of its ties; or ``reason``.
    """
    given = read(sample, known)
    truth = places(sample.column(label), known.classes)[given.rows]
    given, truth = _only(given, truth >= 0), truth[truth >= 0]
    right = (given.chosen == truth).astype(np.float64)
    if right.size < LEAST_ROWS:
        return _without(f"{right.size} labelled rows of at least {LEAST_ROWS}")
    accuracy = float(right.mean())
    width = len(known.classes)
    most = float(np.bincount(truth, minlength=width).max()) / right.size
    if accuracy < 1.0 / width or (accuracy < most and accuracy < 0.5):
        return _without(
            "the predictions do not go with the label: they are right less often than by chance"
        )
    curve = isotonic(given.confidence, right)
    # The inputs say what the confidence does not: where answers of one confidence are right more often.
    losses = fit(
        _known(sample, given, known), inputs(schema), right - fitted(curve, given.confidence)
    )
    arrays, facts = losses.to_plain()
    threshold, part = _threshold(given.confidence, accuracy)
    return Prepared(
        arrays | {"curve": curve},
        facts
        | {
            "metric": METRIC,
            "names": list(known.names),
            "classes": list(known.classes),
            "answer": known.answer,
            "accuracy": accuracy,
            "confidence": float(given.confidence.mean()),
            "threshold": threshold,
            "tied": part,
        },
    )


def _without(reason: str) -> Prepared:
    return Prepared({}, {"reason": reason})


def _only(given: Answers, rows: NDArray[np.bool_]) -> Answers:
    return Answers(given.rows[rows], given.chosen[rows], given.confidence[rows])


def _known(sample: Sample, given: Answers, known: Recognised) -> Known:
    said = [known.classes[place] for place in given.chosen]
    own = numeric("confidence", given.confidence), categorical("answer", said)
    return Known(sample, given.rows, own)


def _threshold(confidence: Floats, accuracy: float) -> tuple[float, float]:
    """Where as many rows are above as are right, and the part of those on it that count as above.

    Trees and rounded scores have many rows on one value: without the part they would count as all
    or none.

    Examples
    --------
    >>> _threshold(np.array([0.5, 0.9, 0.9, 0.9]), 0.5)
    (0.9, 0.6666666666666666)
    """
    descending = np.sort(confidence)[::-1]
    wanted = accuracy * confidence.size
    at = float(descending[min(confidence.size, max(1, math.ceil(wanted))) - 1])
    above = float(np.count_nonzero(confidence > at))
    tied = float(np.count_nonzero(confidence == at))
    return at, min(1.0, max(0.0, (wanted - above) / tied))


def estimate(prepared: Prepared, sample: Sample) -> dict[str, Any]:
    r"""The accuracy on a batch, and how far it is from that on the reference.

    Parameters
    ----------
    prepared
        By :func:`prepare`, without ``reason``.
    sample
        The batch, with predictions.

    Returns
    -------
    dict
        As :func:`shiftwatch.performance.estimate`.

    Notes
    -----
    ``confidence``: the mean of :math:`P(\text{right} \mid s)`, fitted on the reference by isotonic
    regression (confidence-based estimation). ``inputs``: the same, corrected by what the inputs
    say beyond the confidence (:mod:`losses`); this is the estimate. ``threshold``: the share of rows
    whose confidence is above that exceeded by as many rows of the reference as are right (ATC, Garg
    et al. 2022, eq. 1; of rows on it, the same part). ``difference``: the accuracy on the reference
    less the fall of the mean confidence (DoC, Guillory et al. 2021).

    The band is 1.96 standard errors around the estimate: the variance of the curve, of the
    correction, of the labels of so many rows, and between the methods.

    Measured on six sets of real rows (electricity, weather, bicycles, digits, hotels, colours of
    buildings), five kinds of model each, 3000 labelled rows, batches of 500 drawn with weights along
    random inputs, which leaves labels with their inputs; 10 repetitions:

    ===========================================  ======  ======  ======
    shift                                        none    some    strong
    ===========================================  ======  ======  ======
    accuracy counted later is in the band        .97     .96     .97
    width of the band                            .072    .083    .102
    mean error of the estimate                   .009    .012    .014
    of ``confidence``                            .008    .013    .022
    of ``threshold``                             .016    .024    .039
    of ``difference``                            .008    .014    .024
    of saying that nothing has changed           .007    .022    .036
    ===========================================  ======  ======  ======

    A band from the least to the largest of the last three, with their sampling error alone, held it
    in .83, .81 and .73 of the batches.
    """
    facts = prepared.facts
    known = Recognised(tuple(facts["names"]), tuple(facts["classes"]), facts["answer"])
    needed = [*known.names, *([known.answer] if known.answer else [])]
    if not all(sample.has(name) for name in needed):
        return {"not_estimated": "the batch has no predictions"}
    given = read(sample, known)
    if given.rows.size < LEAST_BATCH:
        return {"not_estimated": f"{given.rows.size} rows with predictions are too few"}
    curve = prepared.arrays["curve"]
    losses = Losses.from_plain(prepared.arrays, facts)
    correction, noise = losses.change(_known(sample, given, known))
    methods = _methods(facts, given.confidence, curve, correction)
    value, rows = methods["inputs"], given.rows.size
    # Nothing is beyond doubt: half a row right and half a row wrong.
    share = (value * rows + 0.5) / (rows + 1.0)
    doubt = variance(curve, given.confidence) + noise + share * (1.0 - share) / rows
    doubt += float(np.var(list(methods.values())))
    low, high = (value + sign * NORMAL_975 * math.sqrt(doubt) for sign in (-1, 1))
    return {
        "metric": METRIC,
        "reference": round(facts["accuracy"], 6),
        "estimate": round(value, 6),
        "change_low": round(max(0.0, low) - facts["accuracy"], 6),
        "change_high": round(min(1.0, high) - facts["accuracy"], 6),
        "methods": {name: round(told, 6) for name, told in methods.items()},
        "assumes": ASSUMES,
    }


def _methods(facts: Any, confidence: Floats, curve: Floats, correction: float) -> dict[str, float]:
    by_confidence = float(fitted(curve, confidence).mean())
    at = facts["threshold"]
    above = float((confidence > at).mean()) + facts["tied"] * float((confidence == at).mean())
    methods = {
        "inputs": by_confidence + correction,
        "confidence": by_confidence,
        "threshold": above,
        "difference": facts["accuracy"] + float(confidence.mean()) - facts["confidence"],
    }
    return {name: min(1.0, max(0.0, value)) for name, value in methods.items()}
