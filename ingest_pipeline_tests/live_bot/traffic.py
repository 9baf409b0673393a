"""What people do in a guild while the bot runs: they post, and edit, delete, pin and react at random."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from ingest_pipeline_tests.fake_discord.server import DiscordServer
from ingest_pipeline_tests.fake_discord.state.guild_state import UnknownEntityError

# How often each thing happens, beside every post.
_CHANCES = {
    "edit": 0.25,
    "delete": 0.06,
    "bulk_delete": 0.002,
    "react": 0.08,
    "unreact": 0.02,
    "pin": 0.01,
    "unpin": 0.005,
    "preview": 0.05,
    "suppress": 0.01,
    "thread": 0.001,
}
_EMOJI = ("🔥", "👍", "box:900000000000000001")
_DRIVERS = ("Leclerc", "Hamilton", "Pérez", "Hülkenberg")


def words(number: int) -> str:
    """Return what a message says: every other one is team radio, in which a driver speaks."""
    if number % 2:
        return f"plain words, number {number}"
    return f":studio_microphone: `{_DRIVERS[number // 2 % len(_DRIVERS)]}` Box, box. Lap {number}."


@dataclass
class Traffic:
    """Random traffic in some channels, the same for the same seed up to the timing.

    Attributes:
        server: Discord.
        known: The messages of each channel that something can happen to.
        posts: How many messages to post.
        seconds: Over how long.
        authors: Who posts and reacts; one ordinary member without any.
        seed: Makes it repeatable.
        done: What has happened, by name.
    """

    server: DiscordServer
    known: dict[int, list[int]]
    posts: int
    seconds: float
    authors: Sequence[int] = ()
    seed: int = 1
    done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Prepare the thread."""
        self._channels = frozenset(self.known)
        self._random = Random(self.seed)  # noqa: S311 - repeatable on purpose
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def start(self) -> None:
        """Begin, in a thread."""
        self._thread.start()

    def wait(self) -> None:
        """Wait for the last post."""
        self._thread.join()

    def stop(self) -> None:
        """End it early."""
        self._stopped.set()
        self._thread.join()

    def is_over(self) -> bool:
        """Return whether everything was posted."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        began = time.monotonic()
        for number in range(self.posts):
            if self._stopped.is_set():
                return
            self._post(number)
            for action, chance in _CHANCES.items():
                if self._random.random() < chance:
                    self._happen(action)
            ahead = began + self.seconds * (number + 1) / self.posts - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)

    def _post(self, number: int) -> None:
        channel_id = self._random.choice(list(self.known))
        ids, chance = self.known[channel_id], self._random.random()
        message_id = self.server.messages.post(
            channel_id,
            words(number),
            author_id=self._somebody(),
            reply_to=self._random.choice(ids) if ids and chance < 0.1 else None,
            attachments=[("onboard.mp4", "video/mp4")] if chance > 0.9 else (),
            embeds=[{"title": f"Standings {number}"}] if chance > 0.95 else (),
        )
        ids.append(message_id)
        self.done["post"] += 1

    def _somebody(self) -> int | None:
        return self._random.choice(self.authors) if self.authors else None

    def _open_thread(self, channel_id: int) -> None:
        if channel_id in self._channels:
            thread_id = self.server.threads.create(channel_id, f"thread {self.done['thread']}")
            self.known[thread_id] = []
            self.done["thread"] += 1

    def _happen(self, action: str) -> None:
        channel_id = self._random.choice(list(self.known))
        ids = self.known[channel_id]
        if action == "thread":
            self._open_thread(channel_id)
        elif ids:
            # Half of it happens to what is new.
            low = max(0, len(ids) - 50) if self._random.random() < 0.5 else 0
            try:
                self._change(action, channel_id, self._random.randrange(low, len(ids)))
            except UnknownEntityError:
                return
            self.done[action] += 1

    def _change(self, action: str, channel_id: int, index: int) -> None:
        ids, messages = self.known[channel_id], self.server.messages
        message_id = ids[index]
        if action == "delete":
            messages.delete(channel_id, ids.pop(index))
        elif action == "bulk_delete":
            doomed = ids[index : index + 5]
            del ids[index : index + 5]
            messages.bulk_delete(channel_id, doomed)
        elif action == "edit":
            messages.edit(channel_id, message_id, f"{words(self.done['edit'])} Edited.")
        elif action in {"react", "unreact"}:
            act = messages.react if action == "react" else messages.unreact
            act(
                channel_id,
                message_id,
                self._random.choice(_EMOJI),
                user_id=self._somebody(),
            )
        else:
            simple = {
                "pin": messages.pin,
                "unpin": messages.unpin,
                "preview": messages.show_link_preview,
                "suppress": messages.suppress_embeds,
            }
            simple[action](channel_id, message_id)
