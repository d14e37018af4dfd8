"""The bot on a recorded morning, and on the same morning with a crash that the test adds."""

import csv
from datetime import datetime
from pathlib import Path

import dipper
import pytest
from websockets.sync.client import connect

from scopegate.testkit import LiveGateway

FILE = Path(__file__).parents[1] / "tuesday.csv"
pytestmark = pytest.mark.scopegate(market={dipper.SYMBOL: FILE})


def candles() -> list[tuple[int, float, float]]:
    """The epoch, low and high of each minute of the file."""
    with FILE.open(newline="") as lines:
        return [
            (
                int(datetime.fromisoformat(row["time"]).timestamp()),
                float(row["low"]),
                float(row["high"]),
            )
            for row in csv.DictReader(lines)
        ]


def run_over_the_file(exchange: LiveGateway, *, crash_in_minute: int | None = None) -> list[int]:
    """Let the bot look once a minute; return the ids of the contracts that it has bought."""
    bought = []
    with connect(exchange.url) as socket:
        bot = dipper.Dipper(socket, exchange.token("trade"))
        for minute in range(len(candles()) - 10):
            if (contract_id := bot.look()) is not None:
                bought.append(contract_id)
            if minute == crash_in_minute:
                exchange.market(dipper.SYMBOL).move("-2%", over="1m")
            exchange.clock.advance(60)
    exchange.clock.advance(300)
    return bought


def test_contracts_settle_at_the_prices_of_the_file(scopegate: LiveGateway) -> None:
    assert scopegate.clock.now() == candles()[0][0]
    bought = run_over_the_file(scopegate)
    contracts = scopegate.contracts()
    assert [contract["contract_id"] for contract in contracts] == bought
    assert bought
    for contract in contracts:
        assert contract["status"] in ("won", "lost")
        for epoch, price in (
            (contract["entry_tick_time"], contract["entry_tick"]),
            (contract["exit_tick_time"], contract["exit_tick"]),
        ):
            assert any(
                opened <= epoch < opened + 60 and low <= price <= high
                for opened, low, high in candles()
            )


def test_it_buys_into_a_crash(scopegate: LiveGateway) -> None:
    run_over_the_file(scopegate, crash_in_minute=30)
    crash = candles()[30][0]
    starts = [contract["date_start"] for contract in scopegate.contracts()]
    assert crash + 60 in starts
