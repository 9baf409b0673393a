"""Kinds of content that are a regular expression, written in a YAML file.

Each is a `Kind` as any other, with a row for each place of a message's words that the pattern matches.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from ingest_pipeline.content.kind import Batch, Kind, Tables
from ingest_pipeline.errors import BadInput, ConfigurationError
from ingest_pipeline.storage.content.rows import as_table
from ingest_pipeline.storage.content.tables import ContentTable
from ingest_pipeline.storage.engine.columns import column
from ingest_pipeline.userconfig.edited_files import decode_text, read_edited_file, yaml_root

_KEY = ("discord_id", "match_number")
_TAKEN = {*_KEY, "extracted_at"}


class PatternRow(msgspec.Struct, forbid_unknown_fields=True):
    """A kind as it is written.

    Attributes:
        name: Of the kind and of its table.
        pattern: A regular expression of Python, whose named groups are columns of text.
        version: To be raised when the pattern changes, so that stored messages are read again.
        channels: Ids of the channels that are looked at; all when empty.
        description: What it is.
    """

    name: str
    pattern: str
    version: int = 1
    channels: tuple[int, ...] = ()
    description: str = ""


def read_pattern_kinds(path: Path) -> list[Kind]:
    """Return the kinds of a YAML file, a list of mappings with the fields of `PatternRow`.

    Raises:
        ConfigurationError: The file cannot be read, or what is written breaks a rule; the message names the
            kind and what to write.
    """
    try:
        text = decode_text(read_edited_file(path), str(path))
        rows = yaml.safe_load(text) if yaml_root(text, str(path)) else []
        return [pattern_kind(row) for row in msgspec.convert(rows, list[PatternRow])]
    except (BadInput, ConfigurationError) as error:
        raise ConfigurationError(f"{error}: correct it, or take the file out of INGEST_KINDS") from error
    except msgspec.ValidationError as error:
        raise ConfigurationError(
            f"{path} of INGEST_KINDS: {error}. Write a list of kinds, each with name and pattern, and "
            "version, channels and description if you like"
        ) from error


def pattern_kind(row: PatternRow) -> Kind:
    """Return the kind of a pattern.

    Raises:
        ConfigurationError: It is no regular expression, or has no named groups that can be columns.
    """
    try:
        pattern = re.compile(row.pattern)
    except re.error as error:
        raise ConfigurationError(f"the pattern of {row.name}, {row.pattern!r}, is wrong: {error}") from None
    taken = pattern.groupindex.keys() & _TAKEN
    if taken or not pattern.groupindex:
        problem = f"has the group {min(taken)}, which is a column already" if taken else "has no named group"
        raise ConfigurationError(
            f"the pattern of {row.name}, {row.pattern!r}, {problem}: write (?P<lap>[0-9]+)"
        )
    groups = [pa.field(name, pa.string()) for name in pattern.groupindex]
    columns = pa.schema([("discord_id", pa.int64()), ("match_number", pa.int32()), *groups])
    table = ContentTable(row.name, _KEY, columns)

    def extract(batch: Batch) -> Tables:
        messages = zip(
            batch.messages["discord_id"].to_pylist(), batch.messages["words"].to_pylist(), strict=True
        )
        return {
            table.name: as_table(
                table,
                [
                    (discord_id, number, *(match[name] for name in pattern.groupindex))
                    for discord_id, words in messages
                    for number, match in enumerate(pattern.finditer(words), 1)
                ],
            )
        }

    channels = column(row.channels, pa.int64())
    return Kind(
        name=row.name,
        version=row.version,
        description=row.description or f"Places of messages that match `{row.pattern}`.",
        tables=(table,),
        reads=("words", "channel_id"),
        extract=extract,
        prefilter=(lambda messages: pc.is_in(messages["channel_id"], channels)) if row.channels else None,
        title=row.name.replace("_", " ").capitalize(),
    )
