"""The Model Context Protocol server, asked by the real client of the official SDK over each transport."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from ingest_pipeline.api.mcp_server.server import build_http_app, build_server
from ingest_pipeline.content.sessions import read_relinked
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.settings import Settings
from ingest_pipeline_tests.api_worlds import client_of, fill, settings_for
from ingest_pipeline_tests.cli_runs import PROJECT
from ingest_pipeline_tests.exports import CHANNEL_ID

TOOLS = {"sessions", "coverage", "search", "messages", "message", "kinds"} | {
    "radio",
    "setups",
    "clips",
    "highlights",
    "polls",
    "message_classes",
}


@pytest.fixture
def services(settings: Settings) -> Iterator[Services]:
    """The working parts with some messages, once for each engine."""
    built = build_services(settings)
    fill(built)
    read_relinked(built)
    yield built
    built.database.close()


def ask(target: Any, work: Callable[[Client], Awaitable[Any]]) -> Any:
    """Connect to a server and ask."""

    async def asked() -> Any:
        async with Client(target) as client:
            return await work(client)

    return asyncio.run(asked())


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Return a tool's answer."""
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer.content
    found: dict[str, Any] | None = answer.structured_content
    assert found is not None
    return found


def test_every_answer_states_how_complete_it_is(services: Services) -> None:
    """What is proven, until when, and what of it is missing; of nothing found, of all channels."""

    async def work(client: Client) -> None:
        assert {tool.name for tool in (await client.list_tools()).tools} == TOOLS
        for tool in sorted(TOOLS - {"coverage", "search", "message"}):
            answer = await call(client, tool)
            assert [each["channel_id"] for each in answer["completeness"]["channels"]] == [str(CHANNEL_ID)]
        hits = await call(client, "search", words="lap -leclerc", session_id="race")
        assert [hit["message"]["driver"] for hit in hits["items"]] == ["Norris", "Hamilton", "Norris"]
        assert hits["completeness"]["is_complete"]
        [channel] = (await call(client, "search", words="nothing"))["completeness"]["channels"]
        assert channel["proven_until"] is not None
        assert channel["gaps"] == []
        covered = await call(client, "coverage", session_id="race")
        assert (covered["messages"], covered["missing"] != []) == (6, True)

    ask(build_server(services), work)


def test_answers_are_those_of_the_http_interface(services: Services) -> None:
    """The same models, so the same fields and values; pages too."""

    async def work(client: Client) -> dict[str, Any]:
        first = await call(client, "messages", limit=4)
        second = await call(client, "messages", limit=4, cursor=first["next_cursor"])
        assert second["next_cursor"] is None
        radio = await call(client, "radio", limit=2)
        # As a number, as some assistants write ids.
        one = await call(client, "message", message_id=int(first["items"][0]["discord_id"]))
        assert one["items"] == first["items"][:1]
        return {"messages": first["items"] + second["items"], "team-radio": radio["items"]}

    asked = ask(build_server(services), work)
    with client_of(services) as client:
        for path, items in asked.items():
            limit = len({item["discord_id"] for item in items})
            assert client.get(f"/{path}?limit={limit}").json()["items"] == items


@pytest.mark.parametrize(
    ("tool", "arguments", "named"),
    [
        ("search", {"words": "box", "chanel_id": "42"}, "chanel_id"),
        ("search", {"words": "-box"}, "only excludes words"),
        ("search", {"words": "box", "by_meaning": True}, "INGEST_EMBEDDINGS_URL"),
        ("messages", {"channel_id": "radio"}, "not a Discord id"),
        ("messages", {"since": "yesterday"}, "since"),
        ("coverage", {"session_id": "rice"}, "did you mean 'race'"),
        ("message", {"message_id": "1"}, "not in the table"),
    ],
)
def test_a_wrong_question_is_refused_with_what_is_wrong(
    services: Services, tool: str, arguments: dict[str, Any], named: str
) -> None:
    """A misspelt filter too, which would widen the answer."""

    async def work(client: Client) -> None:
        answer = await client.call_tool(tool, arguments)
        assert answer.is_error
        assert named in str(answer.content)

    ask(build_server(services), work)


@contextmanager
def served(services: Services, hosts: tuple[str, ...] = ("127.0.0.1",)) -> Iterator[str]:
    """Serve it over HTTP on a free port and return its address."""
    config = uvicorn.Config(build_http_app(services, hosts), log_level="error", access_log=False)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        finally:
            server.should_exit = True
            thread.join(timeout=60)


def test_over_http_a_token_and_our_own_name_are_needed(tmp_path: Path) -> None:
    """As on the HTTP interface: no token and a wrong one are 401, a foreign name is 400."""
    import httpx
    import httpx2

    services = build_services(settings_for(tmp_path, api_read_token="read-token"))
    fill(services)

    async def asked(url: str) -> set[str]:
        headers = {"Authorization": "Bearer read-token"}
        async with (
            httpx2.AsyncClient(headers=headers, trust_env=False) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            found = await call(client, "sessions")
            return {session["session_id"] for session in found["items"]}

    with served(services) as url:
        assert asyncio.run(asked(url)) == {"practice", "race", "next"}
        with httpx.Client(trust_env=False, timeout=120) as http:
            for headers, status in (
                ({}, 401),
                ({"Authorization": "Bearer wrong"}, 401),
                ({"Authorization": "Bearer read-token", "Host": "evil.example"}, 400),
                ({"Authorization": "Bearer read-token", "Origin": "http://evil.example"}, 403),
            ):
                answer = http.post(url, json={}, headers=headers)
                assert (answer.status_code, answer.headers["content-type"]) == (
                    status,
                    "application/problem+json",
                )
    services.database.close()


@pytest.mark.slow
def test_over_standard_input_the_command_answers(tmp_path: Path) -> None:
    """`ingest mcp`, as assistants start it; nothing but answers is on its output."""
    services = build_services(settings_for(tmp_path))
    fill(services)
    services.database.close()
    parameters = StdioServerParameters(
        command=sys.executable,
        args=["-m", "ingest_pipeline.cli.app", "mcp"],
        env={"INGEST_DATA_DIR": str(tmp_path), "INGEST_ENV_FILE": os.devnull, "PATH": os.environ["PATH"]},
        cwd=PROJECT,
    )

    async def work(client: Client) -> int:
        found = await call(client, "search", words="lap*")
        return len(found["items"])

    assert ask(parameters, work) == 6
