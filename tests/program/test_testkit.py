"""The kit for tests of bots: a gateway on a port, in a thread, with a clock that the test moves."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosedOK
from websockets.sync.client import ClientConnection, connect

from scopegate import testing, testkit
from scopegate.settings import SettingsError
from scopegate.testing import NOON
from scopegate.testkit import LiveGateway, live_gateway

PARAMETERS = {
    "contract_type": "CALL",
    "symbol": "1HZ100V",
    "duration": 5,
    "duration_unit": "m",
    "basis": "stake",
    "amount": 10,
    "currency": "USD",
}
BUY = {"buy": 1, "price": 10, "parameters": PARAMETERS}
TICKS = {"ticks": "1HZ100V", "subscribe": 1}


@pytest.fixture
def bot(scopegate: LiveGateway) -> Iterator[Callable[..., Any]]:
    """A client in the test's own thread: sends a message, and returns the next that it is sent."""
    with connect(scopegate.url) as opened:

        def ask(**request: Any) -> Any:
            opened.send(json.dumps(request))
            return json.loads(opened.recv(timeout=10))

        yield ask


def trade(url: str, token: str) -> dict[str, Any]:
    """A bot that buys once; the contract as it was told last."""
    with connect(url) as opened:
        for request in ({"authorize": token}, {**BUY, "subscribe": 1}):
            opened.send(json.dumps(request))
        for text in opened:
            message = json.loads(text)
            told: dict[str, Any] = message.get("proposal_open_contract", {})
            if told.get("is_sold"):
                return told
    raise AssertionError("the contract was not sold")


def test_a_contract_of_five_minutes_takes_milliseconds(scopegate: LiveGateway) -> None:
    playing = scopegate.run(trade, scopegate.url, scopegate.token("trade"))
    bought = scopegate.wait_for("buy")["buy"]
    assert scopegate.balance() == 9990
    [held] = scopegate.contracts()
    assert held["status"] == "open"

    began = time.perf_counter()
    scopegate.clock.advance(300)
    assert time.perf_counter() - began < 3  # 20 ms, where the machine has nothing else to do

    # All of it has been settled and told when the clock is given back.
    call = "proposal_open_contract"
    told = [message[call] for message in scopegate.messages if message["msg_type"] == call]
    [contract] = scopegate.contracts()
    assert told[-1] == contract
    assert contract["is_sold"] == 1
    assert [t["current_spot_time"] for t in told[:-1]] == list(
        range(bought["start_time"] + 1, bought["start_time"] + 300)
    )
    assert playing.result(timeout=10) == contract
    entries = scopegate.statement()
    assert [entry["action_type"] for entry in entries[-2:]] == ["buy", "sell"]
    assert entries[-1]["transaction_time"] == bought["start_time"] + 300
    assert entries[-1]["balance_after"] == scopegate.balance() == 9990 + contract["sell_price"]


def test_ticks_to_come_are_those_that_come(scopegate: LiveGateway, bot: Callable[..., Any]) -> None:
    bot(**TICKS)
    scopegate.wait_for("tick")
    to_come = scopegate.ticks("1HZ100V", 10)
    scopegate.clock.advance(10)
    told = [scopegate.wait_for("tick")["tick"] for _ in range(10)]
    assert [{"epoch": t["epoch"], "quote": t["quote"]} for t in told] == to_come
    scopegate.clock.advance(0.5)
    assert len(scopegate.messages) == 11
    every_other = [tick["epoch"] for tick in scopegate.ticks("R_100", 5)]
    assert every_other == [NOON + 12, NOON + 14]


def test_what_is_sent_while_the_clock_moves_is_answered_when_it_has_moved(
    scopegate: LiveGateway,
) -> None:
    def hasty() -> tuple[int, int]:
        with connect(scopegate.url) as opened:
            for request in (
                {"authorize": scopegate.token()},
                TICKS,
                {"buy": 1, "price": 10, "parameters": {**PARAMETERS, "duration_unit": "t"}},
            ):
                opened.send(json.dumps(request))
            seen = 0
            for text in opened:
                message = json.loads(text)
                if message["msg_type"] == "tick":
                    seen = message["tick"]["epoch"]
                    if seen == NOON + 1:
                        opened.send('{"time": 1}')
                elif message["msg_type"] == "time":
                    return seen, message["time"]
        raise AssertionError("not answered")

    playing = scopegate.run(hasty)
    scopegate.wait_for("buy")
    scopegate.clock.advance(3600)  # on its way the contract is settled, which takes a moment
    assert playing.result(timeout=10) == (NOON + 3600, NOON + 3600)


