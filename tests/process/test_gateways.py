"""Several gateways serve one PostgreSQL database: to their clients they are one."""

import asyncio
import contextlib
import itertools
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from scopegate.exchange import ledger
from scopegate.gateway.access import tokens, users
from scopegate.handlers.exchange.exchange_scopes import SCOPES
from scopegate.store import postgresql as engine
from scopegate.store.transactions import Transaction
from tests import books, postgresql, stores
from tests.effort import cases
from tests.process.client_steps import (
    CALL,
    PLUGIN,
    check_done_once,
    check_one_market,
    code_form,
    connect_app,
    is_disconnected,
    posted,
    sell,
    until,
)
from tests.process.cluster import Gateways, ready
from tests.served import PATIENCE, Served, SocketClient
from tests.stalling_proxy import proxied

pytestmark = [
    pytest.mark.skipif(bool(postgresql.missing()), reason=postgresql.missing()),
    pytest.mark.sqlite,  # with its own databases, so it need not run on PostgreSQL once more
]

DAY = {**CALL, "amount": 1, "duration": 1, "duration_unit": "d"}
BUY = {"buy": 1, "price": 10, "parameters": DAY}


@contextlib.contextmanager
def gateways(folder: Path, count: int, *options: str) -> Iterator[Gateways]:
    """Gateways that have no reason to complain, until the block ends."""
    with Gateways(folder, postgresql.new_database(), "--seed", "gateways", *options) as made:
        for _ in range(count):
            made.add()
        yield made
        made.stop()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    with gateways(tmp_path_factory.mktemp("gateways"), 2) as made:
        yield made


# One account, one market.


@pytest.mark.lengthy
async def test_streams_of_both_gateways_get_each_entry_once_in_order(both: Gateways) -> None:
    async with both.signed_in() as clients:
        for client in clients:
            await client.ask({"transaction": 1, "subscribe": 1})
        replies = await asyncio.gather(*(client.ask(BUY) for client in clients * 20))
        bought = {reply["buy"]["transaction_id"] for reply in replies}
        seen = [
            [(await until(client, "transaction"))["transaction"]["transaction_id"] for _ in replies]
            for client in clients
        ]
        assert seen[0] == seen[1] == sorted(bought)
        balances = [(await client.ask({"balance": 1}))["balance"]["balance"] for client in clients]
        assert balances[0] == balances[1] == min(reply["buy"]["balance_after"] for reply in replies)


@pytest.mark.lengthy
async def test_a_contract_is_followed_and_sold_at_the_other_gateway(both: Gateways) -> None:
    async with both.signed_in() as (one, other):
        for client in (one, other):
            await client.ask({"transaction": 1, "subscribe": 1})
        contract_id = (await one.ask(BUY))["buy"]["contract_id"]
        await until(other, "transaction")
        sold = await sell(other, contract_id)
        assert sold["sell"]["contract_id"] == contract_id
        while (await until(one, "transaction"))["transaction"]["action"] != "sell":
            pass
        portfolio = (await one.ask({"portfolio": 1}))["portfolio"]["contracts"]
        assert contract_id not in {contract["contract_id"] for contract in portfolio}
        assert await one.refused({"sell": contract_id, "price": 0}) == "NoOpenPosition"


@pytest.mark.lengthy
async def test_a_keyed_request_that_is_sent_to_both_is_done_once(both: Gateways) -> None:
    async with both.signed_in() as clients:
        await check_done_once(clients)


async def new_token(client: SocketClient, name: str) -> str:
    """A token that the owner creates, for reading and trading."""
    made = await client.ask(
        {"api_token": 1, "new_token": name, "new_token_scopes": ["read", "trade"]}
    )
    [token] = [
        each["token"] for each in made["api_token"]["tokens"] if each["display_name"] == name
    ]
    return str(token)


