"""Exports from files, folders and archives come into the table as they are, and what is wrong is named."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ingest_pipeline.domain.sessions.session import Session
from ingest_pipeline.errors import BadInput, DatabaseBusy
from ingest_pipeline.ingestion.files import file_import
from ingest_pipeline.ingestion.files.file_import import import_files
from ingest_pipeline.ingestion.files.reports import FilesReport, ImportScope, Outcome
from ingest_pipeline.ingestion.imports import merge_documents
from ingest_pipeline.ingestion.services import Services, build_services
from ingest_pipeline.landing.files.found_files import find_files
from ingest_pipeline.settings import Settings
from ingest_pipeline.storage.engine.database import Database
from ingest_pipeline.storage.messages.coverage import proofs
from ingest_pipeline.storage.messages.sessions import save_sessions
from ingest_pipeline_tests.contract.readings import stored_messages
from ingest_pipeline_tests.exports import CHANNEL_ID, START, as_bytes, export, message, write_export

OTHER = CHANNEL_ID + 1
CHANNEL = {"type": "GuildTextChat", "categoryId": None, "category": None, "name": "other", "topic": None}


@pytest.fixture
def services(settings: Settings, database: Database) -> Services:
    """The services."""
    return replace(build_services(settings), database=database)


def parts() -> dict[str, bytes]:
    """A channel's export in two parts and another channel's, by name."""
    return {
        "team-radio [1].json": as_bytes(export([message(1), message(2)])),
        "team-radio [1] [part 2].json": as_bytes(export([message(3)])),
        "other [2].json": as_bytes(export([message(4), message(5)], channel={"id": str(OTHER), **CHANNEL})),
    }


def write_zip(path: Path, files: dict[str, bytes]) -> None:
    """Write a ZIP archive with a folder in it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"exports/{name}", content)


