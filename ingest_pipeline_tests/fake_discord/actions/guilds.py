"""What happens to guilds: made, joined, left, gone dark. Thread-safe."""

from __future__ import annotations

from ingest_pipeline_tests.fake_discord.events import Event, Payload
from ingest_pipeline_tests.fake_discord.state import payloads, permissions
from ingest_pipeline_tests.fake_discord.state.guild_state import GuildState
from ingest_pipeline_tests.fake_discord.state.model import Guild, Member, Role


class GuildActions:
    """Create, join, leave, rename, and take offline."""

    def __init__(self, state: GuildState) -> None:
        """Act upon ``state``."""
        self._state = state

    def create(
        self, name: str = "Paddock", *, joined: bool = True, bot_permissions: int = permissions.READ_ONLY
    ) -> int:
        """Create a guild with an owner, an ordinary member, the bot and the bot's role.

        Everything the bot may do comes from its own role: @everyone grants nothing here, so one
        GUILD_ROLE_UPDATE can give and take all.

        Args:
            name: The guild's name.
            joined: Whether the bot is already in it; if so, connected clients see it join now.
            bot_permissions: The permission bits of the bot's role.

        Returns:
            The guild id.
        """
        with self._state.lock:
            now = self._state.clock.now()
            guild_id = self._state.snowflakes.mint()
            bot_role_id = self._state.snowflakes.mint()
            owner = self._state.add_user(f"{name}-owner".lower())
            everyone = Role(guild_id, "@everyone", 0, 0)
            guild = Guild(
                id=guild_id,
                name=name,
                owner_id=owner.id,
                bot_role_id=bot_role_id,
                roles={guild_id: everyone, bot_role_id: Role(bot_role_id, "archivist", bot_permissions, 1)},
                members={user_id: Member(user_id, now) for user_id in (owner.id, self._state.member.id)},
                joined=False,
            )
            guild.members[self._state.bot.id] = Member(self._state.bot.id, now, role_ids=[bot_role_id])
            self._state.guilds[guild_id] = guild
            if joined:
                self.join(guild_id)
            return guild_id

    def join(self, guild_id: int) -> None:
        """Let the bot join: GUILD_CREATE without ``unavailable``."""
        with self._state.lock:
            guild = self._state.guild(guild_id)
            guild.joined = True
            self._publish("GUILD_CREATE", guild, payloads.guild_create(self._state, guild))

    def remove(self, guild_id: int) -> None:
        """Throw the bot out: GUILD_DELETE; REST denies access from now on."""
        with self._state.lock:
            guild = self._state.guild(guild_id)
            self._publish("GUILD_DELETE", guild, {"id": str(guild_id)})
            guild.joined = False

    def go_dark(self, guild_id: int) -> None:
        """Take a guild offline for a while, as Discord's outages do: GUILD_DELETE with ``unavailable``."""
        with self._state.lock:
            guild = self._state.guild(guild_id)
            self._publish("GUILD_DELETE", guild, {"id": str(guild_id), "unavailable": True})
            guild.available = False

    def come_back(self, guild_id: int) -> None:
        """End what ``go_dark`` began: GUILD_CREATE with ``unavailable: false``."""
        with self._state.lock:
            guild = self._state.guild(guild_id)
            guild.available = True
            body = payloads.guild_create(self._state, guild) | {"unavailable": False}
            self._publish("GUILD_CREATE", guild, body)

    def rename(self, guild_id: int, name: str) -> None:
        """Rename a guild: GUILD_UPDATE."""
        with self._state.lock:
            guild = self._state.guild(guild_id)
            guild.name = name
            self._publish("GUILD_UPDATE", guild, payloads.guild(guild))

    def schedule(self, guild_id: int, event: Payload) -> None:
        """Schedule an event, or change one with the same id: GUILD_SCHEDULED_EVENT_CREATE or …_UPDATE."""
        with self._state.lock:
            guild = self._state.guild(guild_id)
            kept = [each for each in guild.scheduled_events if each["id"] != event["id"]]
            name = "CREATE" if len(kept) == len(guild.scheduled_events) else "UPDATE"
            body = event | {"guild_id": str(guild_id)}
            guild.scheduled_events = [*kept, body]
            self._publish(f"GUILD_SCHEDULED_EVENT_{name}", guild, body)

    def unschedule(self, guild_id: int, event_id: str) -> None:
        """Delete a scheduled event: GUILD_SCHEDULED_EVENT_DELETE."""
        with self._state.lock:
            guild = self._state.guild(guild_id)
            [gone] = [each for each in guild.scheduled_events if each["id"] == event_id]
            guild.scheduled_events.remove(gone)
            self._publish("GUILD_SCHEDULED_EVENT_DELETE", guild, gone)

    def add_member(self, guild_id: int, name: str, *, nick: str | None = None) -> int:
        """Add a person; return the user id. Bots without the members intent get no event."""
        with self._state.lock:
            person = self._state.add_user(name)
            member = Member(person.id, self._state.clock.now(), nick)
            self._state.guild(guild_id).members[person.id] = member
            return person.id

    def add_webhook(self, name: str) -> int:
        """Create a webhook's face, as relays of team radio use; return its id to post with."""
        return self._state.add_user(name, webhook=True).id

    def _publish(self, name: str, guild: Guild, body: Payload) -> None:
        self._state.publish(Event(name, body, guild.id))
