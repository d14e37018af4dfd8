"""Payments outlive a kill: what was acknowledged is there, once, and nothing is done by half.

Clients pay each other until the gateway is killed amid it; then it starts again on what the kill
has left, and every request that had no answer is sent once more under its key. The checker
(`violations`) reads the database from outside and knows what the clients were told. That it finds
what it is there for is shown with a faulty gateway (`trading_mutants.py`).

There are few rounds in the suite. A hundred are run by

    KILL_PAYMENTS_ROUNDS=100 python -m pytest tests/process/test_kill_payments.py
"""

import asyncio
import contextlib
import hashlib
import itertools
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scopegate.exchange import agents, ledger
from scopegate.exchange.agents import Application
from scopegate.exchange.keys import stored_key
from scopegate.exchange.payments import Kind
from scopegate.gateway.access import tokens, users, verification
from scopegate.handlers.exchange.exchange_scopes import SCOPES
from scopegate.store.transactions import Transaction
from tests import books, stores
from tests.process import trading_mutants
from tests.served import PATIENCE, Served, SocketClient, serving
from tests.stores import run_once

ROUNDS = int(os.environ.get("KILL_PAYMENTS_ROUNDS", "2"))
MUTANT_ROUNDS = 60
"""In so many rounds at the most the mutant must be found; about every second one finds it."""
OPTIONS = ("--seed", "kill payments", "--start", "2026-01-01T12:00")
CLIENT = "ada@example.com"
REFUSALS = {"InsufficientBalance"}
SHOP = Application(
    name="Shop",
    email="shop@example.com",
    information="Cash.",
    affiliate_id="",
    commission_deposit=Decimal(0),
    commission_withdrawal=Decimal(0),
    payment_methods=[],
    phone_numbers=[],
    urls=[],
)

Request = dict[str, Any]


@dataclass
class Told:
    """What the clients of one gateway asked for and were told, over all its lives."""

    tokens: dict[str, str]
    """By loginid: two accounts of one user in dollars and euros, and an agent's in dollars."""
    keys: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    asked: dict[str, Request] = field(default_factory=dict)
    """By key, what has no answer yet."""
    paid: dict[str, int] = field(default_factory=dict)
    """By key, the entry that a reply named."""
    codes: list[str] = field(default_factory=list)
    """Codes for withdrawals, each of which is the key of its withdrawal as well."""

    def unused(self) -> list[str]:
        """The codes with which nothing was asked for yet."""
        return [code for code in self.codes if code not in self.asked | self.paid]


def begin(gateway: Served) -> Told:
    def job(transaction: Transaction) -> Told:
        opened = []
        for email, currencies in ((CLIENT, "USD EUR"), (SHOP.email, "USD")):
            user_id = users.create(transaction, email)
            for currency in currencies.split():
                loginid = ledger.open_account(
                    transaction, user_id, currency=currency, is_virtual=False, at=0
                ).loginid
                ledger.set_balance(transaction, loginid, "deposit", 200_000, at=0)
                opened.append(loginid)
        agents.approve(transaction, opened[-1], "id", SHOP)
        return Told(
            {
                loginid: tokens.create(transaction, tokens.NewToken(loginid, "Kill", SCOPES))
                for loginid in opened
            }
        )

    return run_once(gateway.db, job)


def new_codes(gateway: Served, told: Told) -> None:
    """Codes by e-mail for the next round, as many as an address gets."""

    def job(transaction: Transaction) -> None:
        transaction.execute("DELETE FROM email_codes")
        told.codes = [
            verification.create(transaction, CLIENT, verification.PAYMENT_AGENT_WITHDRAW)
            for _ in range(verification.MAX_PER_ADDRESS)
        ]

    run_once(gateway.db, job)


def a_payment(told: Told, payer: str, chance: random.Random) -> tuple[str, Request]:
    """A payment that the account may try, under a key of its own; the key and the request."""
    dollars, euros, agent = told.tokens
    key = f"key-{next(told.keys)}"
    request: Request = {"amount": chance.randint(10, 60), "passthrough": {"idempotency_key": key}}
    if payer == agent:
        request |= {"paymentagent_transfer": 1, "currency": "USD", "transfer_to": dollars}
    elif payer == dollars and chance.random() < 0.1 and told.unused():
        key = told.unused()[0]
        request = {
            "paymentagent_withdraw": 1,
            "amount": chance.randint(10, 60),
            "currency": "USD",
            "paymentagent_loginid": agent,
            "verification_code": key,
            "passthrough": {"idempotency_key": key},
        }
    else:
        request |= {
            "transfer_between_accounts": 1,
            "account_from": payer,
            "account_to": euros if payer == dollars else dollars,
            "currency": "USD" if payer == dollars else "EUR",
        }
    return key, request


