"""Write the rules for Prometheus and what is made from them: `make rules`; a test fails if stale.

In:    shiftwatch.alerts; thresholds and links that differ, as options.
Out:   rules.yml, the PrometheusRule object, their unit tests, tables for people.
Never: holds an alert; needs a Prometheus.

With other thresholds or links, for a file of your own::

    python deploy/prometheus/source/rules.py --set backlog=50 --grafana https://grafana.example > rules.yml
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import sys
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))

from deploy.prometheus.source.cases import CASES, unit_tests  # noqa: E402 - started by its path
from shiftwatch.alerts import Links, Thresholds, alerts, groups, recordings  # noqa: E402 - likewise

RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
UNIT_TESTS = ROOT / "deploy" / "prometheus" / "tests" / "rules_test.yml"
RUNBOOK = ROOT / "deploy" / "RUNBOOK.md"
README = ROOT / "deploy" / "prometheus" / "README.md"
OBJECTS = (
    ROOT / "deploy" / "prometheus" / "prometheusrule.yaml",
    # kustomize reads nothing outside of a component's folder.
    ROOT / "deploy" / "kubernetes" / "components" / "rules" / "prometheusrule.yaml",
)

_HEAD = "# Made by `make rules` from shiftwatch/alerts; change it there.\n"
_TABLE = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


class _Dumper(yaml.SafeDumper):
    """YAML for people: expressions of several lines stand as they are written."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        del indentless
        super().increase_indent(flow, indentless=False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _yaml(content: object) -> str:
    return _HEAD + yaml.dump(
        content, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True
    )


def plain(thresholds: Thresholds | None = None, links: Links | None = None) -> str:
    """The file that `rule_files` of Prometheus names."""
    return _yaml({"groups": groups(thresholds, links)})


def custom_resource() -> str:
    """The same for the Prometheus operator.

    An operator that selects rules by a label, as kube-prometheus-stack does by `release`, needs
    that label beside ours: `kustomize edit add label` or a patch adds it.
    """
    meta = {"name": "shiftwatch", "labels": {"app.kubernetes.io/name": "shiftwatch"}}
    return _yaml(
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": meta,
            "spec": {"groups": groups()},
        }
    )


def tests() -> str:
    """What `promtool test rules` reads."""
    return _yaml(unit_tests(CASES))


def recorded() -> str:
    """Every recording rule as a line of Markdown."""
    lines = ["| series | what it is |", "|---|---|"]
    lines += [f"| `{each.name}` | {each.meaning} |" for each in recordings(Thresholds())]
    return "\n".join(lines) + "\n"


def thresholds() -> str:
    """Every threshold with its default as a line of Markdown."""
    body = ast.parse(inspect.getsource(Thresholds)).body[0]
    if not isinstance(body, ast.ClassDef):
        raise TypeError(body)
    lines = ["| threshold | default | what it is |", "|---|---|---|"]
    for here, after in pairwise([*body.body, ast.Pass()]):
        if isinstance(here, ast.AnnAssign) and isinstance(here.target, ast.Name):
            text = ""
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                text = " ".join(str(after.value.value).split()).rstrip(".").replace("``", "`")
            name = here.target.id
            lines.append(f"| `{name}` | {_number(getattr(Thresholds(), name))} | {text} |")
    return "\n".join(lines) + "\n"


def _number(value: object) -> str:
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def table() -> str:
    """Every alert as a line of Markdown, in the order of the sections."""
    lines = ["| alert | severity | after | what it says |", "|---|---|---|---|"]
    for alert in alerts():
        name = f"[`{alert.name}`](#{alert.name.lower()})"
        lines.append(
            f"| {name} | {alert.severity} | {alert.after or 'at once'} | {alert.summary} |"
        )
    return "\n".join(lines) + "\n"


_TABLES = {"alerts": table, "recorded": recorded, "thresholds": thresholds}


def _written(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    return _TABLE.sub(lambda found: f"{found[1]}\n{_TABLES[found[2]]()}\n{found[3]}", text)


def outputs() -> dict[Path, str]:
    """Every generated file with its text."""
    return {
        RULES: plain(),
        **dict.fromkeys(OBJECTS, custom_resource()),
        UNIT_TESTS: tests(),
        RUNBOOK: _written(RUNBOOK),
        README: _written(README),
    }


def changed(settings: list[str]) -> Thresholds:
    """Thresholds with those named as ``name=value`` in place of the defaults."""
    kinds = {field.name: type(getattr(Thresholds(), field.name)) for field in fields(Thresholds)}
    given: dict[str, Any] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in kinds:
            raise SystemExit(f"no threshold is called {name!r}; there are: {', '.join(kinds)}")
        given[name] = kinds[name](value)
    return replace(Thresholds(), **given)


def main() -> int:
    """Write the files, or one with other thresholds to standard output."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="only say by the status if stale")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="settings")
    parser.add_argument("--grafana", default="", metavar="URL", help="before dashboard links")
    parser.add_argument("--runbook", default=Links().runbook, metavar="URL")
    asked = parser.parse_args()
    links = Links(asked.runbook, asked.grafana)
    if asked.settings or links != Links():
        sys.stdout.write(plain(changed(asked.settings), links))
        return 0
    texts = outputs()
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text() != text]
    for path in stale if not asked.check else ():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts[path], encoding="utf-8")
    return int(asked.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
