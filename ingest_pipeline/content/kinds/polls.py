"""Polls, with their result as far as it is known: a view of the messages, always true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest_pipeline.content.kind import Found, Kind
from ingest_pipeline.domain.markdown import as_code
from ingest_pipeline.storage.content.tables import POLLS


def _describe(found: Found) -> Mapping[str, Any]:
    polls = found[POLLS.name]
    described: dict[str, Any] = {"final": sum(poll["is_final"] for poll in polls)}
    if polls:
        described["questions"] = [
            f"{as_code(poll['question'] or '')} {as_code(poll['winner'] or '')}" for poll in polls
        ]
    return described


POLLS_KIND = Kind(
    name="polls",
    version=1,
    description="Polls with their answers and votes, and the winner once Discord has announced it.",
    tables=(POLLS,),
    is_view=True,
    describe=_describe,
    shows=("question", "is_final", "total_votes", "winner", "winner_votes"),
)
