"""Installing the exporter from a real HTTP server: what is taken, and what is never lost."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ingest_pipeline.errors import ConfigurationError, ExitCode, ExporterUnavailable, TransientError
from ingest_pipeline.sources.exporter import release
from ingest_pipeline.sources.exporter.chat_exporter import ChatExporter
from ingest_pipeline.sources.exporter.release import (
    EXECUTABLE,
    VERSION,
    ExporterChange,
    asset_name,
    check_exporter_release,
    ensure_exporter,
    installed_version,
    this_platform,
)
from ingest_pipeline_tests.cli_runs import Cli


@dataclass
class Releases:
    """A release server: what it describes, what it delivers, and what it was asked for."""

    url: str = ""
    release: dict[str, Any] = field(default_factory=dict)
    archive: bytes = b""
    status: int = 200
    delivered: bytes | None = None
    stall: threading.Event | None = None
    is_lying: bool = False
    asked: list[str] = field(default_factory=list)

    def publish(self, version: str, archive: bytes, **changes: Any) -> None:
        """Make an archive the latest release of this platform."""
        self.archive = archive
        asset = {
            "name": asset_name(*this_platform()),
            "browser_download_url": f"{self.url}/archive.zip",
            "size": len(archive),
            "digest": f"sha256:{hashlib.sha256(archive).hexdigest()}",
            **changes,
        }
        self.release = {"tag_name": version, "assets": [asset]}

    def ensure(self, folder: Path, version: str | None = None, **options: Any) -> Any:
        """Install a version from this server, by default the latest."""
        return ensure_exporter(folder, version=version, releases_url=self.url, timeout_seconds=5, **options)

    def check(self, folder: Path, version: str | None = None) -> ExporterChange:
        """Ask this server what that would change."""
        return check_exporter_release(folder, version=version, releases_url=self.url, timeout_seconds=5)


@pytest.fixture
def releases() -> Iterator[Releases]:
    """Serve releases on a local port."""
    served = Releases()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            is_archive = self.path == "/archive.zip"
            tag = self.path.removeprefix("/tags/")
            body = served.archive if is_archive else json.dumps(served.release).encode()
            is_other = tag != self.path and not served.is_lying and tag != served.release["tag_name"]
            self.send_response(404 if is_other else served.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if is_archive and served.stall:
                served.stall.wait(20)
            self.wfile.write(body if served.delivered is None or not is_archive else served.delivered)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield served
    finally:
        if served.stall:
            served.stall.set()
        server.shutdown()
        server.server_close()
        thread.join()


def archive(version: str, script: str | None = None) -> bytes:
    """Return a ZIP archive with an executable that prints a version."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(EXECUTABLE, script or f"#!/bin/sh\necho v{version}\n")
        file.writestr("icudt.dat", b"\0" * 5000)
    return content.getvalue()


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("system", "machine", "libc", "expected"),
    [
        ("Linux", "x86_64", "glibc", "linux-x64"),
        ("Linux", "x86_64", "musl", "linux-musl-x64"),
        ("Linux", "aarch64", "glibc", "linux-arm64"),
        ("Linux", "armv7l", "glibc", "linux-arm"),
        ("Darwin", "arm64", "", "osx-arm64"),
        ("Darwin", "x86_64", "", "osx-x64"),
    ],
)
def test_every_platform_has_its_asset(system: str, machine: str, libc: str, expected: str) -> None:
    """Names as on the release page."""
    assert asset_name(system, machine, libc) == f"DiscordChatExporter.Cli.{expected}.zip"


@pytest.mark.parametrize(
    ("system", "machine", "libc"),
    [("Linux", "aarch64", "musl"), ("Linux", "riscv64", "glibc"), ("Plan9", "x", "")],
)
def test_a_platform_without_a_release_is_shown_what_to_do(system: str, machine: str, libc: str) -> None:
    """Building it and a setting are the way then."""
    with pytest.raises(ConfigurationError, match="INGEST_EXPORTER_PATH"):
        asset_name(system, machine, libc)


