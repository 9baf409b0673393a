"""The kinds of content there are: the built-in ones, those of installed packages, and those of files.

Others' code is loaded when rules, definitions, commands or routes are built, never by an import.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from ingest_pipeline.content.kind import Kind
from ingest_pipeline.content.kinds.clips import CLIPS_KIND
from ingest_pipeline.content.kinds.highlights import HIGHLIGHTS_KIND
from ingest_pipeline.content.kinds.message_classes import MESSAGE_CLASSES_KIND
from ingest_pipeline.content.kinds.polls import POLLS_KIND
from ingest_pipeline.content.kinds.team_radio import TEAM_RADIO
from ingest_pipeline.content.kinds.trade_setups import TRADE_SETUPS_KIND
from ingest_pipeline.content.messages import COLUMNS
from ingest_pipeline.content.patterns import read_pattern_kinds
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.settings import Settings

BUILT_IN: tuple[Kind, ...] = (
    TEAM_RADIO,
    TRADE_SETUPS_KIND,
    CLIPS_KIND,
    HIGHLIGHTS_KIND,
    POLLS_KIND,
    MESSAGE_CLASSES_KIND,
)
ENTRY_POINTS = "ingest_pipeline.kinds"
_COMMANDS = (
    "api backfill bot changes channels clip_files database demo doctor embed erase events export exporter "
    "gaps guilds import import_history import_messages journeys mcp messages metrics notify "
    "poll_recent_messages prune reread scans seal search sessions settings start trace verify_message_counts"
)
_ASSETS = "channel_messages normalized_messages raw_export session_manifest session_report users content"
_PATHS = "docs health install_intents kinds live livez openapi page readyz redoc scan_runs schedules status"
RESERVED = frozenset(f"{_COMMANDS} {_ASSETS} {_PATHS}".split())
"""Names of this project's own commands, paths and assets, which no kind can have."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")


def load_kinds(settings: Settings) -> tuple[Kind, ...]:
    """Return all kinds of a deployment, the built-in ones first.

    Raises:
        ConfigurationError: A kind cannot be loaded, or does not fit; the message says which and why.
    """
    return _load(settings.kinds or "")


@lru_cache(maxsize=8)
def _load(files: str) -> tuple[Kind, ...]:
    kinds = (*BUILT_IN, *_of_packages(), *_of_files(files.replace(",", " ").split()))
    for position, kind in enumerate(kinds):
        _require_sound(kind, kinds[:position])
    return kinds


def _of_packages() -> Iterator[Kind]:
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            kind = entry.load()
        except Exception as error:
            raise ConfigurationError(
                f"kind {entry.name} of an installed package cannot be loaded "
                f"({type(error).__name__}: {error}): correct or uninstall the package"
            ) from error
        if not isinstance(kind, Kind):
            raise ConfigurationError(f"{entry.name} of {ENTRY_POINTS} is {kind!r}: name a Kind")
        yield kind


def _of_files(paths: Iterable[str]) -> Iterator[Kind]:
    for path in paths:
        if Path(path).suffix in {".yaml", ".yml"}:
            yield from read_pattern_kinds(Path(path))
            continue
        spec = spec_from_file_location(f"ingest_kind_{Path(path).stem}", path)
        if spec is None or spec.loader is None:
            raise ConfigurationError(
                f"INGEST_KINDS names {path}, which is neither Python nor YAML: name a .py or .yaml file"
            )
        module = module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise ConfigurationError(
                f"{path} of INGEST_KINDS cannot be loaded ({type(error).__name__}: {error}): correct it"
            ) from error
        found = {id(value): value for value in vars(module).values() if isinstance(value, Kind)}
        if not found:
            raise ConfigurationError(f"{path} of INGEST_KINDS holds no Kind: make one, see docs/kinds.md")
        yield from found.values()


def _require_sound(kind: Kind, others: Iterable[Kind]) -> None:
    taken = {each.name for each in others}, {table.name for each in others for table in each.tables}
    problem = ""
    if not _NAME.fullmatch(kind.name) or kind.name in taken[0]:
        problem = "has a name that is taken or is not lower-case words with _ between: choose another"
    elif kind.name in RESERVED:
        problem = "has the name of one of this project's own commands, paths or assets: choose another"
    elif not kind.tables or any(table.name in taken[1] for table in kind.tables):
        problem = "has no table, or one of another kind: give it tables of its own"
    elif any(table.key[0] != "discord_id" or table.columns.names[0] != "discord_id" for table in kind.tables):
        problem = "has a table whose key and columns do not begin with discord_id: put it first"
    elif (kind.extract is not None) + (kind.derive is not None) + kind.is_view != 1:
        problem = "needs either extract or derive"
    elif unknown := set(kind.reads) - set(COLUMNS):
        problem = f"reads {', '.join(sorted(unknown))}: it can read {', '.join(COLUMNS)}"
    if problem:
        raise ConfigurationError(f"kind {kind.name!r} {problem}")
