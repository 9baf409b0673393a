"""The download of a schedule: from the host that was configured only, limited in size and time.

A redirect to another host or to plain HTTP is refused and named: what is asked is what somebody wrote down.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from ingest_pipeline.errors import BadInput, PermanentError, TransientError

if TYPE_CHECKING:
    from requests import Response

MAX_BYTES = 10_000_000
_TIMEOUT_SECONDS = 30.0
_LONGEST_SECONDS = 120.0
_HEADERS = {"User-Agent": "ingest-pipeline", "Accept": "text/calendar, application/json, */*;q=0.5"}
_PORTS = {"https": 443, "http": 80}


class Validators(NamedTuple):
    """Validators by which a server recognizes an unchanged answer: its `ETag` and `Last-Modified`."""

    etag: str | None = None
    modified: str | None = None


@dataclass(frozen=True, slots=True)
class DownloadedSchedule:
    """An answer.

    Attributes:
        content: Its bytes, or None when it is as it was.
        validators: To ask with next time.
    """

    content: bytes | None
    validators: Validators


def web_address(url: str) -> str:
    """Return the address that is asked for a schedule's.

    Raises:
        BadInput: It is none; the message does not repeat its path, which may be a key to a private calendar.
    """
    address = f"https:{url.partition(':')[2]}" if url.startswith("webcal:") else url
    try:
        parts = urlsplit(address)
        is_valid = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_valid = False
    if not is_valid or parts.scheme not in _PORTS or "@" in parts.netloc:
        raise BadInput(
            f"{address[:8]}… is no address of a schedule: write https://host/path, or file:name.ics"
        )
    if parts.scheme == "http" and not _is_this_machine(parts.hostname or ""):
        raise BadInput(f"http://{parts.netloc} is asked for in the clear: write https://{parts.netloc}")
    return address


def download_schedule(url: str, validators: Validators, *, max_bytes: int = MAX_BYTES) -> DownloadedSchedule:
    """Fetch a schedule.

    Args:
        url: Where it is.
        validators: Of the answer before; an unchanged one is not sent again.
        max_bytes: Largest answer.

    Raises:
        BadInput: The address is none, leads to another host, or its answer is too large.
        PermanentError: There is nothing at the address, or it needs an account.
        TransientError: It cannot be fetched now.
    """
    from ingest_pipeline.sources.http import NETWORK_ERRORS, http_session

    address = web_address(url)
    host = urlsplit(address).hostname or ""
    headers = {"If-None-Match": validators.etag, "If-Modified-Since": validators.modified}
    asked = {**_HEADERS, **{name: value for name, value in headers.items() if value}}
    try:
        with (
            http_session(asked, partial(_check, expected=_place(address))) as session,
            session.get(address, stream=True, timeout=_TIMEOUT_SECONDS) as response,
        ):
            if response.status_code == 304:
                return DownloadedSchedule(None, validators)
            _check_status(response, host)
            content = b"".join(_received(response, host, max_bytes))
            new = Validators(response.headers.get("ETag"), response.headers.get("Last-Modified"))
            return DownloadedSchedule(content, new)
    except ValueError as error:
        # Of requests, for an address that it cannot take apart or ask for.
        raise BadInput(f"the address on {host} cannot be asked for: check it") from error
    except NETWORK_ERRORS as error:
        # Its own words repeat the address.
        raise TransientError(f"{host} cannot be reached ({type(error).__name__}): try again later") from error


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _place(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme, 0)


def _check(url: str, expected: tuple[str, str | None, int]) -> None:
    found = _place(url)
    if found != expected:
        raise BadInput(
            f"{expected[1]} leads to {found[0]}://{found[1]}:{found[2]}: if that is right, write that address"
        )


def _check_status(response: Response, host: str) -> None:
    status = response.status_code
    if status in {401, 403}:
        raise PermanentError(f"{host} answers {status}: write the schedule's public or secret address")
    if status in {404, 410}:
        raise PermanentError(
            f"{host} answers {status}: there is nothing at this address any more, correct it"
        )
    if status != 200:
        raise TransientError(f"{host} answers {status}: try again later")


def _received(response: Response, host: str, max_bytes: int) -> Iterator[bytes]:
    from ingest_pipeline.sources.http import received

    size, deadline = 0, time.monotonic() + _LONGEST_SECONDS
    for chunk in received(response):
        size += len(chunk)
        if size > max_bytes:
            raise BadInput(
                f"{host} sends more than {max_bytes:,} bytes, which is no schedule: check the address"
            )
        if time.monotonic() > deadline:
            raise TransientError(f"{host} takes longer than {_LONGEST_SECONDS:g} s: try again later")
        yield chunk
