"""Several worker processes serve one port: to their clients they are one gateway."""

import asyncio
import contextlib
import os
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from scopegate.composition import declared
from scopegate.demo import DEMO_EMAIL
from scopegate.runtime.siblings import Siblings
from scopegate.worker import HEAD, _Line
from tests import stores
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
from tests.served import PATIENCE, Served, SocketClient, scopegate

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="worker processes need Linux"),
    pytest.mark.sqlite,
]


class Workers(Served):
    """A gateway with two workers, of which a client may choose one."""

    @asynccontextmanager
    async def at(self, pid: int, **options: Any) -> AsyncIterator[SocketClient]:
        """A client whose connection this worker has, after as many attempts as it takes."""
        for _ in range(100):
            async with self.connected(**options) as client:
                await client.ask({"ping": 1})
                if served_by(client, self.workers()) == pid:
                    yield client
                    return
        raise AssertionError("the kernel gives this worker no client")

    @asynccontextmanager
    async def at_both(self, **options: Any) -> AsyncIterator[tuple[SocketClient, SocketClient]]:
        """A client of the first worker, and one of the second."""
        first, second = self.workers()
        async with self.at(first, **options) as one, self.at(second, **options) as other:
            yield one, other


def served_by(client: SocketClient, pids: list[int]) -> int:
    """The process that has the other end of a client's connection."""
    own = client._socket.transport.get_extra_info("sockname")[1]
    inodes = {
        fields[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if int((fields := line.split())[2].split(":")[1], 16) == own
    }
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if os.readlink(link).removeprefix("socket:[").removesuffix("]") in inodes:
                    return pid
    raise AssertionError("no worker has this connection")


@contextlib.contextmanager
def workers(folder: Path, *options: str) -> Iterator[Workers]:
    """Two workers that have no reason to complain, until the block ends."""
    with Workers(folder, "--workers", "2", "--seed", "workers", *options) as served:
        yield served
        assert served.stop() == 0
        assert served.stderr == "", served.stderr


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    with workers(tmp_path_factory.mktemp("workers")) as served:
        yield served


async def test_clients_of_both_workers_see_one_account(gateway: Workers) -> None:
    """A balance is up to date in each worker when a purchase in the other is acknowledged."""
    async with gateway.at_both() as (one, other):
        for client in (one, other):
            await client.authorize(gateway.token)
            await client.ask({"balance": 1})  # from now on it is in memory
        for buyer, watcher in [(one, other), (other, one)] * 10:
            bought = await buyer.ask(
                {
                    "buy": 1,
                    "price": 10,
                    "parameters": {**CALL, "amount": 1, "duration": 1} | {"duration_unit": "d"},
                }
            )
            after = bought["buy"]["balance_after"]
            assert (await watcher.ask({"balance": 1}))["balance"]["balance"] == after


async def test_a_keyed_request_that_is_sent_to_both_is_done_once(gateway: Workers) -> None:
    async with gateway.at_both() as clients:
        for client in clients:
            await client.authorize(gateway.token)
        await check_done_once(clients)


async def test_streams_of_both_workers_get_each_entry_once_in_order(gateway: Workers) -> None:
    async with gateway.at_both() as (one, other):
        for client in (one, other):
            await client.authorize(gateway.token)
            await client.ask({"transaction": 1, "subscribe": 1})
        parameters = {**CALL, "amount": 1, "duration": 1, "duration_unit": "d"}
        order = {"buy": 1, "price": 10, "parameters": parameters}
        replies = await asyncio.gather(*(client.ask(order) for client in (one, other) * 20))
        bought = {reply["buy"]["transaction_id"] for reply in replies}
        told = [
            [(await until(client, "transaction"))["transaction"]["transaction_id"] for _ in replies]
            for client in (one, other)
        ]
        assert told[0] == told[1] == sorted(bought)


@pytest.mark.lengthy
async def test_a_contract_is_followed_and_sold_at_the_other_worker(gateway: Workers) -> None:
    async with gateway.at_both() as (one, other):
        for client in (one, other):
            await client.authorize(gateway.token)
        parameters = {**CALL, "amount": 1, "duration": 1, "duration_unit": "d"}
        bought = await one.ask({"buy": 1, "price": 10, "parameters": parameters})
        contract_id = bought["buy"]["contract_id"]
        sold = await sell(other, contract_id)
        assert sold["sell"]["contract_id"] == contract_id
        portfolio = (await one.ask({"portfolio": 1}))["portfolio"]["contracts"]
        assert contract_id not in {contract["contract_id"] for contract in portfolio}
        assert await one.refused({"sell": contract_id, "price": 0}) == "NoOpenPosition"


async def test_a_revocation_reaches_the_other_worker_before_its_reply(gateway: Workers) -> None:
    async with gateway.at_both() as (one, other):
        await one.authorize(gateway.token)
        for number in range(4):
            name = f"Revoked {number}"
            made = await one.ask({"api_token": 1, "new_token": name, "new_token_scopes": ["read"]})
            [token] = [
                each["token"]
                for each in made["api_token"]["tokens"]
                if each["display_name"] == name
            ]
            await other.authorize(token)
            await other.ask({"balance": 1, "subscribe": 1})
            await one.ask({"api_token": 1, "delete_token": token})
            assert await other.refused({"balance": 1}) == "AuthorizationRequired"
            ended = await until(other, "balance")
            assert ended["error"]["code"] == "InvalidToken"
            assert await other.refused({"authorize": token}) == "InvalidToken"


async def test_a_fault_reaches_the_other_worker_before_its_reply(gateway: Workers) -> None:
    async with gateway.at_both() as (one, other):
        await signed_in_with_a_new_token("Faulty", gateway, one, other)
        for number in range(4):
            fault = {"fault_start": "rate_limit", "options": {"call": "time", "times": 0}}
            one, other = other, one
            begun = (await one.ask(fault))["fault_start"]
            assert await other.refused({"time": 1}) == "RateLimit", number
            assert (await one.ask({"fault_end": begun["number"]}))["fault_end"] == 1
            assert "time" in await other.ask({"time": 1})


async def test_a_fault_is_counted_at_both_workers_together(gateway: Workers) -> None:
    async with gateway.at_both() as (one, other):
        await signed_in_with_a_new_token("Counted", gateway, one, other)
        await one.ask({"fault_start": "rate_limit", "options": {"call": "time", "times": 2}})
        for each, counted, strikes in ((one, other, 1), (other, one, 2)):
            assert await each.refused({"time": 1}) == "RateLimit"
            async with asyncio.timeout(PATIENCE):  # the count is on its way to the other worker
                while await strikes_at(counted) < strikes:
                    pass
        for each in (one, other):
            assert "time" in await each.ask({"time": 1})


async def test_many_strikes_are_counted_at_both_workers_too(gateway: Workers) -> None:
    async with gateway.at_both() as (one, other):
        await signed_in_with_a_new_token("Many", gateway, one, other)
        await one.ask({"fault_start": "latency", "options": {"milliseconds": 0}})
        for _ in range(20):
            await one.ask({"ping": 1})
        assert await strikes_at(one) == 20
        async with asyncio.timeout(PATIENCE):
            while await strikes_at(other) < 20:
                pass


async def signed_in_with_a_new_token(name: str, gateway: Workers, *clients: SocketClient) -> None:
    """Sign these clients in with a new token of the demo account."""
    [owner, *_] = clients
    await owner.authorize(gateway.token)
    made = await owner.ask(
        {"api_token": 1, "new_token": name, "new_token_scopes": ["admin", "trade"]}
    )
    [token] = [t["token"] for t in made["api_token"]["tokens"] if t["display_name"] == name]
    for client in clients:
        await client.authorize(token)


async def strikes_at(client: SocketClient) -> int:
    """How often its latest fault has struck, as the worker of this client knows it."""
    [*_, found] = (await client.ask({"fault_list": 1}))["fault_list"]
    return int(found["strikes"])


async def test_the_owner_disconnects_an_app_of_the_other_worker(gateway: Workers) -> None:
    """An app that is registered at one worker gets its token at the other, and loses it at once.

    The count of connections that were signed out includes the other worker's.
    """
    first, second = gateway.workers()
    pages = {"origin": Origin(gateway.page.rstrip("/"))}
    async with gateway.at(first, **pages) as owner, gateway.at(second, **pages) as page:
        app_id, token = await connect_app(owner, page, gateway.loginids[:1])
        async with gateway.at(second, app_id=app_id) as app:
            await is_disconnected(owner, app, app_id, token)


async def test_a_code_for_an_app_is_exchanged_at_any_worker(gateway: Workers) -> None:
    """Once, whichever worker it is at."""
    first, _ = gateway.workers()
    async with gateway.at(first, origin=Origin(gateway.page.rstrip("/"))) as owner:
        form = await code_form(owner, gateway.loginids[:1])
    statuses = [posted(gateway.page, form) for _ in range(8)]
    assert statuses.count(200) == 1
    assert statuses[0] == 200


@pytest.mark.lengthy
async def test_both_workers_have_one_market(tmp_path: Path) -> None:
    """At the same moment, also where its time is not that of the clock on the wall."""
    with workers(tmp_path, "--start", "2026-01-01", "--speed", "20") as gateway:
        async with gateway.at_both() as clients:
            await check_one_market(clients)


async def test_contracts_are_settled_once_whichever_worker_sold_them(tmp_path: Path) -> None:
    with workers(tmp_path, "--start", "2026-01-01", "--speed", "20") as gateway:
        async with gateway.at_both() as (one, other):
            opened: set[int] = set()
            for client in (one, other):
                await client.authorize(gateway.token)
            await one.ask({"transaction": 1, "subscribe": 1})
            for loginid in (gateway.loginids[0],):
                for client in (one, other) * 5:
                    parameters = {**CALL, "amount": 1, "duration": 5, "duration_unit": "t"}
                    reply = await client.ask(
                        {"buy": 1, "price": 10, "parameters": parameters, "loginid": loginid}
                    )
                    opened.add(reply["buy"]["contract_id"])
            settled: list[int] = []
            while len(settled) < len(opened):
                entry = (await until(one, "transaction"))["transaction"]
                if entry["action"] == "sell":
                    settled.append(entry["contract_id"])
            assert sorted(settled) == sorted(opened)
            portfolio = await other.ask({"portfolio": 1})
            assert portfolio["portfolio"]["contracts"] == []


# Limits.


@pytest.mark.lengthy
async def test_connections_of_both_workers_are_counted_together(tmp_path: Path) -> None:
    with workers(tmp_path, "--connections-per-address", "6") as gateway:
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(gateway.connected()) for _ in range(6)]
            await clients[0].ask({"ticks": "1HZ100V"})
            await until(clients[0], "tick")  # meanwhile each has what the other has counted
            with pytest.raises(InvalidStatus, match="429"):
                await stack.enter_async_context(gateway.connected())


