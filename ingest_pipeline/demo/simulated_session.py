"""A simulated session in a team-radio channel, as a pure function of start, seed and time.

The life of every message (posting, edits, link preview, reactions, deletion) follows from the seed
alone, minute by minute. So any process at any time sees the same channel, nothing is stored, and a
test can ask for the truth. It is made to be difficult in the ways Discord is: a preview appears
without an edit time, nicknames and signed addresses change between two reads, the first message
has the lowest id its millisecond can have.

Documents are in the exporter's form with times as datetimes; `document.py` writes them. Only the
standard library is used here: the fake exporter has to start fast.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest_pipeline.demo.post import (
    CHAT,
    DRIVERS,
    FANS,
    LINK_TITLES,
    RADIO,
    REACTIONS,
    Author,
    Post,
    Reaction,
)
from ingest_pipeline.domain.snowflake import created_at, first_id_at

MESSAGES_PER_MINUTE = 12.0
# How often a minute is quiet, ordinary or hectic, and how many messages it has then.
_MOODS = ((0.12, 5.0), (0.76, MESSAGES_PER_MINUTE), (0.12, 24.0))
_LOW_BITS = 22
_RADIO_BOT = Author(700_000_000_000_000_001, "Team Radio", "Team Radio", None, None, is_bot=True)
_RACE_CONTROL = Author(700_000_000_000_000_002, "Race Control", "Race Control", None, None, is_bot=True)
_FANS = tuple(
    Author(700_000_000_000_000_100 + index, name, nickname, color, role, is_bot=False)
    for index, (name, nickname, color, role) in enumerate(FANS)
)


@dataclass(frozen=True, slots=True)
class Truth:
    """The content of a channel at one moment.

    Attributes:
        visible: Id to content of every message that can be read; the content may be empty.
        without_text: The ids among them whose content is empty.
        deleted: Ids that were posted and deleted again.
    """

    visible: dict[int, str]
    without_text: frozenset[int]
    deleted: frozenset[int]


@dataclass(frozen=True, slots=True)
class Scene:
    """A simulated session.

    Attributes:
        start: Aware UTC, a whole millisecond; the first message is posted in it.
        seed: Another seed is another session.
        minutes: How long messages are posted.
        channel_id: The channel, which only addresses of attachments mention.
    """

    start: datetime
    seed: int
    minutes: int
    channel_id: int

    def posts(self, low: int, high: int) -> Iterator[Post]:
        """Yield the lives of the messages with ids in `(low, high]`, in id order."""
        span = timedelta(minutes=1)
        first = max((created_at(max(low, 0)) - self.start) // span, 0)
        last = min((created_at(high) - self.start) // span, self.minutes - 1)
        for minute in range(first, last + 1):
            for post in self._minute(minute):
                if low < post.snowflake <= high:
                    yield post

    def messages_visible(
        self, now: datetime, *, low: int = 0, high: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the documents of the messages that can be read at a time, with ids in `(low, high]`."""
        until = first_id_at(now + timedelta(milliseconds=1)) - 1
        for post in self.posts(low, until if high is None else min(until, high)):
            if post.is_visible(now):
                yield post.document(now, self.channel_id)

    def truth(self, now: datetime) -> Truth:
        """Return what the channel holds at a time."""
        posted = list(self.posts(0, first_id_at(now + timedelta(milliseconds=1)) - 1))
        visible = {post.snowflake: post.content_at(now) for post in posted if post.is_visible(now)}
        return Truth(
            visible=visible,
            without_text=frozenset(snowflake for snowflake, content in visible.items() if not content),
            deleted=frozenset(post.snowflake for post in posted) - visible.keys(),
        )

    def _minute(self, minute: int) -> list[Post]:
        rng = random.Random(f"{self.seed}/{minute}")  # noqa: S311 - a simulation must be repeatable
        begin = self.start + timedelta(minutes=minute)
        rate = rng.choices([rate for _, rate in _MOODS], [share for share, _ in _MOODS])[0]
        ids = {first_id_at(begin)} if minute == 0 else set()
        seconds = rng.expovariate(rate / 60)
        while seconds < 60:
            moment = begin + timedelta(milliseconds=int(seconds * 1000))
            ids.add(first_id_at(moment) + rng.randrange(1, 1 << _LOW_BITS))
            seconds += rng.expovariate(rate / 60)
        posts: list[Post] = []
        for snowflake in sorted(ids):
            posts.append(_post(rng, snowflake, posts[-1].snowflake if posts else None))
        return posts


