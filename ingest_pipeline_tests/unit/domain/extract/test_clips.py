"""Videos are found among attachments and embeds, with the time their addresses expire."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_pipeline.domain.extract.clips import VIDEO_EXTENSIONS, Clip, expiry, find_clips

SIGNED = "https://cdn.discordapp.com/attachments/1/2/onboard.mp4?ex=68b5f2a0&is=68b4a120&hm=ab12&"


def attachment(**values: Any) -> dict[str, Any]:
    """Return an attachment as stored with its message."""
    stored = {"id": "5", "file_name": "onboard.mp4", "url": SIGNED, "size_bytes": 1_048_576}
    return {**stored, "content_type": "video/mp4", **values}


def test_an_uploaded_video_is_a_clip_with_its_expiry() -> None:
    """Everything known of the file is kept, and the signature's hexadecimal seconds become a UTC time."""
    assert find_clips([attachment()], []) == [
        Clip(
            url=SIGNED,
            file_name="onboard.mp4",
            content_type="video/mp4",
            size_bytes=1_048_576,
            expires_at=datetime(2025, 9, 1, 19, 23, 12, tzinfo=UTC),
            origin="attachment",
            part="attachment[0]",
        )
    ]


@pytest.mark.parametrize("extension", sorted(VIDEO_EXTENSIONS))
def test_the_extension_makes_a_video_whatever_the_type_says(extension: str) -> None:
    """An export has no content type, and a guessed one differs between computers."""
    for content_type in (None, "audio/3gpp", "application/octet-stream"):
        item = attachment(file_name=f"Race{extension.upper()}", content_type=content_type)
        assert len(find_clips([item], [])) == 1


@pytest.mark.parametrize(
    ("file_name", "content_type", "expected"),
    [
        ("clip", "video/mp4", 1),
        ("clip.bin", "VIDEO/WEBM", 1),
        ("clip.png", "image/png", 0),
        ("clip.mp3", "audio/mpeg", 0),
        ("clip.gif", "image/gif", 0),
        ("mp4", None, 0),
        ("index.ts", "video/mp2t", 0),
        ("notes", "video/vnd.dlna.mpeg-tts; charset=utf-8", 0),
        (None, None, 1),
        ("", None, 1),
    ],
)
def test_the_type_counts_where_the_name_says_nothing(
    file_name: str | None, content_type: str | None, expected: int
) -> None:
    """A video type is believed except for text in disguise; a nameless file goes by its address."""
    assert len(find_clips([attachment(file_name=file_name, content_type=content_type)], [])) == expected


def test_an_attachment_without_address_is_no_clip() -> None:
    """There would be nothing to fetch."""
    assert find_clips([attachment(url=None)], []) == []


def test_a_saved_file_of_either_system_is_named_by_its_path() -> None:
    """An exporter that saves media writes a local path into the address."""
    for url in ("media\\race start.mp4", "media/race%20start.mp4"):
        assert [clip.file_name for clip in find_clips([attachment(file_name=None, url=url)], [])] == [
            "race start.mp4"
        ]


def test_an_embedded_video_is_a_clip() -> None:
    """The player's address counts, and says neither type nor size."""
    embed = {"url": "https://youtu.be/abc", "title": "Lap", "video_url": "https://www.youtube.com/embed/abc"}
    assert find_clips([], [embed]) == [
        Clip("https://www.youtube.com/embed/abc", None, None, None, None, "embed", "embed[0].video")
    ]


def test_a_linked_video_file_is_a_clip_even_without_a_player() -> None:
    """Exports before version 2.42.3 do not have the video of an embed."""
    embed = {"url": "https://files.example.org/a/crash%20replay.WEBM?dl=1"}
    assert [clip.file_name for clip in find_clips([], [embed])] == ["crash replay.WEBM"]


