"""What content is read by: driver names, highlight weights and channel policies, as a user has set them.

The files are edited while things run. They are looked at once for each run or batch and read again
only when they have changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import yaml

from ingest_pipeline.capture.channel_policies import ChannelPolicies, load_channel_policies
from ingest_pipeline.capture.edited_files import decode_text, read_edited_file, yaml_root
from ingest_pipeline.domain.extract.drivers import DriverTable, load_drivers
from ingest_pipeline.domain.extract.highlights import HighlightRule
from ingest_pipeline.errors import BadInput, ConfigurationError
from ingest_pipeline.settings import PROJECT_ROOT, Settings

_SECTION = "highlights"

# A file's path, time of change and size: what is read of it stays the same as long as these do.
_Stamp = tuple[Path, int, int]


@dataclass(frozen=True, slots=True)
class ContentRules:
    """What content is read by.

    Attributes:
        drivers: Who a driver's name means.
        highlights: What makes a message stand out.
        policies: Where a channel's messages name their driver.
    """

    drivers: DriverTable = field(default_factory=lambda: DriverTable([]))
    highlights: HighlightRule = field(default_factory=HighlightRule)
    policies: ChannelPolicies = field(default_factory=ChannelPolicies)


def load_content_rules(settings: Settings) -> ContentRules:
    """Read the rules as they are now: `drivers.yaml` and `settings.yaml` of the data folder.

    A data folder without a `drivers.yaml` has the project's own table; without either, no driver is known.

    Raises:
        ConfigurationError: A file cannot be read or breaks a rule; the message names value and remedy.
    """
    drivers = _stamp(settings.data_dir / "drivers.yaml") or _stamp(PROJECT_ROOT / "data" / "drivers.yaml")
    edited = _stamp(settings.channels_file)
    return ContentRules(
        drivers=_drivers(drivers) if drivers else DriverTable([]),
        highlights=_highlights(edited) if edited else HighlightRule(),
        policies=_policies(edited) if edited else ChannelPolicies(),
    )


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error.strerror}): check its permissions"
        ) from error
    return path, status.st_mtime_ns, status.st_size


@lru_cache(maxsize=4)
def _drivers(stamp: _Stamp) -> DriverTable:
    return load_drivers(stamp[0])


@lru_cache(maxsize=4)
def _policies(stamp: _Stamp) -> ChannelPolicies:
    return load_channel_policies(stamp[0])


@lru_cache(maxsize=4)
def _highlights(stamp: _Stamp) -> HighlightRule:
    path = stamp[0]
    try:
        text = decode_text(read_edited_file(path), str(path))
        content = None if yaml_root(text, str(path)) is None else yaml.safe_load(text)
    except BadInput as error:
        raise ConfigurationError(str(error)) from error
    except (yaml.YAMLError, ValueError) as error:
        problem = " ".join(str(error).split())
        raise ConfigurationError(f"{path} holds a value of no known form: {problem}") from error
    try:
        return HighlightRule.from_mapping(content.get(_SECTION) if isinstance(content, dict) else None)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error