async def test_a_revocation_reaches_the_other_gateway_before_its_reply(both: Gateways) -> None:
    async with both.one_of_each() as (one, other):
        await one.authorize(both.token)
        for number in range(4):
            token = await new_token(one, f"Revoked {number}")
            await other.authorize(token)
            await other.ask({"balance": 1, "subscribe": 1})
            await one.ask({"api_token": 1, "delete_token": token})
            assert await other.refused({"balance": 1}) == "AuthorizationRequired"
            assert (await until(other, "balance"))["error"]["code"] == "InvalidToken"
            assert await other.refused({"authorize": token}) == "InvalidToken"


async def test_the_owner_disconnects_an_app_of_the_other_gateway(both: Gateways) -> None:
    first, second = both.each
    async with (
        first.connected(origin=Origin(first.page.rstrip("/"))) as owner,
        second.connected(origin=Origin(second.page.rstrip("/"))) as page,
    ):
        app_id, token = await connect_app(owner, page, first.loginids[:1])
        async with second.connected(app_id=app_id) as app:
            await is_disconnected(owner, app, app_id, token)


async def test_a_code_is_exchanged_once_at_whichever_gateway(both: Gateways) -> None:
    first, second = both.each
    async with first.connected(origin=Origin(first.page.rstrip("/"))) as owner:
        form = await code_form(owner, first.loginids[:1])
    statuses = await asyncio.gather(
        *(asyncio.to_thread(posted, served.page, form) for served in (first, second) * 4)
    )
    assert sorted(statuses)[:2] == [200, 400]


async def test_apps_use_the_oauth_endpoints_of_either_gateway(both: Gateways) -> None:
    """What one has acknowledged, the other one's connections have noticed."""
    first, second = both.each

    async def ask(served: Served, path: str, **form: Any) -> dict[str, Any]:
        async with httpx2.AsyncClient(trust_env=False) as client:
            response = await client.post(f"{served.page}oauth2/{path}", data=form)
        reply: dict[str, Any] = response.json()
        return reply

    async with first.connected(origin=Origin(first.page.rstrip("/"))) as owner:
        form = await code_form(owner, first.loginids[:1], "Refreshing app")
        app_id = form["client_id"]
        got = await ask(second, "token", **form)
        changed = await owner.ask({"app_secret": 1, "app_id": app_id, "action": "create"})
    shown = {"client_id": app_id, "client_secret": changed["app_secret"]["client_secret"]}
    refresh = {**shown, "grant_type": "refresh_token", "refresh_token": got["refresh_token"]}
    renewed = await ask(first, "token", **refresh)
    status = await ask(second, "introspect", **shown, token=renewed["access_token"])
    assert status["active"] is True
    async with first.connected(app_id=app_id) as old, first.connected(app_id=app_id) as new:
        await old.authorize(got["access_token"])
        await new.authorize(renewed["access_token"])
        assert await ask(second, "revoke", **shown, token=got["access_token"]) == {}
        assert await old.refused({"balance": 1}) == "AuthorizationRequired"
        assert "error" not in await new.ask({"balance": 1})
        again = await ask(second, "token", **refresh)  # a second use
        assert again["error"] == "invalid_grant"
        assert await new.refused({"balance": 1}) == "AuthorizationRequired"


@pytest.mark.lengthy
async def test_a_gateway_that_joins_later_is_at_the_same_time(tmp_path: Path) -> None:
    with gateways(tmp_path, 1, "--start", "2026-01-01", "--speed", "20") as made:
        async with made.each[0].connected() as client:
            await client.ask({"ticks": "R_100"})
            for _ in range(20):
                await until(client, "tick")
        made.add()
        async with made.one_of_each() as clients:
            await check_one_market(clients)


