"""Errors of discord.py and of the network, translated to this project's.

Status codes and error codes are those of https://docs.discord.com/developers/topics/opcodes-and-status-codes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ingest_pipeline.errors import (
    ADDRESS_BLOCKED,
    AccountRestricted,
    AddressBlocked,
    ChannelForbidden,
    ChannelNotFound,
    DiscordRejected,
    DiscordUnavailable,
    IngestError,
    RateLimited,
    TokenRejected,
)

if TYPE_CHECKING:
    from discord.errors import HTTPException

_UNKNOWN_MESSAGE = 10_008
_UNVERIFIED = 40_002
_BLOCKABLE = frozenset({400, 403, 429})
_LONGEST_REASON = 200


class MessageGone(ChannelNotFound):
    """A single message does not exist (any more)."""


_REFUSALS: dict[int, tuple[type[IngestError], str]] = {
    401: (
        TokenRejected,
        "copy DISCORD_BOT_TOKEN again from https://discord.com/developers/applications, Bot, Reset Token",
    ),
    403: (ChannelForbidden, "grant the bot View Channel and Read Message History there"),
    404: (ChannelNotFound, "check the id, and that the bot was invited to the guild"),
    429: (RateLimited, "stop other programs that use this bot or this address, and try again in an hour"),
}
_FAILED = (DiscordUnavailable, "try again later")
_TRUST = (
    "behind a proxy that decrypts traffic, name its root certificate in SSL_CERT_FILE; otherwise check this "
    "machine's clock and its ca-certificates"
)
_UNEXPECTED = (DiscordRejected, "this request should not be made: please report it")


def translated(error: Exception, path: str) -> IngestError:
    """Return what an error of a request means.

    Args:
        error: What was raised; an error that is not of Discord or the network is raised again.
        path: The path requested, for the message.
    """
    import aiohttp
    from discord import errors

    if isinstance(error, errors.LoginFailure):
        return TokenRejected(f"Discord does not accept the bot's token: {_REFUSALS[401][1]}")
    if isinstance(error, errors.RateLimited):
        return RateLimited(
            f"Discord asks to wait {error.retry_after:.0f} s before GET {path}: try again then"
        )
    if isinstance(error, errors.HTTPException):
        return _refusal(error, path)
    if isinstance(error, (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError)):
        return DiscordUnavailable(
            f"the proxy did not reach Discord for GET {path} ({type(error).__name__}"
            f"{f', {error.status}' if isinstance(error, aiohttp.ClientHttpProxyError) else ''}): "
            "check HTTPS_PROXY, and whether NO_PROXY should name discord.com"
        )
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return DiscordUnavailable(
            f"Discord's certificate is not trusted ({error.certificate_error}): {_TRUST}"
        )
    if isinstance(error, (aiohttp.ClientError, OSError, json.JSONDecodeError)):
        return DiscordUnavailable(f"Discord did not answer GET {path} ({type(error).__name__}): {_FAILED[1]}")
    raise error


def _refusal(error: HTTPException, path: str) -> IngestError:
    reason = " ".join(error.text.split())[:_LONGEST_REASON] or "no reason given"
    kind, remedy = _FAILED if error.status >= 500 else _REFUSALS.get(error.status, _UNEXPECTED)
    if error.code == _UNVERIFIED:
        kind, remedy = AccountRestricted, "verify the account in Discord: its e-mail address, or its phone"
    if error.status in _BLOCKABLE and reason.startswith("<"):
        # Discord's own refusals are JSON; a page comes from what stands before it.
        kind, remedy = AddressBlocked, ADDRESS_BLOCKED
    if error.status == 404 and error.code == _UNKNOWN_MESSAGE:
        kind, remedy = MessageGone, "the message is deleted"
    return kind(f"Discord answered GET {path} with {error.status} ({reason}): {remedy}")