@pytest.mark.lengthy
async def test_messages_to_both_workers_are_counted_together(tmp_path: Path) -> None:
    """A client that sends to one is refused at the other, soon after."""
    with workers(tmp_path, "--messages-per-minute", "60") as gateway:
        async with gateway.at_both() as (one, other):
            await other.ask({"ticks": "1HZ100V"})
            for _ in range(70):
                await one.ask({"ping": 1})
            for _ in range(8):  # counts are exchanged several times a second
                await until(other, "tick")
                reply = await other.ask({"ping": 1})
                if "error" in reply:
                    break
            assert reply["error"]["code"] == "RateLimit"


async def test_wrong_tokens_at_both_workers_are_counted_together(gateway: Workers) -> None:
    async with gateway.at_both(local_addr=("127.0.0.9", 0)) as (one, other):
        await other.ask({"ticks": "1HZ100V"})
        for number, client in enumerate((one, one, one, other, other)):
            assert await client.refused({"authorize": f"{number:015}"}) == "InvalidToken"
        await until(other, "tick")  # meanwhile each has what the other has counted
        for client in (one, other):
            assert await client.refused({"authorize": "0" * 15}) == "RateLimit"


# Workers that end.


async def test_a_worker_that_was_killed_is_replaced(tmp_path: Path) -> None:
    """Clients of the other notice nothing, and what was acknowledged is there."""
    with Workers(tmp_path, "--workers", "2", "--seed", "killed") as gateway:
        for victim in (0, 1):
            pids = gateway.workers()
            survivor = pids[1 - victim]
            async with gateway.at(pids[victim]) as lost, gateway.at(survivor) as kept:
                for client in (lost, kept):
                    await client.authorize(gateway.token)
                parameters = {**CALL, "amount": 1, "duration": 1, "duration_unit": "d"}
                bought = await lost.ask({"buy": 1, "price": 10, "parameters": parameters})
                await kept.ask({"transaction": 1, "subscribe": 1})
                os.kill(pids[victim], signal.SIGKILL)
                await lost.ended()
                portfolio = (await kept.ask({"portfolio": 1}))["portfolio"]["contracts"]
                assert bought["buy"]["contract_id"] in {
                    contract["contract_id"] for contract in portfolio
                }
                replacement = await replaced(gateway, pids, kept)
                async with gateway.at(replacement) as late:
                    await late.authorize(gateway.token)
                    balance = (await kept.ask({"balance": 1}))["balance"]["balance"]
                    assert (await late.ask({"balance": 1}))["balance"]["balance"] == balance
                    sold = await sell(late, bought["buy"]["contract_id"])
                    entry = (await until(kept, "transaction"))["transaction"]
                    assert entry["transaction_id"] == sold["sell"]["transaction_id"]
        assert gateway.stop() == 0
        assert gateway.stderr.count("has ended and is replaced") == 2
        assert "Traceback" not in gateway.stderr