def test_the_exporter_is_installed_and_runs(tmp_path: Path, releases: Releases) -> None:
    """From nothing, executable, with its version recorded and nothing else left."""
    releases.publish("2.47", archive("2.47"))
    installation = releases.ensure(tmp_path / "fetcher")
    assert (installation.version, installation.updated) == ("2.47", True)
    assert installation.path == tmp_path / "fetcher" / EXECUTABLE
    assert os.access(installation.path, os.X_OK)
    assert ChatExporter(installation.path, None).version() == "2.47"
    assert installed_version(tmp_path / "fetcher") == "2.47"
    names = sorted(path.name for path in (tmp_path / "fetcher").iterdir())
    assert names == [EXECUTABLE, "digests.json", "releases"]
    assert len(list((tmp_path / "fetcher" / "releases").iterdir())) == 1


def test_what_is_up_to_date_is_not_downloaded_again(tmp_path: Path, releases: Releases) -> None:
    """Only the description is asked for."""
    releases.publish("2.47", archive("2.47"))
    first = releases.ensure(tmp_path)
    releases.asked.clear()
    again = releases.ensure(tmp_path)
    assert (again.path, again.version, again.updated) == (first.path, "2.47", False)
    assert releases.asked == ["/latest"]


def test_a_newer_release_replaces_the_older_one(tmp_path: Path, releases: Releases) -> None:
    """The path stays; a run that began with the old version still finds it."""
    releases.publish("2.46.1", archive("2.46.1"))
    old = releases.ensure(tmp_path).path.resolve()
    releases.publish("v2.47", archive("2.47"))
    installation = releases.ensure(tmp_path)
    assert (installation.version, installation.updated) == ("2.47", True)
    assert ChatExporter(installation.path, None).version() == "2.47"
    assert old.exists()


def test_versions_that_are_no_longer_used_are_forgotten_after_a_day(
    tmp_path: Path, releases: Releases
) -> None:
    """The current and the previous one stay."""
    homes = []
    for version in ("2.45", "2.46", "2.47"):
        releases.publish(version, archive(version))
        homes.append(releases.ensure(tmp_path).path.resolve().parent)
        os.utime(homes[-1], (0, 0))
    assert [home.exists() for home in homes] == [False, True, True]


def test_a_lost_executable_bit_is_fixed(tmp_path: Path, releases: Releases) -> None:
    """What does not run is not up to date."""
    releases.publish("2.47", archive("2.47"))
    path = releases.ensure(tmp_path).path
    path.resolve().chmod(0o644)
    if not os.access(path, os.X_OK):
        assert releases.ensure(tmp_path).updated
    assert ChatExporter(releases.ensure(tmp_path).path, None).version() == "2.47"


def test_an_executable_put_there_by_hand_is_used_and_left_alone(tmp_path: Path, releases: Releases) -> None:
    """Nobody is asked for another."""
    path = tmp_path / EXECUTABLE
    path.write_text("#!/bin/sh\necho v2.99\n")
    path.chmod(0o755)
    installation = releases.ensure(tmp_path)
    assert (installation.path, installation.version, installation.updated) == (path, "2.99", False)
    assert releases.asked == []


def zipped(name: str, data: bytes, mode: int = 0o100644) -> bytes:
    """Return an archive of the new version with one more member."""
    content = io.BytesIO(archive("2.48"))
    with zipfile.ZipFile(content, "a") as file:
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        file.writestr(member, data)
    return content.getvalue()


