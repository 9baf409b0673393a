"""No secret leaves the process, however it is written: one function for every way out."""

from __future__ import annotations

import base64
import json
import logging
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from ingest_pipeline.errors import DatabaseUnavailable, IngestError
from ingest_pipeline.events import Event, EventType
from ingest_pipeline.notifications.transport import Result, send
from ingest_pipeline.notifications.wording import Wording
from ingest_pipeline.redaction import forget, guard, redact, redacted
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.duckdb.engine import DuckDBDatabase
from ingest_pipeline.storage.runs.events import publish
from ingest_pipeline_tests.exports import START
from ingest_pipeline_tests.webhook_receiver import receiving

PASSWORD = "p/s@w?o r:d&é+1"
WRITTEN = (
    PASSWORD,
    quote(PASSWORD, safe=""),
    quote(PASSWORD),
    quote_plus(PASSWORD),
    quote(PASSWORD, safe="").lower(),
    json.dumps(PASSWORD)[1:-1],
)


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("stated", [PASSWORD, quote(PASSWORD, safe="")])
@pytest.mark.parametrize("scheme", ["postgresql", "redis", "https"])
def test_a_password_is_taken_out_however_it_is_written(scheme: str, stated: str, written: str) -> None:
    """The characters that end a host for a parser are part of it, quoted or not."""
    guard(f"{scheme}://me:{stated}@db.example.test:5432/archive?x=1")
    assert redact(f"cannot open >{written}< here") == "cannot open >***< here"


@pytest.mark.parametrize("before", ["", "a", "me:"])
def test_a_secret_in_base64_is_taken_out_wherever_it_begins(before: str) -> None:
    """As clients send it for HTTP's basic authentication; what is left gives no character of it away."""
    guard("correct-horse-battery")
    encoded = base64.b64encode(f"{before}correct-horse-battery".encode()).decode()
    left = redact(f"header {encoded}").removeprefix("header ")
    assert "***" in left
    assert len(left.replace("***", "")) <= 6


@given(secret=st.text(st.characters(codec="utf-8", exclude_characters="*"), min_size=6, max_size=60))
def test_any_secret_is_taken_out_of_any_text(secret: str) -> None:
    """Plain, in JSON, in a URL and in base64."""
    forget()
    guard(secret)
    for written in (
        secret,
        json.dumps(secret)[1:-1],
        quote(secret, safe=""),
        base64.b64encode(secret.encode()).decode().rstrip("="),
    ):
        assert written not in redact(f"<{written}>")


SECRETS = {
    "database_url": f"postgresql://me:{PASSWORD}-0@db/x",
    "discord_oauth_token": "oauth-secret-1",
    "discord_bot_token": "bot-secret-2",
    "celery_broker_url": f"redis://:{PASSWORD}-3@broker/0",
    "api_token": "api-secret-4",
    "api_read_token": "read-secret-5",
    "embeddings_api_key": "embeddings-secret-8",
    "alert_webhook_url": "https://discord.example.test/api/webhooks/1/hook-secret-6",
}


def test_every_secret_of_every_setting_is_known(tmp_path: Path) -> None:
    """A setting that is added as a secret is kept secret without another word."""
    kinds = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert kinds == {*SECRETS, "notify_addresses"}
    secrets: dict[str, Any] = {name: SecretStr(text) for name, text in SECRETS.items()}
    addresses = {"pit_wall": SecretStr("tgram://1234:chat-secret-7/some")}
    Settings(_env_file=None, data_dir=tmp_path, notify_addresses=addresses, **secrets)
    assert redact("tgram://1234:chat-secret-7/some and chat-secret-7") == "*** and ***"
    for text in SECRETS.values():
        assert redact(f"<{text}>") == "<***>"
    assert redact(f"{PASSWORD}-0 {PASSWORD}-3 hook-secret-6") == "*** *** ***"


def test_credentials_in_a_landing_url_are_secret_too(tmp_path: Path) -> None:
    """It is shown as a folder in many messages."""
    Settings(_env_file=None, data_dir=tmp_path, landing_url="s3://key:storesecret@bucket/x")
    assert "storesecret" not in redact("s3://key:storesecret@bucket/x cannot be written: storesecret")


def test_a_short_secret_does_not_damage_other_words() -> None:
    """It is taken out where it stands alone."""
    guard("postgresql://me:ab@db/x")
    assert redact("the table 'ab' was grabbed by ab") == "the table '***' was grabbed by ***"


def test_what_our_own_messages_say_to_write_stays() -> None:
    """A remedy with a hole in it is not one."""
    for remedy in (
        "write postgresql://user:password@host:5432/database",
        "send the token in the header Authorization: Bearer …",
    ):
        assert redact(remedy) == remedy


def test_errors_hold_no_secret() -> None:
    """Whatever they quote."""
    guard("hidden-word")
    assert str(DatabaseUnavailable("at hidden-word")) == "at ***"
    assert str(IngestError()) == ""


def test_logs_hold_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    """Of whichever library, in the message, its arguments or the traceback."""
    guard("hidden-word")
    logger = logging.getLogger("some.library")
    with caplog.at_level("INFO"):
        logger.info("hidden-word and %s", "hidden-word")
        try:
            int("hidden-word")
        except ValueError:
            logger.exception("failed with %d", 3)
    assert "hidden-word" not in caplog.text
    assert "*** and ***" in caplog.text
    assert "int() with base 10: '***'" in caplog.text


def test_events_hold_no_secret(tmp_path: Path) -> None:
    """Not even deep in their data."""
    guard("hidden-word")
    database = DuckDBDatabase(tmp_path / "x.duckdb", 5)
    data = {"message": "hidden-word", "more": [{"deep": "hidden-word"}]}
    event = Event(EventType.SYSTEM_ERROR, "j", "bot", START, data=data)
    database.run(lambda connection: publish(connection, [event]))
    with database.read() as connection:
        [row] = connection.fetch_all("events_of_journey", correlation_id="j")
    assert json.loads(row["data"]) == {"message": "***", "more": [{"deep": "***"}]}


def test_notifications_hold_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    """Nor does what a library writes about an address say it, in any form."""
    guard("hidden-word")
    address = "json://user:pass-word-9@127.0.0.1:9/a/token-of-the-chat?key=value-of-key"
    with receiving() as receiver, caplog.at_level(logging.DEBUG):
        assert send(SecretStr(receiver.url), Wording("a hidden-word", "b hidden-word")).problem is None
        refused = send(SecretStr(address), Wording("a", "b"))
    assert [(body["title"], body["message"]) for body in receiver.bodies] == [("a ***", "b ***")]
    assert refused.result is Result.FAILED
    for secret in ("pass-word-9", "token-of-the-chat", "value-of-key", "a-secret-word"):
        assert secret not in caplog.text + str(refused)
    assert redacted({"a": (1, None, "hidden-word")}) == {"a": [1, None, "***"]}
