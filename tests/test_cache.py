"""Prepared references on disk: what was written, or nothing, whatever happens."""

from __future__ import annotations

import json
import logging
import mmap
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.typing import NDArray

from shiftwatch import cache
from shiftwatch.errors import DataError

ARRAYS: dict[str, NDArray[Any]] = {
    "floats": np.array([1.5, -0.0, np.inf, np.nan]),
    "codes": np.arange(6, dtype=np.int32).reshape(2, 3),
    "mask": np.array([True, False, True]),
    "scalar": np.array(7, dtype=np.int64),
    "nothing": np.zeros((0, 3)),
    "columns first": np.arange(6.0).reshape(2, 3).T,
}
FACTS = {"rows": 3, "names": ["a", "b"], "nested": {"x": None, "y": 0.1}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "model" / "abc"


def contents(folder: Path) -> Path:
    (found,) = folder.glob("*.bin")
    return found


def test_what_is_written_is_read_back(folder: Path) -> None:
    cache.write(folder, ARRAYS, FACTS)
    found = cache.read(folder, verify=True)
    assert found is not None
    arrays, facts = found
    assert facts == FACTS
    assert list(arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert (arrays[name].dtype, arrays[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(arrays[name], array)


def test_arrays_are_mapped_read_only_and_aligned(folder: Path) -> None:
    cache.write(folder, ARRAYS, FACTS)
    found = cache.read(folder)
    assert found is not None
    for array in found[0].values():
        assert not array.flags.writeable
        assert array.ctypes.data % cache.ALIGNMENT == 0
        assert type(array) is np.ndarray
        owner: Any = array
        while isinstance(owner, np.ndarray) and owner.base is not None:
            owner = owner.base
        assert isinstance(owner.obj if isinstance(owner, memoryview) else owner, mmap.mmap)


def _mapped_bytes(folder: Path) -> int:
    """Bytes of files below the folder that this process has mapped."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    ranges = [line.split()[0].split("-") for line in lines if str(folder) in line]
    return sum(int(end, 16) - int(start, 16) for start, end in ranges)


def test_a_large_array_is_mapped_while_it_is_used_and_the_file_as_long_as_the_arrays(
    folder: Path,
) -> None:
    cache.write(folder, {"large": np.arange(1_000_000.0), "small": np.arange(3.0)}, {})
    found = cache.read(folder)
    assert found is not None
    arrays = found[0]
    before = _mapped_bytes(folder)
    view = arrays["large"][10:20]
    assert _mapped_bytes(folder) >= before + 8_000_000
    shutil.rmtree(folder)  # as when another reference takes its place
    assert view.tolist() == list(range(10, 20))
    del view
    assert _mapped_bytes(folder) == before
    assert arrays["small"].tolist() == [0, 1, 2]
    assert float(arrays["large"].sum()) == 499_999_500_000
    handles = len(list(Path("/proc/self/fd").iterdir()))
    del arrays, found
    assert len(list(Path("/proc/self/fd").iterdir())) < handles


@given(
    array=st.sampled_from(["<f8", ">f8", "<f4", "<i8", ">i2", "|u1", "|b1", "<c16"]).flatmap(
        lambda dtype: st_numpy.arrays(dtype, st_numpy.array_shapes(min_dims=0, min_side=0))
    )
)
def test_any_numbers_come_back_bit_for_bit_in_little_endian(
    tmp_path_factory: pytest.TempPathFactory, array: NDArray[Any]
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    cache.write(folder, {"before": np.ones(1, np.uint8), "x": array}, {})
    found = cache.read(folder, verify=True)
    assert found is not None
    assert found[0]["x"].dtype.str in (array.dtype.newbyteorder("<").str, "|u1", "|b1")
    assert found[0]["x"].tobytes() == array.astype(array.dtype.newbyteorder("<")).tobytes()
    assert found[0]["x"].shape == array.shape


def test_nothing_at_all_can_be_kept(folder: Path) -> None:
    cache.write(folder, {}, {})
    assert cache.read(folder, verify=True) == ({}, {})


def test_what_was_never_written_is_none(folder: Path) -> None:
    assert cache.read(folder) is None


@pytest.mark.parametrize(
    "array", [np.array([{}, 1], dtype=object), np.array(["a"]), np.zeros(1, dtype=[("x", "f8")])]
)
def test_only_numbers_are_kept_and_nothing_is_pickled(folder: Path, array: NDArray[Any]) -> None:
    with pytest.raises(DataError, match=r"array 'x' is of .*, not of numbers"):
        cache.write(folder, {"x": array}, {})
    assert not folder.exists()


def test_writing_again_replaces_and_leaves_no_rubbish(folder: Path) -> None:
    cache.write(folder, ARRAYS, FACTS)
    before = cache.read(folder)
    cache.write(folder, {"new": np.ones(3)}, {})
    found = cache.read(folder, verify=True)
    assert found is not None
    assert list(found[0]) == ["new"]
    assert len(list(folder.iterdir())) == 2
    assert before is not None
    np.testing.assert_array_equal(before[0]["floats"], ARRAYS["floats"])  # still mapped


def test_a_place_that_cannot_be_written_is_an_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError) as caught:
        cache.write(tmp_path / "file" / "abc", ARRAYS, FACTS)
    assert caught.value.hint == "the folder must be writable and the disk not full"
    assert cache.read(tmp_path / "file" / "abc") is None


def cut(folder: Path) -> None:
    os.truncate(contents(folder), 100)


def grow(folder: Path) -> None:
    with contents(folder).open("ab") as handle:
        handle.write(b"x")


def lose_arrays(folder: Path) -> None:
    contents(folder).unlink()


def change_index(folder: Path) -> None:
    path = folder / "index.json"
    path.write_bytes(path.read_bytes().replace(b"rows", b"Rows"))


def cut_index(folder: Path) -> None:
    os.truncate(folder / "index.json", 50)


def empty_index(folder: Path) -> None:
    (folder / "index.json").write_text("[]")


def binary_index(folder: Path) -> None:
    (folder / "index.json").write_bytes(b"\xff\xfe\x00")


DAMAGES = [cut, grow, lose_arrays, change_index, cut_index, empty_index, binary_index]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_what_is_damaged_is_set_aside_and_can_be_written_again(
    folder: Path, damage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):  # the second time something was set aside before
        cache.write(folder, ARRAYS, FACTS)
        damage(folder)
        with caplog.at_level(logging.WARNING):
            assert cache.read(folder) is None
        assert "is damaged" in caplog.text
        assert not folder.exists()
        assert (folder.parent / f"abc{cache.DAMAGED}").is_dir()
    cache.write(folder, ARRAYS, FACTS)
    assert cache.read(folder, verify=True) is not None


def test_a_flipped_bit_in_the_arrays_is_found_when_it_is_looked_for(folder: Path) -> None:
    cache.write(folder, ARRAYS, FACTS)
    content = bytearray(contents(folder).read_bytes())
    content[3] ^= 1
    contents(folder).write_bytes(content)
    assert cache.read(folder) is not None
    assert cache.read(folder, verify=True) is None


def test_an_index_that_points_outside_is_refused(folder: Path) -> None:
    cache.write(folder, {"x": np.zeros(8)}, {})
    index = json.loads((folder / "index.json").read_text())
    body = json.loads(index["body"])
    for dtype, shape, offset in (("<f8", [99], 0), ("<f8", [8], -64), ("|O", [8], 0)):
        body["arrays"] = [["x", dtype, shape, offset]]
        with pytest.raises(ValueError, match="does not lie within the file"):
            list(cache._places(64, body["arrays"]))


WRITE_AND_DIE = """
import os, signal, sys
from pathlib import Path
import numpy as np
from shiftwatch import cache

folder, left = Path(sys.argv[1]), int(sys.argv[2])
# Also import what write() imports late, so that only its own steps are counted.
cache.write(folder.with_name("warm"), {"x": np.zeros(1)}, {})

def step(event, args):
    global left
    if any(str(folder) in str(arg) for arg in args):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(step)
cache.write(folder, {"x": np.full(1000, 2.0)}, {"version": "new"})
"""


@pytest.mark.parametrize("replaces", [True, False])
def test_a_writer_killed_at_any_step_leaves_the_old_or_the_new(
    folder: Path, replaces: bool
) -> None:
    seen: list[str | None] = []
    for steps in range(40):
        if replaces:
            cache.write(folder, {"x": np.full(1000, 1.0)}, {"version": "old"})
        command = [sys.executable, "-c", WRITE_AND_DIE, str(folder), str(steps)]
        status = subprocess.run(command, check=False).returncode
        found = cache.read(folder, verify=True)
        seen.append(None if found is None else found[1]["version"])
        if found is not None:
            assert found[0]["x"].tolist() == [2.0 if seen[-1] == "new" else 1.0] * 1000
        if status == 0:
            break
        assert status == -signal.SIGKILL
        if not replaces:
            cache.evict(folder.parent, ())
    before = "old" if replaces else None
    switch = seen.index("new")
    assert switch >= 3
    assert seen == [before] * switch + ["new"] * (len(seen) - switch)
    assert status == 0
    assert sorted(path.suffix for path in folder.iterdir()) == [".bin", ".json"]


def test_two_writers_do_not_remove_what_the_other_writes(folder: Path) -> None:
    code = (
        "import sys, numpy as np; from pathlib import Path; from shiftwatch import cache\n"
        "for i in range(30): cache.write(Path(sys.argv[1]), {'x': np.full(5000, i)}, {'i': i})"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(folder)]) for _ in range(2)]
    while any(writer.poll() is None for writer in writers):
        found = cache.read(folder, verify=True)
        if found is not None:
            assert set(found[0]["x"].tolist()) == {found[1]["i"]}
    assert [writer.returncode for writer in writers] == [0, 0]
    assert not list(folder.parent.glob(f"*{cache.DAMAGED}"))


def test_a_fingerprint_changes_with_every_part_and_not_with_their_order() -> None:
    base = {"reference": "a", "model": "b"}
    others = [{}, {"reference": "a"}, {**base, "model": "c"}, {"reference": "ab", "model": ""}]
    prints = [cache.fingerprint(each) for each in [base, *others]]
    assert len(set(prints)) == len(prints)
    assert cache.fingerprint({"model": "b", "reference": "a"}) == prints[0]
    assert all(len(each) == 32 and int(each, 16) >= 0 for each in prints)


def test_evicting_keeps_the_named_folders_and_plain_files(tmp_path: Path) -> None:
    for name in ("keep", "old", "old.damaged"):
        cache.write(tmp_path / name, ARRAYS, FACTS)
    (tmp_path / "note.txt").write_text("not ours")
    outside = tmp_path.with_name(f"{tmp_path.name}-outside")
    outside.mkdir()
    (tmp_path / "link").symlink_to(outside)
    cache.evict(tmp_path, keep=("keep",))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keep", "link", "note.txt"]
    assert outside.is_dir()
    cache.evict(tmp_path / "absent", keep=())
