"""Hostile names in the data, through a real daemon: nothing they say is taken for ours."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import urllib.request
from base64 import b64encode
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.test_daemon import Running, judged, running

pytestmark = pytest.mark.slow  # a daemon and a worker

NAMES = {
    "script": "<script>alert(1)</script>",
    "attribute": '" onmouseover="alert(1)" x=\'',
    "style": "</style><style>*{display:none}</style>",
    "entity": "&lt;img src=x onerror=alert(1)&gt;",
    "template": "{{ 7 * 7 }}{% for x in y %}",
    "metric": 'a"} 1\nshiftwatch_drift_alarm{model="forged",scope="input"} 1\n# EOF\n',
    "log": 'a\n{"event": "forged"}\r\nforged',
    "terminal": "\x1b[31mred\x1b]0;title\x07\x9b2J",
    "direction": "\u202egpj.exe\u2066\u200f",
    "separator": "a\u2028b\u2029c\x85d\x0be",
    "path": "../../../../etc/passwd",
    "zero": "a\x00b",
    "backslash": "a\\",
    "long": "<b>" + 9_997 * "x",
}
FILE = '<img src=x onerror=alert(1)>"\n\u202e{"event": "forged"}.parquet'

CONFIG = """\
models:
  - name: churn
    reference: reference.parquet
    batches: batches/
    tests: {ks: {}, chi2: {}}
