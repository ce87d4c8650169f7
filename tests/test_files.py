"""Files as they come: half-written, replaced, deleted, withheld, linked, thousands at once.

Every batch is judged exactly once, the rest is named, and a restart forgets nothing.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shiftwatch.monitor import Monitor
from shiftwatch.quarantine import Broken
from shiftwatch.settings import (
    ByRows,
    ByTime,
    ColumnSettings,
    ModelSettings,
    WindowSettings,
)
from shiftwatch.status import ModelStatus
from shiftwatch.store import Store
from shiftwatch.values import Run
from tests.streams import LONG_AGO, ks_model, settings_of

pytestmark = pytest.mark.slow  # every test starts real workers

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = START.timestamp() + 1e7
GRACE = 300.0


@pytest.fixture
def model(tmp_path: Path) -> ModelSettings:
    return ks_model(tmp_path, table(2000, 0))


def table(rows: int, seed: int, shift: float = 0.0, day: int = 0) -> pa.Table:
    start = START + timedelta(days=day)
    times = [start + timedelta(seconds=60 * index) for index in range(rows)]
    values = np.random.default_rng(seed).normal(shift, 1, rows)
    return pa.table({"amount": values, "at": pa.array(times, pa.timestamp("us", tz="UTC"))})


class Watched:
    """A monitor under a clock that the test holds; restarted whenever it is asked to."""

    def __init__(self, folder: Path, model: ModelSettings) -> None:
        self.folder, self.model, self.now = folder, model, NOW

    @contextmanager
    def open(self) -> Iterator[Monitor]:
        settings = settings_of(self.folder, self.model)
        with Store.open(settings.store.path, clock=lambda: self.now) as store:
            yield Monitor(settings, store, lambda: self.now, {self.model.name: "test"})

    def step(self, later: float = 0.0) -> tuple[list[Run], ModelStatus]:
        """Start anew so many seconds later, work off what is due, and end."""
        self.now += later
        with self.open() as monitor:
            runs = list(monitor.step())
            (status,) = monitor.snapshot.models
        assert status.fault is None, status.fault
        return runs, status

    def write(self, name: str, content: pa.Table | bytes, at: float | None = None) -> Path:
        """A file changed now, or at another time."""
        path = self.folder / "batches" / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            pq.write_table(content, path)
        moment = self.now if at is None else at
        os.utime(path, (moment, moment))
        return path


@pytest.fixture
def watched(tmp_path: Path, model: ModelSettings) -> Watched:
    return Watched(tmp_path, model)


def bytes_of(content: pa.Table, *, checksums: bool = True) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(content, sink, write_page_checksum=checksums, compression="none")
    return bytes(sink.getvalue().to_pybytes())


def with_damaged_pages(content: pa.Table) -> bytes:
    """A footer that is sound, and a page whose checksum is not."""
    damaged = bytearray(bytes_of(content))
    damaged[200:232] = bytes(32)
    return bytes(damaged)


def only(entries: Sequence[Broken]) -> Broken:
    (entry,) = entries
    return entry


def test_a_half_written_file_is_retried_over_restarts_then_judged_once_and_quarantined(
    watched: Watched,
) -> None:
    watched.write("a.parquet", bytes_of(table(100, 1))[:400])
    shown = []
    for later in (0, 60, 120, 120):
        runs, status = watched.step(later)
        shown.append((len(runs), status.retried, status.quarantined, status.backlog))
    assert shown == [(0, 1, 0, 1), (0, 1, 0, 1), (0, 1, 0, 1), (1, 0, 1, 0)]
    assert (runs[0].verdict, runs[0].findings[0].code) == ("invalid_data", "incomplete")
    entry = only(status.broken)
    assert (entry.reason, entry.looks, entry.first_at) == ("no_footer", 4, NOW)
    assert status.counts.quarantined == {"no_footer": 1}
    for later in (60, 3600, 86_400, 86_400):
        runs, status = watched.step(later)
        assert runs == []
        assert status.quarantined == 1
        assert status.counts.quarantined == {}, "counted when it is put there, not whenever seen"


def test_a_file_that_is_mended_in_quarantine_is_judged_as_what_it_is(watched: Watched) -> None:
    whole = bytes_of(table(100, 1))
    watched.write("a.parquet", whole[:400], at=LONG_AGO)
    (first,), status = watched.step()
    assert (first.verdict, status.quarantined) == ("invalid_data", 1)
    watched.write("a.parquet", whole)
    (second,), status = watched.step(1)
    assert (second.verdict, status.quarantined, status.broken) == ("no_shift", 0, ())
    assert watched.step(86_400)[0] == []


def test_content_that_changes_without_size_or_time_is_noticed_by_a_later_look(
    watched: Watched,
) -> None:
    whole = bytes_of(table(100, 1))
    watched.write("a.parquet", whole[:-4] + b"????", at=LONG_AGO)
    (first,), _ = watched.step()
    assert first.verdict == "invalid_data"
    watched.write("a.parquet", whole, at=LONG_AGO)
    assert watched.step(30)[0] == []
    (second,), status = watched.step(31)
    assert (second.verdict, status.quarantined) == ("no_shift", 0)


@pytest.mark.parametrize("content", [b"", b"PAR1 and nothing more, PARE", b"x" * 50 + b"PAR1"])
def test_empty_encrypted_and_damaged_files_are_quarantined_by_reason_beside_good_ones(
    watched: Watched, content: bytes
) -> None:
    watched.write("bad.parquet", content, at=LONG_AGO)
    watched.write("good.parquet", table(100, 1))
    runs, status = watched.step()
    assert [run.verdict for run in runs] == ["no_shift", "invalid_data"]
    reason = {0: "no_footer", 27: "encrypted", 54: "damaged"}[len(content)]
    assert only(status.broken).reason == reason
    assert status.counts.quarantined == {reason: 1}


def test_damaged_pages_are_retried_then_judged_once_and_mended_ones_judged_again(
    watched: Watched,
) -> None:
    watched.write("a.parquet", with_damaged_pages(table(100, 1)))
    watched.write("b.parquet", table(100, 2, day=1))
    runs, status = watched.step()
    assert [Path(run.batch.uri).name for run in runs] == ["b.parquet"], "a holds nothing up"
    assert (status.retried, status.backlog) == (1, 1)
    assert watched.step(30)[0] == [], "its pause is not over"
    assert watched.step(150)[0] == []
    (late,), status = watched.step(150)
    assert (late.verdict, late.findings[0].code) == ("invalid_data", "unreadable")
    assert (only(status.broken).reason, status.quarantined) == ("damaged", 1)
    for later in (3600, 86_400):
        runs, status = watched.step(later)
        assert (runs, status.quarantined) == ([], 1)
    watched.write("a.parquet", table(100, 1))
    (mended,), status = watched.step(1)
    assert (mended.verdict, status.quarantined) == ("no_shift", 0)


def test_damaged_pages_that_are_mended_in_time_leave_no_trace(watched: Watched) -> None:
    path = watched.write("a.parquet", with_damaged_pages(table(100, 1)))
    assert watched.step()[0] == []
    path.write_bytes(bytes_of(table(100, 1)))
    os.utime(path, (watched.now, watched.now))
    with watched.open() as monitor:
        watched.now += 100
        (run,) = monitor.step()
        (status,) = monitor.snapshot.models
        assert (run.verdict, status.broken) == ("no_shift", ())
        assert list(monitor.step()) == []


def test_a_file_replaced_between_its_listing_and_its_check_is_judged_once_as_the_new_one(
    watched: Watched,
) -> None:
    for day in range(2):
        watched.write(f"{day}.parquet", table(100, day, day=day))
    with watched.open() as monitor:
        steps = monitor.step()
        next(steps)
        watched.write("1.parquet", table(150, 9, day=1))
        assert list(steps) == []
        assert only(monitor.snapshot.models[0].broken).reason == "changed"
        watched.now += 1
        (run,) = monitor.step()
        assert (run.verdict, run.batch.rows) == ("no_shift", 150)
        assert monitor.snapshot.models[0].broken == ()
        assert list(monitor.step()) == []
    assert watched.step(1e6)[0] == []


def test_bytes_that_are_not_those_that_were_accepted_are_never_judged_under_their_id(
    watched: Watched,
) -> None:
    """Replaced by a file of the same size, so that only its time gives it away."""
    old, new = (bytes_of(table(100, seed, day=1), checksums=False) for seed in (1, 9))
    assert len(old) == len(new)
    watched.write("0.parquet", table(100, 0))
    watched.write("1.parquet", old)
    with watched.open() as monitor:
        steps = monitor.step()
        next(steps)
        watched.write("1.parquet", new, at=watched.now + 1)
        assert list(steps) == []
        watched.now += 2
        (run,) = monitor.step()
    assert run.batch.pieces[0].sha256 == hashlib.sha256(new).hexdigest()


def test_a_file_that_never_keeps_still_is_judged_when_its_grace_is_over(watched: Watched) -> None:
    content = bytes_of(table(100, 1, day=1))
    runs: list[Run] = []
    for later in (0, 60, 240, 240):
        watched.now += later
        watched.write("0.parquet", table(100, round(watched.now)))
        watched.write("1.parquet", content)
        with watched.open() as monitor:
            for run in monitor.step():
                runs.append(run)
                watched.write("1.parquet", content, at=watched.now + 1)
    assert [run.verdict for run in runs if run.batch.uri.endswith("1.parquet")] == ["no_shift"]


def test_a_file_deleted_before_its_check_is_waited_for_and_then_reported_once(
    watched: Watched,
) -> None:
    for day in range(2):
        watched.write(f"{day}.parquet", table(100, day, day=day))
    with watched.open() as monitor:
        steps = monitor.step()
        next(steps)
        (watched.folder / "batches" / "1.parquet").unlink()
        assert list(steps) == []
    judged: list[Run] = []
    for later in (60, 120, 240, 480):
        judged += watched.step(later)[0]
    (run,) = judged
    assert run.verdict == "invalid_data"
    assert "No such file" in run.reasons[0]
    assert watched.step(1e6)[0] == []


@pytest.mark.parametrize("window", [ByRows(50), ByTime("1h")])
def test_where_windows_span_files_a_damaged_one_holds_up_no_rows_and_is_quarantined(
    watched: Watched, window: ByRows | ByTime
) -> None:
    watched.model = replace(watched.model, window=WindowSettings(by=window))
    watched.write("a.parquet", with_damaged_pages(table(100, 1)))
    watched.write("b.parquet", table(121, 2, day=1))
    runs, status = watched.step()
    assert {run.verdict for run in runs} == {"invalid_data", "no_shift"}
    assert len({run.batch.id for run in runs}) == len(runs) >= 4
    assert (only(status.broken).reason, status.quarantined) == ("damaged", 1)
    assert watched.step(1e6)[0] == []


def test_links_out_of_the_folder_are_refused_by_name_and_a_real_file_in_their_place_is_judged(
    watched: Watched,
) -> None:
    pq.write_table(table(100, 1), watched.folder / "secret.parquet")
    link = watched.folder / "batches" / "a.parquet"
    link.symlink_to(watched.folder / "secret.parquet")
    (watched.folder / "batches" / "folder").symlink_to(watched.folder)
    for later in (0, 60):
        runs, status = watched.step(later)
        assert runs == []
        named = {Path(entry.uri).name: entry.reason for entry in status.broken}
        assert named == {"a.parquet": "outside", "folder": "outside"}
        assert status.quarantined == 2
        assert status.counts.quarantined == ({"outside": 2} if later == 0 else {})
    link.unlink()
    watched.write("a.parquet", table(100, 1))
    (run,), status = watched.step(1)
    assert run.verdict == "no_shift"
    assert [Path(entry.uri).name for entry in status.broken] == ["folder"]


def test_a_folder_that_is_away_for_a_while_forgets_no_broken_file(watched: Watched) -> None:
    watched.write("a.parquet", b"cut off", at=LONG_AGO)
    assert watched.step()[1].quarantined == 1
    batches, hidden = watched.folder / "batches", watched.folder / "hidden"
    batches.rename(hidden)
    batches.mkdir()  # as where a disk is not mounted
    assert watched.step(60)[1].broken == ()
    batches.rmdir()
    hidden.rename(batches)
    runs, status = watched.step(60)
    assert (runs, status.quarantined) == ([], 1)


def test_every_batch_is_judged_once_with_the_verdicts_of_a_stream_that_was_never_broken(
    tmp_path: Path, model: ModelSettings
) -> None:
    """What was broken counts from when it is whole, as a file does that arrives then."""
    files = [bytes_of(table(300, day, 1.0 * (day > 3), day)) for day in range(6)]
    judged = []
    for broken in (True, False):
        folder = tmp_path / f"{broken}"
        (folder / "batches").mkdir(parents=True)
        watched = Watched(folder, replace(model, batches=str(folder / "batches")))
        runs: list[Run] = []
        if broken:
            watched.write("1.parquet", files[1][:500])
        for day in (0, 2, 3):
            watched.write(f"{day}.parquet", files[day])
        runs += watched.step()[0]
        watched.write("1.parquet", files[1])
        runs += watched.step(120)[0]
        for day in (4, 5):
            watched.write(f"{day}.parquet", files[day])
        runs += watched.step(60)[0]
        judged.append([(r.batch.id, r.verdict, r.decisions, r.results) for r in runs])
    assert judged[0] == judged[1]
    assert len(judged[0]) == 6
    assert judged[0][-1][1] == "shift"


def test_thousands_of_half_written_files_are_all_noted_and_judged_when_they_are_whole(
    watched: Watched,
) -> None:
    count = 1200
    watched.model = replace(
        watched.model, columns=ColumnSettings(), window=WindowSettings(by=ByRows(count * 2))
    )
    whole = [bytes_of(table(4, seed).drop_columns(["at"])) for seed in range(count)]
    for index, content in enumerate(whole):
        watched.write(f"{index:04}.parquet", content[:100])
    with watched.open() as monitor:
        assert list(monitor.step()) == []
        status = monitor.snapshot.models[0]
        assert (status.retried, status.backlog, len(status.broken)) == (count, count, 100)
        watched.now += 30
        looked = [entry.looked_at for entry in status.broken]
        assert list(monitor.step()) == []
        again = [entry.looked_at for entry in monitor.snapshot.models[0].broken]
        assert again == looked, "not before their pause is over"
        for index, content in enumerate(whole):
            watched.write(f"{index:04}.parquet", content)
        runs = list(monitor.step())
        assert [run.batch.rows for run in runs] == [count * 2, count * 2]
        assert monitor.snapshot.models[0].broken == ()


def _without_overrides() -> None:
    """Take from root what lets it read any file, so that permissions hold for it too."""
    libc = ctypes.CDLL(None)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH; PR_CAPBSET_DROP is 24
        libc.prctl(24, capability, 0, 0, 0)


def test_a_file_without_permission_is_retried_quarantined_and_judged_when_it_may_be_read(
    watched: Watched,
) -> None:
    config = watched.folder / "shiftwatch.yml"
    config.write_text(
        "models:\n  - name: m\n    reference: reference.parquet\n    batches: batches/\n"
        "    tests: {ks: {}}\n    window: {grace: 1s}\n"
    )
    path = watched.write("a.parquet", table(100, 1), at=LONG_AGO)
    path.chmod(0)

    def once() -> tuple[str, str]:
        command = [sys.executable, "-m", "shiftwatch", "once", str(config)]
        done = subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            preexec_fn=_without_overrides,
        )
        return done.stdout, done.stderr

    printed, told = once()
    assert printed == ""
    assert f"m: looked at again next time: {path}: cannot be read: Permission denied" in told
    while not printed:
        printed, told = once()
    assert "INVALID" in printed
    assert f"m: quarantined: {path}: cannot be read: Permission denied (refused; 3 looks" in told
    assert "m: in quarantine: 1; each is taken up again when it changes" in told
    path.chmod(0o600)
    printed = ""
    deadline = time.monotonic() + 300
    with Store.open(str(watched.folder / "shiftwatch.db"), clock=time.time) as store:
        (entry,) = store.broken("m").values()
        # As if its pause of four minutes were over.
        store.accept_files("m", (), noted=(replace(entry, looked_at=0.0),))
    while not printed and time.monotonic() < deadline:
        printed, told = once()
    assert "no shift" in printed
    assert told == ""
