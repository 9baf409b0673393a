"""Who may do what with the HTTP interface, and how it answers when the database is busy."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from ingest_pipeline.api.access import allowed_hosts
from ingest_pipeline.api.app import build_api
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.stack.deployment import require_login
from ingest_pipeline_tests.api_worlds import (
    WRITE_TOKEN,
    client_of,
    fill,
    filled_client,
    settings_for,
    writer,
)
from ingest_pipeline_tests.exports import CHANNEL_ID

SCAN = {"channel_id": str(CHANNEL_ID)}


def test_writing_needs_the_token(tmp_path: Path) -> None:
    """None, a wrong one, a part of it and one that is no ASCII are refused with a challenge."""
    with filled_client(tmp_path) as client:
        refusals: tuple[Any, ...] = (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "Bearer"},
            {"Authorization": f"Bearer {WRITE_TOKEN[:1]}"},
            {"Authorization": f"Bearer {WRITE_TOKEN[:-1]}"},
            {"Authorization": f"Bearer {WRITE_TOKEN}x"},
            {"Authorization": f"Bearer {WRITE_TOKEN.upper()}"},
            {"Authorization": f"Basic {WRITE_TOKEN}"},
            {"Authorization": "Bearer \xfc".encode("latin-1")},
        )
        for headers in refusals:
            refused = client.post("/scan-runs", json=SCAN, headers=headers)
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
            assert refused.json()["detail"] in {
                "send the token in the header Authorization: Bearer …",
                "this token is not accepted",
            }
        assert client.post("/scan-runs", json=SCAN, headers=writer()).status_code == 201


def test_without_a_token_set_nobody_writes(tmp_path: Path) -> None:
    """The answer says how to allow it."""
    with filled_client(tmp_path, api_token=None) as client:
        refused = client.post("/scan-runs", json=SCAN, headers=writer())
        assert refused.status_code == 403
        assert "INGEST_API_TOKEN" in refused.json()["detail"]


def test_with_a_read_token_set_reading_needs_it_or_the_other(tmp_path: Path) -> None:
    """Only the probes and the page, which holds no data, stay open; the description says so."""
    with filled_client(tmp_path, api_read_token=SecretStr("read-token")) as client:
        for path in ("/status", "/messages", "/metrics", "/trace/1"):
            assert client.get(path).status_code == 401
            assert client.get(path, headers=writer()).status_code != 401
        assert client.get("/sessions", headers={"Authorization": "Bearer read-token"}).status_code == 200
        assert (
            client.post("/scan-runs", json=SCAN, headers={"Authorization": "Bearer read-token"}).status_code
            == 401
        )
        assert [client.get(path).status_code for path in ("/livez", "/health", "/readyz", "/")] == [200] * 4
        described = client.get("/openapi.json").json()["paths"]["/messages"]["get"]
        assert "401" in described["responses"]
        assert described["security"]
        schemes = client.get("/openapi.json").json()["components"]["securitySchemes"]
        assert schemes["HTTPBearer"]["description"].startswith("`INGEST_API_TOKEN`, or")


def test_a_scan_is_queued_listed_and_shown(tmp_path: Path) -> None:
    """An import that waits is answered again instead of a second one; a catch-up is another."""
    with filled_client(tmp_path) as client:
        first = client.post("/scan-runs", json=SCAN, headers=writer()).json()
        again = client.post("/scan-runs", json=SCAN, headers=writer()).json()
        assert (first["status"], first["kind"], again["scan_run_id"]) == (
            "queued",
            "import",
            first["scan_run_id"],
        )
        other = client.post("/scan-runs", json={**SCAN, "kind": "catch_up"}, headers=writer()).json()
        listed = client.get("/scan-runs").json()["items"]
        assert {each["scan_run_id"] for each in listed} == {first["scan_run_id"], other["scan_run_id"]}
        assert client.get(f"/scan-runs/{first['scan_run_id']}").json() == first
        assert client.get("/scan-runs/none").status_code == 404
        assert client.get(f"/trace/{first['correlation_id']}").json()["status"] == "started"


def test_only_channels_that_hold_messages_are_scanned(tmp_path: Path) -> None:
    """An unknown channel is not found; a forum holds only threads."""
    with filled_client(tmp_path) as client:
        assert client.post("/scan-runs", json={"channel_id": "1"}, headers=writer()).status_code == 404
        forum = client.post("/scan-runs", json={"channel_id": str(CHANNEL_ID + 1)}, headers=writer())
        assert forum.status_code == 422
        assert "forum" in forum.json()["detail"]


def test_an_installation_is_begun_used_once_and_gone(tmp_path: Path) -> None:
    """Its state is reported once, and never again."""
    with filled_client(tmp_path) as client:
        begun = client.post("/install-intents", json={"guild_id": "5"}, headers=writer()).json()
        state = {"state": begun["state"]}
        used = client.post("/install-intents/validate", json=state, headers=writer()).json()
        assert (used["intent_id"], used["guild_id"], used["status"]) == (begun["intent_id"], "5", "used")
        again = client.post("/install-intents/validate", json=state, headers=writer())
        assert again.status_code == 410
        shown = client.get(f"/install-intents/{begun['intent_id']}", headers=writer()).json()
        assert shown["status"] == "used"
        assert "state" not in shown


def test_an_installation_can_be_made_to_expire(tmp_path: Path) -> None:
    """Then its state is not good any more; an unknown state is not found."""
    with filled_client(tmp_path) as client:
        begun = client.post("/install-intents", json={}, headers=writer()).json()
        ended = client.post(f"/install-intents/{begun['intent_id']}/expire", headers=writer()).json()
        assert ended["status"] == "expired"
        late = client.post("/install-intents/validate", json={"state": begun["state"]}, headers=writer())
        assert late.status_code == 410
        unknown = client.post("/install-intents/validate", json={"state": "x"}, headers=writer())
        assert unknown.status_code == 404
        assert client.get("/install-intents/none", headers=writer()).status_code == 404
        assert client.get(f"/install-intents/{begun['intent_id']}").status_code == 401


@contextmanager
def writing(services: Services) -> Iterator[None]:
    """Hold the database open for writing, in another thread."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with services.database.write():
            held.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_a_busy_database_is_answered_with_when_to_try_again(tmp_path: Path) -> None:
    """Readiness included; that the program lives stays true."""
    services = build_services(settings_for(tmp_path, database_wait_seconds=1))
    fill(services)
    with client_of(services) as client, writing(services):
        for path in ("/sessions", "/readyz"):
            busy = client.get(path)
            assert (busy.status_code, busy.headers["retry-after"]) == (503, "5")
            assert busy.json()["type"].removeprefix("urn:ingest:problem:") in {
                "database-busy",
                "database-unavailable",
            }
        assert "ingest_database_up 0.0" in client.get("/metrics").text
        assert client.get("/livez").status_code == 200


