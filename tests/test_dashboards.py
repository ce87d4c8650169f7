"""The dashboards for Grafana: complete, up to date, and every query answered by a real Prometheus."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from shiftwatch.alerts import Links, Thresholds, alerts, recordings
from shiftwatch.demo.generator import write_batch
from shiftwatch.metrics.families import FAMILIES
from tests.chain import Prometheus, chain, webhook
from tests.conftest import absent
from tests.dashboard_pictures import Answers, Series, picture, table
from tests.object_store import free_port
from tests.test_daemon import Running, folder, running, until

__all__ = ["folder"]  # a fixture

GRAFANA = Path(__file__).parents[1] / "deploy" / "grafana"
BOARDS = {
    path.stem: json.loads(path.read_text("utf-8"))
    for path in sorted((GRAFANA / "dashboards").glob("*.json"))
}
PANELS = [
    pytest.param(panel, id=f"{name}-{panel['title']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
    if panel["type"] != "row"
]
SAMPLES = {name: labels for family in FAMILIES for name, labels in family.samples.items()}
ELSEWHERE = {"up", "scrape_duration_seconds", "scrape_samples_scraped"}
"""What Prometheus itself says of a target."""

MAY_BE_EMPTY = {
    "Cost beside the model": "so few rows may take the model less CPU than the clock can tell",
    "Events": "payload logs are read for a model of source kserve only",
    "Share of requests seen": "likewise",
    "Events buffered": "likewise",
}
"""Titles of panels that healthy models leave empty, with the reason."""

NAME = re.compile(r"\b(?:shiftwatch|process|python|model|scrape)[_:][\w:]+|\bup\b")
SELECTED = re.compile(r"\b(shiftwatch_\w+){([^}]*)}")


def queries(panel: Mapping[str, Any]) -> list[str]:
    return [target["expr"] for target in panel["targets"]]


def metrics(expr: str) -> set[str]:
    bare = re.sub(r'"[^"]*"|\bmodel_\w+|by \([^)]*\)|group_left \([^)]*\)', "", expr)
    return set(NAME.findall(bare))


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_says_what_it_shows_in_which_unit_and_what_to_do(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert len(panel["description"]) > 25
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    for target in panel["targets"]:
        assert target["datasource"] == panel["datasource"]
        assert (
            len(panel["targets"]) == 1
            or target["legendFormat"] != "__auto"
            or (panel["type"] == "table")
        )


@pytest.mark.parametrize("panel", PANELS)
def test_a_query_names_only_metrics_and_labels_that_exist(panel: dict[str, Any]) -> None:
    recorded = {rule.name for rule in recordings(Thresholds())}
    for expr in queries(panel):
        names = metrics(expr)
        assert names
        ours = {name for name in names if not name.startswith(("process_", "python_"))}
        assert ours <= set(SAMPLES) | ELSEWHERE | recorded
        for name, selector in SELECTED.findall(expr):
            asked = set(re.findall(r"(\w+)\s*(?:=|!=|=~|!~)\s*\"", selector)) - {"instance"}
            assert asked <= set(SAMPLES[name]), expr


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_a_dashboard_depends_on_no_installation(board: dict[str, Any]) -> None:
    names = [variable["name"] for variable in board["templating"]["list"]]
    assert names[0] == "datasource"
    assert "id" not in board
    text = json.dumps(board)
    used = set(re.findall(r"\$\{?(\w+)", text)) - {"__range", "__rate_interval", "__value", "__all"}
    assert used <= set(names)
    assert used | {"filters"} >= set(names)
    assert 'job="' not in text
    assert 'job=~"' not in text


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_panels_fill_their_rows_and_do_not_overlap(board: dict[str, Any]) -> None:
    cells = [
        (x, y)
        for panel in board["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert len(cells) == 24 * (max(y for _, y in cells) + 1)
    numbers = [panel["id"] for panel in board["panels"]]
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_alert_leads_to_a_dashboard_that_is_there() -> None:
    for alert in alerts():
        found = re.search(r"/d/([\w-]+)(?:/\?var-(\w+))?", str(alert.rule(Links())["annotations"]))
        assert found is not None, alert.name
        board = BOARDS[found[1]]
        assert board["uid"] == found[1]
        names = {variable["name"] for variable in board["templating"]["list"]}
        assert found[2] is None or found[2] in names


def test_the_json_is_what_the_source_makes() -> None:
    try:
        importlib.import_module("grafana_foundation_sdk")
    except ImportError:
        absent("package grafana-foundation-sdk")
    source = importlib.import_module("deploy.grafana.source.dashboards")
    made = {path.stem: text for path, text in source.outputs().items()}
    kept = {path.stem: path.read_text("utf-8") for path in (GRAFANA / "dashboards").glob("*.json")}
    assert made == kept, "run `make dashboards`"


def test_a_stock_grafana_finds_the_datasource_and_the_dashboards() -> None:
    place = GRAFANA / "provisioning"
    (provider,) = yaml.safe_load((place / "dashboards" / "shiftwatch.yml").read_text())["providers"]
    source = yaml.safe_load((place / "datasources" / "shiftwatch.yml").read_text())
    (prometheus,) = source["datasources"]
    assert provider["type"] == "file"
    assert prometheus["type"] == "prometheus"
    assert prometheus["isDefault"] is True
    readme = (GRAFANA / "README.md").read_text("utf-8")
    assert f"dashboards:{provider['options']['path']}" in readme
    assert "provisioning:/etc/grafana/provisioning" in readme


def test_kustomize_makes_configmaps_that_the_sidecar_of_grafana_finds(
    system: Callable[[str], str],
) -> None:
    command = [system("kubectl"), "kustomize", str(GRAFANA)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    maps = list(yaml.safe_load_all(text))
    held = {name: body for each in maps for name, body in each["data"].items()}
    assert {name: json.loads(body) for name, body in held.items()} == {
        f"{name}.json": board for name, board in BOARDS.items()
    }
    for each in maps:
        assert each["metadata"]["labels"]["grafana_dashboard"] == "1"
        # kubectl apply keeps the whole object as an annotation of at most 256 KiB.
        assert len(json.dumps(each)) < 200_000


def spoken(expr: str) -> str:
    """With Grafana's variables replaced: all models of the fleet, one of them, all daemons."""
    for variable, value in (
        ('=~"$model"', '=~".*"'),
        ("$__rate_interval", "15s"),
        ("$__range", "10m"),
        ("$model", "churn"),
        ("$instance", ".*"),
    ):
        expr = expr.replace(variable, value)
    return expr


