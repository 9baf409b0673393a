"""The proxy between this machine and an address.

The environment names it, as for other programs: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in
either spelling (https://curl.se/docs/manpage.html#ENVIRONMENT). discord.py looks at none of them, and
aiohttp, beneath it, knows them for https but not for the gateway's wss.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ingest_pipeline.errors import ConfigurationError

_SECURE = frozenset({"https", "wss"})


def proxy_for(url: str) -> str | None:
    """Return the address of the proxy that an address is asked through, or None for a direct connection.

    Args:
        url: What is asked: `https`, `http`, `wss` or `ws`.

    Returns:
        The proxy's address, which may hold a user and a password.

    Raises:
        ConfigurationError: The proxy is of a kind that cannot be used.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if _is_this_machine(host) or proxy_bypass(host):
        return None
    proxies = getproxies()
    name = "https" if parts.scheme in _SECURE else "http"
    stated = proxies.get(name) or proxies.get("all")
    if not stated:
        return None
    proxy = stated if "://" in stated else f"http://{stated}"
    scheme = urlsplit(proxy).scheme
    if scheme not in {"http", "https"}:
        raise ConfigurationError(
            f"{name.upper()}_PROXY or ALL_PROXY names a proxy of kind {scheme!r}, which "
            "cannot be used: give one that starts with http://"
        )
    return proxy


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
