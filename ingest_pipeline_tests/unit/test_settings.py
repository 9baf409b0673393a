"""Settings are read once, from the environment and below it a file, and wrong ones name their variable."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"INGEST_{name.upper()}", raising=False)
    for name in ("DISCORD_OAUTH_TOKEN", "DISCORD_BOT_TOKEN", "POLL_INTERVAL_SECONDS"):
        monkeypatch.delenv(name, raising=False)


def test_without_anything_set_the_embedded_default_is_whole() -> None:
    """Nothing needs to be configured."""
    settings = load_settings()
    assert (settings.database_url, settings.poll_interval_seconds) == (None, 30)
    assert settings.database_path.is_relative_to(settings.data_dir)
    assert settings.landing_root == str(settings.data_dir / "landing")


def test_the_data_folder_moves_everything_that_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also what users edit there."""
    monkeypatch.setenv("INGEST_DATA_DIR", str(tmp_path))
    settings = load_settings()
    for path in (
        settings.database_path,
        settings.sessions_file,
        settings.settings_file,
        settings.dagster_home,
    ):
        assert path.is_relative_to(tmp_path)
    assert settings.landing_root.startswith(str(tmp_path))
    assert settings.normalized_root.startswith(str(tmp_path))


def test_normalized_files_follow_the_landing_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that share one share the other."""
    monkeypatch.setenv("INGEST_LANDING_URL", "s3://bucket/prefix/")
    assert load_settings().normalized_root == "s3://bucket/prefix/_normalized"


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And what a caller gives wins over both."""
    env_file = tmp_path / ".env"
    env_file.write_text("POLL_INTERVAL_SECONDS=15\nINGEST_WINDOW_MINUTES=10\nDISCORD_OAUTH_TOKEN=t\n")
    monkeypatch.setenv("POLL_INTERVAL_SECONDS", "20")
    settings = load_settings(env_file, overlap_seconds=7)
    assert (settings.poll_interval_seconds, settings.window_minutes, settings.overlap_seconds) == (20, 10, 7)
    assert settings.discord_oauth_token is not None
    assert settings.discord_oauth_token.get_secret_value() == "t"


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `.env.example` leaves them."""
    monkeypatch.setenv("DISCORD_OAUTH_TOKEN", "")
    monkeypatch.setenv("POLL_INTERVAL_SECONDS", "")
    settings = load_settings()
    assert (settings.discord_oauth_token, settings.poll_interval_seconds) == (None, 30)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POLL_INTERVAL_SECONDS", "0"),
        ("INGEST_WINDOW_MINUTES", "five"),
        ("INGEST_OVERLAP_SECONDS", "-1"),
        ("INGEST_ALERT_WEBHOOK_URL", "hooks.example.org/secret"),
        ("INGEST_DATA_DIR", "~/data"),
        ("DISCORD_OAUTH_TOKEN", "token\r"),
    ],
)
def test_a_wrong_value_names_its_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """And says where to correct it."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=rf"{name}.*\.env"):
        load_settings()


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """With its name and the form it should have."""
    env_file = tmp_path / ".env"
    env_file.write_bytes(b"A=\xff\n")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        load_settings(env_file)


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the settings' text nor in that of the URL."""
    monkeypatch.setenv("DISCORD_OAUTH_TOKEN", "secret-token")
    monkeypatch.setenv("INGEST_DATABASE_URL", "postgresql://user:secret-word@host/db")
    assert "secret" not in repr(load_settings())


@pytest.mark.parametrize("cron", ["15 5 * * *", "*/10 * * * *", "0 0,12 1-7/2 1 0-7"])
def test_a_schedule_is_taken(monkeypatch: pytest.MonkeyPatch, cron: str) -> None:
    """Five fields; spaces do not matter."""
    monkeypatch.setenv("INGEST_VERIFY_CRON", cron.replace(" ", "  "))
    assert load_settings().verify_cron == cron


@pytest.mark.parametrize(
    "cron",
    [
        "daily",
        "5 * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "9-5 * * * *",
        "*/0 * * * *",
        "0 0 L * *",
        "0 0 31 2 *",
    ],
)
def test_a_schedule_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, cron: str) -> None:
    """With its variable, what was given and an example."""
    monkeypatch.setenv("INGEST_VERIFY_CRON", cron)
    with pytest.raises(ConfigurationError, match=r"INGEST_VERIFY_CRON.*30 4"):
        load_settings()


@pytest.mark.parametrize("new", [None, "7"])
def test_an_old_name_is_read_below_the_new_one_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture, new: str | None
) -> None:
    """In the environment, and in the file below it."""
    file = tmp_path / ".env"
    file.write_text("INGEST_SWEEP_HOURS=3\nINGEST_BOT_CATCH_UP_HOURS=48\n")
    assert (load_settings(file).post_session_hours, load_settings(file).bot_lookback_hours) == (3, 48)
    monkeypatch.setenv("INGEST_SWEEP_HOURS", "5")
    if new:
        monkeypatch.setenv("INGEST_POST_SESSION_HOURS", new)
    assert load_settings(file).post_session_hours == int(new or "5")
    assert "INGEST_SWEEP_HOURS is now INGEST_POST_SESSION_HOURS" in caplog.text