def answered(prometheus: Prometheus, target: Mapping[str, Any], since: float) -> list[Series]:
    """The series of a query, as its panel asks for them."""
    expr, now = spoken(target["expr"]), time.time()
    if target.get("instant"):
        found = prometheus.query(expr)
        return [Series(labels, [(now, value)]) for labels, value in found]
    data = prometheus.asked("query_range", query=expr, start=f"{since}", end=f"{now}", step="1")
    return [
        Series(each["metric"], [(at, float(value)) for at, value in each["values"]])
        for each in data["result"]
    ]


def exemplified() -> Iterator[str]:
    """Queries whose panels show the batch behind a point."""
    for board in BOARDS.values():
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                if target.get("exemplar"):
                    yield spoken(target["expr"])


CONFIG = """\
models:
  - name: churn
    model: model.onnx
    reference: reference.parquet
    batches: batches/
    columns: {{time: event_time, label: churned}}
    window: {{grace: 2s}}
    expect_every: 1h
  - name: renewal
    model: model.onnx
    reference: reference.parquet
    batches: others/
    columns: {{time: event_time, label: churned}}
    window: {{grace: 2s}}
schedule: {{every: 1s}}
web: {{listen: "127.0.0.1:{port}"}}
"""


def feed(folder: Path) -> Iterator[int]:
    """Batches of two models: one drifts, of the other a file is broken; how many are written."""
    (folder / "others" / "broken.parquet").write_bytes(b"PAR1 no such thing")
    for index in range(14):
        write_batch(
            folder / "batches" / f"{index:03}.parquet", index, shift=0.0 if index < 7 else 1.0
        )
        if index % 3 == 0:
            write_batch(folder / "others" / f"{index:03}.parquet", index, seed=8)
        yield index


