#!/usr/bin/env bash
# price-parser 0.5.1 on the levels of a trading setup.
#
# Expected: a level with three digits after the point ("1.085" of a currency pair, "0.085" of a small share) keeps its
# value or is refused; a ticker is no currency; a sign is kept.
# Seen: the point is taken for a separator of thousands: 1.085 becomes 1085 and 0.085 becomes 85, while 18.25 stays
# 18.25, so levels of one message differ by a factor of thousand; EURUSD gives the currency EUR, and -0.5 becomes 0.5.
# With decimal_separator="." the values are right. Who reads levels with it names the separator always.
set -euo pipefail
python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check price-parser==0.5.1

"$folder/venv/bin/python" - <<'PY' | tee "$folder/seen"
from price_parser import Price

for text in ("long 18.25", "long EURUSD 1.085", "long 0.085", "change -0.5"):
    guessed, named = Price.fromstring(text), Price.fromstring(text, decimal_separator=".")
    print(f"{text}: {guessed.amount} {guessed.currency}; with the separator named {named.amount}")
PY
diff "$folder/seen" - <<'TEXT' || { echo "changed"; exit 1; }
long 18.25: 18.25 None; with the separator named 18.25
long EURUSD 1.085: 1085 EUR; with the separator named 1.085
long 0.085: 85 None; with the separator named 0.085
change -0.5: 0.5 None; with the separator named 0.5
TEXT
echo "as described"
