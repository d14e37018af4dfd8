"""Faults of what one connection is shown of the market: what a bot sees, and nobody else."""

from typing import Any

import pytest

from scopegate.handlers.exchange.feed_faults import MarketFaultKinds
from scopegate.testkit import LiveFault, LiveGateway, live_gateway
from tests.program.faulty_sessions import BUY, SYMBOL, TICKS, Bot, bot, comparable

PROPOSAL = {"proposal": 1, "amount": 10, "basis": "stake", "contract_type": "CALL"}
PROPOSAL |= {"currency": "USD", "duration": 5, "duration_unit": "m", "symbol": SYMBOL}
CANDLES = {"ticks_history": SYMBOL, "end": "latest", "style": "candles", "subscribe": 1, "count": 1}


def quotes(messages: list[Any]) -> list[float]:
    return [message["tick"]["quote"] for message in messages]


def epochs(messages: list[Any]) -> list[int]:
    """The seconds after the first reply at which these ticks are, in their order."""
    return [message["tick"]["epoch"] % 60 for message in messages]


def test_the_market_is_closed_for_a_purchase(scopegate: LiveGateway) -> None:
    scopegate.fault("market_closed")
    with bot(scopegate) as client:
        assert client.ask(**BUY)["error"]["code"] == "MarketIsClosed"
        assert "buy" in client.ask(**BUY)
    assert len(scopegate.contracts()) == 1


def test_the_price_has_moved_for_a_purchase(scopegate: LiveGateway) -> None:
    scopegate.fault("price_moved", times=2)
    with bot(scopegate) as client:
        for _ in range(2):
            assert client.ask(**BUY)["error"]["code"] == "PriceMoved"
        assert "buy" in client.ask(**BUY)


def test_the_feed_is_frozen(scopegate: LiveGateway) -> None:
    scopegate.fault("frozen_feed", skip=2, seconds=3)
    with bot(scopegate) as client:
        first = client.ask(**TICKS)
        right = [first["tick"]["quote"], *(t["quote"] for t in scopegate.ticks(SYMBOL, 6))]
        scopegate.clock.advance(6)
        shown = client.events(6)
        assert epochs(shown) == [1, 2, 3, 4, 5, 6]
        assert quotes(shown) == [right[1], right[2], right[2], right[2], right[5], right[6]]


def test_a_frozen_feed_is_frozen_in_its_history_too(scopegate: LiveGateway) -> None:
    scopegate.fault("frozen_feed")
    with bot(scopegate) as client, bot(scopegate) as other:
        first = client.ask(**TICKS)["tick"]["quote"]
        scopegate.clock.advance(3)
        client.events(3)
        past = {"ticks_history": SYMBOL, "end": "latest", "count": 5}
        shown = client.ask(**past)["history"]
        assert shown["prices"][1:] == [first] * 4
        right = other.ask(**past)["history"]
        assert right["times"] == shown["times"]
        assert right["prices"][:2] == shown["prices"][:2]
        assert right["prices"][2:] != shown["prices"][2:]


def test_a_bot_that_connects_again_has_the_right_feed(scopegate: LiveGateway) -> None:
    scopegate.fault("frozen_feed")
    for is_frozen in (True, False):
        with bot(scopegate) as client:
            client.ask(**TICKS)
            scopegate.clock.advance(5)
            assert (len(set(quotes(client.events(5)))) == 1) is is_frozen


def test_ticks_are_missing(scopegate: LiveGateway) -> None:
    scopegate.fault("tick_gap", skip=1, seconds=3)
    with bot(scopegate) as client:
        client.ask(**TICKS)
        scopegate.clock.advance(6)
        assert epochs(client.events(3)) == [1, 5, 6]


def test_the_ticks_of_one_symbol_are_missing(scopegate: LiveGateway) -> None:
    scopegate.fault("tick_gap", seconds=2, symbol=SYMBOL)
    with bot(scopegate) as client:
        client.send(ticks=[SYMBOL, "1HZ10V"], subscribe=1)
        client.events(2)
        scopegate.clock.advance(2)
        assert [m["tick"]["symbol"] for m in client.events(2)] == ["1HZ10V"] * 2


