"""What doctor finds, and that it never shows a secret."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from ingest_pipeline.cli.commands.operations import doctor_checks
from ingest_pipeline.demo.session import install_stand_in
from ingest_pipeline.errors import ExitCode
from ingest_pipeline.settings import Settings, load_settings
from ingest_pipeline_tests.cli_runs import Cli

TOKEN = "A" * 24 + ".abcdef." + "b" * 38


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command in a folder where everything works."""
    cli = Cli(tmp_path, {"DISCORD_OAUTH_TOKEN": TOKEN})
    world = tmp_path / "world.json"
    world.write_text(
        '{"version": "2.47", "guild": {"id": "1", "name": "x"}, "channels": []}', encoding="utf-8"
    )
    cli.environment["INGEST_EXPORTER_PATH"] = str(install_stand_in(tmp_path, world))
    home = tmp_path / "data" / "dagster"
    home.mkdir(parents=True)
    home.parent.chmod(0o700)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    cli.add_session("race", start="2098-09-06T13:00:00Z", end="2098-09-06T15:00:00Z")
    return cli


def found(cli: Cli, name: str) -> dict[str, Any]:
    """Return the finding of one check."""
    [check] = [check for check in cli("doctor", "--json").json["checks"] if check["name"] == name]
    return dict(check)


def test_where_everything_works_the_doctor_is_content(cli: Cli) -> None:
    """Every check is ok, the exit code is 0 and no remedy is given."""
    outcome = cli("doctor", "--json")
    report = outcome.json
    assert (outcome.code, report["ok"]) == (0, True)
    assert [(check["name"], check["state"], check["remedy"]) for check in report["checks"]] == [
        (name, "ok", "")
        for name in (
            "token",
            "exporter",
            "database",
            "sessions",
            "channels",
            "landing",
            "dagster home",
            "disk",
        )
    ]
    assert "2.47" in found(cli, "exporter")["detail"]
    assert (
        "threads of sessions' channels are read when a session is sealed" in found(cli, "exporter")["detail"]
    )
    assert found(cli, "sessions")["detail"] == "1 stored, live: none, next: race at 2098-09-06T13:00:00Z"


@pytest.mark.slow
def test_the_token_is_never_shown(cli: Cli) -> None:
    """Neither a good one nor one of the wrong shape."""
    for token in (TOKEN, "Bot " + TOKEN, f'"{TOKEN}"'):
        cli.environment["DISCORD_OAUTH_TOKEN"] = token
        for outcome in (cli("doctor"), cli("doctor", "--json"), cli("--verbose", "doctor")):
            assert TOKEN not in outcome.stdout + outcome.stderr


@pytest.mark.parametrize(
    ("token", "state"),
    [("", "fail"), ("Bot " + TOKEN, "warn"), (f'"{TOKEN}"', "warn"), ("changeme", "warn"), (TOKEN, "ok")],
)
def test_the_token_s_presence_and_shape_are_judged(cli: Cli, token: str, state: str) -> None:
    """Absent is a failure, an odd shape a warning."""
    cli.environment["DISCORD_OAUTH_TOKEN"] = token
    assert found(cli, "token")["state"] == state


def test_a_coordinator_needs_neither_token_nor_exporter(cli: Cli) -> None:
    """Its workers have them: a warning says so, and the doctor is content."""
    cli.environment |= {"INGEST_EXECUTOR": "celery", "INGEST_CELERY_BROKER_URL": "redis://broker"}
    cli.environment |= {"DISCORD_OAUTH_TOKEN": "", "INGEST_EXPORTER_PATH": str(cli.folder / "none")}
    assert cli("doctor").code == ExitCode.OK
    assert (found(cli, "token")["state"], found(cli, "exporter")["state"]) == ("warn", "warn")


