"""The image and the Kubernetes files: rendered, validated, and true to the package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
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
FOLDERS = ("base", "examples/monitored", "examples/sidecar", "examples/kserve")
OTHERS = ("examples/demo", "examples/per-model")
SIDECAR = "examples/sidecar"
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


def for_grafana(thing: dict[str, Any]) -> bool:
    """Whether it is a dashboard, a ConfigMap beside our own."""
    return "grafana_dashboard" in thing["metadata"].get("labels", {})


def of_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = (thing for thing in objects if thing["kind"] == kind and not for_grafana(thing))
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
@pytest.mark.parametrize("folder", [*FOLDERS, *OTHERS])
def test_every_rendered_object_fits_the_schema_of(
    folder: str, version: str, render: Render
) -> None:
    for thing in render(folder):
        if not thing["apiVersion"].startswith("monitoring.coreos.com/"):
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
    assert settings.web.tokens_file is not None
    assert any(Path(settings.web.tokens_file).parent == Path(mount) for mount in mounts)
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
    probes = [watcher[key] for key in watcher if key.endswith("Probe")]
    assert probes
    assert all(probe["httpGet"]["port"] == port["name"] for probe in probes)


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_container_keeps_the_restricted_standard(folder: str, render: Render) -> None:
    """As the container says, or as the Pod does, which in the sidecar's case is not ours."""
    pod = pod_of(render(folder))["securityContext"]
    container = pod | watcher_of(render(folder))["securityContext"]
    assert container["runAsNonRoot"] is True
    assert container["runAsUser"] == 10001
    assert container["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["allowPrivilegeEscalation"] is False
    assert container["readOnlyRootFilesystem"] is True
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert pod["fsGroup"] == 10001


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_history_never_has_two_writers(folder: str, render: Render) -> None:
    deployment = of_kind(render(folder), "Deployment")["spec"]
    assert deployment["replicas"] == 1
    assert deployment["strategy"] == {"type": "Recreate"}


def test_the_sidecar_is_native_and_cannot_take_the_model_out_of_service(render: Render) -> None:
    watcher = watcher_of(render(SIDECAR))
    assert watcher in pod_of(render(SIDECAR))["initContainers"]
    assert watcher["restartPolicy"] == "Always"
    assert "readinessProbe" not in watcher, "it would count for the Pod"
    assert "startupProbe" not in watcher, "the model server would wait for it"
    assert watcher["livenessProbe"]["httpGet"]["path"] == "/healthz"


@pytest.mark.slow
def test_a_sidecar_that_cannot_work_is_seen_running_before_it_ends(
    render: Render, tmp_path: Path
) -> None:
    """The model server starts once the sidecar ran; one that ends at once may never be seen."""
    watcher = watcher_of(render(SIDECAR))
    (tmp_path / "bad.yml").write_text("unknown: 1\n", encoding="utf-8")
    (script,) = watcher["args"]
    (path,) = re.findall(r"/etc/\S+", script)
    here = [*watcher["command"], script.replace(path, str(tmp_path / "bad.yml"))]
    search = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    start = time.monotonic()
    done = subprocess.run(
        here, env=os.environ | {"PATH": search}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 78, done
    assert time.monotonic() - start > 2, "longer than the second between two looks of a kubelet"


def test_a_sidecar_told_to_end_in_its_first_seconds_does(render: Render) -> None:
    watcher = watcher_of(render(SIDECAR))
    with subprocess.Popen([*watcher["command"], *watcher["args"]]) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not children.read_text("ascii"):  # the shell sets its trap before it starts any
            time.sleep(0.01)
        process.terminate()
        assert process.wait(60) == 143


def test_the_sidecar_takes_two_lines_and_leaves_the_rest_of_the_deployment_alone(
    render: Render,
) -> None:
    folder = KUBERNETES / SIDECAR
    own = yaml.safe_load((folder / "deployment.yaml").read_text(encoding="utf-8"))
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    assert kustomization.pop("components") == ["../../components/sidecar"]
    assert kustomization["resources"] == ["deployment.yaml"]
    rendered = pod_of(render(SIDECAR))
    assert rendered["containers"] == own["spec"]["template"]["spec"]["containers"]
    volumes = {volume["name"] for volume in rendered["volumes"]}
    ours = {name for name in volumes if name.startswith("shiftwatch-")}
    assert volumes - ours == {"model", "batches"}


def test_a_configuration_that_cannot_work_never_starts(render: Render) -> None:
    (check,) = pod_of(render("base"))["initContainers"]
    watcher = watcher_of(render("base"))
    assert check["args"] == ["check", watcher["args"][1]]
    assert watcher["args"][0] == "run"
    same = ("image", "volumeMounts", "securityContext", "env", "resources")
    assert all(check[key] == watcher[key] for key in same)


def test_changed_tokens_and_configuration_have_new_names(render: Render) -> None:
    for folder in FOLDERS:
        names = {
            of_kind(render(folder), kind)["metadata"]["name"] for kind in ("ConfigMap", "Secret")
        }
        volumes = str(pod_of(render(folder))["volumes"])
        assert all(re.fullmatch(r"shiftwatch-(config|tokens)-\w{10}", name) for name in names)
        assert all(name in volumes for name in names)


def test_as_shipped_nobody_is_let_in() -> None:
    from shiftwatch.web.tokens import parsed  # noqa: PLC0415

    for place in ("base", "components/sidecar"):
        text = (KUBERNETES / place / "tokens").read_text(encoding="utf-8")
        assert parsed(text, "tokens") == ()


def test_traffic_is_let_in_to_the_port_alone_and_out_only_where_a_store_is_used(
    render: Render, tmp_path: Path
) -> None:
    policy = of_kind(render("base"), "NetworkPolicy")["spec"]
    labels = of_kind(render("base"), "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert "egress" not in policy
    (rule,) = policy["ingress"]
    assert [port["port"] for port in rule["ports"]] == [
        watcher_of(render("base"))["ports"][0]["name"]
    ]
    opened = of_kind(render(kustomized(tmp_path, "object-store")), "NetworkPolicy")["spec"]
    assert [p["port"] for rule in opened["egress"] for p in rule["ports"]] == [53, 53, 443]


def kustomized(folder: Path, *components: str) -> str:
    """A kustomization of the base with these components; its path from the folder of files."""
    base = os.path.relpath(KUBERNETES, folder)
    text = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [f"{base}/base"],
        "components": [f"{base}/components/{name}" for name in components],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(text), encoding="utf-8")
    return os.path.relpath(folder, KUBERNETES)


@pytest.mark.parametrize("monitor", ["podmonitor", "servicemonitor"])
def test_a_monitor_finds_what_it_is_to_scrape(monitor: str, render: Render, tmp_path: Path) -> None:
    objects = render(kustomized(tmp_path, monitor))
    kind = {"podmonitor": "PodMonitor", "servicemonitor": "ServiceMonitor"}[monitor]
    spec = of_kind(objects, kind)["spec"]
    template = of_kind(objects, "Deployment")["spec"]["template"]
    scraped = template if monitor == "podmonitor" else of_kind(objects, "Service")
    assert spec["selector"]["matchLabels"].items() <= scraped["metadata"]["labels"].items()
    (endpoint,) = spec.get("podMetricsEndpoints") or spec["endpoints"]
    assert endpoint["port"] == watcher_of(objects)["ports"][0]["name"]
    assert endpoint.keys() <= {"port", "path", "interval", "honorLabels"}
    sidecar = of_kind(render(SIDECAR), "Deployment")["spec"]["template"]["metadata"]["labels"]
    if monitor == "podmonitor":
        assert spec["selector"]["matchLabels"].items() <= sidecar.items()


def test_a_drain_takes_the_pod_and_the_budget_lets_it(render: Render) -> None:
    budget = of_kind(render("base"), "PodDisruptionBudget")["spec"]
    labels = of_kind(render("base"), "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert budget["maxUnavailable"] == 1, "with one replica `minAvailable: 1` would block a drain"
    assert budget["selector"]["matchLabels"].items() <= labels.items()


def test_the_rules_in_the_cluster_are_those_of_the_plain_file(render: Render) -> None:
    rules = of_kind(render("examples/monitored"), "PrometheusRule")["spec"]
    plain = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yml").read_text("utf-8"))
    assert rules == plain


def test_what_compose_mounts_is_there_and_every_port_is_on_loopback() -> None:
    folder = ROOT / "deploy" / "compose"
    services = yaml.safe_load((folder / "compose.yaml").read_text("utf-8"))["services"]
    assert set(services) == {"shiftwatch", "prometheus", "alertmanager", "grafana"}
    assert services["shiftwatch"]["image"] == f"shiftwatch:{shiftwatch.__version__}"
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert re.search(r":v?\d+\.\d+", service["image"]), "pinned"
        for mount in service.get("volumes", ()):
            assert (folder / mount.partition(":")[0]).exists(), mount
            assert mount.endswith(":ro")


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