def test_who_connects_while_the_clock_moves_is_answered_afterwards(scopegate: LiveGateway) -> None:
    async def meanwhile() -> tuple[list[Any], Any]:
        async with contextlib.AsyncExitStack() as stack:
            async with scopegate._traffic.held():
                opened = await stack.enter_async_context(connect_async(scopegate.url))
                await opened.send('{"ping": 1}')
                for _ in range(100):
                    await asyncio.sleep(0)
                early = scopegate.messages
            return early, json.loads(await opened.recv())

    early, answer = scopegate._thread.do(meanwhile())
    assert early == []
    assert answer["ping"] == "pong"


def test_the_clock_goes_to_a_moment_and_not_back(
    scopegate: LiveGateway, bot: Callable[..., Any]
) -> None:
    assert scopegate.clock.now() == bot(time=1)["time"] == NOON
    scopegate.clock.to("2026-01-01T13:00:00Z")
    scopegate.clock.to(datetime(2026, 1, 1, 14, 30, tzinfo=UTC))
    assert scopegate.clock.now() == bot(time=1)["time"] == NOON + 9000
    with pytest.raises(ValueError, match="cannot go back"):
        scopegate.clock.to(NOON)


def test_the_clock_runs_in_a_block(scopegate: LiveGateway) -> None:
    with scopegate.clock.running(speed=5_000):
        contract = trade(scopegate.url, scopegate.token("trade"))
        with pytest.raises(RuntimeError, match="cannot be moved"):
            scopegate.clock.advance(1)
    assert contract["is_sold"] == 1
    stands = scopegate.clock.now()
    assert stands >= NOON + 300
    scopegate.clock.advance(1)
    assert scopegate.clock.now() == stands + 1
    with pytest.raises(ValueError, match="speed"), scopegate.clock.running(speed=0):
        pass


@pytest.mark.scopegate(start="2026-03-01T00:00:00Z", balance="500.00", currency="EUR")
def test_a_gateway_begins_as_the_mark_says(scopegate: LiveGateway, bot: Callable[..., Any]) -> None:
    assert scopegate.clock.now() == 1_772_323_200
    signed_in = bot(authorize=scopegate.token("read"))["authorize"]
    assert (signed_in["balance"], signed_in["currency"]) == (500, "EUR")
    assert signed_in["loginid"] == scopegate.loginid
    assert signed_in["scopes"] == ["read"]
    assert bot(**BUY)["error"]["code"] == "PermissionDenied"
    # Money came by the ledger.
    assert [entry["amount"] for entry in scopegate.statement()] == [500]


@pytest.mark.scopegate(balance=12.5)
def test_balances_are_set_by_the_ledger_and_others_have_accounts(scopegate: LiveGateway) -> None:
    assert scopegate.balance() == 12.5
    scopegate.set_balance("20.25")
    amounts = [entry["amount"] for entry in scopegate.statement()]
    assert amounts == [10_000, -9_987.5, 7.75]
    ada = scopegate.open_account("ada@example.com", balance="0.00000001", currency="BTC")
    real = scopegate.open_account(virtual=False, balance=0)
    assert real.startswith("CR")
    assert scopegate.balance(ada) == 1e-08
    assert scopegate.statement(real) == []
    with connect(scopegate.url) as opened:
        opened.send(json.dumps({"authorize": scopegate.token("trade", loginid=ada)}))
        scopegate.wait_for("authorize", where=lambda m: m["authorize"]["loginid"] == ada)


def test_a_bot_is_tested_within_its_caps(scopegate: LiveGateway, bot: Callable[..., Any]) -> None:
    bot(authorize=scopegate.token("trade", max_stake_per_day=15, symbols=["1HZ100V"]))
    assert "error" not in bot(**BUY)
    refused = bot(**BUY)["error"]
    assert refused["code"] == "TokenCapReached"
    assert refused["details"]["remaining"] == 5.0
    assert bot(**BUY | {"parameters": PARAMETERS | {"symbol": "R_100"}})["error"]["code"] == (
        "TokenRestricted"
    )


def test_an_app_acts_with_the_scopes_it_was_given(scopegate: LiveGateway) -> None:
    app = scopegate.app("read")
    token = scopegate.token("read", "trade", app=app)
    with connect(f"{scopegate.endpoint}/websockets/v3?app_id={app.id}") as opened:
        opened.send(json.dumps({"authorize": token}))
        assert scopegate.wait_for("authorize")["authorize"]["scopes"] == ["read"]


