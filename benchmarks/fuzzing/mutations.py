"""Damage to bytes, from a generator.

In:    bytes, a generator.
Out:   other bytes.
Never: gives back what it was given.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_PIECES = (1, 1, 1, 2, 4, 8)
"""How many pieces of damage: a file with one is the most likely to be read all the same."""


def damaged(data: bytes, rng: np.random.Generator, *, tail: int = 0) -> bytes:
    """The bytes with one to eight pieces of damage.

    Parameters
    ----------
    data
        At least 16 bytes.
    rng
        Draws the damage.
    tail
        Bytes at the end, such as a footer, that get half of the damage.
    """
    out = bytearray(data)
    for _ in range(int(rng.choice(_PIECES))):
        start = max(0, len(out) - tail) if tail and rng.random() < 0.5 else 0
        at = int(rng.integers(start, len(out)))
        _KINDS[int(rng.integers(len(_KINDS)))](out, at, rng)
        if len(out) < 16:
            out += rng.bytes(16)
    if bytes(out) == data:
        out[len(out) // 2] ^= 0xFF
    return bytes(out)


def _flip(out: bytearray, at: int, rng: np.random.Generator) -> None:
    out[at] ^= 1 << int(rng.integers(8))


def _overwrite(out: bytearray, at: int, rng: np.random.Generator) -> None:
    count = int(rng.integers(1, 9))
    out[at : at + count] = rng.bytes(min(count, len(out) - at))


def _huge(out: bytearray, at: int, rng: np.random.Generator) -> None:
    """A number written as a varint becomes as large as it can be."""
    count = int(rng.choice([4, 5, 9, 10]))
    out[at : at + count] = b"\xff" * (count - 1) + b"\x7f"


def _zero(out: bytearray, at: int, rng: np.random.Generator) -> None:
    count = int(rng.integers(1, 33))
    out[at : at + count] = bytes(min(count, len(out) - at))


def _cut(out: bytearray, at: int, rng: np.random.Generator) -> None:
    del out[at : at + int(rng.integers(1, 65))]


def _insert(out: bytearray, at: int, rng: np.random.Generator) -> None:
    out[at:at] = rng.bytes(int(rng.integers(1, 17)))


def _copy(out: bytearray, at: int, rng: np.random.Generator) -> None:
    """A piece from elsewhere in the file: it is well formed, and in the wrong place."""
    source, count = int(rng.integers(len(out))), int(rng.integers(1, 65))
    piece = bytes(out[source : source + count])
    out[at : at + len(piece)] = piece


_KINDS: tuple[Callable[[bytearray, int, np.random.Generator], None], ...] = (
    _flip,
    _flip,
    _flip,
    _overwrite,
    _overwrite,
    _huge,
    _zero,
    _cut,
    _insert,
    _copy,
)
