"""Types of settings, with what is refused."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from typing import Annotated

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field, SecretStr

PositiveInt = Annotated[int, Field(gt=0)]


def _require_cron(text: str) -> str:
    """Return a cron expression of five numeric fields.

    Raises:
        ValueError: It is not one.
    """
    expression = " ".join(text.split())
    # Names, sixth fields, L and W are left out: Dagster does not take all of them.
    is_cron = re.fullmatch(r"[\d*/,-]+( [\d*/,-]+){4}", expression) is not None
    try:
        CronSim(expression, datetime.now(UTC))
    except CronSimError:
        is_cron = False
    if not is_cron:
        raise ValueError(f"{text!r} is not a cron expression: write five fields such as '30 4 * * *'")
    return expression


def _require_web_address(secret: SecretStr) -> SecretStr:
    """Return a web address.

    Raises:
        ValueError: It is not one; the message does not repeat it.
    """
    if not re.fullmatch(r"https?://[^\s/]+[!-~]*", secret.get_secret_value()):
        raise ValueError("it must begin with https:// or http://")
    return secret


def _require_public_address(text: str) -> str:
    """Return a web address that messages may name.

    Raises:
        ValueError: It is none, or has a user.
    """
    if not re.fullmatch(r"https?://[^\s/@]+(/[!-~]*)?", text):
        raise ValueError("write https://host/path or http://host:port/path, without user and password")
    return text


def _require_levels(text: str) -> str:
    """Return the levels of components, each as `name=level`.

    Raises:
        ValueError: One is not one.
    """
    for item in text.replace(",", " ").split():
        name, _, level = item.partition("=")
        if not name or level.upper() not in logging.getLevelNamesMapping():
            raise ValueError(f"{item!r} is no level of a component: write one such as discord=warning")
    return text


Cron = Annotated[str, AfterValidator(_require_cron)]
PathPrefix = Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._~-]+)*$")]
PublicAddress = Annotated[str, AfterValidator(_require_public_address)]
WebAddress = Annotated[SecretStr, AfterValidator(_require_web_address)]
Levels = Annotated[str, AfterValidator(_require_levels)]
