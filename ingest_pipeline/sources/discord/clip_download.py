"""Fetching one clip over HTTP: from known hosts only, within a size and a time, hashed as it arrives.

An address in a message is anybody's word. Hosts that are not listed are never asked, neither directly nor
by a redirect, nor on another port than that of HTTPS, so nobody can make this machine read its own network
by posting a link. Whatever is wrong with an address is an error of ours, which costs that clip alone.
"""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from ingest_pipeline.errors import BadInput, PermanentError, TransientError

DISCORD_HOSTS = ("cdn.discordapp.com", "media.discordapp.net")
_CHUNK_BYTES = 256 * 1024
_HEADERS = {"User-Agent": "ingest-pipeline", "Accept": "*/*"}
_NETWORK_ERRORS = (OSError, http.client.HTTPException)
_PORTS = {"https": 443, "http": 80}


class ClipGone(PermanentError):
    """The address works no longer: it has expired, or the file was deleted."""


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """What may be fetched.

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
    _check(url, limits)
    opener = urllib.request.build_opener(_KnownHostsOnly(limits))
    request = urllib.request.Request(url, headers=_HEADERS)  # noqa: S310 - `_check` lets only http through
    try:
        with opener.open(request, timeout=limits.timeout_seconds) as response, target.open("wb") as file:
            return _receive(response, file, _where(url), limits)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in {401, 403, 404, 410}:
            raise ClipGone(f"{_where(url)} is answered with {error.code}: the file is gone") from error
        raise TransientError(f"{_where(url)} is answered with {error.code}: try again later") from error
    except http.client.InvalidURL as error:
        raise _no_address(url) from error
    except _NETWORK_ERRORS as error:
        raise TransientError(f"{_where(url)} cannot be fetched ({error}): try again later") from error
    except ValueError as error:
        # Of `urllib`, for what is no ASCII or has a line break in it.
        raise _no_address(url) from error


class _KnownHostsOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirects to listed hosts."""

    def __init__(self, limits: DownloadLimits) -> None:
        self._limits = limits

    def redirect_request(  # noqa: PLR0917 - the signature is urllib's
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        _check(newurl, self._limits)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check(url: str, limits: DownloadLimits) -> None:
    try:
        parts = urlsplit(url)
        place = f"{parts.hostname}:{parts.port or _PORTS.get(parts.scheme)}"
    except ValueError as error:
        raise _no_address(url) from error
    allowed = {host if ":" in host else f"{host}:{_PORTS['https']}" for host in limits.hosts}
    if parts.scheme not in _PORTS or place not in allowed or "@" in parts.netloc:
        listed = ", ".join(sorted(limits.hosts))
        raise BadInput(
            f"{_where(url)} is on no host and port that clips are fetched from: allow it in the "
            f"configuration of clip_files, or fetch it yourself (by HTTPS from {listed})"
        )


def _no_address(url: str) -> BadInput:
    return BadInput(f"{_where(url)[:200]!r} is no address that can be asked for: fetch it yourself")


def _receive(
    response: http.client.HTTPResponse, file: IO[bytes], where: str, limits: DownloadLimits
) -> Download:
    expected = response.length
    if expected is not None and expected > limits.max_bytes:
        raise _too_large(where, expected, limits)
    deadline = time.monotonic() + limits.longest_seconds
    digest, size = hashlib.sha256(), 0
    while chunk := response.read(_CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
        if size > limits.max_bytes:
            raise _too_large(where, size, limits)
        if time.monotonic() > deadline:
            raise TransientError(f"{where} takes longer than {limits.longest_seconds:g} s: try again later")
        file.write(chunk)
    if expected is not None and size != expected:
        raise TransientError(f"{where} arrived with {size} bytes instead of {expected}: try again later")
    return Download(digest.hexdigest(), size)


def _too_large(where: str, size: int, limits: DownloadLimits) -> BadInput:
    return BadInput(
        f"{where} has {size:,} bytes or more and {limits.max_bytes:,} are allowed: raise max_megabytes in "
        "the configuration of clip_files"
    )


def _where(url: str) -> str:
    """Return an address without its signature, which is a key to the file."""
    return url.partition("?")[0]
