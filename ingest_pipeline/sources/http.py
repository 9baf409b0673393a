"""HTTP sessions: every hop is checked, and the environment names proxy and certificates.

No more of the environment is taken: a password in `~/.netrc` is not for hosts that a message names.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from ingest_pipeline.sources.proxies import proxy_for

NETWORK_ERRORS = (OSError, HTTPError)
"""Of a request, and of reading what it is answered with; `requests.RequestException` is an OSError."""

_CHUNK_BYTES = 256 * 1024


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
    for scheme in ("https://", "http://"):
        session.mount(scheme, _CheckedAdapter(check))
    return session


def received(response: requests.Response) -> Iterator[bytes]:
    """Return the bytes of an answer as they arrive.

    Raises:
        urllib3.exceptions.HTTPError: They do not, or are fewer than the answer states.
    """
    yield from response.raw.stream(_CHUNK_BYTES, decode_content=False)


class _CheckedAdapter(HTTPAdapter):
    """Looks at each address where it is sent from, so a redirect or another spelling goes around nothing."""

    def __init__(self, check: Callable[[str], object] | None) -> None:
        self._check = check
        # Without these the certificates of the machine and those of SSL_CERT_FILE would not be known.
        self._certificates = ssl.create_default_context()
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
