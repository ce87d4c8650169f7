"""What an installation consists of, as a CycloneDX document: `make sbom`, from the lock alone.

In:    requirements.lock, pyproject.toml; the licences that the installed packages declare.
Out:   CycloneDX 1.6 JSON on standard output, the same bytes from the same installation.
Never: asks anybody; names a host.

A page of our own, as the ready tools bring 13 packages and more for a list of names, versions and
hashes, or look at an environment, where we mean the lock.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"

_ENTRY = re.compile(r"^(?P<name>\S+?)==(?P<version>[^\s;]+)(?: ; (?P<marker>[^\\]*))?")
_SPACE = uuid.UUID("5d5b1d80-5e0a-5a53-9d5b-0f5e8b6f2b11")


def components(lock: str) -> Iterator[dict[str, Any]]:
    """Each package of a lock, with the hashes of all its files and where it is needed."""
    for entry in re.split(r"^(?=\S)", lock, flags=re.MULTILINE)[1:]:
        found = _ENTRY.match(entry)
        if found is None:
            raise SystemExit(f"not an entry of a lock: {entry.splitlines()[0]}")
        purl = f"pkg:pypi/{found['name']}@{found['version']}"
        facts = [
            ("shiftwatch:file:sha256", digest) for digest in re.findall(r"sha256:(\w+)", entry)
        ]
        if found["marker"]:
            facts.append(("shiftwatch:needed-where", found["marker"].strip()))
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": found["name"],
            "version": found["version"],
            "purl": purl,
            **licence(found["name"], found["version"]),
            "properties": [{"name": name, "value": value} for name, value in facts],
        }


def licence(name: str, version: str) -> dict[str, Any]:
    """What the installed package of this version declares; nothing where it is not installed."""
    try:
        told = metadata(name)
    except PackageNotFoundError:
        return {}
    if told["Version"] != version:
        return {}
    expression = told.get("License-Expression")
    if expression:
        return {"licenses": [{"expression": expression}]}
    classified = [
        line.rpartition(" :: ")[2]
        for line in told.get_all("Classifier") or ()
        if line.startswith("License :: OSI Approved :: ")
    ]
    return {"licenses": [{"license": {"name": each}} for each in classified]} if classified else {}


def document(lock: str, project: dict[str, Any]) -> dict[str, Any]:
    """The whole; its serial number is a hash of what it lists, and it bears no date."""
    listed = list(components(lock))
    ours = f"pkg:pypi/{project['name']}@{project['version']}"
    wanted = {_normal(re.split(r"[<>=!~ \[;]", line)[0]) for line in project["dependencies"]}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_SPACE, json.dumps([ours, listed]))}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": ours,
                "name": project["name"],
                "version": project["version"],
                "purl": ours,
                "licenses": [{"expression": project["license"]}],
            }
        },
        "components": listed,
        "dependencies": [
            {
                "ref": ours,
                "dependsOn": [c["bom-ref"] for c in listed if _normal(c["name"]) in wanted],
            }
        ],
        "compositions": [{"aggregate": "complete", "assemblies": [c["bom-ref"] for c in listed]}],
    }


def _normal(name: str) -> str:
    """As PEP 503 compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    made = document(LOCK.read_text(encoding="utf-8"), declared["project"])
    sys.stdout.write(json.dumps(made, indent=1) + "\n")
