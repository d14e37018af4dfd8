"""Send hostile messages to a gateway: `python -m tests.hostile.fuzz --messages 1000000`.

Every message must be answered, in strict JSON, without an `InternalServerError`, without a secret
in the answer or in the log, and without a traceback; and the memory must not grow.
"""

import argparse
import asyncio
import json
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scopegate.exchange import ledger
from scopegate.gateway.access import tokens, users
from scopegate.handlers.exchange.exchange_scopes import SCOPES
from scopegate.store.transactions import Transaction
from tests.hostile.messages import Attacker
from tests.served import Served
from tests.simulation.frames import CLOSE, PING, TEXT, FrameReader, masked, pong
from tests.stores import run_once

TOGETHER = 50
"""Messages that are sent before their answers are awaited."""
PATIENCE = 60.0
"""Seconds until an answer counts as missing."""
LIMIT_CLOSE = 1008
"""The close code after many refusals in a row, or of an app that is not served."""
ROUNDS = 20
"""After so many batches a client signs in anew: it may have signed out, or lost its token."""
WARM = 0.5
"""After this part of the messages, the memory must not grow by more than `MAX_GROWTH`."""
MAX_GROWTH = 16 * 1024 * 1024
KINDS = ("stranger", "trader", "reader", "page")
_LAST = b'"req_id":%d'


class FoundError(Exception):
    """What a gateway must not do."""


def _strict(constant: str) -> None:
    raise FoundError(f"{constant} is no JSON")


class Client:
    """A connection that sends whatever it likes."""

    def __init__(self, url: str, kind: str, token: str, secrets: Sequence[str]) -> None:
        self._url = urlsplit(url)
        self._kind = kind
        self._token = token
        self._secrets = [secret.encode() for secret in secrets]
        self._numbers = 0
        self.codes: Counter[str] = Counter()
        self.closes = 0

    async def open(self) -> None:
        """Connect, and sign in if it has a token."""
        host, port = self._url.hostname, self._url.port
        assert host is not None
        assert port is not None
        self._reader, self._writer = await asyncio.open_connection(host, port)
        origin = f"Origin: http://{host}:{port}\r\n" if self._kind == "page" else ""
        self._writer.write(
            f"GET /websockets/v3?app_id=1089 HTTP/1.1\r\nHost: {host}:{port}\r\n{origin}"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        self._frames = FrameReader()
        if self._token:
            await self.attack([json.dumps({"authorize": self._token}).encode()])

    async def attack(self, messages: Sequence[bytes]) -> None:
        """Send messages and a ping, and read until the ping is answered. Raises `FoundError`."""
        self._numbers += 1
        last = 900_000_000 + self._numbers
        everything = [*messages, b'{"ping":1,"req_id":%d}' % last]
        self._writer.write(b"".join(masked(TEXT, each, b"\0\0\0\0") for each in everything))
        wanted, answers, is_answered = _LAST % last, 0, False
        while not is_answered:
            async with asyncio.timeout(PATIENCE):
                data = await self._reader.read(1 << 20)
            if not data:
                raise FoundError("the connection ended without a close frame")
            for kind, payload, _ in list(self._frames.read(data)):
                if kind == PING:
                    self._writer.write(pong(payload))
                elif kind == CLOSE:
                    await self._closed(payload)
                    return
                elif kind == TEXT:
                    answers += 1
                    if wanted in payload and b'"pong"' in payload:
                        if answers < len(everything):
                            raise FoundError(f"{len(everything)} messages, {answers} answers")
                        is_answered = True
                    else:
                        self._check(payload)

    async def _closed(self, payload: bytes) -> None:
        code = int.from_bytes(payload[:2], "big")
        if code != LIMIT_CLOSE:
            raise FoundError(f"closed with {code}: {payload[2:]!r}")
        self.closes += 1
        self._writer.close()
        await self.open()

    def _check(self, payload: bytes) -> None:
        message = json.loads(payload, parse_constant=_strict)
        code = message.get("error", {}).get("code", "")
        self.codes[code or "answered"] += 1
        if code == "InternalServerError":
            raise FoundError(payload.decode())
        for secret in self._secrets:
            if secret in payload:
                raise FoundError(f"a secret in {payload.decode()}")

    def leave(self) -> None:
        """Disconnect."""
        self._writer.close()


def memory(process: int) -> int:
    """The bytes of memory that a process uses."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _accounts(transaction: Transaction) -> dict[str, Any]:
    """A user with accounts for the attack, and the tokens of a victim."""
    user_id = users.create(transaction, "attacker@example.com")
    ledger.open_with_balance(transaction, user_id, virtual=(True, False), at=0)
    [demo, real] = [each.loginid for each in ledger.accounts(transaction, user_id)]
    victim = users.create(transaction, "victim@example.com")
    ledger.open_with_balance(transaction, victim, virtual=(False,), at=0)
    [owned] = [each.loginid for each in ledger.accounts(transaction, victim)]
    return {
        "trader": [
            tokens.create(transaction, tokens.NewToken(real, f"T{n}", SCOPES)) for n in range(10)
        ],
        "reader": [
            tokens.create(transaction, tokens.NewToken(demo, f"R{n}", ["read"])) for n in range(10)
        ],
        "secrets": [
            tokens.create(transaction, tokens.NewToken(owned, f"V{n}", SCOPES)) for n in range(4)
        ],
    }


async def fuzz(served: Served, count: int, seed: str) -> Counter[str]:
    """Send so many messages; how often each error code was answered. Raises `FoundError`."""
    made = await asyncio.to_thread(run_once, served.db, _accounts)
    secrets = made["secrets"]
    attacker = Attacker(seed, secrets)
    codes: Counter[str] = Counter()
    warm = 0
    clients: dict[str, Client] = {}
    try:
        sent = number = 0
        while sent < count:
            for kind in KINDS:
                if number % ROUNDS == 0:
                    if kind in clients:
                        clients[kind].leave()
                    choices = made.get(kind, [""])
                    token = choices[(number // ROUNDS) % len(choices)]
                    clients[kind] = Client(served.url, kind, token, secrets)
                    await clients[kind].open()
                messages = [attacker.message() for _ in range(TOGETHER)]
                await clients[kind].attack(messages)
                sent += len(messages)
                codes.update(clients[kind].codes)
                clients[kind].codes.clear()
            number += 1
            if not warm and sent >= count * WARM:
                warm = memory(served.process.pid)
    finally:
        for client in clients.values():
            client.leave()
    grown = memory(served.process.pid) - warm
    if grown > MAX_GROWTH:
        raise FoundError(f"the memory has grown by {grown >> 20} MiB")
    assert served.stop() == 0
    log = served.stderr
    if "Traceback" in log or re.search("level=(error|critical)", log):
        raise FoundError(log)
    for secret in secrets:
        if secret in log:
            raise FoundError("a secret in the log")
    return codes


def main() -> int:
    """Run the command; its exit code is 1 if something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.fuzz", description=__doc__)
    parser.add_argument(
        "--messages",
        type=int,
        default=1_000_000,
        help="with less than 50,000, memory that is allocated once counts as growth",
    )
    parser.add_argument("--seed", default="1")
    options = parser.parse_args()
    begun = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        Served(Path(folder), "--seed", "fuzz") as served,
    ):
        try:
            codes = asyncio.run(fuzz(served, options.messages, options.seed))
        except FoundError as found:
            print(f"found: {found}")
            return 1
    for code, number in codes.most_common():
        print(f"{number:10,} {code}")
    print(f"{options.messages:,} messages in {time.monotonic() - begun:.0f} s: nothing was found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
