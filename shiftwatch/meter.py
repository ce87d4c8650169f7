"""What a pure room says of where it is, so that whoever holds a clock can tell what that cost.

In:    names of stages and tests.
Out:   Meter, and one that measures nothing.
Never: reads a clock: `cost` does.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Meter(Protocol):
    """Told of every piece of work as it begins and ends."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """A stage of the check, see ``price.STAGES``; its cost is not that of the one around it."""
        ...

    def test(self, name: str) -> AbstractContextManager[None]:
        """One test on one target or all of its targets; its cost stays in the stage around it."""
        ...


class Unmetered:
    """Measures nothing."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Nothing."""
        del name
        return nullcontext()

    def test(self, name: str) -> AbstractContextManager[None]:
        """Nothing."""
        del name
        return nullcontext()


UNMETERED = Unmetered()
"""Where nobody asks what it costs."""
