"""The gateway as clients meet it: HELLO, IDENTIFY, READY, heartbeats, RESUME with replay.

Frames and close codes follow the Discord gateway reference, v10. A session outlives its connection by a
while, so a client that was cut off can RESUME and is sent what it missed; one that must IDENTIFY again is
not.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine, Mapping
from itertools import count
from typing import Any

from aiohttp import WSMsgType, web

from ingest_pipeline_tests.fake_discord.events import GUILD_MEMBERS, KNOWN_INTENTS, PRIVILEGED, Payload
from ingest_pipeline_tests.fake_discord.faults import Faults, wait_out
from ingest_pipeline_tests.fake_discord.gateway.dispatcher import Dispatcher
from ingest_pipeline_tests.fake_discord.gateway.sessions import Session
from ingest_pipeline_tests.fake_discord.journal import IdentifyRecord, Journal, ResumeRecord
from ingest_pipeline_tests.fake_discord.state import payloads
from ingest_pipeline_tests.fake_discord.state.guild_state import GuildState
from ingest_pipeline_tests.fake_discord.transport import (
    Connection,
    Ending,
    Op,
    encoder,
    reset_connection,
)

NOT_AUTHENTICATED = 4003
AUTHENTICATION_FAILED = 4004
ALREADY_AUTHENTICATED = 4005
INVALID_INTENTS = 4013
DISALLOWED_INTENTS = 4014

_CLIENT_ENDS_SESSION = frozenset({1000, 1001})
_CLOSE_SECONDS = 1.0


class Handshake:
    """Serves WebSockets.

    Attributes:
        heartbeat_interval_seconds: What HELLO asks for.
        url: The gateway's own address, for ``resume_gateway_url``; set once the port is known.
    """

    def __init__(
        self,
        state: GuildState,
        faults: Faults,
        journal: Journal,
        dispatcher: Dispatcher,
        token: str,
    ) -> None:
        """Serve clients that know ``token``."""
        self.heartbeat_interval_seconds = 41.25
        self.url = ""
        self._state = state
        self._faults = faults
        self._journal = journal
        self._dispatcher = dispatcher
        self._token = token
        self._numbers = count(1)
        self._tasks: set[asyncio.Task[None]] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one WebSocket from upgrade to end."""
        down = self._faults.gateway_down
        with self._journal.change():
            self._journal.connections += 1
            self._journal.refused_connections += down is not None
        if down == "reset":
            reset_connection(request.transport)
        if down is not None:
            return web.Response(status=503)
        websocket = web.WebSocketResponse(compress=False, timeout=_CLOSE_SECONDS)
        await websocket.prepare(request)
        connection = Connection(
            number=next(self._numbers),
            socket=websocket,
            transport=request.transport,
            encode=encoder(request.query.get("compress", "")),
            loop=asyncio.get_running_loop(),
        )
        self._dispatcher.attach(connection)
        sender = self._spawn(self._send_dispatches(connection))
        try:
            await self._converse(connection, request)
        except ConnectionError:
            pass  # a reset that the test ordered, or a client killed in the middle of a frame
        finally:
            sender.cancel()
            # The client's own 1000 or 1001 invalidates the session; a close by the server does not.
            ended_by_client = connection.ending is None and websocket.close_code in _CLIENT_ENDS_SESSION
            self._dispatcher.detach(connection, ends_session=ended_by_client)
            with self._journal.change():
                self._journal.disconnections += 1
        return websocket

    def stop(self) -> None:
        """Cut every connection; part of the server's shutdown, on its loop."""
        with self._state.lock:
            for connection in self._dispatcher.connections.values():
                reset_connection(connection.transport)
        for task in self._tasks:
            task.cancel()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _send_dispatches(self, connection: Connection) -> None:
        try:
            while True:
                with self._state.lock:
                    batch = connection.next_batch()
                    ending = connection.ending
                await connection.send_dispatches(batch)
                if not batch and ending is not None:
                    await connection.end(ending)
                    return
                if not batch:
                    await connection.wake.wait()
        except ConnectionError:
            pass  # the client is gone; its session keeps what it did not get

    async def _converse(self, connection: Connection, request: web.Request) -> None:
        interval = {"heartbeat_interval": round(self.heartbeat_interval_seconds * 1000)}
        await connection.send(Op.HELLO, interval)
        async for message in connection.socket:
            if message.type is WSMsgType.TEXT:
                frame = json.loads(message.data)
                await self._receive(connection, request, frame.get("op"), frame.get("d") or {})

    async def _receive(self, connection: Connection, request: web.Request, op: int | None, data: Any) -> None:
        if op == Op.HEARTBEAT:
            with self._journal.change():
                self._journal.heartbeats += 1
            if not self._faults.ignore_heartbeats:
                await connection.send(Op.HEARTBEAT_ACK, None)
        elif op == Op.IDENTIFY:
            await self._identify(connection, request, data)
        elif op == Op.RESUME:
            await self._resume(connection, request, data)
        elif connection.session is None:
            await connection.socket.close(code=NOT_AUTHENTICATED)
        elif op == Op.REQUEST_MEMBERS:
            self._send_members(connection.session, data)

    async def _identify(self, connection: Connection, request: web.Request, data: Mapping[str, Any]) -> None:
        intents = int(data.get("intents", 0))
        pair = data.get("shard")
        shard = (int(pair[0]), int(pair[1])) if pair else None
        refusal = self._refusal(connection, data.get("token"), intents)
        compression = request.query.get("compress", "")
        record = IdentifyRecord(intents, compression, shard, refusal, time.monotonic())
        with self._journal.change():
            self._journal.identifies.append(record)
        if refusal is not None:
            await connection.socket.close(code=refusal)
        else:
            self._spawn(self._welcome(connection, intents, shard))

    def _refusal(self, connection: Connection, token: object, intents: int) -> int | None:
        if token != self._token or self._faults.reject_token:
            return AUTHENTICATION_FAILED
        if connection.session is not None:
            return ALREADY_AUTHENTICATED
        if intents & ~KNOWN_INTENTS:
            return INVALID_INTENTS
        if intents & PRIVILEGED & ~self._faults.granted_intents:
            return DISALLOWED_INTENTS
        return None

    async def _welcome(self, connection: Connection, intents: int, shard: tuple[int, int] | None) -> None:
        await wait_out(lambda: self._faults.ready_delay_seconds)
        session = Session(intents, shard, connection=connection.number)
        guilds_later = self._faults.guild_create_delay_seconds > 0
        with self._state.lock:
            if connection.number not in self._dispatcher.connections or connection.ending is not None:
                return
            self._dispatcher.open_session(session)
            connection.session = session
            ready = json.dumps(self._ready(session))
            self._dispatcher.dispatch(session, "READY", ready, only_for=connection.number)
            if not guilds_later:
                self._send_guilds(session)
        if guilds_later:
            await wait_out(lambda: self._faults.guild_create_delay_seconds)
            with self._state.lock:
                self._send_guilds(session)

    def _ready(self, session: Session) -> Payload:
        guilds = [guild for guild in self._state.joined_guilds() if session.covers(guild.id)]
        body: Payload = {
            "v": 10,
            "user": payloads.user(self._state.bot),
            "guilds": [{"id": str(guild.id), "unavailable": True} for guild in guilds],
            "session_id": session.id,
            "resume_gateway_url": f"{self.url}resume",
            "application": {"id": str(self._state.bot.id), "flags": 0},
        }
        if session.shard is not None:
            body["shard"] = list(session.shard)
        return body

    def _send_guilds(self, session: Session) -> None:
        for guild in self._state.joined_guilds():
            if session.covers(guild.id) and guild.available:
                body = payloads.guild_create(self._state, guild) | {"unavailable": False}
                self._dispatcher.dispatch(session, "GUILD_CREATE", json.dumps(body))

    async def _resume(self, connection: Connection, request: web.Request, data: Mapping[str, Any]) -> None:
        session_id, sequence = str(data.get("session_id")), int(data.get("seq") or 0)
        replayed = 0
        with self._state.lock:
            session = self._dispatcher.find_session(session_id)
            resumable = session is not None and session.can_replay_from(sequence)
            right_token = data.get("token") == self._token and not self._faults.reject_token
            accepted = resumable and right_token and self._faults.takes_resume()
            if session is not None and accepted:
                replayed = self._reattach(connection, session, sequence)
            else:
                self._dispatcher.forget(session_id)
        record = ResumeRecord(session_id, sequence, accepted, replayed, request.path, time.monotonic())
        with self._journal.change():
            self._journal.resumes.append(record)
        if not accepted:
            await connection.send(Op.INVALID_SESSION, data=False)

    def _reattach(self, connection: Connection, session: Session, sequence: int) -> int:
        former = self._dispatcher.connections.get(session.connection or 0)
        if former is not None:
            former.session, former.ending = None, Ending.RESET
            former.poke()
        connection.session = session
        connection.taken = max(0, sequence - self._faults.replay_overlap)
        replayed = session.sequence - connection.taken
        session.connection = connection.number
        self._dispatcher.dispatch(session, "RESUMED", "{}", only_for=connection.number)
        return replayed

    def _send_members(self, session: Session, data: Mapping[str, Any]) -> None:
        with self._state.lock:
            guild = self._state.guild(int(data["guild_id"]))
            wanted = {int(user_id) for user_id in data.get("user_ids", ())}
            everyone = bool(session.intents & GUILD_MEMBERS) and not wanted
            members = [
                payloads.member(self._state, member)
                for user_id, member in guild.members.items()
                if everyone or user_id in wanted
            ]
            body = {
                "guild_id": str(guild.id),
                "members": members,
                "chunk_index": 0,
                "chunk_count": 1,
                "not_found": [],
                "nonce": data.get("nonce"),
            }
            self._dispatcher.dispatch(session, "GUILD_MEMBERS_CHUNK", json.dumps(body))