def only(name: str) -> bytes:
    """Return an archive without the executable."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr(name, "hello")
    return content.getvalue()


def with_damaged_member() -> bytes:
    """Return an archive whose list of members is right and whose bytes are not."""
    damaged = bytearray(zipped("readme", b"0123456789" * 500))
    place = damaged.index(b"0123456789") + 1000
    damaged[place : place + 8] = bytes(8)
    return bytes(damaged)


GOOD = archive("2.48")
# What is published as 2.48, changes to its description, changes to the server, what it becomes.
SPOILED: dict[str, tuple[bytes, dict[str, Any], dict[str, Any], type[Exception]]] = {
    "server error": (GOOD, {}, {"status": 500}, TransientError),
    "no release": (GOOD, {}, {"release": {"message": "Not Found"}}, TransientError),
    "another shape": (GOOD, {}, {"release": []}, TransientError),
    "other bytes": (GOOD, {}, {"delivered": GOOD[:-1] + b"?"}, TransientError),
    "cut short": (GOOD, {}, {"delivered": GOOD[:-100]}, TransientError),
    "longer than described": (GOOD, {"size": len(GOOD) - 10}, {}, TransientError),
    "corrupted archive": (GOOD[:-200] + bytes(200), {}, {}, TransientError),
    "damaged member": (with_damaged_member(), {}, {}, TransientError),
    "no asset": (GOOD, {"name": "DiscordChatExporter.Cli.win-x64.zip"}, {}, ConfigurationError),
    "other address": (GOOD, {"browser_download_url": "file:///etc/passwd"}, {}, ConfigurationError),
    "strange version": (GOOD, {}, {"version": "../../2.48"}, ConfigurationError),
    "no executable": (only("readme"), {}, {}, ConfigurationError),
    "does not start": (archive("2.48", script="#!/bin/sh\nexit 1\n"), {}, {}, ExporterUnavailable),
    "parent folder": (zipped("../outside", b"x"), {}, {}, ConfigurationError),
    "absolute path": (zipped("/absolute", b"x"), {}, {}, ConfigurationError),
    "parent inside": (zipped("a/../../outside", b"x"), {}, {}, ConfigurationError),
    "backslashes": (zipped("..\\outside", b"x"), {}, {}, ConfigurationError),
    "drive": (zipped("C:outside", b"x"), {}, {}, ConfigurationError),
    "symbolic link": (zipped("link", b"/etc", 0o120777), {}, {}, ConfigurationError),
}


@pytest.mark.slow
@pytest.mark.parametrize("how", SPOILED)
def test_a_failed_update_leaves_the_working_installation(
    tmp_path: Path, releases: Releases, how: str
) -> None:
    """Byte for byte, and nothing beside it; the error is one line."""
    folder = tmp_path / "fetcher"
    releases.publish("2.47", archive("2.47"))
    releases.ensure(folder)
    before = contents(tmp_path)
    content, description, server, expected = SPOILED[how]
    releases.publish(server.get("version", "2.48"), content, **description)
    for name in server.keys() - {"version"}:
        setattr(releases, name, server[name])
    with pytest.raises(expected) as caught:
        releases.ensure(folder)
    assert type(caught.value) is expected
    assert "\n" not in str(caught.value)
    assert contents(tmp_path) == before
    assert ChatExporter(folder / EXECUTABLE, None).version() == "2.47"


def test_an_archive_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small archive can hold terabytes of zeros."""
    monkeypatch.setattr("ingest_pipeline.sources.exporter.release_download.MAX_UNPACKED_BYTES", 4000)
    releases.publish("2.47", archive("2.47"))
    with pytest.raises(ConfigurationError, match="unpacks to more"):
        releases.ensure(tmp_path)


def test_a_damaged_record_means_installing_again(tmp_path: Path, releases: Releases) -> None:
    """Whatever is in it."""
    releases.publish("2.47", archive("2.47"))
    for damage in ("[]", "{"):
        record = releases.ensure(tmp_path).path.resolve().with_name("release.json")
        record.write_text(damage)
        assert installed_version(tmp_path) is None
        assert releases.ensure(tmp_path).updated


@pytest.mark.parametrize("version", ["2.47", None])
def test_a_release_without_a_digest_is_refused(
    tmp_path: Path, releases: Releases, version: str | None
) -> None:
    """Nobody could find out what it is, neither now nor later."""
    releases.publish("2.47", archive("2.47"), digest=None)
    for refused in (releases.ensure, releases.check):
        with pytest.raises(ConfigurationError, match="has no digest"):
            refused(tmp_path, version)
    assert list(tmp_path.iterdir()) == []


