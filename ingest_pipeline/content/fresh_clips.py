"""Fresh addresses of clips: reading a message again gives addresses that have not expired.

Messages are read by the bot when there is one, and otherwise by the exporter, with one run for each
channel.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from ingest_pipeline.domain.extract.clips import Clip, find_clips
from ingest_pipeline.domain.message import RawMessage
from ingest_pipeline.domain.normalize import ChannelPolicy, build_normalizer
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.landing.export_reader import read_export
from ingest_pipeline.sources.discord.payloads import raw_message
from ingest_pipeline.sources.discord.rest import open_rest
from ingest_pipeline.sources.exporter.chat_exporter import ExportRequest

_NO_CHANNEL = 0
_MILLISECOND = timedelta(milliseconds=1)
_KEEP_ALL = ChannelPolicy(keep_media_only=True)


def read_clips_again(
    services: Services, channel_id: int, messages: Mapping[int, datetime]
) -> dict[int, list[Clip]]:
    """Read messages of a channel again and return their clips, with addresses that work.

    Args:
        messages: The messages' ids, with when they were posted, aware UTC; not empty.

    Returns:
        Clips by message; one that is deleted is left out.

    Raises:
        ConfigurationError: There is no token to read with.
        IngestError: As for the exporter or the bot's requests.
    """
    if services.settings.discord_bot_token is not None:
        return asyncio.run(_by_bot(services, channel_id, messages))
    if services.settings.discord_oauth_token is not None:
        return _by_exporter(services, channel_id, messages)
    raise ConfigurationError(
        "addresses have expired and there is no token to read their messages again: "
        "set DISCORD_BOT_TOKEN or DISCORD_OAUTH_TOKEN"
    )


async def _by_bot(services: Services, channel_id: int, message_ids: Collection[int]) -> dict[int, list[Clip]]:
    async with open_rest(services.settings.discord_bot_token) as rest:
        answers = [await rest.message(channel_id, message_id) for message_id in message_ids]
    return _clips(raw_message(payload) for payload, _ in answers if payload is not None)


def _by_exporter(
    services: Services, channel_id: int, messages: Mapping[int, datetime]
) -> dict[int, list[Clip]]:
    window = Window(min(messages.values()), max(messages.values()) + _MILLISECOND)
    with TemporaryDirectory(prefix="ingest-clips-") as folder:
        result = services.exporter.export(ExportRequest(channel_id, window), Path(folder))
        with result.path.open("rb") as stream:
            _, slices = read_export(stream, result.path.name)
            raws = [raw for elements in slices for raw in elements if raw is not None]
    found = _clips(raws)
    return {message_id: clips for message_id, clips in found.items() if message_id in messages}


def _clips(raws: Iterable[RawMessage]) -> dict[int, list[Clip]]:
    columns = build_normalizer(_NO_CHANNEL, _KEEP_ALL, None)(list(raws)).columns
    found = zip(columns["discord_id"], columns["attachments"], columns["embeds"], strict=True)
    return {
        discord_id: find_clips(json.loads(attachments), json.loads(embeds))
        for discord_id, attachments, embeds in found
    }
