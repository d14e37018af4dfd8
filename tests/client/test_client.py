"""The client over real sockets: what a bot sees of lost connections, refusals and slow readers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from websockets.asyncio.server import ServerConnection, serve

from scopegate.client import (
    AccessError,
    Backoff,
    CallError,
    CallTimeout,
    Client,
    ClosedError,
    ConnectionLost,
    GapError,
    Stream,
    streams,
)
from scopegate.client.client import MAX_REQUEST
from scopegate.client.errors import ClientError
from scopegate.client.messages import BuyParameters
from scopegate.listening import listen
from scopegate.testing import NOON, World, world
from tests.client import counting
from tests.client.cutting_proxy import CuttingProxy, cutting_proxy

RISE: BuyParameters = {
    "amount": 10,
    "basis": "stake",
    "contract_type": "CALL",
    "currency": "USD",
    "symbol": "R_100",
    "duration": 1,
    "duration_unit": "h",
}
SOON = Backoff(first=0.001, longest=0.02)


class Place:
    """A gateway, the proxy before it, and clients that connect by way of the proxy."""

    def __init__(self, here: World, proxy: CuttingProxy) -> None:
        self.here = here
        self.proxy = proxy
        self.url = f"ws://127.0.0.1:{proxy.port}/websockets/v3"

    def client(self, token: str | None = None, **options: Any) -> Client:
        return Client(self.url, token, backoff=SOON, **options)

    async def trader(self) -> Client:
        return self.client(await self.here.token())

    async def direct(self, *scopes: str) -> Client:
        """A client that is not cut off with those behind the proxy."""
        return Client(f"ws://127.0.0.1:{self.proxy.to}", await self.here.token(*scopes))

    async def cut_off(self) -> None:
        """Cut the connection of the only client, and refuse others until `refuses` is reset."""
        self.proxy.refuses = True
        self.proxy.cut()
        await self.proxy.attempts(2)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    counting.made.clear()
    async with (
        world(handlers=["tests.client.counting"]) as here,
        listen(here.gateway) as port,
        cutting_proxy(port) as proxy,
    ):
        yield Place(here, proxy)


async def taken(stream: Stream[Any], count: int) -> list[Any]:
    """The next events of a stream."""
    async with asyncio.timeout(10):
        return [await anext(stream) for _ in range(count)]


async def ledger(client: Client) -> list[int]:
    """The ids of the account's entries, in order."""
    listed = await client.statement(limit=999)
    return [each["transaction_id"] for each in reversed(listed["transactions"])]


async def test_a_bot_trades_and_sees_what_it_does(place: Place) -> None:
    async with await place.trader() as client:
        before = await client.balance()
        async with client.transactions() as entries, client.balances() as balances:
            bought = await client.buy(price=10, parameters=RISE)
            [entry] = await taken(entries, 1)
            assert entry["transaction_id"] == bought["transaction_id"] == entries.position
            first, second = await taken(balances, 2)
            assert first["balance"] == before["balance"]
            assert second["balance"] == bought["balance_after"]
        assert client.account["balance"] == before["balance"]
        assert client.connections == 1


async def test_what_was_missed_follows_once_and_in_order(place: Place) -> None:
    async with await place.trader() as client, await place.trader() as other:
        async with client.transactions() as entries, client.balances() as balances:
            await taken(balances, 1)
            for _ in range(3):
                place.proxy.cut()
                bought = [await other.buy(price=10, parameters=RISE) for _ in range(4)]
                ids = [each["transaction_id"] for each in await taken(entries, 4)]
                assert ids == [each["transaction_id"] for each in bought]
                left = [each["balance"] for each in await taken(balances, 4)]
                assert left == [each["balance_after"] for each in bought]
        assert client.connections > 3


@pytest.mark.parametrize("side", ["requests", "replies"])
async def test_a_purchase_happens_once_whatever_is_cut(place: Place, side: Any) -> None:
    async with await place.trader() as client:
        before = await ledger(client)
        cut = asyncio.create_task(place.proxy.cut_after(side))
        await asyncio.sleep(0)
        bought = await client.buy(price=10, parameters=RISE)
        await cut
        assert await ledger(client) == [*before, bought["transaction_id"]]
        assert client.connections == 2


