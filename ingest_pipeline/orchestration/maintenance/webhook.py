"""Posting JSON to a webhook, whose address is a secret: it stands in no message and no log."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

from pydantic import SecretStr

from ingest_pipeline.redaction import redacted

TRIES = 3
TIMEOUT_SECONDS = 5.0
PAUSE_SECONDS = 1.0
# The front of some services refuses Python's own name.
_USER_AGENT = "ingest_pipeline (alerts)"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Takes a redirect for a failure: a POST that is redirected becomes a GET."""

    def redirect_request(self, *given: Any, **named: Any) -> None:
        """Follow none."""
        del given, named


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
    try:
        request = urllib.request.Request(  # noqa: S310 - the settings allow http and https only
            url.get_secret_value(),
            data=json.dumps(redacted(body)).encode(),
            headers={"Content-Type": "application/json", "User-Agent": _USER_AGENT},
            method="POST",
        )
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=TIMEOUT_SECONDS) as answer:
            answer.read(1_000)
    except urllib.error.HTTPError as error:
        error.close()
        return f"the webhook answered {error.code}", error.code >= 500
    except TimeoutError:
        return f"the webhook did not answer within {TIMEOUT_SECONDS:.0f} s", True
    except (OSError, HTTPException, ValueError) as error:
        # Only its kind: the words of some contain the address.
        cause = getattr(error, "reason", error)
        return f"the webhook cannot be reached ({type(cause).__name__})", True
    return None, False