def test_a_variable_that_no_setting_has_is_a_warning_with_the_nearest_name(cli: Cli) -> None:
    """Wherever it is set; what Kubernetes sets for a service of a like name is not one."""
    cli.environment |= {"INGEST_WINDOW_MINUTE": "5", "INGEST_PIPELINE_SERVICE_HOST": "10.0.0.1"}
    (cli.folder / ".env").write_text("INGEST_POLL_INTERVAL_SECONDS=9\n", encoding="utf-8")
    check = found(cli, "variables")
    assert check["state"] == "warn"
    assert "INGEST_POLL_INTERVAL_SECONDS to POLL_INTERVAL_SECONDS" in check["remedy"]
    assert "INGEST_WINDOW_MINUTE to INGEST_WINDOW_MINUTES" in check["remedy"]
    assert "INGEST_PIPELINE_SERVICE_HOST" not in check["remedy"]
    assert cli("doctor").code == ExitCode.OK


def test_an_env_file_that_others_can_read_is_a_warning(cli: Cli) -> None:
    """With the command that closes it; then nothing is said of it."""
    path = cli.folder / ".env"
    path.write_text("INGEST_LOG_LEVEL=INFO\n", encoding="utf-8")
    path.chmod(0o640)
    check = found(cli, "env file")
    assert (check["state"], check["remedy"]) == ("warn", f"run `chmod 600 {path}`")
    assert cli("doctor").code == ExitCode.OK
    path.chmod(0o600)
    assert "env file" not in {check["name"] for check in cli("doctor", "--json").json["checks"]}


def test_data_that_others_can_read_is_a_warning(cli: Cli) -> None:
    """As an earlier version left it."""
    data = cli.folder / "data"
    data.chmod(0o755)
    (data / "ingest.duckdb").chmod(0o644)
    assert found(cli, "data files")["remedy"] == f"run `chmod -R go= {data}`, unless they should"


def test_missing_root_certificates_are_named(cli: Cli) -> None:
    """Those of a variable, and the one that a PostgreSQL URL wants."""
    missing = str(cli.folder / "none.pem")
    cli.environment["SSL_CERT_FILE"] = missing
    check = found(cli, "certificates")
    assert check["state"] == "fail"
    assert f"SSL_CERT_FILE names {missing}" in check["detail"]


def test_a_bot_is_looked_at_when_it_has_a_token(cli: Cli) -> None:
    """Its token serves the exporter as well; that it never ran is a warning."""
    cli.environment |= {"DISCORD_OAUTH_TOKEN": "", "DISCORD_BOT_TOKEN": TOKEN}
    assert found(cli, "token")["detail"] == "DISCORD_BOT_TOKEN is set; the exporter reads with it"
    bot = found(cli, "bot")
    assert (bot["state"], bot["detail"]) == ("warn", "DISCORD_BOT_TOKEN is set, and the bot never ran")


def test_a_failure_makes_the_exit_code_three_with_its_remedy(cli: Cli) -> None:
    """The other checks are still made."""
    cli.environment["INGEST_EXPORTER_PATH"] = str(cli.folder / "none")
    outcome = cli("doctor")
    assert outcome.code == ExitCode.CONFIGURATION
    assert f"fail exporter      {cli.folder / 'none'} does not exist\n" in outcome.stdout
    assert "run `ingest exporter`, which fetches it" in outcome.stdout
    assert "ok   disk" in outcome.stdout


def test_an_exporter_that_cannot_run_is_a_failure(cli: Cli) -> None:
    """Not executable, and executable but no exporter."""
    path = Path(cli.environment["INGEST_EXPORTER_PATH"])
    path.chmod(0o644)
    assert found(cli, "exporter")["remedy"] == f"run `chmod +x {path}`"
    path.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    path.chmod(0o755)
    assert found(cli, "exporter")["state"] == "fail"


def test_a_database_that_cannot_be_opened_is_a_failure(cli: Cli) -> None:
    """A file that is no database is named, and the message is about the database only."""
    (cli.folder / "data" / "ingest.duckdb").write_bytes(b"not a database, but long enough to look at" * 200)
    assert found(cli, "database")["state"] == "fail"
    assert found(cli, "disk")["state"] == "ok"


