"""Installing and updating the DiscordChatExporter CLI from its GitHub releases.

Each version is unpacked into a folder of its own, and one symbolic link names the current one: it
is switched atomically, after the new version has been checked and started once. So a failed update
leaves the working one, and a run in progress keeps the version it began with.

    discord_msg_fetcher/DiscordChatExporter.Cli -> releases/2.47/DiscordChatExporter.Cli

How a release is fetched and checked is in `release_download.py`.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from ingest_pipeline.capture.chat_exporter import ChatExporter
from ingest_pipeline.capture.release_download import ReleaseAsset, download_asset, latest_release, unpack
from ingest_pipeline.errors import ConfigurationError, ExporterUnavailable

API_URL = "https://api.github.com/repos/Tyrrrz/DiscordChatExporter/releases/latest"
EXECUTABLE = "DiscordChatExporter.Cli"
DOWNLOAD_SECONDS = 300.0
_KEPT_SECONDS = 24 * 3600

# The CLI's assets as of 2.47 (https://github.com/Tyrrrz/DiscordChatExporter/releases); each brings
# its own .NET.
_PLATFORMS = {
    ("linux", "x86_64", "glibc"): "linux-x64",
    ("linux", "x86_64", "musl"): "linux-musl-x64",
    ("linux", "arm64", "glibc"): "linux-arm64",
    ("linux", "arm", "glibc"): "linux-arm",
    ("darwin", "x86_64", ""): "osx-x64",
    ("darwin", "arm64", ""): "osx-arm64",
}
_MACHINES = {
    "amd64": "x86_64",
    "x64": "x86_64",
    "aarch64": "arm64",
    "armv6l": "arm",
    "armv7l": "arm",
    "armv8l": "arm",
}


@dataclass(frozen=True, slots=True)
class ExporterInstallation:
    """An exporter that is ready to run.

    Attributes:
        path: The executable.
        version: Its version, such as `2.47`.
        updated: Whether this call installed it.
    """

    path: Path
    version: str
    updated: bool


def asset_name(system: str, machine: str, libc: str) -> str:
    """Return the name of the release asset for a platform.

    Args:
        system: As from `platform.system()`: `Linux` or `Darwin`.
        machine: As from `platform.machine()`.
        libc: `glibc` or `musl`; of no meaning outside Linux.

    Raises:
        ConfigurationError: There is no asset for this platform.
    """
    processor = _MACHINES.get(machine.lower(), machine.lower())
    family = system.lower()
    key = (family, processor, libc if family == "linux" else "")
    if key not in _PLATFORMS:
        raise ConfigurationError(
            f"DiscordChatExporter has no release for {system} {machine} {key[2]}".rstrip()
            + ": build it from source and set INGEST_EXPORTER_PATH"
        )
    return f"{EXECUTABLE}.{_PLATFORMS[key]}.zip"


def this_platform() -> tuple[str, str, str]:
    """Return system, machine and C library of this computer, as `asset_name` takes them."""
    is_musl = platform.libc_ver()[0] != "glibc" and any(Path("/lib").glob("ld-musl-*"))
    return platform.system(), platform.machine(), "musl" if is_musl else "glibc"


def installed_version(folder: Path) -> str | None:
    """Return the version that `ensure_exporter` put into a folder, or None."""
    return _installed(folder).get("version")


def ensure_exporter(
    folder: Path,
    *,
    api_url: str = API_URL,
    timeout_seconds: float = 20,
    download_seconds: float = DOWNLOAD_SECONDS,
) -> ExporterInstallation:
    """Make the newest exporter available in a folder.

    An executable that somebody put there by hand is left alone and used as it is.

    Args:
        folder: Where it is installed; made when absent.
        api_url: The address of the latest release's description.
        timeout_seconds: Longest wait for an answer.
        download_seconds: Longest time for the whole download.

    Raises:
        TransientError: The release cannot be reached, or arrived damaged; what was installed before
            is untouched.
        ConfigurationError: There is no release for this platform, its archive is unsafe, the
            executable in it does not start here, or the folder cannot be written.
    """
    link = folder / EXECUTABLE
    if link.exists() and not link.is_symlink():
        return ExporterInstallation(link, ChatExporter(link, None).version(), updated=False)
    wanted = asset_name(*this_platform())
    asset = latest_release(api_url, wanted, timeout_seconds)
    if _is_current(folder, asset):
        return ExporterInstallation(link, asset.version, updated=False)
    try:
        _install(folder, asset, timeout_seconds, time.monotonic() + download_seconds)
    except OSError as error:
        raise ConfigurationError(
            f"the exporter cannot be installed into {folder} ({error.strerror or error}): "
            "free space or mend its permissions"
        ) from error
    return ExporterInstallation(link, asset.version, updated=True)


def _installed(folder: Path) -> dict[str, Any]:
    record = (folder / EXECUTABLE).resolve().parent / "release.json"
    with suppress(OSError, ValueError):
        content = json.loads(record.read_text(encoding="utf-8"))
        return content if isinstance(content, dict) else {}
    return {}


def _is_current(folder: Path, asset: ReleaseAsset) -> bool:
    link = folder / EXECUTABLE
    return os.access(link, os.X_OK) and _installed(folder) == _record(asset)


def _record(asset: ReleaseAsset) -> dict[str, Any]:
    return {"version": asset.version, "asset": asset.name, "sha256": asset.sha256}


def _install(folder: Path, asset: ReleaseAsset, timeout_seconds: float, deadline: float) -> None:
    releases = folder / "releases"
    releases.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".incoming-", dir=releases) as temporary:
        archive = Path(temporary) / asset.name
        download_asset(asset, archive, timeout_seconds, deadline)
        content = Path(temporary) / "content"
        unpack(archive, content)
        _check_executable(content / EXECUTABLE, asset)
        (content / "release.json").write_text(json.dumps(_record(asset)), encoding="utf-8")
        # A name of its own for each installation: an older attempt at the same version may be in use.
        home = releases / f"{asset.version}-{uuid4().hex[:8]}"
        content.rename(home)
    previous = (folder / EXECUTABLE).resolve().parent
    new_link = folder / f".{EXECUTABLE}.{uuid4().hex[:8]}"
    new_link.symlink_to(Path("releases") / home.name / EXECUTABLE)
    new_link.replace(folder / EXECUTABLE)
    _forget_older(releases, {home, previous})


def _check_executable(executable: Path, asset: ReleaseAsset) -> None:
    if not executable.is_file():
        raise ConfigurationError(
            f"{asset.name} of version {asset.version} holds no {EXECUTABLE}: "
            "install the exporter by hand and set INGEST_EXPORTER_PATH"
        )
    executable.chmod(0o755)
    try:
        ChatExporter(executable, None).version()
    except ExporterUnavailable as error:
        raise ExporterUnavailable(
            f"version {asset.version} does not start on this system: {error}"
        ) from error


def _forget_older(releases: Path, kept: set[Path]) -> None:
    """Delete what is older than a day and not in use: another process may be installing just now."""
    names = {path.name for path in kept}
    for path in releases.iterdir():
        if path.name not in names and path.stat().st_mtime < time.time() - _KEPT_SECONDS:
            shutil.rmtree(path, ignore_errors=True)
