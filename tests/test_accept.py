"""Accept as the new normal: by an operator's word only, of the very rows that were judged."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from shiftwatch import acceptance, check, config, replay
from shiftwatch.acceptance import MIN_ROWS, Span, propose
from shiftwatch.annotation import Remark
from shiftwatch.cli import app
from shiftwatch.demo.generator import write_batch, write_reference
from shiftwatch.errors import DataError
from shiftwatch.monitor import Monitor
from shiftwatch.requests import Context, Prepare, Request
from shiftwatch.settings import AlarmSettings, ColumnSettings, ModelSettings
from shiftwatch.source.keeping import keep
from shiftwatch.source.plan import batch_id
from shiftwatch.store import Store
from shiftwatch.values import Acceptance, Batch, Decision, Evidence, Piece, Run, Verdict
from tests.judging import batch_of, facts_of
from tests.test_daemon import running

CONFIG = """\
models:
  - name: churn
    reference: reference.parquet
    batches: batches/
    columns: {time: event_time, label: churned}
    tests: {ks: {}, chi2: {max_draws: 999}}
"""

ROWS = 300


def write(folder: Path, *shifts: float, first: int = 0) -> None:
    for index, shift in enumerate(shifts, start=first):
        path = folder / "batches" / f"{index:03}.parquet"
        write_batch(path, index, ROWS, shift=shift, seed=5)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A folder with a reference, two quiet batches, two shifted ones and a configuration."""
    (tmp_path / "batches").mkdir()
    (tmp_path / "shiftwatch.yml").write_text(CONFIG, encoding="utf-8")
    write_reference(tmp_path / "reference.parquet", 1000)
    write(tmp_path, 0.0, 0.0, 1.0, 1.0)
    return tmp_path


class Watching:
    """The monitor and its history, as `shiftwatch once` has them."""

    def __init__(self, folder: Path, store: Store) -> None:
        settings = config.load(folder / "shiftwatch.yml", {})
        prints = {m.name: config.fingerprint(settings, m) for m in settings.models}
        self.store = store
        self.monitor = Monitor(settings, store, time.time, prints)

    def step(self) -> list[Run]:
        runs = list(self.monitor.step())
        (status,) = self.monitor.snapshot.models
        assert status.fault is None, status.fault
        return runs


def opened(folder: Path) -> Store:
    return Store.open(str(folder / "shiftwatch.db"), clock=time.time)


def codes(run: Run) -> set[str]:
    return {finding.code for finding in run.findings}


# What is proposed --------------------------------------------------------------------------------


def a_run(
    name: str, verdict: Verdict = "no_shift", *, rows: int = 200, since: str | None = None
) -> Run:
    piece = Piece(f"{name}.parquet", 9, f"sha of {name}", 0, rows)
    evidence = Evidence(2.0 if since else 0.1)
    decision = Decision("input", since is not None, False, False, evidence, 0.5, 0.001, (), since)
    return Run("churn", Batch(name, (piece,), rows), verdict, 1.0, (), (decision,))


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with opened(tmp_path) as history:
        yield history


def commit(store: Store, *runs: Run) -> None:
    for run in runs:
        store.commit(run, state="{}", cursor="{}", now=run.judged_at)


def test_by_default_the_batches_since_the_change_are_proposed(store: Store) -> None:
    commit(store, a_run("a"), a_run("b", "shift", since="b"), a_run("c", "shift", since="b"))
    commit(store, a_run("d", "invalid_data", since="b"), a_run("e", "shift", since="b"))
    proposal = propose(store, "churn", Span())
    assert [batch.id for batch in proposal.batches] == ["b", "c", "e"]
    assert proposal.verdicts == ("shift",) * 3
    assert proposal.left_out == (("d", "invalid_data"),)
    assert proposal.rows == 600


def test_a_span_holds_both_its_ends(store: Store) -> None:
    commit(store, *(a_run(name) for name in "abcdef"))
    proposal = propose(store, "churn", Span("b", "d"))
    assert [batch.id for batch in proposal.batches] == ["b", "c", "d"]
    assert [b.id for b in propose(store, "churn", Span("e")).batches] == ["e", "f"]


