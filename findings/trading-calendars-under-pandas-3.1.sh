#!/usr/bin/env bash
# exchange_calendars 4.13.2 under pandas 3.0.2 and under 3.1.1.
#
# Expected: a pandas release changes no trading day of the past.
# Seen: under 3.1.1 sessions on days outside a market's usual week are gone without a word (Bombay's of Saturday
# 20 January 2024 and 1 February 2025, sixteen of Moscow's since 2010), Tel Aviv, whose week was Sunday to
# Thursday, cannot be built at all (ValueError), nor can Athens, Belgrade, Bucharest and Nicosia, whose holidays
# follow the Orthodox Easter (NotImplementedError). Under 3.0.2 all of them are there.
# Who takes trading days from it pins pandas below 3.1, or compares with a calendar that was made there.
set -euo pipefail
python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat > "$folder/look.py" <<'PY'
import warnings

warnings.filterwarnings("ignore")
import exchange_calendars
import pandas

found = []
for name, day in (("XBOM", "2024-01-20"), ("XBOM", "2025-02-01"), ("XMOS", "2010-02-27")):
    calendar = exchange_calendars.get_calendar(name, start="2010-01-04", end="2026-11-30")
    found.append(f"{name} {day}: {'session' if calendar.is_session(day) else 'no session'}")
for name in ("XTAE", "ASEX", "XBEL", "XBSE", "XCYS", "XNYS", "XLON"):
    try:
        exchange_calendars.get_calendar(name)
        found.append(f"{name}: built")
    except (ValueError, NotImplementedError) as error:
        found.append(f"{name}: {type(error).__name__}")
print(f"exchange_calendars {exchange_calendars.__version__}, pandas {pandas.__version__}:", "; ".join(found))
PY

"$python" -m venv "$folder/venv"
look() {
  "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check exchange_calendars==4.13.2 "pandas==$1"
  "$folder/venv/bin/python" "$folder/look.py" | tee "$folder/$1"
}
look 3.0.2
look 3.1.1

before='XBOM 2024-01-20: session; XBOM 2025-02-01: session; XMOS 2010-02-27: session; XTAE: built; ASEX: built; XBEL: built; XBSE: built; XCYS: built; XNYS: built; XLON: built'
after='XBOM 2024-01-20: no session; XBOM 2025-02-01: no session; XMOS 2010-02-27: no session; XTAE: ValueError; ASEX: NotImplementedError; XBEL: NotImplementedError; XBSE: NotImplementedError; XCYS: NotImplementedError; XNYS: built; XLON: built'
grep -qF "$before" "$folder/3.0.2" && grep -qF "$after" "$folder/3.1.1" || { echo "changed"; exit 1; }
echo "as described"
