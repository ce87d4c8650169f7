#!/usr/bin/env python3
"""The image in the Pod of deploy/kubernetes/base, and the chain behind it, once and without a cluster.

In:    a root file system of the image (`buildah mount`), as the only argument; kubectl,
       util-linux, Prometheus and Alertmanager of the system; root.
Out:   what was seen, a line each; status 0 if all of it was as the files promise.
Never: listens beyond loopback; leaves a process or a mount behind.

User, arguments, environment, mounts and the read-only root are taken from the rendered Deployment,
configuration from the rendered ConfigMap with a free port of loopback and a look each second. From
the folder of the repository, after `make image`:

    root=$(buildah mount "$(buildah from --pull-never localhost/shiftwatch:VERSION)")
    PYTHONPATH=$PWD .venv/bin/python .ci/image_chain.py "$root"
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from shiftwatch.demo import MODEL_PATH
from shiftwatch.demo.generator import write_batch, write_reference
from shiftwatch.web.tokens import made
from tests.chain import chain, webhook
from tests.object_store import free_port

ROOT = Path(__file__).parents[1]
USER = 10001
ALERT = "ShiftwatchDriftDetected"
PLACES = {
    "/etc/shiftwatch": "config",
    "/etc/shiftwatch-tokens": "tokens",
    "/var/lib/shiftwatch": "state",
    "/model": "model",
    "/batches": "batches",
    "/scratch": "scratch",
}
IMAGE = {
    "PATH": "/opt/shiftwatch/bin:/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp",  # noqa: S108 - inside the image
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
"""What the Dockerfile sets."""


def say(text: str) -> None:
    """Tell at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def waited(probe: Any, what: str, seconds: float = 120) -> Any:
    """What the probe finds; the ceiling is generous."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = probe()
        if found:
            return found
        time.sleep(0.1)
    raise SystemExit(f"never came: {what}")


def rendered() -> list[dict[str, Any]]:
    """The objects of the base."""
    command = ["kubectl", "kustomize", str(ROOT / "deploy" / "kubernetes" / "base")]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return list(yaml.safe_load_all(text))


def prepared(folder: Path, objects: list[dict[str, Any]], port: int, line: str) -> None:
    """The volumes of the Pod, as the user of the image would find them."""
    for name in PLACES.values():
        (folder / name).mkdir()
    (config,) = (each for each in objects if each["kind"] == "ConfigMap")
    text: str = config["data"]["shiftwatch.yml"].replace("0.0.0.0:9464", f"127.0.0.1:{port}")
    columns = "columns: {time: event_time, label: churned}"
    text = text.replace("batches: /batches\n", f"batches: /batches\n    {columns}\n")
    (folder / "config" / "shiftwatch.yml").write_text(text + "schedule: {every: 1s}\n", "utf-8")
    (folder / "tokens" / "tokens").write_text(line + "\n", "utf-8")
    shutil.copyfile(MODEL_PATH, folder / "model" / "model.onnx")
    write_reference(folder / "model" / "reference.parquet", 2000)
    folder.chmod(0o711)
    for name in ("state", "scratch"):
        os.chown(folder / name, USER, USER)
    os.chown(folder / "tokens" / "tokens", 0, USER)  # as a Secret with fsGroup and mode 0440
    (folder / "tokens" / "tokens").chmod(0o440)


def started(folder: Path, root: Path, container: dict[str, Any]) -> list[str]:
    """The command of the container: its own view of files and processes, then its user.

    By util-linux alone: a runtime would do the same, and asks for control groups besides.
    """
    security = container["securityContext"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    (folder / "root").mkdir(exist_ok=True)
    new = shlex.quote(str(folder / "root"))
    steps = ["set -e", f"mount --bind {shlex.quote(str(root))} {new}"]
    for mount in container["volumeMounts"]:
        target = f"{new}{mount['mountPath']}"
        (root / mount["mountPath"].lstrip("/")).mkdir(parents=True, exist_ok=True)
        steps.append(f"mount --bind {folder / PLACES[mount['mountPath']]} {target}")
        if mount.get("readOnly"):
            steps.append(f"mount -o remount,bind,ro {target}")
    steps += [f"mount -t proc proc {new}/proc", f"mount -t tmpfs -o mode=755 tmpfs {new}/dev"]
    for device in ("null", "urandom"):
        steps += [f": > {new}/dev/{device}", f"mount --bind /dev/{device} {new}/dev/{device}"]
    steps.append(f"mount -o remount,bind,ro {new}")
    environment = IMAGE | {each["name"]: each["value"] for each in container["env"]}
    given = [shlex.quote(f"{key}={value}") for key, value in environment.items()]
    drop = f"setpriv --reuid {USER} --regid {USER} --clear-groups --no-new-privs"
    drop += " --bounding-set=-all --inh-caps=-all"
    steps.append(
        f"exec chroot {new} {drop} env -i {' '.join(given)} shiftwatch {' '.join(container['args'])}"
    )
    spaces = ["unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]
    return [*spaces, "sh", "-c", "\n".join(steps)]


def status_of(url: str, token: str = "") -> int:
    """The status of an answer, 0 for none."""
    request = urllib.request.Request(url)  # noqa: S310 - loopback
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def checked(folder: Path, root: Path, pod: dict[str, Any]) -> None:
    """The init container lets a good configuration through, and stops a bad one."""
    (init,) = pod["initContainers"]
    command = started(folder, root, init)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    file = folder / "config" / "shiftwatch.yml"
    good = file.read_text("utf-8")
    file.write_text(good + "unknown: 1\n", "utf-8")
    bad = subprocess.run(command, capture_output=True, text=True, check=False)
    file.write_text(good, "utf-8")
    assert bad.returncode == 78, bad
    say("init container: status 0 for the configuration, 78 with an unknown key")


def confined(process: int) -> None:
    """Who it runs as, what it may, and that its root refuses to be written."""
    lines = Path(f"/proc/{process}/status").read_text("utf-8").splitlines()
    facts = {key: value.split() for key, _, value in (line.partition(":") for line in lines)}
    assert facts["Uid"] == [str(USER)] * 4, facts["Uid"]
    assert int(facts["CapEff"][0], 16) == int(facts["CapBnd"][0], 16) == 0
    assert facts["NoNewPrivs"] == ["1"]
    mounts = Path(f"/proc/{process}/mountinfo").read_text("utf-8").splitlines()
    (options,) = (line.split()[5] for line in mounts if line.split()[4] == "/")
    assert "ro" in options.split(",")
    say(f"uid {USER}, no capabilities, no new privileges, root {options}")


def written(root: Path, since: float) -> list[str]:
    """Files of the image that are younger than this."""
    command = ["find", str(root), "-newermt", f"@{since}", "-not", "-type", "d"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def alarmed(folder: Path, url: str, token: str, system: Callable[[str], str]) -> None:
    """A batch that drifts becomes an alert at a webhook, and the report asks for a token."""
    place = folder / "chain"
    place.mkdir()
    target = url.removeprefix("http://")
    with webhook() as hook, chain(place, system, target, hook) as prometheus:
        waited(lambda: prometheus.query('up{job="shiftwatch"} == 1'), "a scrape")
        for index in range(2):
            write_batch(folder / "batches" / f"b-{index}.parquet", index, shift=index, seed=5)
            since = time.monotonic()
            expr = f'sum(shiftwatch_batches_total{{outcome="tested"}}) > {index}'
            waited(lambda expr=expr: prometheus.query(expr), f"the verdict on batch {index}")
        message = waited(lambda: hook.of(ALERT, "firing"), "the alert")[0]
        say(f"{ALERT} at the webhook {message.at - since:.1f} s after the batch: {message.labels}")
        page = f"{url}/api/v1/models/churn/report"
        answers = status_of(page), status_of(page, token)
        assert answers == (401, 200), answers
        say("report: 401 without a token, 200 with one; /metrics was scraped without")


def watched(folder: Path, command: list[str], url: str, token: str) -> None:
    """From the start of the container to its end by SIGTERM."""
    log = folder / "log"
    start = time.monotonic()
    with log.open("wb") as file:
        watcher = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        waited(lambda: status_of(f"{url}/healthz") == 200, "an open port")
        say(f"startup and liveness probe pass after {time.monotonic() - start:.1f} s")
        waited(lambda: status_of(f"{url}/readyz") == 200, "readiness")
        children = Path(f"/proc/{watcher.pid}/task/{watcher.pid}/children")
        process = int(children.read_text("utf-8"))  # 1 of its own processes, as in a container
        confined(process)
        alarmed(folder, url, token, lambda name: shutil.which(name) or name)
        stop = time.monotonic()
        os.kill(process, signal.SIGTERM)
        code = watcher.wait(30)
        say(f"SIGTERM: status {code} after {time.monotonic() - stop:.1f} s")
        assert code == 0, log.read_text("utf-8")
    finally:
        if watcher.poll() is None:
            watcher.kill()  # and with it what it started
            watcher.wait()


def main() -> None:
    """All of it, in a temporary folder."""
    root = Path(sys.argv[1]).resolve()
    objects = rendered()
    (deployment,) = (each for each in objects if each["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    token, line = made("alice", "operator")
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepared(folder, objects, port, line)
        before = time.time()
        checked(folder, root, pod)
        watched(folder, started(folder, root, container), f"http://127.0.0.1:{port}", token)
        assert written(root, before) == []
        state = folder / "state"
        kept = sorted(str(path.relative_to(state)) for path in state.rglob("*") if path.is_file())
        say(f"written: {kept} in the volume, nothing in the root file system")


if __name__ == "__main__":
    main()
