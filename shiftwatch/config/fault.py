"""Faults of a configuration file: where each is and what would be right.

In:    file, line, key and message of each fault.
Out:   one error that carries and prints all of them.
Never: judges a value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shiftwatch.errors import ConfigError

KeyPath = tuple[str | int, ...]
"""Way from the top of the file to a value: keys and positions in lists."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing to put right.

    ``line`` counts from 1; 0 where the fault is the file itself (missing, a folder). ``key`` is
    empty where no key is concerned. ``message`` reads "what is wrong; what would be right".

    Examples
    --------
    >>> print(Fault("a.yml", 3, "models[0].name", "is missing; write a name"))
    a.yml:3: models[0].name: is missing; write a name
    """

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.key, self.message) if part)


class ConfigFaultsError(ConfigError):
    """Every fault found in one configuration file, in the order of its lines.

    Parameters
    ----------
    faults
        At least one. Repetitions are dropped.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(set(faults)))
        super().__init__("\n".join(str(fault) for fault in self.faults))

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with the faults, which the text alone would lose."""
        return type(self), (self.faults,)


def key_text(path: KeyPath) -> str:
    """Write a path as people read it.

    Examples
    --------
    >>> key_text(("models", 0, "window", "by"))
    'models[0].window.by'
    """
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(steps).removeprefix(".")