@pytest.mark.lengthy
async def test_gateways_that_start_at_the_same_time_are_one(tmp_path: Path) -> None:
    """On a new database: they have one market, and each one's demo token is valid at all."""
    with Gateways(tmp_path, postgresql.empty_database(), "--speed", "20") as made:
        await asyncio.gather(*(asyncio.to_thread(made.add) for _ in range(3)))
        assert len({tuple(served.loginids) for served in made.each}) == 1
        async with made.one_of_each() as clients:
            for client in clients:
                for served in made.each:
                    await client.authorize(served.token)
            await check_one_market(clients)
        made.stop()


@pytest.mark.lengthy
async def test_a_purchase_never_enters_at_a_tick_that_another_gateway_has_sent(
    both: Gateways,
) -> None:
    async with both.signed_in() as (one, other):
        await one.ask({"ticks": "1HZ100V"})
        for _ in range(4):
            seen = (await until(one, "tick"))["tick"]["epoch"]
            bought = await other.ask(BUY | {"parameters": DAY | {"symbol": "1HZ100V"}})
            assert bought["buy"]["start_time"] >= seen  # the entry tick follows the start


@pytest.mark.lengthy
async def test_a_trade_that_had_to_wait_is_made_at_the_time_and_price_of_its_turn(
    both: Gateways,
) -> None:
    """Otherwise its owner, who can revoke the token meanwhile, could know the tick that decides."""
    async with both.signed_in() as (one, other):
        bought = await other.ask(BUY)
        await one.ask({"ticks": "1HZ100V"})
        await other.ask({"transaction": 1, "subscribe": 1})
        contract_id = bought["buy"]["contract_id"]
        for request in (BUY, {"sell": contract_id, "price": 0}):
            with closing(stores.opened(both.server)) as connection, connection.writing():
                waiting = asyncio.ensure_future(other.ask(request))
                for _ in range(2):
                    seen = (await until(one, "tick"))["tick"]["epoch"]
                    connection.execute("SELECT 1")  # a session that does nothing is ended
                assert not waiting.done()
            assert "error" not in await waiting
            entry = (await until(other, "transaction"))["transaction"]
            assert entry["transaction_time"] >= seen


async def settled(client: SocketClient, opened: set[int]) -> None:
    """Wait until each of these contracts was settled, once."""
    found: list[int] = []
    while len(found) < len(opened):
        entry = (await until(client, "transaction"))["transaction"]
        if entry["action"] == "sell":
            found.append(entry["contract_id"])
    assert sorted(found) == sorted(opened)


@pytest.mark.lengthy
@pytest.mark.parametrize("killed", cases([None, 0, 1], [None, 0]))
async def test_contracts_are_settled_once_whichever_gateway_is_left(
    tmp_path: Path, killed: int | None
) -> None:
    with Gateways(tmp_path, postgresql.new_database(), "--speed", "20", "--seed", "x") as made:
        for _ in range(2):
            made.add()
        watcher = made.each[1 if killed == 0 else 0]
        async with made.signed_in() as clients, watcher.connected() as client:
            await client.authorize(made.token)
            await client.ask({"transaction": 1, "subscribe": 1})
            opened: set[int] = set()
            for loginid, buyer in itertools.product(made.each[0].loginids[:1], clients * 5):
                ticks = {"duration": 5, "duration_unit": "t"}
                order = {"buy": 1, "price": 10, "parameters": DAY | ticks, "loginid": loginid}
                opened.add((await buyer.ask(order))["buy"]["contract_id"])
            if killed is not None:
                made.each[killed].kill()
            await settled(client, opened)
            assert (await client.ask({"portfolio": 1}))["portfolio"]["contracts"] == []
        for number, served in enumerate(made.each):
            assert number == killed or served.stop() == 0
    assert engine.run_once(made.server, books.mistakes) == []


