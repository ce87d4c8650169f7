"""Rules of the repository that no other tool watches."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import shiftwatch

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "shiftwatch"
FILES = sorted(PACKAGE.rglob("*.py"))
LOCKS = sorted([*ROOT.glob("*.lock"), *ROOT.glob(".ci/*.lock")])

HEAVY = {"numpy", "scipy", "pyarrow", "onnxruntime", "sklearn", "skl2onnx", "pandas"}

# Modules that live in the worker, or make the demo's data. All others are light, a new one too.
HEAVY_ROOMS = (
    "cache",
    "check",
    "conclude",
    "demo",
    "dependence",
    "derive",
    "evaluate",
    "examples",
    "fetch",
    "inflation",
    "memory",
    "model",
    "performance",
    "phases",
    "power",
    "profile",
    "reference",
    "sample",
    "season",
    "source",
    "summary",
    "survey",
    "twosample",
    "whole",
    "watch",
    "windows",
)
# Of these rooms the daemon uses what lists and plans.
LIGHT_FILES = {
    "shiftwatch.demo",
    "shiftwatch.source",
    "shiftwatch.source.listing",
    "shiftwatch.source.plan",
}

TOP_LEVEL = {
    *("pyproject.toml", "shiftwatch", "config", "deploy", "tests", "Dockerfile", "README.md"),
    *("Makefile", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "benchmarks"),
    *("requirements.lock", "requirements-build.lock", "requirements-dev.lock"),
    "requirements-ray.lock",
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path)))


def where(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def tool(name: str) -> str:
    """Path of a program of the development lock: beside this Python, or on PATH."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    found = shutil.which(name, path=path)
    assert found is not None, f"{name} is in requirements-dev.lock and not installed"
    return found


def pins(lock: Path) -> set[str]:
    """Lines such as ``numpy==2.4.6 ; python_full_version < '3.12'``."""
    return set(re.findall(r"^(\S+==[^\\\n]*?) \\$", lock.read_text(), flags=re.MULTILINE))


def tracked() -> list[Path]:
    """Files git holds or would hold, in a work tree; all that is not hidden, elsewhere."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        return [path.relative_to(ROOT) for path in ROOT.iterdir() if path.name[0] != "."]
    return [Path(line) for line in answer.stdout.splitlines() if (ROOT / line).exists()]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_names_no_host_and_hashes_every_package(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert not re.search(r"^--|@", text, flags=re.MULTILINE)
    entries = re.split(r"^(?=\S)", text, flags=re.MULTILINE)[1:]
    assert entries
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_what_runs_and_what_builds_is_part_of_what_is_tested() -> None:
    tested = pins(ROOT / "requirements-dev.lock")
    for lock in ("requirements.lock", "requirements-build.lock"):
        # What one system needs to run may be needed on all of them to test.
        missing = {
            pin for pin in pins(ROOT / lock) - tested if pin.partition(" ;")[0] not in tested
        }
        assert missing == set()


def test_the_locks_hold_every_dependency_that_is_declared() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    locks = {
        "requirements.lock": declared["project"]["dependencies"],
        "requirements-build.lock": declared["build-system"]["requires"],
        "requirements-dev.lock": declared["dependency-groups"]["dev"],
    }
    for lock, wanted in locks.items():
        held = {pin.partition("==")[0] for pin in pins(ROOT / lock)}
        names = {re.split(r"[<>=!~ \[]", line)[0].lower().replace("_", "-") for line in wanted}
        assert names <= held, lock


def test_the_bill_of_materials_lists_the_runtime_lock_and_nothing_else() -> None:
    command = [sys.executable, str(ROOT / ".ci" / "sbom.py")]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    bill = json.loads(told)
    listed = [f"{part['name']}=={part['version']}" for part in bill["components"]]
    assert set(listed) == {pin.partition(" ;")[0] for pin in pins(ROOT / "requirements.lock")}
    assert len(listed) == len(set(listed)) > 30
    hashes = re.findall(r"--hash=sha256:(\w+)", (ROOT / "requirements.lock").read_text())
    assert re.findall(r'"value": "([0-9a-f]{64})"', told) == hashes
    direct = {ref.partition("@")[0] for ref in bill["dependencies"][0]["dependsOn"]}
    assert {"pkg:pypi/numpy", "pkg:pypi/fastapi", "pkg:pypi/pyyaml"} <= direct
    assert "://" not in told


def test_the_version_is_said_once_in_meaning() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert declared == shiftwatch.__version__


def test_the_top_level_holds_only_what_was_decided() -> None:
    names = {path.parts[0] for path in tracked()}
    assert {name for name in names if name[0] != "."} - TOP_LEVEL == set()


def test_the_licence_is_the_whole_apache_licence() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert len(text.splitlines()) == 202


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_every_module_opens_with_its_card(path: Path) -> None:
    card = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    # The top of the package is the door, not a room; an empty façade has nothing to say.
    if path == PACKAGE / "__init__.py":
        assert card.startswith("shiftwatch: ")
        return
    first, *rest = card.splitlines()
    assert first.endswith((".", ":"))
    starts = [line.split(":")[0] for line in rest if re.match(r"(In|Out|Never): ", line)]
    assert starts == ["In", "Out", "Never"]


def test_the_package_asserts_nothing_and_prints_only_at_the_terminal() -> None:
    talkers = {"shiftwatch.cli", "shiftwatch.demo"}
    faults = []
    for path in FILES:
        may_print = any(module_name(path).startswith(talker) for talker in talkers)
        for node in nodes(path):
            match node:
                case ast.Assert():
                    faults.append(where(path, node))
                case ast.Call(func=ast.Name(id="print")) if not may_print:
                    faults.append(where(path, node))
    assert faults == []


def is_broad(handler: ast.ExceptHandler) -> bool:
    """Whether it catches everything and keeps it; what ends in a bare raise only tidies up."""
    match handler.body[-1]:
        case ast.Raise(exc=None):
            return False
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(
        kind is None or (isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"})
        for kind in caught
    )


def test_at_most_two_places_keep_every_exception_and_contributing_names_them() -> None:
    handlers = [
        (path, node)
        for path in FILES
        for node in nodes(path)
        if isinstance(node, ast.ExceptHandler) and is_broad(node)
    ]
    assert len(handlers) <= 2, [where(path, node) for path, node in handlers]
    rules = (ROOT / "CONTRIBUTING.md").read_text()
    assert [str(path.relative_to(ROOT)) for path, _ in handlers if path.name not in rules] == []


def test_scipy_stats_stays_out_of_the_package() -> None:
    def names(node: ast.AST) -> list[str]:
        match node:
            case ast.Import():
                return [alias.name for alias in node.names]
            case ast.ImportFrom(module=str(module)):
                return [f"{module}.{alias.name}" for alias in node.names]
        return []

    imported = {name for path in FILES for node in nodes(path) for name in names(node)}
    from_scipy = {name for name in imported if name.split(".")[0] == "scipy"}
    assert {name for name in from_scipy if not name.startswith("scipy.special")} == set()


def test_the_import_contracts_hold() -> None:
    answer = subprocess.run(
        [tool("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout


@pytest.mark.slow
def test_the_import_contracts_refuse_what_they_forbid(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "shiftwatch")
    shutil.copy(ROOT / ".importlinter", tmp_path)
    planted = {
        "decide/latch.py": "import time",
        "twosample/ks.py": "from shiftwatch.twosample import mmd",
        "evaluate.py": "from shiftwatch import store",
        "source/listing.py": "from shiftwatch import metrics",
        "values.py": "import pathlib",
        "worker.py": "import numpy",
        "web/board.py": "import sqlite3",
    }
    for name, line in planted.items():
        path = tmp_path / "shiftwatch" / name
        path.write_text(f"{path.read_text()}\n{line}\n")
    (tmp_path / "shiftwatch" / "unlisted.py").touch()
    answer = subprocess.run(
        [tool("lint-imports"), "--no-cache"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    for told in (
        "shiftwatch.decide.latch -> time",
        "shiftwatch.twosample.ks -> shiftwatch.twosample.mmd",
        "shiftwatch.evaluate -> shiftwatch.store",
        "shiftwatch.source.listing -> shiftwatch.metrics",
        "shiftwatch.values -> pathlib",
        "shiftwatch.worker -> numpy",
        "shiftwatch.web.board -> sqlite3",
        "- shiftwatch.unlisted",
    ):
        assert told in answer.stdout


def light_modules() -> list[str]:
    names = [module_name(path) for path in FILES]
    rooms = tuple(f"shiftwatch.{room}" for room in HEAVY_ROOMS)
    return [
        name
        for name in names
        if name in LIGHT_FILES
        or not any(name == room or name.startswith(f"{room}.") for room in rooms)
        if not name.endswith("__main__")
    ]


def test_only_the_worker_loads_heavy_libraries() -> None:
    code = f"""
