"""Three gateways behind a load balancer, under load, while something fails in every round.

A gateway is killed, one is stopped, the database server is restarted, or a gateway is cut off from
it. Meanwhile clients trade, transfer and copy, and a token is revoked that is in use at every
gateway. Afterwards nothing that was acknowledged is missing, what was due is settled once, the
books agree, and nothing was committed for the token. That the rounds find what they are there for
is shown with faulty gateways (`cluster_mutants.py`).

There are few rounds in the suite, with shorter faults, and one faulty gateway. The long form, of
half an hour, is

    CLUSTER_ROUNDS=200 python -m pytest tests/process/test_cluster.py
"""

import asyncio
import contextlib
import itertools
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from websockets.exceptions import InvalidHandshake

from scopegate.exchange import ledger
from scopegate.gateway.access import tokens, users
from scopegate.store.transactions import Transaction
from tests import postgresql, stores
from tests.browser.tools import missing
from tests.clients import conftest as client_environment
from tests.effort import LONG
from tests.process import cluster as cluster_module
from tests.process import cluster_mutants
from tests.process.client_steps import CALL, until
from tests.process.cluster import Cluster
from tests.process.trade_checks import SEED, stored_time, violations
from tests.process.traders import (
    Told,
    Traders,
    all_tick_contracts_end,
    begin_copying,
    begin_trading,
)
from tests.served import Served, SocketClient, printed
from tests.stalling_proxy import Proxy, proxied

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),  # the proxy runs as long as its gateway
    pytest.mark.skipif(bool(cluster_module.missing()), reason=cluster_module.missing()),
    pytest.mark.sqlite,  # with its own server, so it need not run on PostgreSQL once more
]

FAULTS = ("killed", "stopped", "restarted", "crashed", "cut off")
ROUNDS = int(os.environ.get("CLUSTER_ROUNDS", len(FAULTS)))
MUTANT_ROUNDS = 8
"""In so many rounds at the most a mutant must be found."""
SPEED = 50
OPTIONS = ("--seed", SEED, "--start", "2026-01-01T12:00", "--speed", str(SPEED))
IS_LONG = LONG or len(FAULTS) < ROUNDS
FAULT_SECONDS = dict.fromkeys(FAULTS, 1.5) | {"stopped": 10 if IS_LONG else 3, "cut off": 3}
"""How long each fault lasts."""
LASTING = ("MULTUP", "MULTDOWN")
"""The contracts that clients leave open."""
MAX_LEFT = 20
"""So many of them stay open from one round to the next."""
UNSOLD = {"InvalidSellContractProposal", "NoOpenPosition"}
MIN_BALANCE = 500_000
"""Less than this, in smallest units, is not enough for a round."""
TOLD_SECONDS = 0.5
"""After so many seconds no gateway answers a client whose token was revoked."""
_numbers = itertools.count()
TOKEN_ERRORS = {"AuthorizationRequired", "InvalidToken"}
"""The errors after which a client is signed in no more."""
RETRY_ERRORS = {"StorageUnavailable", "StorageBusy", "Timeout"}
"""The errors after which a client connects anew, perhaps to another gateway."""
PATIENCE_FOR_DUE = 150
"""Tenths of a second until all is settled that is due: the stored time is some seconds ahead."""
CONNECTION_ERRORS = (ConnectionError, OSError, InvalidHandshake, TimeoutError)


@dataclass
class Scene:
    """A cluster, what its clients were told, and what can fail of it."""

    cluster: Cluster
    server: postgresql.PostgresqlServer
    proxy: Proxy
    told: Told
    transfers: set[int] = field(default_factory=set)
    """The ids of the entries of transfers that were acknowledged."""
    streamed: list[list[int]] = field(default_factory=list)
    """The ids of entries that each stream of the richer account has sent, in their order."""


