#!/usr/bin/env bash
# The exporter writes times with up to seven digits of a second (.NET ticks). Fourteen readers of ISO 8601 on
# 2026-05-15T23:59:59.9999997+00:00.
#
# Expected: digits that do not fit are cut, or the reader refuses the text everywhere alike.
# Seen: of the fourteen, msgspec 0.23.0 and arrow 1.4.0 round, into the next day; pyarrow 26.0.1 refuses the text
# for timestamp[us] and takes it for timestamp[ns]; whenever and pandas keep the digit; the others cut. So two
# readers of one file can put a message into two days, and into two windows.
set -euo pipefail
python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check msgspec==0.23.0 arrow==1.4.0 \
  pyarrow==26.0.1 pendulum==3.3.0 ciso8601==2.4.1 python-dateutil==2.9.0.post0 iso8601==2.1.0 aniso8601==10.0.1 \
  whenever==0.11.0 pydantic==2.14.4 pandas==3.1.1 polars==2.1.0 hikari==2.7.0 nextcord==2.6.0

cat > "$folder/look.py" <<'PY'
import datetime
import warnings

warnings.filterwarnings("ignore")
import aniso8601
import arrow
import ciso8601
import dateutil.parser
import hikari.internal.time
import iso8601
import msgspec
import nextcord.utils
import pandas
import pendulum
import polars
import pyarrow
import pydantic
import whenever

TEXT = "2026-05-15T23:59:59.9999997+00:00"
READERS = {
    "standard library": datetime.datetime.fromisoformat,
    "pendulum": pendulum.parse,
    "arrow": arrow.get,
    "ciso8601": ciso8601.parse_datetime,
    "dateutil": dateutil.parser.isoparse,
    "iso8601": iso8601.parse_date,
    "aniso8601": aniso8601.parse_datetime,
    "pydantic": pydantic.TypeAdapter(datetime.datetime).validate_python,
    "msgspec": lambda text: msgspec.convert(text, datetime.datetime),
    "whenever": whenever.OffsetDateTime.parse_iso,
    "pandas": pandas.Timestamp,
    "polars": lambda text: polars.Series([text]).str.to_datetime(time_zone="UTC", time_unit="us")[0],
    "hikari": hikari.internal.time.iso8601_datetime_string_to_datetime,
    "nextcord": nextcord.utils.parse_time,
}
for name, read in READERS.items():
    seen = str(read(TEXT)).replace("T", " ")
    print(name, "rounds" if seen.startswith("2026-05-16") else "keeps" if ".9999997" in seen else "cuts", sep=": ")
for unit in ("us", "ns"):
    try:
        pyarrow.array([TEXT]).cast(pyarrow.timestamp(unit, "UTC"))
        print(f"pyarrow {unit}: takes")
    except pyarrow.ArrowInvalid:
        print(f"pyarrow {unit}: refuses")
PY
"$folder/venv/bin/python" "$folder/look.py" | tee "$folder/seen"
diff "$folder/seen" - <<'TEXT' || { echo "changed"; exit 1; }
standard library: cuts
pendulum: cuts
arrow: rounds
ciso8601: cuts
dateutil: cuts
iso8601: cuts
aniso8601: cuts
pydantic: cuts
msgspec: rounds
whenever: keeps
pandas: keeps
polars: cuts
hikari: cuts
nextcord: cuts
pyarrow us: refuses
pyarrow ns: takes
TEXT
echo "as described"