async def test_a_key_of_the_callers_own_is_used(place: Place) -> None:
    async with await place.trader() as client:
        first = await client.buy(price=10, parameters=RISE, idempotency_key="mine")
        again = await client.buy(price=10, parameters=RISE, idempotency_key="mine")
        assert first["contract_id"] == again["contract_id"]


async def test_a_call_that_cannot_be_repeated_says_what_is_not_known(place: Place) -> None:
    async with place.client() as client:
        assert (await client.call({"counted": 1}))["counted"] == 1
        cut = asyncio.create_task(place.proxy.cut_after("replies"))
        await asyncio.sleep(0)
        with pytest.raises(ConnectionLost, match="may or may not have happened") as lost:
            await client.call({"counted": 1})
        await cut
        assert lost.value.may_have_happened
        assert len(counting.made) == 2
        await client.ping()
        # Repeated where the caller says that this does no harm.
        cut = asyncio.create_task(place.proxy.cut_after("replies"))
        await asyncio.sleep(0)
        assert (await client.call({"counted": 1}, repeat=True))["counted"] == 4
        await cut


async def test_calls_while_there_is_no_connection_wait_for_the_next(place: Place) -> None:
    async with place.client() as client:
        await place.cut_off()
        waiting = asyncio.create_task(client.call({"counted": 1}))
        await place.proxy.attempts(3)
        assert not client.is_connected
        place.proxy.refuses = False
        assert (await waiting)["counted"] == 1


async def test_a_call_has_a_timeout(place: Place) -> None:
    async with await place.trader() as client:
        await place.cut_off()
        with pytest.raises(CallTimeout, match="did not change anything") as never_sent:
            await client.buy(price=10, parameters=RISE, timeout=0.05)
        assert not never_sent.value.may_have_happened
        assert never_sent.value.idempotency_key


async def test_a_gateway_that_cannot_be_reached_is_named(place: Place) -> None:
    place.proxy.refuses = True
    with pytest.raises(ConnectionLost, match=r"no connection within 0\.1 s"):
        async with place.client(timeout=0.1):
            pass
    with pytest.raises(ValueError, match="ws://"):
        Client("http://127.0.0.1:5555")


async def test_errors_of_calls_have_their_parts(place: Place) -> None:
    async with await place.trader() as client:
        with pytest.raises(CallError) as refused:
            await client.buy(price=10, parameters={**RISE, "amount": 0.1})
        assert refused.value.code == "ContractBuyValidationError"
        assert "amount" in refused.value.details
        assert str(refused.value).startswith("ContractBuyValidationError: Minimum stake")
        with pytest.raises(CallError, match="InvalidSymbol"):
            async with client.ticks("NOSUCH"):
                pass
        with pytest.raises(CallError, match="Input validation failed: count; count: "):
            await client.ticks_history("R_100", end="latest", count=-1)
        with pytest.raises(ValueError, match=f"{MAX_REQUEST} are allowed"):
            await client.call({"ping": 1, "passthrough": {"much": "x" * 70_000}})
        assert (await client.call({"req_id": 0, "time": 1}))["time"] == NOON
        for request in ({"authorize": "x"}, {"logout": 1}):
            with pytest.raises(ValueError, match="make one for each token"):
                await client.call(request)
        with pytest.raises(ValueError, match="name of its call"):
            await client.call({"passthrough": {}})
        with pytest.raises(ValueError, match="`subscribe`"):
            await client.call({"balance": 1, "subscribe": 1})
        with pytest.raises(ValueError, match="`open_contracts`"):
            client.subscribe({"buy": 1})
        with pytest.raises(ValueError, match="each symbol"):
            client.subscribe({"ticks": ["R_100", "R_50"]})


