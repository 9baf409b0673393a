#!/usr/bin/env bash
# Three link finders (linkify-it-py 2.2.0, urlextract 1.10.0, ural 1.6.2) on a clip's link in Discord's markup.
#
# Expected: a link between Discord's marks (spoiler, bold, underlined, struck out, code, masked) is found, and without
# the marks. Seen: linkify-it-py finds none behind `||`, `__`, `~~` and a backtick, and keeps `**`; urlextract finds
# none between `**`, `__` or `~~`; ural finds all, but leaves one character of the closing mark at the end, so that the
# address leads nowhere. linkify-it-py also makes a link of the share class in "AT&T.WS".
# Who looks for clips in a channel takes Discord's marks off first; here clips come from attachments and embeds, whose
# addresses Discord has already cut out of the text.
set -euo pipefail
python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  linkify-it-py==2.2.0 urlextract==1.10.0 ural==1.6.2

"$folder/venv/bin/python" - <<'PY' | tee "$folder/seen"
import linkify_it
import ural
import urlextract

LINK = "https://clips.example.com/Abc"
linkify, extract = linkify_it.LinkifyIt(), urlextract.URLExtract()
finders = {
    "linkify-it-py": lambda text: [each.url for each in linkify.match(text) or []],
    "urlextract": extract.find_urls,
    "ural": lambda text: list(ural.urls_from_text(text)),
}
for mark, closing in (("||", "||"), ("**", "**"), ("__", "__"), ("~~", "~~"), ("`", "`"), ("[onboard](<", ">)")):
    found = {name: find(mark + LINK + closing) for name, find in finders.items()}
    shown = (f"{name} {links[0].replace(LINK, 'link') if links else 'none'}" for name, links in found.items())
    print(f"{mark}link{closing}:", ", ".join(shown))
print("shares:", finders["linkify-it-py"]("long BRK.B and AT&T.WS over 18.25"))
PY
diff "$folder/seen" - <<'TEXT' || { echo "changed"; exit 1; }
||link||: linkify-it-py none, urlextract link, ural link|
**link**: linkify-it-py link**, urlextract none, ural link*
__link__: linkify-it-py none, urlextract none, ural link_
~~link~~: linkify-it-py none, urlextract none, ural link~
`link`: linkify-it-py none, urlextract link, ural link
[onboard](<link>): linkify-it-py link, urlextract link, ural link>
shares: ['http://T.WS']
TEXT
echo "as described"