def test_a_price_spikes_and_a_contract_is_settled_by_the_right_one(scopegate: LiveGateway) -> None:
    scopegate.fault("spike", percent=20, skip=1)
    with bot(scopegate) as client:
        client.ask(**TICKS)
        right = [tick["quote"] for tick in scopegate.ticks(SYMBOL, 3)]
        scopegate.clock.advance(3)
        shown = client.events(3)
        assert [quotes(shown)[0], quotes(shown)[2]] == [right[0], right[2]]
        spike = shown[1]["tick"]
        assert abs(spike["quote"] / right[1] - 1) == pytest.approx(0.2, abs=1e-5)
        assert spike["bid"] < spike["quote"] < spike["ask"]


def test_the_candle_of_a_spike_has_it_within_its_range(scopegate: LiveGateway) -> None:
    scopegate.fault("spike", percent=20)
    with bot(scopegate) as client:
        client.ask(**CANDLES)
        scopegate.clock.advance(2)
        spike, after = (each["ohlc"] for each in client.events(2))
    assert float(spike["low"]) <= float(spike["close"]) <= float(spike["high"])
    assert abs(float(spike["close"]) / float(after["close"]) - 1) > 0.15
    assert float(after["high"]) / float(after["low"]) < 1.05


def test_a_market_of_ticks_has_faults_too(scopegate: LiveGateway) -> None:
    scopegate.fault("tick_gap", seconds=1, symbol="cryBTCUSD")
    with bot(scopegate) as client:
        client.ask(ticks_batch=1, market="cryptocurrency", subscribe=1)
        scopegate.clock.advance(4)
        names = [{tick["symbol"] for tick in m["ticks_batch"]} for m in client.events(2)]
        assert ["cryBTCUSD" in each for each in names] == [False, True]
        assert all("cryETHUSD" in each for each in names)


def test_proposals_are_stale(scopegate: LiveGateway) -> None:
    scopegate.fault("stale_proposals", seconds=2)
    with bot(scopegate) as client, bot(scopegate, token=scopegate.token("trade")) as other:
        first = client.ask(**PROPOSAL, subscribe=1)["proposal"]
        begun = first["spot_time"]
        scopegate.clock.advance(4)
        shown = [message["proposal"] for message in client.events(4)]
        assert [each["spot_time"] - begun for each in shown] == [0, 0, 1, 2]
        assert {each["id"] for each in shown} == {first["id"]}
        present = other.ask(**PROPOSAL)["proposal"]
        assert present["spot_time"] - begun == 4
        bought = client.ask(buy=first["id"], price=10)["buy"]  # the id still buys
        assert bought["start_time"] == begun + 4


def test_the_same_request_again_is_answered_with_a_stale_price(scopegate: LiveGateway) -> None:
    scopegate.fault("stale_proposals", seconds=5)
    with bot(scopegate) as client:
        first = client.ask(**PROPOSAL)["proposal"]
        scopegate.clock.advance(3)
        again = client.ask(**PROPOSAL)["proposal"]
        assert again["spot"] == first["spot"]
        assert again["id"] != first["id"]


def test_requests_within_a_second_are_remembered_once(scopegate: LiveGateway) -> None:
    stale = scopegate.fault("stale_proposals", seconds=600)
    with bot(scopegate) as client:
        spots = {client.ask(**PROPOSAL)["proposal"]["spot_time"] for _ in range(5)}
    assert len(spots) == 1
    assert stale.strikes == 0


