"""What people do in a guild while the bot runs: they post, and edit, delete, pin and react at random."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from ingest_pipeline_tests.discord_server.guild_state import UnknownEntityError
from ingest_pipeline_tests.discord_server.server import DiscordServer

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
}
_EMOJI = ("🔥", "👍", "box:900000000000000001")


@dataclass
class Traffic:
    """Random traffic in some channels, the same for the same seed up to the timing.

    Attributes:
        server: Discord.
        known: The messages of each channel that something can happen to.
        posts: How many messages to post.
        seconds: Over how long.
        seed: Makes it repeatable.
        done: What has happened, by name.
    """

    server: DiscordServer
    known: dict[int, list[int]]
    posts: int
    seconds: float
    seed: int = 1
    done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Prepare the thread."""
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
        """Tell whether everything was posted."""
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
        message_id = self.server.messages.post(channel_id, f"live {number}")
        self.known[channel_id].append(message_id)
        self.done["post"] += 1

    def _happen(self, action: str) -> None:
        channel_id = self._random.choice(list(self.known))
        ids = self.known[channel_id]
        if not ids:
            return
        messages = self.server.messages
        # Half of it happens to what is new.
        low = max(0, len(ids) - 50) if self._random.random() < 0.5 else 0
        index = self._random.randrange(low, len(ids))
        message_id, emoji = ids[index], self._random.choice(_EMOJI)
        try:
            if action == "edit":
                messages.edit(channel_id, message_id, f"edited {self.done['edit']}")
            elif action == "delete":
                messages.delete(channel_id, ids.pop(index))
            elif action == "bulk_delete":
                doomed, ids[index:] = ids[index : index + 5], ids[index + 5 :]
                messages.bulk_delete(channel_id, doomed)
            elif action == "react":
                messages.react(channel_id, message_id, emoji)
            elif action == "unreact":
                messages.unreact(channel_id, message_id, emoji)
            elif action == "pin":
                messages.pin(channel_id, message_id)
            elif action == "unpin":
                messages.unpin(channel_id, message_id)
            else:
                messages.show_link_preview(channel_id, message_id)
        except UnknownEntityError:
            return
        self.done[action] += 1
