#!/usr/bin/env bash
# FastF1 3.9.0: what its recorder of F1's live timing writes and what its own reader makes of the file.
#
# Expected: a recording read again has each message that was received, and `errorcount` stays at 0.
# Seen: the reader drops, without a warning, (1) the whole state that F1 sends when the recorder joins, and with it all
# team radio captured until then: its lines have an empty time, and their text is JSON within a Python string; (2) each
# message with an apostrophe; (3) each message with a null. The recorder writes Python lists, the reader replaces each
# ' by " and reads JSON; only `errorcount` rises.
# Who keeps live records writes each message as it came, and compares counts: an archive of a race that was recorded
# from lap 2 has no radio of lap 1.
set -euo pipefail
python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check fastf1==3.9.0

"$folder/venv/bin/python" - "$folder/recording.txt" <<'PY' | tee "$folder/seen"
import logging
import sys
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)
from fastf1.livetiming import client
from fastf1.livetiming.data import LiveTimingData


def radio(number):
    moment = f"2026-03-08T04:0{number}:00.123Z"
    return {"Utc": moment, "RacingNumber": "16", "Path": f"TeamRadio/LEC_{number}.mp3"}


def message(number, text, **more):
    entry = {"Utc": f"2026-03-08T04:0{number}:00", "Category": "Other", "Message": text, **more}
    return ["RaceControlMessages", {"Messages": {str(number): entry}}, f"2026-03-08T04:0{number}:01.5Z"]


recorder = client.SignalRClient(sys.argv[1])
with open(sys.argv[1], "w") as recorder._output_file:
    state = {"TeamRadio": {"Captures": [radio(0), radio(1)]}, "SessionStatus": {"Status": "Started"}}
    recorder._on_message(client.CompletionMessage("1", state, None))
    recorder._on_message(["TeamRadio", {"Captures": {"2": radio(2)}}, "2026-03-08T04:02:01.5Z"])
    recorder._on_message(message(3, "RACE WILL RESUME"))
    recorder._on_message(message(4, "THE STEWARDS' DECISION IS FINAL"))
    recorder._on_message(message(5, "DRS ENABLED", Lap=None))

recording = LiveTimingData(sys.argv[1])
captures = [name for _, each in recording.get("TeamRadio") for name in each["Captures"]]
texts = [
    entry["Message"] for _, each in recording.get("RaceControlMessages") for entry in each["Messages"].values()
]
print("radio:", captures, "messages:", texts, "status:", recording.has("SessionStatus"))
print("errors:", recording.errorcount)
PY
diff "$folder/seen" - <<'TEXT' || { echo "changed"; exit 1; }
radio: ['2'] messages: ['RACE WILL RESUME'] status: False
errors: 4
TEXT
echo "as described"
