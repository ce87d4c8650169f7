"""Joules: from a made-up tree of counters, and without one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shiftwatch import energy, price
from shiftwatch.energy import WATTS_PER_BUSY_CORE, Reading, estimated, read, spent

TICKS = os.sysconf("SC_CLK_TCK")


def _counter(root: Path, folder: str, name: str, microjoules: int, most: int = 10**12) -> Path:
    place = root / "sys/class/powercap" / folder
    place.mkdir(parents=True, exist_ok=True)
    (place / "name").write_text(f"{name}\n")
    (place / "energy_uj").write_text(f"{microjoules}\n")
    (place / "max_energy_range_uj").write_text(f"{most}\n")
    return place


def _machine(root: Path, busy_seconds: float, idle_seconds: float = 0.0) -> None:
    """User, nice, system, idle, iowait, irq, softirq, steal, guest, guest nice."""
    (root / "proc").mkdir(exist_ok=True)
    user, idle = round(busy_seconds * TICKS), round(idle_seconds * TICKS)
    (root / "proc/stat").write_text(f"cpu  {user} 0 0 {idle} 7 0 0 9 5 0\ncpu0 1 1 1 1\n")


def test_ours_is_the_share_of_our_cpu_time_in_what_the_packages_drew(tmp_path: Path) -> None:
    for socket in (0, 1):
        _counter(tmp_path, f"intel-rapl:{socket}", f"package-{socket}", 1_000_000)
    _machine(tmp_path, 100.0)
    before = read(tmp_path)
    for socket in (0, 1):
        _counter(tmp_path, f"intel-rapl:{socket}", f"package-{socket}", 21_000_000)
    _machine(tmp_path, 104.0, idle_seconds=50.0)
    found = spent(before, read(tmp_path), 1.0)
    assert found.source == "rapl"
    assert found.joules == pytest.approx(40.0 / 4)


def test_parts_of_a_package_and_the_whole_board_are_not_counted_twice(tmp_path: Path) -> None:
    _counter(tmp_path, "intel-rapl:0", "package-0", 5)
    _counter(tmp_path, "intel-rapl:0:0", "core", 5)
    _counter(tmp_path, "intel-rapl:0:1", "dram", 5)
    _counter(tmp_path, "intel-rapl:1", "psys", 5)
    (tmp_path / "sys/class/powercap/intel-rapl").mkdir()
    _machine(tmp_path, 1.0)
    assert list(read(tmp_path).packages) == ["intel-rapl:0"]


def test_a_counter_that_began_anew_is_carried_over(tmp_path: Path) -> None:
    most = 262_143_328_850
    _counter(tmp_path, "intel-rapl:0", "package-0", most - 3_000_000, most)
    _machine(tmp_path, 10.0)
    before = read(tmp_path)
    _counter(tmp_path, "intel-rapl:0", "package-0", 2_000_000, most)
    _machine(tmp_path, 11.0)
    assert spent(before, read(tmp_path), 1.0).joules == pytest.approx(5.0)


def test_our_share_is_never_more_than_all(tmp_path: Path) -> None:
    """A short check ends before the kernel has counted it."""
    _counter(tmp_path, "intel-rapl:0", "package-0", 0)
    _machine(tmp_path, 10.0)
    before = read(tmp_path)
    _counter(tmp_path, "intel-rapl:0", "package-0", 2_000_000)
    assert spent(before, read(tmp_path), 0.08).joules == pytest.approx(2.0)
    assert spent(before, read(tmp_path), 0.0).joules == 0.0


def test_without_counters_the_energy_is_estimated_and_says_so(tmp_path: Path) -> None:
    before = read(tmp_path)
    assert before == Reading()
    found = spent(before, read(tmp_path), 2.5)
    assert found == estimated(2.5)
    assert found.joules == pytest.approx(2.5 * WATTS_PER_BUSY_CORE)
    assert found.source == "estimate"


@pytest.mark.parametrize(
    "damage",
    ["unreadable", "nonsense", "no range", "no stat", "short stat"],
)
def test_counters_that_cannot_be_read_are_no_counters(tmp_path: Path, damage: str) -> None:
    place = _counter(tmp_path, "intel-rapl:0", "package-0", 5)
    _machine(tmp_path, 1.0)
    if damage == "unreadable":  # also for root: a folder in place of the file
        (place / "energy_uj").unlink()
        (place / "energy_uj").mkdir()
    elif damage == "nonsense":
        (place / "energy_uj").write_text("much\n")
    elif damage == "no range":
        (place / "max_energy_range_uj").unlink()
    elif damage == "no stat":
        (tmp_path / "proc/stat").unlink()
    else:
        (tmp_path / "proc/stat").write_text("cpu 1\n")
    assert read(tmp_path) == Reading()
    assert spent(read(tmp_path), read(tmp_path), 1.0).source == "estimate"


def test_a_package_that_comes_or_goes_makes_it_an_estimate(tmp_path: Path) -> None:
    _counter(tmp_path, "intel-rapl:0", "package-0", 5)
    _machine(tmp_path, 1.0)
    before = read(tmp_path)
    _counter(tmp_path, "intel-rapl:1", "package-1", 5)
    assert spent(before, read(tmp_path), 1.0).source == "estimate"
    assert spent(Reading(), before, 1.0).source == "estimate"


def test_this_machine_can_be_asked() -> None:
    assert spent(read(), read(), 0.5).source in price.ENERGY_SOURCES


def test_the_constant_is_the_mean_of_its_source_and_is_named_where_people_read_it() -> None:
    assert pytest.approx((3.50 + 4.26 + 3.76) / 3) == WATTS_PER_BUSY_CORE
    assert f"{WATTS_PER_BUSY_CORE:g} W" in price.ENERGY_SOURCES["estimate"]
    assert "Cloud Carbon Footprint" in price.ENERGY_SOURCES["estimate"]
    assert "SPECpower" in (energy.__doc__ or "") + price.ENERGY_SOURCES["estimate"]
