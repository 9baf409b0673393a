"""Highlights are scored by a sum that can be checked by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_pipeline.domain.extract.highlights import HighlightRule, MessageFeatures
from ingest_pipeline.errors import ConfigurationError

RULE = HighlightRule()
features_of_any_kind = st.builds(
    MessageFeatures,
    text=st.text() | st.sampled_from(["CRASH! Red  flag", "box", "safety car, penalty"]),
    reaction_count=st.integers(0, 10_000),
    reply_count=st.integers(0, 10_000),
    messages_per_minute=st.floats(0, 10_000),
    session_median_per_minute=st.none() | st.floats(0, 1_000),
)


def test_an_ordinary_message_is_no_highlight_and_has_no_reason() -> None:
    """Nothing adds to the score of a quiet message."""
    verdict = RULE.score(MessageFeatures("Copy."))
    assert (verdict.is_candidate, verdict.score, verdict.reasons) == (False, 0.0, ())


def test_every_part_of_the_score_is_named_with_its_numbers() -> None:
    """Largest part first and a burst last, each with what was counted and what it added."""
    verdict = RULE.score(
        MessageFeatures(
            "Huge CRASH at turn 1, red\nflag!",
            reaction_count=5,
            reply_count=2,
            messages_per_minute=20,
            session_median_per_minute=8,
        )
    )
    assert verdict.is_candidate
    assert verdict.score == pytest.approx(0.4 + 0.2 + 0.08 + 0.1)
    assert verdict.reasons == (
        "keywords 'crash', 'red flag' (+0.40)",
        "5 of 10 reactions (+0.20)",
        "2 of 5 replies (+0.08)",
        "20 messages per minute, 2.5 times the usual 8 (+0.10)",
    )


@pytest.mark.parametrize(
    "features",
    [
        MessageFeatures("Copy.", reaction_count=10_000),
        MessageFeatures("Copy.", reply_count=10_000),
        MessageFeatures("Copy.", messages_per_minute=10_000, session_median_per_minute=1),
        MessageFeatures("crash collision puncture penalty"),
    ],
)
def test_no_signal_is_enough_by_itself_by_default(features: MessageFeatures) -> None:
    """A share never counts more than in full, and the default weights want a second signal."""
    verdict = RULE.score(features)
    assert not verdict.is_candidate
    assert len(verdict.reasons) == 1


def test_the_threshold_itself_is_enough() -> None:
    """A score equal to the threshold makes a candidate."""
    rule = HighlightRule(reactions_weight=0.5)
    assert rule.score(MessageFeatures("Copy.", reaction_count=10)).is_candidate
    assert not rule.score(MessageFeatures("Copy.", reaction_count=9)).is_candidate


def test_without_a_session_there_is_no_burst() -> None:
    """A monitored channel outside any session has no usual rate to exceed."""
    assert RULE.score(MessageFeatures("Copy.", messages_per_minute=500)).score == 0


def test_two_messages_in_a_silent_session_are_no_burst() -> None:
    """A median near zero would turn every message into a burst."""
    assert RULE.score(MessageFeatures("Copy.", messages_per_minute=2, session_median_per_minute=0)).score == 0


@pytest.mark.parametrize(
    ("text", "hits"),
    [
        ("crash", 1),
        ("Crash!", 1),
        ("CRASHED", 0),
        ("anticrash", 0),
        ("safety   car", 1),
        ("virtual safety\ncar", 1),
        ("safety cars", 0),
        ("crash crash crash", 1),
        ("retire, retired", 2),
    ],
)
def test_keywords_match_whole_words_in_any_case(text: str, hits: int) -> None:
    """Each keyword counts once, phrases across any white space."""
    score = RULE.score(MessageFeatures(text)).score
    assert score == pytest.approx(min(hits, 2) * 0.2)


def test_keywords_of_other_scripts_and_signs_work() -> None:
    """Casefolding and literal matching hold for any keyword."""
    rule = HighlightRule(keywords=("Straße", "c++ (fast)"), threshold=0.2)
    assert rule.score(MessageFeatures("STRASSE frei")).is_candidate
    assert rule.score(MessageFeatures("a C++ (Fast) lap")).is_candidate


def test_a_settings_file_overrides_what_it_names() -> None:
    """What is absent keeps its default; nothing at all is the default rule."""
    rule = HighlightRule.from_mapping({"threshold": 0.3, "keywords": ["stop hit"]})
    assert (rule.threshold, rule.keywords, rule.reactions_weight) == (
        0.3,
        ("stop hit",),
        RULE.reactions_weight,
    )
    assert HighlightRule.from_mapping(None) == RULE
    assert HighlightRule.from_mapping({}) == RULE


def test_without_keywords_the_other_signals_remain() -> None:
    """An empty list switches the keyword signal off."""
    rule = HighlightRule.from_mapping({"keywords": []})
    assert rule.score(MessageFeatures("crash", reaction_count=10)).reasons == ("10 of 10 reactions (+0.40)",)


@pytest.mark.parametrize(
    ("obj", "says"),
    [
        ([], "must map names to values"),
        ({"treshold": 1}, "unknown treshold; known are burst_weight"),
        ({"_pattern": None}, "unknown _pattern"),
        ({"reactions_weight": -1}, "reactions_weight must be a number from 0, not -1"),
        ({"reactions_weight": "1"}, "not '1'"),
        ({"reactions_weight": True}, "not True"),
        ({"reactions_weight": float("nan")}, "not nan"),
        ({"replies_weight": float("inf")}, "not inf"),
        ({"full_reactions": 0}, "full_reactions must be above 0, not 0"),
        ({"threshold": 0}, "threshold must be above 0"),
        ({"full_burst": 1}, "full_burst must be above 1, not 1"),
        ({"threshold": 5}, "no message could be a highlight"),
        ({"keywords": [], "threshold": 1}, "above 0.8, all that"),
        ({"keywords": "crash"}, "keywords must be a list, not 'crash'"),
        ({"keywords": [" "]}, "keyword ' ' must be a text that is not blank"),
        ({"keywords": [7]}, "keyword 7 must be a text"),
        ({"keywords": ["red flag", "Red  Flag"]}, "'Red  Flag' is listed twice"),
    ],
)
def test_a_wrong_rule_is_refused_with_what_is_wrong(obj: object, says: str) -> None:
    """The message names the setting, the value and what it should be."""
    with pytest.raises(ConfigurationError) as refused:
        HighlightRule.from_mapping(obj)
    assert says in str(refused.value)


@given(features_of_any_kind)
def test_the_score_stays_in_bounds_and_is_explained(features: MessageFeatures) -> None:
    """Any message has a score between 0 and the highest; a score above 0 has reasons, and reversed."""
    verdict = RULE.score(features)
    assert 0 <= verdict.score <= RULE.highest_score + 1e-9
    assert verdict.is_candidate == (verdict.score >= RULE.threshold)
    if verdict.score > 0:
        assert verdict.reasons


@given(features_of_any_kind, st.integers(0, 50), st.integers(0, 50))
def test_more_reactions_or_replies_never_lower_the_score(
    features: MessageFeatures, reactions: int, replies: int
) -> None:
    """The rule is monotone in what people do."""
    values: dict[str, Any] = {name: getattr(features, name) for name in MessageFeatures.__dataclass_fields__}
    values["reaction_count"] += reactions
    values["reply_count"] += replies
    assert RULE.score(MessageFeatures(**values)).score >= RULE.score(features).score