@pytest.mark.parametrize(
    ("span", "told"),
    [
        (Span(), "no alarm is up"),
        (Span("x"), "no batch 'x' is stored"),
        (Span("a", "x"), "no batch 'x' is stored"),
        (Span("c", "b"), "no batch 'c' is stored at or before 'b'"),
        (
            Span("c", "c"),
            f"200 rows in 1 batches are too few for a reference, which takes {MIN_ROWS}",
        ),
        (Span("d", "d"), "0 rows in 0 batches"),
    ],
)
def test_what_cannot_be_accepted_is_refused_in_words(store: Store, span: Span, told: str) -> None:
    commit(store, a_run("a"), a_run("b"), a_run("c"), a_run("d", "invalid_data"))
    with pytest.raises(DataError) as refused:
        propose(store, "churn", span)
    assert told in str(refused.value)


def test_nothing_is_proposed_of_a_model_without_a_history(store: Store) -> None:
    with pytest.raises(DataError, match="no batch has been judged yet"):
        propose(store, "churn", Span())


# What is written ---------------------------------------------------------------------------------


def model_of(folder: Path, **changes: Any) -> ModelSettings:
    plain = ModelSettings(
        "churn", reference=str(folder / "reference.parquet"), batches=str(folder / "batches")
    )
    return replace(plain, **changes)


def write_table(path: Path, columns: dict[str, Any]) -> Batch:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return batch_of(path)


def kept(settings: ModelSettings, batches: Sequence[Batch], folder: Path) -> pa.Table:
    answer = keep(settings, batches, str(folder / "kept"))
    table = pq.read_table(answer.path)
    assert answer.rows == table.num_rows
    assert answer.sha256 == facts_of(Path(answer.path)).sha256
    assert answer.configured_sha256 == facts_of(Path(settings.reference)).sha256
    assert Path(answer.path).stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in (folder / "kept").iterdir()] == [Path(answer.path).name]
    return table


def test_the_rows_are_those_of_the_batches_in_their_order(house: Path) -> None:
    files = sorted((house / "batches").iterdir())[2:]
    table = kept(model_of(house), [batch_of(path) for path in files], house)
    assert table.equals(pa.concat_tables(pq.read_table(path) for path in files))
    assert table.schema == pq.read_schema(house / "reference.parquet")


def test_only_the_rows_of_the_batch_are_taken(house: Path) -> None:
    path = house / "batches" / "000.parquet"
    whole, settings = pq.read_table(path), model_of(house)
    facts = facts_of(path)
    pieces = (
        Piece(facts.uri, facts.size, facts.sha256, 290, 10),
        Piece(facts.uri, facts.size, facts.sha256, 5, 20),
    )
    table = kept(settings, [Batch(batch_id(pieces), pieces, 30)], house)
    assert table.equals(pa.concat_tables([whole.slice(290, 10), whole.slice(5, 20)]))


def test_a_time_window_takes_its_own_rows(house: Path) -> None:
    path = house / "batches" / "001.parquet"
    whole = pq.read_table(path)
    times = whole.column("event_time").cast(pa.timestamp("us", "UTC")).to_pylist()
    cut = sorted(moment.timestamp() for moment in times)
    facts = facts_of(path)
    piece = Piece(facts.uri, facts.size, facts.sha256, 0, 300, cut[40], cut[90])
    settings = model_of(house, columns=ColumnSettings(time="event_time"))
    table = kept(settings, [Batch("w", (piece,), 50)], house)
    inside = [cut[40] <= moment.timestamp() < cut[90] for moment in times]
    assert table.equals(whole.filter(pa.array(inside)))
    assert table.num_rows == 50


def test_columns_are_those_of_the_reference_whatever_the_batches_look_like(tmp_path: Path) -> None:
    reference = {
        "n": pa.array([1, 2], pa.int32()),
        "plan": pa.array(["a", "b"]).dictionary_encode(),
        "same": pa.array([True, False]),
        "label": pa.array([0, 1], pa.int64()),
        "day": pa.array(["1", "2"]),
    }
    write_table(tmp_path / "reference.parquet", reference)
    folder = tmp_path / "batches"
    batches = [
        write_table(
            folder / "day=3" / "x.parquet",
            {"plan": ["b", None], "N": [1.5, None], "same": [True, None], "more": [7, 8]},
        ),
        write_table(
            folder / "day=4" / "y.parquet",
            {"n": [5], "same": [False], "plan": pa.array(["c"]).dictionary_encode()},
        ),
    ]
    table = kept(model_of(tmp_path), batches, tmp_path)
    assert table.schema.names == list(reference)
    assert table.to_pydict() == {
        "n": [1.5, None, 5.0],
        "plan": ["b", None, "c"],
        "same": [True, None, False],
        "label": [None, None, None],
        "day": ["3", "3", "4"],
    }


