"""One WebSocket to a client: stream compression, sending in order, and every way of dying."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from aiohttp import web

from ingest_pipeline_tests.fake_discord.gateway.sessions import Dispatch, Session


class Op:
    """Gateway opcodes (Discord API docs, "Gateway Opcodes")."""

    DISPATCH = 0
    HEARTBEAT = 1
    IDENTIFY = 2
    RESUME = 6
    RECONNECT = 7
    REQUEST_MEMBERS = 8
    INVALID_SESSION = 9
    HELLO = 10
    HEARTBEAT_ACK = 11


class Ending(Enum):
    """How a connection is ended."""

    RESET = "a TCP reset, without a word"
    CLOSE = "a close frame with a code"
    RECONNECT = "op 7"
    INVALID_RESUMABLE = "op 9 true"
    INVALID = "op 9 false"


def encoder(compression: str) -> Callable[[str], bytes | str]:
    """Return a function that makes WebSocket frames of JSON texts, sharing one context for all.

    Args:
        compression: ``zlib-stream`` or ``zstd-stream`` as discord.py asks for in the URL; anything else
            gives text frames.
    """
    if compression == "zlib-stream":
        deflate = zlib.compressobj(1)
        return lambda text: deflate.compress(text.encode()) + deflate.flush(zlib.Z_SYNC_FLUSH)
    if compression == "zstd-stream":
        import zstandard  # only clients that have it themselves ask for it

        block = zstandard.COMPRESSOBJ_FLUSH_BLOCK
        squeeze = zstandard.ZstdCompressor(level=1).compressobj()
        return lambda text: squeeze.compress(text.encode()) + squeeze.flush(block)
    return lambda text: text


def reset_connection(transport: asyncio.BaseTransport | None) -> None:
    """Tear a TCP connection down with RST, so that the peer sees "connection reset", not an orderly end."""
    if transport is None:
        return
    raw = transport.get_extra_info("socket")
    # One that the client has ended is closed already.
    if raw is not None and raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()


@dataclass(slots=True)
class Connection:
    """One client's WebSocket.

    Fields change under the state's lock; the socket is touched only on the server's loop.

    Attributes:
        number: Counts connections since the server started.
        encode: This connection's compression stream.
        session: The session it carries, None before IDENTIFY or RESUME.
        taken: The last sequence number taken for sending.
        handed: The last sequence number handed to the socket.
        deaf: Whether it alone hears no events.
        ending: How it is about to end, None while it lives.
        end_after: The last sequence number to send before ending.
        close_code: The code of ``Ending.CLOSE``.
    """

    number: int
    socket: web.WebSocketResponse
    transport: asyncio.BaseTransport | None
    encode: Callable[[str], bytes | str]
    loop: asyncio.AbstractEventLoop
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    session: Session | None = None
    taken: int = 0
    handed: int = 0
    deaf: bool = False
    ending: Ending | None = None
    end_after: int = 0
    close_code: int = 4000
    _poked: bool = False

    def poke(self) -> None:
        """Wake the sender, as there is something to send; from any thread, cheap when repeated."""
        if not self._poked:
            self._poked = True
            self.loop.call_soon_threadsafe(self.wake.set)

    def next_batch(self, limit: int = 64) -> list[Dispatch]:
        """Take the dispatches to send next; call it under the state's lock."""
        self._poked = False
        self.wake.clear()
        if self.session is None:
            return []
        batch = self.session.after(self.taken, limit)
        if self.ending is not None:
            batch = [dispatch for dispatch in batch if dispatch.sequence <= self.end_after]
        if batch:
            self.taken = batch[-1].sequence
        return batch

    async def send_dispatches(self, batch: list[Dispatch]) -> None:
        """Send what ``next_batch`` gave, but for what is not meant for this connection."""
        for dispatch in batch:
            if dispatch.is_for(self.number):
                await self.send_text(dispatch.text)
        if batch:
            self.handed = batch[-1].sequence

    async def send(self, op: int, data: Any) -> None:
        """Send a frame that is no dispatch."""
        await self.send_text(json.dumps({"op": op, "d": data, "s": None, "t": None}))

    async def send_text(self, text: str) -> None:
        """Send one frame, compressed as the client asked."""
        # Encoding and writing happen without an await between them, so frames of the sender and of the
        # heartbeat acknowledgement never mix up the compression stream.
        frame = self.encode(text)
        if isinstance(frame, bytes):
            await self.socket.send_bytes(frame)
        else:
            await self.socket.send_str(frame)

    async def end(self, ending: Ending) -> None:
        """End the connection in the given way."""
        if ending is Ending.RESET:
            reset_connection(self.transport)
        elif ending is Ending.CLOSE:
            await self.socket.close(code=self.close_code)
        elif ending is Ending.RECONNECT:
            await self.send(Op.RECONNECT, None)
        else:
            await self.send(Op.INVALID_SESSION, ending is Ending.INVALID_RESUMABLE)
