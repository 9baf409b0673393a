"""Posts of the demo: team radio and trade setups.

All texts are invented. The form of a radio message is the project's own: an emoji, the driver in
backticks, the words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from typing import Any

from ingest_pipeline.domain.snowflake import created_at

DRIVERS = (
    "Norris",
    "Piastri",
    "Leclerc",
    "Hamilton",
    "Russell",
    "Antonelli",
    "Verstappen",
    "Hadjar",
    "Alonso",
    "Stroll",
    "Gasly",
    "Colapinto",
    "Albon",
    "Sainz",
    "Lawson",
    "Lindblad",
    "Hülkenberg",
    "Bortoleto",
    "Ocon",
    "Bearman",
    "Pérez",
    "Bottas",
)

RADIO = (
    "Box, box.",
    "Box this lap, box this lap. Confirm.",
    "Copy, staying out.",
    "Tyres are gone, mate. Rear left especially.",
    "We are looking at plan B, plan B.",
    "Gap to the car ahead, one point eight.",
    "Push now, push now. Target minus two tenths.",
    "Yellow flag sector two, keep it clean.",
    "Safety car, safety car. Keep the delta positive.",
    "He pushed me off the track!",
    "Understood. We have reported it to race control.",
    "I have no grip out of turn seven.",
    "Front wing damage, I think. Right side.",
    "Battery is full, use it on the main straight.",
    "Blue flags, please. Blue flags!",
    "Lift and coast into turn one for the next three laps.",
    "Brake temperatures are high, a bit more margin please.",
    "How many laps left?",
    "Twelve laps to go. You are doing a great job.",
    "Rain expected in five minutes, class one.",
    "It's drying, it's drying. Slicks are possible.",
    "Something in the cockpit is loose, it's moving around.",
    "Okay, mode four, mode four for overtaking.",
    "Vibration on the front right, big flat spot.",
    "Five-second penalty for the car behind. Keep the gap.",
    "P3 at the moment. P3.",
    "Yes! Come on! What a lap, guys.",
    "Copy. Head down, the pace is good.",
    "Clutch position two for the pit stop.",
    "Traffic ahead, two cars fighting. Be patient.",
    "Is the radio working? Radio check.",
    "Loud and clear.\n> Engineer: same here, loud and clear.",
)

CHAT = (
    "what a save 😮",
    "That undercut was perfect 🔥",
    "did anyone see the start? I was late",
    "LET'S GO 🏎️💨",
    "strategy department asleep again 😴",
    "who is on fresh softs right now?",
    "no way that was inside the white line",
    "the drainage at this track 🌧️",
    "Ça va être chaud jusqu'à la fin",
    "頑張れ! 📻",
    "my stream is 40 seconds behind, no spoilers please 🙏",
    "fastest lap incoming, purple in S1 and S2 💜",
    "`softs` or mediums for the last stint?",
    "so close to the wall",
)

LINK_TITLES = (
    "Live timing",
    "Stewards' decision: document 42",
    "Weather radar for the next hour",
    "Onboard: the move of the day",
)

# Account name, display name, colour, role.
FANS = (
    ("apex.anna", "Anna", "#E67E22", "Marshal"),
    ("jonas_p", "Jonas", None, None),
    ("pitwall.pete", "Pitwall Pete", "#3498DB", "Strategist"),
    ("ayse34", "Ayşe", None, None),
    ("takeshi.r", "たけし", "#2ECC71", "Strategist"),
    ("marie.l", "Marie 🏁", None, None),
    ("kwame", "Kwame", "#E67E22", "Marshal"),
    ("tifosa", "Giulia", "#E74C3C", "Tifosi"),
)

# Unicode form, shortcode, code point of the picture.
EMOJI = {
    "🔥": ("fire", "1f525"),
    "😮": ("open_mouth", "1f62e"),
    "👏": ("clap", "1f44f"),
    "💀": ("skull", "1f480"),
    "🏎️": ("race_car", "1f3ce"),
    "🎙️": ("studio_microphone", "1f399"),
    "📻": ("radio", "1f4fb"),
    "💨": ("dash", "1f4a8"),
    "😴": ("sleeping", "1f634"),
    "🌧️": ("cloud_with_rain", "1f327"),
    "🙏": ("pray", "1f64f"),
    "💜": ("purple_heart", "1f49c"),
    "🏁": ("checkered_flag", "1f3c1"),
    "👍": ("thumbsup", "1f44d"),
}
REACTIONS = ("🔥", "😮", "👏", "💀", "👍")
GUILD_ID = 690_000_000_000_000_001
_SHORTCODE = re.compile(r":(\w+):")
_BY_SHORTCODE = {shortcode: emoji for emoji, (shortcode, _) in EMOJI.items()}


@dataclass(frozen=True, slots=True)
class Author:
    """An account as the exporter shows it."""

    user_id: int
    name: str
    nickname: str
    color: str | None
    role: str | None
    is_bot: bool

    def document(self, now: datetime, *, roles: bool = True) -> dict[str, Any]:
        """Return the exporter's form; about one lookup in fifty fails, and falls back to the account."""
        draw = blake2b(f"{self.user_id}/{now:%Y%m%d%H%M}".encode(), digest_size=1).digest()[0]
        known = draw >= 5
        shown = [_role(self.role, self.color)] if known and self.role else []
        return {
            "id": str(self.user_id),
            "name": self.name,
            "discriminator": "0000",
            "nickname": self.nickname if known else self.name,
            "color": self.color if known else None,
            "isBot": self.is_bot,
            **({"roles": shown} if roles else {}),
            "avatarUrl": f"https://cdn.discordapp.com/embed/avatars/{self.user_id % 6}.png",
        }


