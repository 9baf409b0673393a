"""Dagster's web interface behind the guard: the real server, asked as browsers and other programs ask."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ingest_pipeline.installation import PROJECT_ROOT
from ingest_pipeline.stack.processes import kill
from ingest_pipeline.stack.services import answers_http
from ingest_pipeline_tests.waiting import wait_until

QUERY = json.dumps({"query": "{ __typename }"})
WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": "graphql-ws",
}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Serve an empty workspace under a prefix, and a name that a proxy would give it."""
    folder = tmp_path_factory.mktemp("web")
    (folder / "workspace.yaml").write_text("load_from: []\n")
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = [sys.executable, "-m", "ingest_pipeline.orchestration.runtime.webserver"]
    options = ["-h", "127.0.0.1", "-p", str(port), "--path-prefix", "/dagster"]
    environment = {**os.environ, "DAGSTER_HOME": str(folder), "INGEST_WEB_HOSTS": "radio.example.test"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *options, "-w", str(folder / "workspace.yaml")],
            cwd=PROJECT_ROOT,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_until("the server", lambda: answers_http(f"http://127.0.0.1:{port}/dagster/server_info"))
        yield port
    finally:
        kill(process.pid)
        process.wait()


def ask(port: int, method: str, path: str, **headers: str) -> int:
    """Send a request and return the answer's status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = QUERY if method == "POST" else None
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, {"Content-Type": "application/json", **named})
    status = connection.getresponse().status
    connection.close()
    return status


def own(port: int) -> str:
    """Return the server's name and port on this machine."""
    return f"127.0.0.1:{port}"


def test_programs_and_pages_of_ours_are_answered(port: int) -> None:
    """Under the names that are ours."""
    assert ask(port, "GET", "/dagster/runs") == 200
    assert ask(port, "POST", "/dagster/graphql") == 200
    assert ask(port, "POST", "/dagster/graphql", Origin=f"http://{own(port)}") == 200
    same = {"Sec_Fetch_Site": "same-origin", "Origin": "https://radio.example.test:8443"}
    assert ask(port, "POST", "/dagster/graphql", Host="radio.example.test", **same) == 200
    assert ask(port, "POST", "/dagster/graphql", Host="radio.example.test", Origin=same["Origin"]) == 200


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:8888"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_changes_asked_for_by_other_sites_are_refused(
    port: int, method: str, headers: dict[str, str]
) -> None:
    """GraphQL changes things with GET, too."""
    path = "/dagster/graphql?query=%7B__typename%7D"
    assert ask(port, method, path, **headers) == 403


def test_a_link_from_another_site_is_followed(port: int) -> None:
    """Looking is no change."""
    assert ask(port, "GET", "/dagster/runs", Sec_Fetch_Site="cross-site") == 200


def test_foreign_names_are_refused_but_for_probes(port: int) -> None:
    """A name that leads here is not ours for that."""
    assert ask(port, "GET", "/dagster/runs", Host="evil.example") == 400
    assert ask(port, "POST", "/dagster/graphql", Host="evil.example") == 400
    assert ask(port, "GET", "/dagster/server_info", Host="10.1.2.3:3000") == 200


def test_websockets_are_guarded_as_well(port: int) -> None:
    """Browsers send no preflight for them."""
    path = "/dagster/graphql"
    assert ask(port, "GET", path, **WEBSOCKET, Origin=f"http://{own(port)}") == 101
    assert ask(port, "GET", path, **WEBSOCKET) == 101
    assert ask(port, "GET", path, **WEBSOCKET, Origin="https://evil.example") == 403
    assert ask(port, "GET", path, **WEBSOCKET, Host="evil.example") == 400
