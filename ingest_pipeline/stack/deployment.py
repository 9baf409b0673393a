"""The deployment: settings as environment and arguments, addresses, and the banner at the start."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import yaml

from ingest_pipeline.env_file import env_line
from ingest_pipeline.environment import NO_ENV_FILE
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.installation import DEFAULT_DATA_DIR, HOME_FOLDER, SHIPPED_FILES
from ingest_pipeline.settings import NOTIFY_PREFIX, Settings
from ingest_pipeline.stack.dagster_home import POSTGRES_VARIABLE

# What leads to real data or real accounts. The demo runs without any of it, and brings its own.
REAL_DATA_VARIABLES = (
    "DISCORD_OAUTH_TOKEN",
    "DISCORD_BOT_TOKEN",
    "INGEST_DATABASE_URL",
    "INGEST_LANDING_URL",
    "INGEST_EXPORTER_PATH",
    "INGEST_EXECUTOR",
    "INGEST_CELERY_BROKER_URL",
    "INGEST_ALERT_WEBHOOK_URL",
    POSTGRES_VARIABLE,
)
RULE = "─" * 78


@dataclass(frozen=True, slots=True)
class Deployment:
    """The environment of the services.

    Attributes:
        data_dir: Absolute folder of everything that is written.
        environment: The whole environment of the parts.
        is_demo: Whether the simulated session runs instead of the real ones.
    """

    data_dir: Path
    environment: dict[str, str]
    is_demo: bool


def real_deployment(settings: Settings, environment: Mapping[str, str]) -> Deployment:
    """Describe a deployment on the real data.

    The parts run in another working directory (Dagster would read an `.env` in the current one over
    what they are given), so every path they get is absolute. What `.env` says is part of the environment
    here: they read no such file.

    Args:
        settings: The settings as loaded here.
        environment: This process's environment, which the parts inherit.
    """
    data_dir = settings.data_dir.absolute()
    paths = {"INGEST_DATA_DIR": str(data_dir), "INGEST_EXPORTER_PATH": str(settings.exporter_path.absolute())}
    if settings.landing_url and "://" not in settings.landing_url:
        paths["INGEST_LANDING_URL"] = str(Path(settings.landing_url).absolute())
    return Deployment(data_dir, _completed({**environment, **paths}, data_dir), is_demo=False)


def write_missing_files(data_dir: Path) -> None:
    """Put the files that a user edits into the data folder, with their examples, where they are missing.

    The table of drivers stays with the package alone: a copy would keep the table of the first start.

    Args:
        data_dir: The data folder, which exists and can be written.
    """
    for name in ("sessions.yaml", "settings.yaml"):
        if not (data_dir / name).exists():
            shutil.copyfile(SHIPPED_FILES / name, data_dir / name)


def demo_deployment(settings: Settings, environment: Mapping[str, str]) -> Deployment:
    """Prepare the demo in `data_dir/demo` and describe its deployment.

    The folder also gets an `.env`, so that an `ingest` command started there is about the demo.

    Args:
        settings: The settings as loaded here; only the data folder and tuning values count.
        environment: This process's environment, which the parts inherit but for `REAL_DATA_VARIABLES`.

    Raises:
        ConfigurationError: The folder cannot be written.
    """
    from ingest_pipeline.demo.session import prepare_demo

    data_dir = settings.data_dir.absolute() / "demo"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        own = {**prepare_demo(data_dir), "INGEST_DATA_DIR": str(data_dir)}
        lines = [env_line(name, value) for name, value in sorted(own.items())]
        (data_dir / ".env").write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"cannot prepare the demo in {data_dir}: {error.strerror}. Make it writable, or set "
            "INGEST_DATA_DIR to another folder"
        ) from None
    inherited = {
        name: value
        for name, value in environment.items()
        if name.upper() not in REAL_DATA_VARIABLES and not name.upper().startswith(NOTIFY_PREFIX)
    }
    return Deployment(data_dir, _completed({**inherited, **own}, data_dir), is_demo=True)


def _completed(environment: dict[str, str], data_dir: Path) -> dict[str, str]:
    own = {"DAGSTER_HOME": str(data_dir / "dagster"), "PYTHONUNBUFFERED": "1", **NO_ENV_FILE}
    # Nobody else's runs are in that home.
    return {"INGEST_PRUNE_DAGSTER": "true", **environment, **own}


def is_loopback(host: str) -> bool:
    """Return whether an address to listen on can be reached from this machine only."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def require_login(host: str, *, has_login: bool, is_accepted: bool) -> None:
    """Check that a server without a login is for this machine only, or that a setting allows others.

    Args:
        host: The address to listen on.
        has_login: Whether who comes in is asked who they are.
        is_accepted: Whether `--without-login` was given.

    Raises:
        ConfigurationError: Everybody who reaches the address would come in, and no setting allows it.
    """
    if not (has_login or is_accepted or is_loopback(host)):
        raise ConfigurationError(
            f"on {host} everyone who reaches this machine would have access without a login: listen on "
            "127.0.0.1 behind a proxy with authentication, or add --without-login"
        )


def banner(deployment: Deployment, url: str, live_url: str | None = None) -> str:
    """Return the lines that say where everything is.

    Args:
        deployment: What runs.
        url: Address of the web interface.
        live_url: Address of the live page and the HTTP interface, or None when they do not run.
    """
    live = [("Live", f"{live_url} (the live session; HTTP interface)")] if live_url else []
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
        ("Real", f"put DISCORD_OAUTH_TOKEN=… into {_short(HOME_FOLDER / '.env')} and start again"),
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
    if deployment.data_dir != DEFAULT_DATA_DIR / "demo":
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
