"""Scripted moves and own markets in the test kit: over sockets, in the gateway of one test."""

import itertools
import json
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.sync.client import connect

from scopegate.scripted import MAX_RISE
from scopegate.settings import SettingsError
from scopegate.testkit import LiveGateway, live_gateway
from tests.effort import chosen
from tests.program.test_pytest_plugin import WITHOUT_ASYNCIO, run_pytest

FIRST = 1_769_472_000
"""2026-01-27 00:00 UTC, a Tuesday."""
DAY = 86_400
ROUND = 300
"""Seconds from one purchase to the next."""


def day_of_ticks(path: Path, *, seconds: int = DAY, seed: int = 1) -> dict[int, str]:
    """Write a file with a tick every second; return its prices by their epochs."""
    drawn, price = random.Random(seed), 1_000.0
    prices: dict[int, str] = {}
    for epoch in range(FIRST, FIRST + seconds):
        price *= math.exp(drawn.gauss(0, 0.0002))
        prices[epoch] = f"{price:.2f}"
    rows = "".join(f"{epoch},{quote}\n" for epoch, quote in prices.items())
    path.write_text(f"epoch,quote\n{rows}")
    return prices


def trade(url: str, token: str, rounds: int) -> int:
    """A bot that follows the ticks, and buys every `ROUND` seconds; how many ticks it has seen."""
    parameters = {
        "contract_type": "CALL",
        "symbol": "OWN_X",
        "duration": ROUND - 10,
        "duration_unit": "s",
        "basis": "stake",
        "amount": 10,
        "currency": "USD",
    }
    seen, bought, due = 0, 0, FIRST
    with connect(url) as opened:
        opened.send(json.dumps({"authorize": token}))
        opened.send(json.dumps({"ticks": "OWN_X", "subscribe": 1}))
        for text in opened:
            message = json.loads(text)
            assert "error" not in message, message["error"]
            if message["msg_type"] != "tick":
                continue
            seen += 1
            if message["tick"]["epoch"] >= due:
                if bought == rounds:
                    break
                parameters["contract_type"] = ("CALL", "PUT")[bought % 2]
                opened.send(json.dumps({"buy": 1, "price": 10, "parameters": parameters}))
                bought, due = bought + 1, due + ROUND
    return seen


