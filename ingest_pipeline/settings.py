"""The settings, read once by an entry point and passed down.

Settings come from the environment with the prefix `INGEST_`; the two tokens and the poll interval
keep the names they have in the project's founding notes. What a user edits while things run
(sessions, the settings of channels) lives in files under `data/` or in the database and is not here.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ingest_pipeline.env_file import has_control_character, read_env_file
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.installation import DEFAULT_DATA_DIR, HOME_FOLDER
from ingest_pipeline.redaction import guard, guard_address
from ingest_pipeline.setting_types import Cron, Levels, PathPrefix, PositiveInt, PublicAddress, WebAddress

RENAMED_VARIABLES = {
    "INGEST_SWEEP_HOURS": "INGEST_POST_SESSION_HOURS",
    "INGEST_BOT_CATCH_UP_HOURS": "INGEST_BOT_LOOKBACK_HOURS",
}
"""Old names of variables, which are read for one version more, by the new ones."""

NOTIFY_PREFIX = "INGEST_NOTIFY_"
NOTIFY_VARIABLES = f"{NOTIFY_PREFIX}*"

_logger = logging.getLogger(__name__)


class Settings(BaseSettings):
    """The deployment's settings; frozen.

    Attributes:
        data_dir: Where everything that is written goes (database, landing files, Dagster's home).
        database_url: `postgresql://…`, or None for DuckDB at `data_dir/ingest.duckdb`.
        landing_url: Folder or fsspec URL (`s3://…`) of the landing store; None for `data_dir/landing`.
        discord_oauth_token: The account token the exporter reads with.
        discord_bot_token: The bot's token for the gateway; without an account's the exporter reads with it.
        discord_guild_id: The only guild in which the bot monitors channels unasked.
        discord_channel_id: A channel that the bot monitors wherever it sees it.
        bot_monitor: What the bot monitors of a guild it sees for the first time: patterns, spaces between.
        bot_lookback_hours: How long before a gap the bot reads again, for edits and deletions.
        poll_interval_seconds: Seconds between two ticks while a session is live.
        exporter_path: The DiscordChatExporter CLI executable.
        exporter_follow_latest: Install the exporter's latest release instead of the pinned version.
        exporter_timeout_seconds: Time limit of one exporter run.
        window_minutes: Width of a window partition.
        session_max_hours: Time covered by the window keys; a longer session's last window takes the rest.
        overlap_seconds: How far a poll reaches back behind what is proven.
        settle_seconds: How long after its end a window may change; also the clock error that proofs tolerate.
        max_backoff_seconds: Longest pause between polls after repeated failure.
        database_wait_seconds: Longest wait for another process to release the embedded database.
        post_session_hours: How long after its end a session that is not proven complete is still polled.
        batch_rows: Rows merged in one step, which bounds memory.
        kinds: Python and YAML files with further kinds of content, with commas between.
        default_channel_id: The channel of sessions that name none.
        executor: Where a run's steps are executed: in the run's own process, or by Celery workers.
        celery_broker_url: `redis://…` or `amqp://…`, for the Celery executor only.
        celery_redelivery_seconds: How long a step belongs to a worker that is not heard of again
            before a Redis broker gives it to another; longer than any step takes.
        retain_runs_days: Age at which the record of a run that did not fail may be deleted.
        retain_failed_runs_days: The same for runs that failed.
        prune_cron: When such records are deleted, in UTC.
        prune_dagster: Whether that is done by itself; `ingest start` sets it, for its instance is our own.
        api_token: Needed to write by the HTTP interface; without it no client can.
        api_read_token: Needed to read by it; without it everybody who reaches it can.
        retain_events_days: Age at which an event may be deleted; 0 for never.
        retain_landings_days: Age at which the raw exports of a sealed session may be deleted; 0 for never.
        land_raw: Whether what the bot and history read is kept as it came.
        retain_raw_days: Age at which that may be deleted; 0 for never.
        retention_cron: When they are, in UTC.
        install_intent_grace_seconds: How long an invitation stays after it has expired.
        purge_intents_cron: When those are deleted, in UTC.
        schedules_cron: When subscribed schedules are read, in UTC.
        catalogue_cron: When guilds and channels are looked at, in UTC.
        permissions_cron: When it is asked whether the bot may still read the monitored channels, in UTC.
        verify_cron: When the table is compared with Discord, in UTC.
        verify_sample: Messages of each channel that the bot then reads; 0 for all.
        verify_days: Age up to which sessions are then looked at.
        web_hosts: Names under which a proxy makes the web servers known, with commas between.
        web_prefix: What comes before the paths of Dagster's web interface, such as `/dagster`.
        api_prefix: What comes before those of the HTTP interface and its page, such as `/radio`.
        alert_webhook_url: Where alerts are sent; without it nowhere.
        notify_addresses: Where notifications are sent, by name: `INGEST_NOTIFY_PIT_WALL` is `pit_wall`.
        embeddings_url: An OpenAI-compatible endpoint for semantic search; without it there is none.
        embeddings_model: The model that it is asked for.
        embeddings_api_key: Its key, if it needs one.
        alert_after_failures: Failures in a row of a live session's polls before an alert is sent.
        log_level: Level of our own loggers.
        log_levels: Levels of components, as `name=level` with commas between; they win over `log_level`.
    """

    model_config = SettingsConfigDict(
        env_prefix="INGEST_", frozen=True, extra="ignore", env_ignore_empty=True, populate_by_name=True
    )

    data_dir: Path = DEFAULT_DATA_DIR
    database_url: SecretStr | None = None
    landing_url: str | None = None
    discord_oauth_token: SecretStr | None = Field(None, validation_alias="DISCORD_OAUTH_TOKEN")
    discord_bot_token: SecretStr | None = Field(None, validation_alias="DISCORD_BOT_TOKEN")
    discord_guild_id: PositiveInt | None = Field(None, validation_alias="DISCORD_GUILD_ID")
    discord_channel_id: PositiveInt | None = Field(None, validation_alias="DISCORD_CHANNEL_ID")
    bot_monitor: str | None = None
    bot_lookback_hours: Annotated[float, Field(ge=0, le=10_000)] = 24
    poll_interval_seconds: PositiveInt = Field(30, validation_alias="POLL_INTERVAL_SECONDS")
    exporter_path: Path = HOME_FOLDER / "discord_msg_fetcher" / "DiscordChatExporter.Cli"
    exporter_follow_latest: bool = False
    exporter_timeout_seconds: PositiveInt = 120
    window_minutes: PositiveInt = 5
    session_max_hours: PositiveInt = 6
    overlap_seconds: Annotated[int, Field(ge=0)] = 30
    settle_seconds: Annotated[int, Field(ge=0)] = 60
    max_backoff_seconds: PositiveInt = 900
    database_wait_seconds: PositiveInt = 60
    post_session_hours: Annotated[int, Field(ge=0)] = 24
    batch_rows: PositiveInt = 20_000
    kinds: str | None = None
    default_channel_id: PositiveInt | None = None
    executor: Literal["in_process", "celery"] = "in_process"
    celery_broker_url: SecretStr | None = None
    celery_redelivery_seconds: PositiveInt = 1800
    retain_runs_days: PositiveInt = 14
    retain_failed_runs_days: PositiveInt = 90
    prune_cron: Cron = "30 4 * * *"
    prune_dagster: bool = False
    api_token: SecretStr | None = None
    api_read_token: SecretStr | None = None
    retain_events_days: Annotated[int, Field(ge=0)] = 90
    retain_landings_days: Annotated[int, Field(ge=0)] = 0
    land_raw: bool = True
    retain_raw_days: Annotated[int, Field(ge=0)] = 0
    retention_cron: Cron = "45 4 * * *"
    install_intent_grace_seconds: Annotated[int, Field(ge=0)] = 300
    purge_intents_cron: Cron = "*/10 * * * *"
    schedules_cron: Cron = "*/20 * * * *"
    catalogue_cron: Cron = "*/15 * * * *"
    permissions_cron: Cron = "5 * * * *"
    verify_cron: Cron = "15 5 * * *"
    verify_sample: Annotated[int, Field(ge=0)] = 1000
    verify_days: PositiveInt = 7
    web_hosts: str = ""
    web_prefix: PathPrefix = ""
    api_prefix: PathPrefix = ""
    alert_webhook_url: WebAddress | None = None
    # An alias that is no variable's name: `settings_from` finds the variables.
    notify_addresses: dict[str, SecretStr] = Field(default_factory=dict, validation_alias=NOTIFY_VARIABLES)
    embeddings_url: PublicAddress | None = None
    embeddings_model: str | None = None
    embeddings_api_key: SecretStr | None = None
    alert_after_failures: PositiveInt = 2
    log_level: str = "INFO"
    log_levels: Levels = ""

    @property
    def component_log_levels(self) -> dict[str, str]:
        """The level of each logger that `log_levels` names."""
        items = (item.partition("=") for item in self.log_levels.replace(",", " ").split())
        return {name: level.upper() for name, _, level in items}

    @property
    def web_host_names(self) -> tuple[str, ...]:
        """The names under which a proxy makes the web servers known."""
        return tuple(name for name in self.web_hosts.replace(",", " ").split() if name)

    @field_validator("*", mode="before")
    @classmethod
    def _require_clear_text(cls, value: object) -> object:
        """Refuse what foreign line ends or a cut paste leave in a value.

        Raises:
            ValueError: There is a control character.
        """
        if isinstance(value, str) and has_control_character(value):
            raise ValueError("it has a line break or another control character")
        return value

    @field_validator("data_dir", "exporter_path", "landing_url", mode="before")
    @classmethod
    def _require_whole_path(cls, value: object) -> object:
        """Refuse a path that only a shell would complete.

        Raises:
            ValueError: It begins with `~`.
        """
        if isinstance(value, str) and value.startswith("~"):
            raise ValueError("~ is not expanded here: write the whole path")
        return value

    def model_post_init(self, context: Any, /) -> None:
        """Keep every secret out of what this process logs and prints."""
        del context
        values = (getattr(self, name) for name in type(self).model_fields)
        guard(*(value.get_secret_value() for value in values if isinstance(value, SecretStr)))
        guard_address(*(address.get_secret_value() for address in self.notify_addresses.values()))
        if self.landing_url and "@" in self.landing_url:
            guard(self.landing_url)

    @property
    def exporter_token(self) -> SecretStr | None:
        """The exporter's token: the account's, else the bot's, which it accepts too."""
        return self.discord_oauth_token or self.discord_bot_token

    @property
    def database_path(self) -> Path:
        """The embedded database's file."""
        return self.data_dir / "ingest.duckdb"

    @property
    def landing_root(self) -> str:
        """The landing store's folder or URL."""
        return self.landing_url or str(self.data_dir / "landing")

    @property
    def normalized_root(self) -> str:
        """The folder or URL of the normalized Parquet files."""
        url = self.landing_url
        return f"{url.rstrip('/')}/_normalized" if url else str(self.data_dir / "normalized")

    @property
    def sessions_file(self) -> Path:
        """The sessions that a user edits by hand."""
        return self.data_dir / "sessions.yaml"

    @property
    def settings_file(self) -> Path:
        """The settings of channels that a user edits by hand."""
        return self.data_dir / "settings.yaml"

    @property
    def dagster_home(self) -> Path:
        """Dagster's own folder: runs, event log, schedules."""
        return self.data_dir / "dagster"

    @property
    def overlap(self) -> timedelta:
        """`overlap_seconds` as a duration."""
        return timedelta(seconds=self.overlap_seconds)

    @property
    def settle(self) -> timedelta:
        """`settle_seconds` as a duration."""
        return timedelta(seconds=self.settle_seconds)


def load_settings(env_file: Path | None = None, **overrides: object) -> Settings:
    """Read the settings from the environment and, below it, an `.env` file.

    Args:
        env_file: A file of `NAME=value` lines; ignored when absent. `environment.load_environment` finds
            the one that counts.
        **overrides: Values by field name that win over both.

    Raises:
        ConfigurationError: A value does not fit its setting; the message names the variable, never
            the value of a secret. Or the file cannot be read.
    """
    variables = read_env_file(env_file) if env_file is not None and env_file.is_file() else {}
    return settings_from(variables, **overrides)


def settings_from(variables: Mapping[str, str], **overrides: object) -> Settings:
    """Read the settings from the environment and, below it, given variables.

    Args:
        variables: Values by the name of their variable; others than those of settings are passed over.
        **overrides: Values by field name that win over both.

    Raises:
        ConfigurationError: As `load_settings`.
    """
    given = {name.upper(): value for name, value in os.environ.items() if value}
    by_name = _with_new_names(variables) | _with_new_names(given)
    below: dict[str, object] = {}
    for field, information in Settings.model_fields.items():
        name = variable_name(field)
        if by_name.get(name) and name not in given and field not in overrides:
            below[str(information.validation_alias or field)] = by_name[name]
    addresses = {
        name.removeprefix(NOTIFY_PREFIX).lower(): SecretStr(value.strip())
        for name, value in (by_name | _with_new_names(given)).items()
        if name.startswith(NOTIFY_PREFIX) and value.strip()
    }
    if addresses:
        below[NOTIFY_VARIABLES] = addresses
    try:
        return Settings(**{**below, **overrides})  # type: ignore[arg-type]
    except ValidationError as error:
        problems = "; ".join(f"{_variable(issue['loc'])}: {issue['msg']}" for issue in error.errors())
        raise ConfigurationError(
            f"wrong settings: {problems}. Correct them in the environment or .env"
        ) from None


def _with_new_names(variables: Mapping[str, str]) -> dict[str, str]:
    """Return variables by their new names; a value given under an old name counts below one of the new."""
    by_name = {name.upper(): value for name, value in variables.items()}
    for old, new in RENAMED_VARIABLES.items():
        if by_name.get(old):
            _logger.warning("%s is now %s: rename it, the old name is read for one version more", old, new)
            by_name[new] = by_name.get(new) or by_name[old]
    return by_name


def variable_name(field: str) -> str:
    """Return the environment variable of a setting."""
    return str(Settings.model_fields[field].validation_alias or f"INGEST_{field.upper()}")


def _variable(location: tuple[int | str, ...]) -> str:
    name = str(location[0]) if location else "settings"
    return name if name.isupper() else f"INGEST_{name.upper()}"