def test_the_pinned_version_is_installed_whatever_is_the_latest(tmp_path: Path, releases: Releases) -> None:
    """By its tag; and when it is there nobody is asked again."""
    releases.publish("2.47", archive("2.47"))
    assert releases.ensure(tmp_path, "2.47").updated
    assert releases.asked == ["/tags/2.47", "/archive.zip"]
    releases.publish("2.48", archive("2.48"))
    releases.asked.clear()
    again = releases.ensure(tmp_path, "2.47")
    assert (again.version, again.updated, releases.asked) == ("2.47", False, [])


def test_no_longer_following_the_latest_goes_back_to_the_pinned_version(
    tmp_path: Path, releases: Releases
) -> None:
    """What is pinned is what runs."""
    releases.publish("2.48", archive("2.48"))
    assert releases.ensure(tmp_path).version == "2.48"
    releases.publish("2.47", archive("2.47"))
    assert releases.ensure(tmp_path, "2.47").updated
    assert ChatExporter(tmp_path / EXECUTABLE, None).version() == "2.47"
    assert set(json.loads((tmp_path / "digests.json").read_text())) == {
        f"{version}/{asset_name(*this_platform())}" for version in ("2.47", "2.48")
    }


@pytest.mark.parametrize("version", ["2.47", None])
def test_a_release_that_was_replaced_is_refused(
    tmp_path: Path, releases: Releases, version: str | None
) -> None:
    """Its digest is not the one that was recorded first, also after the installation has been deleted."""
    releases.publish("2.47", archive("2.47"))
    releases.ensure(tmp_path, version)
    releases.publish("2.47", archive("2.47", script="#!/bin/sh\necho v2.47 # and more\n"))
    shutil.rmtree(tmp_path / "releases")
    (tmp_path / EXECUTABLE).unlink()
    for refused in (releases.ensure, releases.check):
        with pytest.raises(ConfigurationError, match=r"replaced since.*digests\.json"):
            refused(tmp_path, version)
    assert not (tmp_path / EXECUTABLE).exists()


def test_an_installation_from_before_digests_were_kept_apart_is_compared_too(
    tmp_path: Path, releases: Releases
) -> None:
    """The digest stood with the release then."""
    releases.publish("2.47", archive("2.47"))
    releases.ensure(tmp_path, "2.47")
    (tmp_path / "digests.json").unlink()
    assert not releases.ensure(tmp_path, "2.47").updated
    releases.publish("2.47", archive("2.47", script="#!/bin/sh\necho v2.47 # and more\n"))
    with pytest.raises(ConfigurationError, match="replaced since"):
        releases.ensure(tmp_path)


@pytest.mark.parametrize("damage", ["", "[]", "{", "\xff"])
def test_digests_that_cannot_be_read_stop_an_installation(
    tmp_path: Path, releases: Releases, damage: str
) -> None:
    """Without them anything would be taken for right."""
    releases.publish("2.47", archive("2.47"))
    releases.ensure(tmp_path, "2.47")
    (tmp_path / "digests.json").write_bytes(damage.encode("latin-1"))
    with pytest.raises(ConfigurationError, match="digests"):
        releases.ensure(tmp_path, "2.47")


def test_a_check_reports_what_would_change_and_changes_nothing(tmp_path: Path, releases: Releases) -> None:
    """From nothing to the pinned version, to nothing to do, to the latest."""
    releases.publish("2.47", archive("2.47"))
    seen = releases.check(tmp_path, "2.47")
    assert (seen.installed, seen.wanted, seen.is_recorded, seen.is_current) == (None, "2.47", False, False)
    assert list(tmp_path.iterdir()) == []
    releases.ensure(tmp_path, "2.47")
    seen = releases.check(tmp_path, "2.47")
    assert (seen.installed, seen.is_recorded, seen.is_current) == ("2.47", True, True)
    assert seen.sha256 == hashlib.sha256(releases.archive).hexdigest()
    releases.publish("2.48", archive("2.48"))
    before = contents(tmp_path)
    seen = releases.check(tmp_path)
    assert (seen.installed, seen.wanted, seen.is_recorded, seen.is_current) == ("2.47", "2.48", False, False)
    assert contents(tmp_path) == before


