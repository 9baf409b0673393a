"""The download of one asset of a GitHub release: looked up, downloaded, verified, unpacked safely.

The description is the REST API's (https://docs.github.com/en/rest/releases/releases), where
`digest` of an asset, `sha256:…`, exists since June 2025.
"""

from __future__ import annotations

import hashlib
import json
import stat
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from ingest_pipeline.errors import ConfigurationError, TransientError
from ingest_pipeline.sources.http import NETWORK_ERRORS, http_session, received

MAX_DESCRIPTION_BYTES = 4 * 1024 * 1024
MAX_UNPACKED_BYTES = 1024 * 1024 * 1024
_HEADERS = {
    "Accept": "application/vnd.github+json, application/octet-stream",
    "User-Agent": "ingest-pipeline",
}


@dataclass(frozen=True, slots=True)
class ReleaseAsset:
    """An archive of a release.

    Attributes:
        version: The release's version, such as `2.47`.
        name: The archive's file name.
        url: Where it is.
        size_bytes: Its size.
        sha256: Its digest in hexadecimal; None when the release does not give one.
    """

    version: str
    name: str
    url: str
    size_bytes: int
    sha256: str | None


def find_release(releases_url: str, version: str | None, name: str, timeout_seconds: float) -> ReleaseAsset:
    """Return the asset of a name in a release.

    Args:
        releases_url: Where releases are described.
        version: Which, as it is tagged; None for the latest.
        name: The asset's file name.
        timeout_seconds: Longest wait for an answer.

    Raises:
        TransientError: The address gives no answer, or none of the known shape.
        ConfigurationError: The release is another, has no such asset, or names an unsafe address.
    """
    api_url = f"{releases_url}/latest" if version is None else f"{releases_url}/tags/{version}"
    asset = _described_asset(api_url, name, timeout_seconds)
    if version not in {None, asset.version}:
        raise ConfigurationError(
            f"{api_url} describes version {asset.version!r}, not {version!r}: do not use it"
        )
    return asset


def _described_asset(api_url: str, name: str, timeout_seconds: float) -> ReleaseAsset:
    text = _get(api_url, timeout_seconds)
    try:
        release = json.loads(text)
        version = str(release["tag_name"]).removeprefix("v")
        assets = {str(entry["name"]): entry for entry in release["assets"]}
    except (ValueError, KeyError, TypeError) as error:
        raise TransientError(f"{api_url} does not describe a release: the exporter is not changed") from error
    if name not in assets:
        raise ConfigurationError(
            f"release {version} of the exporter has no {name}: install another and set INGEST_EXPORTER_PATH"
        )
    return _asset(api_url, version, assets[name])


def download_asset(asset: ReleaseAsset, target: Path, timeout_seconds: float, deadline: float) -> None:
    """Download an asset and compare it with its description.

    Args:
        asset: What to download.
        target: The file to write.
        timeout_seconds: Longest wait for the next bytes.
        deadline: `time.monotonic()` at which the download is given up.

    Raises:
        TransientError: It cannot be fetched in time, or is not what the release describes.
    """
    digest, size = hashlib.sha256(), 0
    with target.open("wb") as file:
        for chunk in _chunks(asset.url, timeout_seconds, deadline):
            digest.update(chunk)
            size += len(chunk)
            if size > asset.size_bytes:
                break
            file.write(chunk)
    if size != asset.size_bytes:
        raise TransientError(
            f"{asset.url} arrived with {size} bytes instead of {asset.size_bytes}: try again later"
        )
    if asset.sha256 and digest.hexdigest() != asset.sha256:
        raise TransientError(
            f"{asset.url} has SHA-256 {digest.hexdigest()} instead of {asset.sha256}: try again later, "
            "and do not use the file"
        )


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a ZIP archive whose every member stays inside the folder.

    Raises:
        TransientError: The archive is damaged.
        ConfigurationError: A member would land outside the folder, is a link, or the whole is too big.
    """
    try:
        with zipfile.ZipFile(archive) as content:
            _check_members(content.infolist())
            if damaged := content.testzip():
                raise TransientError(f"{archive.name} is damaged at {damaged}: try again later")
            content.extractall(folder)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise TransientError(
            f"{archive.name} is not a complete ZIP archive ({error}): try again later"
        ) from error


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    for member in members:
        # ZipInfo has normalized the name already; the archive's own spelling is what must be judged.
        name = member.orig_filename
        path = PurePosixPath(name)
        is_outside = path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name
        if is_outside or stat.S_ISLNK(member.external_attr >> 16):
            raise ConfigurationError(
                f"the exporter's archive holds {name!r}, which would land outside its folder: do not use it"
            )
    if sum(member.file_size for member in members) > MAX_UNPACKED_BYTES:
        raise ConfigurationError("the exporter's archive unpacks to more than 1 GB: do not use it")


def _asset(api_url: str, version: str, entry: dict[str, Any]) -> ReleaseAsset:
    url, digest = str(entry.get("browser_download_url")), str(entry.get("digest") or "")
    # A version becomes a folder's name, and an answer over HTTPS must not lead to an open connection.
    if not version.replace(".", "").replace("-", "").isalnum() or version.startswith((".", "-")):
        raise ConfigurationError(f"{api_url} names version {version!r}, which is not a version")
    if urlsplit(url).scheme not in {"https", urlsplit(api_url).scheme}:
        raise ConfigurationError(f"{api_url} leads to {url}, which is not HTTPS: do not use it")
    return ReleaseAsset(
        version=version,
        name=str(entry["name"]),
        url=url,
        size_bytes=int(entry.get("size") or 0),
        sha256=digest.removeprefix("sha256:").lower() if digest.startswith("sha256:") else None,
    )


def _get(url: str, timeout_seconds: float) -> bytes:
    deadline = time.monotonic() + 10 * timeout_seconds
    text = b""
    for chunk in _chunks(url, timeout_seconds, deadline):
        text += chunk
        if len(text) > MAX_DESCRIPTION_BYTES:
            break
    return text


def _chunks(url: str, timeout_seconds: float, deadline: float) -> Iterator[bytes]:
    if urlsplit(url).scheme not in {"http", "https"}:
        raise ConfigurationError(f"{url} is not a web address: give one that starts with https://")
    try:
        with (
            http_session(_HEADERS) as session,
            session.get(url, stream=True, timeout=timeout_seconds) as response,
        ):
            if response.status_code != 200:
                raise _unreachable(url, f"HTTP {response.status_code}")
            for chunk in received(response):
                if time.monotonic() > deadline:
                    raise TransientError(f"{url} took too long to download: try again later")
                yield chunk
    except NETWORK_ERRORS as error:
        raise _unreachable(url, str(error) or repr(error)) from error


def _unreachable(url: str, reason: str) -> TransientError:
    return TransientError(f"{url} cannot be reached ({reason}): the exporter is not changed, try again later")