async def replaced(gateway: Workers, before: list[int], client: SocketClient) -> int:
    """Wait for the process that replaces one of these; its id."""
    async with asyncio.timeout(PATIENCE):
        while not (new := set(gateway.workers()) - set(before)):
            await client.ask({"ping": 1})
    [replacement] = new
    return replacement


@pytest.mark.lengthy
async def test_a_message_for_a_worker_that_has_just_ended_harms_nobody(tmp_path: Path) -> None:
    """The parent learns of both at once: that it has ended, and of a message for it."""
    with Workers(tmp_path, "--workers", "2", "--seed", "messages") as gateway:
        first, second = before = gateway.workers()
        async with gateway.at(first) as client:
            os.kill(gateway.process.pid, signal.SIGSTOP)
            for symbol in ("R_10", "R_25", "R_50"):  # each stream is counted at the other, too
                await client.ask({"ticks": symbol})
            os.kill(second, signal.SIGKILL)
            await asyncio.to_thread(ended, second)
            os.kill(gateway.process.pid, signal.SIGCONT)
            await replaced(gateway, before, client)
        assert gateway.stop() == 0


def ended(pid: int) -> None:
    """Wait until a process has ended."""
    while lives(pid):
        os.sched_yield()


@pytest.mark.lengthy
async def test_a_replacement_knows_what_was_counted(tmp_path: Path) -> None:
    with Workers(tmp_path, "--workers", "2", "--seed", "counted") as gateway:
        first, second = before = gateway.workers()
        async with gateway.at(first) as client:
            for number in range(5):
                assert await client.refused({"authorize": f"{number:015}"}) == "InvalidToken"
            os.kill(second, signal.SIGKILL)
            replacement = await replaced(gateway, before, client)
            async with gateway.at(replacement) as late:
                await late.ask({"ticks": "1HZ100V"})
                await until(late, "tick")  # meanwhile the other has sent what it knows
                assert await late.refused({"authorize": "0" * 15}) == "RateLimit"
        assert gateway.stop() == 0


