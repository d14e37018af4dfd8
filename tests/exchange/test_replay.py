"""A contract's life: when it is entered, which tick ends it, and what it then pays."""

import math
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scopegate.exchange.contracts import quoting
from scopegate.exchange.contracts.accumulators import WIDTH_UNITS, Accumulator
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.contract_type import NO_ORDERS, replay, resume
from scopegate.exchange.contracts.common.orders import Ordered
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.contracts.common.state import (
    ContractState,
    Outcome,
    Status,
    Tick,
    begin,
    latest,
    market_view,
    tick_of,
)
from scopegate.exchange.contracts.common.terms import Barrier, Terms
from scopegate.exchange.contracts.digits import Digits
from scopegate.exchange.contracts.few_ticks import HIGH_LOW_TICKS
from scopegate.exchange.contracts.lookbacks import Lookback
from scopegate.exchange.contracts.multipliers import Multiplier
from scopegate.exchange.contracts.turbos import Turbo
from scopegate.exchange.feed import Feed
from scopegate.exchange.rules import MAX_ACCUMULATOR_TICKS, Margins
from scopegate.exchange.symbols import SYMBOLS, Symbol
from tests.exchange.shapes import amount_of, terms_of

FEED = Feed("lives")
NOON = 1_767_268_800
R_100, HZ = SYMBOLS["R_100"], SYMBOLS["1HZ100V"]


def terms(contract_type: str, amount: int = 1_000, **more: Any) -> Any:
    """Terms with a payout, or stake, of 10.00, or another amount."""
    given: dict[str, Any] = {"symbol": HZ, "currency": "USD", "start": NOON}
    return terms_of(contract_type, amount, **(given | more))


def lived(agreed: Terms, last: int = NOON + 100_000) -> ContractState:
    return replay(TYPES[agreed.contract_type], agreed, begin(agreed, FEED), FEED, last)


def ended(agreed: Terms) -> Outcome:
    end = lived(agreed).outcome
    assert end is not None
    return end


def price(epoch: int, symbol: Any = HZ) -> int:
    return FEED.price(symbol, epoch)


def test_it_is_entered_at_the_first_tick_after_its_start() -> None:
    for symbol, start, entry in (
        (HZ, NOON, NOON + 1),
        (R_100, NOON, NOON + 2),
        (R_100, NOON + 1, NOON + 2),
    ):
        state = lived(terms("CALL", symbol=symbol, start=start, ticks=5))
        assert state.entry == latest(FEED, symbol, entry)


def test_a_forward_start_is_entered_at_the_spot_of_its_start() -> None:
    agreed = terms("CALL", symbol=R_100, start=NOON + 61, is_forward=True, expiry=NOON + 121)
    state = lived(agreed)
    assert state.entry == latest(FEED, R_100, NOON + 60)
    assert state.outcome is not None
    assert state.outcome.tick.epoch == NOON + 120


@pytest.mark.parametrize(("contract_type", "ticks", "exit_epoch"), [
    ("CALL", 1, NOON + 2),
    ("CALL", 5, NOON + 6),
    ("DIGITODD", 1, NOON + 1),
    ("DIGITODD", 5, NOON + 5),
])  # fmt: skip
def test_ticks_are_counted_from_the_entry(contract_type: str, ticks: int, exit_epoch: int) -> None:
    assert ended(terms(contract_type, ticks=ticks)).tick == Tick(exit_epoch, price(exit_epoch))


def test_a_duration_ends_with_the_last_tick_up_to_the_expiry() -> None:
    agreed = terms("PUT", symbol=R_100, start=NOON + 1, expiry=NOON + 16)
    assert ended(agreed).tick.epoch == NOON + 16
    agreed = replace(agreed, expiry=NOON + 17)
    assert ended(agreed).tick.epoch == NOON + 16


