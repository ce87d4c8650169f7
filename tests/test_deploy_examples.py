"""What the Kubernetes page says can be done, done: its kustomizations, and events of KServe."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from tests.test_daemon import folder, running
from tests.test_deploy import FOLDERS, KUBERNETES, OTHERS, Render, of_kind, render, watcher_of

__all__ = ["folder", "render"]  # fixtures

PAGE = (KUBERNETES / "README.md").read_text("utf-8")
REFERENCE = re.compile(r"(?:github\.com/YOURS/|\.\./)shiftwatch/deploy/kubernetes/([\w/-]+)")
OWN = KUBERNETES / "examples" / "sidecar" / "deployment.yaml"
HERE = {"/var/lib/shiftwatch": ".", "/model/": "", "/etc/shiftwatch-tokens/": ""}
"""Places in the Pod, and what they are in the folder of a test."""


def blocks() -> list[str]:
    """Kustomizations of the page, with paths instead of its stand-ins for where they lie."""
    found = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    return [each for each in found if "\ncomponents:" in f"\n{each}"]


def rendered(folder: Path, text: str, render: Render) -> list[dict[str, Any]]:
    base = os.path.relpath(KUBERNETES, folder)
    (folder / "kustomization.yaml").write_text(
        REFERENCE.sub(rf"{base}/\1", text).replace("   # or a path", ""), encoding="utf-8"
    )
    return render(os.path.relpath(folder, KUBERNETES))


def test_every_example_is_validated() -> None:
    there = {f"examples/{each.name}" for each in (KUBERNETES / "examples").iterdir()}
    assert there == {each for each in (*FOLDERS, *OTHERS) if each != "base"}


def test_the_page_names_every_folder_and_no_other() -> None:
    told = set(re.findall(r"`((?:components|examples)/[\w-]+)/`", PAGE))
    told |= {f"examples/{each}" for each in re.findall(r"`([\w-]+)/`: ", PAGE)}
    there = {
        f"{part}/{each.name}"
        for part in ("components", "examples")
        for each in (KUBERNETES / part).iterdir()
    }
    assert told - {"examples/"} == there


def test_the_kustomization_of_the_page_puts_in_what_is_the_users(
    render: Render, tmp_path: Path
) -> None:
    (tmp_path / "shiftwatch.yml").write_text("mine: 1\n", encoding="utf-8")
    (tmp_path / "tokens").write_text("", encoding="utf-8")
    objects = rendered(tmp_path, blocks()[0], render)
    assert of_kind(objects, "ConfigMap")["data"] == {"shiftwatch.yml": "mine: 1\n"}
    assert {each["metadata"]["namespace"] for each in objects} == {"models"}
    pod = of_kind(objects, "Deployment")["spec"]["template"]["spec"]
    images = {each["image"] for each in (*pod["initContainers"], *pod["containers"])}
    assert images == {"REGISTRY/shiftwatch:0.1.0"}


def test_a_second_sidecar_has_a_claim_of_its_own(render: Render, tmp_path: Path) -> None:
    (tmp_path / "deployment.yaml").write_text(OWN.read_text("utf-8"), encoding="utf-8")
    objects = rendered(tmp_path, "resources: [deployment.yaml]\n" + blocks()[-1], render)
    claim = of_kind(objects, "PersistentVolumeClaim")["metadata"]["name"]
    assert claim == "shiftwatch-state-fraud"
    volumes = of_kind(objects, "Deployment")["spec"]["template"]["spec"]["volumes"]
    (state,) = (each for each in volumes if each["name"] == "shiftwatch-state")
    assert state["persistentVolumeClaim"] == {"claimName": claim}


def test_events_need_no_volume_shared_with_the_model_server(render: Render) -> None:
    objects = render("examples/kserve")
    mounts = {each["mountPath"] for each in watcher_of(objects)["volumeMounts"]}
    assert "/batches" not in mounts
    (rule,) = of_kind(objects, "NetworkPolicy")["spec"]["ingress"]
    assert len(rule["from"]) == 3


def put_here(folder: Path, objects: list[dict[str, Any]]) -> Path:
    """The example's configuration, with the places of the Pod in this folder."""
    text = of_kind(objects, "ConfigMap")["data"]["shiftwatch.yml"]
    for place, here in HERE.items():
        text = text.replace(place, here)
    settings = yaml.safe_load(text)
    settings["web"]["listen"] = "127.0.0.1:0"
    path = folder / "shiftwatch.yml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    (folder / "tokens").write_text("", encoding="utf-8")
    return path


def status(url: str, body: bytes | None = None, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, body, named)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def test_events_are_taken_without_a_token_and_nothing_else_is(render: Render, folder: Path) -> None:
    path = put_here(folder, render("examples/kserve"))
    command = [sys.executable, "-m", "shiftwatch", "check", str(path)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, "the volume is empty at first"
    assert "a batch of 1000 rows" in checked.stdout, "what `payloads.rows` says"
    event = {
        "ce_specversion": "1.0",
        "ce_id": "1",
        "ce_type": "org.kubeflow.serving.inference.request",
        "Content_Type": "application/json",
    }
    with running(folder) as daemon:
        body = b'{"instances": [[1, 2]]}'
        assert status(daemon.url + "/events/churn", body, **event) == 202
        assert status(daemon.url + "/events/other", body, **event) == 401
        assert status(daemon.url + "/api/v1/models") == 401
        assert status(daemon.url + "/-/reload", b"") == 401
        assert daemon.metric('shiftwatch_events_received_total{model="churn"}') == 1