schedule: {every: 1s}
web: {listen: "127.0.0.1:0"}
"""


def table(seed: int, shift: float) -> pa.Table:
    """A column of numbers and one of categories for each hostile name; they move with ``shift``."""
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {}
    categories = list(NAMES.values())
    for number, name in enumerate(NAMES.values()):
        columns[name] = rng.normal(shift, 1.0, 300)
        chosen = rng.integers(0, 5, 300) if not shift else rng.integers(2, len(categories), 300)
        columns[f"{name}{number}"] = [categories[index] for index in chosen]
    return pa.table(columns)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "batches").mkdir()
    (folder / "shiftwatch.yml").write_text(CONFIG, encoding="utf-8")
    pq.write_table(table(1, 0.0), folder / "reference.parquet")
    pq.write_table(table(2, 3.0), folder / "batches" / FILE)
    return folder


@dataclass(frozen=True, slots=True)
class Answers:
    """What a daemon said on the hostile batch."""

    overview: tuple[str, str]
    report: tuple[str, str]
    metrics: str
    log: str
    refused: dict[str, int] = field(default_factory=dict)


def page(daemon: Running, path: str) -> tuple[str, str]:
    """A page and its content security policy."""
    with urllib.request.urlopen(daemon.url + path, timeout=30) as answer:
        return answer.read().decode(), answer.headers["content-security-policy"]


@pytest.fixture(scope="module")
def answers(folder: Path) -> Answers:
    (folder / "secret.parquet").write_bytes((folder / "reference.parquet").read_bytes())
    (folder / "batches" / "link.parquet").symlink_to(folder / "secret.parquet")
    (folder / "batches" / "circle.parquet").symlink_to(folder / "batches" / "circle.parquet")
    asked = {
        "parent": "../secret.parquet",
        "parent of a folder that is not": "nothing/../../secret.parquet",
        "absolute": str(folder / "secret.parquet"),
        "link": "link.parquet",
        "circle": "circle.parquet",
        "folder": ".",
        "empty": "",
        "device": "/dev/zero",
        "half a character": "\ud800.parquet",
        "encoded": "..%2fsecret.parquet",
        "scheme": "file:///etc/passwd",
        "store": "s3://bucket/key",
        **NAMES,
    }
    with running(folder) as daemon:
        judged(daemon, 1)
        return Answers(
            page(daemon, "/"),
            page(daemon, "/api/v1/models/churn/report?format=html"),
            daemon.get("/metrics"),
            (folder / "log.txt").read_text(encoding="utf-8"),
            {
                kind: daemon.post("/api/v1/models/churn/checks", {"path": path})[0]
                for kind, path in asked.items()
            },
        )


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.links: set[str] = set()
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self._in_style = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links |= {value or "" for name, value in attrs if name in ("href", "src")}
        self.scripts += [dict(attrs).get("src") or ""] if tag == "script" else []
        self._in_style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._in_style = self._in_style and tag != "style"

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.styles.append(data)


@pytest.mark.parametrize("which", ["overview", "report"])
def test_a_page_holds_our_elements_and_nothing_that_could_run(answers: Answers, which: str) -> None:
    text, _ = getattr(answers, which)
    found = Elements(text)
    forbidden = {"img", "iframe", "object", "embed", "base", "b2"}
    # The overview loads scripts of ours, by their addresses; a report has none.
    forbidden |= {"script", "form"} if which == "report" else set()
    assert found.names & forbidden == set()
    assert [script for script in found.scripts if not script.startswith("/static/")] == []
    assert [name for name in found.attributes if name.startswith("on") or name == "style"] == []
    assert [link for link in found.links if not re.match(r"[/?#]|data:,$", link)] == []
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e\u2066\u200f]", text)
    assert which == "overview" or "{{ 7 * 7 }}" in text, "shown, not carried out"


@pytest.mark.parametrize("which", ["overview", "report"])
def test_the_policy_allows_the_one_style_of_the_page_and_nothing_inline(
    answers: Answers, which: str
) -> None:
    text, policy = getattr(answers, which)
    (style,) = Elements(text).styles
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    parts = {part.split()[0]: part.split()[1:] for part in policy.split(";")}
    assert parts["style-src"] == [f"'sha256-{digest}'"]
    assert parts["default-src"] == ["'none'"]
    assert "unsafe" not in policy
    assert parts.get("script-src", ["'self'"]) == ["'self'"]
    assert ("script-src" in parts) == (which == "overview")


def test_metrics_are_those_of_the_configuration_and_labels_come_back_whole(
    answers: Answers,
) -> None:
    families = list(text_string_to_metric_families(answers.metrics))
    samples = [sample for family in families for sample in family.samples]
    assert {s.labels.get("model", "churn") for s in samples} == {"churn"}
    features = {s.labels["feature"] for s in samples if "feature" in s.labels}
    known = set(NAMES.values()) | {f"{n}{i}" for i, n in enumerate(NAMES.values())}
    assert features
    assert {name for name in features if "xxx" not in name} <= known
    assert max(map(len, features)) <= 200, "a long name is cut, and told apart by its hash"


def test_every_line_of_the_log_is_ours(answers: Answers) -> None:
    events = [json.loads(line) for line in answers.log.split("\n") if line]
    assert [event for event in events if event["event"].startswith("forged")] == []
    assert answers.log.isascii()
    assert any(event["event"] == "judged" and FILE in event["uri"] for event in events)


def test_a_check_on_demand_stays_below_the_batches_whatever_the_path_says(
    answers: Answers,
) -> None:
    assert answers.refused == dict.fromkeys(answers.refused, 400)


def test_the_terminal_shows_names_without_their_control_characters(folder: Path) -> None:
    batch = str(folder / "batches" / FILE)
    command = [sys.executable, "-m", "shiftwatch", "compare", "reference.parquet", batch]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert len(done.stdout) < 100_000
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e\u2066]", done.stdout)
    assert "forged" not in [line.strip() for line in done.stdout.splitlines()]


def test_the_line_of_a_batch_stays_one_line(folder: Path, tmp_path: Path) -> None:
    text = CONFIG + f"store: {{path: {tmp_path / 'other.db'}}}\n"
    (folder / "once.yml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "shiftwatch", "once", "once.yml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert [line for line in lines if not line.isprintable()] == []
    assert [line for line in lines if line.startswith(("{", "forged"))] == []


def test_a_fault_that_quotes_a_name_does_not_steer_the_terminal(tmp_path: Path) -> None:
    settings = f"models: [{{name: churn, reference: {json.dumps(NAMES['terminal'])}, batches: b}}]"
    (tmp_path / "shiftwatch.yml").write_text(settings, encoding="utf-8")
    for verb in ("check", "once"):
        command = [sys.executable, "-m", "shiftwatch", verb, "shiftwatch.yml"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode in {70, 78}
        assert "\\x1b[31mred" in done.stderr
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", done.stderr)
