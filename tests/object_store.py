"""A real server that speaks S3 and checks signatures, and a line to it that can be cut.

The server is OpenStack Swift with its S3 interface, one node, everything below a folder of the
test: Debian's swift-proxy, swift-account, swift-container, swift-object and memcached.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

ACCESS_KEY, SECRET_KEY = "test:tester", "testing"
KEYS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}

_PARTS = ("account", "container", "object")
_CONF = """[swift-hash]
swift_hash_path_suffix = shiftwatchtests
swift_hash_path_prefix = shiftwatchtests
[storage-policy:0]
name = gold
default = yes
"""
_DEFAULT = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
log_address = {folder}/no-syslog
"""
_PART = """devices = {devices}
mount_check = false
disable_fallocate = true
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
"""
_PROXY = """[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats s3api tempauth slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
location = us-east-1
allow_multipart_uploads = true
min_segment_size = 5242880
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:slo]
use = egg:swift#slo
rate_limit_after_segment = 10000
"""
# The servers read swift.conf from /etc/swift unless told otherwise before they load.
_SERVE = """import runpy, sys
from swift.common import utils
utils.SWIFT_CONF_FILE = sys.argv[1] + "/swift.conf"
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def swift(folder: Path, system: Callable[[str], str]) -> Iterator[int]:
    """The port of a running server; it ends with the block."""
    programs = {name: system(f"swift-{name}-server") for name in (*_PARTS, "proxy")}
    memcached = system("memcached")
    ports = {name: free_port() for name in (*programs, "memcached")}
    _configure(folder, ports, system("swift-ring-builder"))
    environment = os.environ | {"EVENTLET_NO_GREENDNS": "yes"}
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    commands = [[memcached, *user, "-l", "127.0.0.1", "-p", str(ports["memcached"])]]
    for name, program in programs.items():
        serve, conf = str(folder / "serve.py"), str(folder / f"{name}-server.conf")
        commands.append(["/usr/bin/python3", serve, str(folder), program, conf])
    with (folder / "log").open("wb") as log:
        running = [
            subprocess.Popen(command, stdout=log, stderr=log, env=environment)
            for command in commands
        ]
    try:
        _await(ports["proxy"], folder / "log")
        yield ports["proxy"]
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(20)


def _configure(folder: Path, ports: dict[str, int], ring_builder: str) -> None:
    (folder / "srv" / "d1").mkdir(parents=True)
    (folder / "swift.conf").write_text(_CONF)
    (folder / "serve.py").write_text(_SERVE)
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    for name in _PARTS:
        builder = f"{name}.builder"
        device = f"r1z1-127.0.0.1:{ports[name]}/d1"
        for arguments in (("create", "4", "1", "1"), ("add", device, "1"), ("rebalance",)):
            command = [ring_builder, builder, *arguments]
            subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=False)
        text = _DEFAULT.format(port=ports[name], user=user, folder=folder)
        text += _PART.format(devices=folder / "srv", name=name)
        (folder / f"{name}-server.conf").write_text(text)
    text = _DEFAULT.format(port=ports["proxy"], user=user, folder=folder)
    (folder / "proxy-server.conf").write_text(text + _PROXY.format(memcached=ports["memcached"]))


def _await(port: int, log: Path) -> None:
    for _ in range(600):
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/healthcheck"):
            return
        time.sleep(0.1)
    raise AssertionError(log.read_text(errors="replace")[-2000:])


def s3(port: int) -> Any:
    """A file system that writes; the server knows no chunked uploads with checksums."""
    os.environ["AWS_REQUEST_CHECKSUM_CALCULATION"] = "when_required"
    from pyarrow import fs  # noqa: PLC0415

    return fs.S3FileSystem(
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        endpoint_override=f"127.0.0.1:{port}",
        scheme="http",
        region="us-east-1",
        allow_bucket_creation=True,
    )


def put(filesystem: Any, path: Path, target: str) -> None:
    """Upload a file."""
    with path.open("rb") as source, filesystem.open_output_stream(target) as sink:
        shutil.copyfileobj(source, sink)


class Line:
    """A TCP line to a server that may let through, cut, refuse or fall silent.

    ``state`` may be changed at any time; ``after`` bytes from the server a line that is to be cut
    or to fall silent does so, and ``broken`` counts how often.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self.state: Literal["open", "cut", "silent"] = "open"
        self.after = 0
        self.broken = 0
        self.requests = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End the line and all connections."""
        self._listener.close()
        for each in self._sockets:
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._sockets.append(client)
                server = socket.create_connection(("127.0.0.1", self._target))
                self._sockets.append(server)
                for pair in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, answer: bool) -> None:
        passed = 0
        with suppress(OSError):
            while data := source.recv(16384):
                if not answer:
                    self.requests += sum(data.count(verb) for verb in (b"GET /", b"HEAD /"))
                passed += len(data) if answer else 0
                if self.state != "open" and answer and passed > self.after:
                    self.broken += 1
                    if self.state == "silent":
                        time.sleep(3600)
                    break
                sink.sendall(data)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
