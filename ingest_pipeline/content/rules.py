"""The rules of extraction: driver names and channel settings, as a user has set them.

The files are edited while things run. They are looked at once for each run or batch and read again
only when they have changed. What is set by command for a guild or channel is read with the messages.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from ingest_pipeline.content.kind import Kind
from ingest_pipeline.content.registry import BUILT_IN, load_kinds
from ingest_pipeline.domain.channel_settings import EffectiveSettings
from ingest_pipeline.domain.extract.drivers import DriverTable, load_drivers
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.installation import SHIPPED_FILES
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Connection
from ingest_pipeline.userconfig.effective_settings import effective_settings
from ingest_pipeline.userconfig.settings_file import SettingsFile, load_settings_file

_logger = logging.getLogger(__name__)

# A file's path, time of change and size: what is read of it stays the same as long as these do.
_Stamp = tuple[Path, int, int]


@dataclass(frozen=True, slots=True)
class ContentRules:
    """The rules of extraction.

    Attributes:
        drivers: Who a driver's name means.
        settings: What `data/settings.yaml` says.
        kinds: What is extracted.
    """

    drivers: DriverTable = field(default_factory=lambda: DriverTable([]))
    settings: SettingsFile = field(default_factory=SettingsFile)
    kinds: tuple[Kind, ...] = BUILT_IN

    def of(self, connection: Connection, channel_ids: Collection[int]) -> dict[int, EffectiveSettings]:
        """Return the settings of some channels: where the driver is named, and what stands out there.

        Raises:
            ConfigurationError: What is set by command is wrong.
        """
        return effective_settings(connection, self.settings, channel_ids)


def load_content_rules(settings: Settings) -> ContentRules:
    """Read the rules as they are now: `drivers.yaml` and `settings.yaml` of the data folder.

    A data folder without a `drivers.yaml` has the project's own table; without either, no driver is known.

    Raises:
        ConfigurationError: A file cannot be read or breaks a rule; the message names value and remedy.
    """
    drivers = _stamp(settings.data_dir / "drivers.yaml") or _stamp(SHIPPED_FILES / "drivers.yaml")
    return ContentRules(
        drivers=_drivers(drivers) if drivers else DriverTable([]),
        settings=load_settings_file(settings.settings_file),
        kinds=load_kinds(settings),
    )


class CurrentRules:
    """The rules as a process sees them that runs for long: the last that could be read.

    A slip in a file must neither stop the messages nor take from them what they say.

    Args:
        settings: Where the files are.
    """

    def __init__(self, settings: Settings) -> None:
        """Read nothing yet."""
        self._settings = settings
        self._known: ContentRules | None = None
        self._problem = ""

    def get(self) -> ContentRules | None:
        """Return the rules; None as long as they could never be read. What is wrong is logged once."""
        try:
            self._known = load_content_rules(self._settings)
        except ConfigurationError as error:
            if str(error) != self._problem:
                kept = "the rules from before are kept" if self._known else "content is not read"
                _logger.error("%s: %s", kept, error)  # noqa: TRY400 - the message says all
            self._problem = str(error)
        else:
            self._problem = ""
        return self._known


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
