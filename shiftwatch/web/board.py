"""What the web asks of the daemon.

In:    nothing.
Out:   Board, a protocol.
Never: says how it is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from shiftwatch.annotation import Draft, Remark
from shiftwatch.report import Format
from shiftwatch.sides import Side
from shiftwatch.status import Snapshot
from shiftwatch.values import Annotation, Verdict


class Compared(Protocol):
    """Comparisons as pages and the API see them."""

    def state(self, model: str, identity: str) -> Mapping[str, Any] | None:
        """Id, model, status, progress, reference, current, left_out; None if it is unknown."""
        ...

    def others(self, model: str) -> Sequence[Mapping[str, Any]]:
        """Those that wait, are being made, or could not be made; as of ``state``."""
        ...

    def made(self, model: str, *, limit: int, before: int | None) -> Sequence[Mapping[str, Any]]:
        """Those that were made: seq, id, model, at, verdict, reference, current."""
        ...


class Board(Protocol):
    """The daemon as pages and the API see it.

    ``snapshot`` is read on the event loop and must not wait; everything else may wait, is called
    in a thread pool and so from several threads at once. Model names given are configured ones.
    """

    def snapshot(self) -> Snapshot:
        """What is known now; an attribute read."""
        ...

    def runs(
        self,
        model: str,
        *,
        limit: int,
        before: int | None,
        verdict: Verdict | None,
        during: tuple[float | None, float | None] = (None, None),
    ) -> Sequence[Mapping[str, Any]]:
        """Stored verdicts, newest first, with ``seq`` below ``before``.

        ``during`` is from and until (unix seconds, half open) of the first event, or of the check
        where events have no time. Each has seq, batch_id, uri, rows, state, alarm, judged_at, event_time_start and
        event_time_end.
        """
        ...

    def report(self, model: str, batch: str | None, form: Format) -> str | None:
        """The report of a batch in a format, of the newest if none is named; None if there is none.

        Eight characters of an id or more, with which no other begins, are enough; DataError if
        several do.
        """
        ...

    def judges(self, batch: str) -> list[str]:
        """The configured models that have a stored verdict on a batch."""
        ...

    def timeline(self, model: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """The newest ``limit`` verdicts in any order: batch_id, state, alarm, judged_at."""
        ...

    def request_check(self, model: str, path: str | None) -> str:
        """Start a check of due batches, or a report on one file; the id of the job.

        Raises
        ------
        DataError
            If the path lies outside the configured prefix or is no readable file.
        """
        ...

    def acceptances(self, model: str) -> Sequence[Mapping[str, Any]]:
        """What operators have said on the reference of a model, newest first.

        Each has kind (accepted, undone, ended), from_batch, to_batch, rows, path, sha256,
        configured_sha256, note, at and by.
        """
        ...

    def accept(
        self, model: str, *, first: str | None, last: str | None, remark: Remark
    ) -> Mapping[str, Any]:
        """Take the rows of judged batches as the reference from now on.

        Raises
        ------
        DataError
            If the batches are unknown, too few or can no longer be read.
        """
        ...

    def undo_acceptance(self, model: str, remark: Remark) -> Mapping[str, Any]:
        """Return to the configured reference; DataError if it is in use already."""
        ...

    def annotations(
        self,
        model: str,
        *,
        limit: int | None = None,
        before: int | None = None,
        in_force_at: float | None = None,
    ) -> Sequence[Annotation]:
        """What operators have said of a model, the newest first, with numbers below ``before``.

        Only what is in force at a moment, where one is given.
        """
        ...

    def annotate(self, model: str, draft: Draft, by: str) -> Annotation:
        """Keep what an operator says of a stretch of time; DataError if it cannot be kept so."""
        ...

    def end_annotation(self, model: str, number: int, by: str) -> Annotation | None:
        """Take a word back; None if there is no such, DataError if it has ended already."""
        ...

    @property
    def comparisons(self) -> Compared:
        """Those that were made, and how far others are."""
        ...

    def compare(self, model: str, current: Side, reference: Side) -> Mapping[str, Any]:
        """Queue a comparison, unless it is there; its state.

        Raises
        ------
        DataError
            If it cannot be made of what is stored.
        WorkerError
            If too many wait.
        """
        ...

    def comparison_report(self, model: str, identity: str, form: Format) -> str | None:
        """The report of a comparison in a format; None as long as there is none."""
        ...

    def clock(self) -> float:
        """Unix seconds UTC, by which words are in force."""
        ...

    def job(self, job: str) -> Mapping[str, Any] | None:
        """A job: id, model, status (queued, running, done, failed), report (URL), detail."""
        ...

    def effective_config(self) -> Mapping[str, Any]:
        """The configuration in force with all defaults, secrets masked."""
        ...

    def reload(self) -> None:
        """Read the configuration again and take it over.

        Raises
        ------
        ConfigError
            If it cannot be used; the one before stays in force.
        """
        ...