def test_the_status_outlives_a_long_write(tmp_path: Path) -> None:
    """The last one is reported again, with its time."""
    services = build_services(settings_for(tmp_path, database_wait_seconds=1))
    fill(services)
    with client_of(services) as client:
        before = client.get("/status").json()
        with writing(services):
            assert client.get("/status").json() == before


def test_an_unexpected_error_is_a_problem_without_a_word_on_its_cause(tmp_path: Path) -> None:
    """The cause is for the log."""
    services = build_services(settings_for(tmp_path))
    app = build_api(services)
    app.state.clock = lambda: 1 / 0
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)

    async def get() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.get("/sessions")

    answer = asyncio.run(get())
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:ingest:problem:unexpected")
    assert "division" not in answer.text
    assert WRITE_TOKEN not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_on_loopback_only_its_own_names_are_answered(host: str) -> None:
    """A web page that calls this machine by a name of its own gets nothing."""
    assert "*" not in allowed_hosts(host)
    assert "localhost" in allowed_hosts(host)


def test_a_server_for_others_answers_any_name() -> None:
    """Its names are not known here."""
    assert allowed_hosts("192.0.2.1") == allowed_hosts("example.invalid") == ("*",)


def answers(app: FastAPI, *requests: tuple[str, str, dict[str, str]]) -> list[int]:
    """Send requests to an application and return the statuses of its answers."""

    async def send() -> list[int]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
            return [
                (await client.request(method, path, headers=headers)).status_code
                for method, path, headers in requests
            ]

    return asyncio.run(send())


def test_a_wrong_name_is_refused_but_for_probes(tmp_path: Path) -> None:
    """Before anything is looked at; orchestrators ask by an address."""
    app = build_api(build_services(settings_for(tmp_path)), allowed_hosts=allowed_hosts("127.0.0.1"))
    foreign = {"Host": "evil.invalid"}
    asked = [("GET", "/", {}), ("GET", "/", foreign), ("GET", "/livez", foreign), ("POST", "/livez", foreign)]
    assert answers(app, *asked) == [200, 400, 200, 400]


def test_changes_that_another_site_asks_for_are_refused(tmp_path: Path) -> None:
    """With a problem, as every error; programs that are no browser are asked for the token only."""
    app = build_api(build_services(settings_for(tmp_path)), allowed_hosts=allowed_hosts("127.0.0.1"))
    other, own = {"Origin": "https://evil.invalid"}, {"Origin": "http://localhost:8000"}
    asked = [("POST", "/scan-runs", other), ("POST", "/scan-runs", own), ("POST", "/scan-runs", {})]
    refused, *others = answers(app, *asked)
    assert refused == 403
    assert others == [answers(app, asked[1])[0]] * 2


@pytest.mark.parametrize("path", ["/", "/page/app.js", "/openapi.json", "/livez"])
def test_a_prefix_is_found_whether_the_proxy_leaves_it_or_not(tmp_path: Path, path: str) -> None:
    """The page asks by relative addresses."""
    settings = settings_for(tmp_path).model_copy(update={"api_prefix": "/radio"})
    app = build_api(
        build_services(settings), allowed_hosts=allowed_hosts("127.0.0.1", ["Radio.example.test"])
    )
    named = {"Host": "radio.example.test"}
    assert answers(app, ("GET", f"/radio{path}", named), ("GET", path, named)) == [200, 200]


def test_the_page_names_no_absolute_address() -> None:
    """It is served under any prefix."""
    folder = files("ingest_pipeline.api.routes") / "page"
    for part in (each for each in folder.iterdir() if each.name.endswith((".html", ".js"))):
        absolute = r"(?:src|href)=[\"']/|(?:ask|fetch|change)\([\"'`]/"
        assert not re.findall(absolute, part.read_text()), part.name


@pytest.mark.parametrize("host", ["::", "192.0.2.1", "example.invalid"])
def test_an_address_of_the_network_without_a_login_has_to_be_allowed_twice(host: str) -> None:
    """Whoever reaches it comes in."""
    with pytest.raises(ConfigurationError, match="--without-login"):
        require_login(host, has_login=False, is_accepted=False)
    require_login(host, has_login=True, is_accepted=False)
    require_login(host, has_login=False, is_accepted=True)
    require_login("127.0.0.1", has_login=False, is_accepted=False)
