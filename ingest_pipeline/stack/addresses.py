"""Addresses to listen on: loopback, or the network."""

from __future__ import annotations

from ipaddress import ip_address

from ingest_pipeline.errors import ConfigurationError


def is_loopback(host: str) -> bool:
    """Tell whether an address to listen on can be reached from this machine only."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def require_login(host: str, *, has_login: bool, is_accepted: bool) -> None:
    """Check that a server without a login is for this machine only, or that somebody has said otherwise.

    Args:
        host: The address to listen on.
        has_login: Whether who comes in is asked who they are.
        is_accepted: Whether `--without-login` was given.

    Raises:
        ConfigurationError: Everybody who reaches the address would come in, and nobody said so.
    """
    if not (has_login or is_accepted or is_loopback(host)):
        raise ConfigurationError(
            f"on {host} everybody who reaches this machine would come in, for nobody is asked who they are: "
            "listen on 127.0.0.1 behind a proxy that asks, or add --without-login"
        )