@pytest.mark.parametrize("contract_type", ["CALL", "PUT", "CALLE", "PUTE"])
def test_the_exit_is_compared_with_the_barrier(contract_type: str) -> None:
    entry, last = price(NOON + 1), price(NOON + 6)
    wins = {
        "CALL": lambda beyond: beyond > 0,
        "PUT": lambda beyond: beyond < 0,
        "CALLE": lambda beyond: beyond >= 0,
        "PUTE": lambda beyond: beyond <= 0,
    }[contract_type]
    for away in (-1, 0, 1):  # the barrier a pip below the exit, at it, a pip above
        for barrier in (Barrier(last + away - entry), Barrier(last + away, is_relative=False)):
            end = ended(terms(contract_type, ticks=5, barrier=barrier))
            expected = Status.WON if wins(-away) else Status.LOST
            assert end == Outcome(expected, Tick(NOON + 6, last), 1_000 * wins(-away))


def test_the_last_digit_decides() -> None:
    digit = price(NOON + 3) % 10
    expected = {
        "DIGITMATCH": {digit},
        "DIGITDIFF": set(range(10)) - {digit},
        "DIGITOVER": set(range(digit)),
        "DIGITUNDER": set(range(digit + 1, 10)),
    }
    for contract_type, winning in expected.items():
        kind = TYPES[contract_type]
        assert isinstance(kind, Digits)
        assert kind.choices is not None
        for chosen in kind.choices:
            end = ended(terms(contract_type, ticks=3, digit=chosen))
            assert (end.status is Status.WON) == (chosen in winning)
    odd = ended(terms("DIGITODD", ticks=3)).status is Status.WON
    assert odd == (digit % 2 == 1)
    assert (ended(terms("DIGITEVEN", ticks=3)).status is Status.WON) == (not odd)


@pytest.mark.parametrize("side", [1, -1])
def test_the_first_tick_at_the_barrier_is_a_touch(side: int) -> None:
    entry = price(NOON + 1)
    path = [price(NOON + second) for second in range(2, 7)]
    reach = max((pips - entry) * side for pips in path)
    if reach <= 0:
        pytest.fail("choose another seed: the path never goes to this side")
    first = next(i for i, pips in enumerate(path, 2) if (pips - entry) * side == reach)
    touched = terms("ONETOUCH", ticks=5, barrier=Barrier(reach * side))
    assert ended(touched) == Outcome(Status.WON, Tick(NOON + first, entry + reach * side), 1_000)
    assert ended(replace(touched, contract_type="NOTOUCH")).status is Status.LOST
    missed = replace(touched, barrier=Barrier((reach + 1) * side))
    assert ended(missed) == Outcome(Status.LOST, Tick(NOON + 6, path[-1]), 0)
    assert ended(replace(missed, contract_type="NOTOUCH")) == Outcome(
        Status.WON, Tick(NOON + 6, path[-1]), 1_000
    )


def test_the_entry_tick_touches_an_absolute_barrier_only() -> None:
    spot, entry = price(NOON), price(NOON + 1)
    assert entry != spot
    absolute = terms("ONETOUCH", ticks=5, barrier=Barrier(entry, is_relative=False))
    assert ended(absolute).tick.epoch == NOON + 1


# Two barriers. The path: the entry and what comes after it for two minutes.

PATH = [price(NOON + second) for second in range(1, 121)]
ENTRY, LAST = PATH[0], PATH[-1]


def between(contract_type: str, high: int, low: int, *, relative: bool) -> Terms:
    """Two minutes with barriers at these prices."""
    base = ENTRY if relative else 0
    first, second = (Barrier(level - base, is_relative=relative) for level in (high, low))
    return terms(contract_type, expiry=NOON + 120, barrier=first, barrier2=second)


@pytest.mark.parametrize("relative", [True, False])
def test_an_end_between_two_barriers_is_strictly_so_or_with_ties(relative: bool) -> None:
    winning = {
        # the exit at: below the lower, at it, between, at the higher, above
        "EXPIRYRANGE": (False, False, True, False, False),
        "EXPIRYRANGEE": (False, True, True, True, False),
        "EXPIRYMISS": (True, False, False, False, True),
        "EXPIRYMISSE": (True, True, False, True, True),
    }
    shifts = ((10, 1), (10, 0), (5, -5), (0, -10), (-1, -10))
    for contract_type, wins in winning.items():
        for (high, low), won in zip(shifts, wins, strict=True):
            agreed = between(contract_type, LAST + high, LAST + low, relative=relative)
            expected = Status.WON if won else Status.LOST
            assert ended(agreed) == Outcome(expected, Tick(NOON + 120, LAST), 1_000 * won)


