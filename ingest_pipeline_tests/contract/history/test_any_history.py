"""Whatever happens on Discord between readings, and however they end, the archive becomes exact again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from ingest_pipeline.completeness.gap_listing import list_gaps
from ingest_pipeline.completeness.gap_repair import repair_gaps
from ingest_pipeline.completeness.verification import verify
from ingest_pipeline.history.history_import import import_history
from ingest_pipeline.storage.messages.coverage import proofs
from ingest_pipeline_tests.archive import Archive
from ingest_pipeline_tests.fake_discord.faults import Requests
from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.fake_discord.state import permissions

HISTORY = "history"
EVENTS = 100
READINGS = 4


class Life:
    """What people do in two channels, and what goes wrong, drawn at random but repeatably."""

    def __init__(self, server: DiscordServer, channels: list[int], seed: int) -> None:
        """Live in some channels."""
        self._server = server
        self._channels = channels
        self._random = Random(seed)  # noqa: S311

    def happen(self) -> None:
        """Let one thing happen."""
        channel = self._random.choice(self._channels)
        ids = self._server.state.channels[channel].ids
        self._random.choice(self._deeds(channel, self._random.choice(ids) if ids else None))()

    def _deeds(self, channel: int, message: int | None) -> list[Callable[[], object]]:
        server, number = self._server, self._random.randrange(1_000)
        posting: list[Callable[[], object]] = [lambda: server.messages.post(channel, f"posted {number}")] * 4
        if message is None:
            return posting
        return [
            *posting,
            lambda: server.messages.edit(channel, message, f"edited {number}"),
            lambda: server.messages.delete(channel, message),
            lambda: server.messages.react(channel, message, self._random.choice("🔥🏎")),
            lambda: server.messages.pin(channel, message),
            lambda: server.messages.show_link_preview(channel, message),
            lambda: server.messages.bulk_delete(channel, server.state.channels[channel].ids[-3:]),
        ]

    def go_wrong(self) -> None:
        """Let one thing go wrong in the next reading, and let life go on in the middle of it."""
        channel, skip = self._random.choice(self._channels), self._random.randrange(4)
        wrong: list[Callable[[], object]] = [
            lambda: self._server.faults.fail(503, Requests(HISTORY, skip=skip, times=None)),
            lambda: self._server.faults.reset(Requests(HISTORY, skip=skip, times=None)),
            lambda: self._server.faults.before_answering(
                lambda _: self._server.permissions.revoke(channel, permissions.READ_MESSAGE_HISTORY),
                Requests(HISTORY, channel_id=channel, skip=skip),
            ),
            lambda: None,
        ]
        self._random.choice(wrong)()
        self._server.faults.max_page = self._random.choice([None, 17, 60])
        self._server.faults.before_answering(lambda _: self.happen(), Requests(HISTORY, times=10))

    def put_right(self) -> None:
        """End every fault and give every permission back."""
        self._server.faults.clear()
        for channel in self._channels:
            self._server.permissions.grant(channel)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_the_archive_becomes_exact_again(
    archive: Archive, server: DiscordServer, guild: int, radio: int, seed: int
) -> None:
    """Imports, catch-ups and repairs amid edits, deletions, lost permissions and outages."""
    other = server.channels.create(guild, "general")
    for channel in (radio, other):
        server.messages.bulk_load(channel, 220, ends=datetime.now(UTC) - timedelta(minutes=30))
    life, services = Life(server, [radio, other], seed), archive.services
    for turn in range(READINGS):
        for _ in range(EVENTS // READINGS):
            life.happen()
        life.go_wrong()
        if turn % 2:
            archive.catch_up(radio, other, lookback=timedelta(hours=1))
        else:
            archive.run(lambda rest: import_history(services, rest, guild, batch_rows=60))
        for channel in (radio, other):
            assert_nothing_untrue(archive, server, channel)
        life.put_right()
    archive.run(lambda rest: repair_gaps(services, rest))
    assert list_gaps(services) == []
    assert archive.run(lambda rest: import_history(services, rest, guild, force=True)).is_complete
    for channel in (radio, other):
        assert archive.differences(server.truth(channel)) == []
    assert archive.run(lambda rest: verify(services, rest, grace_seconds=0.0)).is_exact


def assert_nothing_untrue(archive: Archive, server: DiscordServer, channel: int) -> None:
    """Check that nothing that lives is taken as deleted, and that nothing proven is missing.

    A message that came to be after its range was read and before the reading ended has a higher id
    than anything proven, so whatever is proven must be there.
    """
    truth = server.truth(channel)
    live = set(archive.live_ids(channel))
    proven = archive.read(lambda connection: proofs(connection, channel))
    covered = {each for each in truth.live if any(proof.low < each <= proof.high for proof in proven)}
    assert covered <= live
