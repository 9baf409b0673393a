"""A way to PostgreSQL over the loopback interface that can vanish as a host without power does.

From then on the kernel drops every segment that arrives (a socket filter says so): nothing is acknowledged,
and neither a reset nor an end is sent.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from psycopg.conninfo import conninfo_to_dict, make_conninfo

_SO_ATTACH_FILTER = 26
_RETURN_NOTHING = struct.pack("HBBI", 6, 0, 0, 0)


class VanishingServer:
    """What clients connect to instead of the server.

    Attributes:
        conninfo: How to connect.
    """

    def __init__(self, url: str, listening: socket.socket) -> None:
        """Stand before the server at a URL."""
        self._server = conninfo_to_dict(url)
        self._listening = listening
        self._sockets = [listening]
        port = listening.getsockname()[1]
        self.conninfo = make_conninfo(url, host="127.0.0.1", port=port)

    def vanish(self) -> None:
        """Take notice of nothing any more."""
        program = ctypes.create_string_buffer(_RETURN_NOTHING)
        attached = struct.pack("HP", 1, ctypes.addressof(program))
        for each in self._sockets:
            if each.family == socket.AF_INET:
                each.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, attached)

    def accept(self) -> None:
        """Pass on what clients send, and what is answered."""
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = self._connect()
                self._sockets += [client, server]
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()

    def close(self) -> None:
        """End every connection."""
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _connect(self) -> socket.socket:
        host, port = str(self._server.get("host", "127.0.0.1")), self._server.get("port", 5432)
        if not host.startswith("/"):
            return socket.create_connection((host, int(str(port))))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server


@contextmanager
def vanishing_server(url: str) -> Iterator[VanishingServer]:
    """Stand before a server until the block ends."""
    server = VanishingServer(url, socket.create_server(("127.0.0.1", 0)))
    thread = threading.Thread(target=server.accept, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(10)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