RACES = int(os.environ.get("RACES", "1000"))
"""How many requests race in the suite. The long form is `RACES=10000 pytest -k racing`."""
MULTIPLIER = {
    "contract_type": "MULTUP",
    "symbol": "1HZ100V",
    "multiplier": 400,
    "cancellation": "5m",
    "currency": "USD",
    "basis": "stake",
    "amount": 5,
}
RACE_REFUSALS = {
    *("InsufficientBalance", "InvalidSellContractProposal", "NoOpenPosition"),
    *("OpenPositionLimitExceeded", "TransferBetweenAccountsError"),
}
"""The errors of who was late, wants a sale before the first tick, or has reached a limit."""


@pytest.mark.lengthy
async def test_racing_trades_on_few_accounts_leave_exact_sums(tmp_path: Path) -> None:
    """From three gateways: no balance is negative, and no client gets an error of the database."""

    def ten_accounts(transaction: Transaction) -> dict[str, str]:
        user_id = users.create(transaction, "racer@example.com")
        ledger.open_with_balance(transaction, user_id, virtual=(False,) * 10, at=0)
        return {
            account.loginid: tokens.create(
                transaction, tokens.NewToken(account.loginid, "Racer", SCOPES)
            )
            for account in ledger.accounts(transaction, user_id)
        }

    with gateways(tmp_path, 3, "--speed", "20") as made:
        held = engine.run_once(made.server, ten_accounts)
        assert len(held) == 10
        chance = random.Random(5)
        told: dict[int, int] = {}
        """The balance after each entry, in cents."""
        errors: Counter[str] = Counter()
        kinds: Counter[str] = Counter()
        left = iter(range(RACES))
        open_ones: list[tuple[str, tuple[int, bool]]] = []
        """Contracts by account, which several clients try to close, and whether to cancel them."""

        def request(loginid: str) -> dict[str, Any]:
            what = chance.random()
            if what < 0.2:
                other = chance.choice([each for each in held if each != loginid])
                amount = chance.choice((1, 5_000))  # the larger one is often too much
                transfer = {"transfer_between_accounts": 1, "account_from": loginid}
                return transfer | {"account_to": other, "amount": amount, "currency": "USD"}
            mine = [contract for owner, contract in open_ones if owner == loginid]
            if what < 0.6 and mine:
                number, can_be_cancelled = chance.choice(mine[:10])
                return {"cancel": number} if can_be_cancelled else {"sell": number, "price": 0}
            return BUY if what < 0.8 else {"buy": 1, "price": 10, "parameters": MULTIPLIER}

        async def race(client: SocketClient, loginid: str) -> None:
            await client.authorize(held[loginid])
            for _ in left:
                asked = request(loginid)
                reply = await client.ask(asked)
                kind = reply["msg_type"]
                if "error" in reply:
                    errors[reply["error"]["code"]] += 1
                    continue
                kinds[kind] += 1
                if kind == "buy":
                    can_be_cancelled = asked["parameters"] is MULTIPLIER
                    open_ones.append((loginid, (reply["buy"]["contract_id"], can_be_cancelled)))
                elif kind in ("sell", "cancel"):
                    open_ones.remove((loginid, (asked[kind], kind == "cancel")))
                if kind != "transfer_between_accounts":
                    told[reply[kind]["transaction_id"]] = round(reply[kind]["balance_after"] * 100)

        async with (
            made.one_of_each() as one,
            made.one_of_each() as two,
            made.one_of_each() as three,
        ):
            owners = itertools.cycle(held)
            racing = [race(client, next(owners)) for client in (*one, *two, *three)]
            # Two of them at different gateways share each of the first accounts.
            async with made.one_of_each() as further:
                await asyncio.gather(*racing, *(map(race, reversed(further), held)))
        assert set(errors) <= RACE_REFUSALS, errors
        assert kinds.keys() == {"buy", "sell", "cancel", "transfer_between_accounts"}

    def check(reader: Transaction) -> list[str]:
        rows = reader.all("SELECT id, balance_after FROM ledger")
        entries = {row["id"]: row["balance_after"] for row in rows}
        wrong = [
            f"entry {number} was told as {told[number]}"
            for number in told
            if entries.get(number) != told[number]
        ]
        return [*books.mistakes(reader), *wrong]

    assert engine.run_once(made.server, check) == []