async def ask(client: SocketClient, told: Told, key: str, request: Request) -> bool:
    """Ask for a payment, and remember what is told of it; whether it was made."""
    told.asked[key] = request
    reply = await client.ask(request)
    del told.asked[key]
    if "error" in reply:
        assert reply["error"]["code"] in REFUSALS, reply["error"]
        return False
    told.paid[key] = reply["transaction_id"]
    return True


async def pay_until_killed(gateway: Served, told: Told, chance: random.Random) -> None:
    """Have clients pay, and kill the gateway after some of their replies."""
    enough = chance.randint(30, 150)
    delay = chance.uniform(0, 0.005)  # so that the kill may fall between two replies as well
    replies = itertools.count(1)

    async def pay(client: SocketClient, payer: str) -> None:
        await client.authorize(told.tokens[payer])
        with contextlib.suppress(ConnectionError):
            while True:
                made = await ask(client, told, *a_payment(told, payer, chance))
                if made and next(replies) == enough:
                    asyncio.get_running_loop().call_later(
                        delay, gateway.process.send_signal, signal.SIGKILL
                    )

    async with AsyncExitStack() as stack:
        payers = [*told.tokens, *told.tokens]
        clients = [await stack.enter_async_context(gateway.connected()) for _ in payers]
        await asyncio.gather(*map(pay, clients, payers))
    assert await asyncio.to_thread(gateway.process.wait, PATIENCE) == -signal.SIGKILL
    gateway.stop()  # it has ended: this closes what was open to it


async def ask_again(gateway: Served, told: Told) -> None:
    """Send every request once more that had no answer."""
    for key, request in list(told.asked.items()):
        async with gateway.connected() as client:
            dollars, _, agent = told.tokens
            others = agent if "paymentagent_transfer" in request else dollars
            payer = request.get("account_from", others)
            await client.authorize(told.tokens[payer])
            await ask(client, told, key, request)
    assert told.asked == {}


def violations(path: Path, told: Told) -> list[str]:
    """What is wrong with the books, and what was acknowledged and is not there as it was told."""
    with stores.snapshot(path) as db:
        found = books.mistakes(Transaction(db))
        rows = db.execute("SELECT idempotency_key, paid_by FROM payments").fetchall()
        used = db.execute("SELECT digest FROM email_codes WHERE used_at IS NOT NULL").fetchall()
    known = [*told.paid, *told.asked]
    keys = {
        stored_key(key, payer, kind): key for key in known for payer in told.tokens for kind in Kind
    }
    kept = [(keys.get(row["idempotency_key"], "another key"), row["paid_by"]) for row in rows]
    found += [f"{key} is not there as told" for key in told.paid.items() if kept.count(key) != 1]
    # A code is used up with its withdrawal, or neither is there.
    withdrawn = {hashlib.sha256(key.encode()).digest() for key, _ in kept if key in told.codes}
    if withdrawn != {row["digest"] for row in used}:
        found.append("the codes that were used are not those of the withdrawals")
    return found + [f"{key} was never asked for" for key, _ in kept if key not in known]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("kill"), *OPTIONS) as running:
        yield running


@pytest.fixture(scope="module")
def told(gateway: Served) -> Told:
    """What was acknowledged so far: later kills must not undo what earlier ones left."""
    return begin(gateway)


@pytest.mark.parametrize("number", range(ROUNDS))
async def test_every_acknowledged_payment_outlives_a_kill(
    gateway: Served, told: Told, number: int
) -> None:
    before = len(told.paid)
    new_codes(gateway, told)
    await pay_until_killed(gateway, told, random.Random(number))
    assert len(told.paid) > before
    gateway.start()
    assert violations(gateway.db, told) == []
    await ask_again(gateway, told)
    assert violations(gateway.db, told) == []
    assert told.paid.keys() & set(told.codes)


async def test_the_checker_finds_a_gateway_that_pays_by_halves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant: Callable[[], None] = trading_mutants.payment_by_halves
    launcher = (sys.executable, str(trading_mutants.__file__), mutant.__name__)
    monkeypatch.setattr(Served, "program", launcher)
    with Served(tmp_path, *OPTIONS) as faulty:
        told = begin(faulty)
        found: list[str] = []
        for number in range(MUTANT_ROUNDS):
            await pay_until_killed(faulty, told, random.Random(number))
            found = violations(faulty.db, told)
            if found:
                break
            faulty.start()
        assert found