def tar_bytes(files: dict[str, bytes]) -> bytes:
    """Return a tar archive with a folder in it."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f"exports/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return raw.getvalue()


def write_tar(path: Path, files: dict[str, bytes]) -> None:
    """Write a tar archive."""
    path.write_bytes(tar_bytes(files))


def write_tar_gz(path: Path, files: dict[str, bytes]) -> None:
    """Write a tar archive compressed with gzip."""
    path.write_bytes(gzip.compress(tar_bytes(files)))


def write_tar_zst(path: Path, files: dict[str, bytes]) -> None:
    """Write a tar archive compressed with zstd, in two frames, as parallel compressors do."""
    codec, whole = pa.Codec("zstd"), tar_bytes(files)
    halves = (whole[: len(whole) // 2], whole[len(whole) // 2 :])
    path.write_bytes(b"".join(codec.compress(half, asbytes=True) for half in halves))


def write_folder(path: Path, files: dict[str, bytes]) -> None:
    """Write a folder, with what the exporter puts beside its files."""
    path.mkdir()
    for name, content in files.items():
        (path / name).write_bytes(content)
    (path / "team-radio [1].json_Files").mkdir()
    (path / "team-radio [1].json_Files" / "settings-0123.json").write_text("{}", encoding="utf-8")
    (path / "cover.png").write_bytes(b"\x89PNG")


WRITERS: dict[str, Callable[[Path, dict[str, bytes]], None]] = {
    "folder": write_folder,
    "exports.zip": write_zip,
    "exports.tar": write_tar,
    "exports.tar.gz": write_tar_gz,
    "exports.tar.zst": write_tar_zst,
}


def take(services: Services, *paths: Path | str, **scope: Any) -> FilesReport:
    """Import files."""
    return import_files(services, find_files([str(path) for path in paths]), ImportScope(**scope))


def outcomes(report: FilesReport) -> list[tuple[str, str]]:
    """Return the name and the outcome of each file."""
    return [(Path(each.file.split("!")[-1]).name, each.outcome.value) for each in report.files]


def rows(database: Database) -> list[tuple[int, int]]:
    """Return channel and id of each stored message."""
    with database.read() as connection:
        return [(row["channel_id"], row["discord_id"]) for row in stored_messages(connection)]


def ids(*seconds: float) -> list[int]:
    """Return the ids of messages of some seconds."""
    return [int(message(second)["id"]) for second in seconds]


ALL_ROWS = [*((CHANNEL_ID, each) for each in ids(1, 2, 3)), *((OTHER, each) for each in ids(4, 5))]


@pytest.mark.parametrize("kind", WRITERS)
def test_every_kind_of_archive_gives_the_same_rows(
    services: Services, database: Database, tmp_path: Path, kind: str
) -> None:
    """A folder, a ZIP and tars: parts, channels and counts are as in the files; a second run reads none."""
    WRITERS[kind](tmp_path / kind, parts())
    report = take(services, tmp_path / kind)
    assert sorted(rows(database)) == sorted(ALL_ROWS)
    assert sorted(outcomes(report)) == sorted((name, "imported") for name in parts())
    assert (report.received, report.created, report.is_complete) == (5, 5, True)
    again = take(services, tmp_path / kind)
    assert {outcome for _, outcome in outcomes(again)} == {"unchanged"}
    assert [(each.file, each.messages, each.first_at) for each in again.files] == [
        (each.file, each.messages, each.first_at) for each in report.files
    ]
    assert (again.received, again.is_complete) == (0, True)


@pytest.mark.parametrize("archived", [False, True])
def test_a_compressed_export_is_read_as_it_is(
    services: Services, database: Database, tmp_path: Path, archived: bool
) -> None:
    """By itself or in an archive; one that is cut off is damaged."""
    whole = gzip.compress(as_bytes(export([message(1), message(2)])))
    for name, content in (("a.json.gz", whole), ("b.json.gz", whole[:-30])):
        if archived:
            write_zip(tmp_path / f"{name}.zip", {name: content})
        else:
            (tmp_path / name).write_bytes(content)
    assert take(services, tmp_path).outcomes == {"imported": 1, "damaged": 1}
    assert [discord_id for _, discord_id in rows(database)] == ids(1, 2)


def test_an_unchanged_archive_is_not_decompressed(services: Services, tmp_path: Path) -> None:
    """Its members are known from its first import; of a changed one all is looked at."""
    path = tmp_path / "exports.tar.gz"
    write_tar_gz(path, parts())
    take(services, path)
    size, stamp = path.stat().st_size, path.stat().st_mtime_ns
    path.write_bytes(bytes(size))
    os.utime(path, ns=(stamp, stamp))
    assert take(services, path).outcomes == {"unchanged": 3}
    os.utime(path, ns=(stamp, stamp + 1))
    assert not take(services, path).is_complete


def test_a_file_that_changed_is_read_again(services: Services, database: Database, tmp_path: Path) -> None:
    """And only that one."""
    write_folder(tmp_path / "folder", parts())
    take(services, tmp_path)
    write_export(tmp_path / "folder" / "team-radio [1].json", [message(1), message(2), message(6)])
    report = take(services, tmp_path)
    assert report.outcomes == {"unchanged": 2, "imported": 1}
    assert (report.created, report.unchanged) == (1, 2)
    assert take(services, tmp_path, again=True).outcomes == {"imported": 3}


def test_wider_bounds_and_another_policy_read_a_file_again(
    services: Services, database: Database, tmp_path: Path
) -> None:
    """What decides which rows a file becomes is part of what is remembered of it."""
    path = write_export(
        tmp_path / "a.json", [message(1), message(20), message(30, "", stickers=[{"id": "5"}])]
    )
    late = {"after": START + timedelta(seconds=10)}
    assert take(services, path, **late).created == 1
    assert take(services, path, **late).outcomes == {"unchanged": 1}
    assert take(services, path, after=START + timedelta(seconds=15)).outcomes == {"unchanged": 1}
    assert take(services, path).created == 1
    services.settings.settings_file.parent.mkdir(exist_ok=True)
    services.settings.settings_file.write_text("defaults: {keep_media_only: true}\n", encoding="utf-8")
    assert take(services, path).created == 1
    assert len(rows(database)) == 3


def test_a_damaged_file_is_named_and_the_rest_is_imported(
    services: Services, database: Database, tmp_path: Path
) -> None:
    """Nothing of it is in the table, and the next run tries it again."""
    files = parts()
    files["team-radio [1].json"] = files["team-radio [1].json"][:-900]
    write_zip(tmp_path / "exports.zip", files)
    for _ in range(2):
        report = take(services, tmp_path / "exports.zip")
        damaged = [each for each in report.files if each.outcome is Outcome.DAMAGED]
        assert [Path(each.file).name for each in damaged] == ["team-radio [1].json"]
        assert "ends inside its messages" in damaged[0].detail
        assert not report.is_complete
    assert sorted(discord_id for _, discord_id in rows(database)) == sorted(ids(3, 4, 5))


def test_a_link_that_leads_nowhere_costs_only_itself(services: Services, tmp_path: Path) -> None:
    """In a folder it is named like a damaged file; a pipe is no file, and nobody waits for it."""
    write_folder(tmp_path / "exports", parts())
    (tmp_path / "exports" / "gone.json").symlink_to("nowhere.json")
    os.mkfifo(tmp_path / "exports" / "pipe.json")
    report = take(services, tmp_path / "exports")
    assert report.outcomes == {"imported": 3, "damaged": 1}
    [damaged] = [each for each in report.files if each.outcome is Outcome.DAMAGED]
    assert "gone.json cannot be read (No such file or directory)" in damaged.detail
    assert (report.created, report.is_complete) == (5, False)


def test_the_settings_of_a_channel_are_looked_up_once(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for each of its files; files that have not changed need no look-up of their own."""
    write_zip(tmp_path / "exports.zip", parts())
    asked: list[int] = []
    look_up = Services.read_policies

    def counted(self: Services, channel_ids: Sequence[int]) -> Any:
        asked.extend(channel_ids)
        return look_up(self, channel_ids)

    monkeypatch.setattr(Services, "read_policies", counted)
    assert take(services, tmp_path / "exports.zip").created == 5
    assert sorted(asked) == [CHANNEL_ID, OTHER]
    assert take(services, tmp_path / "exports.zip").outcomes == {"unchanged": 3}
    assert len(asked) == 2


