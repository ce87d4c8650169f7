"""Rules for Prometheus: made from one source, true to the metrics, and each proved both ways."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from deploy.prometheus.source import rules
from deploy.prometheus.source.cases import CASES, unit_tests
from shiftwatch.alerts import Links, Thresholds, alerts, groups, recordings
from shiftwatch.glossary import meaning, similar
from shiftwatch.metrics import FAMILIES

PROMETHEUS = rules.RULES.parent
ALERTS = {alert.name: alert for alert in alerts()}


def asked(*command: str, folder: Path = PROMETHEUS) -> tuple[int, str]:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_what_is_generated_is_what_the_source_says() -> None:
    """`make rules` writes it anew."""
    stale = [path for path, text in rules.outputs().items() if path.read_text("utf-8") != text]
    assert stale == []


def test_the_plain_file_and_the_object_hold_the_same_rules() -> None:
    plain = yaml.safe_load(rules.RULES.read_text("utf-8"))["groups"]
    assert plain == groups()
    for path in rules.OBJECTS:
        thing = yaml.safe_load(path.read_text("utf-8"))
        assert thing["spec"]["groups"] == plain
        assert thing["apiVersion"] == "monitoring.coreos.com/v1"
        assert thing["kind"] == "PrometheusRule"


def test_prometheus_takes_the_rules(system: Callable[[str], str]) -> None:
    status, told = asked(system("promtool"), "check", "rules", "--lint=all", "rules.yml")
    assert status == 0, told
    assert f"{len(alerts()) + len(recordings(Thresholds()))} rules found" in told


@pytest.mark.slow
def test_every_alert_fires_where_it_should_and_nowhere_else(system: Callable[[str], str]) -> None:
    path = rules.UNIT_TESTS
    status, told = asked(system("promtool"), "test", "rules", path.name, folder=path.parent)
    assert status == 0, told


def test_every_alert_has_a_case_that_fires_and_one_that_never_does() -> None:
    firing = {case.alert for case in CASES if case.fires}
    quiet = {case.alert for case in CASES if not case.fires and case.quiet}
    assert firing == quiet == set(ALERTS)


@pytest.mark.parametrize("name", ["ShiftwatchDriftDetected", "ShiftwatchMonitorStale"])
def test_a_rule_that_is_off_by_one_does_not_pass(
    name: str, system: Callable[[str], str], tmp_path: Path
) -> None:
    wrong = {"ShiftwatchDriftDetected": ("== 1", "== 2"), "ShiftwatchMonitorStale": ("3 *", "30 *")}
    expr = ALERTS[name].expr
    content = groups()
    for group in content:
        rows = group["rules"]
        assert isinstance(rows, list)
        for row in rows:
            if row["expr"] == expr:
                row["expr"] = expr.replace(*wrong[name])
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": content}), encoding="utf-8")
    of_alert = [case for case in CASES if case.alert == name]
    asked_for = unit_tests(of_alert, "rules.yml")
    (tmp_path / "rules_test.yml").write_text(yaml.safe_dump(asked_for), encoding="utf-8")
    status, told = asked(system("promtool"), "test", "rules", "rules_test.yml", folder=tmp_path)
    assert status == 1
    assert name in told


def test_every_metric_an_alert_asks_for_is_a_metric_of_ours() -> None:
    known = {name for family in FAMILIES for name in family.samples}
    exprs = [alert.expr for alert in alerts()] + [each.expr for each in recordings(Thresholds())]
    used = {name for expr in exprs for name in re.findall(r"(?<![\w:])shiftwatch_\w+", expr)}
    recorded = {name for expr in exprs for name in re.findall(r"[a-z]+:shiftwatch_\w+:\w+", expr)}
    assert used <= known
    assert recorded <= {each.name for each in recordings(Thresholds())}
    assert len(used) > 20


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_it_is_about_and_where_to_go(name: str) -> None:
    alert = ALERTS[name]
    rule = alert.rule(Links())
    notes = rule["annotations"]
    assert isinstance(notes, dict)
    assert set(notes) == {"summary", "description", "runbook_url", "dashboard_url"}
    assert name.startswith("Shiftwatch")
    assert alert.severity in {"critical", "warning", "info"}
    for sentence in (alert.summary, alert.description):
        assert sentence[0].isupper() or sentence.startswith("{{")
        assert sentence.endswith(".")
    assert "{{" not in alert.summary
    assert ("$labels.model" in alert.description) == (
        "$labels.model" in notes["dashboard_url"]
    ) or (alert.dashboard != "model")


@pytest.mark.parametrize("name", [*ALERTS, *(each.name for each in recordings(Thresholds()))])
def test_the_program_explains_every_alert_and_every_recorded_series(name: str) -> None:
    text = meaning(name)
    assert text is not None
    assert len(text) > 40


def test_an_alert_may_be_misspelt() -> None:
    assert similar("ShiftwatchDriftDetcted")[0] == "ShiftwatchDriftDetected"


def test_the_runbook_has_a_section_for_every_alert_and_no_other() -> None:
    text = rules.RUNBOOK.read_text("utf-8")
    sections = re.findall(r"^## (Shiftwatch\w+)$", text, re.MULTILINE)
    assert sorted(sections) == sorted(ALERTS)
    parts = re.split(r"^## ", text, flags=re.MULTILINE)
    told = {part.partition("\n")[0]: part for part in parts}
    for name in sections:
        assert "\n1. " in told[name], name
        assert "**Ends** " in told[name], name
        assert "```" in told[name], name
    anchors = {f"#{name.lower()}" for name in sections}
    assert set(re.findall(r"\]\((#\w+)\)", text)) <= anchors


@pytest.mark.parametrize("guarded", [False, True])
def test_prometheus_takes_the_sample_configuration(
    guarded: bool, system: Callable[[str], str], tmp_path: Path
) -> None:
    text = (PROMETHEUS / "prometheus.yml").read_text("utf-8")
    if guarded:  # the lines that wait for a token and a certificate
        text = re.sub(r"# ((authorization|scheme|tls_config): )", r"\1", text)
        (tmp_path / "shiftwatch.token").write_text("sw_x", encoding="utf-8")
        (tmp_path / "ca.pem").write_text("", encoding="utf-8")
    (tmp_path / "prometheus.yml").write_text(text, encoding="utf-8")
    (tmp_path / "rules.yml").write_text(rules.plain(), encoding="utf-8")
    status, told = asked(system("promtool"), "check", "config", "prometheus.yml", folder=tmp_path)
    assert status == 0, told
    (job,) = yaml.safe_load(text)["scrape_configs"]
    assert ("authorization" in job) is guarded


def test_alertmanager_takes_the_sample_configuration(system: Callable[[str], str]) -> None:
    status, told = asked(system("amtool"), "check-config", "alertmanager.yml")
    assert status == 0, told


def test_alertmanager_routes_by_severity_and_inhibits_only_alerts_there_are() -> None:
    content = yaml.safe_load((PROMETHEUS / "alertmanager.yml").read_text("utf-8"))
    receivers = {each["name"] for each in content["receivers"]}
    routes = [content["route"], *content["route"]["routes"]]
    assert {each["receiver"] for each in routes} == receivers
    for rule in content["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            found = re.fullmatch(r'alertname(=~?)"(.*)"', matcher)
            if found is not None:
                named = [name for name in ALERTS if re.fullmatch(found[2], name)]
                assert len(named) == (found[2].count("|") + 1 if found[1] == "=~" else 1), matcher


def test_other_thresholds_and_links_make_a_file_of_ones_own() -> None:
    thresholds = rules.changed(["backlog=50", "outage=5m", "silence_seconds=60"])
    assert thresholds == Thresholds(backlog=50, outage="5m", silence_seconds=60.0)
    text = rules.plain(thresholds, Links("https://wiki.example/sw", "https://grafana.example"))
    assert "> 50" in text
    assert set(re.findall(r"last_over_time\([^\[]*\[(\w+)\]", text)) == {"5m", "6h", "7d"}
    assert "https://grafana.example/d/shiftwatch-model/?var-model=" in text
    assert "https://wiki.example/sw#shiftwatchdriftdetected" in text
    with pytest.raises(SystemExit, match="no threshold is called 'backlogs'"):
        rules.changed(["backlogs=1"])