@pytest.mark.lengthy
async def test_a_parent_that_may_not_fork_tries_again(tmp_path: Path) -> None:
    with Workers(tmp_path, "--workers", "2", "--seed", "fork") as gateway:
        first, second = before = gateway.workers()
        parent = gateway.process.pid
        async with gateway.at(first) as client:
            limits = resource.prlimit(parent, resource.RLIMIT_NOFILE)
            resource.prlimit(parent, resource.RLIMIT_NOFILE, (3, limits[1]))
            os.kill(second, signal.SIGKILL)
            async with asyncio.timeout(PATIENCE):
                while "cannot be started" not in gateway.stderr:
                    await client.ask({"ping": 1})
            resource.prlimit(parent, resource.RLIMIT_NOFILE, limits)
            await replaced(gateway, before, client)
        assert gateway.stop() == 0


HASTY = (
    "from scopegate import cli, prefork; prefork.STALLED_SECONDS = 1.5; prefork.STOP_SECONDS = 3.0;"
    " cli.main()"
)


@pytest.mark.lengthy
async def test_a_worker_that_stalls_is_replaced(tmp_path: Path) -> None:
    """It may have had the turn to write. At a stop, nobody waits for it."""
    with Workers(tmp_path, "--workers", "2", "--seed", "stalled") as gateway:
        gateway.stop()
        gateway.program = (sys.executable, "-c", HASTY)
        gateway.start()
        for _ in range(3):
            first, second = before = gateway.workers()
            async with gateway.at(first) as client, gateway.at(second) as other:
                for each in (client, other):
                    await each.authorize(gateway.token)
                writes = [other.ask({"set_settings": 1, "allow_copiers": 0}) for _ in range(5)]
                started = [asyncio.ensure_future(write) for write in writes]
                await other.ask({"ping": 1})
                os.kill(second, signal.SIGSTOP)
                await replaced(gateway, before, client)
                reply = await client.ask({"set_settings": 1, "allow_copiers": 1})
                assert "error" not in reply
                await asyncio.gather(*started, return_exceptions=True)
        os.kill(gateway.workers()[1], signal.SIGSTOP)
        assert gateway.stop() == 0