@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("side", [1, -1])
def test_the_first_tick_at_either_barrier_is_a_touch(side: int, relative: bool) -> None:
    reach = max((pips - ENTRY) * side for pips in PATH)
    first = next(i for i, pips in enumerate(PATH, 1) if (pips - ENTRY) * side == reach)
    far = ENTRY - side * 100_000
    for more, touches in ((0, True), (1, False)):
        high, low = sorted((ENTRY + side * (reach + more), far), reverse=True)
        stays = ended(between("RANGE", high, low, relative=relative))
        goes = ended(between("UPORDOWN", high, low, relative=relative))
        tick = Tick(NOON + first, PATH[first - 1]) if touches else Tick(NOON + 120, LAST)
        assert (stays.tick, goes.tick) == (tick, tick)
        assert (stays.status is Status.WON) == (not touches)
        assert (goes.status is Status.WON) == touches


def test_a_spread_pays_what_is_covered_of_the_way() -> None:
    for high, low, up in ((0, -10, 1_000), (10, 0, 0), (5, -5, 500), (1, -2, 666), (-3, -9, 1_000)):
        rise = ended(between("CALLSPREAD", LAST + high, LAST + low, relative=True))
        fall = ended(between("PUTSPREAD", LAST + high, LAST + low, relative=False))
        assert rise.pays == up
        assert fall.pays == (333 if up == 666 else 1_000 - up)
        for end in (rise, fall):
            assert end.status is (Status.WON if end.pays else Status.LOST)


# A handful of ticks, at many moments.

MOMENTS = range(NOON, NOON + 3_000, 17)


def tick_end(contract_type: str, start: int, ticks: int, **more: Any) -> tuple[Outcome, list[int]]:
    """How a contract ended, and the ticks from its entry to its last."""
    agreed = terms(contract_type, start=start, ticks=ticks, **more)
    last = TYPES[contract_type].exit_epoch(agreed)
    return ended(agreed), [price(epoch) for epoch in range(start + 1, last + 1)]


@pytest.mark.parametrize("ticks", [5, 10])
def test_an_asian_compares_the_last_tick_with_the_average_of_all(ticks: int) -> None:
    for start in MOMENTS:
        up, path = tick_end("ASIANU", start, ticks)
        down, _ = tick_end("ASIAND", start, ticks)
        assert len(path) == ticks
        average = sum(map(Decimal, path)) / ticks
        assert (up.status is Status.WON) == (path[-1] > average)
        assert (down.status is Status.WON) == (path[-1] < average)
        assert up.tick == down.tick == Tick(start + ticks, path[-1])


@pytest.mark.parametrize("selected", range(1, HIGH_LOW_TICKS + 1))
def test_a_high_tick_is_lost_with_the_first_that_is_not_below_it(selected: int) -> None:
    results = set()
    for start in MOMENTS:
        for contract_type, side in (("TICKHIGH", 1), ("TICKLOW", -1)):
            end, path = tick_end(contract_type, start, 5, selected_tick=selected)
            chosen = path[selected - 1]
            rivals = [i for i, pips in enumerate(path, 1) if (pips - chosen) * side >= 0]
            rivals.remove(selected)
            won = not rivals
            lost_at = max(selected, rivals[0]) if rivals else 0
            assert (end.status is Status.WON) == won
            assert end.tick.epoch == start + (5 if won else lost_at)
            results.add(won)
    assert results == {True, False}


