"""Tests of the bot on bad days: what the exchange sends is wrong, or comes no more."""

import fader
import pytest

from scopegate.testkit import LiveGateway


def test_it_gives_up_on_a_price_that_stands_still(scopegate: LiveGateway) -> None:
    scopegate.fault("frozen_feed")
    playing = scopegate.run(fader.play, scopegate.url, scopegate.token("trade"))
    scopegate.wait_for("tick")
    scopegate.clock.advance(fader.STILL)
    with pytest.raises(fader.RefusedError, match="FrozenFeed"):
        playing.result(timeout=10)


def test_what_comes_twice_counts_once(scopegate: LiveGateway) -> None:
    scopegate.fault("duplicate_events")
    with scopegate.clock.running(speed=1_000):
        total = fader.play(scopegate.url, scopegate.token("trade"), rounds=2)
    contracts = scopegate.contracts()
    assert len(contracts) == 2
    assert total == round(sum(each["profit"] for each in contracts), 2)


def test_it_does_not_return_while_a_contract_is_open(scopegate: LiveGateway) -> None:
    playing = scopegate.run(fader.play, scopegate.url, scopegate.token("trade"))
    scopegate.wait_for("tick")
    scopegate.clock.advance(600)
    scopegate.wait_for("buy")
    scopegate.hang_up()
    with pytest.raises(fader.RefusedError, match="look at your portfolio"):
        playing.result(timeout=10)
