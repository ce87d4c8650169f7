"""The history: nothing acknowledged is lost, nothing is stored twice, nothing is half there."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shiftwatch.annotation import Draft
from shiftwatch.document import to_document
from shiftwatch.errors import StoreError
from shiftwatch.quarantine import Broken
from shiftwatch.settings import ByRows, WindowSettings
from shiftwatch.source.plan import Cursor, advance, batch_id, plan
from shiftwatch.store import AcceptedFile, Flip, Store, migrations
from shiftwatch.values import (
    Acceptance,
    Annotation,
    Batch,
    Decision,
    Evidence,
    FileFacts,
    Listed,
    Piece,
    Run,
    Scope,
    TwoSampleResult,
    Verdict,
)

DAY = 86_400.0
START = 1_767_225_600.0


def a_file(uri: str, content: str = "", **changes: Any) -> FileFacts:
    facts = FileFacts(uri, 100, 1, f"sha of {content or uri}", 50, START, START + 60)
    return replace(facts, **changes)


def a_run(
    batch_id: str,
    *,
    verdict: Verdict = "no_shift",
    at: float = START,
    alarms: Sequence[tuple[Scope, bool]] = (("input", False),),
    model: str = "churn",
) -> Run:
    pieces = (Piece(f"{batch_id}.parquet", 100, f"sha of {batch_id}", 0, 50),)
    decisions = tuple(
        Decision(scope, alarm, False, False, Evidence(1.5 if alarm else 0.25), 0.3, 0.001)
        for scope, alarm in alarms
    )
    result = TwoSampleResult("ks", "age", "input", 0.1, 0.3, 0.1, 0.05, 0.15, 900, 50)
    batch = Batch(batch_id, pieces, 50, at - 60, at)
    return Run(model, batch, verdict, at, ("a reason",), decisions, (result,))


def commit(store: Store, *runs: Run) -> None:
    for run in runs:
        name = run.batch.id
        store.commit(run, state=f"state {name}", cursor=f"cursor {name}", now=run.judged_at)


def ids(store: Store, model: str = "churn", **options: Any) -> list[str]:
    return [row.batch_id for row in store.runs(model, **options)]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "history.db")


@pytest.fixture
def store(path: str) -> Iterator[Store]:
    with Store.open(path, clock=lambda: START) as opened:
        yield opened


# --- runs ----------------------------------------------------------------------------------------


def test_a_run_comes_back_as_it_was_also_after_reopening(path: str) -> None:
    run = a_run("b1", verdict="shift", alarms=[("input", True)])
    with Store.open(path, clock=lambda: START) as store:
        commit(store, run)
        assert store.run("churn", "b1") == run
    with Store.open(path, clock=lambda: START) as store:
        assert store.run("churn") == run
        assert store.document("churn", "b1") == to_document(run)
        assert store.state("churn") == ("state b1", "cursor b1")
        assert store.path == path


def test_the_listing_shows_the_newest_first_without_documents(store: Store) -> None:
    commit(store, a_run("b1"), a_run("b2", verdict="shift", alarms=[("input", True)]))
    newest, oldest = store.runs("churn")
    assert (newest.batch_id, newest.verdict, newest.alarm) == ("b2", "shift", True)
    assert (oldest.batch_id, oldest.verdict, oldest.alarm) == ("b1", "no_shift", False)
    assert (oldest.uri, oldest.rows, oldest.judged_at) == ("b1.parquet", 50, START)
    assert (oldest.event_time_start, oldest.event_time_end) == (START - 60, START)
    assert newest.seq > oldest.seq


def test_paging_walks_over_every_run_once(store: Store) -> None:
    names = [f"b{number:03}" for number in range(25)]
    commit(store, *(a_run(name) for name in names))
    commit(store, a_run("other", model="fraud"))
    seen: list[str] = []
    before: int | None = None
    while (page := store.runs("churn", limit=7, before=before)) and len(seen) < 99:
        seen += [row.batch_id for row in page]
        before = page[-1].seq
    assert seen == names[::-1]
    assert store.runs("churn", limit=0) == ()
    assert store.runs("churn", limit=-1) == ()


def test_a_listing_can_be_of_one_verdict(store: Store) -> None:
    verdicts: list[Verdict] = ["shift", "no_shift", "error", "shift", "invalid_data"]
    commit(store, *(a_run(f"b{n}", verdict=verdict) for n, verdict in enumerate(verdicts)))
    assert ids(store, verdict="shift") == ["b3", "b0"]
    assert ids(store, verdict="shift", limit=1) == ["b3"]
    assert ids(store, verdict="error") == ["b2"]


def test_unknown_models_and_batches_have_nothing(store: Store) -> None:
    commit(store, a_run("b1"))
    assert store.run("fraud") is None
    assert store.document("churn", "b9") is None
    assert store.state("fraud") is None
    assert not store.has_run("churn", "b9")
    assert store.judged_ids("fraud") == frozenset()


def test_a_batch_is_judged_once_and_the_second_commit_changes_nothing(store: Store) -> None:
    commit(store, a_run("b1"), a_run("b2"))
    again = a_run("b1", verdict="shift", alarms=[("input", True)])
    with pytest.raises(StoreError, match="batch b1 of churn: already judged"):
        store.commit(again, state="other", cursor="other", now=START)
    assert store.run("churn", "b1") == a_run("b1")
    assert store.state("churn") == ("state b2", "cursor b2")
    assert store.flips("churn") == ()
    assert store.judged_ids("churn") == {"b1", "b2"}
    commit(store, a_run("b3"))
    assert ids(store) == ["b3", "b2", "b1"]


def test_two_models_may_judge_the_same_batch(store: Store) -> None:
    commit(store, a_run("b1"), a_run("b1", model="fraud"))
    assert ids(store) == ids(store, "fraud") == ["b1"]


def test_an_alarm_that_changes_is_noted_once(store: Store) -> None:
    commit(
        store,
        a_run("b1", alarms=[("input", False), ("prediction", False)]),
        a_run("b2", alarms=[("input", True), ("prediction", False)], at=START + 1),
        a_run("b3", alarms=[("input", True), ("prediction", True)], at=START + 2),
        a_run("b4", alarms=[], verdict="error", at=START + 3),
        a_run("b5", alarms=[("input", False), ("prediction", True)], at=START + 4),
    )
    assert store.flips("churn") == (
        Flip("churn", "input", True, False, START + 4, "b5"),
        Flip("churn", "prediction", False, True, START + 2, "b3"),
        Flip("churn", "input", False, True, START + 1, "b2"),
    )
    assert store.flips("churn", limit=1)[0].batch_id == "b5"
    assert store.flips("fraud") == ()


def test_the_timeline_runs_forward_with_the_evidence_of_each_scope(store: Store) -> None:
    commit(store, a_run("b1", alarms=[]), a_run("b2"), a_run("b3", alarms=[("schema", True)]))
    points = store.timeline("churn", limit=2)
    assert [(p.batch_id, p.alarm, p.evidence) for p in points] == [
        ("b2", False, {"input": 0.25}),
        ("b3", True, {"schema": 1.5}),
    ]
    assert [p.batch_id for p in store.timeline("churn")] == ["b1", "b2", "b3"]
    assert [p.seq for p in store.timeline("churn")] == [r.seq for r in store.runs("churn")][::-1]


def test_the_timeline_keeps_the_strongest_layer_and_the_times_of_the_events(store: Store) -> None:
    run = a_run("b1")
    decision = replace(run.decisions[0], evidence=Evidence(0.25, 0.4, 0.9))
    nothing = replace(decision, scope="prediction", evidence=Evidence())
    commit(store, replace(run, decisions=(decision, nothing)))
    (point,) = store.timeline("churn")
    assert point.evidence == {"input": 0.9}
    assert (point.event_time_start, point.event_time_end) == (START - 60, START)


# --- files ---------------------------------------------------------------------------------------


def test_files_are_numbered_in_the_order_given(store: Store) -> None:
    first = store.accept_files("churn", [a_file("b"), a_file("a")])
    second = store.accept_files("churn", [a_file("c", time_min=None, time_max=None)])
    assert [file.facts.uri for file in first] == ["b", "a"]
    assert store.accepted_files("churn") == first + second
    assert store.accepted_files("churn", after_seq=first[0].seq) == first[1:] + second
    assert store.accepted_files("fraud") == ()
    assert store.known_files("churn")["a"] == Listed("a", 100, 1)
    assert store.accept_files("churn", []) == ()


def test_a_file_that_was_only_touched_keeps_its_number(store: Store) -> None:
    (first,) = store.accept_files("churn", [a_file("a")])
    (again,) = store.accept_files("churn", [a_file("a", modified_ns=2)])
    assert again == AcceptedFile(first.seq, a_file("a", modified_ns=2))
    assert store.accepted_files("churn") == (again,)
    assert store.known_files("churn") == {"a": Listed("a", 100, 2)}


def test_changed_content_is_a_new_row_and_the_newest_is_known(store: Store) -> None:
    for place, content in enumerate(("one", "two", "one")):
        store.accept_files("churn", [a_file("a", content, size=place)])
    files = store.accepted_files("churn")
    assert [file.facts.sha256 for file in files] == ["sha of one", "sha of two", "sha of one"]
    assert [file.duplicate_of for file in files] == [None, None, None]
    assert store.known_files("churn") == {"a": Listed("a", 2, 1)}


def test_the_same_bytes_under_another_name_are_a_duplicate(store: Store) -> None:
    store.accept_files("churn", [a_file("a", "x"), a_file("b", "x")])
    store.accept_files("churn", [a_file("c", "x"), a_file("b", "x", modified_ns=9)])
    store.accept_files("fraud", [a_file("d", "x")])
    copies = {f.facts.uri: f.duplicate_of for f in store.accepted_files("churn")}
    assert copies == {"a": None, "b": "a", "c": "a"}
    assert store.accepted_files("fraud")[0].duplicate_of is None


def test_broken_files_are_no_copies_of_each_other(store: Store) -> None:
    broken = [a_file("a", "x", fault="no footer"), a_file("b", "x", incomplete=True)]
    store.accept_files("churn", [*broken, a_file("c", "x"), a_file("d", "x")])
    files = store.accepted_files("churn")
    assert [file.duplicate_of for file in files] == [None, None, None, "c"]
    assert [file.facts for file in files[:2]] == broken


def test_a_file_that_can_be_read_again_is_news(store: Store) -> None:
    store.accept_files("churn", [a_file("a", fault="disk error", rows=0)])
    store.accept_files("churn", [a_file("a")])
    faults = [file.facts.fault for file in store.accepted_files("churn")]
    assert faults == ["disk error", None]


def test_broken_files_are_kept_by_uri_with_any_name_until_they_are_whole(store: Store) -> None:
    first = Broken("odd\udce9", 4, 5, "", "refused", "cannot be read: no", 1, 10.0, 20.0)
    other = Broken("a", 6, 7, "ab", "damaged", "bad", 3, 10.0, 90.0, 90.0, in_check=True)
    store.accept_files("churn", [], noted=[first, other])
    assert store.broken("churn") == {"a": other, "odd\udce9": first}
    assert store.broken("fraud") == {}
    later = replace(first, looks=2, looked_at=30.0)
    store.accept_files("churn", [a_file("a")], noted=[later], whole=["a"])
    assert store.broken("churn") == {"odd\udce9": later}


def test_files_and_what_is_broken_of_them_are_noted_together_or_not_at_all(store: Store) -> None:
    entry = Broken("a", 4, 5, "", "refused", "cannot be read: no", 1, 10.0, 20.0, 20.0)
    impossible = replace(a_file("a"), rows=2**70)
    with pytest.raises(OverflowError):
        store.accept_files("churn", [a_file("b"), impossible], noted=[entry])
    assert (store.broken("churn"), store.accepted_files("churn")) == ({}, ())


def test_retention_forgets_broken_files_that_went_long_ago_and_no_others(store: Store) -> None:
    day = 86_400.0
    entries = [
        Broken(uri, 4, 5, "", "refused", "no", 1, at, at, at)
        for uri, at in (("gone", 0.0), ("here", 0.0), ("recent", 99 * day))
    ]
    for model in ("churn", "unlisted"):
        store.accept_files(model, [], noted=entries)
    store.forget(10, {"churn": {"here"}}, 100 * day)
    assert set(store.broken("churn")) == {"here", "recent"}
    assert set(store.broken("unlisted")) == {"gone", "here", "recent"}


def test_a_file_name_that_is_not_unicode_is_kept(store: Store) -> None:
    name = "odd\udce9"
    store.accept_files("churn", [a_file(name, "x", fault=f"{name} is odd")])
    store.accept_files("churn", [a_file(name, "x"), a_file(name, "x"), a_file("b", "x")])
    facts = [file.facts for file in store.accepted_files("churn")]
    assert [(f.uri, f.fault) for f in facts] == [
        (name, f"{name} is odd"),
        (name, None),
        ("b", None),
    ]
    assert store.accepted_files("churn")[-1].duplicate_of == name
    assert set(store.known_files("churn")) == {name, "b"}
    run = a_run("b1")
    pieces = (replace(run.batch.pieces[0], uri=name),)
    commit(store, replace(run, batch=replace(run.batch, pieces=pieces)))
    assert store.runs("churn")[0].uri == name
    assert store.forget(1, {"churn": [name]}, START + 9 * DAY) == 0
    assert set(store.known_files("churn")) == {name}


# --- opening -------------------------------------------------------------------------------------


def test_the_folder_is_made_and_the_second_opener_is_told_who_holds_the_file(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "deep" / "down" / "history.db")
    link = tmp_path / "link.db"
    link.symlink_to(path)
    with Store.open(path, clock=time.time):
        for name in (path, str(link)):
            with pytest.raises(StoreError) as fault:
                Store.open(name, clock=time.time)
            held_by = f"the history is in use by process {os.getpid()} on {os.uname().nodename}"
            assert held_by in str(fault.value)
            assert "stop that process" in str(fault.value)
    with Store.open(path, clock=time.time) as again:
        assert again.runs("churn") == ()


def test_a_closed_store_says_so_and_may_be_closed_again(path: str) -> None:
    store = Store.open(path, clock=time.time)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="the history is closed"):
        store.runs("churn")
    with pytest.raises(StoreError, match="not open for writing"):
        commit(store, a_run("b1"))


def test_a_reader_needs_no_lock_sees_new_runs_and_cannot_write(store: Store, path: str) -> None:
    with Store.read(path) as reader:
        assert reader.runs("churn") == ()
        commit(store, a_run("b1"))
        assert reader.run("churn") == a_run("b1")
        for write in (
            lambda: commit(reader, a_run("b2")),
            lambda: reader.accept_files("churn", []),
            lambda: reader.forget(1, {}, START),
        ):
            with pytest.raises(StoreError, match="not open for writing"):
                write()


def test_a_reader_of_nothing_makes_no_file(path: str) -> None:
    with pytest.raises(StoreError, match="there is no history yet"):
        Store.read(path)
    assert not Path(path).exists()
    Path(path).touch()
    with pytest.raises(StoreError, match="its version is 0, too old"):
        Store.read(path)


@pytest.mark.parametrize("opener", [Store.read, lambda path: Store.open(path, clock=time.time)])
def test_a_newer_version_is_refused_and_left_alone(
    path: str, opener: Callable[[str], Store]
) -> None:
    Store.open(path, clock=time.time).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="its version is 99, written by a newer release"):
        opener(path)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (99,)
    connection.close()


@pytest.mark.parametrize("opener", [Store.read, lambda path: Store.open(path, clock=time.time)])
def test_a_database_of_another_program_is_left_alone(
    path: str, opener: Callable[[str], Store]
) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE customers (name TEXT)")
    connection.commit()
    connection.close()
    before = Path(path).read_bytes()
    with pytest.raises(StoreError, match="is a database of another program"):
        opener(path)
    assert Path(path).read_bytes() == before


def _filled(path: str, runs: int) -> None:
    with Store.open(path, clock=time.time) as store:
        commit(store, *(a_run(f"b{number}") for number in range(runs)))


def _scramble(path: str) -> None:
    size = Path(path).stat().st_size
    with Path(path).open("r+b") as file:
        for page in range(4096, size, 4096):
            file.seek(page)
            file.write(b"\xff" * 64)


def _replace_with_text(path: str) -> None:
    Path(path).write_text("this is no database\n" * 100)


def _cut(path: str) -> None:
    os.truncate(path, Path(path).stat().st_size // 2 // 4096 * 4096)


def test_a_file_that_does_not_begin_as_ours_is_named_and_left_as_it_is(path: str) -> None:
    _filled(path, 30)
    _replace_with_text(path)
    before = Path(path).read_bytes()
    for _ in range(2):
        with pytest.raises(StoreError) as fault:
            Store.open(path, clock=time.time)
        text = str(fault.value)
        assert text.startswith(f"{path}: the history is damaged: ")
        assert "move history.db, history.db-wal and history.db-shm away" in text
        assert Path(path).read_bytes() == before


@pytest.mark.parametrize("damage", [_scramble, _cut])
def test_a_damaged_file_is_refused_to_readers_and_set_aside_as_it_was_by_the_writer(
    path: str, damage: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2):
        _filled(path, 30) if number == 1 else None
        damage(path)
        before = Path(path).read_bytes()
        with pytest.raises(StoreError):
            _read_all(path)
        with Store.open(path, clock=lambda: START) as store:
            assert store.set_aside == number
            commit(store, *(a_run(f"new {number} {each}") for each in range(30)))
        assert Path(f"{path}.damaged-{number}").read_bytes() == before
        assert "what could be read of it is in force" in caplog.text


def _read_all(path: str) -> None:
    with Store.read(path) as store:
        store.runs("churn")
        store.document("churn")
        store.judged_ids("churn")


def _page_of(path: str, table: str) -> int:
    """A page in the middle of the leaves of a table."""
    with closing(sqlite3.connect(path)) as connection:
        try:
            found = connection.execute(
                "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf'", (table,)
            ).fetchall()
        except sqlite3.OperationalError:
            pytest.skip("this SQLite cannot tell which page is whose")
    return int(found[len(found) // 2][0])


def test_one_bad_page_costs_the_rows_on_it_and_no_alarm(path: str) -> None:
    with Store.open(path, clock=lambda: START) as store:
        alarm: list[tuple[Scope, bool]] = [("input", True)]
        commit(store, *(a_run(f"b{each:03}") for each in range(60)), a_run("last", alarms=alarm))
        whole = {
            row.batch_id: store.run("churn", row.batch_id) for row in store.runs("churn", limit=99)
        }
        flips = store.flips("churn")
    page = _page_of(path, "runs")
    with Path(path).open("r+b") as file:
        file.seek(4096 * (page - 1))
        file.write(b"\xff" * 4096)
    with Store.open(path, clock=lambda: START) as store:
        kept = {
            row.batch_id: store.run("churn", row.batch_id) for row in store.runs("churn", limit=99)
        }
        assert 40 < len(kept) < 61
        assert all(whole[name] == run for name, run in kept.items())
        assert store.judged_ids("churn") == whole.keys(), "nothing is judged again"
        assert store.state("churn") == ("state last", "cursor last")
        assert store.flips("churn") == flips
        newest = store.run("churn")
        assert newest is not None
        assert newest.alarm
    with Store.open(path, clock=lambda: START) as store:
        assert store.set_aside == 1, "the next start finds it sound"


@pytest.mark.parametrize("at", range(1, 4))
def test_a_rescue_that_is_cut_off_at_any_move_is_taken_up_again(
    path: str, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _filled(path, 30)
    page = _page_of(path, "runs_by_model")
    with Path(path).open("r+b") as file:
        file.seek(4096 * (page - 1))
        file.write(b"\xff" * 4096)
    moves, rename = itertools.count(1), Path.rename

    def cut_off(source: Path, target: Path) -> Path:
        if next(moves) == at:
            raise KeyboardInterrupt
        return rename(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", cut_off)
        with pytest.raises(KeyboardInterrupt):
            Store.open(path, clock=time.time)
    with Store.open(path, clock=time.time) as store:
        assert ids(store) == [f"b{number}" for number in range(30)][::-1]
        assert store.set_aside == 1


def test_a_rescue_that_was_killed_is_finished_and_the_old_log_is_not_played_into_the_new_file(
    path: str,
) -> None:
    _filled(path, 3)
    fresh, aside = Path(f"{path}.rescued"), Path(f"{path}.damaged-1")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    shutil.copy(path, fresh)
    Path(path).rename(aside)
    Path(f"{path}-wal").write_bytes(b"of the damaged file")
    with Store.open(path, clock=time.time) as store:
        assert ids(store) == ["b2", "b1", "b0"]
        assert store.set_aside == 1
    assert Path(f"{aside}-wal").read_bytes() == b"of the damaged file"
    assert not fresh.exists()


def test_a_document_that_was_tampered_with_is_named(store: Store, path: str) -> None:
    commit(store, a_run("b1"))
    connection = sqlite3.connect(path)
    connection.execute("UPDATE runs SET document = x'00'")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="batch b1: the stored document cannot be read"):
        store.run("churn")


def test_a_history_without_a_quarantine_gets_one(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = migrations.MIGRATIONS.index(migrations.lay_broken)
    with monkeypatch.context() as older:
        older.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:place])
        with Store.open(path, clock=time.time) as store:
            store.close()
    with Store.open(path, clock=time.time) as store:
        assert store.broken("churn") == {}
        commit(store, a_run("b1"))
        assert ids(store) == ["b1"]


def test_migrations_run_in_order_and_only_what_is_missing(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _filled(path, 2)
    version = len(migrations.MIGRATIONS)

    def add_colour(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE runs ADD COLUMN colour TEXT")

    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, add_colour))
    with pytest.raises(StoreError, match=rf"its version is {version}, too old .*`shiftwatch run`"):
        Store.read(path)
    for _ in range(2):
        with Store.open(path, clock=time.time) as store:
            assert ids(store) == ["b1", "b0"]
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (version + 1,)
    assert connection.execute("SELECT colour FROM runs").fetchall() == [(None,), (None,)]
    connection.close()


def test_a_migration_that_fails_leaves_the_file_as_it_was(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _filled(path, 2)

    def half(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM runs")
        connection.execute("SELECT nonsense")

    with monkeypatch.context() as patched:
        patched.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, half))
        with pytest.raises(StoreError, match="no such column: nonsense"):
            Store.open(path, clock=time.time)
    with Store.open(path, clock=time.time) as store:
        assert ids(store) == ["b1", "b0"]


def test_a_folder_that_cannot_be_made_and_a_file_that_is_a_folder_are_named(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot make the folder"):
        Store.open(str(tmp_path / "file" / "history.db"), clock=time.time)
    (tmp_path / "history.db").mkdir()
    with pytest.raises(StoreError, match="unable to open database file"):
        Store.open(str(tmp_path / "history.db"), clock=time.time)


# --- faults of the disk --------------------------------------------------------------------------


def _mount(folder: Path, options: str) -> bool:
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path | None]:
    """A disk of 1 MiB, or None where this user may not mount one."""
    folder = tmp_path / "disk"
    mounted = shutil.which("mount") is not None and _mount(folder, "size=1m")
    yield folder if mounted else None
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)


def _fill(store: Store) -> list[str]:
    """Commit until the disk is full; the batches that were acknowledged."""
    acknowledged: list[str] = []
    chance = random.Random(7)

    def go_on() -> None:
        for number in range(10_000):
            noise = {"noise": [chance.random() for _ in range(500)]}
            commit(store, replace(a_run(f"b{number}"), explanation=noise))
            acknowledged.append(f"b{number}")

    with pytest.raises(StoreError, match=r"database or disk is full \(the disk is full; free sp"):
        go_on()
    return acknowledged


def test_a_full_disk_loses_nothing_and_the_store_works_again_with_space(
    tmp_path: Path, small_disk: Path | None
) -> None:
    folder = small_disk or tmp_path
    ballast = folder / "ballast"
    ballast.write_bytes(b"0" * 300_000)
    with Store.open(str(folder / "history.db"), clock=time.time) as store:
        if small_disk is None:
            assert store._writer is not None
            store._writer.execute("PRAGMA max_page_count = 60")
        acknowledged = _fill(store)
        assert ids(store, limit=10_000) == acknowledged[::-1]
        assert store.state("churn") == (f"state {acknowledged[-1]}", f"cursor {acknowledged[-1]}")
        ballast.unlink()
        if small_disk is None:
            assert store._writer is not None
            store._writer.execute("PRAGMA max_page_count = 100000")
        commit(store, a_run("afterwards"))
        assert store.run("churn") == a_run("afterwards")
    with Store.open(str(folder / "history.db"), clock=time.time) as store:
        assert ids(store, limit=10_000) == ["afterwards", *acknowledged[::-1]]


def test_a_history_that_cannot_be_written_says_so_and_is_still_read(store: Store) -> None:
    commit(store, a_run("b1"))
    assert store._writer is not None
    store._writer.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match=r"readonly database \(make the file, its folder and"):
        commit(store, a_run("b2"))
    assert ids(store) == ["b1"]
    store._writer.execute("PRAGMA query_only = OFF")
    commit(store, a_run("b2"))
    assert ids(store) == ["b2", "b1"]


def test_a_history_on_a_read_only_disk_is_read(small_disk: Path | None) -> None:
    if small_disk is None:
        end = pytest.fail if os.environ.get("SHIFTWATCH_REQUIRE") == "all" else pytest.skip
        end("right to mount a small disk absent")
    path = str(small_disk / "history.db")
    _filled(path, 2)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with Store.read(path) as reader:
        assert ids(reader) == ["b1", "b0"]
    with pytest.raises(StoreError, match=r"unable to open|readonly|Read-only"):
        Store.open(path, clock=time.time)


def test_a_file_that_another_program_holds_is_named_and_free_afterwards(
    store: Store, path: str
) -> None:
    commit(store, a_run("b1"))
    assert store._writer is not None
    store._writer.execute("PRAGMA busy_timeout = 20")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"database is locked \(another program holds the file"):
        commit(store, a_run("b2"))
    assert ids(store) == ["b1"]
    other.execute("ROLLBACK")
    other.close()
    commit(store, a_run("b2"))
    assert ids(store) == ["b2", "b1"]


# --- retention -----------------------------------------------------------------------------------


def test_quiet_runs_go_first_and_notable_ones_after_twice_the_time(store: Store) -> None:
    verdicts: list[Verdict] = ["no_shift", "insufficient_data", "shift", "error", "invalid_data"]
    commit(store, *(a_run(verdict, verdict=verdict) for verdict in verdicts))
    commit(store, a_run("rose", alarms=[("input", True)]), a_run("cleared"))
    commit(store, a_run("fresh", at=START + 14 * DAY))
    assert store.forget(10, {}, START + 9 * DAY) == 0
    assert store.forget(10, {}, START + 15 * DAY) == 2
    assert ids(store) == ["fresh", "cleared", "rose", "invalid_data", "error", "shift"]
    assert len(store.flips("churn")) == 2
    assert store.forget(10, {}, START + 21 * DAY) == 5
    assert ids(store) == ["fresh"]
    assert store.flips("churn") == ()


def test_the_newest_run_of_a_model_is_never_forgotten(store: Store) -> None:
    commit(store, a_run("b1"), a_run("b2"), a_run("b1", model="fraud"))
    assert store.forget(10, {"churn": [], "fraud": []}, START + 1000 * DAY) == 1
    assert ids(store) == ["b2"]
    assert ids(store, "fraud") == ["b1"]
    assert store.state("churn") == ("state b2", "cursor b2")
    with pytest.raises(StoreError, match="already judged"):
        commit(store, a_run("b2"))


def test_an_alarm_stays_known_when_its_flip_is_forgotten(store: Store) -> None:
    commit(store, a_run("b1", alarms=[("input", True)]), a_run("b2", alarms=[("input", True)]))
    store.forget(1, {}, START + 100 * DAY)
    assert store.flips("churn") == ()
    commit(store, a_run("b3", alarms=[("input", True)]))
    assert store.flips("churn") == ()
    commit(store, a_run("b4"))
    assert [flip.to_alarm for flip in store.flips("churn")] == [False]


def test_files_still_in_the_folder_stay_known_and_judged(store: Store) -> None:
    for model in ("churn", "fraud"):
        store.accept_files(model, [a_file(f"{name}.parquet", name) for name in ("gone", "there")])
        commit(store, *(a_run(name, model=model) for name in ("gone", "there")))
    commit(store, a_run("last", at=START + 99 * DAY))
    listed = {"churn": ["there.parquet"]}
    assert store.forget(10, listed, START + 5 * DAY) == 0
    assert set(store.known_files("churn")) == {"gone.parquet", "there.parquet"}
    store.forget(10, listed, START + 100 * DAY)
    assert set(store.known_files("churn")) == {"there.parquet"}
    assert store.judged_ids("churn") == {"there", "last"}
    assert ids(store) == ["last"]
    assert store.has_run("churn", "there")
    assert not store.has_run("churn", "gone")
    assert set(store.known_files("fraud")) == {"gone.parquet", "there.parquet"}
    assert store.judged_ids("fraud") == {"gone", "there"}


def test_numbers_are_not_used_again_after_retention(store: Store) -> None:
    (old,) = store.accept_files("churn", [a_file("a", fault="no footer")])
    store.forget(1, {"churn": []}, START + 9 * DAY)
    assert store.accepted_files("churn") == ()
    (new,) = store.accept_files("churn", [a_file("a")])
    assert new.seq > old.seq


def test_the_file_does_not_grow_while_old_runs_are_forgotten(store: Store, path: str) -> None:
    sizes = []
    for day in range(60):
        commit(store, *(a_run(f"{day}-{n}", at=START + day * DAY) for n in range(5)))
        store.forget(10, {"churn": []}, START + day * DAY)
        sizes.append(Path(path).stat().st_size + Path(f"{path}-wal").stat().st_size)
    assert len(store.runs("churn", limit=1000)) == 11 * 5
    assert store._writer is not None
    store._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert Path(path).stat().st_size < 400_000


def as_planned(facts: FileFacts) -> Piece:
    return Piece(facts.uri, facts.size, facts.sha256, 0, facts.rows)


class Watcher:
    """What a monitor does with row windows: accept, plan, commit, forget."""

    def __init__(self, store: Store, rows: int) -> None:
        self.store, self.rows, self.judged = store, rows, list[tuple[str, int, int]]()

    def accept(self, *files: FileFacts) -> None:
        self.store.accept_files("churn", files)

    def work_off(self) -> int:
        """Judge what is due, each batch from what is stored; how many there were."""
        for count in itertools.count():
            due = self._due()
            if not due:
                return count
            batch, cursor = due[0], advance(self._cursor(), due[0])
            run = replace(a_run("any"), batch=batch)
            self.store.commit(run, state="{}", cursor=str(cursor.rows_done), now=START)
            if batch.fault is None:
                self.judged += [(p.uri, p.first_row, p.rows) for p in batch.pieces]
        raise AssertionError

    def _due(self) -> Sequence[Batch]:
        files = [
            file.facts
            for file in self.store.accepted_files("churn")
            if file.duplicate_of is None
            or batch_id([as_planned(file.facts)])
            != batch_id([replace(as_planned(file.facts), uri=file.duplicate_of)])
        ]
        return plan(files, WindowSettings(by=ByRows(self.rows)), self._cursor())

    def _cursor(self) -> Cursor:
        stored = self.store.state("churn")
        return Cursor(
            self.store.judged_ids("churn"),
            int(stored[1]) if stored is not None else 0,
            rows_forgotten=self.store.rows_forgotten("churn"),
        )


def test_row_windows_go_on_where_they_were_after_old_files_are_forgotten(store: Store) -> None:
    watcher = Watcher(store, 100)
    for name in "abc":
        watcher.accept(a_file(name, rows=500))
    assert watcher.work_off() == 15
    store.forget(400, {"churn": []}, START + 401 * DAY)
    assert [file.facts.uri for file in store.accepted_files("churn")] == ["c"]
    assert (store.rows_forgotten("churn"), store.rows_forgotten("fraud")) == (1000, 0)
    assert watcher.work_off() == 0
    watcher.accept(a_file("d", rows=500))
    assert watcher.work_off() == 5
    assert watcher.judged[-5:] == [("d", first, 100) for first in range(0, 500, 100)]
    assert len(set(watcher.judged)) == len(watcher.judged) == 20


def test_rows_that_wait_for_a_full_window_are_not_forgotten(store: Store) -> None:
    watcher = Watcher(store, 600)
    for name in "abc":
        watcher.accept(a_file(name, rows=250))
    watcher.accept(a_file("broken", rows=0, fault="no footer"))
    assert watcher.work_off() == 2
    store.forget(400, {"churn": []}, START + 401 * DAY)
    assert [file.facts.uri for file in store.accepted_files("churn")] == ["c"]
    watcher.accept(a_file("d", rows=450))
    assert watcher.work_off() == 1
    assert watcher.judged[-2:] == [("c", 100, 150), ("d", 0, 450)]


@pytest.mark.parametrize("later", [[], [("b", "z")], [("p=1/b", "x"), ("p=1/c", "x"), ("d", "z")]])
def test_contents_that_came_back_are_forgotten_once_and_together(
    store: Store, later: Sequence[tuple[str, str]]
) -> None:
    watcher = Watcher(store, 150)
    for content in ("x", "y"):
        watcher.accept(a_file("a", content, rows=225))
    assert watcher.work_off() == 3
    watcher.accept(a_file("a", "x", rows=225))  # the same bytes as at first: judged already
    watcher.accept(*(a_file(uri, content, rows=225) for uri, content in later))
    watcher.work_off()
    store.forget(1, {"churn": []}, START + 9 * DAY)
    distinct = 2 + len(set(later) - {("p=1/c", "x")})
    waiting = distinct * 225 % 150
    watcher.accept(a_file("new", rows=150 - waiting))
    assert watcher.work_off() == 1
    assert watcher.judged[-1] == ("new", 0, 150 - waiting)


def test_a_file_that_is_kept_keeps_its_batches_judged(store: Store) -> None:
    watcher = Watcher(store, 100)
    watcher.accept(a_file("a", rows=100), a_file("broken", rows=0, fault="no footer"))
    watcher.work_off()
    watcher.accept(a_file("torn", rows=0, fault="no footer"))
    watcher.work_off()
    store.forget(10, {"churn": []}, START + 400 * DAY)
    assert [file.facts.uri for file in store.accepted_files("churn")] == ["a"]
    assert len(store.judged_ids("churn")) == 2  # of "a", and of the newest run
    assert watcher.work_off() == 0


events = st.lists(
    st.one_of(
        # A name, which may be below a partition folder; contents repeat, so there are copies.
        st.tuples(st.sampled_from(["a", "b", "c", "p=1/d", "p=2/e", "p=2/f"]), st.integers(0, 5)),
        st.sets(st.sampled_from(["a", "b", "c", "p=1/d", "p=2/e", "p=2/f"])),  # present: forget
        st.just("work"),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(events)
def test_forgetting_changes_no_row_window(happened: list[tuple[str, int] | set[str] | str]) -> None:
    assert _judged(happened, forgets=True) == _judged(happened, forgets=False)


def _judged(
    happened: Sequence[tuple[str, int] | set[str] | str], *, forgets: bool
) -> Sequence[tuple[str, int, int]]:
    with (
        tempfile.TemporaryDirectory() as folder,
        Store.open(f"{folder}/history.db", clock=lambda: START) as store,
    ):
        watcher, age = Watcher(store, 70), 0
        for event in happened:
            if isinstance(event, tuple):
                uri, size = event
                # What was forgotten would be new when it came again, so contents are of an age.
                fault = "no footer" if size == 3 else None
                watcher.accept(a_file(uri, f"{age}-{size}", rows=size * 40, fault=fault))
            elif isinstance(event, str):
                watcher.work_off()
            else:
                age += 1
                if forgets:
                    store.forget(1, {"churn": event}, START + 9 * DAY)
        watcher.work_off()
        return watcher.judged


# --- threads -------------------------------------------------------------------------------------


def test_readers_of_many_threads_see_whole_commits_while_one_writes(store: Store) -> None:
    commit(store, a_run("b0"))
    done = threading.Event()

    def look() -> int:
        looks = 0
        while not done.is_set():
            run = store.run("churn")
            state = store.state("churn")
            assert run is not None
            assert state is not None
            # The state is read later, so it is of this commit or of a later one.
            assert int(state[0].removeprefix("state b")) >= int(run.batch.id[1:])
            assert state[1] == state[0].replace("state", "cursor")
            listed = ids(store, limit=5)
            assert listed == sorted(listed, key=lambda name: -int(name[1:]))
            looks += 1
        return looks

    with ThreadPoolExecutor(8) as pool:
        watchers = [pool.submit(look) for _ in range(8)]
        try:
            commit(store, *(a_run(f"b{number}") for number in range(1, 80)))
        finally:
            done.set()
        assert all(watcher.result() > 0 for watcher in watchers)
    assert store._readers._idle.qsize() <= 4
    assert len(ids(store, limit=1000)) == 80


def test_writers_of_several_threads_wait_for_each_other(store: Store) -> None:
    def write(worker: int) -> None:
        for number in range(20):
            commit(store, a_run(f"{worker}-{number}"))
            store.accept_files("churn", [a_file(f"{worker}-{number}")])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert len(set(ids(store, limit=1000))) == 80
    assert len(store.accepted_files("churn")) == 80


def test_a_reader_in_the_middle_of_a_question_does_not_stop_the_writer(store: Store) -> None:
    commit(store, a_run("b0"))
    assert store._writer is not None
    store._writer.execute("PRAGMA busy_timeout = 0")
    with store._reading() as connection:
        connection.execute("BEGIN")
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (1,)
        commit(store, a_run("b1"))
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (1,)
        connection.execute("COMMIT")
    assert ids(store) == ["b1", "b0"]


def test_closing_while_a_page_is_read_leaves_nothing_open(path: str) -> None:
    store = Store.open(path, clock=time.time)
    with store._reading() as connection:
        store.close()
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (0,)
    assert store._readers._idle.empty()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


# --- kill -9 -------------------------------------------------------------------------------------

COMMITTER = """
import os, sys, time
from shiftwatch.store import Store
from shiftwatch.values import Batch, Decision, Evidence, FileFacts, Piece, Run

