"""Bodies, heads and slow clients: the token first, then a bound, and every refusal a problem."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from ingest_pipeline.api.server import BoundedProtocol
from ingest_pipeline_tests.api_worlds import filled_client, writer

LARGE = b"x" * (64 * 1024 + 1)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of the interface."""
    with filled_client(tmp_path_factory.mktemp("api")) as client:
        yield client


def connected(client: httpx.Client) -> socket.socket:
    """Connect without sending anything."""
    parts = urlsplit(str(client.base_url))
    return socket.create_connection((parts.hostname, parts.port), timeout=60)


def answer_of(connection: socket.socket) -> tuple[int, dict[str, object]]:
    """Return status and problem of the answer that ends a connection."""
    received = b""
    while chunk := connection.recv(65_536):
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    return int(head.split()[1]), json.loads(body)


def test_nothing_of_a_body_is_read_without_the_token(client: httpx.Client) -> None:
    """Whoever may not write is refused while the body is still to come."""
    for token, status in (("", 401), ("Authorization: Bearer wrong\r\n", 401)):
        with connected(client) as connection:
            connection.sendall(
                f"POST /scan-runs HTTP/1.1\r\nHost: localhost\r\n{token}"
                "Content-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n".encode()
            )
            head = connection.recv(65_536)
        assert int(head.split()[1]) == status


@pytest.mark.parametrize("is_stated", [True, False])
def test_a_body_that_is_too_large_is_refused(client: httpx.Client, is_stated: bool) -> None:
    """Whether it says how large it is or not."""
    content = LARGE if is_stated else iter([LARGE[:40_000], LARGE[40_000:]])
    headers = {**writer(), "Content-Type": "application/json"}
    refused = client.post("/scan-runs", content=content, headers=headers)
    assert (refused.status_code, refused.headers["content-type"]) == (413, "application/problem+json")
    assert refused.json()["type"] == "urn:ingest:problem:body-too-large"
    allowed = client.post("/scan-runs", content=b"x" * 60_000, headers=headers)
    assert allowed.status_code == 422


@pytest.mark.parametrize("path", ["/livez", "/status", "/nowhere"])
def test_a_request_for_a_websocket_is_refused_as_a_problem(client: httpx.Client, path: str) -> None:
    """There is none at any address."""
    with connected(client) as connection:
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        status, problem = answer_of(connection)
    assert (status, problem["type"]) == (400, "urn:ingest:problem:no-websocket")


@pytest.mark.parametrize(
    "sent",
    [
        "GET /livez HTTP/1.1\r\nHost: lo",
        "POST /scan-runs HTTP/1.1\r\nHost: l\r\nAuthorization: {token}\r\nContent-Length: 50\r\n\r\n{{",
    ],
    ids=["head", "body"],
)
def test_a_request_that_does_not_come_to_its_end_is_ended(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, sent: str
) -> None:
    """However steadily it drips."""
    monkeypatch.setattr(BoundedProtocol, "request_seconds", 1.0)
    with connected(client) as connection:
        began = time.monotonic()
        connection.sendall(sent.format(token=writer()["Authorization"]).encode())
        status, problem = answer_of(connection)
    assert (status, problem["type"]) == (408, "urn:ingest:problem:request-too-slow")
    assert 0.9 < time.monotonic() - began < 30


def test_a_connection_that_asks_nothing_is_closed(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets no answer, as it asked nothing."""
    monkeypatch.setattr(BoundedProtocol, "request_seconds", 0.5)
    with connected(client) as connection:
        assert connection.recv(1) == b""


@pytest.mark.parametrize(("sent", "status"), [(b"nonsense\r\n\r\n", 400), (b"GET /" + b"x" * 70_000, 431)])
def test_what_is_no_request_is_reported_as_a_problem(client: httpx.Client, sent: bytes, status: int) -> None:
    """Like every other error."""
    with connected(client) as connection:
        connection.sendall(sent)
        reported, problem = answer_of(connection)
    assert (reported, problem["status"]) == (status, status)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/page/nothing.js", 404),
        ("DELETE", "/messages", 405),
        ("GET", "/messages?limit=x", 422),
        ("POST", "/scan-runs", 401),
        ("GET", "/sessions/none", 404),
    ],
)
def test_every_refusal_is_a_problem(client: httpx.Client, method: str, path: str, status: int) -> None:
    """Whoever finds it out: the router, FastAPI, or a route."""
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert set(answer.json()) == {"type", "title", "status", "detail", "instance", "errors"}


def test_a_request_of_many_on_one_connection_has_its_own_time(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was answered does not count against the next."""
    monkeypatch.setattr(BoundedProtocol, "request_seconds", 1.0)
    began = time.monotonic()
    while time.monotonic() - began < 1.5:
        assert client.get("/livez").status_code == 200
        time.sleep(0.1)