def test_wrong_edited_files_are_failures_with_their_lines(cli: Cli) -> None:
    """Sessions, channel settings and Dagster's configuration are read."""
    data = cli.folder / "data"
    (data / "sessions.yaml").write_text("- id: x\n  start: noon\n", encoding="utf-8")
    (data / "settings.yaml").write_text("chanels: {}\n", encoding="utf-8")
    (data / "dagster" / "dagster.yaml").write_text("a: [", encoding="utf-8")
    for name, text in (("sessions", "line 1"), ("channels", "line 1"), ("dagster home", "is not YAML")):
        check = found(cli, name)
        assert check["state"] == "fail"
        assert text in check["detail"]


def test_notification_rules_and_their_addresses_are_judged(cli: Cli) -> None:
    """Nothing is said of rules that are right; an address is never shown."""
    settings = cli.folder / "data" / "settings.yaml"
    settings.write_text("notifications:\n  box: {to: pit_wall, wrods: box}\n", encoding="utf-8")
    assert "did you mean 'words'" in found(cli, "notifications")["detail"]
    settings.write_text("notifications:\n  box: {to: pit_wall, words: box}\n", encoding="utf-8")
    assert "INGEST_NOTIFY_PIT_WALL" in found(cli, "notifications")["detail"]
    cli.environment["INGEST_NOTIFY_PIT_WALL"] = "nonsense://secret-of-mine"
    judged = found(cli, "notifications")
    assert (judged["state"], judged["detail"]) == ("warn", "no service: pit_wall")
    cli.environment["INGEST_NOTIFY_PIT_WALL"] = "json://127.0.0.1/secret-of-mine"
    assert "notifications" not in cli("doctor", "--json").stdout


def test_what_start_sh_brings_is_only_warned_of(cli: Cli) -> None:
    """A missing Dagster home and no session to come are no failures."""
    (cli.folder / "data" / "dagster" / "dagster.yaml").unlink()
    assert found(cli, "dagster home")["state"] == "warn"
    (cli.folder / "data" / "dagster").rmdir()
    assert found(cli, "dagster home")["state"] == "warn"
    cli("sessions", "remove", "race")
    outcome = cli("doctor", "--json")
    assert (outcome.code, found(cli, "sessions")["state"]) == (0, "warn")


def test_an_old_name_of_a_setting_is_a_warning_with_the_new_one(cli: Cli) -> None:
    """It is read, so the warning does not say that nothing reads it."""
    cli.environment |= {"INGEST_SWEEP_HOURS": "5"}
    check = found(cli, "variables")
    assert (check["state"], check["detail"]) == ("warn", "INGEST_SWEEP_HOURS is the old name of a setting")
    assert "INGEST_POST_SESSION_HOURS" in check["remedy"]


def test_a_landing_store_that_cannot_be_written_is_a_failure(cli: Cli) -> None:
    """A file where the folder should be, and a store of an unknown kind."""
    (cli.folder / "file").touch()
    for url in (str(cli.folder / "file" / "landing"), "nonesuch://bucket/prefix", "gcs://bucket/prefix"):
        cli.environment["INGEST_LANDING_URL"] = url
        check = found(cli, "landing")
        assert check["state"] == "fail"
        assert "INGEST_LANDING_URL" in check["detail"]


def test_a_landing_probe_leaves_nothing_behind(cli: Cli) -> None:
    """Neither a folder that was not there nor a file in one that was."""
    landing = cli.folder / "data" / "landing"
    assert found(cli, "landing")["state"] == "ok"
    assert not landing.exists()
    landing.mkdir()
    assert found(cli, "landing")["state"] == "ok"
    assert not any(landing.iterdir())


@pytest.mark.parametrize(("free", "state"), [(10**12, "ok"), (5 * 10**8, "warn"), (10**7, "fail")])
def test_free_disk_space_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    """The disk of the data folder counts, also when the folder is not there yet."""
    usage = type("Usage", (), {"free": free})
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage if folder == tmp_path else None)
    settings: Settings = load_settings(data_dir=tmp_path / "not" / "yet")
    check = doctor_checks.check_disk(settings)
    assert check.state == state
    assert str(tmp_path) in check.detail