@asynccontextmanager
async def opened(folder: Path, *program: str) -> AsyncIterator[Scene]:
    """A cluster in which clients have accounts, perhaps of another program than ours."""
    with postgresql.server_of_its_own(fsync="off", full_page_writes="off") as server:
        database = server.create("cluster")
        async with proxied(server.port) as (proxy, port):
            with Cluster(folder, database, *OPTIONS) as cluster:
                cluster.program = program
                for _ in range(2):
                    await asyncio.to_thread(cluster.add)
                await asyncio.to_thread(cluster.add, server.over_tcp("cluster", port))
                cluster.start_balancer()
                await asyncio.to_thread(cluster.wait_until_ready)
                told = await asyncio.to_thread(begin_trading, cluster)
                await begin_copying(cluster, told)
                yield Scene(cluster, server, proxy, told)
                for served in cluster.each:
                    assert await asyncio.to_thread(served.stop) == 0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with opened(tmp_path_factory.mktemp("cluster")) as made:
        yield made


# The load.


async def keep(
    gateway: Cluster | Served, job: Callable[..., Awaitable[None]], *arguments: Any
) -> None:
    """Do a client's job, over a new connection whenever the last one is lost or of no use."""
    while True:
        with contextlib.suppress(*CONNECTION_ERRORS):
            async with gateway.connected() as client:
                await job(client, *arguments)


async def ask(client: SocketClient, request: dict[str, Any]) -> dict[str, Any]:
    """A reply; `ConnectionError` if it says that this gateway is of no use at present."""
    reply = await client.ask(request)
    if "error" in reply and reply["error"]["code"] in RETRY_ERRORS:
        raise ConnectionError(reply["error"]["code"])
    return reply


async def transfer(client: SocketClient, scene: Scene) -> None:
    """Send money from one account to the other and back."""
    rich, poor = scene.told.tokens
    await ask(client, {"authorize": scene.told.tokens[rich]})
    for source, target in itertools.cycle([(rich, poor), (poor, rich)]):
        request = {"transfer_between_accounts": 1, "account_from": source, "account_to": target}
        reply = await ask(client, request | {"amount": 1, "currency": "USD"})
        if "error" not in reply:
            scene.transfers.add(reply["transaction_id"])


async def watch(client: SocketClient, scene: Scene) -> None:
    """Follow the stream of the richer account's transactions."""
    await ask(client, {"authorize": next(iter(scene.told.tokens.values()))})
    await ask(client, {"transaction": 1, "subscribe": 1})
    seen: list[int] = []
    scene.streamed.append(seen)
    while True:
        message = await client.next()
        if "error" in message:
            raise ConnectionError(message["error"]["code"])
        seen.append(message["transaction"]["transaction_id"])


@asynccontextmanager
async def load(scene: Scene, chance: random.Random) -> AsyncIterator[None]:
    """Clients that trade until the block ends; what they were told is noted."""
    traders = Traders(scene.told, chance, lost=RETRY_ERRORS)
    rich, poor = scene.told.tokens
    jobs: list[tuple[Any, ...]] = [
        (traders.buy_ticks, rich, 1),
        (traders.buy_ticks, poor, 3),
        (traders.multiply, rich),
        (traders.sell_early, rich),
        (traders.accumulate, rich),
        (transfer, scene),
    ]
    running = [
        *(asyncio.create_task(keep(scene.cluster, *job)) for job in jobs),
        *(asyncio.create_task(keep(served, watch, scene)) for served in scene.cluster.each),
    ]
    try:
        yield
        for task in running:  # they end with the block alone
            assert not task.done(), task.exception()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def market_seconds(client: SocketClient, seconds: float) -> None:
    """Follow public ticks for so many real seconds: they go on whatever happens."""
    for _ in range(round(seconds * SPEED)):
        await until(client, "tick")


# A token that is revoked meanwhile.