def test_other_bytes_than_were_judged_are_refused(house: Path) -> None:
    path = house / "batches" / "000.parquet"
    batch = batch_of(path)
    write_batch(path, 9, ROWS)
    with pytest.raises(DataError, match="has other bytes than when it was judged"):
        keep(model_of(house), [batch], str(house / "kept"))
    path.unlink()
    with pytest.raises(DataError, match="keep files to accept them"):
        keep(model_of(house), [batch], str(house / "kept"))
    assert not (house / "kept").exists()


# What follows ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_accepted_change_is_normal_from_the_next_batch_on(house: Path) -> None:
    with opened(house) as store:
        watching = Watching(house, store)
        before = watching.step()
        assert [run.verdict for run in before] == ["no_shift", "no_shift", "shift", "shift"]
        word = watching.monitor.accept(
            "churn", Span(before[2].batch.id), Remark("new prices", "ada")
        )
        assert (word.from_batch, word.to_batch) == (before[2].batch.id, before[3].batch.id)
        assert (word.rows, word.note, word.by) == (2 * ROWS, "new prices", "ada")
        assert store.acceptance("churn") == word
        write(house, 1.0, 0.0, first=4)
        shifted, back = watching.step()
    assert (shifted.verdict, shifted.alarm) == ("no_shift", False)
    assert "new_basis" in codes(shifted)
    assert (back.verdict, back.alarm) == ("shift", True)  # what was normal is the shift now
    told = shifted.provenance
    assert told["reference_sha256"] == word.sha256
    assert told["settings"]["reference"] == word.path
    assert told["acceptance"]["note"] == "new prices"
    assert told["acceptance"]["configured_sha256"] == before[0].provenance["reference_sha256"]
    assert before[0].provenance["acceptance"] is None


@pytest.mark.slow
def test_an_acceptance_outlives_a_restart_and_is_verified_like_any_other(house: Path) -> None:
    with opened(house) as store:
        watching = Watching(house, store)
        watching.step()
        word = watching.monitor.accept("churn", Span(), Remark())
    write(house, 1.0, first=4)
    with opened(house) as store:
        (run,) = Watching(house, store).step()
    assert run.provenance["reference_sha256"] == word.sha256
    with Store.read(str(house / "shiftwatch.db")) as store:
        done = list(replay.replay(store, "churn", str(house / "cache"), check.answer))
    assert all(one.same and one.memory for one in done)
    assert len(done) == 5


@pytest.mark.slow
def test_other_bytes_of_the_configured_reference_end_an_acceptance_and_that_is_said_once(
    house: Path,
) -> None:
    with opened(house) as store:
        watching = Watching(house, store)
        watching.step()
        word = watching.monitor.accept("churn", Span(), Remark())
        write(house, 1.0, first=4)
        watching.step()
        write_reference(house / "reference.parquet", 1001)
        write(house, 0.0, 0.0, first=5)
        first, second = watching.step()
        assert {"acceptance_ended", "new_basis"} <= codes(first)
        assert not {"acceptance_ended", "new_basis"} & codes(second)
        now = facts_of(house / "reference.parquet").sha256
        assert first.provenance["reference_sha256"] == now == second.provenance["reference_sha256"]
        assert store.acceptance("churn") is None
        ended, said = store.acceptances("churn")
        assert (ended.kind, ended.sha256, said) == ("ended", word.sha256, word)


@pytest.mark.slow
def test_a_configured_reference_that_is_gone_ends_nothing(house: Path) -> None:
    with opened(house) as store:
        watching = Watching(house, store)
        watching.step()
        word = watching.monitor.accept("churn", Span(), Remark())
        (house / "reference.parquet").unlink()
        write(house, 1.0, first=4)
        (run,) = watching.step()
    assert run.provenance["reference_sha256"] == word.sha256


