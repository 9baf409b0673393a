"""Embeddings of texts by an OpenAI-compatible endpoint, such as Ollama's, vLLM's or OpenAI's own.

https://platform.openai.com/docs/api-reference/embeddings
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import SecretStr

from ingest_pipeline.domain.backoff import Backoff
from ingest_pipeline.errors import EmbeddingsMissing, EmbeddingsRejected, EmbeddingsUnavailable
from ingest_pipeline.settings import Settings

LARGEST_BATCH = 128
RETRIES = Backoff(first_seconds=0.5, longest_seconds=30.0, jitter=0.5)
_ATTEMPTS = 5
_TIMEOUT_SECONDS = 120.0
_AWAITED_SECONDS = 20.0
_SHORTEST_CUT = 200
# Of too many or too long texts, which are asked for again as fewer or shorter ones.
_UNFIT = {400, 413, 422}
_TRANSIENT = {408, 409, 425, 429}
_logger = logging.getLogger(__name__)


class _TextsUnfit(EmbeddingsRejected):
    """The endpoint refuses the texts, or the model."""


@dataclass(frozen=True, slots=True)
class EmbeddingsEndpoint:
    """An endpoint and its model.

    Attributes:
        url: What comes before `/embeddings`.
        model: The model.
        api_key: The key, or None where none is needed.
        retries: The pauses between attempts.
    """

    url: str
    model: str
    api_key: SecretStr | None = None
    retries: Backoff = RETRIES

    def embed(self, texts: Sequence[str], *, is_awaited: bool = False) -> np.ndarray:
        """Return a vector of length 1 for each text: float32, a row each.

        Texts that the endpoint refuses together are sent in halves, and one that is too long without its end.

        Args:
            texts: Not empty, `LARGEST_BATCH` at most.
            is_awaited: Whether somebody waits for the answer: then it must come at once, or fails.

        Raises:
            EmbeddingsRejected: The endpoint refuses the key, the model or a text, or is none.
            EmbeddingsUnavailable: It does not answer, or asks for fewer requests.
        """
        try:
            return self._ask(texts, is_awaited=is_awaited)
        except _TextsUnfit:
            half = len(texts) // 2
            if half:
                halves = [self.embed(each, is_awaited=is_awaited) for each in (texts[:half], texts[half:])]
                return np.concatenate(halves)
            if len(texts[0]) <= _SHORTEST_CUT:
                raise
            return self.embed([texts[0][: len(texts[0]) // 2]], is_awaited=is_awaited)

    def _ask(self, texts: Sequence[str], *, is_awaited: bool) -> np.ndarray:
        if is_awaited:
            return self._ask_once(texts, _AWAITED_SECONDS)
        for attempt in range(1, _ATTEMPTS):
            try:
                return self._ask_once(texts, _TIMEOUT_SECONDS)
            except EmbeddingsUnavailable as error:
                pause = self.retries.delay(attempt)
                _logger.info("%s; trying again in %.1f s", error, pause)
                time.sleep(pause)
        return self._ask_once(texts, _TIMEOUT_SECONDS)

    def _ask_once(self, texts: Sequence[str], seconds: float) -> np.ndarray:
        from ingest_pipeline.sources.http import NETWORK_ERRORS, http_session

        headers = {"Authorization": f"Bearer {self.api_key.get_secret_value()}"} if self.api_key else {}
        try:
            with (
                http_session(headers) as session,
                session.post(
                    f"{self.url.rstrip('/')}/embeddings",
                    json={"model": self.model, "input": list(texts)},
                    timeout=seconds,
                    allow_redirects=False,
                ) as response,
            ):
                status, body = response.status_code, response.content
        except NETWORK_ERRORS as error:
            raise EmbeddingsUnavailable(
                f"{self.url} (INGEST_EMBEDDINGS_URL) does not answer ({type(error).__name__}): "
                "start the server, correct the address, or try again later"
            ) from error
        self._check(status, body)
        return self._vectors(body, len(texts))

    def _check(self, status: int, body: bytes) -> None:
        if status in {401, 403}:
            # Its words may repeat a part of the key.
            raise EmbeddingsRejected(
                f"{self.url} answers {status}: correct INGEST_EMBEDDINGS_API_KEY, or its rights"
            )
        words = " ".join(body[:300].decode(errors="replace").split())
        answer = f"{self.url} answers {status} ({words})"
        if status in _TRANSIENT or status >= 500:
            raise EmbeddingsUnavailable(f"{answer}: try again later")
        if status in _UNFIT:
            raise _TextsUnfit(f"{answer}: check INGEST_EMBEDDINGS_MODEL, which is {self.model!r}")
        if status != 200:
            raise EmbeddingsRejected(
                f"{answer}: check INGEST_EMBEDDINGS_URL, and INGEST_EMBEDDINGS_MODEL, which is {self.model!r}"
            )

    def _vectors(self, body: bytes, count: int) -> np.ndarray:
        try:
            items = sorted(json.loads(body)["data"], key=lambda item: int(item["index"]))
            vectors = np.array([item["embedding"] for item in items], np.float32)
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        except (ValueError, TypeError, KeyError):
            lengths = np.zeros(0, np.float32)
        if len(lengths) != count or not np.all(np.isfinite(lengths) & (lengths > 0)):
            raise EmbeddingsRejected(
                f"{self.url} answers with something else than vectors for {count} texts: check that "
                "INGEST_EMBEDDINGS_URL is an OpenAI-compatible endpoint and INGEST_EMBEDDINGS_MODEL "
                f"({self.model!r}) a model for embeddings"
            )
        return np.asarray(vectors / lengths)


def embeddings_endpoint(settings: Settings) -> EmbeddingsEndpoint:
    """Return the endpoint that the settings name.

    Raises:
        EmbeddingsMissing: They name none.
    """
    if not settings.embeddings_url or not settings.embeddings_model:
        raise EmbeddingsMissing(
            "semantic search is off: set INGEST_EMBEDDINGS_URL (such as http://localhost:11434/v1) and "
            "INGEST_EMBEDDINGS_MODEL, then run `ingest embed`"
        )
    return EmbeddingsEndpoint(settings.embeddings_url, settings.embeddings_model, settings.embeddings_api_key)
