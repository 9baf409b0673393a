"""The deployment of the stack: the real data, or the demo in a folder and environment of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ingest_pipeline.env_file import env_line
from ingest_pipeline.environment import NO_ENV_FILE
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.settings import Settings
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


@dataclass(frozen=True, slots=True)
class Deployment:
    """What the parts are given.

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
        name: value for name, value in environment.items() if name.upper() not in REAL_DATA_VARIABLES
    }
    return Deployment(data_dir, _completed({**inherited, **own}, data_dir), is_demo=True)


def _completed(environment: dict[str, str], data_dir: Path) -> dict[str, str]:
    own = {"DAGSTER_HOME": str(data_dir / "dagster"), "PYTHONUNBUFFERED": "1", **NO_ENV_FILE}
    # Nobody else's runs are in that home.
    return {"INGEST_PRUNE_DAGSTER": "true", **environment, **own}
