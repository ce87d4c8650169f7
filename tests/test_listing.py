"""Listing a folder: what is data, what is not, and what happens while others write."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from shiftwatch.errors import DataError
from shiftwatch.source.listing import list_folder, walk_folder
from shiftwatch.values import Listed


def put(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def names(folder: Path) -> list[str]:
    return [os.path.relpath(listed.uri, folder) for listed in list_folder(str(folder))]


def test_only_parquet_endings_in_any_case_are_listed_sorted_by_path(tmp_path: Path) -> None:
    for name in ("b.parquet", "a.PARQ", "deep/er/c.Pq", "d.csv", "e.parquet.tmp", "f.parquet.crc"):
        put(tmp_path / name)
    assert names(tmp_path) == ["a.PARQ", "b.parquet", "deep/er/c.Pq"]


@pytest.mark.parametrize(
    "name", [".x.parquet", "_x.parquet", "_temporary/0/x.parquet", ".git/x.parquet", "a/_b/x.pq"]
)
def test_names_that_begin_with_a_dot_or_underscore_are_left_out(tmp_path: Path, name: str) -> None:
    put(tmp_path / name)
    assert names(tmp_path) == []


def test_a_listed_file_carries_its_size_and_time(tmp_path: Path) -> None:
    path = put(tmp_path / "a.parquet", b"12345")
    os.utime(path, ns=(7, 1_700_000_000_123_456_789))
    (listed,) = list_folder(str(tmp_path))
    assert listed == Listed(str(path), 5, 1_700_000_000_123_456_789)


def test_a_single_file_lists_itself_whatever_its_name(tmp_path: Path) -> None:
    path = put(tmp_path / "_reference.data", b"123")
    assert [(each.uri, each.size) for each in list_folder(str(path))] == [(str(path), 3)]


def test_a_trailing_slash_changes_no_name(tmp_path: Path) -> None:
    put(tmp_path / "a.parquet")
    assert list_folder(f"{tmp_path}/") == list_folder(str(tmp_path))


def test_a_missing_folder_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        list_folder(str(tmp_path / "absent"))
    assert str(caught.value) == (
        f"{tmp_path}/absent: no such file or folder "
        "(check the path; a folder must exist before the first batch arrives)"
    )


def test_a_path_through_a_file_is_an_error_too(tmp_path: Path) -> None:
    put(tmp_path / "file")
    with pytest.raises(DataError, match="cannot be listed: not a directory"):
        list_folder(str(tmp_path / "file" / "x.parquet"))


def test_links_that_leave_the_folder_are_not_followed(tmp_path: Path) -> None:
    put(tmp_path / "outside" / "secret.parquet")
    put(tmp_path / "outside-file.parquet")
    inside = tmp_path / "inside"
    put(inside / "a.parquet")
    (inside / "folder").symlink_to(tmp_path / "outside")
    (inside / "file.parquet").symlink_to(tmp_path / "outside-file.parquet")
    (inside / "sibling.parquet").symlink_to(tmp_path / "inside-not.parquet")
    put(tmp_path / "inside-not.parquet")  # the folder's name is only a prefix of this
    assert names(inside) == ["a.parquet"]


def test_what_could_be_a_batch_and_is_left_out_is_named_with_a_reason(tmp_path: Path) -> None:
    put(tmp_path / "outside.parquet")
    inside = tmp_path / "inside"
    put(inside / "a.parquet")
    (inside / "folder").symlink_to(tmp_path)
    (inside / "file.parquet").symlink_to(tmp_path / "outside.parquet")
    (inside / "notes.txt").symlink_to(tmp_path / "outside.parquet")
    (inside / "circle.parquet").symlink_to(inside / "circle.parquet")
    os.mkfifo(inside / "pipe.parquet")
    (inside / os.fsdecode(b"\xff.parquet")).write_bytes(b"x")
    found = {os.path.relpath(e.uri, inside): e for e in walk_folder(str(inside)).left_out}
    assert {name: entry.reason for name, entry in found.items()} == {
        "circle.parquet": "outside",
        "file.parquet": "outside",
        "folder": "outside",
        "pipe.parquet": "not_a_file",
        "\\xff.parquet": "not_a_file",
    }
    assert all(entry.fault for entry in found.values())


def test_links_that_stay_inside_are_followed_and_never_in_circles(tmp_path: Path) -> None:
    put(tmp_path / ".data" / "a.parquet")
    (tmp_path / "a.parquet").symlink_to(tmp_path / ".data" / "a.parquet")
    put(tmp_path / "real" / "b.parquet")
    (tmp_path / "alias").symlink_to(tmp_path / "real")
    (tmp_path / "current").symlink_to(tmp_path / ".data")
    (tmp_path / "real" / "up").symlink_to(tmp_path)
    assert names(tmp_path) == ["a.parquet", "current/a.parquet", "real/b.parquet"]


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    put(tmp_path / "real" / "a.parquet")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert [each.uri for each in list_folder(str(tmp_path / "link"))] == [
        str(tmp_path / "link" / "a.parquet")
    ]


def test_links_in_a_circle_are_left_out_and_the_rest_is_listed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path / "a.parquet")
    put(tmp_path / "z" / "b.parquet")
    for name in ("loop", "loop.parquet", "z/loop.pq"):
        (tmp_path / name).symlink_to(tmp_path / name)
    (tmp_path / "ping").symlink_to("pong")
    (tmp_path / "pong").symlink_to("ping")
    assert names(tmp_path) == ["a.parquet", "z/b.parquet"]
    assert f"'{tmp_path}/loop.parquet' is left out: Too many levels" in caplog.text
    assert len(list_folder(str(tmp_path), complete=True)) == 2


@pytest.fixture
def unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder below ``tmp_path`` that may not be read, also by root."""
    put(tmp_path / "a.parquet")
    put(tmp_path / "locked" / "b.parquet")
    path, scandir = str(tmp_path / "locked"), os.scandir

    def refuse(folder: str) -> object:
        if folder == path:
            raise PermissionError(errno.EACCES, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    return path


def test_a_folder_below_that_may_not_be_read_is_left_out_with_a_warning(
    tmp_path: Path, unreadable: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert names(tmp_path) == ["a.parquet"]
    assert f"'{unreadable}' is left out: Permission denied" in caplog.text
    (left_out,) = walk_folder(str(tmp_path)).left_out
    assert (left_out.uri, left_out.reason) == (unreadable, "refused")


def test_a_listing_that_must_be_complete_or_of_that_very_folder_is_an_error(
    tmp_path: Path, unreadable: str
) -> None:
    message = "cannot be listed: permission denied"
    with pytest.raises(DataError, match=f"{unreadable}: {message}"):
        list_folder(str(tmp_path), complete=True)
    with pytest.raises(DataError, match=f"{unreadable}: {message}"):
        list_folder(unreadable)


def test_what_is_no_regular_file_is_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.parquet")  # opening it would wait for ever
    (tmp_path / "dangling.parquet").symlink_to(tmp_path / "gone.parquet")
    assert names(tmp_path) == []


def test_a_folder_named_like_a_file_is_walked(tmp_path: Path) -> None:
    put(tmp_path / "table.parquet" / "part-0.parquet")
    assert names(tmp_path) == ["table.parquet/part-0.parquet"]


def test_a_name_that_is_no_text_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / os.fsdecode(b"\xff.parquet")).write_bytes(b"x")
    with caplog.at_level(logging.WARNING):
        assert names(tmp_path) == []
    assert "not valid UTF-8" in caplog.text


def test_files_and_folders_that_vanish_during_the_walk_are_no_error(tmp_path: Path) -> None:
    put(tmp_path / "stays.parquet")
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            for index in range(20):
                put(tmp_path / f"d{index}" / "x.parquet")
            for index in range(20):
                (tmp_path / f"d{index}" / "x.parquet").unlink()
                (tmp_path / f"d{index}").rmdir()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(200):
            assert "stays.parquet" in names(tmp_path)
    finally:
        stop.set()
        thread.join()


def test_listing_and_planning_import_nothing_heavy() -> None:
    code = (
        "import sys, shiftwatch.source.listing, shiftwatch.source.plan;"
        "print([m for m in ('numpy', 'pyarrow', 'scipy', 'onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