import importlib, json, sys
found = {{}}
for name in {light_modules()!r}:
    importlib.import_module(name)
    new = sorted({HEAVY!r} & sys.modules.keys())
    if new and not found:
        found[name] = new
print(json.dumps(found))
"""
    command = [sys.executable, "-W", "error", "-c", code]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout) == {}


def test_asking_for_help_loads_nothing_heavy() -> None:
    assert importlib.util.find_spec("shiftwatch.__main__") is not None
    command = [sys.executable, "-X", "importtime", "-m", "shiftwatch", "--help"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {
        line.rpartition("|")[2].strip().split(".")[0]
        for line in answer.stderr.splitlines()
        if line.startswith("import time:")
    }
    assert "shiftwatch" in loaded
    assert loaded & (HEAVY | {"fastapi", "apscheduler", "jinja2"}) == set()


def test_no_file_names_a_place_on_the_machine_it_was_written_on() -> None:
    faults = [
        str(name)
        for name in tracked()
        if name.suffix in {".py", ".md", ".yml", ".yaml", ".toml", ""}
        and (ROOT / name).is_file()
        and re.search(r"(?<![\w.])/(work|home|root)/", (ROOT / name).read_text(errors="replace"))
        and name != Path("tests/test_repository.py")
    ]
    assert faults == []


@pytest.mark.parametrize("name", ["run", "build-image"])
def test_scripts_pass_their_linter(name: str) -> None:
    script = ROOT / ".ci" / name
    answer = subprocess.run(
        [tool("shellcheck"), str(script)], capture_output=True, text=True, check=False
    )
    assert (answer.returncode, answer.stdout) == (0, "")
    assert os.access(script, os.X_OK)


def test_every_verb_of_the_makefile_is_listed_by_help() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", text, flags=re.MULTILINE)
    assert phony is not None
    answer = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = {line.split()[1] for line in answer.stdout.splitlines() if line.startswith("make ")}
    assert listed == set(phony[1].split())
    assert {"demo", "test", "check", "bench", "calibrate", "image", "help"} <= listed


def test_the_generated_parts_of_the_readme_are_what_the_code_says() -> None:
    """`make docs` writes them anew."""
    command = [sys.executable, str(ROOT / ".ci" / "readme.py"), "--check"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0