@pytest.mark.parametrize("ticks", [2, 3])
def test_a_run_is_lost_with_the_first_tick_that_does_not_go_on(ticks: int) -> None:
    results = set()
    for start in MOMENTS:
        for contract_type, side in (("RUNHIGH", 1), ("RUNLOW", -1)):
            end, path = tick_end(contract_type, start, ticks)
            moves = [(b - a) * side for a, b in pairwise(path)]
            assert len(moves) == ticks
            wrong = next((i for i, move in enumerate(moves, 2) if move <= 0), None)
            assert (end.status is Status.WON) == (wrong is None)
            assert end.tick.epoch == start + (wrong or ticks + 1)
            results.add(wrong is None)
    assert results == {True, False}


@pytest.mark.parametrize(("symbol", "length"), [(HZ, {"ticks": 5}), (HZ, {"ticks": 10}),
    (HZ, {"expiry": 21}), (R_100, {"expiry": 60}), (R_100, {"expiry": 63})])  # fmt: skip
def test_a_reset_compares_with_the_better_of_entry_and_half_time(
    symbol: Any, length: dict[str, int]
) -> None:
    better_by_reset = 0
    for start in MOMENTS:
        given = length | {"expiry": start + length["expiry"]} if "expiry" in length else length
        call, put = (
            terms(name, symbol=symbol, start=start, **given) for name in ("RESETCALL", "RESETPUT")
        )
        entry = price(call.entry_epoch, symbol)
        if "ticks" in length:
            half, last = start + 1 + length["ticks"] // 2, start + 1 + length["ticks"]
        else:
            half, last = start + length["expiry"] // 2, start + length["expiry"]
        reset, spot = price(half, symbol), price(last, symbol)
        won = ended(call).status is Status.WON, ended(put).status is Status.WON
        assert won == (spot > min(entry, reset), spot < max(entry, reset))
        better_by_reset += (won[0] and spot <= entry) + (won[1] and spot >= entry)
    assert better_by_reset


@pytest.mark.parametrize("symbol", [HZ, R_100])
def test_a_lookback_pays_from_extreme_to_extreme(symbol: Any) -> None:
    for start in MOMENTS[::4]:
        entry = start + symbol.step - start % symbol.step
        path = [price(epoch, symbol) for epoch in range(entry, start + 91, symbol.step)]
        for contract_type, pips in (
            ("LBFLOATCALL", path[-1] - min(path)),
            ("LBFLOATPUT", max(path) - path[-1]),
            ("LBHIGHLOW", max(path) - min(path)),
        ):
            agreed = terms(contract_type, symbol=symbol, start=start, expiry=start + 90, amount=250)
            end = ended(agreed)
            assert end.pays == 250 * pips // 100
            assert end.tick.pips == path[-1]
            assert end.status is (Status.WON if end.pays else Status.LOST)


def multiplier(contract_type: str = "MULTUP", **more: Any) -> Terms:
    given = {"expiry": NOON + 90_000, "multiplier": 100, "commission": 2}
    return terms(contract_type, **(given | more))


@pytest.mark.parametrize("contract_type", ["MULTUP", "MULTDOWN"])
def test_a_multiplier_closes_at_the_first_tick_that_reaches_an_amount(contract_type: str) -> None:
    """Compared with unrounded amounts, tick by tick and without any level."""
    kind = TYPES[contract_type]
    assert isinstance(kind, Multiplier)
    agreed = multiplier(contract_type, take_profit=150, stop_loss=120)
    entry = price(NOON + 1)
    for epoch in range(NOON + 1, NOON + 90_000):
        spot = price(epoch)
        gained = kind.direction * 100_000 * (spot - entry) - 2 * entry  # times the entry
        if gained >= 150 * entry or gained <= -120 * entry:
            break
    end = ended(agreed)
    assert end.tick == Tick(epoch, spot)
    assert end.pays == 1_000 + kind.direction * 100_000 * (spot - entry) // entry - 2
    assert end.status is (Status.WON if gained > 0 else Status.LOST)


def stop_out(agreed: Terms) -> int:
    """When the stake is lost, by a multiplier without anything else."""
    end = ended(replace(agreed, cancellation=0, orders=NO_ORDERS))
    assert (end.status, end.pays) == (Status.LOST, 0)
    return end.tick.epoch


