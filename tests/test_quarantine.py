"""When a broken file is looked at again, and when it is given up: the rules alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shiftwatch.quarantine import (
    CHANGED,
    NO_FOOTER,
    REASONS,
    Broken,
    broke_in_check,
    due,
    left_out,
    reason_in_check,
    reason_of,
    sift,
)
from shiftwatch.values import FileFacts, Listed

GRACE = 300.0
NOW = 1_000_000.0


def facts(
    fault: str | None = NO_FOOTER, *, sha256: str = "ab", at: float = NOW, rows: int = 0
) -> FileFacts:
    passing = fault in (NO_FOOTER, CHANGED) or (fault or "").startswith("cannot be read")
    return FileFacts("a.parquet", 9, round(at * 1e9), sha256, rows, fault=fault, incomplete=passing)


REFUSED = facts("cannot be read: Permission denied", sha256="")


def after_looks(file: FileFacts, moments: list[float]) -> tuple[list[FileFacts], Broken | None]:
    """What was to be judged, and the entry, after looks at these times."""
    entries: dict[str, Broken] = {}
    judged: list[FileFacts] = []
    for now in moments:
        sifted = sift([file], entries, now, GRACE)
        judged += sifted.ready
        entries |= {entry.uri: entry for entry in sifted.noted}
        for uri in sifted.whole:
            del entries[uri]
    return judged, entries.get(file.uri)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (NO_FOOTER, "no_footer"),
        (CHANGED, "changed"),
        ("cannot be read: Input/output error", "refused"),
        ("encrypted; shiftwatch holds no keys", "encrypted"),
        ("encrypted; AES key is missing, cannot decrypt", "encrypted"),
        ("Couldn't deserialize thrift", "damaged"),
        ("claims more memory than there is", "damaged"),
        (None, None),
        ("no column 'at', which is to be the event time", None),
        ("column 'at' is no timestamp but string", None),
    ],
)
def test_every_fault_of_a_file_has_a_reason_and_whole_files_have_none(
    fault: str | None, reason: str | None
) -> None:
    assert reason_of(facts(fault, sha256="" if reason == "refused" else "ab")) == reason
    assert reason is None or reason in REASONS


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("a.parquet: was 9 bytes when it was listed, is 5 bytes and 1 rows now", "changed"),
        ("a.parquet: cannot be read: No such file or directory", "gone"),
        ("a.parquet: cannot be read: Stale file handle", "refused"),
        ("a.parquet: cannot be read: Permission denied", "refused"),
        ("a.parquet: cannot be read: could not verify page integrity", "damaged"),
    ],
)
def test_what_breaks_in_a_check_has_a_reason_too(message: str, reason: str) -> None:
    assert reason_in_check(message) == reason
    assert reason in REASONS


def test_a_fresh_file_is_retried_until_its_grace_is_over_and_judged_once_with_the_reason() -> None:
    judged, entry = after_looks(facts(), [NOW, NOW + 60, NOW + 180])
    assert judged == []
    assert entry is not None
    assert (entry.quarantined, entry.looks, entry.first_at) == (False, 3, NOW)
    judged, entry = after_looks(facts(), [NOW, NOW + 60, NOW + 180, NOW + 300, NOW + 9e5])
    assert [file.fault for file in judged] == ["no readable footer, after a grace of 300 s"]
    assert entry is not None
    assert (entry.quarantined_at, entry.looks) == (NOW + 300, 5)


def test_a_file_that_lay_unchanged_for_the_grace_has_had_its_chance_at_the_first_look() -> None:
    judged, entry = after_looks(facts("Couldn't deserialize thrift", at=NOW - GRACE), [NOW])
    assert [file.fault for file in judged] == ["Couldn't deserialize thrift"]
    assert entry is not None
    assert entry.quarantined


def test_the_age_of_a_file_says_nothing_while_its_bytes_are_withheld() -> None:
    old = replace(REFUSED, modified_ns=0)
    assert after_looks(old, [NOW, NOW + 60])[0] == []
    assert after_looks(old, [NOW, NOW + 400])[0] == [], "two looks are not enough"
    assert len(after_looks(old, [NOW, NOW + 60, NOW + 300])[0]) == 1


@pytest.mark.parametrize("file", [facts(at=4e9), REFUSED])
def test_a_clock_set_back_by_an_hour_neither_stops_the_looks_nor_the_end_of_the_grace(
    file: FileFacts,
) -> None:
    back = NOW - 3600
    _, entry = after_looks(file, [NOW])
    assert entry is not None
    assert entry.is_due(back, GRACE)
    moments = [NOW, back, back + 60, back + 180, back + 300]
    judged, entry = after_looks(file, moments)
    assert len(judged) == 1
    assert entry is not None
    assert entry.first_at == back


def test_a_file_that_is_whole_again_is_judged_and_its_entry_ends() -> None:
    _, entry = after_looks(facts(at=0.0), [NOW])
    assert entry is not None
    whole = facts(None, sha256="cd", rows=5)
    sifted = sift([whole], {entry.uri: entry}, NOW + 90, GRACE)
    assert (sifted.ready, sifted.noted, sifted.whole) == ((whole,), (), ("a.parquet",))


def test_a_file_in_quarantine_that_is_only_touched_is_not_judged_again() -> None:
    _, entry = after_looks(facts(at=0.0), [NOW])
    assert entry is not None
    touched = facts(at=NOW + 50)
    assert due([Listed("a.parquet", 9, touched.modified_ns)], {}, {"a.parquet": entry}, NOW, GRACE)
    sifted = sift([touched], {"a.parquet": entry}, NOW + 50, GRACE)
    assert sifted.ready == ()
    assert sifted.noted[0].quarantined_at == NOW
    assert sifted.noted[0].modified_ns == touched.modified_ns


def test_a_file_in_quarantine_with_other_broken_bytes_begins_anew() -> None:
    _, entry = after_looks(facts(at=0.0), [NOW])
    assert entry is not None
    other = facts(sha256="cd", at=NOW + 50)
    sifted = sift([other], {"a.parquet": entry}, NOW + 50, GRACE)
    assert sifted.ready == ()
    assert (sifted.noted[0].quarantined, sifted.noted[0].looks) == (False, 1)


def test_pauses_double_and_end_at_the_grace_or_in_quarantine_at_an_hour_or_a_day() -> None:
    entry = Broken("a.parquet", 9, 0, "ab", "no_footer", NO_FOOTER, 1, NOW, NOW)
    pauses = [replace(entry, looks=looks).pause(3600.0) for looks in (1, 2, 3, 4, 7, 50)]
    assert pauses == [60, 120, 240, 480, 3600, 3600]
    given_up = replace(entry, looks=50).given_up(NOW)
    assert given_up.pause(GRACE) == 86_400
    assert replace(given_up, sha256="").pause(GRACE) == 3600
    assert replace(given_up, looks=10**9).pause(GRACE) == 86_400
    assert entry.pause(10.0) == 10, "no grace is waited for longer than twice"


def test_what_was_never_accepted_is_due_and_what_is_known_and_sound_is_not() -> None:
    same, grown, touched, fresh = (Listed(name, 10, 5) for name in ("a", "b", "c", "d"))
    known = {"a": same, "b": Listed("b", 9, 5), "c": Listed("c", 10, 4), "gone": same}
    assert due([same, grown, touched, fresh], known, {}, NOW, GRACE) == (grown, touched, fresh)


def test_a_known_file_in_quarantine_is_due_when_its_pause_is_over() -> None:
    listed = Listed("a.parquet", 9, 0)
    entry = Broken("a.parquet", 9, 0, "", "refused", "cannot be read: no", 1, NOW, NOW, NOW)
    entries = {"a.parquet": entry}
    assert due([listed], {"a.parquet": listed}, entries, NOW + 59, GRACE) == ()
    assert due([listed], {"a.parquet": listed}, entries, NOW + 60, GRACE) == (listed,)


def test_a_file_that_broke_in_its_check_stays_broken_while_it_has_the_same_bytes() -> None:
    listed = Listed("a.parquet", 9, round(NOW * 1e9))
    damage = "a.parquet: cannot be read: could not verify page integrity"
    entry = broke_in_check(None, (listed, "ab"), damage, NOW, GRACE)
    assert not entry.quarantined
    whole = facts(None, rows=5)
    retried = sift([whole], {"a.parquet": entry}, NOW + 60, GRACE)
    assert (retried.whole, retried.noted) == ((), (entry,)), "its check has the say"
    last = broke_in_check(entry, (listed, "ab"), damage, NOW + 300, GRACE)
    assert (last.quarantined, last.looks, last.reason) == (True, 2, "damaged")
    # Its footer is sound and always was: the same bytes do not make it whole.
    still = sift([whole], {"a.parquet": last}, NOW + 900, GRACE)
    assert (still.ready, still.whole) == ((), ())
    for before in (entry, last):
        other = sift([facts(None, sha256="cd", rows=5)], {"a.parquet": before}, NOW + 900, GRACE)
        assert (len(other.ready), other.whole) == (1, ("a.parquet",))


def test_a_file_is_due_when_its_grace_is_over_though_its_pause_is_not() -> None:
    _, entry = after_looks(facts(), [NOW, NOW + 60, NOW + 180])
    assert entry is not None
    assert entry.pause(GRACE) == 240
    assert not entry.is_due(NOW + 299, GRACE)
    assert entry.is_due(NOW + 300, GRACE)


def test_what_a_listing_passes_over_is_in_quarantine_at_once() -> None:
    assert left_out("x.parquet", "outside", "a link", NOW).quarantined


@given(
    broken=st.lists(st.booleans(), min_size=1, max_size=30),
    gaps=st.lists(st.floats(1, 1e5), min_size=30, max_size=30),
    start=st.floats(-1e5, 1e5),
)
def test_whatever_the_looks_find_each_content_is_judged_at_most_once_and_none_is_lost(
    broken: list[bool], gaps: list[float], start: float
) -> None:
    """The bytes are sound or broken, and change whenever that does."""
    entries: dict[str, Broken] = {}
    judged: list[str] = []
    known: dict[str, Listed] = {}
    now, number = NOW, 0
    for index, bad in enumerate(broken):
        now += gaps[index]
        number += index > 0 and bad != broken[index - 1]
        file = facts(
            NO_FOOTER if bad else None,
            sha256=f"{number}",
            at=NOW + start + number,
            rows=5 * (not bad),
        )
        listed = Listed(file.uri, file.size, file.modified_ns)
        if not due([listed], known, entries, now, GRACE):
            continue
        sifted = sift([file], entries, now, GRACE)
        judged += [ready.sha256 for ready in sifted.ready]
        known |= {ready.uri: listed for ready in sifted.ready}
        entries |= {entry.uri: entry for entry in sifted.noted}
        for uri in sifted.whole:
            del entries[uri]
        assert not bad or (file.sha256 in judged) == entries[file.uri].quarantined
        assert bad or file.sha256 in judged
    assert len(judged) == len(set(judged))
