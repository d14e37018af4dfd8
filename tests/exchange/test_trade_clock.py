"""Trades are made at a time that no gateway has reached."""

import math
import time

import pytest

from scopegate.exchange.trade_clock import (
    MIN_WAIT_SECONDS,
    DeadlinePassedError,
    TradeClock,
    check_deadline,
)
from scopegate.runtime import siblings as siblings_module
from scopegate.runtime.clock import HandClock
from scopegate.runtime.siblings import Siblings
from scopegate.testing import NOON


def test_it_is_ahead_while_gateways_with_other_clocks_serve(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = HandClock(NOON)
    siblings = Siblings(1, None, lambda receiver, message: None)
    trade_clock = TradeClock(clock, siblings, 0.4)
    assert trade_clock.now() == NOON
    siblings.set_present([0, 1])
    assert trade_clock.now() == NOON + 0.4
    siblings.set_present([1])
    assert trade_clock.now() == NOON + 0.4  # it may only have lost its connection
    monkeypatch.setattr(siblings_module, "JUST_LEFT_SECONDS", 0.0)
    assert trade_clock.now() == NOON


def test_the_workers_of_a_machine_have_one_clock() -> None:
    siblings = Siblings(1, 2, lambda receiver, message: None)
    siblings.set_present([0, 1])
    assert TradeClock(HandClock(NOON), siblings, 0.4).now() == NOON


def test_a_trade_waits_for_its_turn_until_the_next_second() -> None:
    siblings = Siblings(1, None, lambda receiver, message: None)
    for speed, most in ((1.0, 0.75), (20.0, MIN_WAIT_SECONDS)):
        trade_clock = TradeClock(HandClock(NOON), siblings, speed=speed)
        siblings.set_present([1])
        assert trade_clock.deadline(NOON + 0.25) == math.inf
        siblings.set_present([0, 1])
        before = time.monotonic() + most
        assert before <= trade_clock.deadline(NOON + 0.25) <= time.monotonic() + most
        siblings = Siblings(1, None, lambda receiver, message: None)
    check_deadline(math.inf)
    with pytest.raises(DeadlinePassedError):
        check_deadline(time.monotonic() - 0.001)