def test_a_stop_out_is_refunded_while_the_deal_can_be_cancelled() -> None:
    side = "MULTUP" if price(NOON + 600) < price(NOON + 1) else "MULTDOWN"
    agreed = multiplier(side, multiplier=400)
    lost_at = stop_out(agreed)
    for window, status in ((lost_at - NOON, Status.CANCELLED), (lost_at - NOON - 1, Status.LOST)):
        end = ended(replace(agreed, cancellation=window))
        assert end.tick.epoch == lost_at
        assert end.status is status
        assert end.pays == (1_000 if status is Status.CANCELLED else 0)


@pytest.mark.parametrize("contract_type", ["MULTUP", "MULTDOWN"])
def test_a_stop_loss_sleeps_while_the_deal_can_be_cancelled(contract_type: str) -> None:
    """And wakes with the first tick after that, tick by tick and without any level."""
    kind = TYPES[contract_type]
    assert isinstance(kind, Multiplier)
    agreed = multiplier(contract_type, multiplier=40, stop_loss=30)
    entry = price(NOON + 1)
    met = [
        epoch
        for epoch in range(NOON + 1, NOON + 20_000)
        if kind.direction * 40_000 * (price(epoch) - entry) - 2 * entry <= -30 * entry
    ]
    assert ended(agreed).tick.epoch == met[0]
    for window in (met[0] - NOON - 1, met[0] - NOON, met[0] - NOON + 600):
        end = ended(replace(agreed, cancellation=window))
        assert end.tick.epoch == next(epoch for epoch in met if epoch > NOON + window)
        assert end.status is Status.LOST
        assert end.pays > 0


