"""How well the model answers on a batch without labels, by what it does on the labelled reference.

In:    predictions, and the labels of the reference.
Out:   what is kept of the reference; an estimate with a band, or why there is none.
Never: needs a label of a batch; claims to see a change of what the labels mean.

Of probabilities of classes the accuracy is estimated (:mod:`accuracy`), of a number the mean absolute
error (:mod:`absolute`). Both rest on what is lost on a row, by what is known of the row without its
label (:mod:`losses`). Garg et al. (2022, arXiv:2201.04234) show that nothing can be estimated without
an assumption on the shift; ours is told with every estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shiftwatch.performance import absolute, accuracy
from shiftwatch.performance.answers import recognised
from shiftwatch.sample import Sample
from shiftwatch.twosample.protocol import Prepared
from shiftwatch.values import SchemaColumn

__all__ = ["estimate", "prepare"]


def prepare(sample: Sample, schema: Sequence[SchemaColumn], label: str) -> Prepared:
    """What the reference says of being right.

    Parameters
    ----------
    sample
        The reference with predictions and the label.
    schema
        With roles; the label is none of the inputs.
    label
        Name of the label.

    Returns
    -------
    Prepared
        Its facts have ``metric``, or ``reason``, why nothing can be estimated.
    """
    number = absolute.number_column(sample, schema, label)
    if number:
        return absolute.prepare(sample, schema, (label, number))
    found = recognised(sample, schema, label)
    if isinstance(found, str):
        return Prepared({}, {"reason": found})
    return accuracy.prepare(sample, schema, label, found)


def estimate(prepared: Prepared, sample: Sample) -> dict[str, Any]:
    """The metric on a batch, and how far it is from that on the reference.

    Parameters
    ----------
    prepared
        By :func:`prepare`.
    sample
        The batch, with predictions.

    Returns
    -------
    dict
        ``metric``, ``reference``, ``estimate``, ``change_low`` and ``change_high`` (95 %),
        ``methods``, ``assumes``; or ``not_estimated``, why.
    """
    if "reason" in prepared.facts:
        return {"not_estimated": prepared.facts["reason"]}
    if prepared.facts["metric"] == accuracy.METRIC:
        return accuracy.estimate(prepared, sample)
    return absolute.estimate(prepared, sample)