# Releases.


NEXT_RELEASE = """
from scopegate import cli
from scopegate.store import migrating
known = migrating._steps
migrating._steps = lambda folder: [*known(folder), "ALTER TABLE contracts ADD COLUMN note TEXT;"]
cli.main()
"""
"""This release with a migration more, which adds a column."""


@pytest.mark.lengthy
async def test_two_neighbouring_releases_serve_together(tmp_path: Path) -> None:
    """One gateway after the other is upgraded, and one may go back."""
    with Gateways(tmp_path, postgresql.new_database(), "--seed", "releases") as made:
        old = made.add()
        new = made.add()
        assert new.stop() == 0
        new.program = (sys.executable, "-c", NEXT_RELEASE)
        new.start()
        async with made.signed_in() as clients:
            for client in clients:
                await client.ask({"transaction": 1, "subscribe": 1})
            for client in clients:
                number = (await client.ask(BUY))["buy"]["contract_id"]
                for each in clients:
                    told = (await until(each, "transaction"))["transaction"]
                    assert told["contract_id"] == number
        assert old.stop() == 0
        old.start()
        async with made.one_of_each() as clients:
            for client in clients:
                await client.authorize(made.token)
                assert len((await client.ask({"portfolio": 1}))["portfolio"]["contracts"]) == 2
        made.stop()


# Limits.


@pytest.mark.lengthy
async def test_connections_at_both_gateways_are_counted_together(tmp_path: Path) -> None:
    with gateways(tmp_path, 2, "--connections-per-address", "6") as made:
        first, second = made.each
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(served.connected())
                for served in (first, second) * 3
            ]
            await clients[0].ask({"ticks": "1HZ100V"})
            for _ in range(2):
                await until(clients[0], "tick")
            with pytest.raises(InvalidStatus, match="429"):
                await stack.enter_async_context(second.connected())


@pytest.mark.lengthy
async def test_messages_and_wrong_tokens_are_counted_together(tmp_path: Path) -> None:
    with gateways(tmp_path, 2, "--messages-per-minute", "60") as made:
        async with made.one_of_each() as (one, other):
            await other.ask({"ticks": "1HZ100V"})
            for number in range(5):
                assert await one.refused({"authorize": f"{number:015}"}) == "InvalidToken"
            await until(other, "tick")
            await until(other, "tick")
            assert await other.refused({"authorize": "0" * 15}) == "RateLimit"
            for _ in range(70):
                await one.ask({"ping": 1})
            for _ in range(8):  # counts are exchanged several times a second
                await until(other, "tick")
                reply = await other.ask({"ping": 1})
                if "error" in reply:
                    break
            assert reply["error"]["code"] == "RateLimit"


# Gateways that are late.


@pytest.mark.lengthy
async def test_a_gateway_that_was_stopped_acts_on_nothing_that_it_missed(tmp_path: Path) -> None:
    """What its clients sent meanwhile is refused, not done for a token that was revoked."""
    with Gateways(tmp_path, postgresql.new_database(), "--seed", "stopped") as made:
        first, second = made.add(), made.add()
        async with made.one_of_each() as (owner, bot):
            await owner.authorize(made.token)
            token = await new_token(owner, "Bot")
            await bot.authorize(token)
            bought = (await bot.ask(BUY))["buy"]["transaction_id"]
            os.kill(second.process.pid, signal.SIGSTOP)
            waiting = [asyncio.create_task(bot.ask(BUY)) for _ in range(5)]
            await owner.ask({"api_token": 1, "delete_token": token})
            await owner.ask({"ticks": "1HZ100V"})
            await until(owner, "tick")  # it has known nothing for longer than it may
            await until(owner, "tick")
            os.kill(second.process.pid, signal.SIGCONT)
            codes = {(await each)["error"]["code"] for each in waiting}
            assert codes <= {"StorageUnavailable", "AuthorizationRequired", "InvalidToken"}
            statement = (await owner.ask({"statement": 1}))["statement"]["transactions"]
            assert statement[0]["transaction_id"] == bought
            async with asyncio.timeout(PATIENCE):  # and then it serves again
                while (await bot.ask({"authorize": made.token})).get("error"):
                    pass
            assert "error" not in await bot.ask(BUY)
        assert first.stop() == 0
        assert second.stop() == 0


