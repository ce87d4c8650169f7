"""What is remembered of one model from batch to batch, as text for the store.

In:    alarms by scope, the clock, the memory of the slow layers as text of its own.
Out:   one versioned text, and the state again.
Never: looks into the memory, which needs numpy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from shiftwatch.errors import StoreError
from shiftwatch.values import Scope

STATE_VERSION = 2

_READABLE = (1, 2)
"""Version 1 had no memory and no clock."""


@dataclass(frozen=True, slots=True)
class ScopeState:
    """What is remembered of one scope."""

    alarm: bool = False
    quiet: int = 0
    since: str | None = None
    change_from: str | None = None
    by_window: bool = False
    """Whether a window alone has raised the alarm: then only a window can end it."""
    pool: float = 0.0
    """How high the strongest chart of the pool stood, over its threshold."""


@dataclass(frozen=True, slots=True)
class State:
    """What is remembered of one model from batch to batch."""

    checks: int = 0
    scopes: Mapping[Scope, ScopeState] = field(default_factory=dict)
    basis: str | None = None
    """Reference and model the memory was made with; None in a new state."""
    clock: float | None = None
    """Newest batch so far, unix seconds; what was spent until then is spent."""
    memory: str | None = None
    """The slow layers, by stratum of the season; written and read by `memory`."""

    def to_json(self) -> str:
        """Text for the store, versioned."""
        content = {
            "version": STATE_VERSION,
            "checks": self.checks,
            "scopes": {scope: asdict(kept) for scope, kept in self.scopes.items()},
            "basis": self.basis,
            "clock": self.clock,
            "memory": self.memory,
        }
        return json.dumps(content, sort_keys=True)

    @classmethod
    def from_json(cls, text: str | None) -> State:
        """State from the store; None is a model without a past.

        Raises
        ------
        StoreError
            If the text was written by another version.
        """
        if text is None:
            return cls()
        content = json.loads(text)
        if content.get("version") not in _READABLE:
            raise StoreError(
                f"decision state has version {content.get('version')}, not {STATE_VERSION}",
                hint="run the version of shiftwatch that wrote it, or start a new store",
            )
        scopes = {scope: ScopeState(**fields) for scope, fields in content["scopes"].items()}
        return cls(
            content["checks"],
            scopes,
            content.get("basis"),
            content.get("clock"),
            content.get("memory"),
        )

    def seconds_until(self, moment: float) -> float | None:
        """Seconds from the newest batch so far to a moment, 0 if it lies before; None at first."""
        return None if self.clock is None else max(0.0, moment - self.clock)
