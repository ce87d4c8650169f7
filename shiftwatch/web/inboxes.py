"""Where the events of each model go, from the configuration in force.

In:    models.
Out:   for a name its inbox; counts.
Never: loses, on a change of the configuration, what an inbox holds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shiftwatch.buffer import SYNC_SECONDS, Buffer
from shiftwatch.settings import ModelSettings
from shiftwatch.status import EventCounts
from shiftwatch.tee import Tee


@dataclass(frozen=True, slots=True)
class Inbox:
    """Where the events of a model go: kept, and passed on if that is wanted."""

    model: ModelSettings
    buffer: Buffer
    tee: Tee | None = None

    @classmethod
    def of(cls, model: ModelSettings) -> Inbox:
        """As the model says."""
        buffer = Buffer(model.batches, model.payloads.buffer_mb * 1_000_000)
        url = model.payloads.forward_to
        return cls(model, buffer, None if url is None else Tee(url, lambda: buffer.drop("forward")))

    def close(self) -> None:
        """What came can be read; nothing more is passed on."""
        self.buffer.close()
        if self.tee is not None:
            self.tee.close()


class Inboxes:
    """The inboxes in force."""

    def __init__(self) -> None:
        self._inboxes: Mapping[str, Inbox] = {}

    @property
    def counts(self) -> Mapping[str, EventCounts]:
        """By model."""
        return {name: inbox.buffer.counts for name, inbox in self._inboxes.items()}

    def get(self, name: str) -> Inbox | None:
        """The inbox of a model; None if it receives no events."""
        return self._inboxes.get(name)

    def open(self, models: Iterable[ModelSettings]) -> None:
        """Have one for each model that receives; one of an unchanged model stays as it is."""
        before = self._inboxes
        wanted = {model.name: model for model in models if model.payloads.receive}
        kept = {name: box for name, box in before.items() if box.model == wanted.get(name)}
        for name in before.keys() - kept.keys():
            before[name].close()
        self._inboxes = {
            name: kept[name] if name in kept else Inbox.of(model) for name, model in wanted.items()
        }

    async def tend(self) -> None:
        """Bring to the disk and close segments in time, for ever."""
        while True:
            await asyncio.sleep(SYNC_SECONDS)
            for inbox in tuple(self._inboxes.values()):
                await asyncio.to_thread(inbox.buffer.tend, time.monotonic())

    def close(self) -> None:
        """Close them all."""
        self.open(())
