"""Rate limits as Discord counts them: fixed windows per endpoint and major parameter, and one over all.

Headers follow the Discord API docs, "Rate Limits". By default the limits are too wide to be met, so that
tests run at full speed; ``set_limit`` and ``set_global_limit`` make them bite.
"""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import dataclass
from threading import Lock

from ingest_pipeline_tests.fake_discord.state.snowflakes import ServerClock

_WIDE_LIMIT = 100_000
_WIDE_WINDOW_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the limiter says of one request.

    Attributes:
        headers: The ``X-RateLimit-*`` headers of the answer.
        retry_after_seconds: None if the request may pass.
        is_global: Whether the limit over all endpoints was hit.
    """

    headers: dict[str, str]
    retry_after_seconds: float | None = None
    is_global: bool = False


@dataclass(slots=True)
class _Window:
    ends: float
    used: int = 0


class RateLimits:
    """Counts requests and says when to stop. Thread-safe."""

    def __init__(self, clock: ServerClock) -> None:
        """Count on the monotonic clock; ``clock`` only dates the ``Reset`` header."""
        self._clock = clock
        self._lock = Lock()
        self._limits: dict[str, tuple[int, float]] = {}
        self._global: tuple[int, float] | None = None
        self._windows: dict[str, _Window] = {}

    def set_limit(self, route: str, limit: int, window_seconds: float) -> None:
        """Allow ``limit`` requests per window on an endpoint, for each channel or guild apart."""
        with self._lock:
            self._limits[route] = (limit, window_seconds)
            self._windows.clear()

    def set_global_limit(self, limit: int | None, window_seconds: float = 1.0) -> None:
        """Allow ``limit`` requests per window in all (Discord: 50 a second); None: any number."""
        with self._lock:
            self._global = None if limit is None else (limit, window_seconds)
            self._windows.clear()

    def take(self, route: str, major: int | None) -> Verdict:
        """Count one request.

        Args:
            route: The endpoint's short name.
            major: The channel or guild id in its path.

        Returns:
            Whether it may pass, and the headers to answer with.
        """
        with self._lock:
            if self._global is not None:
                window = self._window("global", self._global[1])
                if window.used >= self._global[0]:
                    return self._refusal(window, {}, is_global=True)
                window.used += 1
            limit, seconds = self._limits.get(route, (_WIDE_LIMIT, _WIDE_WINDOW_SECONDS))
            window = self._window(f"{route}:{major}", seconds)
            refused = window.used >= limit
            window.used += not refused
            headers = self._headers(route, limit, window)
            return self._refusal(window, headers, is_global=False) if refused else Verdict(headers)

    def _window(self, key: str, seconds: float) -> _Window:
        now = time.monotonic()
        window = self._windows.get(key)
        if window is None or now >= window.ends:
            window = self._windows[key] = _Window(now + seconds)
        return window

    def _headers(self, route: str, limit: int, window: _Window) -> dict[str, str]:
        # Rounded up: a client that waits exactly this long must not come a fraction too early.
        remaining_seconds = math.ceil(max(0.0, window.ends - time.monotonic()) * 1000) / 1000
        return {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(limit - window.used),
            "X-RateLimit-Reset": f"{self._clock.now().timestamp() + remaining_seconds:.3f}",
            "X-RateLimit-Reset-After": f"{remaining_seconds:.3f}",
            "X-RateLimit-Bucket": hashlib.sha256(route.encode()).hexdigest()[:32],
        }

    @staticmethod
    def _refusal(window: _Window, headers: dict[str, str], *, is_global: bool) -> Verdict:
        seconds = max(0.001, window.ends - time.monotonic())
        return Verdict(
            headers | refusal_headers(seconds, "global" if is_global else "user"), seconds, is_global
        )


def refusal_headers(seconds: float, scope: str) -> dict[str, str]:
    """Return the headers that only a 429 carries."""
    headers = {"Retry-After": str(math.ceil(seconds)), "X-RateLimit-Scope": scope}
    if scope == "global":
        headers["X-RateLimit-Global"] = "true"
    return headers
