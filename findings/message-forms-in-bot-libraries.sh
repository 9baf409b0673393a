#!/usr/bin/env bash
# What five Discord libraries keep of a message: discord.py 2.7.1, hikari 2.7.0, nextcord 2.6.0, disnake 2.12.2,
# py-cord 2.8.1, each given the payloads that Discord sends (discord.com/developers/docs/resources/message).
#
# Expected: the words of a forward, a poll, a message of components and a poll without an end are in the message
# object, the super reactions of a reaction are counted apart, and a message can be printed.
# Seen: nextcord keeps no word of a forward, of a poll or of components, and cannot print the components (its repr
# raises AttributeError; disnake and py-cord do so for a component newer than they are). discord.py raises TypeError
# for a poll whose expiry is null, which the documentation allows: the event is lost. Only discord.py tells super
# reactions from others.
# Who archives channels stores the payload, not the library's object; here raw frames are normalized.
set -euo pipefail
python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat > "$folder/look.py" <<'PY'
import asyncio
import base64
import sys
import warnings

warnings.filterwarnings("ignore")
WORDS = "Box, box"


def message(number, **fields):
    return {
        "id": str(1479900000000000000 + number), "channel_id": "1200000000000000001", "content": "", "type": 0,
        "author": {"id": "100000000000000001", "username": "pit_wall", "discriminator": "0", "avatar": None},
        "timestamp": "2026-03-08T04:00:00.123000+00:00", "edited_timestamp": None, "tts": False, "pinned": False,
        "mention_everyone": False, "mentions": [], "mention_roles": [], "attachments": [], "embeds": [], "flags": 0,
        "components": [], **fields,
    }  # fmt: skip


snapshot = {key: value for key, value in message(0, content=WORDS).items() if key not in ("id", "author", "channel_id")}
origin = {"type": 1, "message_id": "1479800000000000001", "channel_id": "1200000000000000001"}
components = [{"type": 17, "id": 1, "components": [{"type": 10, "id": 2, "content": WORDS}]}]
answers = [{"answer_id": 1, "poll_media": {"text": "yes"}}]
poll = {"question": {"text": WORDS}, "answers": answers, "allow_multiselect": False, "layout_type": 1}
reaction = {
    "emoji": {"id": None, "name": "F"}, "count": 3, "count_details": {"burst": 1, "normal": 2}, "burst_colors": [],
    "me": False, "me_burst": False,
}  # fmt: skip
FORMS = {
    "forward": message(1, flags=1 << 14, message_reference=origin, message_snapshots=[{"message": snapshot}]),
    "components": message(2, flags=1 << 15, components=components),
    "poll": message(3, poll={**poll, "expiry": "2026-03-08T05:00:00+00:00"}),
    "endless poll": message(4, poll={**poll, "expiry": None}),
}
NEWER = message(5, components=[{"type": 99, "id": 1}])


def has_words(thing, depth=6):
    """Whether any public attribute, however deep, has the words."""
    if isinstance(thing, str):
        return WORDS in thing
    if depth == 0 or thing is None or isinstance(thing, (int, float, bytes)):
        return False
    if isinstance(thing, dict):
        return any(has_words(each, depth - 1) for each in thing.values())
    if isinstance(thing, (list, tuple, set)):
        return any(has_words(each, depth - 1) for each in thing)
    skipped = {"app", "author", "bot", "channel", "guild"}
    names = [name for name in dir(thing) if not name.startswith("_") and name not in skipped]
    values = []
    for name in names:
        try:
            values.append(getattr(thing, name))
        except Exception:
            continue
    return any(has_words(each, depth - 1) for each in values if not callable(each))


def outcome(make):
    try:
        return make()
    except Exception as error:
        return type(error).__name__


async def main(name):
    library = __import__(name)
    if name == "hikari":
        token = base64.b64encode(b"100000000000000009").decode() + ".x.y"
        bot = library.GatewayBot(token, banner=None, suppress_optimization_warning=True)
        parse = bot.entity_factory.deserialize_message
    else:
        client = library.Client(intents=library.Intents.default())
        channel = client.get_partial_messageable(1200000000000000001)

        def parse(payload):
            return library.Message(state=client._connection, channel=channel, data=payload)

    kept = {form: outcome(lambda: "yes" if has_words(parse(payload)) else "no") for form, payload in FORMS.items()}
    [counted] = parse(message(6, reactions=[reaction])).reactions
    kept["super reactions"] = "yes" if getattr(counted, "burst_count", None) == 1 else "no"
    kept["printed"] = outcome(lambda: "yes" if repr(parse(NEWER).components) else "no")
    print(f"{sys.argv[2]}:", ", ".join(f"{form} {result}" for form, result in kept.items()))


asyncio.run(main(sys.argv[1]))
PY
for each in discord:discord.py==2.7.1 hikari:hikari==2.7.0 nextcord:nextcord==2.6.0 disnake:disnake==2.12.2 \
  discord:py-cord==2.8.1; do
  name=${each%%:*} package=${each#*:}
  "$python" -m venv "$folder/$package"
  "$folder/$package/bin/python" -m pip install --quiet --disable-pip-version-check "$package"
  "$folder/$package/bin/python" "$folder/look.py" "$name" "${package%%==*}" 2> "$folder/errors" || cat "$folder/errors"
done | tee "$folder/seen"
diff "$folder/seen" - <<'TEXT' || { echo "changed"; exit 1; }
discord.py: forward yes, components yes, poll yes, endless poll TypeError, super reactions yes, printed yes
hikari: forward yes, components yes, poll yes, endless poll yes, super reactions no, printed yes
nextcord: forward no, components no, poll no, endless poll no, super reactions no, printed AttributeError
disnake: forward yes, components yes, poll yes, endless poll yes, super reactions no, printed AttributeError
py-cord: forward yes, components yes, poll yes, endless poll yes, super reactions no, printed AttributeError
TEXT
echo "as described"
