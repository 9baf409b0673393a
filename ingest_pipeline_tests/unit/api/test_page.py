"""The page to watch a live session on, as a browser shows it."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ingest_pipeline.domain.window import Window
from ingest_pipeline.ingestion.services import build_services
from ingest_pipeline_tests.api_worlds import NOW, fill, filled_client, ingest_export, served, settings_for
from ingest_pipeline_tests.exports import START, message

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--virtual-time-budget=8000",
)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium is installed")


def browse(url: str, folder: Path, *flags: str) -> str:
    """Open a page in a browser, let it update itself, and return its document."""
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={folder / 'profile'}", *flags, "--dump-dom", url]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def text_of(document: str, identifier: str) -> str:
    """Return the text of the element with an id."""
    found = re.search(rf'id="{identifier}"[^>]*>([^<]*)<', document)
    assert found, identifier
    return found[1]


def shown_at(now: datetime, folder: Path) -> str:
    """Return the page on a filled database at a time."""
    services = build_services(settings_for(folder))
    fill(services)
    with served(services, now) as url:
        return browse(f"{url}/", folder)


def test_the_page_is_made_of_own_files_only(tmp_path: Path) -> None:
    """Nothing is loaded from elsewhere, and the browser is told not to."""
    with filled_client(tmp_path) as client:
        page = client.get("/")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        parts = re.findall(r'(?:src|href)="(page/[^"]+)"', page.text)
        assert {"page/app.js", "page/chart.js", "page/search.js", "page/style.css", "page/icon.svg"} <= set(
            parts
        )
        for part in parts:
            answer = client.get(part)
            assert answer.status_code == 200
            assert "://" not in answer.text.replace("http://www.w3.org/2000/svg", "")
        assert "://" not in page.text
        assert client.get("/page/..%2fapp.py").status_code == 404
        assert client.get("/page/other.js").status_code == 404


@needs_browser
def test_a_live_session_is_shown(tmp_path: Path) -> None:
    """Coverage by window, messages by minute, drivers, the last messages, lag and states."""
    document = shown_at(NOW, tmp_path)
    assert text_of(document, "title") == "Italian Grand Prix"
    assert text_of(document, "badge") == "live"
    assert (text_of(document, "proven"), text_of(document, "lag")) == ("50 %", "5 min")
    assert (text_of(document, "reading"), text_of(document, "bot")) == ("late", "not running")
    assert text_of(document, "link") == "connected"
    assert document.count('<i class="proven"') == 1
    assert document.count('<i class="missing"') == 1
    assert document.count('<i class="upcoming"') == 22
    assert re.search(r"<title>\d\d:\d\d: 3</title>", document)
    assert "Leclerc" in document
    assert "Lap 5." in document


@needs_browser
def test_a_search_in_the_address_is_shown_with_its_matches(tmp_path: Path) -> None:
    """With what was looked for marked, and how complete the answer is."""
    services = build_services(settings_for(tmp_path))
    fill(services)
    with served(services, NOW) as url:
        document = browse(f"{url}/#q=LAP+-5", tmp_path)
        nothing = browse(f"{url}/#q=NOT+lap", tmp_path)
    marked = re.findall(r"<mark>([^<]*)</mark>", document)
    assert marked
    assert set(marked) == {"Lap"}
    assert text_of(document, "found-note").startswith(f"{len(marked)} found. ")
    assert text_of(nothing, "found-note").startswith("the query 'NOT lap' only excludes words")


@needs_browser
def test_without_a_live_session_the_next_and_the_last_are_shown(tmp_path: Path) -> None:
    """The last one with what is proven of it."""
    document = shown_at(START + timedelta(days=2), tmp_path)
    assert (text_of(document, "badge"), text_of(document, "title")) == ("finished", "Italian Grand Prix")
    assert text_of(document, "next-text").startswith("next · ")
    assert text_of(document, "reading") == "idle"
    assert 'data-state="idle"' in document


@needs_browser
def test_without_any_session_the_page_says_what_to_do(tmp_path: Path) -> None:
    """On an empty database."""
    with served(build_services(settings_for(tmp_path)), NOW) as url:
        document = browse(f"{url}/", tmp_path)
    assert text_of(document, "title") == "No session yet"
    assert "data/sessions.yaml" in text_of(document, "subtitle")


@needs_browser
def test_a_needed_token_is_asked_for(tmp_path: Path) -> None:
    """Nothing else is shown until it is given."""
    services = build_services(settings_for(tmp_path, api_read_token="read-token"))
    with served(services, NOW) as url:
        document = browse(f"{url}/", tmp_path)
    assert text_of(document, "link") == "needs a token"
    assert re.search(r'<form id="token-form" class="notice">', document)


@needs_browser
def test_what_people_write_stays_text(tmp_path: Path) -> None:
    """Markup in a message is shown, never obeyed."""
    services = build_services(settings_for(tmp_path))
    fill(services)
    nasty = message(250, "`<b>Bold</b>` <img src=x onerror=\"document.title='owned'\">")
    window = Window(START, START + timedelta(minutes=5))
    ingest_export(services, [nasty], window=window, read_at=NOW, correlation_id="nasty")
    with served(services, NOW) as url:
        document = browse(f"{url}/", tmp_path)
    assert "&lt;img src=x" in document
    assert "<img src=x" not in document
    assert "<b>Bold" not in document
