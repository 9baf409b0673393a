"""HTTP requests to other hosts, and the proxies that the environment names for them.

No more of the environment is taken: a password in `~/.netrc` is not for hosts that a message names.

The environment names it, as for other programs: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in
either spelling (https://curl.se/docs/manpage.html#ENVIRONMENT). discord.py looks at none of them, and
aiohttp, beneath it, knows them for https but not for the gateway's wss.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from ingest_pipeline.errors import ConfigurationError

_SECURE = frozenset({"https", "wss"})
NETWORK_ERRORS = (OSError, HTTPError)
"""Of a request, and of reading what it is answered with; `requests.RequestException` is an OSError."""

_CHUNK_BYTES = 256 * 1024


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


def http_session(
    headers: Mapping[str, str], check: Callable[[str], object] | None = None
) -> requests.Session:
    """Return a session.

    Args:
        headers: Of every request.
        check: Raises for an address that may not be asked, and is called for every redirect too.
    """
    session = requests.Session()
    session.trust_env = False
    # What is hashed and counted are the bytes of the file, not those of a compressed answer.
    session.headers.update({"Accept-Encoding": "identity", **headers})
    # Without these the certificates of the machine and those of SSL_CERT_FILE would not be known.
    certificates = ssl.create_default_context()
    for scheme in ("https://", "http://"):
        session.mount(scheme, _CheckedAdapter(check, certificates))
    return session


def received(response: requests.Response) -> Iterator[bytes]:
    """Return the bytes of an answer as they arrive.

    Raises:
        urllib3.exceptions.HTTPError: They do not, or are fewer than the answer states.
    """
    yield from response.raw.stream(_CHUNK_BYTES, decode_content=False)


class _CheckedAdapter(HTTPAdapter):
    """Looks at each address where it is sent from, so a redirect or another spelling goes around nothing."""

    def __init__(self, check: Callable[[str], object] | None, certificates: ssl.SSLContext) -> None:
        self._check = check
        self._certificates = certificates
        super().__init__()

    def send(self, request: requests.PreparedRequest, *given: Any, **named: Any) -> requests.Response:
        url = request.url or ""
        if self._check:
            self._check(url)
        proxy = proxy_for(url)
        named["proxies"] = {"https": proxy, "http": proxy} if proxy else {}
        return super().send(request, *given, **named)

    def init_poolmanager(self, *given: Any, **named: Any) -> None:
        super().init_poolmanager(*given, ssl_context=self._certificates, **named)

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=self._certificates, **named)
