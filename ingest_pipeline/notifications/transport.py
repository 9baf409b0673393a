"""Delivery to any service that `apprise` knows.

An address is a URL of `apprise` (https://github.com/caronc/apprise/wiki), such as `discord://…` or
`mailto://…`; `https://` of a service that it does not know is posted to as JSON. Addresses are secrets: they
are in no message, and what the library logs passes through our redaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from pydantic import SecretStr

from ingest_pipeline.notifications.wording import Wording
from ingest_pipeline.redaction import guard_address, redact

TIMEOUT_SECONDS = 20.0


class Result(StrEnum):
    """What became of a delivery: only a failed one may be tried again."""

    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Delivery:
    """The end of a delivery.

    Attributes:
        result: What became of it.
        problem: What went wrong, in a line without secrets, or None.
    """

    result: Result
    problem: str | None = None


def prepare() -> None:
    """Load the library: its first use takes seconds, which the first notification must not."""
    import apprise

    apprise.Apprise.instantiate("json://localhost")


def send(address: SecretStr, wording: Wording) -> Delivery:
    """Send a notification, once.

    Args:
        address: Where to.
        wording: What.
    """
    import apprise
    from apprise.result import AppriseResultStatus

    guard_address(address.get_secret_value())
    service = _service(address.get_secret_value())
    if service is None:
        return Delivery(Result.REFUSED, "apprise knows no service of this form of address")
    sender = apprise.Apprise(asset=service.asset)
    sender.add(service)
    try:
        # Its truth counts: a partial success is false, and would come twice where it arrived.
        result = sender.notify(
            body=redact(wording.text) or " ",
            title=redact(wording.title),
            notify_type=wording.level,
            body_format="text",
            timeout=TIMEOUT_SECONDS,
        )
    except Exception as error:  # noqa: BLE001 - a service's own code; its words may have the address
        return Delivery(Result.FAILED, f"the service cannot be used ({type(error).__name__})")
    if result:
        return Delivery(Result.SENT)
    logged = [redact(str(entry.message)) for entry in result.logs()]
    problem = logged[-1] if logged else "the service did not take it"
    is_unknown = result.status in {AppriseResultStatus.TIMEOUT, AppriseResultStatus.PARTIAL}
    return Delivery(Result.UNKNOWN if is_unknown else Result.FAILED, problem)


def is_known_address(address: SecretStr) -> bool:
    """Return whether `apprise` knows a service of this form of address."""
    guard_address(address.get_secret_value())
    return _service(address.get_secret_value()) is not None


def _service(address: str) -> Any:
    import apprise

    asset = apprise.AppriseAsset(app_id="ingest_pipeline", app_desc="ingest_pipeline", async_mode=False)
    # A POST that is redirected becomes a GET, which answers well and brings nothing.
    asset.http_redirects = False
    if address.startswith(("http://", "https://")) and not _is_native(address):
        address = _as_json(address)
    service = apprise.Apprise.instantiate(address, asset=asset)
    if service is not None:
        service.overflow_mode = apprise.OverflowMode.SPLIT
    return service


def _is_native(address: str) -> bool:
    """Return whether a web address is one that a service gives out for its webhooks."""
    from apprise.manager_plugins import NotificationManager

    manager: Any = NotificationManager  # its class has no types
    return any(plugin.parse_native_url(address) for plugin in manager().plugins())


def _as_json(address: str) -> str:
    """Return the address of a service that takes JSON; what is in its query is its own."""
    scheme, _, rest = address.partition("://")
    query = urlsplit(address).query
    own = "&".join(f"-{quote(key, safe='')}={quote(value, safe='')}" for key, value in parse_qsl(query))
    place = f"{'jsons' if scheme == 'https' else 'json'}://{rest.partition('?')[0]}"
    return f"{place}?{own}" if own else place
