"""A real HTTP server of files, some behind signatures, for downloads in tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass
class FileServer:
    """What is served.

    Attributes:
        address: Where, such as `http://127.0.0.1:1234`.
        files: Bytes by path.
        signature: What `hm` of a request must be, or None for anything.
        answers: Status codes to answer paths with instead.
        redirects: Where paths are moved to.
        etags: The `ETag` of paths; a request that names it is answered 304.
        lengths: Content lengths to state instead of the true ones; None for none.
        requests: Paths asked for, in order.
        headers: The headers of the last request.
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    signature: str | None = None
    answers: dict[str, int] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    lengths: dict[str, int | None] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    def status(self, path: str, signature: str | None) -> int:
        """Return what a request is answered with."""
        if path in self.answers:
            return self.answers[path]
        if path in self.redirects:
            return 302
        if path not in self.files:
            return 404
        return 200 if self.signature in {None, signature} else 403


@contextmanager
def running_file_server() -> Iterator[FileServer]:
    """Serve on a free port of this machine until the block ends."""
    served = FileServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            served.requests.append(parts.path)
            served.headers = dict(self.headers)
            status = served.status(parts.path, parse_qs(parts.query).get("hm", [None])[0])
            etag = served.etags.get(parts.path)
            if status == 200 and etag is not None and self.headers.get("If-None-Match") == etag:
                status = 304
            body = served.files.get(parts.path, b"") if status == 200 else b""
            self.send_response(status)
            if status == 302:
                self.send_header("Location", served.redirects[parts.path])
            if etag is not None:
                self.send_header("ETag", etag)
            length = served.lengths.get(parts.path, len(body))
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