@dataclass(frozen=True, slots=True)
class Reaction:
    """An emoji, and who reacts with it when."""

    emoji: str
    users: tuple[tuple[datetime, Author], ...]


@dataclass(frozen=True, slots=True)
class Post:
    """The life of one message.

    Attributes:
        snowflake: Its id, which holds the time of posting.
        author: Who posts it.
        content: What it says at first.
        edits: When it is edited, and what it says from then on; in order of time.
        attachment: Name and size of an uploaded file.
        preview: When a link's preview appears, its title and address.
        mentioned: Whom its content names as `<@id>`.
        reply_to: The message it answers.
        reactions: Who reacts to it.
        deleted_at: When it is deleted.
    """

    snowflake: int
    author: Author
    content: str
    edits: tuple[tuple[datetime, str], ...] = ()
    attachment: tuple[str, int] | None = None
    preview: tuple[datetime, str, str] | None = None
    mentioned: Author | None = None
    reply_to: int | None = None
    reactions: tuple[Reaction, ...] = ()
    deleted_at: datetime | None = None

    def with_life(
        self, *, reply_to: int | None, reactions: tuple[Reaction, ...], deleted_at: datetime | None
    ) -> Post:
        """Return the same message with what happens to it."""
        return replace(self, reply_to=reply_to, reactions=reactions, deleted_at=deleted_at)

    def is_visible(self, now: datetime) -> bool:
        """Return whether the message is posted and not deleted."""
        return created_at(self.snowflake) <= now and (self.deleted_at is None or now < self.deleted_at)

    def content_at(self, now: datetime) -> str:
        """Return what the message says at a time."""
        return ([self.content] + [text for moment, text in self.edits if moment <= now])[-1]

    def edited_at(self, now: datetime) -> datetime | None:
        """Return the time of the last edit until a time."""
        return max((moment for moment, _ in self.edits if moment <= now), default=None)

    def document(self, now: datetime, channel_id: int) -> dict[str, Any]:
        """Return the exporter's form of the message at a time, in the order of JsonMessageWriter.cs."""
        content = self.content_at(now)
        return {
            "id": str(self.snowflake),
            "type": "Reply" if self.reply_to else "Default",
            "timestamp": created_at(self.snowflake),
            "timestampEdited": self.edited_at(now),
            "callEndedTimestamp": None,
            "isPinned": False,
            "content": content,
            "author": self.author.document(now),
            "attachments": [self._attachment(now, channel_id)] if self.attachment else [],
            "embeds": self._embeds(now),
            "stickers": [],
            "reactions": [shown for reaction in self.reactions if (shown := _reaction(reaction, now))],
            "mentions": [self.mentioned.document(now)] if self.mentioned else [],
            **({"reference": self._reference(channel_id)} if self.reply_to else {}),
            "inlineEmojis": [_emoji(emoji) for emoji in _emojis_in(content)],
        }

    def _attachment(self, now: datetime, channel_id: int) -> dict[str, Any]:
        name, size_bytes = self.attachment or ("", 0)
        # Discord signs an address again from time to time; the file stays the same.
        signed = int(now.timestamp()) // 600 * 600
        signature = blake2b(f"{self.snowflake}/{signed}".encode(), digest_size=32).hexdigest()
        query = f"ex={signed + 86_400:x}&is={signed:x}&hm={signature}&"
        place = f"https://cdn.discordapp.com/attachments/{channel_id}/{self.snowflake + 1}"
        return {
            "id": str(self.snowflake + 1),
            "url": f"{place}/{name}?{query}",
            "fileName": name,
            "fileSizeBytes": size_bytes,
        }

    def _embeds(self, now: datetime) -> list[dict[str, Any]]:
        if self.preview is None or self.preview[0] > now:
            return []
        _, title, address = self.preview
        picture = {
            "url": f"{address}/p.jpg",
            "canonicalUrl": f"{address}/p.jpg",
            "width": 1200,
            "height": 630,
        }
        return [
            {
                "title": title,
                "url": address,
                "timestamp": None,
                "description": "From the paddock.",
                "color": "#E10600",
                "thumbnail": picture,
                "images": [],
                "fields": [],
                "inlineEmojis": [],
            }
        ]

    def _reference(self, channel_id: int) -> dict[str, Any]:
        return {
            "type": "Default",
            "messageId": str(self.reply_to),
            "channelId": str(channel_id),
            "guildId": str(GUILD_ID),
        }


def _role(name: str, color: str | None) -> dict[str, Any]:
    return {"id": str(GUILD_ID + len(name)), "name": name, "color": color, "position": len(name)}


def _reaction(reaction: Reaction, now: datetime) -> dict[str, Any] | None:
    users = [author.document(now, roles=False) for moment, author in reaction.users if moment <= now]
    return {"emoji": _emoji(reaction.emoji), "count": len(users), "users": users} if users else None


def _emojis_in(content: str) -> list[str]:
    named = [_BY_SHORTCODE[code] for code in _SHORTCODE.findall(content) if code in _BY_SHORTCODE]
    return list(dict.fromkeys(named + [emoji for emoji in EMOJI if emoji in content]))


def _emoji(emoji: str) -> dict[str, Any]:
    shortcode, picture = EMOJI[emoji]
    address = f"https://cdn.jsdelivr.net/gh/twitter/twemoji@latest/assets/svg/{picture}.svg"
    return {"id": "", "name": emoji, "code": shortcode, "isAnimated": False, "imageUrl": address}
