"""The download of one clip over HTTP: from known hosts only, limited in size and time, hashed as it arrives.

An address in a message is anybody's word. Hosts that are not listed are never asked, neither directly nor
by a redirect, nor on another port than that of HTTPS, so nobody can make this machine read its own network
by posting a link. Whatever is wrong with an address is an error of this project, which costs that clip alone.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from ingest_pipeline.errors import BadInput, PermanentError, TransientError

if TYPE_CHECKING:
    from requests import Response

DISCORD_HOSTS = ("cdn.discordapp.com", "media.discordapp.net")
_HEADERS = {"User-Agent": "ingest-pipeline", "Accept": "*/*"}
_PORTS = {"https": 443, "http": 80}


class ClipGone(PermanentError):
    """The address works no longer: it has expired, or the file was deleted."""


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """Limits on downloads.

    Attributes:
        hosts: The hosts that are asked, on port 443; `host:port` for another.
        max_bytes: Largest file.
        timeout_seconds: Longest wait for the next bytes.
        longest_seconds: Longest time for a whole file.
    """

    hosts: Collection[str] = DISCORD_HOSTS
    max_bytes: int = 500_000_000
    timeout_seconds: float = 30
    longest_seconds: float = 600


@dataclass(frozen=True, slots=True)
class Download:
    """A file that was fetched.

    Attributes:
        sha256: Of its bytes, in hexadecimal.
        size_bytes: How many.
    """

    sha256: str
    size_bytes: int


def download_clip(url: str, target: Path, limits: DownloadLimits) -> Download:
    """Fetch a file.

    Args:
        url: Where it is.
        target: The file to write; what is there after an error is of no use.
        limits: What may be fetched.

    Raises:
        ClipGone: The address works no longer.
        BadInput: The address is of no listed host, or the file is too large.
        TransientError: It cannot be fetched now.
    """
    from ingest_pipeline.sources.http import NETWORK_ERRORS, http_session

    check = partial(_check, limits=limits)
    check(url)
    try:
        with (
            http_session(_HEADERS, check) as session,
            session.get(url, stream=True, timeout=limits.timeout_seconds) as response,
        ):
            _check_status(response, _where(url))
            with target.open("wb") as file:
                return _receive(response, file, _where(url), limits)
    except ValueError as error:
        # Of requests, for an address that it cannot take apart or ask for.
        raise _no_address(url) from error
    except NETWORK_ERRORS as error:
        raise TransientError(f"{_where(url)} cannot be fetched ({error}): try again later") from error


def _check_status(response: Response, where: str) -> None:
    if response.status_code in {401, 403, 404, 410}:
        raise ClipGone(f"{where} is answered with {response.status_code}: the file is gone")
    if response.status_code != 200:
        raise TransientError(f"{where} is answered with {response.status_code}: try again later")


def _check(url: str, limits: DownloadLimits) -> None:
    try:
        parts = urlsplit(url)
        server = f"{parts.hostname}:{parts.port or _PORTS.get(parts.scheme)}"
    except ValueError as error:
        raise _no_address(url) from error
    allowed = {host if ":" in host else f"{host}:{_PORTS['https']}" for host in limits.hosts}
    if parts.scheme not in _PORTS or server not in allowed or "@" in parts.netloc:
        listed = ", ".join(sorted(limits.hosts))
        raise BadInput(
            f"{_where(url)} is not on an allowed host and port: allow it in the configuration of "
            f"clip_files, or download the clip yourself (by HTTPS from {listed})"
        )


def _no_address(url: str) -> BadInput:
    return BadInput(f"{_where(url)[:200]!r} is not a valid address: download the clip yourself")


def _receive(response: Response, file: IO[bytes], where: str, limits: DownloadLimits) -> Download:
    from ingest_pipeline.sources.http import received

    expected = response.raw.length_remaining
    if expected is not None and expected > limits.max_bytes:
        raise _too_large(where, expected, limits)
    deadline = time.monotonic() + limits.longest_seconds
    digest, size = hashlib.sha256(), 0
    for chunk in received(response):
        digest.update(chunk)
        size += len(chunk)
        if size > limits.max_bytes:
            raise _too_large(where, size, limits)
        if time.monotonic() > deadline:
            raise TransientError(f"{where} takes longer than {limits.longest_seconds:g} s: try again later")
        file.write(chunk)
    return Download(digest.hexdigest(), size)


def _too_large(where: str, size: int, limits: DownloadLimits) -> BadInput:
    return BadInput(
        f"{where} has {size:,} bytes or more and {limits.max_bytes:,} are allowed: raise max_megabytes in "
        "the configuration of clip_files"
    )


def _where(url: str) -> str:
    """Return an address without its signature, which is a key to the file."""
    return url.partition("?")[0]
