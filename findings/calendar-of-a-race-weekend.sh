#!/usr/bin/env bash
# recurring-ical-events 3.8.2 and icalendar 7.3.2 on what calendars of race weekends and trading days hold.
#
# Expected: (1) two events that share a UID are both listed, or an error says that they cannot be; (2) an event that
# ends at 01:00 on the date on which it starts at 23:00 is refused or taken for one that ends the next day; (3) a
# race with DURATION:PT24H lasts 24 hours, also when the clocks go back in the night, as RFC 5545 has it for a
# duration in hours; (4) FREQ=WEEKLY;BYDAY=FR;COUNT=3 gives three events.
# Seen: (1) only the first is listed, without a word; (2) it is listed from 01:00 to 23:00; (3) icalendar's `end` is 25
# hours later; (4) four, when the first one is not on a Friday: DTSTART is listed and not counted.
set -euo pipefail
python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check icalendar==7.3.2 recurring-ical-events==3.8.2

cat > "$folder/look.py" <<'PY'
import datetime
import warnings

warnings.filterwarnings("ignore")
import icalendar
import recurring_ical_events

HEAD = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//example//races//EN\r\n"


def calendar(*events):
    body = "".join("BEGIN:VEVENT\r\n" + "\r\n".join(each) + "\r\nEND:VEVENT\r\n" for each in events)
    return icalendar.Calendar.from_ical(HEAD + body + "END:VCALENDAR\r\n")


def listed(source):
    found = recurring_ical_events.of(source).between(datetime.datetime(2026, 9, 1), datetime.datetime(2026, 11, 1))
    return [f"{each['DTSTART'].dt:%d %H:%M}-{each['DTEND'].dt:%d %H:%M}" for each in found]


print("same UID:", *listed(calendar(
    ("UID:weekend", "DTSTART:20260904T113000Z", "DTEND:20260904T123000Z", "SUMMARY:Practice"),
    ("UID:weekend", "DTSTART:20260906T130000Z", "DTEND:20260906T150000Z", "SUMMARY:Race"),
)))
print("over midnight:", *listed(calendar(("UID:night", "DTSTART:20260906T230000Z", "DTEND:20260906T010000Z"))))
race = calendar(("UID:day", "DTSTART;TZID=Europe/Paris:20261024T160000", "DURATION:PT24H")).walk("VEVENT")[0]
print("PT24H:", race.end.astimezone(datetime.UTC) - race.start.astimezone(datetime.UTC))
print("COUNT=3:", len(listed(calendar(
    ("UID:fridays", "DTSTART:20260902T100000Z", "DTEND:20260902T110000Z", "RRULE:FREQ=WEEKLY;BYDAY=FR;COUNT=3"),
))))
PY
"$folder/venv/bin/python" "$folder/look.py" | tee "$folder/seen"
diff "$folder/seen" - <<'TEXT' || { echo "changed"; exit 1; }
same UID: 04 11:30-04 12:30
over midnight: 06 01:00-06 23:00
PT24H: 1 day, 1:00:00
COUNT=3: 4
TEXT
echo "as described"
