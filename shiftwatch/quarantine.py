"""Broken files: when each is looked at again, and when it is given up.

In:    what was found of a file before and now, the time, the grace of the configuration.
Out:   files that are due for a look, entries of the quarantine, files to be judged.
Never: opens a file; reads a clock; judges.

A broken file may be one that is still written, that the system does not hand out at the moment, or
that stays broken. It is looked at again with growing pauses. When it has been broken for the grace
it is judged once, as ``invalid_data``, and is quarantined: it is still looked at, seldom, and at
once when its size or time changes. When it is whole then, or has other bytes, it is another batch.
All of it follows from what is stored, so a restart neither forgets a file nor begins anew.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from shiftwatch.values import FileFacts, Listed

NO_FOOTER = "no readable footer"
CHANGED = "changed while it was read"
REFUSED = "cannot be read: "
DEADLY = "cannot be looked at: "
ENCRYPTED = "encrypted"

REASONS: Mapping[str, str] = {
    "no_footer": "no closing footer: the file was never finished, or is cut off",
    "changed": "it was replaced or written to while it was read",
    "refused": "the system does not hand out its bytes: permissions, a disk or network that fails",
    "damaged": "its bytes are no sound Parquet",
    "deadly": "the worker ends, or is too late, whenever it looks into it",
    "encrypted": "it is encrypted, and shiftwatch holds no keys",
    "gone": "it was taken away before it was judged",
    "outside": "a symbolic link out of the folder of the batches or in a circle; it is never followed",
    "not_a_file": "neither a file nor a folder, or its name is not UTF-8",
}
"""Why a file is in quarantine, or on the way there; label ``reason`` of the metrics."""

MEANING = (
    "files that are broken. Each is looked at again after 1, 2, 4, ... minutes, and when it has been "
    "broken for `window.grace` it is judged once, as invalid_data, and quarantined. It is looked at "
    "at once when its size or time changes, and else seldom: every hour if its bytes could not be "
    "had, every day if they could. Whole again, it is judged as a batch of its own. See `shiftwatch "
    "once`, the overview page or shiftwatch_quarantined_files. Reasons: "
) + "; ".join(f"{reason}: {text}" for reason, text in REASONS.items())

FIRST_PAUSE = 60.0
"""Seconds to the second look; each pause is twice the one before."""

LONGEST_PAUSE = {False: 86_400.0, True: 3600.0}
"""... up to this, by whether the bytes could not be had: the others are hashed at every look, and
hardly ever change without their time."""

FEWEST_LOOKS = 3
"""Looks before a file is given up whose own time says nothing about how long it has been broken."""

_TIMELESS = ("refused", "changed", "gone")
"""Reasons of which the time of the last change says nothing."""

_NOT_BROKEN = ("no column ", "column ", "more than one column ")
"""Beginnings of faults of whole files, which lack what makes them a batch."""

_PASSING = tuple(
    os.strerror(number)
    for number in (
        errno.EACCES,
        errno.EPERM,
        errno.EIO,
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.ENOTCONN,
        errno.ENODEV,
        errno.EMFILE,
    )
)


@dataclass(frozen=True, slots=True)
class Broken:
    """What is known of a broken file.

    ``size``, ``modified_ns`` and ``sha256`` are as of the last look; the last is empty where the
    bytes could not be had. Times are unix seconds UTC. ``in_check`` says that the file looked whole
    and broke when its rows were read.
    """

    uri: str
    size: int
    modified_ns: int
    sha256: str
    reason: str
    fault: str
    looks: int
    first_at: float
    looked_at: float
    quarantined_at: float | None = None
    in_check: bool = False

    @property
    def listed(self) -> Listed:
        """The file as it was listed at the last look."""
        return Listed(self.uri, self.size, self.modified_ns)

    @property
    def quarantined(self) -> bool:
        """Whether it was given up; else it is still retried."""
        return self.quarantined_at is not None

    def pause(self, grace: float) -> float:
        """Seconds from the last look to the next one.

        Examples
        --------
        >>> entry = Broken("a.parquet", 4, 0, "", "refused", "cannot be read: no", 3, 0.0, 60.0)
        >>> entry.pause(300.0), replace(entry, looks=30).pause(300.0)
        (240.0, 300.0)
        >>> replace(entry, looks=30, quarantined_at=0.0).pause(300.0)
        3600.0
        """
        doubled = FIRST_PAUSE * 2.0 ** min(self.looks - 1, 30)
        return min(doubled, LONGEST_PAUSE[not self.sha256] if self.quarantined else grace)

    def given_up(self, now: float) -> Broken:
        """The same in quarantine."""
        return replace(self, quarantined_at=now)

    def is_due(self, now: float, grace: float) -> bool:
        """Whether the pause is over, or the grace; so it is where the clock was set back."""
        if self.over(now, grace) and not (self.quarantined or self.over(self.looked_at, grace)):
            return True
        return not self.looked_at <= now < self.looked_at + self.pause(grace)

    def over(self, now: float, grace: float) -> bool:
        """Whether it has been broken for the grace, by its own time as far as that tells."""
        changed = self.modified_ns / 1e9
        known = self.reason not in _TIMELESS and changed <= self.looked_at
        return now - (changed if known else self.first_at) >= grace


def reason_of(facts: FileFacts) -> str | None:
    """Why a file is broken; None if it is whole, even if it lacks what makes it a batch.

    Examples
    --------
    >>> reason_of(FileFacts("a.parquet", 3, 0, "ab", 0, fault=NO_FOOTER, incomplete=True))
    'no_footer'
    >>> reason_of(FileFacts("a.parquet", 900, 0, "ab", 5)) is None
    True
    """
    fault = facts.fault
    if fault is None or facts.rows or fault.startswith(_NOT_BROKEN):
        return None
    known = {NO_FOOTER: "no_footer", CHANGED: "changed", DEADLY: "deadly", ENCRYPTED: "encrypted"}
    for text, reason in known.items():
        if fault.startswith(text):
            return reason
    return "refused" if facts.incomplete else "damaged"


def reason_in_check(message: str) -> str:
    """Why a file that looked whole could not be read, from what the check says.

    Examples
    --------
    >>> reason_in_check("a.parquet: was 9 bytes when it was listed, is 5 bytes and 1 rows now")
    'changed'
    """
    if "when it was listed" in message or CHANGED in message:
        return "changed"
    if os.strerror(errno.ENOENT) in message:
        return "gone"
    return "refused" if any(text in message for text in _PASSING) else "damaged"


def due(
    listed: Iterable[Listed],
    known: Mapping[str, Listed],
    entries: Mapping[str, Broken],
    now: float,
    grace: float,
) -> tuple[Listed, ...]:
    """Files to look into: new ones, changed ones, and broken ones whose pause is over.

    Parameters
    ----------
    listed
        The folder now.
    known
        Files that were accepted before, by uri.
    entries
        Broken files, by uri.
    now, grace
        Unix seconds; seconds.

    Examples
    --------
    >>> before, after = Listed("a.parquet", 10, 1), Listed("a.parquet", 12, 2)
    >>> due([after], {"a.parquet": before}, {}, 0.0, 300.0) == (after,)
    True
    >>> due([after], {"a.parquet": after}, {}, 0.0, 300.0)
    ()
    """

    def wanted(file: Listed) -> bool:
        entry = entries.get(file.uri)
        if entry is None:
            return known.get(file.uri) != file
        return entry.listed != file or entry.is_due(now, grace)

    return tuple(file for file in listed if wanted(file))


@dataclass(frozen=True, slots=True)
class Sifted:
    """What became of files that were looked into."""

    ready: tuple[FileFacts, ...] = ()
    """To be accepted: whole ones, and those that were given up now."""
    noted: tuple[Broken, ...] = ()
    """Entries as they are now."""
    whole: tuple[str, ...] = ()
    """Files whose entries are at an end."""


def sift(
    facts: Sequence[FileFacts], entries: Mapping[str, Broken], now: float, grace: float
) -> Sifted:
    """Part the whole files, those to be looked at again, and those to be given up."""
    ready: list[FileFacts] = []
    noted: list[Broken] = []
    whole: list[str] = []
    for file in facts:
        before = entries.get(file.uri)
        reason = reason_of(file)
        if before is not None and _still(before, file, reason):
            noted.append(_looked(before, file, now))
        elif reason is None:
            ready.append(file)
            _kept(before, file, noted, whole)
        else:
            entry = _entry(before, file, reason, now)
            if _given_up(entry, now, grace):
                entry = entry.given_up(now)
                ready.append(_said(file, grace))
            noted.append(entry)
    return Sifted(tuple(ready), tuple(noted), tuple(whole))


def _still(before: Broken, file: FileFacts, reason: str | None) -> bool:
    """Whether a file in quarantine is as it was when it was judged."""
    broken = reason is not None or (before.in_check and bool(file.sha256))
    return before.quarantined and broken and file.sha256 == before.sha256


def _kept(before: Broken | None, file: FileFacts, noted: list[Broken], whole: list[str]) -> None:
    """End the entry of a whole file; but if it broke in its check, that looks again."""
    if before is None:
        return
    if before.in_check and not before.quarantined and file.sha256 == before.sha256:
        noted.append(replace(before, size=file.size, modified_ns=file.modified_ns))
    else:
        whole.append(file.uri)


def _looked(before: Broken, file: FileFacts, now: float) -> Broken:
    return replace(
        before,
        size=file.size,
        modified_ns=file.modified_ns,
        looks=before.looks + 1,
        first_at=min(before.first_at, now),
        looked_at=now,
    )


def _entry(before: Broken | None, file: FileFacts, reason: str, now: float) -> Broken:
    """The entry after one more look; of a file in quarantine that has changed, a first one."""
    begun = Broken(
        file.uri,
        file.size,
        file.modified_ns,
        "" if reason == "refused" else file.sha256,
        reason,
        file.fault or "",
        looks=1,
        first_at=now,
        looked_at=now,
    )
    if before is None or before.quarantined:
        return begun
    # Its first look lies in the future where the clock was set back.
    return replace(begun, looks=before.looks + 1, first_at=min(before.first_at, now))


def _given_up(entry: Broken, now: float, grace: float) -> bool:
    enough = entry.reason not in _TIMELESS or entry.looks >= FEWEST_LOOKS
    return enough and entry.over(now, grace)


def _said(file: FileFacts, grace: float) -> FileFacts:
    """What could have passed says how long it was waited for."""
    if not file.incomplete:
        return file
    return replace(file, fault=f"{file.fault}, after a grace of {grace:g} s")


def broke_in_check(
    before: Broken | None, listed: tuple[Listed, str], message: str, now: float, grace: float
) -> Broken:
    """The entry of a file that looked whole and could not be read when it was judged.

    Parameters
    ----------
    before
        Its entry so far.
    listed
        The file as it was accepted, and the SHA-256 of its bytes.
    message
        What the check says.
    now, grace
        Unix seconds; seconds.
    """
    file, sha256 = listed
    facts = FileFacts(file.uri, file.size, file.modified_ns, sha256, 0, fault=message)
    reason = reason_in_check(message)
    if before is not None and before.quarantined and before.sha256 == sha256:
        return _looked(before, facts, now)
    entry = replace(_entry(before, facts, reason, now), sha256=sha256, in_check=True)
    return entry.given_up(now) if _given_up(entry, now, grace) else entry


def left_out(uri: str, reason: str, fault: str, now: float) -> Broken:
    """The entry of what a listing passes over: in quarantine at once, and never judged."""
    return Broken(uri, 0, 0, "", reason, fault, 1, now, now, quarantined_at=now)