async def test_a_token_that_is_refused_ends_everything(place: Place) -> None:
    with pytest.raises(AccessError, match="InvalidToken"):
        async with place.client("a1-nonsense"):
            pass
    assert place.proxy.opened == 1
    with pytest.raises(AccessError, match="InvalidAppID"):
        async with place.client(await place.here.token(), app_id=4711):
            pass


@pytest.mark.parametrize("is_connected", [True, False])
async def test_a_token_that_is_revoked_ends_everything(place: Place, is_connected: bool) -> None:
    token = await place.here.token()
    async with place.client(token) as client, await place.direct("admin") as owner:
        async with client.transactions() as entries, client.ticks("R_100") as ticks:
            bought = await client.buy(price=10, parameters=RISE)
            if not is_connected:
                await place.cut_off()
            waiting = asyncio.create_task(client.balance())
            if not is_connected:
                place.proxy.refuses = False
            await owner.api_token(delete_token=token)
            assert (await anext(entries))["transaction_id"] == bought["transaction_id"]
            for ending in (anext(entries), client.buy(price=10, parameters=RISE)):
                with pytest.raises(AccessError, match=r"InvalidToken|AuthorizationRequired"):
                    await ending
            await anext(ticks)
            with pytest.raises(AccessError):
                await anext(ticks)
            with contextlib.suppress(AccessError):  # the revocation may have been faster
                await waiting
        with pytest.raises(AccessError):
            client.transactions()


async def test_a_gap_is_stated_and_the_stream_goes_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scopegate.handlers.exchange.account_calls.MAX_MISSED", 2)
    async with (
        await place.direct() as other,
        await place.trader() as client,
        client.transactions() as entries,
    ):
        first = await other.buy(price=10, parameters=RISE)
        await taken(entries, 1)
        await place.cut_off()
        bought = [await other.buy(price=10, parameters=RISE) for _ in range(5)]
        place.proxy.refuses = False
        with pytest.raises(GapError) as gap:
            await anext(entries)
        ids = [each["transaction_id"] for each in bought]
        assert (gap.value.after, gap.value.until) == (first["transaction_id"], ids[2])
        assert [each["transaction_id"] for each in await taken(entries, 2)] == ids[3:]


async def test_a_stream_without_positions_states_that_events_may_be_missing(place: Place) -> None:
    async with (
        place.client() as client,
        client.live_history("R_100", end="latest", count=2) as history,
    ):
        [first] = await taken(history, 1)
        assert "history" in first
        place.proxy.cut()
        with pytest.raises(GapError, match="may be missing"):
            await anext(history)
        [again] = await taken(history, 1)
        assert "history" in again


async def test_a_slow_reader_loses_nothing_and_nobody_waits_for_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MAX_WAITING", 10)
    async with await place.trader() as client, client.transactions() as entries:
        bought = [await client.buy(price=10, parameters=RISE) for _ in range(35)]
        ids = [each["transaction_id"] for each in await taken(entries, 35)]
        assert ids == [each["transaction_id"] for each in bought]
        another = await client.buy(price=10, parameters=RISE)
        [entry] = await taken(entries, 1)
        assert entry["transaction_id"] == another["transaction_id"]


async def test_ticks_are_resumed_and_a_bot_goes_on_after_its_restart(place: Place) -> None:
    clock = place.here.clock
    async with place.client() as client, client.ticks("R_100") as ticks:
        await taken(ticks, 1)
        clock.advance(10)
        place.proxy.cut()
        clock.advance(10)
        epochs = [tick["epoch"] for tick in await taken(ticks, 10)]
        assert epochs == [NOON + 2 * each for each in range(1, 11)]
        position = ticks.position
    clock.advance(10)
    async with place.client() as client, client.ticks("R_100", after=position) as ticks:
        assert [tick["epoch"] for tick in await taken(ticks, 5)] == [
            NOON + 20 + 2 * each for each in range(1, 6)
        ]