@pytest.mark.lengthy
async def test_market_time_never_goes_back_whichever_worker_ends(tmp_path: Path) -> None:
    """Also if the one that stores it has stalled for a while when all are killed."""
    options = ("--start", "2026-01-01", "--speed", "20", "--seed", "marks")
    with Workers(tmp_path, "--workers", "2", *options) as gateway:
        first, second = gateway.workers()
        async with gateway.at(second) as client:
            os.kill(first, signal.SIGSTOP)
            begun = latest = (await client.ask({"time": 1}))["time"]
            await client.ask({"ticks": "1HZ100V"})
            while latest < begun + 90:  # further than a mark is ahead
                latest = (await until(client, "tick"))["tick"]["epoch"]
            gateway.kill()
        gateway.start()
        async with gateway.connected() as client:
            assert (await client.ask({"time": 1}))["time"] >= latest
        assert gateway.stop() == 0


@pytest.mark.lengthy
async def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    """However that ends, so that the database can be served again at once."""
    with Workers(tmp_path, "--workers", "2", "--seed", "orphans") as gateway:
        pids = gateway.workers()
        async with gateway.connected() as client:
            await client.ask({"ping": 1})
            gateway.kill()
            await client.ended()
        gateway.start()
        assert not set(pids) & set(gateway.workers())
        assert not [pid for pid in pids if lives(pid)]
        assert gateway.stop() == 0


def lives(pid: int) -> bool:
    """Whether a process has not ended; it may have, and not be waited for."""
    try:
        return " Z" not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


async def test_a_stop_closes_the_clients_of_all_workers(tmp_path: Path) -> None:
    with workers(tmp_path) as gateway:
        async with gateway.at_both() as clients:
            ends = [asyncio.create_task(client.ended()) for client in clients]
            await asyncio.to_thread(gateway.stop, signal.SIGINT)
            assert [code for code, _ in await asyncio.gather(*ends)] == [1012, 1012]


# Starts that fail.


def refusal(folder: Path, *options: str) -> str:
    done = scopegate("serve", "--workers", "2", "--port", "0", *options, folder=folder)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr


