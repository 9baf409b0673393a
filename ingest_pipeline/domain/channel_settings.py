"""Channel settings: their keys, values and precedence.

A setting has a dotted key, `highlights.threshold` for what stands under `highlights:` as `threshold`.
Values are layered: the project's defaults, those of `data/settings.yaml`, then the guild's, the
category's, the channel's and the thread's own. The nearest layer that sets a key decides.
Where the layers come from is no business of this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, get_args

from ingest_pipeline.domain.extract.highlights import HighlightRule
from ingest_pipeline.domain.messages.normalize import ChannelPolicy
from ingest_pipeline.domain.messages.words import DriverFrom
from ingest_pipeline.errors import BadInput, ConfigurationError

Value = bool | int | float | str | tuple[str, ...]
Values = Mapping[str, Value]

HIGHLIGHTS = "highlights"
KNOWN_DRIVERS_ONLY = "known_drivers_only"
OVERRUN_MINUTES = "overrun_minutes"
FETCH_CLIPS = "fetch_clips"
KEEP_DELETED_WORDS = "keep_deleted_words"
_DEFAULT = "default"
_FLAGS = {"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False}
_PLACES = get_args(DriverFrom)
_LONGEST_SHOWN = 60
_MOST_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that can be set.

    Attributes:
        key: Its dotted key.
        default: Its value when no layer sets it.
        form: What its values look like, for people.
        read: Returns a value out of what was written or given, or None when it is not one.
    """

    key: str
    default: Value
    form: str
    read: Callable[[object], Value | None]


@dataclass(frozen=True, slots=True)
class Layer:
    """The settings of one scope.

    Attributes:
        origin: The place, for people: `settings.yaml`, `guild 123`.
        values: Its values, by key.
    """

    origin: str
    values: Values


@dataclass(frozen=True, slots=True)
class InForce:
    """A value that is in effect, and the layer that sets it."""

    key: str
    value: Value
    origin: str


@dataclass(frozen=True, slots=True)
class EffectiveSettings:
    """The settings of one channel, or of all without settings of their own.

    Attributes:
        layers: What each layer sets, the farthest first.
    """

    layers: tuple[Layer, ...] = ()

    def find(self, key: str) -> InForce:
        """Return a setting's value with its origin."""
        for layer in reversed(self.layers):
            if key in layer.values:
                return InForce(key, layer.values[key], layer.origin)
        return InForce(key, SETTINGS[key].default, _DEFAULT)

    @property
    def policy(self) -> ChannelPolicy:
        """The policy of the channel."""
        return ChannelPolicy(**{name: self.find(name).value for name in ChannelPolicy.__slots__})  # type: ignore[arg-type]

    @property
    def known_drivers_only(self) -> bool:
        """Whether reports and the page count only drivers whom the driver table knows."""
        return bool(self.find(KNOWN_DRIVERS_ONLY).value)

    @property
    def overrun_minutes(self) -> int:
        """How long past its end a session of the channel may go on, in minutes; 0 for not at all."""
        return int(self.find(OVERRUN_MINUTES).value)  # type: ignore[arg-type]

    @property
    def fetch_clips(self) -> bool:
        """Whether the channel's clips are fetched as files before their addresses expire."""
        return bool(self.find(FETCH_CLIPS).value)

    @property
    def keep_deleted_words(self) -> bool:
        """Whether a message of the channel that is deleted on Discord keeps its words here."""
        return bool(self.find(KEEP_DELETED_WORDS).value)

    @property
    def highlights(self) -> HighlightRule:
        """The highlight rule of the channel.

        Raises:
            ConfigurationError: The values contradict each other; the message names where they are from.
        """
        found = [self.find(key) for key in keys_under(HIGHLIGHTS)]
        try:
            return _rule(tuple((each.key.partition(".")[2], each.value) for each in found))
        except ConfigurationError as error:
            origins = dict.fromkeys(each.origin for each in found if each.origin != _DEFAULT)
            raise ConfigurationError(f"{', '.join(origins)}: {error}") from error


@lru_cache(maxsize=64)
def _rule(values: tuple[tuple[str, Value], ...]) -> HighlightRule:
    return HighlightRule.from_mapping(dict(values))


