"""The command line and the gateway write to one ledger: clients see one history of it, in order.

What another process writes reaches the gateway a moment later. These tests act within that moment.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from scopegate.exchange import ledger
from scopegate.gateway.access import tokens
from scopegate.handlers.exchange.exchange_scopes import ADMIN, TRADE
from scopegate.store.transactions import Transaction
from tests.served import Served, SocketClient, serving
from tests.stores import run_once


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("writers")) as served:
        yield served


def credit(gateway: Served, units: int, loginid: str | None = None) -> ledger.Entry:
    """What `account credit` does (to the demo account), without the time that Python takes."""
    action = "deposit" if units > 0 else "withdrawal"
    target = loginid or gateway.loginids[0]
    posting = ledger.Posting(loginid=target, action=action, amount=units, at=time.time())
    return run_once(gateway.db, lambda transaction: ledger.post(transaction, posting))


async def entries_told(client: SocketClient, last: ledger.Entry) -> list[int]:
    """The ledger's entries that a `transaction` stream tells, up to this one."""
    told: list[int] = []
    while last.id not in told:
        message = await client.next()
        if message["msg_type"] == "transaction":
            told.append(message["transaction"]["transaction_id"])
    return told


@pytest.mark.parametrize("of_all", [False, True], ids=["of one", "of all"])
async def test_a_balance_stream_goes_on_from_its_first_reply(gateway: Served, of_all: bool) -> None:
    """The first reply may be a moment old; what follows begins with the entry after it."""
    unread = gateway.loginids[2 if of_all else 1]  # not in memory: it is read from the file

    def told_by(message: dict[str, Any]) -> float | None:
        body = message["balance"]
        shown = body.get("accounts", {body["loginid"]: body}).get(unread)
        return None if shown is None else shown["balance"]

    async with gateway.connected() as client:
        await client.authorize(gateway.token)
        booked = [credit(gateway, units, unread) for units in (100, 200)]
        account = "all" if of_all else unread
        reply = await client.ask({"balance": 1, "account": account, "subscribe": 1})
        booked.append(credit(gateway, 400, unread))
        balances = [10000, *(entry.balance_after / 100 for entry in booked)]
        first = told_by(reply)
        assert first is not None
        told = [first]
        while told[-1] != balances[-1]:
            if (shown := told_by(await client.next())) is not None:
                told.append(shown)
        assert told == balances[balances.index(first) :]


async def test_entries_of_both_writers_are_told_once_each_in_order(gateway: Served) -> None:
    async with gateway.connected() as client:
        await client.authorize(gateway.token)
        await client.ask({"transaction": 1, "subscribe": 1})
        start = credit(gateway, 1)
        await entries_told(client, start)

        taken = credit(gateway, -900_000)
        assert "error" not in await client.ask({"topup_virtual": 1})
        last = credit(gateway, 100)
        told = await entries_told(client, last)
        assert told == [taken.id, taken.id + 1, last.id]


async def test_the_balance_is_that_of_the_last_entry_whoever_wrote_it(gateway: Served) -> None:
    async with gateway.connected() as client:
        await client.authorize(gateway.token)
        await client.ask({"balance": 1})
        async with gateway.connected() as watcher:
            await watcher.authorize(gateway.token)
            other = gateway.loginids[1]
            await watcher.ask({"balance": 1, "account": other, "subscribe": 1})

            credit(gateway, -900_000)
            topped_up = await client.ask({"topup_virtual": 1})
            assert "error" not in topped_up
            # Changes are applied in their order: with this one the withdrawal has been, too.
            credit(gateway, 1, other)
            await watcher.next()
        assert (await client.ask({"balance": 1}))["balance"]["balance"] == 10000
        assert (await client.ask({"balance": 1, "account": "all"}))["balance"]["balance"] == 10000


async def test_a_token_commits_nothing_after_its_revocation(gateway: Served) -> None:
    """Also in the moment in which the gateway has not heard of it."""
    loginid = gateway.loginids[0]
    async with gateway.connected() as client:
        text = run_once(
            gateway.db,
            lambda transaction: tokens.create(
                transaction, tokens.NewToken(loginid, "Trader", {TRADE, ADMIN})
            ),
        )
        await client.authorize(text)
        low = credit(gateway, -100)
        ended = run_once(
            gateway.db,
            lambda transaction: tokens.end(
                transaction,
                [row.id for row in tokens.listed(transaction, loginid) if row.name == "Trader"],
            ),
        )
        assert len(ended) == 1
        assert await client.refused({"topup_virtual": 1}) == "AuthorizationRequired"
        making = {"api_token": 1, "new_token": "Heir", "new_token_scopes": ["trade"]}
        assert await client.refused(making) == "AuthorizationRequired"

    def kept(transaction: Transaction) -> tuple[int, set[str]]:
        names = {row.name for row in tokens.listed(transaction, loginid)}
        return ledger.account(transaction, loginid).balance, names

    assert run_once(gateway.db, kept) == (low.balance_after, {"Demo"})