def test_each_message_is_waited_for_once(scopegate: LiveGateway, bot: Callable[..., Any]) -> None:
    for req_id in (1, 2, 3, 4):
        bot(ping=1, req_id=req_id)
    bot(time=1)
    assert scopegate.wait_for("ping")["req_id"] == 1
    assert scopegate.wait_for("time")["time"] == NOON
    assert scopegate.wait_for("ping", where=lambda m: m["req_id"] > 2)["req_id"] == 3
    assert scopegate.wait_for("ping")["req_id"] == 4
    with pytest.raises(TimeoutError, match=r"no ping .* 0\.01 s; sent so far: 4 ping, 1 time$"):
        scopegate.wait_for("ping", patience=0.01)


def test_patience_is_not_renewed_by_other_messages(scopegate: LiveGateway) -> None:
    with connect(scopegate.url) as opened:
        opened.send(json.dumps(TICKS))
        began = time.perf_counter()
        with scopegate.clock.running(100), pytest.raises(TimeoutError, match="no buy"):
            scopegate.wait_for("buy", patience=0.1)
        assert time.perf_counter() - began < 5


def test_a_bot_that_fails_is_not_waited_for(scopegate: LiveGateway) -> None:
    def failing() -> None:
        raise LookupError("the bot's own problem")

    scopegate.run(failing)
    with pytest.raises(LookupError, match="the bot's own problem"):
        scopegate.wait_for("buy")


def fail_at_the_clock() -> None:
    with live_gateway() as exchange:
        exchange.run(fail)
        exchange.clock.advance(-1)


def fail() -> None:
    raise LookupError("the bot's own problem")


def test_a_bots_failure_is_raised_unless_the_test_asks_for_it() -> None:
    with (
        pytest.raises(LookupError, match="own problem") as caught,
        live_gateway() as exchange,
    ):
        exchange.run(fail)
    assert caught.value.__notes__ == ["The bot fail, run by scopegate.run, has failed."]
    with pytest.RaisesGroup(LookupError, ZeroDivisionError), live_gateway() as exchange:
        exchange.run(fail)
        exchange.run(lambda: 1 / 0)
    # The test's own failure comes first.
    with pytest.raises(ValueError, match="cannot go back"):
        fail_at_the_clock()


def test_a_failure_that_the_test_asked_for_is_not_raised_again() -> None:
    with live_gateway() as exchange:
        with pytest.raises(LookupError):
            exchange.run(fail).result(timeout=10)
        assert isinstance(exchange.run(fail).exception(timeout=10), LookupError)
        exchange.run(fail)
        with pytest.raises(LookupError):
            exchange.wait_for("buy")
        exchange.run(exit, 0)  # as a program ends that has done its work
        waiting = exchange.run(trade, exchange.url, exchange.token("trade"))
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.01)
    # The gateway has left it: its contract was never sold, which is no failure of the bot's.
    assert isinstance(waiting.exception(timeout=10), AssertionError)


def test_a_refusal_is_not_what_is_waited_for(
    scopegate: LiveGateway, bot: Callable[..., Any]
) -> None:
    bot(authorize=scopegate.token("trade"))
    for price in (1, 2):
        assert bot(**{**BUY, "price": price, "req_id": price})["error"]["code"] == "PriceMoved"
    with pytest.raises(TimeoutError) as caught:
        scopegate.wait_for("buy", patience=0.01)
    assert str(caught.value).startswith(
        "no buy was sent within 0.01 s; sent so far: 1 authorize, 2 refused buy."
        " The last buy was refused: PriceMoved, The market has moved"
    )
    bot(**BUY, req_id=3)
    assert scopegate.wait_for("buy", refused=True)["req_id"] == 1
    assert scopegate.wait_for("buy")["req_id"] == 3
    is_second = scopegate.wait_for("buy", lambda m: m["error"]["code"], refused=True)
    assert is_second["req_id"] == 2
    with pytest.raises(TimeoutError, match="no refused buy was sent"):
        scopegate.wait_for("buy", refused=True, patience=0.01)


async def test_a_bot_may_run_in_the_event_loop_of_the_test(scopegate: LiveGateway) -> None:
    async def play() -> int:
        async with connect_async(scopegate.url) as opened:
            await opened.send(json.dumps(TICKS))
            async for text in opened:
                if json.loads(text)["tick"]["epoch"] == NOON + 60:
                    return 60
        return 0

    playing = asyncio.create_task(play())
    with pytest.raises(TimeoutError, match=r"await asyncio\.to_thread"):
        scopegate.wait_for("tick", patience=0.01)
    await asyncio.to_thread(scopegate.wait_for, "tick")
    await asyncio.to_thread(scopegate.clock.advance, 60)
    assert await playing == 60


