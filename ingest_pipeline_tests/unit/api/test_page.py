"""The page on which people look, as a browser shows it."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import datetime, timedelta
from html import unescape
from pathlib import Path

import pytest

from ingest_pipeline.api.routes import page
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


def shown_at(now: datetime, folder: Path, *addresses: str) -> list[str]:
    """Return views of the page on a filled database at a time, by what follows `#`."""
    services = build_services(settings_for(folder))
    fill(services)
    with served(services, now) as url:
        return [browse(f"{url}/#{address}", folder) for address in addresses]


def words_of(document: str) -> str:
    """Return the words of a document without its markup."""
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", document)))


def test_the_page_is_made_of_own_files_only(tmp_path: Path) -> None:
    """Nothing is loaded from elsewhere, the browser is forbidden to, and every part is there."""
    with filled_client(tmp_path) as client:
        waiting, seen = ["", "docs"], set[str]()
        while waiting:
            part = waiting.pop()
            if part in seen:
                continue
            seen.add(part)
            answer = client.get(f"/{part}")
            assert answer.status_code == 200, part
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert "unsafe" not in answer.headers["content-security-policy"]
            foreign = answer.text.replace("http://www.w3.org/2000/svg", "").replace(
                "https://discord.com/", ""
            )
            assert "://" not in foreign.replace("https?://", ""), part
            waiting += re.findall(r'(?:src|href)="(page/[^"]+)"', answer.text)
            waiting += [f"page/{name}" for name in re.findall(r'from "\./([^"]+)"', answer.text)]
        folder = Path(page.__file__).parent / "page"
        assert seen - {"", "docs"} == {f"page/{each.name}" for each in folder.iterdir()} - {
            "page/index.html",
            "page/docs.html",
        }
        assert client.get("/page/..%2fapp.py").status_code == 404
        assert client.get("/page/other.js").status_code == 404


def test_no_part_of_the_page_makes_markup_of_text_or_is_longer_than_350_lines() -> None:
    """What people write could otherwise run in the browser of whoever looks."""
    for part in (Path(page.__file__).parent / "page").iterdir():
        text = part.read_text()
        assert len(text.splitlines()) <= 350, part.name
        if part.suffix == ".js":
            assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", text), (
                part.name
            )


@needs_browser
def test_a_live_session_is_shown(tmp_path: Path) -> None:
    """In the list; and by itself with coverage, gaps and reasons, messages, drivers and states."""
    overview, document = shown_at(NOW, tmp_path, "/", "/session/race")
    assert "Italian Grand Prix" in words_of(overview)
    assert overview.count("live-card") >= 1
    assert re.search(r"<h1[^>]*>Italian Grand Prix</h1>", document)
    assert '<span class="badge live">live</span>' in document
    assert "50 % 5 min of 10 min" in words_of(document)
    assert "after the last reading" in words_of(document)
    assert text_of(document, "link") == "connected"
    assert (text_of(document, "reading"), text_of(document, "bot")) == ("late", "not running")
    assert document.count('<i class="proven"') == 1
    assert document.count('<i class="missing"') == 1
    assert document.count('<i class="upcoming"') == 22
    # One minute, or three until a frame has shown how wide the chart is.
    assert re.search(r"<title>13:0\d: [36]</title>", document)
    assert "Leclerc" in document
    assert "Lap 5." in document


@needs_browser
def test_a_search_in_the_address_is_shown_with_its_matches(tmp_path: Path) -> None:
    """With what was looked for marked, and how complete the answer is; also under its old address."""
    document, nothing = shown_at(NOW, tmp_path, "q=LAP+-5", "/search?q=NOT+lap")
    marked = re.findall(r"<mark>([^<]*)</mark>", document)
    assert marked
    assert set(marked) == {"Lap"}
    assert f"{len(marked)} found. " in words_of(document)
    assert "the query 'NOT lap' only excludes words" in words_of(nothing)


@needs_browser
def test_coming_and_past_sessions_are_listed(tmp_path: Path) -> None:
    """The past ones with what is proven of them."""
    [document] = shown_at(START + timedelta(days=2), tmp_path, "/")
    words = words_of(document)
    assert (
        words.index("Coming") < words.index("next") < words.index("Past") < words.index("Italian Grand Prix")
    )
    assert "4.1 %" in words
    assert text_of(document, "reading") == "idle"


@needs_browser
def test_without_any_session_the_page_names_the_remedy(tmp_path: Path) -> None:
    """On an empty database."""
    with served(build_services(settings_for(tmp_path)), NOW) as url:
        document = browse(f"{url}/", tmp_path)
    assert "No session yet" in document
    assert "data/sessions.yaml" in document


@needs_browser
def test_a_needed_token_is_asked_for(tmp_path: Path) -> None:
    """Nothing else is shown until it is given."""
    services = build_services(settings_for(tmp_path, api_read_token="read-token"))
    with served(services, NOW) as url:
        document = browse(f"{url}/", tmp_path)
    assert text_of(document, "link") == "needs a token"
    assert re.search(r'<form id="token-form" class="notice">', document)


@needs_browser
@pytest.mark.parametrize("address", ["/session/race", "/session/race/messages", "/search?q=bold"])
def test_what_people_write_stays_text(tmp_path: Path, address: str) -> None:
    """Markup in a message is shown, never obeyed."""
    services = build_services(settings_for(tmp_path))
    fill(services)
    nasty = message(250, "`<b>Bold</b>` bold <img src=x onerror=\"document.title='owned'\">")
    window = Window(START, START + timedelta(minutes=5))
    ingest_export(services, [nasty], window=window, read_at=NOW, correlation_id="nasty")
    with served(services, NOW) as url:
        document = browse(f"{url}/#{address}", tmp_path)
    assert "&lt;img src=x" in document
    assert "<img src=x" not in document
    assert "<b>Bold" not in document
    assert "<title>owned" not in document


@needs_browser
def test_the_interface_is_described_without_anything_from_elsewhere(tmp_path: Path) -> None:
    """Every operation, out of openapi.json."""
    with served(build_services(settings_for(tmp_path)), NOW) as url:
        document = browse(f"{url}/docs", tmp_path)
    assert "/sessions/{session_id}/coverage" in document
    assert document.count('class="operation"') > 30
