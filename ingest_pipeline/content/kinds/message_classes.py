"""Classes of messages: team radio, setup, clip, chat, a bot's notice or a notice of Discord's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ingest_pipeline.content.kind import Found, Kind
from ingest_pipeline.storage.content.tables import MESSAGE_CLASSES


def _describe(found: Found) -> Mapping[str, Any]:
    return Counter(row["message_class"] for row in found[MESSAGE_CLASSES.name])


MESSAGE_CLASSES_KIND = Kind(
    name="message_classes",
    version=1,
    description=(
        "What each message is: `system` (Discord's own, such as a pin), `setup`, `radio`, `clip`, "
        "`bot_notice` or `chat`, the first of these that fits."
    ),
    tables=(MESSAGE_CLASSES,),
    is_view=True,
    describe=_describe,
)
