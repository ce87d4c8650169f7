"""The models that receive events: each with its spool, its copy and its counts.

In:    settings; requests.
Out:   one word on what became of each request; counts for the metrics.
Never: raises for anything a request may hold.
"""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from shiftwatch.errors import ConfigError
from shiftwatch.inbox.spool import FullError, Spool
from shiftwatch.inbox.tee import Tee
from shiftwatch.payload.bodies import MalformedError
from shiftwatch.payload.events import records_of
from shiftwatch.settings import ModelSettings
from shiftwatch.status import Inbox

_LOG = logging.getLogger(__name__)

_TOLD_SECONDS = 60.0
_NEW = Inbox(0, {}, 0)


class Letters:
    """What receives for all models; its methods may be called from several threads.

    Parameters
    ----------
    models
        Those configured; only such with ``payloads.receive`` receive.
    clock
        Unix seconds.
    """

    def __init__(
        self, models: Sequence[ModelSettings], clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._boxes: Mapping[str, _Box] = {}
        self._changing = threading.Lock()
        self.update(models)

    def update(self, models: Sequence[ModelSettings]) -> None:
        """Receive for these models from now on; those that stay as they were go on.

        Raises
        ------
        ConfigError
            If a folder cannot be used. Those before go on to receive then.
        """
        wanted = {model.name: model for model in models if model.payloads.receive}
        with self._changing:
            kept = {
                name: box
                for name, box in self._boxes.items()
                if name in wanted and box.serves(wanted[name])
            }
            for name in wanted.keys() - kept.keys():
                _refuse_unusable(wanted[name])  # before anything is closed
            for name in self._boxes.keys() - kept.keys():
                self._boxes[name].close()  # before another one looks into the same folder
            before = self.status()
            self._boxes = {
                name: kept.get(name) or _Box(model, before.get(name, _NEW))
                for name, model in wanted.items()
            }

    def receives(self, model: str) -> bool:
        """Whether events of this model are taken."""
        return model in self._boxes

    def refuse(self, model: str, reason: str) -> None:
        """Count an event that was not even read."""
        if (box := self._boxes.get(model)) is not None:
            box.count(1, reason)

    def take(self, model: str, headers: Mapping[str, str], body: bytes) -> str:
        """Keep what a request carries; "" once it is kept, else a reason of ``EVENT_DROPS``."""
        with self._changing:
            box = self._boxes.get(model)
            return "gone" if box is None else box.take(headers, body, self._clock())

    def status(self) -> Mapping[str, Inbox]:
        """Counts since the start, by model."""
        return {name: box.status() for name, box in self._boxes.items()}

    def close(self) -> None:
        """Close every segment; nothing that was taken is lost."""
        for box in self._boxes.values():
            box.close()


class _Box:
    """What one model receives, counted on from ``before``."""

    def __init__(self, model: ModelSettings, before: Inbox) -> None:
        self._model = model
        self._lock = threading.Lock()
        self._received = before.received
        self._dropped = Counter(before.dropped)
        self._spool = _spool(model)
        to = model.payloads.forward_to
        self._tee = Tee(to, lambda reason: self.count(0, reason)) if to is not None else None
        self._told_at = -_TOLD_SECONDS

    def serves(self, model: ModelSettings) -> bool:
        """Whether nothing of a model's settings changed that matters here."""
        own, other = self._model, model
        return own.batches == other.batches and all(
            getattr(own.payloads, name) == getattr(other.payloads, name)
            for name in ("buffer_mb", "forward_to")
        )

    def take(self, headers: Mapping[str, str], body: bytes, now: float) -> str:
        """See :meth:`Letters.take`."""
        if self._tee is not None:
            self._tee.send(headers, body)
        try:
            records = records_of(headers, body, now)
        except MalformedError:
            self.count(1, "malformed")
            return "malformed"
        reason = ""
        try:
            self._spool.keep(records)
        except FullError:
            reason = "full"
        except OSError as fault:
            reason = "disk"
            self._tell(fault)
        self.count(len(records), reason, dropped=len(records))
        return reason

    def count(self, received: int, reason: str, dropped: int = 1) -> None:
        """Count events; dropped ones where there is a reason."""
        with self._lock:
            self._received += received
            if reason:
                self._dropped[reason] += dropped

    def status(self) -> Inbox:
        """See :meth:`Letters.status`."""
        with self._lock:
            received, dropped = self._received, dict(self._dropped)
        return Inbox(received, dropped, self._spool.waiting)

    def close(self) -> None:
        """End both threads."""
        self._spool.close()
        if self._tee is not None:
            self._tee.close()

    def _tell(self, fault: OSError) -> None:
        now = time.monotonic()
        if now - self._told_at >= _TOLD_SECONDS:
            self._told_at = now
            _LOG.error("event not kept", extra={"model": self._model.name, "fault": str(fault)})


def _spool(model: ModelSettings) -> Spool:
    try:
        return Spool(Path(model.batches), model.payloads.buffer_mb * 1_000_000)
    except OSError as fault:
        raise _unusable(model, fault) from fault


def _refuse_unusable(model: ModelSettings) -> None:
    """Try to write where events are to be kept."""
    folder = Path(model.batches)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as fault:
        raise _unusable(model, fault) from fault


def _unusable(model: ModelSettings, fault: OSError) -> ConfigError:
    return ConfigError(
        f"events cannot be kept: {fault.strerror}",
        where=model.batches,
        hint="with `payloads: {receive: true}`, `batches` is a folder that can be written",
    )
