"""Objects of the Prometheus operator against what their definitions know, and one watch per model.

The operator's definitions are not in Kubernetes' own schemas, so the part of them that the files
use is written down here, closed: what is not listed is taken for misspelt.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from tests.test_deploy import ROOT, Render, kustomized, of_kind, render

__all__ = ["render"]  # a fixture

PER_MODEL = "examples/per-model"
TEXT = {"type": "string", "minLength": 1}
TEXTS = {"type": "object", "additionalProperties": TEXT}
DURATION = {"type": "string", "pattern": r"^(\d+(ms|s|m|h|d|w|y))+$"}


def closed(required: str = "", **properties: Any) -> dict[str, Any]:
    """An object with these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


def some(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": 1}


ENDPOINT = closed(
    "port", port=TEXT, path=TEXT, interval=DURATION, honorLabels={"type": "boolean"}, scheme=TEXT
)
SELECTOR = closed("matchLabels", matchLabels=TEXTS)
ALERT = closed(
    "alert expr", alert=TEXT, expr=TEXT, labels=TEXTS, annotations=TEXTS, **{"for": DURATION}
)
RECORD = closed("record expr", record=TEXT, expr=TEXT, labels=TEXTS)
GROUP = closed("name rules", name=TEXT, interval=DURATION, rules=some({"oneOf": [ALERT, RECORD]}))
SPECS = {
    "PodMonitor": closed(
        "selector podMetricsEndpoints", selector=SELECTOR, podMetricsEndpoints=some(ENDPOINT)
    ),
    "ServiceMonitor": closed("selector endpoints", selector=SELECTOR, endpoints=some(ENDPOINT)),
    "PrometheusRule": closed("groups", groups=some(GROUP)),
}
METADATA = closed("name", name=TEXT, namespace=TEXT, labels=TEXTS, annotations=TEXTS)


def validate(thing: dict[str, Any]) -> None:
    schema = closed(
        "apiVersion kind metadata spec",
        apiVersion={"const": "monitoring.coreos.com/v1"},
        kind={"enum": list(SPECS)},
        metadata=METADATA,
        spec=SPECS[thing["kind"]],
    )
    jsonschema.validate(thing, schema)


@pytest.fixture
def operated(render: Render, tmp_path: Path) -> list[dict[str, Any]]:
    """The three objects, as a kustomization of the base with all components renders them."""
    objects = render(kustomized(tmp_path, "podmonitor", "servicemonitor", "rules"))
    found = [each for each in objects if each["apiVersion"].startswith("monitoring.coreos.com/")]
    assert {each["kind"] for each in found} == set(SPECS)
    return found


def test_objects_of_the_operator_use_fields_it_knows(operated: list[dict[str, Any]]) -> None:
    for thing in operated:
        validate(thing)


def misspelt_rule(spec: dict[str, Any]) -> None:
    rule = spec["groups"][-1]["rules"][0]
    rule["exprs"] = rule.pop("expr")


def misspelt_interval(spec: dict[str, Any]) -> None:
    (endpoint,) = spec.get("podMetricsEndpoints") or spec["endpoints"]
    endpoint["interval"] = "30"


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        ("PodMonitor", misspelt_interval),
        ("ServiceMonitor", misspelt_interval),
        ("PrometheusRule", misspelt_rule),
    ],
)
def test_a_misspelt_field_of_the_operator_does_not_pass(
    operated: list[dict[str, Any]], kind: str, spoil: Callable[[dict[str, Any]], None]
) -> None:
    thing = copy.deepcopy(of_kind(operated, kind))
    spoil(thing["spec"])
    with pytest.raises(jsonschema.ValidationError):
        validate(thing)


def test_one_watch_per_model_shares_neither_pod_nor_history(render: Render) -> None:
    objects = render(PER_MODEL)
    assert {each["metadata"]["namespace"] for each in objects} == {"models"}
    pods = {
        each["metadata"]["name"]: each["spec"]["template"]
        for each in objects
        if each["kind"] == "Deployment"
    }
    assert set(pods) == {"shiftwatch-churn", "shiftwatch-fraud"}
    for thing in objects:
        if thing["kind"] in {"Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"}:
            assert chosen(thing, pods) == [thing["metadata"]["name"]], thing["kind"]
    claims = [claims_of(pod) for pod in pods.values()]
    assert all(len(each) == 3 for each in claims)
    assert set.isdisjoint(*claims)


def chosen(thing: dict[str, Any], pods: dict[str, Any]) -> list[str]:
    """Names of the Deployments whose Pods an object selects."""
    spec = thing["spec"]
    selector = spec["podSelector"] if "podSelector" in spec else spec["selector"]
    wanted = selector.get("matchLabels", selector).items()
    return [name for name, pod in pods.items() if wanted <= pod["metadata"]["labels"].items()]


def claims_of(pod: dict[str, Any]) -> set[str]:
    volumes = pod["spec"]["volumes"]
    key = "persistentVolumeClaim"
    return {each[key]["claimName"] for each in volumes if key in each}


def test_one_monitor_scrapes_every_watch_in_its_namespace(render: Render) -> None:
    objects = render(PER_MODEL)
    wanted = of_kind(objects, "PodMonitor")["spec"]["selector"]["matchLabels"].items()
    pods = [each["spec"]["template"] for each in objects if each["kind"] == "Deployment"]
    assert all(wanted <= pod["metadata"]["labels"].items() for pod in pods)


def test_each_watch_has_the_configuration_of_its_model(render: Render, tmp_path: Path) -> None:
    from shiftwatch import config  # noqa: PLC0415 - the other tests need no pydantic

    for thing in render(PER_MODEL):
        if thing["kind"] == "ConfigMap":
            path = tmp_path / thing["metadata"]["name"]
            path.write_text(thing["data"]["shiftwatch.yml"], encoding="utf-8")
            (model,) = config.load(path, {}).models
            assert model.name in thing["metadata"]["name"]


def test_a_model_servers_own_port_called_metrics_is_not_taken_for_ours(
    render: Render, tmp_path: Path
) -> None:
    objects = render(kustomized(tmp_path, "podmonitor"))
    (endpoint,) = of_kind(objects, "PodMonitor")["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] not in {"metrics", "http", "http-metrics"}


def test_the_demo_needs_nothing_of_the_user(render: Render) -> None:
    objects = render("examples/demo")
    pod = of_kind(objects, "Deployment")["spec"]["template"]
    assert claims_of(pod) == {of_kind(objects, "PersistentVolumeClaim")["metadata"]["name"]}
    assert "initContainers" not in pod["spec"]


def test_the_demo_is_asked_for_as_the_program_understands_it(render: Render) -> None:
    from typer.testing import CliRunner  # noqa: PLC0415

    from shiftwatch.cli import app  # noqa: PLC0415

    demo = of_kind(render("examples/demo"), "Deployment")["spec"]["template"]["spec"]
    compose = yaml.safe_load((ROOT / "deploy" / "compose" / "compose.yaml").read_text("utf-8"))
    (container,) = demo["containers"]
    assert container["args"] == compose["services"]["shiftwatch"]["command"]
    answer = CliRunner().invoke(app, [*container["args"], "--help"])
    assert answer.exit_code == 0
    options = {each for each in container["args"] if each.startswith("--")}
    assert all(option in answer.output for option in options)
