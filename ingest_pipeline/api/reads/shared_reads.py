"""Shared reads: one read of the database for all equal requests between two commits.

On DuckDB a read keeps writers out, and opening the file costs more than most questions: without this, each
open page would cost every import its share. An answer is kept as the bytes that are sent, until somebody
commits.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future

from pydantic import BaseModel
from starlette.responses import Response

from ingest_pipeline.storage.engine.database import Database

_MOST_ANSWERS = 64


class SharedReads:
    """Answers by question, good until the next commit.

    Args:
        database: What is read.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._version: Hashable = None
        self._answers: OrderedDict[Hashable, Future[bytes]] = OrderedDict()

    def get(self, question: Hashable, look: Callable[[], BaseModel]) -> Response:
        """Return the answer to a question, looked up by whoever asks first.

        Args:
            question: What is asked, with all that the answer depends on besides the database.
            look: Reads the answer.

        Raises:
            IngestError: Whatever `look` raises, in everybody who asked meanwhile; it is not kept.
        """
        # Before reading: what is committed in between is in the answer and asked for once more.
        version = self._database.version()
        with self._lock:
            if version != self._version:
                self._answers.clear()
                self._version = version
            answer = self._answers.get(question)
            is_first = answer is None
            if answer is None:
                answer = self._answers[question] = Future()
                if len(self._answers) > _MOST_ANSWERS:
                    self._answers.popitem(last=False)
        if is_first:
            self._look_up(question, look, answer)
        return Response(answer.result(), media_type="application/json")

    def _look_up(self, question: Hashable, look: Callable[[], BaseModel], answer: Future[bytes]) -> None:
        try:
            answer.set_result(look().model_dump_json().encode())
        except BaseException as error:
            with self._lock:
                if self._answers.get(question) is answer:
                    del self._answers[question]
            answer.set_exception(error)
            raise
