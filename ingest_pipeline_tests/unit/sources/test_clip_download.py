"""Fetching one clip from a real server on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_pipeline.errors import BadInput, IngestError, TransientError
from ingest_pipeline.sources.discord.clip_download import (
    DISCORD_HOSTS,
    ClipGone,
    Download,
    DownloadLimits,
    download_clip,
)
from ingest_pipeline_tests.file_server import FileServer, running_file_server

BYTES = bytes(range(256)) * 2_000


@pytest.fixture
def server() -> Iterator[FileServer]:
    """A server with one clip."""
    with running_file_server() as served:
        served.files["/lap.mp4"] = BYTES
        yield served


@pytest.fixture
def limits(server: FileServer) -> DownloadLimits:
    """What may be fetched: from the server, and from a port where nobody listens."""
    hosts = [server.address.removeprefix("http://"), "127.0.0.1:1"]
    return DownloadLimits(hosts=hosts, max_bytes=1_000_000, timeout_seconds=5)


def test_a_clip_is_fetched_whole_and_hashed(
    server: FileServer, tmp_path: Path, limits: DownloadLimits
) -> None:
    """What arrives is what was sent."""
    found = download_clip(f"{server.address}/lap.mp4?ex=1", tmp_path / "clip", limits)
    assert found == Download(hashlib.sha256(BYTES).hexdigest(), len(BYTES))
    assert (tmp_path / "clip").read_bytes() == BYTES


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:1/lap.mp4",
        "http://127.0.0.1.evil.invalid/lap.mp4",
        "http://127.0.0.1@evil.invalid/",
        "file:///etc/hostname",
        "ftp://127.0.0.1/lap.mp4",
        "lap.mp4",
        "http://127.0.0.1:2/lap.mp4",
        "https://127.0.0.1/lap.mp4",
        "https://127.0.0.1:80/lap.mp4",
        "http://me:secret@127.0.0.1:1/lap.mp4",
    ],
)
def test_other_hosts_and_schemes_are_never_asked(tmp_path: Path, limits: DownloadLimits, url: str) -> None:
    """A link in a message must not make this machine read its own files or network."""
    with pytest.raises(BadInput, match="not on an allowed host and port"):
        download_clip(url, tmp_path / "clip", limits)
    assert not (tmp_path / "clip").exists()


@pytest.mark.parametrize(
    "url",
    [
        "https://cdn.discordapp.com:22/x.mp4",
        "https://cdn.discordapp.com:80/x.mp4",
        "http://cdn.discordapp.com/x.mp4",
        "http://cdn.discordapp.com:443@evil.invalid/x.mp4",
    ],
)
def test_discords_hosts_are_asked_on_the_port_of_https_alone(tmp_path: Path, url: str) -> None:
    """Whatever listens on another is no file of a message."""
    with pytest.raises(BadInput, match="by HTTPS from"):
        download_clip(url, tmp_path / "clip", DownloadLimits())


@pytest.mark.parametrize("url", ["http://[::1/x", "http://127.0.0.1:port/x", "http://127.0.0.1:99999/x"])
def test_what_is_no_address_is_refused_by_an_error_of_ours(
    tmp_path: Path, limits: DownloadLimits, url: str
) -> None:
    """Whoever writes a message can write anything."""
    with pytest.raises(BadInput, match="not a valid address"):
        download_clip(url, tmp_path / "clip", limits)


def test_an_address_is_asked_as_a_browser_asks_it(
    server: FileServer, tmp_path: Path, limits: DownloadLimits
) -> None:
    """Letters beyond ASCII and blanks are escaped, and a line break begins no further line of the request."""
    server.files["/%C3%A9%20x.mp4"] = server.files["/a%0D%0Ab"] = BYTES
    for path in ("/é x.mp4", "/a\r\nb"):
        assert download_clip(f"{server.address}{path}", tmp_path / "clip", limits).size_bytes == len(BYTES)


def test_a_password_of_this_machine_is_sent_to_nobody(
    server: FileServer, tmp_path: Path, limits: DownloadLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`~/.netrc` names hosts for people, and a link in a message names a host, too."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    download_clip(f"{server.address}/lap.mp4", tmp_path / "clip", limits)
    assert "Authorization" not in server.headers


@pytest.mark.slow
@given(st.text(max_size=60))
def test_no_address_ends_in_anything_but_an_error_of_ours(text: str) -> None:
    """Whatever it is, it costs its own clip alone."""
    limits = DownloadLimits(hosts=["127.0.0.1:1"])
    with TemporaryDirectory() as folder, pytest.raises(IngestError):
        download_clip(f"http://127.0.0.1:1/{text}", Path(folder) / "clip", limits)


def test_only_discords_hosts_are_asked_unless_set_otherwise() -> None:
    """The default."""
    assert tuple(DownloadLimits().hosts) == DISCORD_HOSTS == ("cdn.discordapp.com", "media.discordapp.net")


def test_a_redirect_is_followed_only_to_a_listed_host(
    server: FileServer, tmp_path: Path, limits: DownloadLimits
) -> None:
    """Every hop is looked at."""
    port = server.address.rpartition(":")[2]
    server.redirects["/moved.mp4"] = f"{server.address}/lap.mp4"
    server.redirects["/away.mp4"] = f"http://localhost:{port}/lap.mp4"
    assert download_clip(f"{server.address}/moved.mp4", tmp_path / "a", limits).size_bytes == len(BYTES)
    server.requests.clear()
    with pytest.raises(BadInput, match="localhost"):
        download_clip(f"{server.address}/away.mp4", tmp_path / "b", limits)
    assert server.requests == ["/away.mp4"]


@pytest.mark.parametrize("status", [403, 404, 410])
def test_an_address_that_works_no_longer_is_distinguished(
    server: FileServer, tmp_path: Path, limits: DownloadLimits, status: int
) -> None:
    """It may be had by a fresh one; the signature is not shown."""
    server.answers["/lap.mp4"] = status
    with pytest.raises(ClipGone, match=f"answered with {status}") as gone:
        download_clip(f"{server.address}/lap.mp4?ex=1&hm=secret", tmp_path / "clip", limits)
    assert "secret" not in str(gone.value)


def test_a_server_in_trouble_may_be_asked_again_later(
    server: FileServer, tmp_path: Path, limits: DownloadLimits
) -> None:
    """As may one that cannot be reached."""
    server.answers["/lap.mp4"] = 503
    with pytest.raises(TransientError, match="answered with 503"):
        download_clip(f"{server.address}/lap.mp4", tmp_path / "clip", limits)
    with pytest.raises(TransientError, match="cannot be fetched"):
        download_clip("http://127.0.0.1:1/lap.mp4", tmp_path / "clip", limits)


@pytest.mark.parametrize("stated", [len(BYTES), None])
def test_a_file_that_is_too_large_is_refused(
    server: FileServer, tmp_path: Path, limits: DownloadLimits, stated: int | None
) -> None:
    """Whether the server says how large it is or not."""
    server.lengths["/lap.mp4"] = stated
    with pytest.raises(BadInput, match="raise max_megabytes"):
        download_clip(f"{server.address}/lap.mp4", tmp_path / "clip", replace(limits, max_bytes=300_000))


def test_a_file_that_is_cut_short_is_refused(
    server: FileServer, tmp_path: Path, limits: DownloadLimits
) -> None:
    """Half a video is no video."""
    server.lengths["/lap.mp4"] = len(BYTES) + 10
    with pytest.raises(TransientError, match=r"lap\.mp4"):
        download_clip(f"{server.address}/lap.mp4", tmp_path / "clip", limits)


def test_a_file_that_takes_too_long_is_given_up(
    server: FileServer, tmp_path: Path, limits: DownloadLimits
) -> None:
    """However steadily it comes."""
    with pytest.raises(TransientError, match="takes longer than 0 s"):
        download_clip(f"{server.address}/lap.mp4", tmp_path / "clip", replace(limits, longest_seconds=0))
