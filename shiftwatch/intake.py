"""From a folder to accepted files: what is new, what is broken, what is given up. Light.

In:    the folder of a model as it lies there, what the store knows of it, the time.
Out:   files to look into; files accepted in order; broken files noted in the same transaction.
Never: opens a file (the worker does); judges.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from shiftwatch.quarantine import CHANGED, Broken, broke_in_check, due, left_out, sift
from shiftwatch.settings import ModelSettings
from shiftwatch.source.listing import GONE, Folder
from shiftwatch.source.plan import order
from shiftwatch.store import AcceptedFile, Store
from shiftwatch.values import Batch, FileFacts, Listed, Piece, Run

_LOG = logging.getLogger(__name__)

MOST_SHOWN = 100
"""Broken files named on the page, by the API and by `once`; all are counted."""


@dataclass(frozen=True, slots=True)
class Known:
    """Broken files of a model.

    ``entries`` are those of the store by uri; ``here`` the uris that the folder holds now, None
    where that is not known yet.
    """

    entries: Mapping[str, Broken] = field(default_factory=dict)
    here: frozenset[str] | None = None

    @property
    def shown(self) -> tuple[Broken, ...]:
        """Those that lie in the folder, the quarantined first."""
        here = self.here
        found = [e for e in self.entries.values() if here is None or e.uri in here]
        return tuple(sorted(found, key=lambda entry: (not entry.quarantined, entry.uri)))

    @property
    def retried(self) -> dict[str, float]:
        """Files that may yet become whole, and when each was first found broken."""
        return {entry.uri: entry.first_at for entry in self.shown if not entry.quarantined}

    @property
    def postponed(self) -> bool:
        """Whether a batch broke in its check and is to be judged again."""
        return any(e.in_check and not e.quarantined for e in self.entries.values())

    def without(self, uri: str) -> Known:
        """The same where a batch of this file was judged, so that it is not retried any more."""
        if uri not in self.entries or self.entries[uri].quarantined:
            return self
        return replace(self, entries={u: e for u, e in self.entries.items() if u != uri})

    def rests(self, batch: Batch, now: float, grace: float) -> bool:
        """Whether a batch broke in its check and is not to be looked at again yet."""
        entry = self.entries.get(batch.uri)
        if entry is None or entry.quarantined or not entry.in_check:
            return False
        return not entry.is_due(now, grace)


@dataclass(frozen=True, slots=True)
class Look:
    """A look into the folder of a model."""

    known: Known
    due: tuple[Listed, ...]
    passed_over: tuple[Broken, ...]
    """What the listing leaves out and nobody has noted before."""


@dataclass(frozen=True, slots=True)
class Noted:
    """What has become of broken files: those there are now, and those quarantined just now."""

    known: Known
    fresh: tuple[Broken, ...] = ()


def look(
    store: Store, settings: ModelSettings, folder: Folder, now: float, *, whole: bool = True
) -> Look:
    """Choose what is to be looked into.

    Parameters
    ----------
    folder
        What was listed.
    whole
        Whether that is all there is; else nothing is taken to be gone that it does not hold.
    """
    entries = store.broken(settings.name)
    listed = store.listed_before(settings.name, (file.uri for file in folder.files))
    passed_over = []
    for each in folder.left_out:
        before = entries.get(each.uri)
        if before is None or (before.reason, before.fault) != (each.reason, each.fault):
            passed_over.append(left_out(each.uri, each.reason, each.fault, now))
    here = frozenset(file.uri for file in folder.files)
    here |= {each.uri for each in folder.left_out}
    new = due(folder.files, listed, entries, now, settings.window.grace_seconds)
    return Look(Known(entries, here if whole else None), new, tuple(passed_over))


def take_in(
    store: Store, settings: ModelSettings, found: Look, facts: Sequence[FileFacts], now: float
) -> tuple[tuple[AcceptedFile, ...], Noted]:
    """Accept what is whole or given up, and note what is broken, in one transaction."""
    present = [file for file in facts if file.fault != GONE]
    before = found.known.entries
    sifted = sift(present, before, now, settings.window.grace_seconds)
    noted = (*sifted.noted, *found.passed_over)
    accepted = store.accept_files(
        settings.name, order(sifted.ready), noted=noted, whole=sifted.whole
    )
    return accepted, _updated(found.known, noted, sifted.whole)


def note_check(store: Store, settings: ModelSettings, known: Known, run: Run) -> tuple[bool, Noted]:
    """Note a file that looked whole and could not be read when its batch was judged.

    So is one that was replaced meanwhile: what was read is not what was accepted. Where a batch is
    a file, it is judged again after a pause, until its grace is over. Windows of rows and of time
    go on at once: their order is that of the rows, and no file holds it up.

    Returns
    -------
    tuple
        Whether the run is to be dropped, as the batch is judged again later; the broken files now.
    """
    if run.batch.fault is not None or run.verdict == "error":
        return False, Noted(known)
    grace = settings.window.grace_seconds
    message, piece = _broken_piece(run)
    listed = store.listed_before(settings.name, (piece.uri,)).get(piece.uri)
    read = not message
    by_file = settings.window.by == "file"
    if read and by_file and listed is not None and _is_other(listed):
        message = f"{piece.uri}: {CHANGED}"
    if not message or listed is None:
        return False, Noted(known.without(run.batch.uri))
    before = known.entries.get(piece.uri)
    entry = broke_in_check(before, (listed, piece.sha256), message, run.judged_at, grace)
    if read and entry.quarantined:  # its rows were read all the same, and it never keeps still
        return False, Noted(known.without(run.batch.uri))
    if not by_file and not entry.quarantined:
        entry = entry.given_up(run.judged_at)
    store.accept_files(settings.name, (), noted=(entry,))
    return not entry.quarantined, _updated(known, (entry,), ())


def _broken_piece(run: Run) -> tuple[str, Piece]:
    """What a check says of a file it could not read, and that file; nothing of another batch."""
    broken = ("unreadable", "incomplete")
    messages = [finding.message for finding in run.findings if finding.code in broken]
    for piece in run.batch.pieces:
        for message in messages:
            if message.startswith(f"{piece.uri}: "):
                return message, piece
    return "", run.batch.pieces[0]


def _is_other(listed: Listed) -> bool:
    """Whether a file is another one now than was accepted; one that is gone was read before."""
    try:
        found = Path(listed.uri).stat()
    except OSError:
        return False
    return (found.st_size, found.st_mtime_ns) != (listed.size, listed.modified_ns)


def _updated(known: Known, noted: Sequence[Broken], whole: Iterable[str]) -> Noted:
    """Broken files after a look; what changed is in the log."""
    ended = frozenset(whole)
    before = known.entries
    after = {uri: entry for uri, entry in before.items() if uri not in ended}
    fresh = []
    for entry in noted:
        last = before.get(entry.uri)
        after[entry.uri] = entry
        if entry.quarantined and (last is None or last.quarantined_at != entry.quarantined_at):
            fresh.append(entry)
            _LOG.warning(
                "quarantined",
                extra={"uri": entry.uri, "reason": entry.reason, "fault": entry.fault},
            )
        elif last is None:
            _LOG.info("broken, and looked at again", extra={"uri": entry.uri, "fault": entry.fault})
    for uri in ended:
        _LOG.info("whole again", extra={"uri": uri})
    return Noted(Known(after, known.here), tuple(fresh))
