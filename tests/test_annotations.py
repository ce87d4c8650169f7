"""What operators say: kept with who and when, exported, heeded by alerts, never hiding a verdict."""

from __future__ import annotations

import json
import sqlite3
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from shiftwatch.annotation import LONGEST_NAME, LONGEST_TEXT, Draft, checked, moment, silences
from shiftwatch.cli import app
from shiftwatch.desk import Desk
from shiftwatch.errors import DataError
from shiftwatch.metrics import render
from shiftwatch.store import Store, migrations
from shiftwatch.store.sqlite import connect_writer
from shiftwatch.values import Acceptance, Annotation
from shiftwatch.web.routes.asked import Speaker
from shiftwatch.web.tokens import made
from tests import sample_runs
from tests.test_accept import CONFIG, free_port, house, wait_for
from tests.test_daemon import Running, running
from tests.test_desk import MODEL, Office, _run
from tests.test_web import ask, board_of, get, problem

__all__ = ["house"]  # a fixture

NOW = 1_790_000_000.0
HOUR, DAY = 3600.0, 86_400.0
PATH = "/api/v1/models/churn/annotations"


def draft(**changes: Any) -> Draft:
    return replace(Draft("silence", "campaign", NOW, NOW + HOUR, ("input",)), **changes)


# --- what may be said --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"until": None}, "needs an end"),
        ({"until": NOW - 1.0, "start": NOW - 2.0}, "has ended already"),
        ({"until": NOW + 91 * DAY}, "90 days at most"),
        ({"until": NOW, "start": NOW + 1}, "ends before it begins"),
        ({"kind": "note", "text": "  ", "scopes": ()}, "the text is empty"),
        ({"kind": "note"}, "only a silence is about scopes"),
        ({"text": "x" * (LONGEST_TEXT + 1)}, "write 2000 at most"),
        ({"kind": "known_change", "scopes": (), "until": 1e15}, "outside of the calendar"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_words(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        checked(draft(**changes), NOW)


def test_a_note_or_known_change_may_be_open_and_past() -> None:
    for kind in ("note", "known_change"):
        said = draft(kind=kind, scopes=(), start=NOW - 9 * DAY, until=None)
        assert checked(said, NOW) == said


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("90s", NOW + 90),
        ("2h", NOW + 2 * HOUR),
        ("1w", NOW + 7 * DAY),
        ("2026-09-21", 1_789_948_800.0),
        ("2026-09-21T08:30", 1_789_979_400.0),
        ("2026-09-21T08:30Z", 1_789_979_400.0),
        ("2026-09-21T10:30+02:00", 1_789_979_400.0),
    ],
)
def test_times_are_read_as_people_write_them(text: str, at: float) -> None:
    assert moment(text, NOW) == at


