"""Highlights: messages that stand out, by reactions, replies, bursts and keywords."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from ingest_pipeline.content.highlighting import score_highlights
from ingest_pipeline.content.judging import HighlightScorer
from ingest_pipeline.content.kind import Found, Kind, SettingsOf
from ingest_pipeline.domain.channel_settings import EffectiveSettings
from ingest_pipeline.domain.extract.highlights import HIGHLIGHT_RULE_VERSION
from ingest_pipeline.domain.markdown import as_code
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.storage.content.changes import Changes
from ingest_pipeline.storage.content.tables import HIGHLIGHTS
from ingest_pipeline.storage.engine.database import Connection

_logger = logging.getLogger(__name__)


def _derive(
    connection: Connection,
    discord_ids: Sequence[int],
    settings_of: SettingsOf,
    now: datetime,
) -> Changes:
    def scorers(channel_ids: Collection[int]) -> dict[int, HighlightScorer]:
        return {channel_id: _scorer(each) for channel_id, each in settings_of(channel_ids).items()}

    return score_highlights(connection, discord_ids, scorers, now=now)


def _scorer(settings: EffectiveSettings) -> HighlightScorer:
    try:
        return settings.highlights
    except ConfigurationError as error:
        # A later change of the file can contradict a value set by command. Then the file alone
        # decides, since content must not keep messages from the table.
        _say_once(str(error))
        return EffectiveSettings(settings.layers[:1]).highlights


@lru_cache(maxsize=64)
def _say_once(problem: str) -> None:
    _logger.error("highlights are scored by the file alone: %s", problem)


def _describe(found: Found) -> Mapping[str, Any]:
    candidates = [row for row in found[HIGHLIGHTS.name] if row["is_candidate"]]
    described: dict[str, Any] = {"candidates": len(candidates)}
    if candidates:
        described["top"] = [
            f"**{row['score']:.2f}** {as_code(row['message_text'])} ({'; '.join(json.loads(row['reasons']))})"
            for row in candidates
        ]
    return described


HIGHLIGHTS_KIND = Kind(
    name="highlights",
    version=HIGHLIGHT_RULE_VERSION,
    description=(
        "Messages that stand out by reactions, replies, bursts and keywords, with score and reasons; fills "
        "`is_highlight_candidate` of `messages`. Weights are in `data/settings.yaml`."
    ),
    tables=(HIGHLIGHTS,),
    derive=_derive,
    queries={HIGHLIGHTS.name: "highlights_in_window"},
    describe=_describe,
    shows=("score", "is_candidate", "reasons"),
)