def accumulator(**more: Any) -> Terms:
    """A stake of 10.00 that grows by 1 % and stays in for good, if nothing else is said."""
    growth = more.get("growth", 1)
    given = {"growth": growth, "width": WIDTH_UNITS // 10, "ticks": MAX_ACCUMULATOR_TICKS[growth]}
    return terms("ACCU", **(given | more))


def test_an_accumulator_is_lost_at_the_first_tick_that_goes_as_far_as_its_width() -> None:
    """Up or down, from the tick before it: compared as fractions, tick by tick."""
    moves = [
        (epoch, Fraction(abs(price(epoch) - price(epoch - 1)), price(epoch - 1)))
        for epoch in range(NOON + 2, NOON + 2 + MAX_ACCUMULATOR_TICKS[1])
    ]
    for share in (Fraction(3, 10_000), Fraction(4, 10_000), Fraction(5, 10_000)):
        agreed = accumulator(width=int(share * WIDTH_UNITS))
        lost_at = next((epoch for epoch, move in moves if move >= share), None)
        end = ended(agreed)
        if lost_at is None:
            assert end.status is Status.WON
        else:
            assert end == Outcome(Status.LOST, Tick(lost_at, price(lost_at)), 0)
    # Exactly as far is too far, and a millionth of a millionth further is not.
    epoch, move = max(moves, key=lambda pair: pair[1])
    exact = Fraction(move * WIDTH_UNITS)
    assert ended(accumulator(width=math.floor(exact))).tick.epoch == epoch
    assert ended(accumulator(width=math.floor(exact) + 1)).status is Status.WON


@pytest.mark.parametrize("growth", sorted(MAX_ACCUMULATOR_TICKS))
def test_an_accumulator_grows_until_its_last_tick(growth: int) -> None:
    most = MAX_ACCUMULATOR_TICKS[growth]
    agreed = accumulator(growth=growth, amount=1_234)
    end = ended(agreed)
    assert end.status is Status.WON
    assert end.tick.epoch == NOON + 1 + most  # the entry tick is no growth
    assert end.pays == math.floor(Fraction(100 + growth, 100) ** most * 1_234)
    for ticks in (0, 1, 2, most - 1):
        state = lived(agreed, NOON + 1 + ticks)
        seen = market_view(FEED, HZ, NOON + 1 + ticks)
        worth = TYPES["ACCU"].value(agreed, state, seen, Margins())
        assert worth == math.floor(Fraction(100 + growth, 100) ** ticks * 1_234)


@pytest.mark.parametrize("profit", [1, 10, 11, 60, 8_000])
def test_an_accumulator_takes_its_profit_at_the_first_tick_that_brings_it(profit: int) -> None:
    end = ended(accumulator(take_profit=profit))
    ticks = end.tick.epoch - NOON - 1
    assert end.status is Status.WON
    assert end.pays == math.floor(Fraction(101, 100) ** ticks * 1_000) >= 1_000 + profit
    assert math.floor(Fraction(101, 100) ** (ticks - 1) * 1_000) < 1_000 + profit


def test_an_accumulator_is_bought_back_from_its_first_tick_on() -> None:
    kind, agreed = TYPES["ACCU"], accumulator()
    for last, words in ((NOON, "entry tick"), (NOON + 1, "before the first tick after")):
        with pytest.raises(Refusal, match=words):
            kind.check_sale(agreed, lived(agreed, last), last)
    kind.check_sale(agreed, lived(agreed, NOON + 2), NOON + 2)
    kind.check_sale(agreed, lived(agreed, NOON + 200), NOON + 200)


@pytest.mark.parametrize("contract_type", ["VANILLALONGCALL", "VANILLALONGPUT"])
@pytest.mark.parametrize("relative", [True, False])
def test_a_vanilla_pays_for_each_point_beyond_its_strike(
    contract_type: str, relative: bool
) -> None:
    entry, last = price(NOON + 1), price(NOON + 60)
    side = 1 if contract_type == "VANILLALONGCALL" else -1
    for beyond in (-500, -1, 0, 1, 2, 500):  # pips of the exit beyond the strike
        strike = last - side * beyond
        barrier = Barrier(strike - entry if relative else strike, is_relative=relative)
        for contracts in ("0.04958", "12.34567", "0.0000001"):
            agreed = terms(
                contract_type, expiry=NOON + 60, barrier=barrier, contracts=Decimal(contracts)
            )
            pays = math.floor(max(beyond, 0) * Fraction(contracts))  # a pip is a cent
            status = Status.WON if pays else Status.LOST
            assert ended(agreed) == Outcome(status, Tick(NOON + 60, last), pays)


def test_what_is_paid_for_each_point_is_money_of_any_decimals() -> None:
    entry, last = price(NOON + 2, R_100), price(NOON + 60, R_100)
    side = "VANILLALONGCALL" if last > entry else "VANILLALONGPUT"
    given = {"symbol": R_100, "expiry": NOON + 60, "contracts": Decimal("0.12345")}
    for currency, units in (("USD", 100), ("BTC", 10**8)):
        end = ended(terms(side, currency=currency, **given))
        points = Fraction(abs(last - entry), 10**R_100.digits)
        assert end.pays == math.floor(points * Fraction("0.12345") * units)


@pytest.mark.parametrize("contract_type", ["TURBOSLONG", "TURBOSSHORT"])
@pytest.mark.parametrize("ticks", [5, None])
def test_a_turbo_ends_at_the_first_tick_at_its_barrier(
    contract_type: str, ticks: int | None
) -> None:
    kind = TYPES[contract_type]
    assert isinstance(kind, Turbo)
    entry, count = price(NOON + 1), ticks or 59
    path = [price(NOON + 1 + tick) for tick in range(1, count + 1)]
    given: dict[str, Any] = {"contracts": Decimal("2.500000"), "ticks": ticks}
    if ticks is None:
        given["expiry"] = NOON + 60
    reach = max((pips - entry) * kind.side for pips in path)  # how far it goes to the barrier
    assert reach > 0, "choose another seed: the path never goes to this side"
    met = terms(contract_type, barrier=Barrier(reach * kind.side), **given)
    first = next(i for i, pips in enumerate(path, 2) if (pips - entry) * kind.side == reach)
    assert ended(met) == Outcome(Status.LOST, Tick(NOON + first, entry + reach * kind.side), 0)
    missed = replace(met, barrier=Barrier((reach + 1) * kind.side))
    gain = (entry + (reach + 1) * kind.side - path[-1]) * kind.side
    assert ended(missed) == Outcome(
        Status.WON, Tick(NOON + 1 + count, path[-1]), math.floor(Fraction("2.5") * gain)
    )
    # The entry tick meets an absolute barrier, and not one that is relative to it.
    absolute = replace(met, barrier=Barrier(entry, is_relative=False))
    assert ended(absolute).tick.epoch == NOON + 1


def test_a_vanilla_is_bought_back_until_a_minute_before_its_end_and_a_turbo_later() -> None:
    for contract_type, seconds in (("VANILLALONGPUT", 60), ("TURBOSLONG", 15)):
        kind = TYPES[contract_type]
        agreed = terms(
            contract_type, expiry=NOON + 300, barrier=Barrier(-900), contracts=Decimal(1)
        )
        with pytest.raises(Refusal, match="entry tick"):
            kind.check_sale(agreed, begin(agreed, FEED), NOON)
        state = lived(agreed, NOON + 10)
        assert state.outcome is None
        kind.check_sale(agreed, state, NOON + 300 - seconds - 1)
        with pytest.raises(Refusal, match=f"last {seconds} seconds"):
            kind.check_sale(agreed, state, NOON + 300 - seconds)
        with pytest.raises(Refusal, match="duration in ticks"):
            kind.check_sale(replace(agreed, expiry=None, ticks=10), state, NOON + 3)


def test_a_sale_is_refused_before_the_entry_and_near_the_end() -> None:
    kind, agreed = TYPES["CALL"], terms("CALL", expiry=NOON + 300)
    with pytest.raises(Refusal, match="entry tick"):
        kind.check_sale(agreed, begin(agreed, FEED), NOON)
    state = lived(agreed, NOON + 100)
    kind.check_sale(agreed, state, NOON + 284)
    with pytest.raises(Refusal, match="last 15 seconds"):
        kind.check_sale(agreed, state, NOON + 285)
    with pytest.raises(Refusal, match="duration in ticks"):
        kind.check_sale(terms("CALL", ticks=5), state, NOON + 3)


@cache
def spot_of(symbol: Symbol) -> int:
    """The price at noon; the first of a symbol takes long, so none is asked for beforehand."""
    return FEED.price(symbol, NOON)


def wishes() -> st.SearchStrategy[QuoteRequest]:
    """Contracts of every type, most of which can be had."""

    @st.composite
    def request(draw: st.DrawFn) -> QuoteRequest:
        name = draw(st.sampled_from(sorted(TYPES)))
        symbol = SYMBOLS[draw(st.sampled_from(sorted(SYMBOLS)))]
        spot = spot_of(symbol)
        given: dict[str, Any] = {"basis": "stake", "amount": Decimal(10), "currency": "USD"}
        kind = TYPES[name]
        if isinstance(kind, Multiplier):
            product = draw(st.sampled_from([100, 400]))
            given["multiplier"] = Decimal(round(product / symbol.volatility))
            given["cancellation"] = draw(st.sampled_from([None, "5m", "10m"]))
            given["take_profit"] = draw(st.sampled_from([None, Decimal(1), Decimal(5)]))
            given["stop_loss"] = draw(st.sampled_from([None, Decimal(2), Decimal(5)]))
            return QuoteRequest(contract_type=name, symbol=symbol.name, **given)
        if isinstance(kind, Accumulator):
            given["growth_rate"] = Decimal(draw(st.integers(1, 5))) / 100
            given["take_profit"] = draw(st.sampled_from([None, Decimal(1), Decimal(5)]))
            return QuoteRequest(contract_type=name, symbol=symbol.name, **given)
        durations = kind.listing.durations
        if durations.ticks and (durations.seconds is None or draw(st.booleans())):
            given |= {"duration": draw(st.integers(*durations.ticks)), "duration_unit": "t"}
            steps = given["duration"]
        else:
            given |= {"duration": draw(st.integers(120, 900)), "duration_unit": "s"}
            steps = given["duration"] // symbol.step
        if isinstance(kind, Lookback):
            given["basis"] = "multiplier"
        if "selected_tick" in kind.takes:
            given["selected_tick"] = draw(st.integers(1, HIGH_LOW_TICKS))
        if "barrier2" in kind.takes:
            sd, relative = spot * symbol.tick_sd * steps**0.5, draw(st.booleans())
            for field, side in (("barrier", 1), ("barrier2", -1)):
                away = side * round(sd * draw(st.floats(0.1, 2.5)))
                pips = Barrier(away if relative else spot + away, relative)
                given[field] = pips.text(symbol)
        elif kind.barrier_is_digit:
            if "barrier" in kind.takes:
                given["barrier"] = str(draw(st.integers(1, 8)))
        elif "barrier" in kind.takes and (
            kind.listing.barrier_category != "euro_atm" or draw(st.booleans())
        ):
            sd = spot * symbol.tick_sd * steps**0.5
            away = round(sd * draw(st.floats(-1.5, 1.5))) or 1
            if isinstance(kind, Turbo):
                away = abs(away) * kind.side
            relative = draw(st.booleans())
            pips = Barrier(away if relative else spot + away, is_relative=relative)
            given["barrier"] = pips.text(symbol)
        return QuoteRequest(contract_type=name, symbol=symbol.name, **given)

    return request()


@settings(max_examples=60)
@given(st.integers(-3_000, 3_000), st.sampled_from(["ONETOUCH", "NOTOUCH"]), st.booleans())
def test_a_touch_is_never_worth_more_than_it_pays(
    away: int, contract_type: str, is_relative: bool
) -> None:
    """At every second of its life, however far the barrier is."""
    kind = TYPES[contract_type]
    spot = price(NOON)
    barrier = Barrier(away or 1) if is_relative else Barrier(spot + (away or 1), is_relative=False)
    agreed = terms(contract_type, expiry=NOON + 120, barrier=barrier)
    state = begin(agreed, FEED)
    for epoch in range(NOON + 1, NOON + 120):
        state = replay(kind, agreed, state, FEED, epoch)
        if state.outcome is not None:
            break
        worth = kind.value(agreed, state, market_view(FEED, HZ, epoch), Margins())
        assert 0 <= worth <= amount_of(agreed)


@settings(max_examples=150)
@given(wishes(), st.lists(st.integers(1, 400), max_size=8))
def test_a_life_is_the_same_however_it_is_followed(
    request: QuoteRequest, pauses: list[int]
) -> None:
    """Tick by tick without a watch, in one go, and in several pieces."""
    try:
        agreed = quoting.make_quote(request, FEED, NOON, Margins()).terms
    except Refusal:
        return
    kind, symbol = TYPES[agreed.contract_type], agreed.symbol
    last = NOON + 1_000
    plain = begin(agreed, FEED)
    for epoch in range(NOON + symbol.step, last + 1, symbol.step):
        if plain.outcome is None and epoch > plain.seen:
            plain = kind.step(agreed, plain, tick_of(agreed, FEED, epoch))
    pieces = begin(agreed, FEED)
    moment = NOON
    for pause in pauses:
        moment = min(moment + pause, last)
        pieces = replay(kind, agreed, pieces, FEED, moment)
        if isinstance(kind, Ordered) and pieces.outcome is None and pieces.entry is not None:
            # As after new orders.
            pieces = resume(kind, agreed, FEED, pieces.seen)
    pieces = replay(kind, agreed, pieces, FEED, last)
    whole = lived(agreed, last)
    assert whole.outcome == pieces.outcome == plain.outcome
    assert whole.entry == pieces.entry == plain.entry
    if not isinstance(kind, Ordered):  # those remember the latest tick that they looked at
        assert whole.memory == pieces.memory == plain.memory