@pytest.mark.lengthy
async def test_a_gateway_without_its_database_says_so_and_recovers(tmp_path: Path) -> None:
    server = postgresql.new_database()
    name = server.url.split("@/")[1].split("?")[0]
    async with proxied(postgresql.shared().port) as (proxy, port):
        with Gateways(tmp_path, server, "--seed", "partitioned") as made:
            first = await asyncio.to_thread(made.add)
            partitioned = await asyncio.to_thread(
                made.add, postgresql.shared().over_tcp(name, port)
            )
            async with made.signed_in() as (owner, bot):
                assert await asyncio.to_thread(ready, partitioned) == (200, b"ready\n")
                token = await new_token(owner, "Bot")
                await bot.authorize(token)
                await bot.ask({"ticks": "1HZ100V"})
                proxy.stall()
                await owner.ask({"api_token": 1, "delete_token": token})
                await until(bot, "tick")
                await until(bot, "tick")  # public ticks go on
                for request in (BUY, {"balance": 1}, {"authorize": token}):
                    assert await bot.refused(request) == "StorageUnavailable"
                status, body = await asyncio.to_thread(ready, partitioned)
                assert status == 503
                assert b"out of date" in body or b"database" in body
                assert await asyncio.to_thread(ready, first) == (200, b"ready\n")
                proxy.go_on()
                async with asyncio.timeout(PATIENCE):
                    while (await asyncio.to_thread(ready, partitioned))[0] != 200:
                        pass
                assert await bot.refused(BUY) == "AuthorizationRequired"
                await bot.authorize(made.token)
                assert "error" not in await bot.ask({"statement": 1})
            # In threads, because the proxy runs here.
            for served in made.each:
                assert await asyncio.to_thread(served.stop) == 0


# Gateways that cannot join.


def refusal(made: Gateways, *options: str, program: Sequence[str] = ()) -> str:
    """Why a further gateway does not start."""
    folder = made.folder / "refused"
    folder.mkdir(exist_ok=True)
    location = ("--store", made.server.url, "--store-unsafe")
    late = Served(folder, *location, *options)
    if program:
        late.program = tuple(program)
    with pytest.raises(AssertionError), late:
        pass
    return late.stderr


async def test_a_gateway_with_another_market_is_refused(tmp_path: Path) -> None:
    with gateways(tmp_path, 1, "--speed", "20") as made:
        assert "speed: the other gateways of this database run at speed 20" in refusal(made)
        assert "seed: this database has another seed" in refusal(made, "--seed", "other")


@pytest.mark.lengthy
async def test_a_gateway_whose_clock_is_wrong_is_refused(tmp_path: Path) -> None:
    ahead = "import time; real = time.time; time.time = lambda: real() + 0.5;"
    program = (sys.executable, "-c", f"{ahead} from scopegate import cli; cli.main()")
    with gateways(tmp_path, 1) as made:
        said = refusal(made, program=program)
        assert "clock of this machine is +0.5 s off" in said
        assert "NTP" in said


@pytest.mark.lengthy
async def test_a_plugin_that_does_not_state_that_it_can_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "own.py").write_text(PLUGIN)
    with Gateways(tmp_path, postgresql.new_database(), "--handlers", "own") as made:
        made.add()  # alone it serves
        assert "own does not state that it works in several processes" in refusal(
            made, "--handlers", "own"
        )
