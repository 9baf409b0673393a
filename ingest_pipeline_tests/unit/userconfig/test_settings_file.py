"""The settings of channels out of data/settings.yaml."""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_pipeline.domain.channel_settings import SETTINGS
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.settings import load_settings
from ingest_pipeline.userconfig.settings_file import (
    SettingsFile,
    default_channel,
    default_monitor_patterns,
    load_settings_file,
)

STAMPS = count(1)
SHIPPED = Path(__file__).resolve().parents[3] / "data" / "settings.yaml"


def load(tmp_path: Path, text: str) -> SettingsFile:
    """Read the settings out of a text."""
    path = tmp_path / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    stamp = next(STAMPS)
    os.utime(path, ns=(stamp, stamp))
    return load_settings_file(path)


def test_without_a_file_nothing_is_reported(tmp_path: Path) -> None:
    """Absent, empty and commented-out files mean the same."""
    assert load_settings_file(tmp_path / "settings.yaml") == SettingsFile()
    for text in ("", "# nothing\n", "channels:\n", "defaults:\nhighlights:\nchannels: {}\n"):
        assert load(tmp_path, text) == SettingsFile()


def test_the_shipped_file_states_the_defaults_and_its_examples_are_right(tmp_path: Path) -> None:
    """What the comments of data/settings.yaml show can be used as it stands."""
    shipped = load_settings_file(SHIPPED)
    assert shipped.defaults == {key: setting.default for key, setting in SETTINGS.items()}
    assert shipped.channels == {}
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    example = "\n".join(line[2:] for line in lines[lines.index("# channels:") :] if line.startswith("# "))
    assert load(tmp_path, example).channels == {
        1101802452224856174: {"keep_media_only": True},
        1101802452224856175: {"driver_from": "author_name", "highlights.threshold": 0.7},
    }


_DOUBLING = "".join(f"  - &a{each} [{', '.join([f'*a{each - 1}'] * 9)}]\n" for each in range(1, 12))


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("defaults: &a\n  keep_media_only: *a\n", 1, "contains itself"),
        ("highlights:\n  keywords: &a [x, *a]\n", 2, "contains itself"),
        ("channels: {11: &a {highlights: {keywords: [*a]}}}\n", 1, "contains itself"),
        (f"highlights:\n  keywords:\n  - &a0 [x]\n{_DOUBLING}", 9, "more than 1,000,000 values"),
    ],
)
def test_a_file_that_contains_or_repeats_itself_is_refused(
    tmp_path: Path, text: str, line: int, reason: str
) -> None:
    """With the line, before it fills the memory."""
    with pytest.raises(ConfigurationError, match=rf"settings\.yaml, line {line}: .*{reason}"):
        load(tmp_path, text)


def test_a_part_may_be_repeated_by_an_alias(tmp_path: Path) -> None:
    """As people do who have many channels."""
    file = load(tmp_path, "channels:\n  11: &radio {keep_media_only: true}\n  12: *radio\n  13: *radio\n")
    assert file.channels == {key: {"keep_media_only": True} for key in (11, 12, 13)}


def test_values_keep_what_was_written(tmp_path: Path) -> None:
    """`yes` is true where a flag is asked for and a word where words are."""
    text = """
defaults: {keep_media_only: yes}
highlights: {threshold: 0.70, full_reactions: 5, keywords: [no, 'safety car']}
channels:
  11: {highlights: {threshold: 1}}
  12:
"""
    file = load(tmp_path, text)
    assert file.defaults == {
        "keep_media_only": True,
        "highlights.threshold": 0.7,
        "highlights.full_reactions": 5,
        "highlights.keywords": ("no", "safety car"),
    }
    assert file.channels == {11: {"highlights.threshold": 1}, 12: {}}


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(tmp_path: Path) -> None:
    """Settings are asked for with every batch; reading YAML that often would be dear."""
    first = load(tmp_path, "highlights: {threshold: 0.7}")
    assert load_settings_file(tmp_path / "settings.yaml") is first
    assert load(tmp_path, "highlights: {threshold: 0.6}").defaults == {"highlights.threshold": 0.6}