def test_hanging_up_ends_what_is_connected(scopegate: LiveGateway) -> None:
    with connect(scopegate.url) as opened:
        opened.send('{"ping": 1}')
        scopegate.wait_for("ping")
        scopegate.hang_up()
        assert json.loads(opened.recv())["ping"] == "pong"
        with pytest.raises(ConnectionClosedOK, match="1001"):
            opened.recv(timeout=10)
    with connect(scopegate.url) as opened:
        opened.send('{"ping": 1}')
        scopegate.wait_for("ping")


def test_a_client_that_does_not_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testkit, "PATIENCE", 0.1)
    with live_gateway() as exchange, socket.socket() as narrow:
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        narrow.connect(("127.0.0.1", exchange.port))
        with connect(exchange.url, sock=narrow, max_queue=1) as opened:
            opened.send(json.dumps(TICKS))
            exchange.wait_for("tick")
            with pytest.raises(TimeoutError, match="has not read"):
                exchange.clock.advance(86_400)
            drain(opened)


def drain(opened: ClientConnection) -> None:
    """Read what has come, so that the connection can be closed."""
    with contextlib.suppress(TimeoutError):
        while True:
            opened.recv(timeout=0.1)


def test_the_port_is_free_and_bots_have_ended_after_the_block() -> None:
    def slow_to_end() -> str:
        with connect(exchange.url) as opened:
            opened.send('{"ping": 1}')
            assert len(list(opened)) == 1
        threading.Event().wait(0.1)
        return "ended"

    with live_gateway() as exchange:
        ending = exchange.run(slow_to_end)
        exchange.wait_for("ping")
    assert ending.result(timeout=0) == "ended"
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", exchange.port))
    with pytest.raises(RuntimeError, match="the gateway has ended"):
        exchange.token("read")


FAULTY = '''
import asyncio
from typing_extensions import TypedDict
from scopegate.gateway.calls.registry import call
from scopegate.gateway.calls.session import Session
from scopegate.schemas.fields import One, Request

class Later(Request):
    """Asks for trouble."""
    later: One

class LaterReply(TypedDict):
    later: int

class Faulty:
    """Trouble."""

    @call("later", needs=None)
    async def later(self, request: Later, session: Session) -> LaterReply:
        """Fail when nobody looks."""
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        return {"later": 1}
'''


def test_what_fails_in_the_gateways_thread_is_raised_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "faulty_calls.py").write_text(FAULTY)
    monkeypatch.syspath_prepend(tmp_path)
    with (
        pytest.RaisesGroup(ZeroDivisionError),
        live_gateway(handlers="faulty_calls") as exchange,
        connect(exchange.url) as opened,
    ):
        opened.send('{"later": 1}')
        assert exchange.wait_for("later")["later"] == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"balance": "plenty"}, "balance: 'plenty' is not a valid amount of USD"),
        ({"balance": "0.001"}, "balance: "),
        ({"balance": -1}, "balance: "),
        ({"balance": "NaN"}, "balance: "),
        ({"currency": "XYZ"}, "currency: 'XYZ' must be one of AUD"),
        ({"start": "yesterday"}, "start: "),
        ({"seed": ""}, "seed: "),
        ({"colour": "red"}, "colour: unknown setting"),
        ({"limits": "none"}, "limits: "),
        ({"port": 5555}, "port: the gateway of a test does not take this setting"),
    ],
)
def test_what_is_wrong_is_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said), live_gateway(**options):
        pass


def test_the_machine_has_no_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scopegate.toml").write_text("margin_rise_fall = 0.3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCOPEGATE_LIMITS", "nonsense")
    payouts = []
    for options in ({}, {"margin_rise_fall": 0.3}):
        with live_gateway(**options) as exchange:
            exchange.run(trade, exchange.url, exchange.token("trade"))
            payouts.append(exchange.wait_for("buy")["buy"]["payout"])
    assert payouts[0] > payouts[1]


async def test_a_crowd_is_told_everything_before_a_world_has_caught_up() -> None:
    async with testing.world() as world:
        crowd = [world.connect() for _ in range(70)]
        for client in crowd:
            await client.ask(TICKS)
        world.clock.advance(1200)
        await world.caught_up()
        assert {len(client.received) for client in crowd} == {1200}
