"""What the gateway has acknowledged outlives its sudden end, and its market never goes back.

Clients do all that writes, at once, until the gateway is killed amid their work; then it starts
again on what the kill has left, and everything that any client was told must be there. A process
that is killed loses what it had in memory, not what it had handed to the system: what a failing
power supply would lose as well is the business of `synchronous=FULL`, and not seen here.
"""

import asyncio
import contextlib
import itertools
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scopegate import market_start
from scopegate.exchange import ledger
from scopegate.gateway.access import apps, tokens, users
from scopegate.handlers.exchange.exchange_scopes import READ, SCOPES
from scopegate.store.transactions import Transaction
from tests import stores
from tests.effort import chosen
from tests.served import PATIENCE, Served, SocketClient, serving
from tests.stores import run_once

ROUNDS = chosen(2, 20)
LINKED = 2
"""Apps that are connected to a round's user at its beginning; the last is disconnected in it."""


@dataclass
class Round:
    """One user's share: what they have been told, by the gateway or by the command line."""

    user_id: int = 0
    demo: str = ""
    real: str = ""
    owner: dict[str, str] = field(default_factory=dict)
    """The token that they begin with, by loginid."""
    app_tokens: dict[int, str] = field(default_factory=dict)
    """Issued to the connected apps, by app_id."""
    disconnecting: set[int] = field(default_factory=set)
    disconnected: set[int] = field(default_factory=set)
    made: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Tokens made: loginid and text by name."""
    deleting: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    registered: set[int] = field(default_factory=set)
    top_ups: list[float] = field(default_factory=list)
    withdrawn: list[int] = field(default_factory=list)
    """Entries that the command line booked."""
    latest: int = 0
    """The latest moment of the market that anyone was shown."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    options = ("--seed", "kill", "--start", "2026-01-01T00:00", "--speed", "100")
    with serving(tmp_path_factory.mktemp("kill"), *options) as served:
        yield served


@pytest.fixture(scope="module")
def rounds() -> list[Round]:
    """What was acknowledged so far: later kills must not undo what earlier ones left."""
    return []


def withdraw(transaction: Transaction, loginid: str) -> int:
    """What `account credit` does, from a process that is not killed; the entry's number."""
    posting = ledger.Posting(loginid=loginid, action="withdrawal", amount=-100, at=time.time())
    return ledger.post(transaction, posting).id


async def begin(gateway: Served) -> Round:
    """A user with a token for each account and two connected apps."""
    mine = Round()

    def settle(transaction: Transaction) -> None:
        number = transaction.one("SELECT count(*) FROM users")
        assert number is not None
        mine.user_id = users.create(transaction, f"user{number[0]}@example.com")
        ledger.open_with_balance(transaction, mine.user_id, virtual=(True, False), at=time.time())
        mine.real, mine.demo = (
            account.loginid for account in ledger.accounts(transaction, mine.user_id)
        )
        for loginid in (mine.real, mine.demo):
            mine.owner[loginid] = tokens.create(
                transaction, tokens.NewToken(loginid, "Owner", SCOPES)
            )
        mine.withdrawn.append(withdraw(transaction, mine.demo))  # there is something to top up

    run_once(gateway.db, settle)
    async with gateway.connected() as client:
        await client.authorize(mine.owner[mine.demo])
        for number in range(LINKED):
            name = f"Connected {number}"
            reply = await client.ask({"app_register": 1, "name": name, "scopes": ["read"]})
            app_id = reply["app_register"]["app_id"]
            mine.registered.add(app_id)

            def consent(transaction: Transaction, app_id: int = app_id) -> str:
                app = apps.find(transaction, app_id, mine.user_id)
                return tokens.create(
                    transaction,
                    tokens.NewToken(
                        mine.demo,
                        app.name,
                        {READ},
                        kind="app",
                        link_id=apps.link(transaction, app, mine.user_id, {READ}, [mine.demo]),
                    ),
                )

            mine.app_tokens[app_id] = run_once(gateway.db, consent)
    return mine


