"""The checks of `ingest doctor`. A check reads and probes; it never repairs, and never shows a secret."""

from __future__ import annotations

import os
import re
import shutil
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from ingest_pipeline.cli.output import moment_text
from ingest_pipeline.domain.sessions.session import live_sessions, next_session
from ingest_pipeline.environment import find_env_file, unknown_variables
from ingest_pipeline.errors import IngestError
from ingest_pipeline.installation import HOME_FOLDER
from ingest_pipeline.private_files import is_open_to_others
from ingest_pipeline.settings import RENAMED_VARIABLES, Settings
from ingest_pipeline.userconfig.edited_files import decode_text, mapping_items, read_edited_file, yaml_root
from ingest_pipeline.userconfig.schedules.subscriptions import load_subscriptions
from ingest_pipeline.userconfig.session_files import read_sessions
from ingest_pipeline.userconfig.settings_file import default_channel, load_settings_file

LOW_DISK_BYTES = 1_000_000_000
FULL_DISK_BYTES = 100_000_000
# A busy database is reported soon instead of after the whole INGEST_DATABASE_WAIT_SECONDS.
DATABASE_WAIT_SECONDS = 5

# User and bot tokens are three base64url parts; older accounts with two-factor login have "mfa.…".
_TOKEN = re.compile(r"[\w-]{18,}\.[\w-]{4,}\.[\w-]{20,}|mfa\.[\w-]{60,}", re.ASCII)


# The coordinator of a Celery deployment exports nothing itself.
_WORKERS_REMEDY = "a coordinator needs none: each Celery worker does"