def keys_under(prefix: str) -> list[str]:
    """Return the keys that are a prefix or stand below it, in their order; all for an empty one.

    Raises:
        BadInput: There is none; the message names the nearest.
    """
    found = [key for key in SETTINGS if not prefix or key == prefix or key.startswith(f"{prefix}.")]
    if not found:
        raise BadInput(unknown_key(prefix, list(SETTINGS)))
    return found


def read_value(key: str, value: object, what: str) -> Value:
    """Return a setting's value out of what was written: text, or a value of JSON.

    Args:
        key: The setting.
        value: Text, a list of texts, or a value of the right type.
        what: What it is the value of, in messages.

    Raises:
        BadInput: It is not one; the message says what to write.
    """
    setting = SETTINGS[key]
    found = setting.read(value)
    if found is None:
        raise BadInput(f"{what} is {_shown(value)}: write {setting.form}")
    return found


def flatten(tree: Mapping[str, object], of: str, place: Callable[[str], str]) -> dict[str, Value]:
    """Return a tree's values by dotted key, checked.

    Args:
        tree: Names to values, or to trees; a tree may be None.
        of: What the settings are of, in messages.
        place: Returns where a key stands, in messages, with a colon and a space.

    Raises:
        BadInput: A key is unknown or a value does not fit; the message says what to write.
    """
    return dict(_flatten(tree, "", of, place))


def _flatten(
    tree: Mapping[str, object], prefix: str, of: str, place: Callable[[str], str]
) -> Iterator[tuple[str, Value]]:
    level = len(prefix.split(".")) - 1
    names = list(dict.fromkeys(key.split(".")[level] for key in SETTINGS if key.startswith(prefix)))
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if name not in names:
            raise BadInput(f"{place(key)}{unknown_key(str(name), names)}")
        if key in SETTINGS:
            yield key, read_value(key, value, f"{place(key)}{key} of {of}")
        elif isinstance(value, Mapping):
            yield from _flatten(value, f"{key}.", of, place)
        elif value is not None:
            raise BadInput(f"{place(key)}{key} of {of} must be a mapping of 'name: value' lines")


def nest(values: Values) -> dict[str, Any]:
    """Return values by dotted key as a tree, fit for JSON."""
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *groups, name = key.split(".")
        branch = tree
        for group in groups:
            branch = branch.setdefault(group, {})
        branch[name] = list(value) if isinstance(value, tuple) else value
    return tree


def unknown_key(key: str, known: Sequence[str]) -> str:
    """Return the error message for a key that is not one."""
    near = get_close_matches(key, known, n=1, cutoff=0.5)
    remedy = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    return f"unknown key {_shown(key)}: {remedy}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _flag(value: object) -> Value | None:
    if isinstance(value, bool):
        return value
    return _FLAGS.get(value.lower()) if isinstance(value, str) else None


def _place(value: object) -> Value | None:
    return value if isinstance(value, str) and value in _PLACES else None


def _number(value: object) -> Value | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    if not 0 <= number < float("inf"):
        return None
    return int(number) if number.is_integer() else number


def _minutes(value: object) -> Value | None:
    number = _number(value)
    return number if isinstance(number, int) and number <= _MOST_MINUTES else None


def _texts(value: object) -> Value | None:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        return None
    return tuple(value)


def _settings() -> Iterator[Setting]:
    policy = ChannelPolicy()
    yield Setting("keep_media_only", policy.keep_media_only, "true or false", _flag)
    yield Setting("driver_from", policy.driver_from, f"{', '.join(_PLACES[:-1])} or {_PLACES[-1]}", _place)
    yield Setting(KNOWN_DRIVERS_ONLY, True, "true or false", _flag)
    yield Setting(OVERRUN_MINUTES, 0, f"whole minutes from 0 to {_MOST_MINUTES}", _minutes)
    yield Setting(FETCH_CLIPS, False, "true or false", _flag)
    yield Setting(KEEP_DELETED_WORDS, True, "true or false", _flag)
    rule = HighlightRule()
    for name in (item.name for item in fields(rule) if item.init):
        form, read = ("a list of texts", _texts) if name == "keywords" else ("a number from 0", _number)
        yield Setting(f"{HIGHLIGHTS}.{name}", getattr(rule, name), form, read)


SETTINGS: Mapping[str, Setting] = {setting.key: setting for setting in _settings()}
"""Every setting by its key, in the order in which they are shown."""
