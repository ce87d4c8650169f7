"""The image and the Kubernetes files: rendered, validated, and true to the package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

import shiftwatch
from shiftwatch.settings import Settings

ROOT = Path(__file__).parents[1]
KUBERNETES = ROOT / "deploy" / "kubernetes"
FOLDERS = ("base", "sidecar")
VERSIONS = ("1.29", "1.33", "1.36")
DAEMON_BYTES = 100_000_000

Render = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(scope="session")
def render(system: Callable[[str], str]) -> Render:
    kubectl = system("kubectl")

    def objects(folder: str) -> list[dict[str, Any]]:
        command = [kubectl, "kustomize", str(KUBERNETES / folder)]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return list(yaml.safe_load_all(text))

    return objects


def of_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = (thing for thing in objects if thing["kind"] == kind)
    return found


def pod_of(objects: list[dict[str, Any]]) -> dict[str, Any]:
    pod = of_kind(objects, "Deployment")["spec"]["template"]["spec"]
    assert isinstance(pod, dict)
    return pod


def watcher_of(objects: list[dict[str, Any]]) -> dict[str, Any]:
    pod = pod_of(objects)
    everyone = [*pod.get("initContainers", []), *pod["containers"]]
    (found,) = (container for container in everyone if container["name"] == "shiftwatch")
    assert isinstance(found, dict)
    return found


def configured(objects: list[dict[str, Any]], folder: Path) -> Settings:
    from shiftwatch import config  # noqa: PLC0415 - the other tests need no pydantic

    path = folder / "shiftwatch.yml"
    path.write_text(of_kind(objects, "ConfigMap")["data"]["shiftwatch.yml"], encoding="utf-8")
    return config.load(path, {})


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("folder", FOLDERS)
def test_every_rendered_object_fits_the_schema_of(
    folder: str, version: str, render: Render
) -> None:
    for thing in render(folder):
        kubernetes_validate.validate(thing, version, strict=True)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_misspelt_field_does_not_pass(folder: str, render: Render) -> None:
    deployment = of_kind(render(folder), "Deployment")
    watcher = watcher_of([deployment])
    watcher["livenessProbee"] = watcher.pop("livenessProbe")
    with pytest.raises(kubernetes_validate.ValidationError, match="livenessProbee"):
        kubernetes_validate.validate(deployment, "1.33", strict=True)


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_image_tag_is_the_version_of_the_package(folder: str, render: Render) -> None:
    assert watcher_of(render(folder))["image"] == f"shiftwatch:{shiftwatch.__version__}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_configuration_inside_loads(folder: str, render: Render, tmp_path: Path) -> None:
    settings = configured(render(folder), tmp_path)
    assert settings.web.host == "0.0.0.0"  # noqa: S104 - probes come from outside
    assert [model.name for model in settings.models] == ["churn"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_configured_path_lies_in_a_mounted_volume(
    folder: str, render: Render, tmp_path: Path
) -> None:
    objects = render(folder)
    settings = configured(objects, tmp_path)
    mounts = {mount["mountPath"]: mount for mount in watcher_of(objects)["volumeMounts"]}
    names = {volume["name"] for volume in pod_of(objects)["volumes"]}
    assert {mount["name"] for mount in mounts.values()} == names
    for model in settings.models:
        for path in (model.model, model.reference, model.batches):
            assert path is not None
            assert any(Path(path).is_relative_to(mount) for mount in mounts), path
    store = next(m for m in mounts.values() if settings.store.path.startswith(m["mountPath"]))
    assert not store.get("readOnly", False)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_worker_at_its_limit_fits_into_the_container(
    folder: str, render: Render, tmp_path: Path
) -> None:
    objects = render(folder)
    limit = watcher_of(objects)["resources"]["limits"]["memory"]
    assert limit.endswith("Mi")
    worker = configured(objects, tmp_path).limits.memory_mb * 1_000_000
    assert worker + DAEMON_BYTES <= int(limit[:-2]) * 2**20


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_port_of_probes_and_service_is_the_one_listened_on(
    folder: str, render: Render, tmp_path: Path
) -> None:
    objects = render(folder)
    watcher = watcher_of(objects)
    (port,) = watcher["ports"]
    assert port["containerPort"] == configured(objects, tmp_path).web.port
    for probe in ("startupProbe", "livenessProbe"):
        assert watcher[probe]["httpGet"]["port"] == port["name"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_container_keeps_the_restricted_standard(folder: str, render: Render) -> None:
    pod = pod_of(render(folder))["securityContext"]
    container = watcher_of(render(folder))["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] == 10001
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_history_never_has_two_writers(folder: str, render: Render) -> None:
    deployment = of_kind(render(folder), "Deployment")["spec"]
    assert deployment["replicas"] == 1
    assert deployment["strategy"] == {"type": "Recreate"}


def test_the_sidecar_is_native_and_cannot_take_the_model_out_of_service(render: Render) -> None:
    watcher = watcher_of(render("sidecar"))
    assert watcher in pod_of(render("sidecar"))["initContainers"]
    assert watcher["restartPolicy"] == "Always"
    assert "readinessProbe" not in watcher
    assert watcher["startupProbe"]["httpGet"]["path"] == "/healthz"


def test_the_service_reaches_the_pods_of_the_deployment(render: Render) -> None:
    objects = render("base")
    labels = of_kind(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert of_kind(objects, "Service")["spec"]["selector"].items() <= labels.items()


def test_the_dockerfile_passes_its_linter() -> None:
    beside = Path(sys.executable).parent
    hadolint = shutil.which("hadolint", path=os.pathsep.join((str(beside), os.environ["PATH"])))
    assert hadolint is not None
    answer = subprocess.run(
        [hadolint, str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False
    )
    assert (answer.returncode, answer.stdout) == (0, "")


def test_every_file_the_dockerfile_copies_is_let_through_by_dockerignore() -> None:
    let_through = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"
    }
    copied = {
        word
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    }
    assert copied == let_through
    assert all((ROOT / name).exists() for name in copied)


def test_the_image_runs_as_nobody_in_particular_with_one_volume() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    final = lines[max(i for i, line in enumerate(lines) if line.startswith("FROM ")) :]
    assert "USER 10001:10001" in final
    assert [line for line in final if line.startswith("VOLUME")] == ["VOLUME /var/lib/shiftwatch"]
    installed = [line for line in final if line.startswith("RUN ")]
    assert installed == ["RUN install --directory --owner 10001 --group 10001 /var/lib/shiftwatch"]
