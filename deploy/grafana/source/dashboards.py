"""Write the dashboards for Grafana: `make dashboards`; a test fails if they are stale.

In:    the descriptions beside this file.
Out:   JSON in deploy/grafana/dashboards.
Never: asks a Grafana or a Prometheus.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))

from deploy.grafana.source.fleet import fleet  # noqa: E402 - started by its path
from deploy.grafana.source.model import detail  # noqa: E402 - likewise
from deploy.grafana.source.monitor import own  # noqa: E402 - likewise

VERSION = "11.6.0"
"""Of Grafana, as that of the SDK."""

FOLDER = ROOT / "deploy" / "grafana" / "dashboards"


def _numbered(board: dict[str, Any]) -> dict[str, Any]:
    """With a number for each panel, so that links to one hold, and the version it is made for.

    Without a version Grafana would take a panel for one of its first releases, and migrate it.
    """
    for number, panel in enumerate(board["panels"], start=1):
        panel["id"] = number
        if panel["type"] != "row":
            panel["pluginVersion"] = VERSION
    return board


def outputs() -> dict[Path, str]:
    """Every generated file with its text."""
    texts = {}
    for board in (fleet(), detail(), own()):
        built = _numbered(json.loads(JSONEncoder(sort_keys=True).encode(board.build())))
        text = json.dumps(built, indent=1, sort_keys=True, ensure_ascii=False)
        texts[FOLDER / f"{built['uid']}.json"] = text + "\n"
    return texts


def main() -> int:
    """Write the files, or say by the status whether they are stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say by the status if stale")
    asked = parser.parse_args()
    texts = outputs()
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text() != text]
    for path in stale if not asked.check else ():
        path.write_text(texts[path], encoding="utf-8")
    return int(asked.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