def test_what_stands_before_the_damage_is_taken_if_asked(
    services: Services, database: Database, tmp_path: Path
) -> None:
    """It is said, nothing is proven, and with the same option the file is known from then on."""
    cut = as_bytes(export([message(1), message(2), message(3)]))[:-600]
    (tmp_path / "cut.json").write_bytes(cut)
    report = take(services, tmp_path / "cut.json", salvage=True)
    assert (report.files[0].outcome, report.is_complete) == (Outcome.SALVAGED, False)
    assert "2 of its messages were taken" in report.files[0].detail
    assert [discord_id for _, discord_id in rows(database)] == ids(1, 2)
    with database.read() as connection:
        assert not proofs(connection, CHANNEL_ID)
    assert take(services, tmp_path / "cut.json", salvage=True).outcomes == {"unchanged": 1}
    assert take(services, tmp_path / "cut.json").outcomes == {"damaged": 1}


@pytest.mark.parametrize("salvage", [False, True])
def test_a_tar_that_is_cut_off_gives_what_stands_before(
    services: Services, database: Database, tmp_path: Path, salvage: bool
) -> None:
    """The file in which it ends and the archive are named; files before are imported."""
    files = dict(sorted(parts().items()))
    long = as_bytes(export([message(second, "x" * 5000) for second in range(10, 40)]))
    whole = tar_bytes({**files, "z-long.json": long})
    (tmp_path / "exports.tar").write_bytes(whole[: -len(long) // 2 - 2048])
    report = take(services, tmp_path / "exports.tar", salvage=salvage)
    expected = "salvaged" if salvage else "damaged"
    assert ("z-long.json", expected) in outcomes(report)
    assert not report.is_complete
    assert (len(rows(database)) > 5) == salvage
    assert set(ALL_ROWS) <= set(rows(database))


@pytest.mark.parametrize("salvage", [False, True])
def test_a_wrong_checksum_in_a_zip_is_damage_even_where_the_json_is_whole(
    services: Services, database: Database, tmp_path: Path, salvage: bool
) -> None:
    """A letter that has become another one would be a message that nobody wrote."""
    path = tmp_path / "exports.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.json", as_bytes(export([message(1, "said once")])))
    path.write_bytes(path.read_bytes().replace(b"said once", b"said oncf"))
    report = take(services, path, salvage=salvage)
    assert report.files[0].outcome is (Outcome.SALVAGED if salvage else Outcome.DAMAGED)
    assert "CRC" in report.files[0].detail
    assert len(rows(database)) == salvage


def test_another_channel_and_other_bounds_are_reported_with_the_file_s_own_range(
    services: Services, database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is taken of such files, and nothing is remembered."""
    write_folder(tmp_path / "folder", parts())
    report = take(
        services, tmp_path / "folder", channel_ids=frozenset({CHANNEL_ID}), after=START + timedelta(seconds=3)
    )
    assert report.outcomes == {"other_channel": 1, "imported": 1, "outside": 1}
    details = {each.outcome: each.detail for each in report.files}
    assert f"of channel {OTHER} (other), not of {CHANNEL_ID}" in details[Outcome.OTHER_CHANNEL]
    assert "from 2026-09-06 13:00:04 to 2026-09-06 13:00:05 UTC" in details[Outcome.OTHER_CHANNEL]
    assert "after 2026-09-06T13:00:03+00:00" in details[Outcome.OUTSIDE]
    assert "from 2026-09-06 13:00:01 to 2026-09-06 13:00:02 UTC" in details[Outcome.OUTSIDE]
    assert sum(detail in caplog.text for detail in details.values() if detail) == 2
    assert rows(database) == [(CHANNEL_ID, ids(3)[0])]
    assert take(services, tmp_path / "folder").created == 4
    again = take(services, tmp_path / "folder", after=START + timedelta(days=1))
    assert again.outcomes == {"outside": 3}, "though nothing of them has changed"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.html", b"<!DOCTYPE html>\n<html>", "an HTML page"),
        ("a.csv", b"AuthorID,Author,Date,Content,Attachments,Reactions\n", "a CSV file"),
        ("a.txt", b"=====\nGuild: Formula\n", "plain text"),
        ("a.json", b'{"id": "1"}\n{"id": "2"}\n', "JSON lines"),
        ("a.json", b'[{"id": "1", "content": "a"}]', "a bare JSON list"),
        (
            "messages.json",
            b'[{"ID": 1, "Timestamp": "", "Contents": "a", "Attachments": ""}]',
            "data package",
        ),
        ("a.bin", b"\x00\x01", "neither JSON nor an archive"),
    ],
)
def test_other_forms_are_named_with_the_way_to_an_export(
    services: Services, database: Database, tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    """A file that was asked for by name and is none makes the import incomplete."""
    (tmp_path / name).write_bytes(content)
    report = take(services, tmp_path / name)
    assert (report.files[0].outcome, report.is_complete) == (Outcome.OTHER_FORM, False)
    assert says in report.files[0].detail
    assert "--format Json" in report.files[0].detail
    assert rows(database) == []


@pytest.mark.parametrize("kind", ["folder", "exports.zip"])
def test_a_data_package_is_named_once(services: Services, tmp_path: Path, kind: str) -> None:
    """Not each of the thousands of files in it."""
    files = {
        "messages/index.json": b'{"1": "general"}',
        "messages/c1/messages.json": b"[]",
        "a/user.json": b"{}",
    }
    if kind == "folder":
        for name, content in files.items():
            path = tmp_path / "folder" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    else:
        write_zip(tmp_path / kind, files)
    report = take(services, tmp_path / kind)
    assert [each.outcome for each in report.files] == [Outcome.OTHER_FORM]
    assert "exportall --data-package" in report.files[0].detail


def test_messages_belong_to_the_sessions_that_cover_them_now_or_later(
    services: Services, database: Database, tmp_path: Path
) -> None:
    """No session is made by an import."""
    path = write_export(tmp_path / "a.json", [message(1), message(timedelta(hours=2))])
    take(services, path)

    def sessions_of_messages() -> list[str | None]:
        with database.read() as connection:
            return [row["session_id"] for row in stored_messages(connection)]

    assert sessions_of_messages() == [None, None]
    session = Session("race", START, START + timedelta(hours=1), (CHANNEL_ID,))
    database.run(lambda connection: save_sessions(connection, [session], now=START))
    assert sessions_of_messages() == ["race", None]


def test_an_interrupted_import_goes_on_where_it_stopped(
    services: Services, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was merged before is not read again."""
    write_folder(tmp_path / "folder", parts())
    monkeypatch.setattr(file_import, "_BATCH_ROWS", 1)
    real, calls = merge_documents, []

    def failing(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise DatabaseBusy("held by another")
        return real(*arguments, **options)

    monkeypatch.setattr(file_import, "merge_documents", failing)
    with pytest.raises(DatabaseBusy):
        take(services, tmp_path / "folder")
    report = take(services, tmp_path / "folder")
    assert report.outcomes == {"unchanged": 1, "imported": 2}
    assert sorted(rows(database)) == sorted(ALL_ROWS)


def test_a_large_file_is_merged_alone_and_reported_in_bytes(
    services: Services, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bar ends at the size of all files, and never goes back."""
    monkeypatch.setattr(file_import, "_SMALL_BYTES", 3_000)
    write_export(tmp_path / "a-small.json", [message(1)])
    write_export(tmp_path / "b-large.json", [message(second) for second in range(2, 50)])
    found = find_files([str(tmp_path)])
    reported: list[int] = []
    report = import_files(services, found, ImportScope(), on_progress=lambda done, _: reported.append(done))
    assert (report.created, len(rows(database))) == (49, 49)
    assert reported == sorted(reported)
    assert reported[-1] == found.size_bytes


@pytest.mark.parametrize(
    ("argument", "says"), [("nothing-here.json", "check the path"), ("no*.json", "check the pattern")]
)
def test_what_is_not_there_is_refused(argument: str, says: str, tmp_path: Path) -> None:
    """A path and a pattern are distinguished."""
    with pytest.raises(BadInput, match=says):
        find_files([str(tmp_path / argument)])


def test_names_with_brackets_are_no_patterns_and_patterns_are_sorted_by_number(tmp_path: Path) -> None:
    """The exporter writes brackets into the names of its files."""
    names: Sequence[str] = ["a [1] [part 10].json", "a [1] [part 2].json", "a [1].json"]
    for name in names:
        write_export(tmp_path / name, [])
    assert [each.path.name for each in find_files([str(tmp_path / names[0])]).sources] == [names[0]]
    found = find_files([str(tmp_path / "*.json"), str(tmp_path)])
    assert [each.path.name for each in found.sources] == [names[1], names[0], names[2]]
