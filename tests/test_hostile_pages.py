"""Hostile names through a real daemon, with a twin that has innocent ones: two pages, one layout.

Columns, categories, the name of the batch's file, the model's metadata, inputs and outputs, and what
operators say. Every page is opened in Chromium without its content security policy, so that nothing
but the escaping stands between a name and what it wants.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import shiftwatch
from shiftwatch.report.phrase import cut, visible
from tests import onnx_models
from tests.browsing import Browser, browser
from tests.hostile_names import NAMES
from tests.schema import valid_report
from tests.test_daemon import Running, running, until
from tests.test_hostile_faces import CONTROL, Opened

pytestmark = pytest.mark.slow  # a daemon, a worker and a browser

_RUNS = "window.__owned=1"
FILE = f'"><img src=x onerror={_RUNS}>\n\u202e{{{{7*7}}}}`${{x}}`.parquet'
SIDES: Mapping[str, Mapping[str, str]] = {
    "hostile": NAMES,
    "innocent": {kind: f"name {number:02}" for number, kind in enumerate(NAMES)},
}
CONFIG = """\
models:
{models}schedule: {{every: 1s}}
web: {{listen: "127.0.0.1:0"}}
"""
_MODEL = """\
  - name: {name}
    reference: {side}/reference{kind}.parquet
    batches: {side}/batches{kind}/
    tests: {{ks: {{}}, chi2: {{}}}}
