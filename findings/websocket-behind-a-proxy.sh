#!/usr/bin/env bash
# aiohttp 3.14.5, which discord.py 2.7.1 connects with, behind a proxy that the environment names.
#
# Expected: with trust_env, HTTPS_PROXY holds for https:// and wss:// alike, as both are TLS to port 443; and
# discord.py, like curl and requests, asks the environment for a proxy.
# Seen: https:// goes through the proxy, wss:// does not: aiohttp looks for WSS_PROXY. discord.py's session does not
# read the environment at all. A bot behind a company's proxy can use REST and hears nothing of its gateway, unless
# it is given the proxy by name.
# All connections go to this machine; the proxy writes down what it is asked for and refuses.
set -euo pipefail
python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check aiohttp==3.14.5 discord.py==2.7.1

cat > "$folder/look.py" <<'PY'
import asyncio
import contextlib
import os
import warnings

warnings.filterwarnings("ignore")
import aiohttp
import discord


async def asked_of_proxy(use, variable):
    asked = []

    async def answer(reader, writer):
        asked.append((await reader.readline()).split()[0].decode())
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    proxy = await asyncio.start_server(answer, "127.0.0.1", 0)
    for name in ("HTTPS_PROXY", "WSS_PROXY", "NO_PROXY"):
        os.environ.pop(name, None)
    os.environ[variable] = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    with contextlib.suppress(aiohttp.ClientError, OSError, discord.DiscordException, asyncio.TimeoutError):
        await asyncio.wait_for(use(), 5)
    proxy.close()
    return "asked" if asked else "not asked"


async def get():
    async with aiohttp.ClientSession(trust_env=True) as session:
        await session.get("https://127.0.0.1:9/")


async def connect():
    async with aiohttp.ClientSession(trust_env=True) as session:
        await session.ws_connect("wss://127.0.0.1:9/")


async def login():
    discord.http.Route.BASE = "https://127.0.0.1:9/api/v10"
    async with discord.Client(intents=discord.Intents.none()) as client:
        await client.login("an.invented.token")


async def main():
    print("https://, HTTPS_PROXY:", await asked_of_proxy(get, "HTTPS_PROXY"))
    print("wss://, HTTPS_PROXY:", await asked_of_proxy(connect, "HTTPS_PROXY"))
    print("wss://, WSS_PROXY:", await asked_of_proxy(connect, "WSS_PROXY"))
    print("discord.py, HTTPS_PROXY:", await asked_of_proxy(login, "HTTPS_PROXY"))


asyncio.run(main())
PY
env -u http_proxy -u https_proxy -u no_proxy -u wss_proxy -u all_proxy "$folder/venv/bin/python" "$folder/look.py" | tee "$folder/seen"
diff "$folder/seen" - <<'TEXT' || { echo "changed"; exit 1; }
https://, HTTPS_PROXY: asked
wss://, HTTPS_PROXY: not asked
wss://, WSS_PROXY: asked
discord.py, HTTPS_PROXY: not asked
TEXT
echo "as described"