@pytest.mark.lengthy
def test_a_start_that_fails_says_why_once(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert "cannot listen on 127.0.0.1" in refusal(tmp_path, "--port", port)
    assert "start: 'x' is not a time" in refusal(tmp_path, "--start", "x")
    assert "another gateway is serving" in served_twice(tmp_path)


def served_twice(folder: Path) -> str:
    with workers(folder):
        return refusal(folder, "--db", str(folder / "scopegate.db"))


async def test_a_plugin_reaches_the_clients_of_all_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    stated = 'PLUGIN = Plugin(name="chat", handlers=(Chat,), several_workers=True)'
    (tmp_path / "chat.py").write_text(PLUGIN + stated)
    with Workers(tmp_path, "--workers", "2", "--handlers", "chat", "--seed", "chat") as gateway:
        gateway.calls = declared(["chat"])
        async with gateway.at_both() as (one, other):
            for client in (one, other):
                assert "error" not in await client.ask({"chat": 1})
            await one.ask({"say": "from one"})
            await other.ask({"say": "from the other"})
            for client in (one, other):
                told = {(await until(client, "chat"))["chat"]["text"] for _ in range(2)}
                assert told == {"from one", "from the other"}
        assert gateway.stop() == 0


def test_a_plugin_that_does_not_state_that_it_can_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(PLUGIN)
    said = refusal(tmp_path, "--handlers", "own")
    assert "workers: own does not state that it works in several worker processes" in said


async def test_the_operator_sees_and_ends_what_every_worker_has(tmp_path: Path) -> None:
    operator_token = "a-token-of-the-operator"
    sign_in = {"operator_sign_in": 1, "operator_token": operator_token}
    with workers(tmp_path, "--operator-token", operator_token) as gateway:
        first, second = gateway.workers()
        page = Origin(gateway.page.rstrip("/"))
        async with AsyncExitStack() as stack:
            operator = await stack.enter_async_context(gateway.at(first, origin=page))
            idle = await stack.enter_async_context(gateway.at(second))
            trader = await stack.enter_async_context(gateway.at(second))
            assert "error" not in await operator.ask(sign_in)
            await trader.authorize(gateway.token)
            new = {"app_register": 1, "name": "Helper", "scopes": ["read"]}
            app_id = (await trader.ask(new))["app_register"]["app_id"]
            bot = await stack.enter_async_context(gateway.at(second, app_id=app_id))
            await bot.refused({"balance": 1})
            await idle.ask({"time": 1})
            seen = (await operator.ask({"operator_overview": 1}))["operator_overview"]
            assert [one["process"] for one in seen["processes"]] == [0, 1]
            assert {"app_id": app_id, "connections": 1, "name": "Helper"} in seen["apps"]
            assert seen["users"] == [{"connections": 1, "email": DEMO_EMAIL}]
            assert seen["refusals"][0]["code"] == "AuthorizationRequired"
            # All of these are at the other worker.
            its = next(one for one in seen["connections"] if one["email"])
            await operator.ask({"operator_end_session": its["session"]})
            assert (await trader.ended())[0] == 4403
            await operator.ask({"operator_app_update": app_id, "disabled": 1})
            assert (await bot.ended())[0] == 4403
            async with gateway.connected(app_id=app_id) as again:
                assert await again.refused({"ping": 1}) == "InvalidAppID"
            async with gateway.at(second) as again:
                await again.authorize(gateway.token)
                await operator.ask({"operator_user_update": DEMO_EMAIL, "disabled": 1})
                assert (await again.ended())[0] == 4403
            for pid in (first, second):
                async with gateway.at(pid) as again:
                    assert await again.refused({"authorize": gateway.token}) == "InvalidToken"
            assert (await idle.ask({"ping": 1}))["ping"] == "pong"
            seen = (await operator.ask({"operator_overview": 1}))["operator_overview"]
            ended = stores.run_once(
                gateway.db,
                lambda transaction: transaction.single(
                    "SELECT count(*) FROM tokens WHERE ended_at IS NOT NULL"
                )[0],
            )
            assert 0 < seen["tokens_revoked"] == ended  # each worker has noticed all of them
            # Attempts are counted together.
            for number in range(5):
                async with gateway.at((first, second)[number % 2], origin=page) as guess:
                    wrong = {**sign_in, "operator_token": f"wrong-wrong-wrong-{number}"}
                    assert await guess.refused(wrong) == "InvalidCredentials"
            for pid in (first, second):
                async with gateway.at(pid, origin=page) as guess:
                    assert await guess.refused(sign_in) == "RateLimit"


def test_a_message_that_cannot_be_read_ends_no_worker() -> None:
    received: list[Any] = []
    siblings = Siblings(0, 2, lambda *_: None)
    siblings.on("words", lambda sender, words: received.append((sender, words)))
    line = _Line(siblings, pytest.fail, pytest.fail)
    other = Siblings(1, 2, lambda _, message: sent.append(message))
    sent: list[bytes] = []
    other.set_present([0])
    other.send("words", "hello")
    with capture_logs() as logged:
        for message in (b"no pickle", *sent):
            line.data_received(HEAD.pack(len(message), 1) + message)
    assert received == [(1, "hello")]
    assert [each["event"] for each in logged] == ["a message of a worker cannot be read"]