@pytest.mark.slow
def test_undo_returns_to_the_configured_reference(house: Path) -> None:
    with opened(house) as store:
        watching = Watching(house, store)
        watching.step()
        with pytest.raises(DataError, match="nothing is accepted"):
            watching.monitor.undo_acceptance("churn", Remark())
        watching.monitor.accept("churn", Span(), Remark())
        word = watching.monitor.undo_acceptance("churn", Remark("too early", "ada"))
        assert (word.kind, word.note) == ("undone", "too early")
        assert store.acceptance("churn") is None
        write(house, 0.0, first=4)
        (run,) = watching.step()
    assert run.provenance["acceptance"] is None
    assert run.provenance["reference_sha256"] == word.configured_sha256
    assert [word.kind for word in opened_words(house)] == ["undone", "accepted"]


def opened_words(house: Path) -> tuple[Acceptance, ...]:
    with Store.read(str(house / "shiftwatch.db")) as store:
        return store.acceptances("churn")


@pytest.mark.slow
def test_an_accepted_file_with_other_bytes_is_a_fault_that_says_how_to_go_on(house: Path) -> None:
    with opened(house) as store:
        watching = Watching(house, store)
        watching.step()
        word = watching.monitor.accept("churn", Span(), Remark())
        Path(word.path).chmod(0o600)
        write_reference(Path(word.path), 999)
        write(house, 1.0, first=4)
        assert list(watching.monitor.step()) == []
        (status,) = watching.monitor.snapshot.models
    assert status.monitor_state == "error"
    assert status.fault is not None
    assert "other bytes than were accepted" in status.fault
    assert "--undo" in status.fault


def test_rows_that_are_no_use_as_a_reference_are_not_kept(house: Path) -> None:
    def call(request: Request) -> object:
        if isinstance(request, Prepare):
            raise DataError("no row of the reference gets a prediction")
        return check.answer(request)

    files = sorted((house / "batches").iterdir())[2:]
    batches = tuple(batch_of(path) for path in files)
    verdicts: tuple[Verdict, ...] = ("shift", "shift")
    proposal = acceptance.Proposal("churn", batches, verdicts, ())
    context = Context(model_of(house), AlarmSettings(), 0, str(house / "s.references"), "")
    with pytest.raises(DataError, match="gets a prediction"):
        acceptance.accepted(proposal, context, Remark(), call, 1.0)
    assert list((house / "s.accepted" / "churn").iterdir()) == []
    word = acceptance.accepted(proposal, context, Remark(), check.answer, 1.0)
    with pytest.raises(DataError, match="gets a prediction"):
        acceptance.accepted(proposal, context, Remark(), call, 2.0)
    assert Path(word.path).exists()  # it rests on an earlier word


@pytest.mark.slow
def test_accepting_the_same_twice_keeps_one_file_and_two_words(house: Path) -> None:
    with opened(house) as store:
        watching = Watching(house, store)
        watching.step()
        first = watching.monitor.accept("churn", Span(), Remark("once", "ada"))
        second = watching.monitor.accept("churn", Span(), Remark("twice", "ada"))
        assert first.path == second.path
        assert [word.note for word in store.acceptances("churn")] == ["twice", "once"]
    assert len(list(Path(first.path).parent.iterdir())) == 1


# The verb ----------------------------------------------------------------------------------------


