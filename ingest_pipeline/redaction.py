"""Redaction of secrets in every text that leaves this process: logs, errors, events, alerts, output.

The process has a list of secrets, as in Airflow's secrets masker: each part that reads a secret registers
it with `guard`, and every text passes through `redact`. Settings register all of theirs when they are made.
"""

from __future__ import annotations

import base64
import html
import json
import logging
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote, unquote_plus, urlsplit

HIDDEN = "***"
SHORT_CHARACTERS = 6
"""A shorter secret is taken out only where it stands as a word of its own: `ab` is part of much."""

_LEAST_BASE64 = 8
_LEAST_PIECE = 8
_SECRET_PARAMETER = re.compile(r"pass|pwd|token|key|secret|sig", re.IGNORECASE)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
# Secrets by their form, of any service; `user:password` and `Bearer …` are how our own messages write
# what to write.
_FORMS = re.compile(
    r"(?P<url>://)(?!user(?::password)?@)[^\s/@]+@"
    r"|(?P<header>\bauthorization[\"']?\s*[:=](?!\s*Bearer …)\s*).*"
    r"|(?P<scheme>\b(?:Bot|Bearer|Basic)\s+)[\w.=+/-]{16,}"
    r"|\bmfa\.[\w-]{20,}"
    r"|\b[\w-]{23,30}\.[\w-]{6,7}\.[\w-]{27,}",
    re.IGNORECASE,
)


class _Known:
    """The secrets of this process and the pattern that finds them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.texts: set[str] = set()
        self.pattern: re.Pattern[str] | None = None
        self.former_factory: Any = None


_known = _Known()


def guard(*secrets: str) -> None:
    """Keep secrets out of everything that this process prints from now on, its logs included.

    Args:
        *secrets: Whole secrets, or URLs with one in them: of those the password, secret parameters and, for
            `http` and `https`, the path are kept out as well.
    """
    found = {form for secret in secrets for part in _parts(secret) for form in _written(part)}
    with _known.lock:
        if found <= _known.texts:
            return
        _known.texts = _known.texts | found
        _known.pattern = _pattern(_known.texts)
        if _known.former_factory is None:
            _known.former_factory = logging.getLogRecordFactory()
            logging.setLogRecordFactory(_clean_record)


def guard_address(*addresses: str) -> None:
    """Keep addresses of notification services out of it: there any part but the host may be the secret.

    Args:
        *addresses: URLs of any scheme, such as `tgram://token/chat`.
    """
    for address in addresses:
        scheme, _, rest = address.partition("://")
        host = (urlsplit(f"//{rest}").hostname or "") if "." in rest or "localhost" in rest else ""
        pieces = (unquote(piece) for piece in re.split(r"[/:@?&=,#]+", rest))
        guard(address, *(each for each in pieces if len(each) >= _LEAST_PIECE and each.lower() != host))
        # A library writes an address as it understands it.
        guard(f"{scheme}s://{rest}")


def forget() -> None:
    """Forget all secrets: for tests, each of which has its own."""
    with _known.lock:
        _known.texts, _known.pattern = set(), None
        if _known.former_factory is not None:
            logging.setLogRecordFactory(_known.former_factory)
            _known.former_factory = None


def redact(text: str) -> str:
    """Return a text without secrets, without credentials in URLs and without anything token-shaped."""
    if _known.pattern is not None:
        text = _known.pattern.sub(HIDDEN, text)
    return _FORMS.sub(_hidden, text)


def redacted(value: Any) -> Any:
    """Return JSON values, the texts among them without secrets."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: redacted(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(each) for each in value]
    return value


def _hidden(match: re.Match[str]) -> str:
    if match["url"]:
        return f"://{HIDDEN}@"
    return f"{match['header'] or match['scheme'] or ''}{HIDDEN}"


def _parts(secret: str) -> Iterator[str]:
    """Yield a secret and what is secret in it on its own."""
    yield secret
    yield secret.strip()
    if not _URL.match(secret):
        return
    scheme, _, rest = secret.partition("://")
    # A bare / @ or ? in a password is taken for the end of the host by parsers, and quoted by errors.
    credentials, at, _ = rest.rpartition("@")
    if at:
        yield from _password(credentials)
    try:
        parts = urlsplit(secret)
    except ValueError:
        return
    if parts.password:
        yield from _password(f":{parts.password}")
    yield from (value for name, value in parse_qsl(parts.query) if _SECRET_PARAMETER.search(name))
    if scheme.lower() in {"http", "https"} and len(parts.path) > SHORT_CHARACTERS:
        yield secret[secret.index(parts.path, len(scheme) + 3) :]
        yield from (segment for segment in parts.path.split("/") if len(segment) > 2 * SHORT_CHARACTERS)


def _password(credentials: str) -> Iterator[str]:
    user, _, password = credentials.partition(":")
    for each in {password, unquote(password), unquote_plus(password)}:
        yield each
        if user:
            # A proxy's or a broker's client sends both together, in base64.
            yield f"{unquote(user)}:{each}"


def _written(secret: str) -> Iterator[str]:
    """Yield the ways in which a secret may be written."""
    if not secret:
        return
    for encoded in {quote(secret), quote(secret, safe=""), quote_plus(secret)}:
        yield encoded
        yield re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), encoded)
    yield from (secret, unquote(secret), html.escape(secret), html.escape(secret, quote=False))
    yield from (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1])
    yield from _in_base64(secret.encode(errors="surrogateescape"))


def _in_base64(secret: bytes) -> Iterator[str]:
    """Yield what a secret makes of base64 text wherever in it it begins, but for digits it shares."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret).decode()
        own = encoded[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6]
        if len(own) >= _LEAST_BASE64:
            yield own
            yield own.translate({ord("+"): "-", ord("/"): "_"})


def _pattern(texts: Iterable[str]) -> re.Pattern[str]:
    """Return what finds the texts, the longest first: a secret may be part of another."""
    alternatives = [
        re.escape(text) if len(text) >= SHORT_CHARACTERS else rf"(?<![^\W_]){re.escape(text)}(?![^\W_])"
        for text in sorted(filter(None, texts), key=lambda text: (-len(text), text))
    ]
    return re.compile("|".join(alternatives)) if alternatives else re.compile(r"(?!)")


def _clean_record(*arguments: Any, **named: Any) -> logging.LogRecord:
    """Make a log record of any logger without secrets."""
    record: logging.LogRecord = _known.former_factory(*arguments, **named)
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001 - logging reports a message that does not fit its arguments
        return record
    if (clean := redact(message)) != message:
        record.msg, record.args = clean, ()
    if record.exc_info and record.exc_info[0] is not None:
        # Formatters write what stands here in place of the traceback.
        record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
    return record