@pytest.mark.parametrize("text", ["", "soon", "2 h", "-2h", "2026-13-01", "2h30m", "9" * 40 + "h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="is no time"):
        moment(text, NOW)


def test_a_silence_holds_its_scopes_until_its_end_or_until_it_is_taken_back() -> None:
    word = Annotation(1, "churn", "silence", "", NOW, NOW + HOUR, "ada", NOW, ("input",))
    assert [silences(word, "input", NOW + t) for t in (-1, 0, HOUR - 1, HOUR)] == [
        *(False, True, True, False)
    ]
    assert not silences(word, "prediction", NOW)
    assert silences(replace(word, scopes=()), "schema", NOW)
    assert not silences(replace(word, ended_at=NOW + 5), "input", NOW + 5)
    assert not silences(replace(word, kind="known_change"), "input", NOW)


# --- the history -------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "s.db"), clock=lambda: NOW) as opened:
        yield opened


HOSTILE = "<script>alert(1)</script>\u202e\n\x1b[31m\ud800 'quoted' \" -- ;"


def test_words_are_kept_as_they_were_said_newest_first_and_never_lost(store: Store) -> None:
    first = store.note_annotation("churn", draft(text=HOSTILE), HOSTILE, NOW)
    second = store.note_annotation("churn", draft(kind="note", scopes=()), "bob", NOW + 1)
    store.note_annotation("other", draft(), "eve", NOW)
    assert (first.text, first.by, first.scopes) == (HOSTILE, HOSTILE, ("input",))
    assert store.annotations("churn") == (second, first)
    assert store.annotations("churn", limit=1) == (second,)
    assert store.annotations("churn", before=second.id) == (first,)
    ended = store.end_annotation("churn", first.id, "ada", NOW + 2)
    assert ended == replace(first, ended_at=NOW + 2, ended_by="ada")
    assert store.annotations("churn") == (second, ended)
    with pytest.raises(DataError, match="has ended already, by ada"):
        store.end_annotation("churn", first.id, "bob", NOW + 3)
    assert store.end_annotation("churn", 99, "bob", NOW) is None
    assert store.end_annotation("other", second.id, "bob", NOW) is None, "of another model"


def test_the_history_and_a_word_itself_agree_on_what_is_in_force(store: Store) -> None:
    for start, until in ((-9, None), (-9, -1), (-9, 0), (-9, 1), (0, None), (0, 1), (1, 2)):
        end = None if until is None else NOW + until
        store.note_annotation("churn", draft(start=NOW + start, until=end), "ada", NOW)
    for number, at in ((1, NOW - 1), (4, NOW), (6, NOW + 1)):
        store.end_annotation("churn", number, "ada", at)
    words = store.annotations("churn")
    in_force = tuple(word for word in words if word.in_force(NOW))
    assert [word.id for word in in_force] == [6, 5]
    assert store.annotations("churn", in_force_at=NOW) == in_force
    assert store.annotations("churn", in_force_at=NOW, limit=1, before=6) == in_force[1:]


def test_words_outlive_runs_and_a_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "s.db")
    with Store.open(path, clock=lambda: NOW) as store:
        word = store.note_annotation("churn", draft(), "ada", NOW)
        store.forget(1.0, {}, NOW + 9000 * DAY)
    with Store.open(path, clock=lambda: NOW) as store:
        assert store.annotations("churn") == (word,)


def test_an_older_history_gets_the_table_and_keeps_its_acceptances(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    before = migrations.MIGRATIONS.index(migrations.lay_annotations)
    connection = connect_writer(path)
    for number, step in enumerate(migrations.MIGRATIONS[:before], start=1):
        step(connection)
        connection.execute(f"PRAGMA user_version = {number}")
    connection.execute(
        "INSERT INTO acceptances (model, kind, from_batch, to_batch, rows, path, sha256,"
        " configured_sha256, note, at) VALUES ('churn', 'accepted', 'a', 'b', 9, 'p', 's', 'c', 'n', 1.0)"
    )
    connection.commit()
    connection.close()
    with Store.open(str(path), clock=lambda: NOW) as store:
        (word,) = store.acceptances("churn")
        assert (word.note, word.by) == ("n", "")
        assert store.note_annotation("churn", draft(), "ada", NOW).id == 1


def _bad_page(path: Path, table: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf'"
        try:
            found = connection.execute(query, (table,)).fetchall()
        except sqlite3.OperationalError:
            pytest.skip("this SQLite cannot tell which page is whose")
    with path.open("r+b") as file:
        file.seek(4096 * (found[len(found) // 2][0] - 1))
        file.write(b"\xff" * 4096)


def test_words_are_rescued_from_a_damaged_history_and_no_number_is_used_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "s.db"
    with Store.open(str(path), clock=lambda: NOW) as store:
        for number in range(200):
            store.note_annotation("churn", draft(text=f"{number} {HOSTILE}"), "ada", NOW)
        store.end_annotation("churn", 7, HOSTILE, NOW + 1)
        before = store.annotations("churn")
    _bad_page(path, "annotations_by_model")
    with Store.open(str(path), clock=lambda: NOW) as store:
        assert store.set_aside == 1
        assert store.annotations("churn") == before
        assert store.note_annotation("churn", draft(), "ada", NOW).id == 201
    _bad_page(path, "annotations")
    with Store.open(str(path), clock=lambda: NOW) as store:
        kept = store.annotations("churn")
        assert 0 < len(kept) < 201
        assert set(kept) < {*before, kept[0]}


def test_a_rescue_leaves_out_a_word_that_a_later_start_would_fail_of(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with Store.open(str(path), clock=lambda: NOW) as store:
        words = [store.note_annotation("churn", draft(), "ada", NOW) for _ in range(5)]
    spoiled = {1: "scopes = '['", 2: "start = 'soon'", 3: "until = x'00'"}
    with closing(sqlite3.connect(path)) as connection, connection:
        for number, change in spoiled.items():
            question = f"UPDATE annotations SET {change} WHERE id = {number}"  # noqa: S608 - ours
            connection.execute(question)
    _bad_page(path, "annotations_by_model")
    with Store.open(str(path), clock=lambda: NOW) as store:
        assert store.annotations_to_come(NOW) == (words[4], words[3])


# --- the snapshot and the metrics --------------------------------------------------------------


def silenced(desk: Desk) -> dict[str, str]:
    text = render(desk.snapshot())[1].decode()
    return {
        line.split('scope="')[1].split('"')[0]: line.split()[-1]
        for line in text.splitlines()
        if line.startswith("shiftwatch_silenced{")
    }


def test_a_silence_is_exported_from_its_beginning_to_its_very_end(tmp_path: Path) -> None:
    clock = [NOW]
    with Store.open(str(tmp_path / "s.db"), clock=lambda: clock[0]) as store:
        office = Office(tmp_path, store)
        list(office.steward.monitor.step())
        desk = Desk(store, office.desk.settings, office.steward, lambda: clock[0])
        off = dict.fromkeys(("input", "prediction", "schema"), "0.0")
        assert silenced(desk) == off
        desk.annotate(MODEL, draft(start=NOW + 60), "ada")
        assert silenced(desk) == off
        clock[0] = NOW + 60
        assert silenced(desk) == off | {"input": "1.0"}
        restarted = Desk(store, office.desk.settings, office.steward, lambda: clock[0])
        assert silenced(restarted) == off | {"input": "1.0"}, "from the first scrape on"
        clock[0] = NOW + HOUR
        assert silenced(desk) == silenced(restarted) == off
        desk.close()
        office.desk.close()


def test_words_said_at_once_are_all_in_force(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s.db"), clock=lambda: NOW) as store:
        office = Office(tmp_path, store)
        desk = Desk(store, office.desk.settings, office.steward, lambda: NOW)
        with ThreadPoolExecutor(8) as pool:
            said = list(pool.map(lambda _: desk.annotate(MODEL, draft(), "ada").id, range(200)))
            assert {word.id for word in desk.snapshot().around.words} == set(said)
            list(pool.map(lambda number: desk.end_annotation(MODEL, number, "bob"), said[:-1]))
        assert [word.id for word in desk.snapshot().around.words] == said[-1:]
        desk.close()
        office.desk.close()


def test_taking_a_word_back_ends_it_at_once(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "s.db"), clock=lambda: NOW) as store:
        office = Office(tmp_path, store)
        list(office.steward.monitor.step())
        desk = Desk(store, office.desk.settings, office.steward, lambda: NOW)
        word = desk.annotate(MODEL, draft(scopes=()), "ada")
        assert set(silenced(desk).values()) == {"1.0"}
        desk.end_annotation(MODEL, word.id, "bob")
        assert set(silenced(desk).values()) == {"0.0"}
        desk.close()
        office.desk.close()


def test_a_word_is_on_the_page_of_a_report_and_changes_nothing_in_its_document(
    tmp_path: Path,
) -> None:
    with Store.open(str(tmp_path / "s.db"), clock=lambda: NOW) as store:
        office = Office(tmp_path, store)
        run = _run("b1", sample_runs.shift())
        office.commit(run)
        before = office.desk.report(MODEL, "b1", "json")
        at = run.batch.event_time_start or run.judged_at
        said = draft(start=at - HOUR, until=at + HOUR, text="<b>new prices</b>")
        store.note_annotation(MODEL, said, "ada", NOW)
        page = office.desk.report(MODEL, "b1", "html")
        assert page is not None
        assert "by ada: &lt;b&gt;new prices&lt;/b&gt;" in page
        assert office.desk.report(MODEL, "b1", "json") == before
        text = office.desk.report(MODEL, "b1", "markdown") or ""
        assert "by ada: \\<b\\>new prices\\</b\\>" in text
        later = draft(start=at + 1, until=at + 2, text="after it")
        store.note_annotation(MODEL, later, "ada", NOW)
        assert "after it" not in (office.desk.report(MODEL, "b1", "markdown") or "")
        assert "after it" in (office.desk.report(MODEL, "b1", "html") or "")
        office.desk.close()


# --- the API -----------------------------------------------------------------------------------


def test_the_api_keeps_lists_and_ends_words() -> None:
    board = board_of()
    body = {"kind": "silence", "text": "campaign", "until": "2h", "scopes": ["input"]}
    kept = ask(board, "POST", PATH, json=body)
    assert kept.status_code == 201
    assert kept.headers["location"] == f"{PATH}/1"
    assert kept.json()["in_force"]
    assert kept.json()["until"] == "2026-09-21T16:13:20Z"
    assert kept.json()["by"] == "anonymous"
    ask(board, "POST", PATH, json={"kind": "note", "text": "seen", "by": "bob"})
    listed = get(board, PATH).json()
    assert [word["by"] for word in listed["annotations"]] == ["bob", "anonymous"]
    page = get(board, PATH, params={"limit": "1"}).json()
    assert get(board, page["next"]).json()["annotations"] == listed["annotations"][1:]
    ended = ask(board, "DELETE", f"{PATH}/1")
    assert (ended.json()["in_force"], ended.json()["ended_by"]) == (False, "anonymous")
    found = get(board, PATH, params={"in_force": "true"}).json()["annotations"]
    assert [word["id"] for word in found] == [2]
    assert "by anonymous" in problem(ask(board, "DELETE", f"{PATH}/1"), 409)["detail"]


def test_the_api_filters_before_it_cuts_pages() -> None:
    board = board_of()
    for number in range(1, 6):
        ask(board, "POST", PATH, json={"kind": "note", "text": f"{number}"})
        if number % 2 == 0:
            ask(board, "DELETE", f"{PATH}/{number}", params={"by": "bob"})
    seen, path = [], f"{PATH}?in_force=true&limit=2"
    while path:
        page = get(board, path).json()
        seen.append([word["id"] for word in page["annotations"]])
        path = page["next"]
    assert seen == [[5, 3], [1]]
    ended = [word["ended_by"] for word in get(board, PATH).json()["annotations"]]
    assert ended == ["", "bob", "", "bob", ""]


def test_hostile_texts_go_in_and_out_as_they_are() -> None:
    board, said = board_of(), "<script>alert(1)</script>\u202e\n\x1b[31m 'quoted' \" -- ;"
    kept = ask(board, "POST", PATH, json={"kind": "note", "text": said, "by": said})
    assert (kept.json()["text"], kept.json()["by"]) == (said, said.strip())
    body = b'{"kind": "note", "text": "\\ud800"}'
    lonely = ask(board, "POST", PATH, content=body, headers={"content-type": "application/json"})
    assert (lonely.status_code, lonely.json()["text"]) == (201, "\\ud800"), "written as its escape"


def test_an_acceptance_says_who_too_and_takes_any_text(store: Store) -> None:
    board, path = board_of(), "/api/v1/models/churn/acceptance"
    body = b'{"note": "\\ud800", "by": "ada"}'
    lonely = ask(board, "POST", path, content=body, headers={"content-type": "application/json"})
    assert "body.note" in problem(lonely, 422)["detail"]
    kept = ask(board, "POST", path, json={"note": "\u202e", "by": "ada"})
    assert (kept.json()["note"], kept.json()["by"]) == ("\u202e", "ada")
    assert ask(board, "POST", path).json()["by"] == "anonymous"
    assert ask(board, "DELETE", path, params={"by": "bob"}).json()["by"] == "bob"
    word = Acceptance("churn", "accepted", "a", "b", 9, "p", "s", "c", HOSTILE, NOW, HOSTILE)
    store.note_acceptance(word)
    assert store.acceptance("churn") == word


def test_a_name_counts_only_where_there_are_no_tokens() -> None:
    assert Speaker("anonymous").called("ada") == "anonymous", "also for who is called so"
    assert Speaker().called(" ada ") == "ada"
    assert len(Speaker().called("x" * 1000)) == LONGEST_NAME


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"kind": "silence"}, 400, "needs an end"),
        ({"kind": "silence", "until": "later"}, 400, "is no time"),
        ({"kind": "note"}, 400, "the text is empty"),
        ({"kind": "holiday", "text": "x"}, 422, "kind"),
        ({"kind": "silence", "until": "2h", "scopes": ["weather"]}, 422, "scopes"),
        ({"kind": "note", "text": "x", "colour": "red"}, 422, "colour"),
    ],
)
def test_the_api_refuses_in_words(body: dict[str, Any], status: int, told: str) -> None:
    assert told in str(problem(ask(board_of(), "POST", PATH, json=body), status))


def test_an_unknown_number_is_not_found() -> None:
    assert "no word 9" in problem(ask(board_of(), "DELETE", f"{PATH}/9"), 404)["detail"]


# --- the command line, and a daemon ------------------------------------------------------------


def verb(folder: Path, *arguments: str) -> tuple[int, str, str]:
    command = [arguments[0], str(folder / "shiftwatch.yml"), "churn", *arguments[1:]]
    ended = CliRunner().invoke(app, command)
    return ended.exit_code, ended.stdout, ended.stderr


def test_the_verbs_keep_list_and_end_without_a_daemon(house: Path) -> None:
    status, said, _ = verb(house, "annotate", "campaign", "--until", "2030-12-01", "--by", "ada")
    assert (status, said.split()[:3]) == (0, ["1", "known", "change"])
    assert "to 2030-12-01T00:00:00Z, by ada: campaign" in said
    status, said, _ = verb(house, "silence", "--until", "2h", "--scope", "input")
    assert (status, "2  silence of input from" in said) == (0, True)
    assert verb(house, "silence", "--end", "2")[0] == 0
    status, said, _ = verb(house, "silence", "--list")
    assert (status, len(said.splitlines()), "ended" in said) == (0, 2, True)
    status, said, fault = verb(
        house,
        "annotate",
        "sale",
        "--kind",
        "note",
        "--from",
        "2026-12-01T00:00+01:00",
        "--for",
        "2d",
    )
    assert "note from 2026-11-30T23:00:00Z to 2026-12-02T23:00:00Z" in said, fault


def test_nothing_said_yet_is_told_also_before_there_is_a_history(house: Path) -> None:
    assert verb(house, "silence", "--list")[:2] == (0, "churn: nothing was said yet\n")


def test_what_a_terminal_is_told_cannot_steer_it(house: Path) -> None:
    said = verb(house, "annotate", "\x1b[31m\u202e<b>", "--by", "\x07eve")[1]
    assert "by \\x07eve: \\x1b[31m\\u202e<b>" in said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("silence",), "needs an end"),
        (("silence", "--until", "tomorrow"), "is no time"),
        (("silence", "--until", "2h", "--scope", "weather"), "no scope is called 'weather'"),
        (("silence", "--until", "2h", "--for", "2h"), "the end is said twice"),
        (("silence", "--for", "2026-12-01"), "is no length of time"),
        (("silence", "--for", "100d"), "90 days at most"),
        (("annotate", "x", "--from", "2026-12-02", "--until", "2026-12-01"), "ends before it"),
        (("annotate", "x" * 2001), "write 2000 at most"),
        (("annotate",), "say what is known"),
        (("silence", "--end", "9"), "no word 9"),
    ],
)
def test_the_verbs_refuse_in_words(house: Path, arguments: tuple[str, ...], told: str) -> None:
    status, _, fault = verb(house, *arguments)
    assert (status, told in fault) == (2, True), fault