def told(house: Path, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
    command = ["accept", str(house / "shiftwatch.yml"), "churn", *arguments]
    ended = CliRunner().invoke(app, command, input=stdin)
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended.exit_code, ended.stdout, ended.stderr


@pytest.mark.slow
def test_the_verb_shows_what_it_would_do_and_does_it_only_when_told(house: Path) -> None:
    with opened(house) as store:
        runs = Watching(house, store).step()
    status, said, fault = told(house)
    assert status == 2
    with Store.read(str(house / "shiftwatch.db")) as store:
        proposal = propose(store, "churn", Span())
    size = f"{proposal.rows} rows of {len(proposal.batches)} batches"
    assert said.startswith(f"churn: take {size} as the reference")
    assert proposal.batches[0].id in said
    assert "2 shift" in said
    assert fault == "nothing was done: say --yes to do it\n"
    assert opened_words(house) == ()
    status, said, _ = told(house, "--yes", "--from", runs[1].batch.id, "--note", "why")
    assert status == 0
    assert "accepted 900 rows" in said
    (word,) = opened_words(house)
    assert (word.from_batch, word.note) == (runs[1].batch.id, "why")
    status, said, _ = told(house, "--undo", "--yes")
    assert (status, said) == (0, "churn: the configured reference is in force again\n")
    status, _, fault = told(house, "--undo", "--yes")
    assert status == 2
    assert "nothing is accepted" in fault


def test_the_verb_refuses_in_words(house: Path) -> None:
    with opened(house) as store:
        Watching(house, store).step()
    status, _, fault = told(house, "--yes", "--from", "unknown")
    assert status == 2
    assert fault.startswith("error: churn: no batch 'unknown' is stored")
    ended = CliRunner().invoke(app, ["accept", str(house / "shiftwatch.yml"), "other"])
    assert ended.exit_code == 78


# A running daemon --------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(found: Any, seconds: float = 60.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.1)
    pytest.fail("it never came")


@pytest.mark.slow
def test_while_the_daemon_runs_the_verb_asks_it(house: Path) -> None:
    port = free_port()
    text = CONFIG + f'schedule: {{every: 1s}}\nweb: {{listen: "127.0.0.1:{port}"}}\n'
    (house / "shiftwatch.yml").write_text(text, encoding="utf-8")
    with running(house) as daemon:
        path = "/api/v1/models/churn"
        wait_for(lambda: len(daemon.json(f"{path}/batches")["batches"]) == 4)
        first = daemon.json(f"{path}/batches")["batches"][1]["batch_id"]
        status, said, _ = told(
            house, "--yes", "--from", first, "--note", "by the daemon", "--by", "carol"
        )
        assert status == 0
        assert "accepted 600 rows" in said
        assert "by carol" in said
        kept = daemon.json(f"{path}/acceptance")["in_force"]
        assert (kept["note"], kept["by"]) == ("by the daemon", "carol")
        write(house, 1.0, first=4)
        newest = wait_for(
            lambda: (found := daemon.json(f"{path}/batches")["batches"])[4:] and found[0]
        )
        assert (newest["state"], newest["alarm"]) == ("no_shift", False)
        status, answer = daemon.post(f"{path}/acceptance", {"from": "unknown"})
        assert (status, "no batch 'unknown'" in answer) == (400, True)
        status, _, fault = told(house, "--yes", "--from", newest["batch_id"], "--to", "x")
        assert (status, "no batch 'x' is stored" in fault) == (2, True)
        assert told(house, "--undo", "--yes")[0] == 0
        assert daemon.json(f"{path}/acceptance")["in_force"] is None
        status, _, fault = told(house, "--undo", "--yes")
        assert (status, "nothing is accepted" in fault) == (2, True)


@pytest.mark.slow
def test_a_daemon_of_another_history_or_none_is_never_asked(house: Path, tmp_path: Path) -> None:
    with opened(house) as store:
        Watching(house, store).step()
        # This process holds the history, and nobody answers on the configured port.
        port = free_port()
        text = CONFIG + f'web: {{listen: "127.0.0.1:{port}"}}\n'
        (house / "shiftwatch.yml").write_text(text, encoding="utf-8")
        status, _, fault = told(house, "--yes")
        assert status == 70
        assert "the daemon does not answer" in fault
        (house / "shiftwatch.yml").write_text(CONFIG + 'web: {listen: "127.0.0.1:0"}\n')
        status, _, fault = told(house, "--yes")
        assert (status, "--url" in fault) == (70, True)
        other = tmp_path / "other"
        (other / "batches").mkdir(parents=True)
        shutil.copyfile(house / "reference.parquet", other / "reference.parquet")
        (other / "shiftwatch.yml").write_text(CONFIG + 'web: {listen: "127.0.0.1:0"}\n')
        with running(other) as daemon:
            status, _, fault = told(house, "--yes", "--url", daemon.url)
            assert (status, "keeps another history" in fault) == (70, True)
            assert daemon.json("/api/v1/models/churn/acceptance")["history"] == []
    assert opened_words(house) == ()


def test_the_words_are_json_and_keep_any_path(tmp_path: Path) -> None:
    odd = os.fsdecode(b"/data/\xff.parquet")
    word = Acceptance("churn", "accepted", "a", "b", 5, odd, "5e", "c0", 'say "so"', 1.5)
    with opened(tmp_path) as store:
        store.note_acceptance(word)
        store.note_acceptance(replace(word, model="other", kind="undone"))
        assert store.acceptance("churn") == word
        assert store.acceptance("other") is None
    assert json.dumps({"path": odd})
