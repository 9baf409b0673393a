"""Installation of a pinned version of the DiscordChatExporter CLI from its GitHub releases.

The version stands here. The digest that a release names is recorded when the version is first installed, and
compared ever after: a release that was replaced since is refused, and so is one without a digest. Following
the latest release instead is a setting (`INGEST_EXPORTER_FOLLOW_LATEST`).

Each version is unpacked into a folder of its own, and one symbolic link names the current one: it
is switched atomically, after the new version has been checked and started once. So a failed update
leaves the working one, and a run in progress keeps the version it began with.

    discord_msg_fetcher/DiscordChatExporter.Cli -> releases/2.47-1a2b3c4d/DiscordChatExporter.Cli
    discord_msg_fetcher/digests.json               {"2.47/DiscordChatExporter.Cli.linux-x64.zip": "…"}

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

from ingest_pipeline.errors import ConfigurationError, ExporterUnavailable
from ingest_pipeline.sources.exporter.chat_exporter import ChatExporter
from ingest_pipeline.sources.exporter.release_download import (
    ReleaseAsset,
    download_asset,
    find_release,
    unpack,
)

RELEASES_URL = "https://api.github.com/repos/Tyrrrz/DiscordChatExporter/releases"
VERSION = "2.47"
DIGESTS = "digests.json"
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


@dataclass(frozen=True, slots=True)
class ExporterChange:
    """The change that an installation would make.

    Attributes:
        installed: The version that is there, or None.
        wanted: The version that is asked for.
        sha256: The digest that its release names.
        is_recorded: Whether that digest was recorded before.
        is_current: Whether nothing would change.
    """

    installed: str | None
    wanted: str
    sha256: str
    is_recorded: bool
    is_current: bool


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
    version: str | None = VERSION,
    releases_url: str = RELEASES_URL,
    timeout_seconds: float = 20,
    download_seconds: float = DOWNLOAD_SECONDS,
) -> ExporterInstallation:
    """Make a version of the exporter available in a folder.

    The pinned version is asked for once: when it is there, no server is asked. An executable that was put
    there by hand is left alone and used as it is.

    Args:
        folder: Where it is installed; made when absent.
        version: The version, or None for that of the latest release.
        releases_url: Where releases are described, by tag or as the latest.
        timeout_seconds: Longest wait for an answer.
        download_seconds: Longest time for the whole download.

    Raises:
        TransientError: The release cannot be reached, or arrived damaged; what was installed before
            is untouched.
        ConfigurationError: There is no such release for this platform, it names no digest or another than
            before, its archive is unsafe, the executable in it does not start here, or the folder cannot
            be written.
    """
    link = folder / EXECUTABLE
    if is_by_hand(folder):
        return ExporterInstallation(link, ChatExporter(link, None).version(), updated=False)
    wanted = asset_name(*this_platform())
    if version is not None and _is_installed(folder, version, wanted):
        return ExporterInstallation(link, version, updated=False)
    asset = find_release(releases_url, version, wanted, timeout_seconds)
    _compare(folder, asset)
    if _is_installed(folder, asset.version, asset.name):
        return ExporterInstallation(link, asset.version, updated=False)
    try:
        _install(folder, asset, timeout_seconds, time.monotonic() + download_seconds)
    except OSError as error:
        raise ConfigurationError(
            f"the exporter cannot be installed into {folder} ({error.strerror or error}): "
            "free space or fix its permissions"
        ) from error
    return ExporterInstallation(link, asset.version, updated=True)


def check_exporter_release(
    folder: Path,
    *,
    version: str | None = VERSION,
    releases_url: str = RELEASES_URL,
    timeout_seconds: float = 20,
) -> ExporterChange:
    """Ask the release what `ensure_exporter` would change, and change nothing.

    Raises:
        TransientError: The release cannot be reached.
        ConfigurationError: It would be refused.
    """
    asset = find_release(releases_url, version, asset_name(*this_platform()), timeout_seconds)
    sha256 = _compare(folder, asset)
    return ExporterChange(
        installed=installed_version(folder),
        wanted=asset.version,
        sha256=sha256,
        is_recorded=_key(asset.version, asset.name) in _digests(folder),
        is_current=_is_installed(folder, asset.version, asset.name),
    )


def is_by_hand(folder: Path) -> bool:
    """Return whether somebody put an executable there, which is then left alone."""
    link = folder / EXECUTABLE
    return link.exists() and not link.is_symlink()


def _compare(folder: Path, asset: ReleaseAsset) -> str:
    """Return the digest that a release names, when it is the one that was recorded first."""
    if asset.sha256 is None:
        raise ConfigurationError(
            f"release {asset.version} of the exporter has no digest of {asset.name}, so it cannot be "
            "verified: it is not installed; set INGEST_EXPORTER_PATH to one that you trust"
        )
    recorded = _digests(folder).get(_key(asset.version, asset.name), asset.sha256)
    if recorded != asset.sha256:
        raise ConfigurationError(
            f"release {asset.version} of the exporter names the digest {asset.sha256} of {asset.name}, and "
            f"named {recorded} when it was first installed: it was replaced since. Do not use it, or, "
            f"if you know the reason, delete its line in {folder / DIGESTS}"
        )
    return asset.sha256


def _key(version: str, asset: str) -> str:
    return f"{version}/{asset}"


def _digests(folder: Path) -> dict[str, str]:
    """Return the digests that were recorded, by version and asset.

    Raises:
        ConfigurationError: The record cannot be read: without it anything would be taken for right.
    """
    path = folder / DIGESTS
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {str(key): str(value) for key, value in found.items()}
    except (FileNotFoundError, NotADirectoryError):
        installed = _installed(folder)
        # Versions up to 0.1.0 of this project kept the digest with the release only.
        known = all(installed.get(name) for name in ("version", "asset", "sha256"))
        return {_key(installed["version"], installed["asset"]): installed["sha256"]} if known else {}
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigurationError(
            f"{path}, the digests of installed exporters, cannot be read ({error}): correct it, or "
            "delete it to start again"
        ) from error


def _record_digest(folder: Path, asset: ReleaseAsset, sha256: str) -> None:
    digests = {**_digests(folder), _key(asset.version, asset.name): sha256}
    draft = folder / f".{DIGESTS}.{uuid4().hex[:8]}"
    draft.write_text(json.dumps(digests, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    draft.replace(folder / DIGESTS)


def _installed(folder: Path) -> dict[str, Any]:
    record = (folder / EXECUTABLE).resolve().parent / "release.json"
    with suppress(OSError, ValueError):
        content = json.loads(record.read_text(encoding="utf-8"))
        return content if isinstance(content, dict) else {}
    return {}


def _is_installed(folder: Path, version: str, asset: str) -> bool:
    """Return whether a version is there, as it was recorded, and can be started."""
    installed, recorded = _installed(folder), _digests(folder).get(_key(version, asset))
    stated = {"version": version, "asset": asset, "sha256": recorded}
    return recorded is not None and installed == stated and os.access(folder / EXECUTABLE, os.X_OK)


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
        # The digest first: what is installed is never without one to be compared with.
        _record_digest(folder, asset, asset.sha256 or "")
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