def test_every_time_of_the_market_is_wrong(scopegate: LiveGateway) -> None:
    scopegate.fault("wrong_clock", seconds=90)
    now = int(scopegate.clock.now())
    with bot(scopegate) as client:
        assert client.ask(time=1)["time"] == now + 90
        assert client.ask(**TICKS)["tick"]["epoch"] == now + 90
        bought = client.ask(**BUY)["buy"]
        assert bought["start_time"] == now + 90
        past = client.ask(ticks_history=SYMBOL, end="latest", count=2)["history"]["times"]
        assert past == [now + 89, now + 90]
    [held] = scopegate.contracts()
    assert held["purchase_time"] == now


EVERY = [
    "latency milliseconds=1 jitter=5",
    "lost_reply after=buy",
    "duplicate_events chance=0.3",
    "reorder_events chance=0.3",
    "drop before=buy",
    "drop after=buy",
    "drop_at_random chance=0.02 seed=3",
    "half_open after=buy",
    "revoke_token after=buy",
    "rate_limit chance=0.3 times=0",
    "internal_error chance=0.3 times=0",
    "market_closed",
    "price_moved",
    "stale_proposals seconds=3 chance=0.6",
    "frozen_feed skip=4 seconds=5",
    "tick_gap skip=3 seconds=4",
    "spike chance=0.1 times=3",
    "wrong_clock seconds=-70",
]


def test_every_kind_is_run_twice() -> None:
    assert {text.split()[0] for text in EVERY} == set(MarketFaultKinds().by_name())
    assert len(MarketFaultKinds().by_name()) >= 16


@pytest.mark.parametrize("text", EVERY)
def test_the_same_seed_and_messages_give_the_same_run(text: str) -> None:
    first, again = run(text), run(text)
    assert first == again
    assert len(first) > 3


def run(text: str) -> list[str]:
    """What a bot and another one without faults are sent in a session of half a minute."""
    faulty: list[str] = []
    right: list[str] = []
    fault = MarketFaultKinds().parsed(text)
    with live_gateway(seed="twice") as gateway:
        token = gateway.token("read", "trade")
        with bot(gateway, right) as other, bot(gateway, faulty, token) as client:
            begun = gateway.fault(fault.kind, token=token, **fault.options())
            play(gateway, client, begun)
            assert other.ask(ping=1)["ping"] == "pong"
            gateway.hang_up()
            client.rest()
            other.rest()
        faulty.append(f"strikes {begun.strikes}")
        faulty += [str(contract["status"]) for contract in gateway.contracts()]
    assert right[-1] == "closed 1001"
    return [*comparable(faulty), *comparable(right)]


def play(gateway: LiveGateway, client: Bot, begun: LiveFault) -> None:
    """Send what a bot sends, each message once the gateway has handled the one before."""
    proposals = {**PROPOSAL, "subscribe": 1}
    buy = {**BUY, "subscribe": 1}
    for request in (TICKS, proposals, {"balance": 1, "subscribe": 1}, {"time": 1}, buy):
        if request is buy and begun.kind in ("half_open", "lost_reply"):
            client.send(**request)
            begun.wait()
        elif isinstance(client.ask(**request), int):
            break
        gateway.clock.advance(4)
    gateway.clock.advance(20)


def test_nobody_else_sees_a_fault() -> None:
    alone, beside = beside_faults([]), beside_faults(EVERY)
    assert alone == beside
    assert len(alone) == 13


def beside_faults(texts: list[str]) -> list[str]:
    """What another user is sent while a bot trades under these faults."""
    transcript: list[str] = []
    with live_gateway(seed="others") as gateway:
        token = gateway.token("read", "trade")
        for text in texts:
            fault = MarketFaultKinds().parsed(text)
            gateway.fault(fault.kind, token=token, **fault.options())
        others = gateway.open_account("eve@example.com")
        with (
            bot(gateway, token=token) as faulty,
            bot(gateway, transcript, gateway.token(loginid=others)) as other,
        ):
            transcript.clear()  # the reply to `authorize` has the time of the day
            faulty.send(**TICKS)
            other.ask(**TICKS)
            gateway.clock.advance(10)
            other.events(10)
            other.ask(**BUY)
            faulty.send(**BUY)
            other.ask(statement=1)
    return comparable(transcript)
