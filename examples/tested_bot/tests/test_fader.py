"""Tests of the bot with the fixture `scopegate`: five minutes take a few milliseconds."""

import fader
import pytest

from scopegate.testkit import LiveGateway


def seconds_to_a_run(exchange: LiveGateway, quote: float) -> int:
    """Return in how many seconds the last of three rises comes, after a tick with this quote."""
    rises = 0
    for seconds, tick in enumerate(exchange.ticks(fader.SYMBOL, 600), 1):
        rises = rises + 1 if tick["quote"] > quote else 0
        quote = tick["quote"]
        if rises == fader.RUN:
            return seconds
    raise AssertionError("there is no run in ten minutes: take another seed")


def go_to_a_run(exchange: LiveGateway) -> None:
    """Move the clock to the moment at which the bot should act."""
    first = exchange.wait_for("tick")["tick"]
    exchange.clock.advance(seconds_to_a_run(exchange, first["quote"]))


@pytest.mark.parametrize(
    "status",
    [
        pytest.param("won", marks=pytest.mark.scopegate(seed="monday", balance="500.00")),
        pytest.param("lost", marks=pytest.mark.scopegate(seed="tuesday", balance="500.00")),
    ],
)
def test_after_three_rises_it_bets_on_a_fall(scopegate: LiveGateway, status: str) -> None:
    playing = scopegate.run(fader.play, scopegate.url, scopegate.token("trade"))
    go_to_a_run(scopegate)
    bought = scopegate.wait_for("buy")["buy"]
    assert bought["balance_after"] == 490

    scopegate.clock.advance(300)

    [contract] = scopegate.contracts()
    assert contract["contract_type"] == "PUT"
    assert contract["sell_time"] - contract["purchase_time"] == 300
    assert contract["status"] == status
    assert playing.result(timeout=10) == contract["profit"]
    assert scopegate.balance() == 490 + contract["sell_price"]


def test_it_waits_for_the_third_rise(scopegate: LiveGateway) -> None:
    scopegate.run(fader.play, scopegate.url, scopegate.token("trade"))
    first = scopegate.wait_for("tick")["tick"]
    seconds = seconds_to_a_run(scopegate, first["quote"])
    for _ in range(seconds):  # a bot that acts too early buys at an earlier moment
        scopegate.clock.advance(1)
    bought = scopegate.wait_for("buy")["buy"]
    assert bought["purchase_time"] == first["epoch"] + seconds


def test_it_ends_when_the_exchange_hangs_up(scopegate: LiveGateway) -> None:
    playing = scopegate.run(fader.play, scopegate.url, scopegate.token("trade"))
    scopegate.wait_for("tick")
    scopegate.hang_up()
    assert playing.result(timeout=10) == 0
    assert scopegate.contracts() == []


def test_it_holds_one_contract_at_a_time(scopegate: LiveGateway) -> None:
    playing = scopegate.run(fader.play, scopegate.url, scopegate.token("trade"), rounds=2)
    go_to_a_run(scopegate)
    scopegate.wait_for("buy")
    scopegate.clock.advance(299)
    assert len(scopegate.contracts()) == 1

    scopegate.clock.advance(61)  # one second to its end, and a minute for the next run
    scopegate.wait_for("buy")
    scopegate.clock.advance(300)

    contracts = scopegate.contracts()
    assert len(contracts) == 2
    assert playing.result(timeout=10) == round(sum(each["profit"] for each in contracts), 2)


@pytest.mark.scopegate(balance="9.99")
def test_without_the_money_it_says_so(scopegate: LiveGateway) -> None:
    playing = scopegate.run(fader.play, scopegate.url, scopegate.token("trade"))
    go_to_a_run(scopegate)
    with pytest.raises(fader.RefusedError, match="InsufficientBalance"):
        playing.result(timeout=10)
    assert scopegate.balance() == 9.99


def test_with_a_token_that_may_not_trade_it_says_so(scopegate: LiveGateway) -> None:
    playing = scopegate.run(fader.play, scopegate.url, scopegate.token("read"))
    go_to_a_run(scopegate)
    with pytest.raises(fader.RefusedError, match="PermissionDenied"):
        playing.result(timeout=10)
    assert scopegate.contracts() == []


def test_it_plays_by_itself_where_the_clock_runs(scopegate: LiveGateway) -> None:
    """The clock runs: the bot is called, and returns when it has played."""
    with scopegate.clock.running(speed=5_000):
        total = fader.play(scopegate.url, scopegate.token("trade"), rounds=3)
    contracts = scopegate.contracts()
    assert len(contracts) == 3
    assert total == round(sum(each["profit"] for each in contracts), 2)