def _post(rng: random.Random, snowflake: int, previous: int | None) -> Post:
    """Draw the life of one message."""
    if snowflake & ((1 << _LOW_BITS) - 1) == 0:
        return Post(snowflake, _RACE_CONTROL, ":checkered_flag: Green light. The session has begun.")
    kind = rng.choices(("radio", "chat", "clip", "link", "reply"), (70, 18, 4, 4, 4))[0]
    posted_at = created_at(snowflake)
    post = _SAID[kind](rng, snowflake)
    return post.with_life(
        reply_to=previous if kind == "reply" else None,
        reactions=_reactions(rng, posted_at),
        deleted_at=_later(rng, posted_at, 8, 90) if rng.random() < 0.02 else None,
    )


def _radio(rng: random.Random, snowflake: int) -> Post:
    driver, text = rng.choice(DRIVERS), rng.choice(RADIO)
    sign = ":studio_microphone:" if rng.random() < 0.9 else "🎙️"
    content = f"{sign} `{driver}` {text}"
    if rng.random() >= 0.06:
        return Post(snowflake, _RADIO_BOT, content)
    # The transcript is corrected: words that were missed, or the wrong driver.
    heard = f"{sign} `{rng.choice(DRIVERS)}` {text}"
    if rng.random() < 0.6:
        heard = f"{sign} `{driver}` {text.split()[0]} [inaudible]"
    corrected_at = _later(rng, created_at(snowflake), 5, 90)
    edits = [(corrected_at, content)]
    if rng.random() < 0.2:
        edits.append((_later(rng, corrected_at, 5, 60), f"{content} (confirmed)"))
    return Post(snowflake, _RADIO_BOT, heard, edits=tuple(edits))


def _chat(rng: random.Random, snowflake: int) -> Post:
    content = rng.choice(CHAT)
    mentioned = rng.choice(_FANS) if rng.random() < 0.1 else None
    if mentioned:
        content = f"<@{mentioned.user_id}> {content}"
    return Post(snowflake, rng.choice(_FANS), content, mentioned=mentioned)


def _clip(rng: random.Random, snowflake: int) -> Post:
    name = rng.choice(("onboard.mp4", "start.mov", "timing.png"))
    return Post(snowflake, rng.choice(_FANS), "", attachment=(name, rng.randrange(90_000, 9_000_000)))


def _link(rng: random.Random, snowflake: int) -> Post:
    title = rng.choice(LINK_TITLES)
    address = f"https://motorsport.example.org/{rng.randrange(1000, 9999)}"
    preview_at = _later(rng, created_at(snowflake), 2, 8)
    return Post(snowflake, rng.choice(_FANS), f"{title}: {address}", preview=(preview_at, title, address))


_SAID = {"radio": _radio, "chat": _chat, "clip": _clip, "link": _link, "reply": _chat}


def _reactions(rng: random.Random, posted_at: datetime) -> tuple[Reaction, ...]:
    if rng.random() >= 0.12:
        return ()
    return tuple(
        Reaction(
            emoji,
            tuple(
                (posted_at + timedelta(seconds=rng.expovariate(1 / 40)), fan)
                for fan in rng.sample(_FANS, rng.randrange(1, 6))
            ),
        )
        for emoji in rng.sample(REACTIONS, rng.randrange(1, 3))
    )


def _later(rng: random.Random, moment: datetime, least: float, most: float) -> datetime:
    return moment + timedelta(milliseconds=int(rng.uniform(least, most) * 1000))


def parse_start(text: str) -> datetime:
    """Return a scene's start from its JSON form."""
    return datetime.fromisoformat(text).astimezone(UTC)
