"""Clips: the videos of a message, and the expiry of their addresses.

Input are the `attachments` and `embeds` of a stored message in the projection of
`domain/messages/normalize.py`. Fetching a clip's bytes, and reading the message again when the address has
expired, belongs to capture.

What counts as a video:

- An attachment whose file name ends in one of `VIDEO_EXTENSIONS`, or whose content type is
  `video/…`. The extension counts first because the type may be missing (an export has none) or,
  being guessed from the name, differ between computers (`.3gp` is audio to some). A `video/…` type is
  not believed for `.ts`, which on Discord is TypeScript far more often than MPEG transport stream,
  nor where it carries a charset: that is text under a misleading name.
- An embed with a video, or whose own address ends in one of `VIDEO_EXTENSIONS`. The animated
  pictures of the GIF pickers (`GIF_HOSTS`) come as video embeds too and are no clips.

The same file twice in a message, as attachment and as a pasted link, is one clip.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import SplitResult, unquote, urlsplit

CLIPS_PARSER_VERSION = 3

VIDEO_EXTENSIONS = frozenset(
    {
        ".3g2",
        ".3gp",
        ".asf",
        ".avi",
        ".f4v",
        ".flv",
        ".m2ts",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".mxf",
        ".ogv",
        ".qt",
        ".vob",
        ".webm",
        ".wmv",
    }
)
GIF_HOSTS = frozenset({"tenor.com", "giphy.com"})

_DISCORD_FILE_HOSTS = frozenset({"cdn.discordapp.com", "media.discordapp.net"})
# Eight hexadecimal digits of Unix seconds last until 2106; fewer would be a date before 1978.
_EXPIRY = re.compile(r"(?:^|&)ex=([0-9a-fA-F]{8})(?:&|$)")
_TYPESCRIPT = frozenset({".ts"})


@dataclass(frozen=True, slots=True)
class Clip:
    """One video of a message.

    Attributes:
        url: Where it is, as the message says; for an embed it may be a player's page.
        file_name: The uploaded file's name, or the last part of the address when that is a video
            file's name; else None.
        content_type: As stored with the attachment; None for embeds.
        size_bytes: As stored with the attachment; None for embeds.
        expires_at: Aware UTC time from which the address no longer works, read from the signed
            address (`?ex=` in hexadecimal Unix seconds; Discord API documentation, "Signed Attachment
            CDN URLs"); None for an address without signature.
        origin: Whether it was uploaded with the message or linked by it.
        part: Which part of the message it is of: `attachment[0]`, `embed[0].video`, `embed[0].url`,
            `component.media`, with `forwarded.` before it where the message forwards it.
        is_stream_clip: Whether it was cut from a stream in Discord; None where no source shows it.
        clip_created_at: When it was cut, aware UTC; None for any other video.
    """

    url: str
    file_name: str | None
    content_type: str | None
    size_bytes: int | None
    expires_at: datetime | None
    origin: Literal["attachment", "embed", "component"]
    part: str
    is_stream_clip: bool | None = None
    clip_created_at: datetime | None = None


def find_clips(
    attachments: Iterable[Mapping[str, Any]],
    embeds: Iterable[Mapping[str, Any]],
    media: Iterable[Mapping[str, Any]] = (),
) -> list[Clip]:
    """List the videos of one message, uploaded ones first, in the message's order.

    Args:
        attachments: Mappings with `file_name`, `url`, `size_bytes`, `content_type`, `forwarded`, `is_clip`
            and `clip_created_at` (ISO 8601), each absent or nullable.
        embeds: Mappings with `url`, `video_url` and `forwarded`, each absent or nullable.
        media: Media of components: mappings with `at`, its part, and `url`, `file_name` and `content_type`,
            absent or nullable.

    Returns:
        One clip per video that has an address.
    """
    files = _numbered("attachment", attachments)
    found = [clip for part, item in files if (clip := _uploaded(item, "attachment", part))]
    found += [clip for part, item in _numbered("embed", embeds) if (clip := _embedded(item, part))]
    found += [clip for item in media if (clip := _uploaded(item, "component", item["at"]))]
    unique: dict[str, Clip] = {}
    for clip in found:
        unique.setdefault(_identity(clip.url), clip)
    return list(unique.values())


def _numbered(kind: str, items: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each item with the part it is: the message's own and those it forwards are counted apart."""
    passed = {"": 0, "forwarded.": 0}
    for item in items:
        prefix = "forwarded." if item.get("forwarded") else ""
        yield f"{prefix}{kind}[{passed[prefix]}]", item
        passed[prefix] += 1


def _uploaded(item: Mapping[str, Any], origin: Literal["attachment", "component"], part: str) -> Clip | None:
    url, name, content_type = item.get("url"), item.get("file_name"), item.get("content_type")
    if not url or not _is_video(_extension(name or _last_part(url)), content_type or ""):
        return None
    cut = item.get("clip_created_at")
    return Clip(
        url=url,
        file_name=name or _last_part(url),
        content_type=content_type,
        size_bytes=item.get("size_bytes"),
        expires_at=expiry(url),
        origin=origin,
        part=part,
        is_stream_clip=item.get("is_clip"),
        clip_created_at=datetime.fromisoformat(cut).astimezone(UTC) if cut else None,
    )


def _embedded(item: Mapping[str, Any], part: str) -> Clip | None:
    linked = item.get("url")
    url = item.get("video_url") or (linked if linked and _is_video_file(linked) else None)
    if not url or _is_animated_picture(url):
        return None
    name = _last_part(url) if _is_video_file(url) else None
    return Clip(
        url=url,
        file_name=name,
        content_type=None,
        size_bytes=None,
        expires_at=expiry(url),
        origin="embed",
        part=f"{part}.video" if item.get("video_url") else f"{part}.url",
    )


def expiry(url: str) -> datetime | None:
    """Return the aware UTC time from which a signed address no longer works; None if it has none."""
    match = _EXPIRY.search(_split(url).query)
    return datetime.fromtimestamp(int(match[1], 16), UTC) if match else None


def _is_video(extension: str, content_type: str) -> bool:
    if extension in VIDEO_EXTENSIONS:
        return True
    kind = content_type.lower()
    return kind.startswith("video/") and "charset=" not in kind and extension not in _TYPESCRIPT


def _is_video_file(url: str) -> bool:
    return _extension(_last_part(url)) in VIDEO_EXTENSIONS


def _is_animated_picture(url: str) -> bool:
    host = _host(_split(url))
    return any(host == known or host.endswith("." + known) for known in GIF_HOSTS)


def _identity(url: str) -> str:
    """Return what two addresses of the same file share: on Discord's hosts the path alone."""
    parts = _split(url)
    if _host(parts) in _DISCORD_FILE_HOSTS:
        return parts.path
    return url.partition("#")[0]


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", url, "", "")


def _host(parts: SplitResult) -> str:
    return parts.hostname or ""


def _last_part(url: str) -> str:
    # An exporter that saves media writes a local path instead, with the separators of its system.
    return unquote(_split(url).path).replace("\\", "/").rsplit("/", 1)[-1]


def _extension(name: str) -> str:
    return PurePosixPath(name).suffix.lower()