async def test_contracts_are_followed_to_their_end(place: Place) -> None:
    clock = place.here.clock
    async with await place.trader() as client:
        ids = [(await client.buy(price=10, parameters=RISE))["contract_id"] for _ in range(2)]
        clock.advance(4)
        async with (
            client.open_contracts() as contracts,
            client.open_contracts(contract_id=ids[0]) as one,
        ):
            assert {each["contract_id"] for each in await taken(contracts, 2)} == set(ids)
            await taken(one, 1)
            await place.cut_off()
            async with await place.direct() as direct:
                for contract_id in ids:
                    await direct.sell(contract_id, price=0)
            place.proxy.refuses = False
            sold = [each for each in await taken(contracts, 2) if each["is_sold"]]
            assert [each["contract_id"] for each in sold] == ids
            async with asyncio.timeout(10):
                last = [each async for each in one]
            assert last[-1]["is_sold"] == 1
        assert (await client.proposal_open_contract(contract_id=ids[0]))["status"] == "sold"


async def test_a_proposal_that_was_bought_ends_its_stream(place: Place) -> None:
    async with (
        await place.trader() as client,
        client.proposals(
            amount=10,
            basis="stake",
            contract_type="CALL",
            currency="USD",
            symbol="R_100",
            duration=1,
            duration_unit="h",
        ) as prices,
    ):
        [price] = await taken(prices, 1)
        await client.buy(price["id"], price=price["ask_price"])
        async with asyncio.timeout(10):
            assert [each async for each in prices] == []


async def test_closing_ends_iterations_and_calls(place: Place) -> None:
    client = await place.trader()
    with pytest.raises(ClosedError, match="async with"):
        await client.balance()
    async with client:
        stream = client.transactions()
        reading = asyncio.create_task(anext(stream, None))
        await client.balance()
        await place.cut_off()
        waiting = asyncio.create_task(client.balance())
        await asyncio.sleep(0)
    assert await reading is None
    with pytest.raises(ClosedError):
        await waiting
    for _ in range(3):
        with pytest.raises(ClosedError) as closed:
            await client.balance()
        assert len(closed.traceback) < 10  # what a bot tries again and again does not grow
    assert [each async for each in stream] == []


async def test_a_stream_that_is_left_is_closed_at_the_gateway(place: Place) -> None:
    async with place.client() as client:
        for _ in range(3):
            async for tick in client.ticks("R_100"):
                assert tick["symbol"] == "R_100"
                break
        async with client.ticks("R_50") as ticks:
            assert (await anext(ticks))["symbol"] == "R_50"
        # Closed before it is open, and opened again at once.
        await client.ticks("R_100").aclose()
        again = client.ticks("R_100")
        assert (await anext(again))["symbol"] == "R_100"
        ended = await client.call({"forget_all": "ticks"})
        assert len(ended["forget_all"]) == 1


async def test_the_public_calls_need_no_token(place: Place) -> None:
    async with place.client() as client:
        assert await client.time() == NOON
        with pytest.raises(CallError, match="AuthorizationRequired"):
            await client.balance()
        assert await client.ping() == "pong"


