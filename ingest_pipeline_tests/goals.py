"""Goals of a football channel, such as `GOAL! Arsenal 2-1 Chelsea (Saka 67')`: a kind in one file."""

import re

import pyarrow as pa
import pyarrow.compute as pc

from ingest_pipeline.content.kind import Batch, Kind, Tables
from ingest_pipeline.storage.content.rows import as_table
from ingest_pipeline.storage.content.tables import ContentTable

GOAL = re.compile(r"GOAL!\s+(.+?)\s+(\d+)-(\d+)\s+(.+?)\s+\((.+?)\s+(\d+)'\)")
VERSION = 1
TABLE = ContentTable(
    "goals",
    ("discord_id", "goal_number"),
    pa.schema(
        {
            "discord_id": pa.int64(),
            "goal_number": pa.int32(),
            "home": pa.string(),
            "away": pa.string(),
            "home_goals": pa.int32(),
            "away_goals": pa.int32(),
            "scorer": pa.string(),
            "minute": pa.int32(),
        }
    ),
)


def extract(batch: Batch) -> Tables:
    """Return a row for each goal in a message."""
    messages = zip(batch.messages["discord_id"].to_pylist(), batch.messages["words"].to_pylist(), strict=True)
    rows = [
        (discord_id, number, home, away, int(home_goals), int(away_goals), scorer, int(minute))
        for discord_id, words in messages
        for number, (home, home_goals, away_goals, away, scorer, minute) in enumerate(GOAL.findall(words), 1)
    ]
    return {TABLE.name: as_table(TABLE, rows)}


GOALS = Kind(
    name="goals",
    version=VERSION,
    description="Goals, with the score after each, who scored and when.",
    tables=(TABLE,),
    reads=("words",),
    prefilter=lambda messages: pc.match_substring(messages["words"], "GOAL!"),
    extract=extract,
    describe=lambda found: {"scorers": sorted({row["scorer"] for row in found["goals"]})},
    title="Goals",
    event="goal.scored",
    event_data=lambda rows: {"scorers": [row["scorer"] for row in rows]},
)
