"""The alert rules and the dashboard under deploy/: they fit the metrics there are, and promtool agrees."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from ingest_pipeline_tests.api_worlds import filled_client

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
RULES = DEPLOY / "prometheus" / "ingest_alerts.yml"
DASHBOARD = DEPLOY / "grafana" / "ingest_pipeline.json"
NAMES = re.compile(r"\b(?:ingest|process)_[a-z_]+")
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed (Debian and Ubuntu: apt-get install prometheus)"
)


def rules() -> list[dict[str, object]]:
    """Return the alert rules."""
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    return list(group["rules"])


def expressions() -> list[str]:
    """Return every query of the rules and of the dashboard's panels."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [str(rule["expr"]) for rule in rules()] + [
        target["expr"] for panel in panels for target in panel["targets"]
    ]


def test_every_metric_that_is_asked_for_is_there(tmp_path: Path) -> None:
    """Under its name, also before a bot ran and before anything was verified."""
    with filled_client(tmp_path) as client:
        client.get("/livez")
        for _ in range(200):
            text = client.get("/metrics").text
            if "ingest_incomplete_sessions" in text and "ingest_bot_state" in text:
                break
    there = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    asked = {name for expression in expressions() for name in NAMES.findall(expression)} - {"ingest_pipeline"}
    assert len(asked) > 20
    assert asked - there == set()


def test_every_rule_names_the_remedy() -> None:
    """And how bad it is; all that the issue of a watcher is about has a rule."""
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}  # type: ignore[index]
        assert set(rule["annotations"]) == {"summary", "description"}  # type: ignore[call-overload]
    asked = " ".join(str(rule["expr"]) for rule in rules())
    for subject in ("lag_seconds", "database_up", "bot_state", "coverage_gap", "verification"):
        assert subject in asked


@pytest.mark.slow
@needs_promtool
@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "ingest_alerts.yml"],
        ["test", "rules", "ingest_alerts_test.yml"],
    ],
    ids=" ".join,
)
def test_promtool_agrees(arguments: list[str]) -> None:
    """With the configuration, the rules, and when they are reported."""
    done = subprocess.run(
        [str(PROMTOOL), *arguments],
        cwd=RULES.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_every_query_of_the_dashboard_can_be_parsed(tmp_path: Path) -> None:
    """Grafana would show an error in its panel."""
    recording = [
        {"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(expressions())
    ]
    written = tmp_path / "panels.yml"
    written.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recording}]}))
    done = subprocess.run(
        [str(PROMTOOL), "check", "rules", str(written)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_every_rule_is_tested(rule: dict[str, object]) -> None:
    """By a case of its own."""
    assert str(rule["alert"]) in (RULES.parent / "ingest_alerts_test.yml").read_text()