@pytest.mark.parametrize(
    ("text", "wording"),
    [
        ("chanels: {}", "line 1: unknown key 'chanels': did you mean 'channels'?"),
        ("zzz: {}", "known are default_channel_id, monitor, defaults, channels"),
        ("channels:\n  general: {}", "line 2: channel id 'general' is not a Discord id"),
        ("channels:\n  11: {keep_media: true}", "unknown key 'keep_media': did you mean 'keep_media_only'?"),
        (
            "channels:\n  11: {keep_media_only: maybe}",
            "keep_media_only of channel 11 is 'maybe': write true or false",
        ),
        ("channels:\n  11: {keep_media_only: [true]}", "write true or false"),
        (
            "defaults: {driver_from: title}",
            "'title': write content, author_name, embed_title, embed_author or embed_field",
        ),
        ("channels: [11]", "channels must be a mapping"),
        ("channels: {11: true}", "channel 11 must be a mapping"),
        ("highlights: {treshold: 1}", "line 1: unknown key 'treshold': did you mean 'threshold'?"),
        (
            "highlights: {threshold: high}",
            "highlights.threshold of defaults is 'high': write a number from 0",
        ),
        ("highlights: {threshold: 2026-99-99}", "write a number from 0"),
        ("highlights: {threshold: 1e999}", "write a number from 0"),
        ("highlights: {keywords: crash}", "write a list of texts"),
        ("highlights: {keywords: [a, {b: c}]}", "write a list of texts"),
        ("highlights: 5", "highlights must be a mapping"),
        ("highlights: {threshold: 2}", "lower it or raise a weight"),
        ("channels: {11: {highlights: {threshold: 2}}}", "lower it or raise a weight"),
        ("channels: {11: {highlights: 5}}", "highlights of channel 11 must be a mapping"),
        ("defaults: {highlights: {threshold: 0.5}}", "write highlights beside defaults, not in it"),
        ("channels: {11: {}, 11: {}}", "'11' is given twice in channels"),
        ("- 11", "the document must be a mapping"),
        ("channels: {", "is not YAML"),
    ],
)
def test_a_wrong_file_is_refused_with_line_and_remedy(tmp_path: Path, text: str, wording: str) -> None:
    """Every message says where, what and what to do."""
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    assert wording in str(caught.value)
    assert "settings.yaml" in str(caught.value)


@given(content=st.binary())
def test_any_bytes_are_settings_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """No file leads to another error than that of a wrong configuration."""
    path = tmp_path_factory.mktemp("any") / "settings.yaml"
    path.write_bytes(content)
    with suppress(ConfigurationError):
        assert isinstance(load_settings_file(path), SettingsFile)


def test_the_shipped_file_names_the_default_channel_and_what_is_monitored_first() -> None:
    """Where a user sees and changes them; the code has neither."""
    shipped = load_settings_file(SHIPPED)
    assert shipped.default_channel_id == 1101802452224856174
    assert shipped.monitor == ("*aplus-setups*",)


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """For the channel of sessions that name none, and for what the bot monitors first."""
    (tmp_path / "settings.yaml").write_text("default_channel_id: 7\nmonitor: [radio, '*clips*']\n")
    of_file = load_settings(data_dir=tmp_path)
    assert (default_channel(of_file), default_monitor_patterns(of_file)) == (7, ("radio", "*clips*"))
    of_both = load_settings(data_dir=tmp_path, default_channel_id=8, bot_monitor="setups !old")
    assert (default_channel(of_both), default_monitor_patterns(of_both)) == (8, ("setups", "!old"))


def test_a_data_folder_without_the_file_has_the_shipped_defaults(tmp_path: Path) -> None:
    """As before they stood in the file; an empty file of its own has none."""
    settings = load_settings(data_dir=tmp_path)
    assert (default_channel(settings), default_monitor_patterns(settings)) == (
        1101802452224856174,
        ("*aplus-setups*",),
    )
    (tmp_path / "settings.yaml").touch()
    assert (default_channel(settings), default_monitor_patterns(settings)) == (None, ())


@pytest.mark.parametrize("text", ["default_channel_id: radio", "monitor: {a: b}", "monitor: ['']"])
def test_a_default_that_is_none_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    """A name in the place of an id, or something else than a list."""
    (tmp_path / "settings.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match="line 1"):
        load_settings_file(tmp_path / "settings.yaml")
