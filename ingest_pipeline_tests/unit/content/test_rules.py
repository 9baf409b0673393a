"""The files that content is read by: taken as they are now, refused with the place and the remedy."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest_pipeline.content.rules import ContentRules, load_content_rules
from ingest_pipeline.domain.channel_settings import EffectiveSettings
from ingest_pipeline.domain.extract.highlights import HighlightRule
from ingest_pipeline.domain.extract.setups.trade_setups import parse_setups
from ingest_pipeline.errors import ConfigurationError
from ingest_pipeline.installation import PROJECT_ROOT
from ingest_pipeline.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with an empty data folder."""
    return Settings(_env_file=None, data_dir=tmp_path)


def in_force(rules: ContentRules) -> EffectiveSettings:
    """Return the settings of a channel that nothing is set for."""
    return EffectiveSettings((rules.settings.default_layer(),))


def test_the_project_itself_ships_the_default_rule() -> None:
    """The file shows every weight as it is when nothing is said."""
    rules = load_content_rules(Settings(_env_file=None, data_dir=PROJECT_ROOT / "data"))
    assert in_force(rules).highlights == HighlightRule()
    assert rules.drivers.resolve("LEC") is not None


def test_an_empty_data_folder_has_the_projects_drivers_and_defaults(settings: Settings) -> None:
    """As the demo's has."""
    rules = load_content_rules(settings)
    assert in_force(rules).highlights == HighlightRule()
    assert rules.drivers.resolve("Leclerc", 2026) is not None
    assert in_force(rules).policy.driver_from == "content"


def test_a_data_folders_own_files_count(settings: Settings, tmp_path: Path) -> None:
    """Drivers of its own replace the project's; what a section does not say keeps its default."""
    driver = "{name: Ayrton Senna, code: SEN, number: 12, team: McLaren}"
    (tmp_path / "drivers.yaml").write_text(f"drivers: [{driver}]")
    (tmp_path / "settings.yaml").write_text(
        "defaults: {driver_from: author_name}\nhighlights: {threshold: 0.7, keywords: [box]}\n"
    )
    rules = load_content_rules(settings)
    assert [each.code for each in rules.drivers.drivers] == ["SEN"]
    assert in_force(rules).highlights == HighlightRule(threshold=0.7, keywords=("box",))
    assert in_force(rules).policy.driver_from == "author_name"


def test_a_wrong_file_is_refused(settings: Settings, tmp_path: Path) -> None:
    """Nothing is scored by half a rule."""
    (tmp_path / "settings.yaml").write_text("highlights: {threshold: 2}")
    with pytest.raises(ConfigurationError, match="lower it or raise a weight") as refused:
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
    assert f"score of {rule.threshold} or more" in page