class State(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding.

    Attributes:
        name: What was looked at.
        state: How it is.
        detail: What was found.
        remedy: What to do; empty when nothing.
    """

    name: str
    state: State
    detail: str
    remedy: str = ""


def run_checks(settings: Settings) -> list[Check]:
    """Run every check; one that cannot finish is a failure of its own, never an exception."""
    checks: dict[str, Callable[[Settings], Check]] = {
        "token": check_token,
        "exporter": check_exporter,
        "database": check_database,
        "sessions": check_sessions,
        "channels": check_channels,
        "landing": check_landing,
        "dagster home": check_dagster_home,
        "disk": check_disk,
    }
    if settings.discord_bot_token is not None:
        checks["bot"] = check_bot
    found = [replace(_run(check, settings), name=name) for name, check in checks.items()]
    # A check without a finding that a user needs prints nothing.
    more = (
        check_notifications(settings),
        check_env_file(),
        check_variables(),
        check_data_files(settings),
        check_certificates(),
        check_erasures(settings),
    )
    return found + [check for check in more if check is not None]


def _run(check: Callable[[Settings], Check], settings: Settings) -> Check:
    try:
        return check(settings)
    except IngestError as error:
        return Check("", State.FAIL, str(error))
    except Exception as error:  # noqa: BLE001 - a broken part must not hide the others
        return Check("", State.FAIL, f"{type(error).__name__}: {error}")


def check_token(settings: Settings) -> Check:
    """Check that a token is set and shaped like one; Discord is not asked."""
    name = "DISCORD_BOT_TOKEN" if settings.discord_oauth_token is None else "DISCORD_OAUTH_TOKEN"
    if settings.exporter_token is None:
        missing = "neither DISCORD_OAUTH_TOKEN nor DISCORD_BOT_TOKEN is set"
        if settings.executor == "celery":
            return Check("token", State.WARN, missing, _WORKERS_REMEDY)
        remedy = f"put one into {HOME_FOLDER / '.env'}; without it, `ingest start` runs the demo"
        return Check("token", State.FAIL, missing, remedy)
    if not _TOKEN.fullmatch(settings.exporter_token.get_secret_value()):
        return Check(
            "token",
            State.WARN,
            f"{name} is set but not shaped like a Discord token",
            "copy it again: no quotes, no spaces, no 'Bot ' before it",
        )
    return Check("token", State.OK, f"{name} is set; the exporter reads with it")


def check_exporter(settings: Settings) -> Check:
    """Start the exporter and ask for its version."""
    from ingest_pipeline.sources.exporter.chat_exporter import ChatExporter

    path = settings.exporter_path
    if not path.is_file():
        if settings.executor == "celery":
            return Check("exporter", State.WARN, f"{path} does not exist", _WORKERS_REMEDY)
        remedy = "run `ingest exporter`, which fetches it, or set INGEST_EXPORTER_PATH"
        return Check("exporter", State.FAIL, f"{path} does not exist", remedy)
    if not os.access(path, os.X_OK):
        return Check("exporter", State.FAIL, f"{path} is not executable", f"run `chmod +x {path}`")
    timeout = settings.exporter_timeout_seconds
    exporter = ChatExporter(path, settings.exporter_token, timeout_seconds=timeout)
    version = exporter.version()
    return Check("exporter", State.OK, f"version {version} at {path}; {_threads(settings, version)}")


def _threads(settings: Settings, version: str) -> str:
    """Say by whom, and when, the threads of sessions' channels are read."""
    from ingest_pipeline.sources.exporter.chat_exporter import THREADS_VERSION

    if settings.discord_bot_token is not None:
        return "threads are read by the bot"
    first, stated = (tuple(map(int, re.findall(r"\d+", text)[:2])) for text in (THREADS_VERSION, version))
    if stated < first:
        return f"threads of sessions' channels are not read: that takes {THREADS_VERSION} or newer, or a bot"
    return "threads of sessions' channels are read when a session is sealed, with a bot at once"


def check_database(settings: Settings) -> Check:
    """Open the database, which applies its migrations, write to it and count its rows."""
    from ingest_pipeline.storage.engine.open import open_database
    from ingest_pipeline.storage.messages.deletions import table_summary
    from ingest_pipeline.storage.messages.membership import count_mislinked
    from ingest_pipeline.storage.runs.state import set_state

    database = open_database(settings.model_copy(update={"database_wait_seconds": DATABASE_WAIT_SECONDS}))
    try:
        with database.write() as connection:
            set_state(connection, "doctor_wrote_at", datetime.now(UTC).isoformat())
        with database.read() as connection:
            rows = table_summary(connection)["rows"]
            mislinked = count_mislinked(connection)
        detail = f"{database.engine}, migrated and writable, {rows:,} messages"
        if mislinked:
            detail += f", {mislinked:,} of which have another session than their channel and time call for"
            remedy = (
                "another program wrote to the tables: `ingest sessions add --replace` links a "
                "session's messages again"
            )
            return Check("database", State.FAIL, detail, remedy)
        return Check("database", State.OK, detail)
    finally:
        database.close()


def check_sessions(settings: Settings) -> Check:
    """Read the sessions file and the stored sessions."""
    from ingest_pipeline.storage.engine.open import open_database
    from ingest_pipeline.storage.messages.sessions import list_sessions

    if settings.sessions_file.is_file():
        read_sessions(settings.sessions_file, default_channel_id=default_channel(settings))
    database = open_database(settings.model_copy(update={"database_wait_seconds": DATABASE_WAIT_SECONDS}))
    try:
        with database.read() as connection:
            sessions = list_sessions(connection)
    finally:
        database.close()
    now = datetime.now(UTC)
    live, coming = live_sessions(sessions, now), next_session(sessions, now)
    detail = f"{len(sessions)} stored, live: {live[0].session_id if live else 'none'}, next: "
    detail += f"{coming.session_id} at {moment_text(coming.start_time)}" if coming else "none"
    if live or coming:
        return Check("sessions", State.OK, detail)
    return Check("sessions", State.WARN, detail, "add one with `ingest sessions add`")


def check_channels(settings: Settings) -> Check:
    """Read the settings of channels, and the subscribed schedules beside them."""
    file = load_settings_file(settings.settings_file)
    subscribed = load_subscriptions(settings)
    detail = (
        f"{len(file.channels)} channels with settings of their own, {len(subscribed)} subscribed schedules"
    )
    return Check("channels", State.OK, detail)


def check_notifications(settings: Settings) -> Check | None:
    """Look for wrong rules, and for addresses that are not set or of no known service; nothing is sent."""
    from ingest_pipeline.notifications.active_rules import load_active_rules
    from ingest_pipeline.notifications.transport import is_known_address

    try:
        active = load_active_rules(settings)
    except IngestError as error:
        return Check("notifications", State.FAIL, str(error))
    used = sorted({name for names in active.targets.values() for name in names})
    unset = [f"INGEST_NOTIFY_{name.upper()}" for name in used if name not in active.addresses]
    if unset:
        return Check("notifications", State.WARN, f"rules name {', '.join(unset)}", "set each in .env")
    wrong = [name for name in used if not is_known_address(active.addresses[name])]
    remedy = "write a URL of apprise, see docs/notifications.md"
    return Check("notifications", State.WARN, f"no service: {', '.join(wrong)}", remedy) if wrong else None


def check_landing(settings: Settings) -> Check:
    """Write a file into the landing store and delete it; neither folder nor bucket is made."""
    from ingest_pipeline.landing.stored_files import open_root, try_store

    root = open_root(settings.landing_root)
    try_store(root)
    return Check("landing", State.OK, f"{root} can be written")


def check_dagster_home(settings: Settings) -> Check:
    """Check that Dagster's folder exists and is writable, and that its dagster.yaml is readable."""
    home = Path(os.environ.get("DAGSTER_HOME") or settings.dagster_home)
    if not home.is_dir():
        return Check(
            "dagster home", State.WARN, f"{home} does not exist", "run `ingest start`, which makes it"
        )
    if not os.access(home, os.W_OK):
        remedy = "give this user the right to write there, or set INGEST_DATA_DIR"
        return Check("dagster home", State.FAIL, f"{home} cannot be written", remedy)
    config = home / "dagster.yaml"
    if not config.is_file():
        remedy = "run `ingest start`, which puts it there"
        return Check("dagster home", State.WARN, f"{config} does not exist", remedy)
    root = yaml_root(decode_text(read_edited_file(config), str(config)), str(config))
    if root is not None:
        mapping_items(root, str(config), "the document")
    return Check("dagster home", State.OK, f"{home} is writable and has its dagster.yaml")


def check_bot(settings: Settings) -> Check:
    """Check the bot's state in the database; Discord is not asked."""
    from ingest_pipeline.monitoring.status import BotState, bot_status
    from ingest_pipeline.storage.engine.open import open_database

    database = open_database(settings.model_copy(update={"database_wait_seconds": DATABASE_WAIT_SECONDS}))
    try:
        with database.read() as connection:
            bot = bot_status(connection, datetime.now(UTC))
    finally:
        database.close()
    if bot.since is None:
        remedy = "`ingest bot --check` shows its permissions and what is missing; `ingest start` starts it"
        return Check("bot", State.WARN, "DISCORD_BOT_TOKEN is set, and the bot never ran", remedy)
    detail = f"{bot.state.value} since {moment_text(bot.since)}" + (f": {bot.reason}" if bot.reason else "")
    if bot.state in {BotState.STOPPED, BotState.LOST}:
        remedy = f"`ingest start` starts it; its log is {settings.data_dir / 'logs' / 'bot.log'}"
        return Check("bot", State.WARN, detail, remedy)
    return Check("bot", State.OK, detail)


def check_env_file() -> Check | None:
    """Check whether others can read the `.env` file; None if they cannot."""
    file = find_env_file(os.environ, Path.cwd())
    if file is None or not (
        file.path.is_file() and file.path.stat().st_size and is_open_to_others(file.path)
    ):
        return None
    detail = f"{file.path} can be read by other users of this machine"
    return Check("env file", State.WARN, detail, f"run `chmod 600 {file.path}`")


def check_variables() -> Check | None:
    """Check for variables that are named like settings but are not; None without any."""
    unknown = unknown_variables(os.environ, Path.cwd())
    if not unknown:
        return None
    remedies = [
        f"rename {name} to {nearest}, or unset it" if nearest else f"unset {name}"
        for name, nearest in unknown.items()
    ]
    unread = [name for name in unknown if name not in RENAMED_VARIABLES]
    details = [f"{name} is the old name of a setting" for name in unknown if name in RENAMED_VARIABLES]
    if unread:
        details.append(f"nothing reads {', '.join(unread)}: no setting has this name")
    return Check("variables", State.WARN, "; ".join(details), "; ".join(remedies))


def check_data_files(settings: Settings) -> Check | None:
    """Check whether others can read the database, as an earlier version allowed; None if they cannot."""
    path = settings.database_path
    if settings.database_url is not None or not (is_open_to_others(path) and is_open_to_others(path.parent)):
        return None
    detail = f"{path} can be read by other users of this machine"
    remedy = f"run `chmod -R go= {path.parent}`, unless they should"
    return Check("data files", State.WARN, detail, remedy)


def check_erasures(settings: Settings) -> Check | None:
    """Check whether everything that was erased is gone; None if it is."""
    from ingest_pipeline.erasure.list_file import erasure_problem

    problem = erasure_problem(settings)
    return Check("erasures", State.FAIL, problem, "run `ingest erase`") if problem else None


def check_certificates() -> Check | None:
    """Check for root certificates to verify servers with; None if there are some."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE"):
        value = os.environ.get(name)
        if value and not Path(value).exists():
            remedy = "correct or unset it: no server's certificate can be checked"
            return Check("certificates", State.FAIL, f"{name} names {value}, which does not exist", remedy)
    places = ssl.get_default_verify_paths()
    folder = Path(places.capath or places.openssl_capath)
    if ssl.create_default_context().cert_store_stats()["x509_ca"] or (
        folder.is_dir() and any(folder.iterdir())
    ):
        return None
    remedy = "install them (Debian, Ubuntu: apt install ca-certificates), or set SSL_CERT_FILE"
    return Check("certificates", State.WARN, "this system has no root certificates", remedy)


def check_disk(settings: Settings) -> Check:
    """Check the free space of the data folder's disk."""
    folder = settings.data_dir.absolute()
    folder = next(each for each in (folder, *folder.parents) if each.exists())
    free = shutil.disk_usage(folder).free
    detail = f"{free / 1e9:.1f} GB free at {folder}"
    remedy = "make room, or set INGEST_DATA_DIR to another disk"
    if free < FULL_DISK_BYTES:
        return Check("disk", State.FAIL, detail, remedy)
    if free < LOW_DISK_BYTES:
        return Check("disk", State.WARN, detail, remedy)
    return Check("disk", State.OK, detail)
