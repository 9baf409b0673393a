"""The webhook client: posts JSON to a secret address that appears in no message and no log."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from ingest_pipeline.redaction import redacted

TRIES = 3
TIMEOUT_SECONDS = 5.0
PAUSE_SECONDS = 1.0
# The front of some services refuses Python's own name.
_USER_AGENT = "ingest_pipeline (alerts)"


def post(url: SecretStr, body: Mapping[str, Any], *, pause_seconds: float = PAUSE_SECONDS) -> str | None:
    """Post a body, trying again when that may help.

    Args:
        url: Where to.
        body: JSON values.
        pause_seconds: Pause after the first try that failed, doubled after each further one.

    Returns:
        None when it was taken, or else why not, without the address.
    """
    problem = None
    for tried in range(TRIES):
        problem, is_transient = _post_once(url, body)
        if problem is None or not is_transient or tried == TRIES - 1:
            return problem
        time.sleep(pause_seconds * 2**tried)
    return problem


def _post_once(url: SecretStr, body: Mapping[str, Any]) -> tuple[str | None, bool]:
    """Return what went wrong, and whether the same may work in a moment."""
    import requests

    from ingest_pipeline.sources.http import http_session

    try:
        # A POST that is redirected becomes a GET, hence none is followed.
        with (
            http_session({"User-Agent": _USER_AGENT}) as session,
            session.post(
                url.get_secret_value(),
                json=redacted(body),
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
                stream=True,
            ) as answer,
        ):
            status = answer.status_code
    except requests.Timeout:
        return f"the webhook did not answer within {TIMEOUT_SECONDS:.0f} s", True
    except (OSError, ValueError) as error:
        # Only its kind: the words of some contain the address.
        return f"the webhook cannot be reached ({type(error).__name__})", True
    return (None, False) if status < 300 else (f"the webhook answered {status}", status >= 500)