@pytest.mark.parametrize(
    "embed",
    [
        {},
        {"url": None, "video_url": None},
        {"url": "https://example.org/news.html", "title": "mp4"},
        {"url": "https://tenor.com/view/x", "video_url": "https://media.tenor.com/x/race.mp4"},
        {"url": "https://giphy.com/x", "video_url": "https://media1.giphy.com/media/x/giphy.mp4"},
    ],
)
def test_pages_and_animated_pictures_are_no_clips(embed: dict[str, Any]) -> None:
    """A link preview without video, and what GIF pickers insert, are left out."""
    assert find_clips([], [embed]) == []


def test_the_same_file_attached_and_linked_is_one_clip() -> None:
    """On Discord's hosts the path identifies a file; elsewhere the whole address does."""
    proxied = SIGNED.replace("cdn.discordapp.com", "media.discordapp.net").replace("68b5f2a0", "68b5f2a1")
    other = "https://video.example.org/watch.mp4?v="
    embeds = [
        {"video_url": proxied},
        {"video_url": other + "1"},
        {"video_url": other + "2"},
        {"url": other + "2#t"},
    ]
    clips = find_clips([attachment()], embeds)
    assert [clip.url for clip in clips] == [SIGNED, other + "1", other + "2"]
    assert clips[0].origin == "attachment"


@pytest.mark.parametrize(
    "url",
    [
        "https://cdn.discordapp.com/a.mp4",
        "https://cdn.discordapp.com/a.mp4?ex=&is=1",
        "https://cdn.discordapp.com/a.mp4?ex=xyz12345",
        "https://cdn.discordapp.com/a.mp4?index=68b5f2a0",
        "https://cdn.discordapp.com/ex=68b5f2a0",
        "https://[broken/a.mp4?ex=68b5f2a0",
        "",
    ],
)
def test_an_address_without_signature_never_expires(url: str) -> None:
    """Only eight hexadecimal digits in the query's `ex` are an expiry."""
    assert expiry(url) is None


def test_a_broken_address_is_still_listed() -> None:
    """The file name says it is a video; that the address is broken shows when it is fetched."""
    clips = find_clips([attachment(url="https://[broken/a.mp4")], [{"video_url": "https://[x/a.mp4"}])
    assert [clip.expires_at for clip in clips] == [None, None]


texts = st.none() | st.text()


@given(
    st.lists(
        st.fixed_dictionaries(
            {"file_name": texts, "url": texts, "content_type": texts, "size_bytes": st.integers(min_value=0)}
        )
    ),
    st.lists(st.fixed_dictionaries({}, optional={"url": texts, "video_url": texts})),
)
def test_any_attachments_and_embeds_can_be_searched(
    attachments: list[dict[str, Any]], embeds: list[dict[str, Any]]
) -> None:
    """Nothing fails, no address comes twice, and every clip's address is one that was given."""
    clips = find_clips(attachments, embeds)
    urls = [clip.url for clip in clips]
    assert len(urls) == len(set(urls))
    given_urls = {item.get(key) for item in [*attachments, *embeds] for key in ("url", "video_url")}
    assert set(urls) <= given_urls


@given(st.integers(min_value=0x10000000, max_value=0xFFFFFFFF))
def test_the_expiry_is_the_signatures_second(seconds: int) -> None:
    """Writing a time into a signature and reading it back gives the same second."""
    assert expiry(f"https://x.org/a.mp4?is=1&ex={seconds:x}") == datetime.fromtimestamp(seconds, UTC)


def test_a_clip_names_of_which_part_it_is() -> None:
    """Forwarded ones are counted apart from the message's own, as the parts with words are."""
    picture = attachment(file_name="a.png", content_type="image/png")
    files = [picture, attachment(url="https://x.invalid/1.mp4")]
    files += [attachment(url=f"https://x.invalid/{n}.mp4", forwarded=True) for n in (2, 3)]
    linked = {"url": "https://x.invalid/4.mp4", "forwarded": True}
    media = [{"at": "forwarded.component.media", "url": "https://x.invalid/5.mp4"}]
    assert [clip.part for clip in find_clips(files, [linked], media)] == [
        "attachment[1]",
        "forwarded.attachment[0]",
        "forwarded.attachment[1]",
        "forwarded.embed[0].url",
        "forwarded.component.media",
    ]