def run_day(path: Path, seconds: int) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Run the bot over the file; return its contracts, and what it was sent."""
    rounds = seconds // ROUND - 1
    with live_gateway(market={"OWN_X": path}) as exchange:
        playing = exchange.run(trade, exchange.url, exchange.token("trade"), rounds)
        for _ in range(rounds):
            exchange.wait_for("buy")
            exchange.clock.advance(ROUND)
        assert playing.result(timeout=10) == rounds * ROUND + 1
        contracts = exchange.contracts()
        return contracts, [stable(message) for message in exchange.messages]


def stable(message: dict[str, Any]) -> bytes:
    """A message without what is drawn at random: the ids of streams, and the token."""
    message = {name: value for name, value in message.items() if name != "subscription"}
    if message["msg_type"] == "authorize":
        message = {"msg_type": "authorize"}
    if message["msg_type"] == "tick":
        message["tick"] = {k: v for k, v in message["tick"].items() if k != "id"}
    return json.dumps(message).encode()


@pytest.mark.lengthy
def test_a_bot_runs_over_a_day_of_a_file_in_seconds(tmp_path: Path) -> None:
    path = tmp_path / "tuesday.csv"
    prices = day_of_ticks(path)
    contracts, shown = run_day(path, DAY)
    assert len(contracts) == DAY // ROUND - 1
    for contract in contracts:
        entry, ended = contract["entry_tick_time"], contract["exit_tick_time"]
        assert entry == contract["date_start"] + 1
        assert ended == contract["date_expiry"]
        assert contract["entry_spot_display_value"] == prices[entry]
        assert contract["exit_tick_display_value"] == prices[ended]
        rose = float(prices[ended]) > float(prices[entry])
        fell = float(prices[ended]) < float(prices[entry])
        won = rose if contract["contract_type"] == "CALL" else fell
        assert contract["status"] == ("won" if won else "lost")
    streamed = [json.loads(text)["tick"] for text in shown if b'"msg_type": "tick"' in text]
    assert [(tick["epoch"], f"{tick['quote']:.2f}") for tick in streamed] == list(
        itertools.islice(prices.items(), len(streamed))
    )


def test_two_runs_over_a_file_are_equal(tmp_path: Path) -> None:
    path = tmp_path / "hour.csv"
    day_of_ticks(path, seconds=3_600)
    assert run_day(path, 3_600) == run_day(path, 3_600)


@pytest.fixture
def ask(scopegate: LiveGateway) -> Iterator[Callable[..., Any]]:
    """A client that is signed in: sends a message, and returns the next that it is sent."""
    with connect(scopegate.url) as opened:

        def asked(**request: Any) -> Any:
            opened.send(json.dumps(request))
            return json.loads(opened.recv(timeout=10))

        asked(authorize=scopegate.token())
        yield asked


BUY = {
    "contract_type": "CALL",
    "symbol": "R_100",
    "duration": 1,
    "duration_unit": "m",
    "basis": "stake",
    "amount": 10,
    "currency": "USD",
}


@pytest.mark.parametrize(("by", "outcome"), [("+3%", "won"), ("-3%", "lost")])
def test_a_move_decides_a_contract(
    scopegate: LiveGateway, ask: Callable[..., Any], by: str, outcome: str
) -> None:
    ask(buy=1, price=10, parameters=BUY)
    scopegate.clock.advance(10)
    before = ask(ticks_history="R_100", count=100, end="latest")["history"]
    scopegate.market("R_100").move(by, over="10s")
    assert ask(ticks_history="R_100", count=100, end="latest")["history"] == before
    scopegate.clock.advance(60)
    [contract] = scopegate.contracts()
    assert contract["status"] == outcome
    assert abs(contract["exit_tick"] / contract["entry_tick"] - 1) == pytest.approx(0.03, abs=0.01)


def test_a_touch_is_decided_at_the_tick_that_is_set(
    scopegate: LiveGateway, ask: Callable[..., Any]
) -> None:
    touch = {**BUY, "contract_type": "ONETOUCH", "duration": 5, "barrier": "+5"}
    start = ask(buy=1, price=10, parameters=touch)["buy"]["start_time"]
    scopegate.clock.advance(10)
    level = ask(ticks="R_100")["tick"]["quote"] + 60
    scopegate.market("R_100").set(f"{level:.2f}")
    scopegate.clock.advance(2)
    [contract] = scopegate.contracts()
    assert (contract["status"], contract["exit_tick"]) == ("won", level)
    assert contract["exit_tick_time"] == start + 12


def test_a_frozen_price_loses_a_rise(scopegate: LiveGateway, ask: Callable[..., Any]) -> None:
    market = scopegate.market("R_100")
    market.freeze("2m")
    ask(buy=1, price=10, parameters=BUY)
    scopegate.clock.advance(60)
    [contract] = scopegate.contracts()
    assert contract["status"] == "lost"
    assert contract["exit_tick"] == contract["entry_tick"]
    market.jump("+1%")
    scopegate.clock.advance(2)
    assert ask(ticks="R_100")["tick"]["quote"] > contract["exit_tick"]
    assert len(market.moves) == 2


STEPS = st.one_of(
    st.tuples(st.just("move"), st.sampled_from(["-3%", "+0.5%", "-40%"]), st.integers(0, 40)),
    st.tuples(st.just("jump"), st.sampled_from(["+2%", "-1.5%"])),
    st.tuples(st.just("set"), st.sampled_from(["2000.00", "2400.1", "0.01"])),
    st.tuples(st.just("freeze"), st.integers(0, 30)),
    st.tuples(st.just("wait"), st.integers(1, 30)),
)


def transcript(steps: list[tuple[Any, ...]]) -> tuple[bytes, list[dict[str, Any]], Any, Any]:
    """Run a script; what a listener was sent, its ticks, the history, and the contracts."""
    listened: list[bytes] = []
    with live_gateway() as exchange, connect(exchange.url) as opened:

        def ask(msg_type: str, **request: Any) -> Any:
            opened.send(json.dumps(request))
            while True:
                text = opened.recv(timeout=10)
                message = json.loads(text)
                listened.append(stable(message))
                if message["msg_type"] == msg_type:
                    return message[msg_type]

        ask("authorize", authorize=exchange.token())
        ask("tick", ticks="R_100", subscribe=1)
        market = exchange.market("R_100")
        for number, (name, *values) in enumerate(steps):
            kind = ("CALL", "PUT", "ONETOUCH", "DIGITODD")[number % 4]
            few = {"duration": 5, "duration_unit": "t"}
            parameters = {**BUY, "contract_type": kind, **(few if number % 2 else {})}
            if kind == "ONETOUCH":
                parameters |= {"barrier": "+3", "duration": 2}
            # A price at a few pips is refused; that is part of the transcript too.
            opened.send(json.dumps({"buy": 1, "price": 10, "parameters": parameters}))
            ask("ping", ping=1)
            if name == "wait":
                exchange.clock.advance(*values)
            else:
                getattr(market, name)(*values)
        exchange.clock.advance(150)
        history = ask("history", ticks_history="R_100", count=5_000, end="latest", start=1)
        minutes = ask(
            "candles", ticks_history="R_100", style="candles", count=20, end="latest", start=1
        )
        contracts = exchange.contracts()
    ticks = [json.loads(text)["tick"] for text in listened if b'"msg_type": "tick"' in text]
    return b"\n".join(listened), ticks, (history, minutes), contracts


@settings(
    max_examples=chosen(8, 200),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.lists(STEPS, max_size=8))
def test_history_candles_and_settlement_agree_with_the_stream_whatever_is_drawn(
    steps: list[tuple[Any, ...]],
) -> None:
    _, ticks, (history, minutes), contracts = transcript(steps)
    streamed = {tick["epoch"]: tick["quote"] for tick in ticks}
    shown = dict(zip(history["times"], history["prices"], strict=True))
    assert {epoch: shown[epoch] for epoch in streamed} == streamed
    assert max(shown) == max(streamed)
    for candle in minutes:
        inside = [shown[e] for e in sorted(shown) if 0 <= e - candle["epoch"] < 60]
        prices = (candle["open"], candle["high"], candle["low"], candle["close"])
        assert prices == (inside[0], max(inside), min(inside), inside[-1])
    for contract in contracts:
        assert contract["is_sold"]
        assert contract["entry_tick"] == shown[contract["entry_tick_time"]]
        assert contract["exit_tick"] == shown[contract["exit_tick_time"]]
        if contract["contract_type"] in ("CALL", "PUT"):
            rise = contract["exit_tick"] - contract["entry_tick"]
            won = rise > 0 if contract["contract_type"] == "CALL" else rise < 0
            assert contract["status"] == ("won" if won else "lost")
        elif contract["contract_type"] == "ONETOUCH":
            last, barrier = contract["exit_tick_time"], float(contract["barrier"])
            path = [shown[e] for e in shown if contract["entry_tick_time"] <= e <= last]
            assert (contract["status"] == "won") == (max(path) >= barrier)


@settings(max_examples=chosen(4, 50), deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=5))
def test_the_same_script_gives_the_same_bytes(steps: list[tuple[Any, ...]]) -> None:
    assert transcript(steps)[0] == transcript(steps)[0]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda market: market.move("3"), "must be a percentage"),
        (lambda market: market.move("-100%"), "above -100%"),
        (lambda market: market.jump(f"+{MAX_RISE + 1}%"), rf"up to \+{MAX_RISE}%"),
        (lambda market: market.move("-3%", over="soon"), "must be a number of seconds"),
        (lambda market: market.freeze(-1), "must be a number of seconds"),
        (lambda market: market.set("2400.123"), "is not a price of R_100, such as 2400.00"),
        (lambda market: market.set(0), "is not a price of R_100"),
        (lambda market: market.set("nan"), "is not a price of R_100"),
    ],
)
def test_a_wrong_script_is_refused(
    scopegate: LiveGateway, change: Callable[[Any], None], expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        change(scopegate.market("R_100"))


def test_a_symbol_that_cannot_be_scripted_is_refused(scopegate: LiveGateway) -> None:
    with pytest.raises(ValueError, match="there is no symbol 'R_101'"):
        scopegate.market("R_101")
    with pytest.raises(ValueError, match="stpRNG moves in fixed steps"):
        scopegate.market("stpRNG").jump("+1%")


def test_an_own_market_can_be_scripted(tmp_path: Path) -> None:
    path = tmp_path / "hour.csv"
    prices = day_of_ticks(path, seconds=3_600)
    with live_gateway(market={"OWN_X": path}) as exchange:
        exchange.clock.advance(10)
        exchange.market("OWN_X").jump("+10%")
        [one] = exchange.ticks("OWN_X", 1)
        assert one["quote"] == pytest.approx(float(prices[FIRST + 11]) * 1.1, abs=0.01)


def test_a_wrong_market_is_refused(tmp_path: Path) -> None:
    for market, expected in (
        ({"OWN_X": tmp_path / "missing.csv"}, "cannot be read: No such file"),
        ({"X": tmp_path}, "must be NAME=FILE"),
        ({"OWN_X": tmp_path}, "cannot be read: Is a directory"),
        ("OWN_X=a.csv", "give files by name"),
    ):
        with pytest.raises(SettingsError, match=expected), live_gateway(market=market):  # type: ignore[arg-type]
            pass


@pytest.mark.lengthy
def test_the_mark_takes_a_market_beside_the_test(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    day_of_ticks(tmp_path / "below" / "ticks.csv", seconds=60)
    (tmp_path / "below" / "test_it.py").write_text(
        "import pytest\n"
        '@pytest.mark.scopegate(market={"OWN_X": "ticks.csv"})\n'
        "def test_it(scopegate):\n"
        f"    assert scopegate.clock.now() == {FIRST}\n"
        '    assert len(scopegate.ticks("OWN_X", 100)) == 59\n'
    )
    done = run_pytest(tmp_path, *WITHOUT_ASYNCIO)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
