"""Whole numbers that float64 would round into ties: 64-bit integers and decimals of many digits.

In:    an Arrow type as text; values as float64 or as exact int64.
Out:   int64 values in the order of the true ones, and back.
Never: sees Arrow; keeps exact values where float64 tells all values apart.

Beyond 2**53 float64 has gaps: identifiers like 2**60 + k fall into heaps of 256. Such a column
carries, beside its float64 values, ``exact`` ones: int64 as it is, uint64 less 2**63, decimals as
multiples of their last digit. What fits one reference fits every batch of it, as the form follows
from the reference's type alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Exact = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

LARGEST = float(2**53)
"""Up to here float64 holds every whole number."""

_FORM = re.compile(
    r"(?:.*values=)?(?:(?P<sign>u?)int64|decimal\d+\(\d+, (?P<digits>-?\d+)\))(?:,.*)?"
)
_SIGN = np.uint64(1 << 63)


@dataclass(frozen=True, slots=True)
class Form:
    """How exact values are written: decimal digits after the point, and whether from uint64."""

    digits: int
    unsigned: bool

    def written(self, values: Floats, valid: Mask) -> Exact | None:
        """Exact values of float64 ones; None if one is too large to be sure, or no multiple.

        Examples
        --------
        >>> form = form_of("decimal128(18, 2)")
        >>> form.written(np.array([1.25, np.nan]), np.array([True, False])).tolist()
        [125, 0]
        """
        present = np.where(valid, values, 0.0)
        with np.errstate(over="ignore"):
            whole = np.rint(present * 10.0**self.digits)
        if not np.all(np.abs(whole) <= LARGEST) or (not self.digits and np.any(whole != present)):
            return None
        if not self.unsigned:
            return whole.astype(np.int64)
        return self.of_unsigned(np.maximum(whole, 0).astype(np.uint64))

    def of_unsigned(self, values: NDArray[np.uint64]) -> Exact:
        """Exact values of uint64 ones, in their order; beyond a signed form's end, its end."""
        if self.unsigned:
            return (values ^ _SIGN).view(np.int64)
        return np.minimum(values, _SIGN - np.uint64(1)).astype(np.int64)

    def of_signed(self, values: NDArray[np.int64]) -> Exact:
        """Exact values of int64 ones, in their order; below an unsigned form's start, its start."""
        return (
            self.of_unsigned(np.maximum(values, 0).astype(np.uint64)) if self.unsigned else values
        )

    def read(self, exact: Exact) -> Floats:
        """The float64 values, rounded.

        Examples
        --------
        >>> form_of("uint64").read(np.array([-(2**63), 0])).tolist()
        [0.0, 9.223372036854776e+18]
        """
        if self.unsigned:
            return (exact.view(np.uint64) ^ _SIGN).astype(np.float64)
        floats: Floats = exact / 10.0**self.digits
        return floats


def form_of(type_text: str) -> Form | None:
    """The exact form of a column of this Arrow type; None where float64 has room for all values.

    Examples
    --------
    >>> form_of("int64"), form_of("double")
    (Form(digits=0, unsigned=False), None)
    """
    match = _FORM.fullmatch(type_text)
    if match is None:
        return None
    return Form(int(match["digits"] or 0), match["sign"] == "u")


def needed(form: Form, values: Floats) -> bool:
    """Whether float64 may have rounded two of these values into one."""
    with np.errstate(invalid="ignore", over="ignore"):
        return bool(np.any(np.abs(values) * 10.0**form.digits > LARGEST))
