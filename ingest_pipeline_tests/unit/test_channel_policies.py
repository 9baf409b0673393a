"""Per-channel policies out of data/settings.yaml."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_pipeline.capture.channel_policies import ChannelPolicies, load_channel_policies
from ingest_pipeline.domain.normalize import ChannelPolicy
from ingest_pipeline.errors import ConfigurationError

SHIPPED = Path(__file__).resolve().parents[2] / "data" / "settings.yaml"


def load(tmp_path: Path, text: str) -> ChannelPolicies:
    """Read policies out of a text."""
    path = tmp_path / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return load_channel_policies(path)


def test_without_a_file_every_channel_has_the_defaults(tmp_path: Path) -> None:
    """Absent, empty and commented-out files mean the same."""
    assert load_channel_policies(tmp_path / "none.yaml").policy(11) == ChannelPolicy()
    for text in ("", "# nothing\n", "channels:\n", "defaults:\nchannels: {}\n"):
        assert load(tmp_path, text) == ChannelPolicies()


def test_the_shipped_file_says_the_defaults_and_its_examples_are_right(tmp_path: Path) -> None:
    """What the comments of data/settings.yaml show can be used as it stands."""
    assert load_channel_policies(SHIPPED) == ChannelPolicies()
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    example = "\n".join(line[2:] for line in lines[lines.index("# channels:") :] if line.startswith("# "))
    policies = load(tmp_path, example)
    assert policies.policy(1101802452224856174) == ChannelPolicy(keep_media_only=True)
    assert policies.policy(1101802452224856175) == ChannelPolicy(driver_from="author_name")


def test_a_channel_takes_from_the_defaults_what_it_does_not_say(tmp_path: Path) -> None:
    """Three levels: the channel, the file's defaults, the project's."""
    policies = load(
        tmp_path, "defaults: {keep_media_only: yes}\nchannels:\n  11: {driver_from: author_name}\n  12:\n"
    )
    assert policies.policy(11) == ChannelPolicy(keep_media_only=True, driver_from="author_name")
    assert policies.policy(12) == policies.policy(13) == ChannelPolicy(keep_media_only=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("chanels: {}", "line 1: unknown key 'chanels': did you mean 'channels'?"),
        ("zzz: {}", "known are defaults, channels"),
        ("channels:\n  general: {}", "line 2: channel id 'general' is not a Discord id"),
        ("channels:\n  11: {keep_media: true}", "unknown key 'keep_media': did you mean 'keep_media_only'?"),
        (
            "channels:\n  11: {keep_media_only: maybe}",
            "keep_media_only of channel 11 is 'maybe': write true or false",
        ),
        ("channels:\n  11: {keep_media_only: [true]}", "write true or false"),
        (
            "defaults: {driver_from: title}",
            "driver_from of defaults is 'title': write content or author_name",
        ),
        ("channels: [11]", "channels must be a mapping"),
        ("channels: {11: true}", "channel 11 must be a mapping"),
        ("channels: {11: {}, 11: {}}", "'11' stands twice in channels"),
        ("- 11", "the document must be a mapping"),
        ("channels: {", "is not YAML"),
    ],
)
def test_a_wrong_file_is_refused_with_line_and_remedy(tmp_path: Path, text: str, said: str) -> None:
    """Every message says where, what and what to do."""
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    assert said in str(caught.value)
    assert "settings.yaml" in str(caught.value)


@given(content=st.binary())
def test_any_bytes_are_policies_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """No file leads to another error than that of a wrong configuration."""
    path = tmp_path_factory.mktemp("any") / "settings.yaml"
    path.write_bytes(content)
    with suppress(ConfigurationError):
        assert isinstance(load_channel_policies(path).policy(11), ChannelPolicy)
