#!/usr/bin/env bash
# recurring-ical-events 3.8.2 and icalendar 7.3.2 on changed occurrences and clock changes.
#
# Expected: (1) each occurrence after a change of "this and all following" has a RECURRENCE-ID of its own; (2) a change
# whose RECURRENCE-ID is a date (RFC 5545 has the value type of DTSTART, Outlook's exports do not always) replaces the
# occurrence of that date, or is refused; (3) an event of one hour in the hour that spring leaves out lasts one hour.
# Seen: (1) all of them have the RECURRENCE-ID of the change; (2) both are listed, so the date has two; (3) both of its
# ends are the same moment.
# Who stores occurrences makes ids from the rule's own times and turns such dates into times.
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


def listed(*events):
    body = "".join("BEGIN:VEVENT\r\n" + "\r\n".join(each) + "\r\nEND:VEVENT\r\n" for each in events)
    source = icalendar.Calendar.from_ical(HEAD + body + "END:VCALENDAR\r\n")
    return recurring_ical_events.of(source).between(datetime.datetime(2026, 3, 1), datetime.datetime(2026, 4, 1))


weekly = ("UID:a", "DTSTART:20260302T100000Z", "DTEND:20260302T110000Z", "RRULE:FREQ=WEEKLY;COUNT=3")
times = ("DTSTART:20260309T123000Z", "DTEND:20260309T133000Z")
moved = listed(weekly, ("UID:a", "RECURRENCE-ID;RANGE=THISANDFUTURE:20260309T100000Z", *times))
print("this and future:", *(f"{each['DTSTART'].dt:%d}={each['RECURRENCE-ID'].dt:%d}" for each in moved))
by_date = listed(weekly, ("UID:a", "RECURRENCE-ID;VALUE=DATE:20260309", *times))
print("by date:", *sorted(f"{each['DTSTART'].dt:%d %H:%M}" for each in by_date))
zone = "TZID=America/New_York"
[gap] = listed(("UID:b", f"DTSTART;{zone}:20260308T023000", f"DTEND;{zone}:20260308T033000"))
print("spring:", gap["DTEND"].dt.astimezone(datetime.UTC) - gap["DTSTART"].dt.astimezone(datetime.UTC))
PY
"$folder/venv/bin/python" "$folder/look.py" | tee "$folder/seen"
diff "$folder/seen" - <<'TEXT' || { echo "changed"; exit 1; }
this and future: 02=02 09=09 16=09
by date: 02 10:00 09 10:00 09 12:30 16 10:00
spring: 0:00:00
TEXT
echo "as described"
