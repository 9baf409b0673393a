"""`data/settings.yaml`: channel settings, edited by a user while things run.

```yaml
defaults:
  keep_media_only: false
highlights:
  threshold: 0.5
channels:
  1101802452224856174:
    driver_from: author_name
    highlights:
      threshold: 0.7
```

`defaults` and the groups beside it hold for every channel; what a channel does not say it takes from them.
Subscribed schedules are read by `schedules/subscriptions.py`. What is set by command, for guilds and
channels, is in `storage/catalogue/setting_overrides.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ingest_pipeline.domain.channel_settings import (
    SETTINGS,
    EffectiveSettings,
    Layer,
    Values,
    flatten,
    unknown_key,
)
from ingest_pipeline.errors import BadInput, ConfigurationError
from ingest_pipeline.installation import SHIPPED_FILES
from ingest_pipeline.userconfig.edited_files import (
    decode_text,
    is_null,
    line_of,
    mapping_items,
    read_edited_file,
    yaml_root,
)
from ingest_pipeline.userconfig.session_rows import parse_channel_id

if TYPE_CHECKING:
    from ingest_pipeline.settings import Settings

_SECTIONS = ("default_channel_id", "monitor", "defaults", "channels", "schedules", "notifications")
_GROUPS = tuple(dict.fromkeys(key.split(".")[0] for key in SETTINGS if "." in key))

_Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """The content of the settings file.

    Attributes:
        name: The file, in messages.
        defaults: For every channel, by key.
        channels: For single channels, by channel and key.
        default_channel_id: The channel of sessions that name none, if the file has one.
        monitor: What the bot monitors in a guild that it sees for the first time: ids and patterns of names.
    """

    name: str = "settings.yaml"
    defaults: Values = field(default_factory=dict)
    channels: Mapping[int, Values] = field(default_factory=dict)
    default_channel_id: int | None = None
    monitor: tuple[str, ...] = ()

    def default_layer(self) -> Layer:
        """Return what holds for every channel."""
        return Layer(self.name, self.defaults)

    def channel_layer(self, channel_id: int) -> Layer | None:
        """Return what holds for one channel, if the file names it."""
        values = self.channels.get(channel_id)
        return None if values is None else Layer(f"{self.name}, channel {channel_id}", values)


def load_settings_file(path: Path, *, groups: bool = True) -> SettingsFile:
    """Read the file, or return what was read of it if it has not changed since.

    A file that is absent or empty says nothing.

    Args:
        path: The file.
        groups: Whether to look at groups such as `highlights` at all. How messages are taken does not
            depend on them, so a slip in one must not stop the messages.

    Raises:
        ConfigurationError: The file cannot be read or breaks a rule; the message names line, value
            and remedy.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return SettingsFile(path.name)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error.strerror}): check its permissions"
        ) from error
    return _load(path, status.st_mtime_ns, status.st_size, groups)


def default_channel(settings: Settings) -> int | None:
    """Return the channel of sessions that name none: the environment's, else the settings file's.

    A file that cannot be read has none; what is wrong with it is reported where its settings are used.
    """
    if settings.default_channel_id is not None:
        return settings.default_channel_id
    with suppress(ConfigurationError):
        return _own_or_shipped(settings).default_channel_id
    return None


def default_monitor_patterns(settings: Settings) -> tuple[str, ...]:
    """Return what the bot monitors in a guild that it sees for the first time, wherever that is set.

    Raises:
        ConfigurationError: The settings file cannot be read or breaks a rule.
    """
    if settings.bot_monitor is not None:
        return tuple(settings.bot_monitor.split())
    if settings.discord_channel_id is not None:
        return (str(settings.discord_channel_id),)
    return _own_or_shipped(settings).monitor


def _own_or_shipped(settings: Settings) -> SettingsFile:
    # A data folder of before had no need of the file for these.
    own = settings.settings_file
    return load_settings_file(own if own.exists() else SHIPPED_FILES / "settings.yaml", groups=False)