@dataclass
class Revoked:
    """What clients with a token were told."""

    bought: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once something was bought with it."""
    acknowledged: asyncio.Event = field(default_factory=asyncio.Event)
    bought_after: list[int] = field(default_factory=list)
    """Contracts that were asked for after the acknowledgement, and bought. There must be none."""


async def trade_until_refused(client: SocketClient, token: str, revoked: Revoked) -> None:
    """Buy until the token is refused, or the connection ends."""
    order = {"buy": 1, "price": 10, "parameters": {**CALL, "amount": 1, "duration": 5}}
    order["parameters"]["duration_unit"] = "t"
    with contextlib.suppress(*CONNECTION_ERRORS):
        await client.ask({"ticks": "1HZ100V", "subscribe": 1})
        while True:
            was_acknowledged = revoked.acknowledged.is_set()
            reply = await client.ask(order)
            if "error" not in reply:
                revoked.bought.set()
                if was_acknowledged:
                    revoked.bought_after.append(reply["buy"]["contract_id"])
            elif reply["error"]["code"] in TOKEN_ERRORS:
                return
            else:
                # Contracts of a gateway that has ended are settled two seconds later.
                code = reply["error"]["code"]
                assert code in {*RETRY_ERRORS, "OpenPositionLimitExceeded"}, reply["error"]
                await until(client, "tick")


async def is_served(client: SocketClient) -> bool:
    """Whether a client that is signed in with the token, and asked for nothing, gets anything."""
    with contextlib.suppress(*CONNECTION_ERRORS):
        reply = await client.ask({"portfolio": 1})  # answered from memory
        return "error" not in reply or reply["error"]["code"] not in TOKEN_ERRORS | RETRY_ERRORS
    return False


async def revoke(scene: Scene, admin: str, token: str) -> None:
    """Revoke a token; return once that is acknowledged."""
    while True:
        with contextlib.suppress(*CONNECTION_ERRORS):
            # A reply takes half a second while a gateway is away; without one, another is tried.
            async with asyncio.timeout(2 * TOLD_SECONDS), scene.cluster.connected() as owner:
                await ask(owner, {"authorize": admin})
                reply = await ask(owner, {"api_token": 1, "delete_token": token})
                # If the last attempt had no answer, it may have been successful.
                assert "error" not in reply or reply["error"]["code"] == "APITokenError", reply
                return


def contracts_of(scene: Scene, loginid: str) -> list[int]:
    with stores.snapshot(scene.cluster.db) as db:
        query = "SELECT id FROM contracts WHERE loginid = ? ORDER BY id"
        return [row["id"] for row in db.execute(query, [loginid])]


async def signed_in(served: Served, token: str, stack: AsyncExitStack) -> SocketClient:
    """A client of this gateway, connected until the stack ends."""
    while True:
        with contextlib.suppress(*CONNECTION_ERRORS):
            client = await stack.enter_async_context(served.connected())
            await ask(client, {"authorize": token})
            return client


async def revoke_amid(scene: Scene) -> Callable[[], Coroutine[Any, Any, list[str]]]:
    """Use a token at every gateway; what is returned revokes it, and checks what follows."""

    def new_tokens(transaction: Transaction) -> tuple[str, str, str]:
        user_id = users.create(transaction, f"{next(_numbers)}@example.com")
        ledger.open_with_balance(transaction, user_id, virtual=(True,), at=0)
        [account] = ledger.accounts(transaction, user_id)
        admin = tokens.NewToken(account.loginid, "Owner", ["admin"])
        bot = tokens.NewToken(account.loginid, "Bot", ["read", "trade"])
        return account.loginid, *(tokens.create(transaction, each) for each in (admin, bot))

    loginid, admin, token = await asyncio.to_thread(stores.run_once, scene.cluster.db, new_tokens)
    revoked = Revoked()
    stack = AsyncExitStack()
    buyers, idle = [
        [await signed_in(served, token, stack) for served in scene.cluster.each] for _ in range(2)
    ]
    trading = [asyncio.create_task(trade_until_refused(each, token, revoked)) for each in buyers]
    await revoked.bought.wait()

    async def check() -> list[str]:
        async with stack, scene.cluster.each[0].connected() as public:
            await revoke(scene, admin, token)
            revoked.acknowledged.set()
            bought = contracts_of(scene, loginid)
            await public.ask({"ticks": "1HZ100V", "subscribe": 1})
            await market_seconds(public, TOLD_SECONDS)
            served = await asyncio.gather(*map(is_served, idle))
            await asyncio.gather(*trading)
            assert bought, "nothing was bought with the token"
            after = {*contracts_of(scene, loginid)} - {*bought} | {*revoked.bought_after}
            return [
                *(f"revoked: {number} was bought afterwards" for number in after),
                *(f"revoked: gateway {n} serves its client" for n, is_ in enumerate(served) if is_),
            ]

    return check


# What fails.


@asynccontextmanager
async def failing(scene: Scene, fault: str, victim: int) -> AsyncIterator[None]:
    """Something fails until the block ends."""
    served = scene.cluster.each[victim]
    match fault:
        case "killed":
            await asyncio.to_thread(served.kill)
            yield
            await asyncio.to_thread(served.start)
        case "stopped":
            os.kill(served.process.pid, signal.SIGSTOP)
            try:
                yield
            finally:
                os.kill(served.process.pid, signal.SIGCONT)
        case "restarted" | "crashed":
            by = signal.SIGINT if fault == "restarted" else signal.SIGQUIT
            await asyncio.to_thread(scene.server.stop, by)
            yield
            await asyncio.to_thread(scene.server.start)
        case "cut off":
            scene.proxy.stall()
            try:
                yield
            finally:
                scene.proxy.go_on()


async def make_room(scene: Scene) -> None:
    """Close what was left open for long, and give back what was lost, to the richer account.

    Hundreds of rounds would use up its open positions, and then nothing is bought any more.
    """
    rich = next(iter(scene.told.tokens))
    async with scene.cluster.each[0].connected() as client:
        await client.authorize(scene.told.tokens[rich])
        held = (await client.ask({"portfolio": 1}))["portfolio"]["contracts"]
        lasting = [each["contract_id"] for each in held if each["contract_type"] in LASTING]
        for contract_id in lasting[:-MAX_LEFT]:
            reply = await client.ask({"sell": contract_id, "price": 0})
            assert "error" not in reply or reply["error"]["code"] in UNSOLD, reply["error"]

    def job(transaction: Transaction) -> None:
        if ledger.account(transaction, rich).balance < MIN_BALANCE:
            ledger.set_balance(transaction, rich, "deposit", 2 * MIN_BALANCE, at=0)

    await asyncio.to_thread(stores.run_once, scene.cluster.db, job)


async def live_through(scene: Scene, fault: str, chance: random.Random) -> list[str]:
    """Let something fail under load; what is wrong afterwards."""
    victim = 2 if fault == "cut off" else chance.choice((1, 2))  # the first one has the public
    cluster, told = scene.cluster, scene.told
    await make_room(scene)
    before = len(told.bought)
    async with cluster.each[0].connected() as public:
        await public.ask({"ticks": "1HZ100V", "subscribe": 1})
        async with load(scene, chance):
            check = await revoke_amid(scene)
            await market_seconds(public, 0.5)
            async with asyncio.TaskGroup() as checking:
                async with failing(scene, fault, victim):
                    of_token = checking.create_task(check())
                    await market_seconds(public, FAULT_SECONDS[fault])
                due = stored_time(cluster.db)
                await asyncio.to_thread(cluster.wait_until_ready)
        assert len(told.bought) > before
        missed: list[str] = []
        try:
            await all_tick_contracts_end(cluster, told)
        except TimeoutError:
            missed.append("stream: a gateway does not say that a contract has ended")
        # In threads, because the proxy runs here.
        found = await asyncio.to_thread(violations, cluster.db, told, due=due)
        for _ in range(PATIENCE_FOR_DUE):
            if not any(each.startswith("due: ") for each in found):
                break
            await market_seconds(public, 0.1)
            found = await asyncio.to_thread(violations, cluster.db, told, due=due)
    found += missed + of_token.result()
    found += wrong_streams(scene)
    scene.streamed.clear()
    return found


def wrong_streams(scene: Scene) -> Iterator[str]:
    """What streams have left out, sent twice, sent in another order, or sent though it is not."""
    with stores.snapshot(scene.cluster.db) as db:
        rows = db.execute("SELECT id, loginid FROM ledger ORDER BY id").fetchall()
    rich = next(iter(scene.told.tokens))
    entries = [row["id"] for row in rows if row["loginid"] == rich]
    for seen in filter(None, scene.streamed):
        expected = [entry for entry in entries if seen[0] <= entry <= seen[-1]]
        if seen != expected:
            lacks, more = set(expected) - set(seen), set(seen) - set(expected)
            yield f"stream: lacks {sorted(lacks)}, has {sorted(more)} that are not, of {len(seen)}"
    yield from (
        f"transfer: {id_} is not there" for id_ in scene.transfers - {r["id"] for r in rows}
    )


@pytest.mark.lengthy
@pytest.mark.parametrize("number", range(ROUNDS))
async def test_nothing_acknowledged_is_lost(scene: Scene, number: int) -> None:
    fault = FAULTS[number % len(FAULTS)]
    assert await live_through(scene, fault, random.Random(number)) == []
    assert scene.transfers


MUTANTS = {
    cluster_mutants.reply_before_commit: ("killed", "acknowledged: "),
    cluster_mutants.announced_before_commit: ("killed", "stream: "),
    # What a gateway that runs is doing for the token is cancelled when the token is revoked.
    cluster_mutants.token_checked_beforehand: ("stopped", "revoked: "),
    cluster_mutants.ids_before_the_lock: ("restarted", "stream: "),
    cluster_mutants.no_turns: ("restarted", ""),
    cluster_mutants.never_out_of_date: ("cut off", "revoked: "),
}


LAST_MUTANT = list(MUTANTS)[-1]


@pytest.mark.lengthy
@pytest.mark.parametrize("mutant", list(MUTANTS) if IS_LONG else [LAST_MUTANT])
async def test_a_round_finds_gateways_with(mutant: Callable[[], None], tmp_path: Path) -> None:
    fault, kind = MUTANTS[mutant]
    program = (sys.executable, str(cluster_mutants.__file__), mutant.__name__)
    async with opened(tmp_path, *program) as scene:
        found: list[str] = []
        for number in range(MUTANT_ROUNDS):
            found = await live_through(scene, fault, random.Random(number))
            if found:
                break
        assert found
        assert any(each.startswith(kind) for each in found), found


async def test_a_published_client_goes_on_though_its_connection_is_cut(scene: Scene) -> None:
    """Every call comes over a new connection, which the balancer gives to any gateway."""
    if not (client_environment.HOME / "made").exists():
        missing(".venv-deriv-client is missing: make test makes it")
    await asyncio.to_thread(scene.cluster.wait_until_ready)
    address = scene.cluster.url.removesuffix("/websockets/v3")
    program = client_environment.HERE / "deriv_client_cut.py"
    told = await asyncio.to_thread(
        printed,
        [client_environment.PYTHON, program, address],
        scene.cluster.folder,
        {"TOKEN": next(iter(scene.told.tokens.values()))},
    )
    seen = json.loads(told)
    bought, sold = seen["buy"]["buy"], seen["sell"]["sell"]
    number = bought["contract_id"]
    assert number in {each["contract_id"] for each in seen["portfolio"]["portfolio"]["contracts"]}
    assert seen["followed"]["proposal_open_contract"]["contract_id"] == number
    assert seen["update"]["contract_update"]["take_profit"]["order_amount"] == 900
    assert sold["contract_id"] == number
    entries = seen["statement"]["statement"]["transactions"]
    amounts = {entry["transaction_id"]: entry["amount"] for entry in entries}
    assert amounts[bought["transaction_id"]] == -bought["buy_price"]
    assert amounts[sold["transaction_id"]] == sold["sold_for"]
