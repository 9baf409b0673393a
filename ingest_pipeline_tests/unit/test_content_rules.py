"""The files that content is read by: taken as they are now, refused with the place and the remedy."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest_pipeline.content.rules import load_content_rules
from ingest_pipeline.domain.extract.highlights import HighlightRule
from ingest_pipeline.domain.extract.trade_setups import parse_setups
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.settings import PROJECT_ROOT, Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with an empty data folder."""
    return Settings(_env_file=None, data_dir=tmp_path)


def test_the_project_itself_ships_the_default_rule() -> None:
    """The file shows every weight as it is when nothing is said."""
    rules = load_content_rules(Settings(_env_file=None, data_dir=PROJECT_ROOT / "data"))
    assert rules.highlights == HighlightRule()
    assert rules.drivers.resolve("LEC") is not None


def test_an_empty_data_folder_has_the_projects_drivers_and_defaults(settings: Settings) -> None:
    """As the demo's has."""
    rules = load_content_rules(settings)
    assert rules.highlights == HighlightRule()
    assert rules.drivers.resolve("Leclerc", 2026) is not None
    assert rules.policies.policy(1).driver_from == "content"


def test_a_data_folders_own_files_count(settings: Settings, tmp_path: Path) -> None:
    """Drivers of its own replace the project's; what a section does not say keeps its default."""
    driver = "{name: Ayrton Senna, code: SEN, number: 12, team: McLaren}"
    (tmp_path / "drivers.yaml").write_text(f"drivers: [{driver}]")
    (tmp_path / "settings.yaml").write_text(
        "defaults: {driver_from: author_name}\nhighlights: {threshold: 0.7, keywords: [box]}\n"
    )
    rules = load_content_rules(settings)
    assert [each.code for each in rules.drivers.drivers] == ["SEN"]
    assert rules.highlights == HighlightRule(threshold=0.7, keywords=("box",))
    assert rules.policies.policy(1).driver_from == "author_name"


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(settings: Settings, tmp_path: Path) -> None:
    """Rules are asked for with every batch; reading YAML that often would be dear."""
    path = tmp_path / "settings.yaml"
    path.write_text("highlights: {threshold: 0.7}")
    first = load_content_rules(settings).highlights
    assert load_content_rules(settings).highlights is first
    path.write_text("highlights: {threshold: 0.6}")
    os.utime(path, ns=(1, 1))
    assert load_content_rules(settings).highlights.threshold == 0.6


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("highlights: {treshold: 1}", "unknown treshold"),
        ("highlights: {threshold: high}", "threshold must be a number"),
        ("highlights: {keywords: [no]}", "keyword False must be a text"),
        ("highlights: {threshold: 2}", "lower it or raise a weight"),
        ("highlights: [", "line 1 is not YAML"),
        ("highlights: {threshold: 2026-99-99}", "holds a value of no known form"),
        ("highlight: {threshold: 0.5}", "unknown key 'highlight': did you mean"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_file(
    settings: Settings, tmp_path: Path, content: str, said: str
) -> None:
    """Nothing is scored by half a rule."""
    (tmp_path / "settings.yaml").write_text(content)
    with pytest.raises(ConfigurationError, match=said) as refused:
        load_content_rules(settings)
    assert str(tmp_path / "settings.yaml") in str(refused.value)


def test_the_documented_example_reads_as_the_page_says() -> None:
    """Three setups and a bias; and the table of signals shows the default rule."""
    page = (PROJECT_ROOT / "docs" / "content.md").read_text(encoding="utf-8")
    start = page.index("A+ Scalp Trade Setups")
    example = page[start : page.index("```", start)]
    parsed = parse_setups(example, datetime(2025, 5, 29, 12, 0, tzinfo=UTC))
    assert (len(parsed.setups), len(parsed.biases), parsed.unparsed) == (3, 1, ())
    rule = HighlightRule()
    for words, full, weight in (
        ("reactions to the message", rule.full_reactions, rule.reactions_weight),
        ("replies to it", rule.full_replies, rule.replies_weight),
        ("burst", rule.full_burst, rule.burst_weight),
        ("keywords in it", rule.full_keywords, rule.keywords_weight),
    ):
        [row] = [line for line in page.splitlines() if line.startswith(f"| {words}")]
        assert f"| {full}" in row
        assert row.endswith(f"| {weight} |")
    assert f"From a sum of {rule.threshold} on" in page