store = Store.open(sys.argv[1], clock=time.time)
held = store.state("churn")
number = 0 if held is None else int(held[0]) + 1
while True:
    name = str(number)
    store.accept_files("churn", [FileFacts(name, 1, 1, name, 50)])
    batch = Batch(name, (Piece(name, 1, name, 0, 50),), 50)
    alarm = number % 2 == 1
    decision = Decision("input", alarm, alarm, not alarm, Evidence(0.5), 0.5, 0.001)
    run = Run("churn", batch, "no_shift", time.time(), ("x" * (number % 7 * 3000),), (decision,))
    store.commit(run, state=name, cursor="after " + name, now=time.time())
    os.write(1, (name + "\\n").encode())
    number += 1
"""


def _commit_until_killed(path: str, seconds: float) -> list[str]:
    """Start a committer, kill it -9 some time after its first commit; what it acknowledged."""
    command = [sys.executable, "-c", COMMITTER, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as committer:
        assert committer.stdout is not None
        first = committer.stdout.readline()
        time.sleep(seconds)
        committer.send_signal(signal.SIGKILL)
        text = (first + committer.stdout.read()).decode()
    assert committer.returncode == -signal.SIGKILL
    return text[: text.rindex("\n")].split("\n")


def _sound(path: str) -> bool:
    connection = sqlite3.connect(path)
    answer = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    return bool(answer == ("ok",))


def _check_after_kill(path: str, acknowledged: list[str]) -> int:
    """One look at a history after a kill; how many runs it holds."""
    with Store.read(path) as reader:  # beside nobody: the log is left over and is recovered
        newest = reader.run("churn")
    with Store.open(path, clock=time.time) as store:
        stored = ids(store, limit=10**6)[::-1]
        assert stored == [str(number) for number in range(len(stored))]
        assert len(acknowledged) <= len(stored)
        assert store.run("churn") == newest
        assert store.state("churn") == (stored[-1], f"after {stored[-1]}")
        assert store.judged_ids("churn") == set(stored)
        flips = store.flips("churn", limit=10**6)
        assert [flip.batch_id for flip in flips] == stored[:0:-1]
        files = [file.facts.uri for file in store.accepted_files("churn")]
        assert files in (stored, [*stored, str(len(stored))])
    return len(stored)


@pytest.mark.slow
def test_twenty_kills_lose_no_acknowledged_run_and_store_none_twice(path: str) -> None:
    chance = random.Random(20260101)
    acknowledged: list[str] = []
    for kill in range(1, 21):
        acknowledged += _commit_until_killed(path, chance.uniform(0, 0.12))
        stored = _check_after_kill(path, acknowledged)
        assert set(acknowledged) <= {str(number) for number in range(stored)}
        assert len(set(acknowledged)) == len(acknowledged)
        assert stored - len(acknowledged) <= kill  # at most one commit a kill was not yet told
        assert _sound(path)


# --- a model of the store ------------------------------------------------------------------------

BATCHES = [f"b{number}" for number in range(12)]
ALARMS = st.tuples(st.sampled_from([None, False, True]), st.sampled_from([None, False, True])).map(
    lambda pair: [
        (s, a) for s, a in zip(("input", "prediction"), pair, strict=True) if a is not None
    ]
)


class StoreModel(RuleBasedStateMachine):
    """The store beside a list and a few dicts that must always tell the same."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.now = START
        self.runs: list[Run] = []
        self.judged: set[str] = set()
        self.held: tuple[str, str] | None = None
        self.alarms: dict[Scope, bool] = {}
        self.flips: list[Flip] = []
        self.flipped: set[str] = set()
        self.newest: dict[str, FileFacts] = {}
        self.files: list[tuple[FileFacts, str | None]] = []
        self.words: list[Acceptance] = []
        self.said: list[Annotation] = []
        self.store = self._open()

    def _open(self) -> Store:
        return Store.open(f"{self.folder.name}/history.db", clock=lambda: self.now)

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = self._open()

    @rule(batch=st.sampled_from(BATCHES), alarms=ALARMS, cursor=st.text(max_size=3))
    def commit(self, batch: str, alarms: list[tuple[Scope, bool]], cursor: str) -> None:
        self.now += DAY
        run = a_run(batch, alarms=alarms, at=self.now)
        if batch in self.judged:
            with pytest.raises(StoreError, match="already judged"):
                self.store.commit(run, state="never", cursor="never", now=self.now)
            return
        self.store.commit(run, state=batch, cursor=cursor, now=self.now)
        self.runs.append(run)
        self.judged.add(batch)
        self.held = (batch, cursor)
        for scope, alarm in alarms:
            if alarm != self.alarms.get(scope, False):
                self.flips.append(Flip("churn", scope, not alarm, alarm, self.now, batch))
                self.flipped.add(batch)
                self.alarms[scope] = alarm

    @rule(
        uri=st.sampled_from("xyz"),
        content=st.sampled_from("123"),
        stamp=st.integers(0, 5),
        fault=st.sampled_from([None, None, "broken", "\ud800"]),
    )
    def accept(self, uri: str, content: str, stamp: int, fault: str | None) -> None:
        facts = a_file(uri, content, modified_ns=stamp, fault=fault)
        (answer,) = self.store.accept_files("churn", [facts])
        assert answer.facts == facts
        own = [place for place, (other, _) in enumerate(self.files) if other.uri == uri]
        if own and replace(self.files[own[-1]][0], modified_ns=stamp) == facts:
            self.files[own[-1]] = (facts, self.files[own[-1]][1])
        else:
            self.files.append((facts, self._first_of(facts)))
        self.newest[uri] = facts

    def _first_of(self, facts: FileFacts) -> str | None:
        """The other file that had the same sound bytes first."""
        same = [
            other.uri
            for other, _ in self.files
            if other.sha256 == facts.sha256 and other.uri != facts.uri and other.fault is None
        ]
        return same[0] if same and facts.fault is None else None

    @rule(rows=st.integers(1, 9), kind=st.sampled_from(["accepted", "undone", "ended"]))
    def say(self, rows: int, kind: Literal["accepted", "undone", "ended"]) -> None:
        word = Acceptance("churn", kind, "b0", "b1", rows, "r.parquet", "a", "c", "", self.now)
        self.store.note_acceptance(word)
        self.words.insert(0, word)

    @rule(text=st.sampled_from(["", "sale", "\ud800"]), lasts=st.sampled_from([None, 1.5 * DAY]))
    def annotate(self, text: str, lasts: float | None) -> None:
        until = None if lasts is None else self.now + lasts
        draft = Draft("known_change", text, self.now, until)
        self.said.insert(0, self.store.note_annotation("churn", draft, "ada", self.now))

    @rule(place=st.integers(0, 5))
    def take_back(self, place: int) -> None:
        if place < len(self.said) and self.said[place].ended_at is None:
            word = self.store.end_annotation("churn", self.said[place].id, "bob", self.now)
            assert word == replace(self.said[place], ended_at=self.now, ended_by="bob")
            self.said[place] = word

    @rule()
    def forget_with_every_file_present(self) -> None:
        uris = [*"xyz", *(f"{name}.parquet" for name in BATCHES)]
        deleted = self.store.forget(3, {"churn": uris}, self.now)
        kept = [run for run in self.runs if run is self.runs[-1] or self._is_kept(run)]
        assert deleted == len(self.runs) - len(kept)
        self.runs = kept
        self.flips = [flip for flip in self.flips if flip.at >= self.now - 6 * DAY]

    def _is_kept(self, run: Run) -> bool:
        days = 6 if run.batch.id in self.flipped else 3
        return run.judged_at >= self.now - days * DAY

    @invariant()
    def tells_the_same(self) -> None:
        store = self.store
        assert ids(store) == [run.batch.id for run in reversed(self.runs)]
        assert store.run("churn") == (self.runs[-1] if self.runs else None)
        assert store.judged_ids("churn") == self.judged
        assert store.state("churn") == self.held
        assert store.flips("churn") == tuple(reversed(self.flips))
        files = store.accepted_files("churn")
        assert [(file.facts, file.duplicate_of) for file in files] == self.files
        assert store.accepted_files("churn", limit=2) == files[:2]
        assert [file.seq for file in files] == sorted({file.seq for file in files})
        assert store.acceptances("churn") == tuple(self.words)
        assert store.annotations("churn") == tuple(self.said)
        spoken = tuple(word for word in self.said if word.in_force(self.now))
        assert store.annotations("churn", in_force_at=self.now) == spoken
        assert store.annotations_to_come(self.now) == spoken
        in_force = self.words[0] if self.words and self.words[0].kind == "accepted" else None
        assert store.acceptance("churn") == in_force
        assert store.known_files("churn") == {
            uri: Listed(uri, facts.size, facts.modified_ns) for uri, facts in self.newest.items()
        }

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()


StoreModel.TestCase.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
test_the_store_tells_what_a_plain_list_tells = StoreModel.TestCase