def judged(daemon: Running, count: int) -> None:
    """Wait until so many batches of the one model are judged."""
    line = f'shiftwatch_batches_total{{model="churn",outcome="tested"}} {count}.0'
    until(lambda: line in daemon.get("/metrics") or None)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_query_is_answered_while_a_daemon_watches_a_drifting_stream(
    folder: Path, system: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("grafana")
    port, since = free_port(), time.time()
    (folder / "others").mkdir()
    (folder / "shiftwatch.yml").write_text(CONFIG.format(port=port), encoding="utf-8")
    with (
        webhook() as hook,
        chain(place, system, f"127.0.0.1:{port}", hook) as prometheus,
        running(folder) as daemon,
    ):
        for index in feed(folder):
            judged(daemon, index + 1)
            until(lambda: prometheus.query('shiftwatch_drift_alarm{model="churn"} >= 0') or None)
            if index == 9:
                silence_inputs(daemon.url)
                until(lambda: prometheus.query("shiftwatch_silenced == 1") or None)
        quarantined = 'shiftwatch_quarantined_files{model="renewal"} == 1'
        until(lambda: prometheus.query(quarantined) or None)
        until(lambda: prometheus.query('shiftwatch_batches_total{outcome="tested"} >= 14') or None)
        found = {
            name: {
                panel["id"]: {
                    target["refId"]: answered(prometheus, target, since)
                    for target in panel["targets"]
                }
                for panel in board["panels"]
                if panel["type"] != "row"
            }
            for name, board in BOARDS.items()
        }
        for expr in exemplified():
            kept = prometheus.asked(
                "query_exemplars", query=expr, start=f"{since}", end=f"{time.time()}"
            )
            assert any(
                "batch_id" in point["labels"] for each in kept for point in each["exemplars"]
            )
    drawn(found, Path(os.environ.get("SHIFTWATCH_PICTURES", place)))
    assert list(unanswered(found)) == []
    meaning(found)


def silence_inputs(url: str) -> None:
    """As an operator does."""
    said = {"kind": "silence", "until": "2h", "scopes": ["input"], "text": "seen to"}
    request = urllib.request.Request(
        f"{url}/api/v1/models/churn/annotations",
        json.dumps(said).encode(),
        {"content-type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=30).close()


def drawn(found: Mapping[str, Mapping[int, Answers]], place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    for name, board in BOARDS.items():
        (place / f"{name}.svg").write_text(picture(board, found[name]), encoding="utf-8")


def unanswered(found: Mapping[str, Mapping[int, Answers]]) -> Iterator[str]:
    for name, board in BOARDS.items():
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                free = panel["title"] in MAY_BE_EMPTY
                if not found[name][panel["id"]][target["refId"]] and not free:
                    yield f"{name}: {panel['title']}: {target['expr']}"


def meaning(found: Mapping[str, Mapping[int, Answers]]) -> None:
    """What the panels show is what happened."""

    def of(name: str, title: str) -> tuple[dict[str, Any], Answers]:
        (panel,) = (each for each in BOARDS[name]["panels"] if each["title"] == title)
        return panel, found[name][panel["id"]]

    def last(name: str, title: str) -> float:
        return of(name, title)[1]["A"][0].points[-1][1]

    assert last("shiftwatch-fleet", "Models") == 2
    assert last("shiftwatch-fleet", "In alarm") == 1
    assert last("shiftwatch-fleet", "Worst evidence") >= 1
    assert last("shiftwatch-fleet", "Files given up") == 1
    assert last("shiftwatch-model", "Alarm") == 2
    assert last("shiftwatch-self", "Daemons down") == 0
    churn, renewal = sorted(
        table(*of("shiftwatch-fleet", "Every model")), key=lambda row: row["model"]
    )
    assert (churn["state"], churn["alarm"], churn["given up"]) == ("ok", "On", "0")
    assert (renewal["alarm"], renewal["given up"]) == ("Off", "1")
    assert (churn["silenced"], renewal["silenced"]) == ("On", "Off")
    said = of("shiftwatch-model", "What operators said")[1]
    silenced = {each.labels["scope"]: {value for _, value in each.points} for each in said["A"]}
    assert silenced == {"input": {0.0, 1.0}, "prediction": {0.0}, "schema": {0.0}}
    assert {each.labels["kind"] for each in said["B"]} == {"note", "known_change"}
    bands = of("shiftwatch-model", "State and alarms")[1]["B"]
    (inputs,) = (each for each in bands if each.labels["scope"] == "input")
    assert {value for _, value in inputs.points} == {0.0, 2.0}, "it was quiet, then in alarm"
