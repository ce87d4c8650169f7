"""What no module of the package may do, and what a whole run leaves behind: nothing, nowhere."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shiftwatch.demo import MODEL_PATH
from shiftwatch.demo.generator import write_batch, write_reference
from tests.test_repository import FILES, module_name, nodes, where

# Reading them can run what they hold.
UNSAFE_TO_READ = {
    *("pickle", "_pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"),
    *("multiprocessing.managers", "multiprocessing.shared_memory", "ctypes.util", "xmlrpc", "imp"),
}
# A pickle each, between a parent and its own child: see the card of the worker.
SPEAKERS = {"shiftwatch.worker", "shiftwatch.child"}
UNSAFE_CALLS = {
    *("eval", "exec", "compile", "__import__", "input", "breakpoint"),
    *("os.system", "os.popen", "pty.spawn", "yaml.load", "yaml.unsafe_load", "yaml.full_load"),
    *("np.load", "numpy.load", "tempfile.mktemp", "onnx.load", "importlib.import_module"),
}
# Operators from a library that a model or a setting could name would run with our rights.
UNSAFE_NAMES = {"register_custom_ops_library", "allow_pickle", "load_library", "trust_env"}
# One place asks another process by HTTP: `shiftwatch accept` its own daemon.
ASKERS: dict[str, set[str]] = {
    "urllib.request": {"shiftwatch.verbs.asking"},
    "http.client": {"shiftwatch.inbox.tee"},  # to the address of `payloads.forward_to`
}
NETWORK = {"requests", "httpx", "aiohttp", "ftplib", "smtplib", "telnetlib"}


def imports(path: Path) -> Iterator[tuple[ast.AST, str]]:
    for node in nodes(path):
        match node:
            case ast.Import():
                yield from ((node, alias.name) for alias in node.names)
            case ast.ImportFrom(module=str(module)):
                yield node, module
                yield from ((node, f"{module}.{alias.name}") for alias in node.names)


def test_nothing_that_can_carry_code_is_read() -> None:
    faults = [
        where(path, node)
        for path in FILES
        for node, name in imports(path)
        if name in UNSAFE_TO_READ
        or (name.startswith("multiprocessing") and module_name(path) not in SPEAKERS)
    ]
    assert faults == []


def test_no_text_is_run_and_no_shell_is_asked() -> None:
    faults = []
    for path in FILES:
        for node in nodes(path):
            if not isinstance(node, ast.Call):
                continue
            options = {word.arg for word in node.keywords if word.arg}
            if ast.unparse(node.func) in UNSAFE_CALLS or "shell" in options:
                faults.append(where(path, node))
            if options & UNSAFE_NAMES or getattr(node.func, "attr", "") in UNSAFE_NAMES:
                faults.append(where(path, node))
    assert faults == []


def test_only_what_was_told_an_address_opens_a_connection() -> None:
    faults = [
        where(path, node)
        for path in FILES
        for node, name in imports(path)
        if name in NETWORK or module_name(path) not in ASKERS.get(name, {module_name(path)})
    ]
    assert faults == []


CONFIG = """\
models:
  - name: churn
    model: model.onnx
    reference: reference.parquet
    batches: batches/
    columns: {time: event_time, label: churned}
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    folder = tmp_path / "house"
    (folder / "batches").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(Path(MODEL_PATH).read_bytes())
    (folder / "shiftwatch.yml").write_text(CONFIG, encoding="utf-8")
    write_reference(folder / "reference.parquet", 1000)
    write_batch(folder / "batches" / "0.parquet", 0, 300, seed=5)
    return folder


RUNS = {
    "once": ["once", "shiftwatch.yml"],
    "check": ["check", "shiftwatch.yml"],
    "compare": ["compare", "reference.parquet", "batches", "--model", "model.onnx"],
    "demo": ["demo", "--batches", "3", "--exit", "--pace", "0", "--listen", "127.0.0.1:0"],
}


@pytest.mark.slow  # every system call of a whole run is looked at
@pytest.mark.parametrize("verb", RUNS)
def test_a_run_speaks_to_nobody_outside_and_leaves_home_empty(
    house: Path, tmp_path: Path, system: Callable[[str], str], verb: str
) -> None:
    home, trace = tmp_path / "home", tmp_path / "trace"
    home.mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("XDG_")}
    environment |= {"HOME": str(home)}
    for name in ("CI", "ORT_DISABLE_TELEMETRY"):  # a library may keep quiet where they are set
        environment.pop(name, None)
    calls = "connect,sendto,sendmsg,sendmmsg,bind"
    strace = [system("strace"), "-f", "--seccomp-bpf", "-qq", "-e", f"trace={calls}"]
    command = [*strace, "-o", str(trace), sys.executable, "-m", "shiftwatch", *RUNS[verb]]
    done = subprocess.run(
        command, cwd=house, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert list(home.iterdir()) == []
    told = trace.read_text(encoding="utf-8", errors="replace")
    assert addresses(told) <= {"127.0.0.1", "::1"}
    assert verb != "demo" or addresses(told) == {"127.0.0.1"}, "the trace sees the port it binds"


def addresses(trace: str) -> set[str]:
    """Every internet address that a call of the trace names."""
    return {
        *re.findall(r'inet_addr\("([^"]+)"\)', trace),
        *re.findall(r'inet_pton\(AF_INET6, "([^"]+)"', trace),
    }


def test_the_addresses_of_a_trace_are_found() -> None:
    four = '7 connect(3, {sa_family=AF_INET, sin_addr=inet_addr("192.0.2.7")}, 16) = 0'
    six = '7 sendto(3, {sa_family=AF_INET6, inet_pton(AF_INET6, "2001:db8::1", &sin6_addr)}) = 1'
    assert addresses(f"{four}\n{six}\n") == {"192.0.2.7", "2001:db8::1"}
