"""Several runs that normalize a window at once keep its latest reading, and nothing false is proven."""

from __future__ import annotations

import io
import json
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest_pipeline.domain.messages.normalize import ChannelPolicy
from ingest_pipeline.domain.window import Window
from ingest_pipeline.errors import TransientError
from ingest_pipeline.ingestion.documents.document import Provenance, Tally
from ingest_pipeline.ingestion.documents.export import ExportDocument
from ingest_pipeline.ingestion.documents.normalized_store import NormalizedStore, StoredDocument
from ingest_pipeline.landing.exports.reader import read_header
from ingest_pipeline.storage.messages.schema import STAGING_SCHEMA
from ingest_pipeline_tests.exports import START, as_bytes, export, message

WINDOW = Window(START, START + timedelta(minutes=5))
EARLY, LATE = START + timedelta(minutes=10), START + timedelta(minutes=20)


def document(read_at: datetime, *texts: str, window: Window = WINDOW) -> ExportDocument:
    """Return an export with a message for each text."""
    raw = as_bytes(export([message(index, text) for index, text in enumerate(texts)]))
    return ExportDocument(
        opener=lambda: io.BytesIO(raw),
        name="test.json",
        header=read_header(io.BytesIO(raw), "test.json"),
        policy=ChannelPolicy(),
        window=window,
        complete=True,
        provenance=Provenance("monza", "export", read_at, "journey"),
    )


def save(folder: Path, read: ExportDocument) -> StoredDocument:
    """Save a document under the one key of these tests."""
    return NormalizedStore(str(folder)).save(read, "monza", "T+000m")


def texts(stored: StoredDocument, tally: Tally | None = None) -> list[str]:
    """Read a stored document."""
    return [row["raw_content"] for table in stored.batches(tally or Tally()) for row in table.to_pylist()]


def test_an_earlier_reading_does_not_replace_a_later_one(tmp_path: Path) -> None:
    """Whoever is done last: the caller goes on with the later one."""
    save(tmp_path, document(LATE, "a", "b"))
    stored = save(tmp_path, document(EARLY, "a"))
    assert (texts(stored), stored.provenance.observed_at) == (["a", "b"], LATE)


def test_the_same_reading_is_normalized_again(tmp_path: Path) -> None:
    """After a change of the channel's policy, say."""
    save(tmp_path, document(EARLY, "a"))
    assert texts(save(tmp_path, document(EARLY, "a", "b"))) == ["a", "b"]


def test_a_file_that_cannot_be_read_is_replaced(tmp_path: Path) -> None:
    """Whatever a crash of the machine left there."""
    stored = save(tmp_path, document(LATE, "a"))
    for damage in (b"", b"PAR1", Path(stored.path.path).read_bytes()[:-9]):
        Path(stored.path.path).write_bytes(damage)
        assert texts(save(tmp_path, document(EARLY, "b"))) == ["b"]


def test_a_file_written_again_before_it_is_merged_is_merged_as_it_is(tmp_path: Path) -> None:
    """With the tally of its own rows, and with a provenance that proves no more than before."""
    stored = save(tmp_path, document(EARLY, "a"))
    save(tmp_path, document(LATE, "a", "b"))
    tally = Tally()
    assert texts(stored, tally) == ["a", "b"]
    assert (tally.received, stored.provenance.observed_at) == (2, EARLY)


def test_an_earlier_reading_is_never_merged_as_a_later_one(tmp_path: Path) -> None:
    """It would prove messages that it does not hold."""
    stored = save(tmp_path, document(LATE, "a", "b"))
    Path(stored.path.path).unlink()
    save(tmp_path, document(EARLY, "a"))
    with pytest.raises(TransientError, match="try again"):
        texts(stored)


def test_a_reading_of_another_window_is_never_merged_in_its_place(tmp_path: Path) -> None:
    """A session that was moved gives its keys another meaning."""
    stored = save(tmp_path, document(EARLY, "a"))
    save(tmp_path, document(LATE, "a", window=Window(START, START + timedelta(minutes=9))))
    with pytest.raises(TransientError, match="try again"):
        texts(stored)


def test_rows_that_the_policy_does_not_take_are_stored_with_their_reason(tmp_path: Path) -> None:
    """They are merged when their message is known; a frame holds those that are taken."""
    stored = save(tmp_path, document(EARLY, "a", "", "b"))
    tally = Tally()
    reasons = [row["skip_reason"] for table in stored.batches(tally) for row in table.to_pylist()]
    assert reasons == [None, "no_content", None]
    assert (tally.rows, tally.taken, tally.skipped, tally.not_taken) == (3, 2, {}, {"no_content": 1})
    frame = NormalizedStore(str(tmp_path)).frame("monza", ["T+000m"])
    assert frame["raw_content"].tolist() == ["a", "b"]
    assert "skip_reason" not in frame


def test_a_file_of_an_earlier_version_is_read_in_the_present_form(tmp_path: Path) -> None:
    """It has no reasons, since what was not taken had no row; types were stored by their number."""
    stored = save(tmp_path, document(EARLY, "a", "b"))
    path = Path(stored.path.path)
    table = pq.read_table(path)
    stated = json.loads(pq.ParquetFile(path).metadata.metadata[b"ingest_pipeline"])
    stated["tally"] = {"received": 3, "rows": 2, "highest_id": 5, "skipped": {"media_only": 1}}
    place = table.schema.get_field_index("message_type")
    older = table.set_column(place, "message_type", pa.array(["21", "999"])).drop_columns(["skip_reason"])
    older = older.append_column("session_id", pa.array(["monza", "monza"]))
    pq.write_table(older.replace_schema_metadata({"ingest_pipeline": json.dumps(stated)}), path)
    store, tally = NormalizedStore(str(tmp_path)), Tally()
    [read] = store.load("monza", "T+000m", stored.channel_id).batches(tally)
    assert read.schema == STAGING_SCHEMA
    assert read["message_type"].to_pylist() == ["ThreadStarterMessage", "999"]
    assert (tally.rows, tally.taken, tally.skipped) == (2, 2, {"media_only": 1})
    assert store.frame("monza", ["T+000m"])["raw_content"].tolist() == ["a", "b"]
