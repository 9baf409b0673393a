"""The banner that is printed once the web interface answers."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import yaml

from ingest_pipeline.settings import PROJECT_ROOT
from ingest_pipeline.stack.deployment import Deployment

RULE = "─" * 78


def banner(deployment: Deployment, url: str, live_url: str | None = None) -> str:
    """Return the lines that say where everything is.

    Args:
        deployment: What runs.
        url: Address of the web interface.
        live_url: Address of the live page and the HTTP interface, or None when they do not run.
    """
    live = [("Live", f"{live_url} (the session as it is read; HTTP interface)")] if live_url else []
    rows = [("Web", url), *live, *(_demo_rows() if deployment.is_demo else [])]
    rows += [
        ("Data", _data(deployment)),
        ("Query", _query(deployment)),
        ("Logs", _short(deployment.data_dir / "logs")),
        ("Stop", "Ctrl-C"),
    ]
    title = "ingest_pipeline is running" + (" the demo" if deployment.is_demo else "")
    lines = [f"  {name.ljust(6)} {text}" for name, text in rows]
    return "\n".join(["", RULE, f"  {title}", "", *lines, RULE, "", ""])


def _demo_rows() -> list[tuple[str, str]]:
    return [
        ("Shows", "a simulated session that is live now, new messages all the time, and a finished one"),
        ("Real", "put DISCORD_OAUTH_TOKEN=… into .env (see .env.example) and start again"),
    ]


def _data(deployment: Deployment) -> str:
    if deployment.environment.get("INGEST_DATABASE_URL"):
        return f"PostgreSQL (INGEST_DATABASE_URL); files in {_short(deployment.data_dir)}"
    return _short(deployment.data_dir / "ingest.duckdb")


def _query(deployment: Deployment) -> str:
    command = Path(sys.executable).with_name("ingest")
    if not deployment.is_demo:
        return f"{_short(command)} sessions list"
    # From its own folder, whose .env speaks of the demo: elsewhere the command is about real data. That file
    # is trusted in the data folder only, which must be named when it is not the usual one.
    inside = os.path.relpath(command, deployment.data_dir)
    if deployment.data_dir != PROJECT_ROOT / "data" / "demo":
        inside = f"INGEST_DATA_DIR={shlex.quote(str(deployment.data_dir))} {inside}"
    session = _latest_session(deployment.data_dir / "sessions.yaml")
    wanted = f"messages --session-id {session} --limit 5" if session else "sessions list"
    return f"(cd {_short(deployment.data_dir)} && {inside} {wanted})"


def _latest_session(path: Path) -> str | None:
    """Return the last session of the demo's file, which is the live one."""
    try:
        rows = yaml.safe_load(path.read_text(encoding="utf-8"))["sessions"]
        return str(rows[-1]["session_id"])
    except (OSError, yaml.YAMLError, LookupError, TypeError):
        return None


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