SILENT = 'shiftwatch_silenced{model="churn",scope="input"} 1.0'


def configured(house: Path, web: str = "") -> None:
    """A daemon that looks every second, on a free port."""
    listen = f'web: {{listen: "127.0.0.1:{free_port()}"{web}}}\n'
    text = f"{CONFIG}schedule: {{every: 1s}}\n{listen}"
    (house / "shiftwatch.yml").write_text(text, encoding="utf-8")


def asked(daemon: Running, path: str, token: str) -> str:
    request = urllib.request.Request(daemon.url + path)
    request.add_header("authorization", f"Bearer {token}")
    request.add_header("x-forwarded-user", "mallory")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(answer.read().decode())


@pytest.mark.slow
def test_a_running_daemon_keeps_what_the_verb_says_with_the_name_of_the_token(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, known = made("alice", "operator")
    reading, other = made("bob", "read-only")
    (house / "tokens.txt").write_text(f"{known}\n{other}\n", encoding="utf-8")
    configured(house, ", tokens_file: tokens.txt")
    with running(house) as daemon:
        for shown, told in ((None, "a token is needed"), (reading, "token of bob is read-only")):
            if shown is not None:
                monkeypatch.setenv("SHIFTWATCH_TOKEN", shown)
            status, _, fault = verb(house, "silence", "--until", "2h")
            assert (status, told in fault) == (70, True), fault
        monkeypatch.setenv("SHIFTWATCH_TOKEN", token)
        status, said, fault = verb(house, "silence", "release", "--until", "2h", "--by", "mallory")
        assert status == 0, fault
        assert "by alice: release" in said, "the token says who, not the one who asks"
        wait_for(lambda: SILENT in asked(daemon, "/metrics", token))
    with running(house) as daemon:
        assert SILENT in asked(daemon, "/metrics", token), "from the first scrape on"
        (kept,) = json.loads(asked(daemon, PATH, token))["annotations"]
        assert (kept["by"], kept["in_force"]) == ("alice", True)
        assert verb(house, "silence", "--end", str(kept["id"]), "--by", "mallory")[0] == 0
        assert SILENT not in asked(daemon, "/metrics", token)
        status, _, fault = verb(house, "silence", "--end", str(kept["id"]))
        assert (status, "has ended already, by alice" in fault) == (2, True), fault
    lines = [json.loads(text) for text in (house / "log.txt").read_text().splitlines()]
    events = {line["event"]: line for line in lines}
    assert events["annotated"]["by"] == events["annotation ended"]["ended_by"] == "alice"


@pytest.mark.slow
def test_without_tokens_a_running_daemon_takes_the_name_of_who_types(house: Path) -> None:
    configured(house)
    with running(house) as daemon:
        assert "by carol: sale" in verb(house, "annotate", "sale", "--by", "carol")[1]
        assert verb(house, "annotate", "--end", "1", "--by", "dave")[0] == 0
        (kept,) = json.loads(asked(daemon, PATH, ""))["annotations"]
        assert (kept["by"], kept["ended_by"]) == ("carol", "dave")
