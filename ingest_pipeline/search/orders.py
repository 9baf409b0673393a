"""Search in the order that is asked for: one way for the commands, the HTTP interface and assistants."""

from __future__ import annotations

from enum import StrEnum

from ingest_pipeline.errors import BadInput
from ingest_pipeline.ingestion.services import Services
from ingest_pipeline.search.search import SearchFilter, SearchPage, rank_messages, search_messages
from ingest_pipeline.search.semantic import search_by_meaning
from ingest_pipeline.sources.embeddings import embeddings_endpoint
from ingest_pipeline.storage.search.indexed_texts import NEWEST


class SearchOrder(StrEnum):
    """What comes first, and with it what is found: by meaning also messages that lack the words."""

    NEWEST = "newest"
    BEST = "best"
    MEANING = "meaning"

    @classmethod
    def of(cls, *, best: bool, by_meaning: bool) -> SearchOrder:
        """Return the order that two options ask for."""
        return cls.MEANING if by_meaning else cls.BEST if best else cls.NEWEST


def find_messages(
    services: Services,
    text: str,
    wanted: SearchFilter,
    order: SearchOrder,
    *,
    before: int = NEWEST,
    limit: int = 50,
    any_version: bool = False,
    index_seconds: float | None = None,
) -> SearchPage:
    """Search; `before` and `any_version` are for the order by time only.

    See `search_messages`, `rank_messages` and `search_by_meaning` for the rest.
    """
    database = services.database
    if order is SearchOrder.MEANING:
        if any_version or before != NEWEST:
            raise BadInput("a search by meaning has no earlier versions and no further pages: leave them out")
        endpoint = embeddings_endpoint(services.settings)
        return search_by_meaning(database, endpoint, text, wanted, limit=limit, index_seconds=index_seconds)
    if order is SearchOrder.BEST:
        return rank_messages(database, text, wanted, limit=limit, index_seconds=index_seconds)
    return search_messages(
        database,
        text,
        wanted,
        before=before,
        limit=limit,
        any_version=any_version,
        index_seconds=index_seconds,
    )