async def work_until_killed(gateway: Served, mine: Round, chance: random.Random) -> None:
    """Have clients do all that writes, and kill the gateway after some of their replies."""
    enough = chance.randint(30, 120)
    delay = chance.uniform(0, 0.005)  # so that the kill may fall between two replies as well
    replies = itertools.count(1)
    over = threading.Event()

    def acknowledged() -> None:
        if next(replies) == enough:
            asyncio.get_running_loop().call_later(
                delay, gateway.process.send_signal, signal.SIGKILL
            )

    async def make_tokens(client: SocketClient, loginid: str, prefix: str) -> None:
        await client.authorize(mine.owner[loginid])
        for number in itertools.count():
            name = f"{prefix} {number}"
            reply = await client.ask(
                {"api_token": 1, "new_token": name, "new_token_scopes": ["read"]}
            )
            listed = {row["display_name"]: row["token"] for row in reply["api_token"]["tokens"]}
            mine.made[name] = (loginid, listed[name])
            acknowledged()
            if number % 3 == 2:
                mine.deleting.add(name)
                reply = await client.ask({"api_token": 1, "delete_token": listed[name]})
                assert reply["api_token"]["delete_token"] == 1
                mine.deleted.add(name)
                acknowledged()

    async def manage_apps(client: SocketClient) -> None:
        await client.authorize(mine.owner[mine.demo])
        for number in itertools.count():
            reply = await client.ask(
                {"app_register": 1, "name": f"App {number}", "scopes": ["read", "trade"]}
            )
            mine.registered.add(reply["app_register"]["app_id"])
            acknowledged()
            if number == 1:
                last = max(mine.app_tokens)
                mine.disconnecting.add(last)
                assert (await client.ask({"revoke_oauth_app": last}))["revoke_oauth_app"] == 1
                mine.disconnected.add(last)

    async def top_up(client: SocketClient) -> None:
        await client.authorize(mine.owner[mine.demo])
        while True:
            reply = await client.ask({"topup_virtual": 1})
            if "error" not in reply:
                mine.top_ups.append(reply["topup_virtual"]["amount"])
                acknowledged()

    async def watch(client: SocketClient) -> None:
        reply = await client.ask({"ticks": "1HZ100V", "subscribe": 1})
        while True:
            mine.latest = max(mine.latest, reply["tick"]["epoch"])
            reply = await client.next()

    def keep_withdrawing() -> None:
        while not over.is_set():
            mine.withdrawn.append(
                run_once(gateway.db, lambda transaction: withdraw(transaction, mine.demo))
            )

    async def until_the_end(
        client: SocketClient, job: Callable[..., Awaitable[None]], *arguments: str
    ) -> None:
        with contextlib.suppress(ConnectionError):
            await job(client, *arguments)

    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(gateway.connected()) for _ in range(5)]
        withdrawing = asyncio.create_task(asyncio.to_thread(keep_withdrawing))
        watching = asyncio.create_task(watch(clients[0]))
        try:
            await asyncio.gather(
                until_the_end(clients[1], make_tokens, mine.demo, "Demo"),
                until_the_end(clients[2], make_tokens, mine.real, "Real"),
                until_the_end(clients[3], manage_apps),
                until_the_end(clients[4], top_up),
            )
        finally:
            over.set()
            watching.cancel()
            await asyncio.gather(withdrawing, watching, return_exceptions=True)
    assert await asyncio.to_thread(gateway.process.wait, PATIENCE) == -signal.SIGKILL
    assert next(replies) > enough