@lru_cache(maxsize=4)
def _load(path: Path, _modified: int, _size: int, groups: bool) -> SettingsFile:  # noqa: FBT001 - a key
    try:
        return _parsed(decode_text(read_edited_file(path), str(path)), path, _GROUPS if groups else ())
    except BadInput as error:
        raise ConfigurationError(str(error)) from error


def _parsed(text: str, path: Path, groups: Collection[str]) -> SettingsFile:
    name = str(path)
    root = yaml_root(text, name)
    sections = {} if root is None else dict(mapping_items(root, name, "the document"))
    for key, node in sections.items():
        if key not in (*_SECTIONS, *_GROUPS):
            problem = unknown_key(key, (*_SECTIONS, *_GROUPS))
            raise BadInput(f"{name}, line {line_of(node)}: {problem}")
    lines: dict[str, int] = {}
    tree = _tree(sections["defaults"], name, "defaults", lines) if "defaults" in sections else {}
    for group in _GROUPS:
        if group in tree:
            raise BadInput(f"{name}, line {lines[group]}: write {group} beside defaults, not in it")
        if group in sections and group in groups:
            tree[group] = _tree(sections[group], name, group, lines, f"{group}.")
    defaults = flatten(tree, "defaults", _placed(name, lines))
    channels = _channels(sections["channels"], name, groups) if "channels" in sections else {}
    _check_together(name, defaults, channels)
    return SettingsFile(
        path.name,
        defaults,
        channels,
        _default_channel(sections.get("default_channel_id"), name),
        _monitor(sections.get("monitor"), name),
    )


def _default_channel(node: yaml.Node | None, name: str) -> int | None:
    if node is None or is_null(node):
        return None
    try:
        return parse_channel_id(str(written(node)))
    except BadInput as error:
        raise BadInput(f"{name}, line {line_of(node)}: default_channel_id: {error}") from error


def _monitor(node: yaml.Node | None, name: str) -> tuple[str, ...]:
    if node is None or is_null(node):
        return ()
    patterns = written(node)
    if isinstance(patterns, str):
        return tuple(patterns.split())
    if patterns is None or not all(isinstance(each, str) and each.strip() for each in patterns):
        raise BadInput(f"{name}, line {line_of(node)}: monitor is not a list of ids and patterns of names")
    return tuple(patterns)


def _channels(node: yaml.Node, name: str, groups: Collection[str]) -> dict[int, Values]:
    channels: dict[int, Values] = {}
    for key, below in [] if is_null(node) else mapping_items(node, name, "channels"):
        try:
            channel_id = parse_channel_id(key)
        except BadInput as error:
            raise BadInput(f"{name}, line {line_of(below)}: {error}") from error
        lines: dict[str, int] = {}
        tree = _tree(below, name, f"channel {key}", lines)
        tree = {each: value for each, value in tree.items() if each in groups or each not in _GROUPS}
        channels[channel_id] = flatten(tree, f"channel {key}", _placed(name, lines))
    return channels


def _tree(node: yaml.Node, name: str, what: str, lines: dict[str, int], prefix: str = "") -> _Tree:
    """Return a mapping's texts, lists of texts and mappings, and note the line of each key."""
    tree: _Tree = {}
    for key, value in [] if is_null(node) else mapping_items(node, name, what):
        full = f"{prefix}{key}"
        lines[full] = line_of(value)
        if isinstance(value, yaml.MappingNode):
            tree[key] = _tree(value, name, full, lines, f"{full}.")
        elif is_null(value) and full in _GROUPS:
            tree[key] = None
        else:
            tree[key] = written(value)
    return tree


def written(node: yaml.Node | None) -> str | list[Any] | None:
    """Return what a scalar or a list of scalars says, as text; None for anything else."""
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [written(each) for each in node.value]
    return None


def _placed(name: str, lines: Mapping[str, int]) -> Callable[[str], str]:
    return lambda key: f"{name}, line {lines[key]}: "


def _check_together(name: str, defaults: Values, channels: Mapping[int, Values]) -> None:
    """Find values that contradict each other.

    Raises:
        ConfigurationError: Some do.
    """
    everywhere = Layer(name, defaults)
    for own in ({}, *channels.values()):
        _ = EffectiveSettings((everywhere, Layer(name, own))).highlights
