"""How each channel's messages are taken: `data/settings.yaml`, which a user edits while things run.

```yaml
defaults:
  keep_media_only: false
channels:
  1101802452224856174:
    driver_from: author_name
```

A channel takes from `defaults` what it does not say itself, and both take the rest from
`ChannelPolicy`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from ingest_pipeline.capture.edited_files import (
    decode_text,
    is_null,
    line_of,
    mapping_items,
    read_edited_file,
    yaml_root,
)
from ingest_pipeline.capture.session_rows import parse_channel_id, shown
from ingest_pipeline.domain.normalize import ChannelPolicy
from ingest_pipeline.errors import BadInput, ConfigurationError

_BOOLEANS = {"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False}
_PLACES = {"content", "author_name"}
# Sections that others read.
_OTHERS = ("highlights",)


@dataclass(frozen=True, slots=True)
class ChannelPolicies:
    """The policies of all channels.

    Attributes:
        defaults: The policy of channels without one of their own.
        channels: Channel id → its policy.
    """

    defaults: ChannelPolicy = field(default_factory=ChannelPolicy)
    channels: Mapping[int, ChannelPolicy] = field(default_factory=dict)

    def policy(self, channel_id: int) -> ChannelPolicy:
        """Return a channel's policy."""
        return self.channels.get(channel_id, self.defaults)


def load_channel_policies(path: Path) -> ChannelPolicies:
    """Read the policies; a file that is absent or empty means the defaults for every channel.

    Raises:
        ConfigurationError: The file cannot be read or breaks a rule; the message names line, value
            and remedy.
    """
    if not path.exists():
        return ChannelPolicies()
    try:
        return _policies(decode_text(read_edited_file(path), str(path)), str(path))
    except BadInput as error:
        raise ConfigurationError(str(error)) from error


def _policies(text: str, name: str) -> ChannelPolicies:
    root = yaml_root(text, name)
    sections = {} if root is None else dict(mapping_items(root, name, "the document"))
    _refuse_unknown(sections, ("defaults", "channels", *_OTHERS), name)
    sections = {key: node for key, node in sections.items() if not is_null(node)}
    defaults = ChannelPolicy()
    if "defaults" in sections:
        defaults = _policy(sections["defaults"], name, "defaults", defaults)
    channels: dict[int, ChannelPolicy] = {}
    if "channels" in sections:
        for key, node in mapping_items(sections["channels"], name, "channels"):
            try:
                channel_id = parse_channel_id(key)
            except BadInput as error:
                raise BadInput(f"{name}, line {line_of(node)}: {error}") from error
            channels[channel_id] = _policy(node, name, f"channel {key}", defaults)
    return ChannelPolicies(defaults, channels)


def _policy(node: yaml.Node, name: str, what: str, defaults: ChannelPolicy) -> ChannelPolicy:
    items = [] if is_null(node) else mapping_items(node, name, what)
    _refuse_unknown(dict(items), tuple(item.name for item in fields(ChannelPolicy)), name)
    changes: dict[str, Any] = {}
    for key, value in items:
        where = f"{name}, line {line_of(value)}: {key} of {what}"
        text = value.value if isinstance(value, yaml.ScalarNode) else None
        changes[key] = _CONVERTERS[key](text, where)
    return replace(defaults, **changes)


def _refuse_unknown(items: Mapping[str, yaml.Node], known: tuple[str, ...], name: str) -> None:
    for key, node in items.items():
        if key not in known:
            near = get_close_matches(key, known, n=1, cutoff=0.5)
            remedy = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise BadInput(f"{name}, line {line_of(node)}: unknown key {shown(key)}: {remedy}")


def _boolean(text: str | None, where: str) -> bool:
    if text is None or text.lower() not in _BOOLEANS:
        raise BadInput(f"{where} is {shown(text)}: write true or false")
    return _BOOLEANS[text.lower()]


def _place(text: str | None, where: str) -> str:
    if text not in _PLACES:
        raise BadInput(f"{where} is {shown(text)}: write content or author_name")
    return text


_CONVERTERS: dict[str, Callable[[str | None, str], Any]] = {
    "keep_media_only": _boolean,
    "driver_from": _place,
}
