"""An OpenAI-compatible embeddings server whose vectors are of the letters of a text, three at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from zlib import crc32

KEY = "sk-of-the-tests-0123456789"


@dataclass
class EmbeddingsServer:
    """A server, and what it was asked.

    Attributes:
        url: What comes before `/embeddings`.
        dimensions: The numbers of a vector.
        failures: Statuses of the next answers; after them it answers as it should.
        longest: The longest text that it takes.
        most: The most texts that it takes at once.
        asked: The texts of each request that was answered.
    """

    url: str = ""
    dimensions: int = 96
    failures: list[int] = field(default_factory=list)
    longest: int = 1_000
    most: int = 1_000
    asked: list[list[str]] = field(default_factory=list)

    def answer(self, path: str, key: str | None, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return status and body."""
        texts = request["input"]
        if self.failures:
            return self.failures.pop(0), {"error": {"message": "not now"}}
        if key != f"Bearer {KEY}":
            return 401, {"error": {"message": f"Incorrect API key provided: {key}"}}
        if path != "/v1/embeddings" or request["model"] != "letters":
            return 404, {"error": {"message": f"model {request['model']} not found"}}
        if len(texts) > self.most or max(map(len, texts)) > self.longest:
            return 400, {"error": {"message": "too much"}}
        self.asked.append(texts)
        data = [{"index": at, "embedding": self.vector(text)} for at, text in enumerate(texts)]
        # The order is not promised.
        return 200, {"object": "list", "data": data[::-1], "model": "letters"}

    def vector(self, text: str) -> list[float]:
        """Count the triples of letters."""
        counts = [0.0] * self.dimensions
        padded = f"  {text.lower()} "
        for at in range(len(padded) - 2):
            counts[crc32(padded[at : at + 3].encode()) % self.dimensions] += 1
        return counts


@contextmanager
def embeddings_server() -> Iterator[EmbeddingsServer]:
    """Listen on a free port of this machine until the block ends."""
    served = EmbeddingsServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, body = served.answer(self.path, self.headers["Authorization"], request)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *args: object) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