def test_a_tag_that_leads_to_another_version_is_refused(tmp_path: Path, releases: Releases) -> None:
    """Whoever answers there."""
    releases.publish("2.48", archive("2.48"))
    releases.is_lying = True
    with pytest.raises(ConfigurationError, match=r"describes version '2\.48', not '2\.47'"):
        releases.ensure(tmp_path, "2.47")


def test_the_command_installs_and_checks(
    tmp_path: Path, releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a setting of its own the pinned version; an exporter of somebody's own is left alone."""
    releases.publish(VERSION, archive(VERSION))
    cli = Cli(tmp_path)
    own = cli("exporter")
    assert own.code == ExitCode.CONFIGURATION
    assert "is your own" in own.stderr
    del cli.environment["INGEST_EXPORTER_PATH"]
    for name in ("ensure_exporter", "check_exporter_release"):
        here = partial(getattr(release, name), releases_url=releases.url)
        monkeypatch.setattr(release, name, lambda _, here=here, **given: here(tmp_path, **given))
    checked = cli("exporter", "--check")
    assert checked.stdout.startswith(f"exporter {VERSION} would be installed, nothing is there (sha256 ")
    assert cli("exporter").stdout == f"exporter {VERSION} installed: {tmp_path / EXECUTABLE}\n"
    assert cli("exporter", "--json").json == {"version": VERSION, "installed": False}
    checked = cli("exporter", "--check")
    assert checked.stdout.startswith(f"nothing would change: exporter {VERSION} is installed (sha256 ")
    assert "as recorded" in checked.stdout
    releases.publish("9.9", archive("9.9"))
    cli.environment["INGEST_EXPORTER_FOLLOW_LATEST"] = "true"
    change = cli("exporter", "--check", "--json").json
    assert (change["installed"], change["wanted"], change["is_current"]) == (VERSION, "9.9", False)


def test_offline_is_a_transient_error_in_one_line(tmp_path: Path) -> None:
    """Nothing listens on that port."""
    with pytest.raises(TransientError, match="cannot be reached") as caught:
        ensure_exporter(tmp_path, releases_url="http://127.0.0.1:9", timeout_seconds=2)
    assert "\n" not in str(caught.value)


def test_an_answer_that_does_not_come_is_given_up(tmp_path: Path, releases: Releases) -> None:
    """Waiting for the next bytes has a limit."""
    releases.publish("2.47", archive("2.47"))
    releases.stall = threading.Event()
    with pytest.raises(TransientError, match="timed out"):
        ensure_exporter(tmp_path, version=None, releases_url=releases.url, timeout_seconds=0.3)


def test_a_download_that_takes_too_long_is_given_up(tmp_path: Path, releases: Releases) -> None:
    """The whole download has a limit too."""
    releases.publish("2.47", archive("2.47"))
    with pytest.raises(TransientError, match="too long"):
        releases.ensure(tmp_path, download_seconds=-1)


def test_an_address_that_is_none_of_the_web_is_refused(tmp_path: Path) -> None:
    """A setting might hold anything."""
    with pytest.raises(ConfigurationError, match="not a web address"):
        ensure_exporter(tmp_path, releases_url="file:///etc/passwd")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, releases: Releases) -> None:
    """With what to do about it."""
    (tmp_path / "file").write_text("")
    releases.publish("2.47", archive("2.47"))
    with pytest.raises(ConfigurationError, match="cannot be installed into"):
        releases.ensure(tmp_path / "file" / "fetcher")