@asynccontextmanager
async def answering(status: bytes) -> AsyncIterator[tuple[str, list[float]]]:
    """A server that refuses each connection with this status; the moments of the attempts."""
    times: list[float] = []
    answers: list[asyncio.Task[Any]] = []

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        answers.append(task)
        times.append(asyncio.get_running_loop().time())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\n\r\n")
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_server(accepted, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", times
    await asyncio.gather(*answers)


async def test_a_status_that_does_not_pass_ends_the_client(place: Place) -> None:
    async with answering(b"421 Misdirected Request") as (url, attempts):
        with pytest.raises(AccessError, match="421"):
            async with Client(url, backoff=SOON):
                pass
        assert len(attempts) == 1
    async with answering(b"503 Service Unavailable") as (url, attempts):
        with pytest.raises(ConnectionLost, match="503"):
            async with Client(url, backoff=SOON, timeout=1.0):
                pass
        assert len(attempts) > 2
    # Too many connections: the next attempt is not made at once.
    async with answering(b"429 Too Many Requests\r\nretry-after: 60") as (url, attempts):
        with pytest.raises(ConnectionLost, match="429"):
            async with Client(url, backoff=SOON, timeout=0.2):
                pass
        assert len(attempts) == 1


@asynccontextmanager
async def closing(code: int, *, answers: int) -> AsyncIterator[tuple[str, list[str]]]:
    """A server that closes each connection with this code after so many answers.

    What it was sent is in the list.
    """
    received: list[str] = []

    async def handle(socket: ServerConnection) -> None:
        for _ in range(answers):
            received.append(str(await socket.recv()))
            message = orjson.loads(received[-1])
            reply = {"req_id": message["req_id"], "msg_type": "time", "time": 1, "authorize": {}}
            await socket.send(orjson.dumps(reply), text=True)
        received.append(str(await socket.recv()))
        await socket.close(code, "for a test")

    async with serve(handle, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}", received


async def test_a_connection_that_the_operator_ends_is_not_made_again() -> None:
    async with closing(4403, answers=1) as (url, received):
        async with Client(url, "token", backoff=SOON) as client:
            with pytest.raises(AccessError, match="for a test") as ended:
                await client.time()
        assert ended.value.code == "SessionEnded"
        assert len(received) == 2


async def test_a_restarted_gateway_is_found_again() -> None:
    async with closing(1012, answers=1) as (url, received):
        async with Client(url, "token", backoff=SOON, timeout=0.3) as client:
            with pytest.raises(CallTimeout, match="did not change anything"):
                await client.time()
        assert len(received) > 4
        assert len({text for text in received if "time" in text}) == 1


async def test_a_client_that_was_too_fast_waits() -> None:
    async with closing(4429, answers=1) as (url, received):
        async with Client(url, "token", backoff=SOON, timeout=0.3) as client:
            with pytest.raises(CallTimeout, match="4429"):
                await client.time()
        assert len(received) == 2


async def test_a_gateway_that_speaks_nonsense_ends_the_client() -> None:
    async def handle(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send("nonsense")
        await socket.wait_closed()

    async with serve(handle, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with Client(f"ws://127.0.0.1:{port}") as client:
            ticks = client.ticks("R_100")
            for ending in (anext(ticks), client.time()):
                with pytest.raises(ClientError, match="has failed: JSONDecodeError"):
                    await ending


async def test_a_message_that_breaks_the_connection_is_not_sent_again() -> None:
    async with closing(1009, answers=1) as (url, _), Client(url, "token", backoff=SOON) as client:
        with pytest.raises(ConnectionLost, match="1009"):
            await client.buy(price=1, parameters=RISE)


def test_each_error_is_an_error_of_the_client() -> None:
    for kind in (AccessError, CallError, CallTimeout, ClosedError, ConnectionLost, GapError):
        assert issubclass(kind, ClientError)


async def test_what_cannot_be_asked_is_refused_before_it_is_sent(place: Place) -> None:
    with pytest.raises(ValueError, match="ws://"):
        Client("http://127.0.0.1:5555")
    client = place.client()
    async with client:
        with pytest.raises(ClosedError, match="once"):
            await client.__aenter__()
        with pytest.raises(ValueError, match="subscribe"):
            await client.call({"balance": 1, "subscribe": 1})
        with pytest.raises(TypeError, match="object"):
            await client.call({"ping": object()})
        assert await client.ping() == "pong"
    with pytest.raises(ClosedError):
        await client.ping()


async def test_a_stream_that_cannot_be_opened_again_for_now_is_tried_again(place: Place) -> None:
    async with await place.trader() as client:
        entries = client.transactions(after=0)
        [opening] = await taken(entries, 1)
        assert opening["amount"] > 0
        await client.call({"fault_start": "internal_error", "options": {"call": "transaction"}})
        place.proxy.cut()
        await client.buy(price=10, parameters=RISE)
        [bought] = await taken(entries, 1)
        assert bought["amount"] == -10
        [fault] = (await client.call({"fault_list": 1}))["fault_list"]
        assert fault["strikes"] == 1


# Bad days that a gateway makes on demand (docs/faults.md).


async def test_a_lost_reply_is_noticed_and_the_call_repeated(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scopegate.client.client.REPLY_WITHIN", 0.05)
    async with await place.direct() as client, client.transactions() as entries:
        await start_fault(client, "lost_reply", after="buy")
        bought = await client.buy(price=10, parameters=RISE)
        [entry] = await taken(entries, 1)
        assert entry["transaction_id"] == bought["transaction_id"]
        assert client.connections == 2
        assert (await ledger(client))[1:] == [bought["transaction_id"]]


async def test_what_cannot_be_repeated_fails_when_its_reply_is_lost(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scopegate.client.client.REPLY_WITHIN", 0.05)
    async with await place.direct() as client:
        await start_fault(client, "lost_reply", after="counted")
        with pytest.raises(ConnectionLost) as lost:
            await client.call({"counted": 1})
        assert lost.value.may_have_happened
        assert len(counting.made) == 1


async def test_a_stream_whose_first_reply_is_lost_is_opened(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scopegate.client.client.REPLY_WITHIN", 0.05)
    async with await place.direct() as client:
        await start_fault(client, "lost_reply", after="transaction")
        async with asyncio.timeout(10), client.transactions() as entries:
            bought = await client.buy(price=10, parameters=RISE)
            assert (await anext(entries))["transaction_id"] == bought["transaction_id"]


async def test_a_history_whose_reply_is_lost_is_asked_for_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the stream brings meanwhile is not taken for the history."""
    monkeypatch.setattr("scopegate.client.client.REPLY_WITHIN", 0.05)
    async with await place.direct() as client, client.ticks("1HZ100V") as ticks:
        await start_fault(client, "lost_reply", after="ticks_history")
        history = client.live_history("1HZ100V", end="latest", count=2)
        await anext(ticks)
        await client.time()
        place.here.clock.advance(1)
        await anext(ticks)
        async with asyncio.timeout(10):
            assert len((await anext(history))["history"]["prices"]) == 2


async def test_a_slow_reply_is_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later request is answered later, so it shows nothing before the reply is there."""
    monkeypatch.setattr("scopegate.client.client.REPLY_WITHIN", 0.02)
    async with await place.direct() as client:
        await start_fault(client, "latency", milliseconds=200)
        await client.buy(price=10, parameters=RISE)
        assert client.connections == 1


async def test_a_sign_in_without_a_reply_is_tried_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scopegate.client.client.SIGN_IN_WITHIN", 0.1)
    token = await place.here.token()
    async with place.client(token) as client:
        await start_fault(client, "lost_reply", after="authorize")
        place.proxy.cut()
        await client.balance()
        assert client.connections == 2


async def test_a_proposal_of_a_lost_connection_can_be_bought(place: Place) -> None:
    async with await place.trader() as client:
        quoted = await client.proposal(**RISE)
        async with client.proposals(**{**RISE, "contract_type": "PUT"}) as proposals:
            [streamed] = await taken(proposals, 1)
            place.proxy.cut()
            bought = await client.buy(quoted["id"], price=10)
            assert bought["shortcode"].startswith("CALL_R_100")
            bought = await client.buy(streamed["id"], price=10)
            assert bought["shortcode"].startswith("PUT_R_100")
        assert len(await ledger(client)) == 3
        with pytest.raises(CallError, match="InvalidContractProposal"):
            await client.buy("5f0c1d8e-0000-4000-8000-000000000000", price=10)


async def test_a_proposal_is_bought_once(place: Place) -> None:
    async with await place.trader() as client:
        quoted = await client.proposal(**RISE)
        await client.buy(quoted["id"], price=10)
        place.proxy.cut()
        with pytest.raises(CallError, match="InvalidContractProposal"):
            await client.buy(quoted["id"], price=10)
        assert len(await ledger(client)) == 2
        quoted = await client.proposal(**RISE)
        place.proxy.cut()
        one, other = await asyncio.gather(
            *(client.buy(quoted["id"], price=10) for _ in range(2)), return_exceptions=True
        )
        assert isinstance(one, CallError) is not isinstance(other, CallError)
        assert len(await ledger(client)) == 3


async def test_a_proposal_that_was_refused_can_be_bought_later(place: Place) -> None:
    async with await place.trader() as client:
        quoted = await client.proposal(**RISE)
        await start_fault(client, "rate_limit", call="buy")
        with pytest.raises(CallError, match="RateLimit"):
            await client.buy(quoted["id"], price=10)
        place.proxy.cut()
        await client.buy(quoted["id"], price=10)


async def test_a_purchase_of_a_lost_proposal_is_repeated_under_its_key(place: Place) -> None:
    """The first attempt has bought by parameters, and its reply was lost."""
    async with await place.trader() as client:
        quoted = await client.proposal(**RISE)
        place.proxy.cut()
        bought = await client.buy(quoted["id"], price=10, idempotency_key="once")
        again = await client.buy(quoted["id"], price=10, idempotency_key="once")
        assert again == bought
        dearer: BuyParameters = {**RISE, "amount": 11}
        other = await client.proposal(**dearer)
        place.proxy.cut()
        with pytest.raises(CallError, match="IdempotencyKeyReused"):
            await client.buy(other["id"], price=11, idempotency_key="once")
        assert len(await ledger(client)) == 2


async def test_a_call_that_is_sent_again_has_not_lost_its_reply(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The gateway could not finish it in time, and is busy with another one before the probe."""
    monkeypatch.setattr("scopegate.client.client.REPLY_WITHIN", 0.02)
    monkeypatch.setattr("scopegate.client.client.AGAIN", 0)

    async def handle(socket: ServerConnection) -> None:
        first, probe = [orjson.loads(await socket.recv()) for _ in range(2)]
        error = {"code": "Timeout", "message": "Timeout"}
        await socket.send(orjson.dumps({**first, "error": error}), text=True)
        again = orjson.loads(await socket.recv())
        while "ping" in again:
            again = orjson.loads(await socket.recv())
        await socket.send(orjson.dumps({**probe, "msg_type": "ping"}), text=True)
        await socket.send(
            orjson.dumps({**again, "msg_type": "sell", "sell": {"sold_for": 1}}), text=True
        )
        await socket.wait_closed()

    async with serve(handle, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with Client(f"ws://127.0.0.1:{port}", backoff=SOON, timeout=2) as client:
            assert await client.sell(1, price=0) == {"sold_for": 1}
            assert client.connections == 1


async def test_a_stream_opens_after_one_that_was_closed_and_refused(place: Place) -> None:
    async with await place.direct() as client:
        await start_fault(client, "rate_limit", call="ticks")
        await client.ticks("R_100").aclose()
        async with asyncio.timeout(10), client.ticks("R_100") as again:
            assert (await anext(again))["symbol"] == "R_100"


async def test_a_token_that_ends_is_named_as_the_reason(place: Place) -> None:
    async with await place.direct() as client:
        await start_fault(client, "revoke_token", after="buy")
        await client.buy(price=10, parameters=RISE)
        with pytest.raises(AccessError, match="The token has ended: it was revoked, or has"):
            await client.balance()


async def test_an_event_that_was_overtaken_is_not_lost(place: Place) -> None:
    async with (
        await place.direct() as client,
        client.transactions() as entries,
        client.balances() as balances,
        client.ticks("1HZ100V") as ticks,
    ):
        first = await anext(ticks)
        await start_fault(client, "reorder_events")
        bought = [await client.buy(price=10, parameters=RISE) for _ in range(6)]
        assert [each["transaction_id"] for each in await taken(entries, 6)] == [
            each["transaction_id"] for each in bought
        ]
        seen = [each["balance"] for each in await taken(balances, 7)]
        assert seen == [10_000 - 10 * number for number in range(7)]
        place.here.clock.advance(6)
        epochs = [tick["epoch"] for tick in await taken(ticks, 6)]
        assert sorted(epochs) == [first["epoch"] + number for number in range(1, 7)]


async def start_fault(client: Client, kind: str, **options: Any) -> None:
    """Begin a fault of the connections of a client."""
    await client.call({"fault_start": kind, "options": options})
