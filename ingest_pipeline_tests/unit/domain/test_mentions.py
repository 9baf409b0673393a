"""Mentions are shown by name where the name is known."""

from __future__ import annotations

import pytest

from ingest_pipeline.domain.messages.mentions import Names, mentioned_ids, readable

NAMES = Names({801: "Charles"}, {11: "team-radio"}, {7: "Stewards"})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Box, <@801>!", "Box, @Charles!"),
        ("<@!801> in <#11>", "@Charles in #team-radio"),
        ("<:pog:77> <a:wave_2:78>", ":pog: :wave_2:"),
        ("<t:1788699600:R> or <t:1788699600>", "2026-09-06 13:00 UTC or 2026-09-06 13:00 UTC"),
        ("<@999> <#801> <@&801>", "<@999> <#801> <@&801>"),
        ("<@&7>: <@7>", "@Stewards: <@7>"),
        ("<t:9999999999999:R>", "<t:9999999999999:R>"),
        ("1 < 2 and <https://x.invalid>", "1 < 2 and <https://x.invalid>"),
        ("<@801", "<@801"),
    ],
)
def test_ids_become_names_and_what_is_unknown_stays(text: str, shown: str) -> None:
    """What only looks like a mention is none."""
    assert readable(text, NAMES) == shown


def test_what_is_mentioned_is_looked_for_by_kind() -> None:
    """Users, channels and roles; emojis and times need no name."""
    texts = ["<@801> <@!802> <@&7>", "<#11> <:pog:77> <t:1788699600>", "none"]
    assert mentioned_ids(texts) == ({801, 802}, {11}, {7})