"""


def table(names: Mapping[str, str], seed: int, shift: float) -> pa.Table:
    """A column of numbers and one of categories for each name; all move with ``shift``."""
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {}
    categories = np.array(list(names.values()), dtype=object)
    for number, name in enumerate(names.values()):
        columns[name] = rng.normal(shift, 1.0, 300)
        first = 12 if shift else 0
        chosen = rng.integers(first, first + 6, 300)
        columns[f"{name}{number}"] = pa.array(categories[chosen], pa.string())
    return pa.table(columns)


def model(path: Path, one: str, other: str) -> None:
    """A model whose inputs, outputs, producer, documentation and metadata are the names."""
    shape: onnx_models.Dimensions = ["N", 1]
    onnx_models.echo(path, **{one: ("float", shape), other: ("float", shape)})
    made = onnx.load(path)
    made.producer_name = made.doc_string = made.graph.doc_string = one
    made.metadata_props.add(key=other, value=one)
    onnx.save(made, path)


def scored(names: Mapping[str, str], seed: int, shift: float) -> pa.Table:
    """What the model asks for."""
    rng = np.random.default_rng(seed)
    columns = (names["script"], names["double quote"])
    return pa.table({name: rng.normal(shift, 1, 300).astype(np.float32) for name in columns})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("twins")
    models = ""
    for side, names in SIDES.items():
        file = FILE if side == "hostile" else "batch.parquet"
        for kind, made in (("", table), ("-scored", scored)):
            (folder / side / f"batches{kind}").mkdir(parents=True)
            pq.write_table(made(names, 1, 0.0), folder / side / f"reference{kind}.parquet")
            pq.write_table(made(names, 2, 3.0), folder / side / f"batches{kind}" / file)
            models += _MODEL.format(name=side + kind, side=side, kind=kind)
        model(folder / side / "model.onnx", names["script"], names["double quote"])
        models += f"    model: {side}/model.onnx\n"
    (folder / "shiftwatch.yml").write_text(CONFIG.format(models=models), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def daemon(folder: Path) -> Iterator[Running]:
    with running(folder) as started:
        for side in SIDES:
            for kind in ("", "-scored"):
                until(lambda: _batches(started, side + kind))  # noqa: B023 - asked at once
        _annotate(started)
        yield started


def _batches(daemon: Running, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = daemon.json(f"/api/v1/models/{name}/batches")["batches"]
    return found


def _annotate(daemon: Running) -> None:
    """Say every name of the hostile model, and an innocent text of the other for each taken."""
    for kind, name in NAMES.items():
        for side, text in (("hostile", name), ("innocent", SIDES["innocent"][kind])):
            said = {"kind": "note", "text": text, "start": "2020-01-01"}
            status, _ = daemon.post(f"/api/v1/models/{side}/annotations", said)
            assert status < 500
            if status >= 400:
                break


def test_a_file_whose_name_is_no_text_is_left_out_and_said_without_steering(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "batches").mkdir()
    reference = folder / "innocent" / "reference.parquet"
    broken = os.fsencode(tmp_path / "batches") + b"/a\xff\x1b[31m<script>.parquet"
    shutil.copyfile(reference, broken)
    text = f"models: [{{name: m, reference: {reference}, batches: batches/}}]\n"
    (tmp_path / "shiftwatch.yml").write_text(text, encoding="utf-8")
    told = shown(tmp_path, "once", "shiftwatch.yml")
    assert "its name is not valid UTF-8" in told
    told = shown(tmp_path, "compare", str(reference), os.fsdecode(broken))
    assert "\\udcff\\x1b[31m" in told


def shown(folder: Path, *verb: str) -> str:
    """What a verb prints, which must not steer the terminal."""
    command = [sys.executable, "-m", "shiftwatch", *verb]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    told = (done.stdout + done.stderr).decode().replace("\r\n", "\n")
    assert done.returncode == 0, told[-2000:]
    assert not CONTROL.search(told)
    return told


def test_a_comparison_in_a_notebook_is_the_page_without_what_could_run(
    folder: Path, chromium: Browser, tmp_path: Path
) -> None:
    side = folder / "hostile"
    made = shiftwatch.compare(str(side / "reference.parquet"), str(side / "batches" / FILE))
    page = tmp_path / "cell.html"
    page.write_text(f"<!doctype html><body>{made._repr_html_()}", encoding="utf-8")
    opened = Opened(chromium)
    opened.elements(page.as_uri())
    assert not opened.is_owned()
    assert not opened.asked
    assert not any(frame.evaluate("window.__owned") for frame in opened.tab.frames)


@pytest.fixture(scope="module")
def chromium(system: Callable[[str], str]) -> Iterator[Browser]:
    with browser(system("chromium")) as shown:
        yield shown


PAGES = {
    "report": "/api/v1/models/{name}/report?format=html",
    "report of a model with predictions": "/api/v1/models/{name}-scored/report?format=html",
    "page of a model": "/models/{name}",
    "page of a model with predictions": "/models/{name}-scored",
}


@pytest.mark.parametrize("which", PAGES)
def test_a_page_has_the_elements_of_its_twin_and_runs_nothing(
    daemon: Running, chromium: Browser, which: str
) -> None:
    urls = {side: daemon.url + PAGES[which].format(name=side) for side in SIDES}
    try:
        daemon.get(PAGES[which].format(name="hostile"))
    except urllib.error.HTTPError as fault:
        fault.close()
        pytest.skip(f"no {which}")
    counts = {}
    for side, url in urls.items():
        opened = Opened(chromium, inside=daemon.url)
        counts[side] = opened.elements(url)
        assert not opened.is_owned()
        assert not opened.is_wider(), side
        assert not opened.asked
        assert not CONTROL.search(opened.tab.inner_text("body").replace("\t", " "))
    assert counts["hostile"] == counts["innocent"]


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_of_all_models_runs_nothing_and_stays_in_its_window(
    daemon: Running, chromium: Browser, path: str
) -> None:
    opened = Opened(chromium, inside=daemon.url)
    found = opened.elements(daemon.url + path)
    assert found["h1"] == 1
    assert found["img"] + found["iframe"] + found["base"] + found["b"] * (path == "/") < 1
    assert not opened.is_owned()
    assert not opened.is_wider()
    assert not opened.asked


def test_the_report_shows_every_name_as_it_is_written(daemon: Running, chromium: Browser) -> None:
    opened = Opened(chromium, inside=daemon.url)
    opened.elements(daemon.url + PAGES["report"].format(name="hostile"))
    text = " ".join(opened.tab.evaluate("document.body.textContent").split())
    absent = [
        kind
        for kind, name in NAMES.items()
        if " ".join(cut(visible(name)).split("…")[0].split()) not in text
    ]
    assert absent == []


@pytest.mark.parametrize("form", ["markdown", "csv"])
def test_a_report_as_text_has_no_character_that_steers(daemon: Running, form: str) -> None:
    text = daemon.get(f"/api/v1/models/hostile/report?format={form}").replace("\r\n", "\n")
    assert not CONTROL.search(text)


def test_the_document_gives_every_name_back(daemon: Running) -> None:
    document = daemon.json("/api/v1/models/hostile/report")
    valid_report(document)
    assert {column["name"] for column in document["columns"]} >= set(NAMES.values())
    (row,) = _batches(daemon, "hostile")
    assert FILE in row["uri"]


def test_metrics_and_log_are_ours(daemon: Running, folder: Path) -> None:
    lines = [line for line in daemon.get("/metrics").split("\n") if line]
    assert [line for line in lines if not re.match(r"# |shiftwatch_|python_|process_", line)] == []
    assert 'model="forged"' not in "".join(line.partition("feature=")[0] for line in lines)
    log = (folder / "log.txt").read_text(encoding="utf-8")
    assert log.isascii()
    events = [json.loads(line) for line in log.split("\n") if line]
    assert [event for event in events if event["event"].startswith("forged")] == []


VERBS = {
    "check": ("check", "shiftwatch.yml"),
    "compare": ("compare", "hostile/reference.parquet", f"hostile/batches/{FILE}"),
    "once": ("once", "again.yml"),
    "report": ("report", "shiftwatch.yml", "--model", "hostile", "--format", "markdown"),
    "report as csv": ("report", "shiftwatch.yml", "--model", "hostile", "--format", "csv"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_terminal_sees_no_character_that_steers(daemon: Running, folder: Path, verb: str) -> None:
    assert daemon.process.poll() is None
    text = (folder / "shiftwatch.yml").read_text(encoding="utf-8")
    (folder / "again.yml").write_text(text + "store: {path: again.db}\n", encoding="utf-8")
    told = shown(folder, *VERBS[verb])
    assert "forged" not in [line.strip() for line in told.splitlines()]
    assert not [line for line in told.splitlines() if line.startswith(('{"event"', "# Heading"))]