async def everything_is_there(gateway: Served, mine: Round) -> None:
    """All that this round's clients were told, asked of the gateway."""
    for loginid, owner in mine.owner.items():
        async with gateway.connected() as client:
            await client.authorize(owner)
            reply = await client.ask({"api_token": 1})
            listed = {row["display_name"] for row in reply["api_token"]["tokens"]}
            told = {name for name, (account, _) in mine.made.items() if account == loginid}
            assert told - mine.deleting <= listed
            assert not listed & mine.deleted
            for name in told - mine.deleting:
                assert (await client.authorize(mine.made[name][1]))["loginid"] == loginid
    async with gateway.connected() as client:
        await client.authorize(mine.owner[mine.demo])
        kept = {app["app_id"] for app in (await client.ask({"app_list": 1}))["app_list"]}
        assert mine.registered <= kept
        linked = {app["app_id"] for app in (await client.ask({"oauth_apps": 1}))["oauth_apps"]}
        # What the kill has cut short may be done or not, and is then the same everywhere.
        assert mine.app_tokens.keys() - mine.disconnecting <= linked
        assert not linked & mine.disconnected
    for app_id, text in mine.app_tokens.items():
        async with gateway.connected(app_id=app_id) as client:
            if app_id in linked:
                assert (await client.authorize(text))["loginid"] == mine.demo
            else:
                assert await client.refused({"authorize": text}) == "InvalidToken"


def every_balance_is_the_sum_of_its_ledger(path: Path) -> None:
    assert stores.faults(path) == []
    with stores.snapshot(path) as db:
        balances = dict(db.execute("SELECT loginid, balance FROM accounts").fetchall())
        running: Counter[str] = Counter()
        for loginid, amount, after in db.execute(
            "SELECT loginid, amount, balance_after FROM ledger ORDER BY id"
        ):
            running[loginid] += amount
            assert running[loginid] == after
        assert dict(running) == balances


def every_entry_is_there(path: Path, mine: Round) -> None:
    with stores.snapshot(path) as db:
        rows = db.execute(
            "SELECT id, action, amount FROM ledger WHERE loginid = ?", [mine.demo]
        ).fetchall()
    assert set(mine.withdrawn) == {entry for entry, action, _ in rows if action == "withdrawal"}
    kept = Counter(amount / 100 for _, action, amount in rows if action == "virtual_credit")
    kept[ledger.opening_balance("USD") / 100] -= 1
    told = Counter(mine.top_ups)
    # One more may have been kept when the kill came before its reply.
    assert told <= kept
    assert kept.total() - told.total() in (0, 1)


@pytest.mark.parametrize("number", range(ROUNDS))
async def test_what_was_acknowledged_outlives_a_kill(
    gateway: Served, rounds: list[Round], number: int
) -> None:
    before = gateway.token
    mine = await begin(gateway)
    rounds.append(mine)
    await work_until_killed(gateway, mine, random.Random(number))
    assert mine.made
    assert mine.top_ups
    assert mine.withdrawn

    gateway.stop()  # it has ended: this closes what was open to it
    gateway.start()
    async with gateway.connected() as client:
        # A second of the market is a hundredth of one of ours: even the start took many.
        assert (await client.ask({"time": 1}))["time"] >= mine.latest
        assert await client.refused({"authorize": before}) == "InvalidToken"
    every_balance_is_the_sum_of_its_ledger(gateway.db)
    for earlier in rounds:
        every_entry_is_there(gateway.db, earlier)
        await everything_is_there(gateway, earlier)


async def test_a_market_of_real_time_that_was_hurried_does_not_go_back(tmp_path: Path) -> None:
    """A database that was made without a speed may be served with one: then it runs ahead."""
    run_once(
        tmp_path / "scopegate.db",
        lambda transaction: market_start.settle(
            transaction, market_start.foresee(transaction, seed="kill", start=None, speed=1)
        ),
    )
    with Served(tmp_path, "--speed", "10000") as hurried:
        async with hurried.connected() as client:
            begun = latest = (await client.ask({"time": 1}))["time"]
            # Asked, not streamed: nobody could read ten thousand ticks a second.
            while latest < begun + 5_000:
                latest = (await client.ask({"time": 1}))["time"]
            hurried.kill()
    with Served(tmp_path) as later:
        async with later.connected() as client:
            assert (await client.ask({"time": 1}))["time"] >= latest
