"""No holding period and no rule that uses past prices gains with multipliers.

`tests.exchange.fairness_holds` describes the method; `docs/fairness.py` measures all symbols, and
many more days.
"""

from dataclasses import replace
from decimal import Decimal
from functools import cache

import numpy as np
import pytest

from scopegate.exchange.contracts import quoting
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.contract_type import replay
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.state import begin, market_view
from scopegate.exchange.contracts.multipliers import Multiplier
from scopegate.exchange.feed import Feed
from scopegate.exchange.rules import Margins
from scopegate.exchange.symbols import DAY, EARLIEST, SYMBOLS
from tests.effort import cases, chosen
from tests.exchange.fairness_holds import (
    CHUNK,
    EVERY,
    JUDGED,
    STAKE,
    Margin,
    Result,
    commission_of,
    days,
    hold,
    lengths,
    multiplier_of,
    results,
)

pytestmark = pytest.mark.slow

STATED = Margins().multiplier
SHORT = chosen(400, 1_500)
SEED = ("hold 1",)
SOME = ("1HZ250V", "stpRNG", "OTC_SPC")
EACH = ("1HZ250V", "R_10", "JD100", "BOOM1000", "CRASH300N", "stpRNG", "frxEURGBP", "OTC_SPC")
NEWER = ("stpRNG5", "RB100", "RB200", "DSI10", "WLDAUD")
"""One of each kind of market; the step index and the pair move by one or two pips a tick."""


@cache
def brought(name: str) -> tuple[list[Result], Margin]:
    """The results of all rules on a symbol."""
    return results(name, SEED, SHORT)


@pytest.mark.parametrize("name", cases([*EACH, *NEWER], SOME))
def test_holding_has_the_stated_result_and_no_gain(name: str) -> None:
    found, _ = brought(name)
    assert {result.held for result in found} == set(EVERY)
    for result in found:
        assert abs(result.excess.z) < JUDGED, result
        assert result.profit.z < JUDGED, result


@pytest.mark.parametrize("name", cases(EACH, SOME))
def test_quick_contracts_keep_what_is_stated_and_half_of_the_margin_is_caught(name: str) -> None:
    _, margin = brought(name)
    assert abs(margin.excess.z) < JUDGED
    assert margin.half.z > JUDGED


def test_contracts_that_were_sold_with_half_the_margin_are_caught() -> None:
    half = Margins(multiplier=STATED / 2)
    _, margin = results("1HZ250V", SEED, SHORT, margins=half)
    assert margin.excess.z < -JUDGED
    assert abs(margin.half.z) < JUDGED


@pytest.mark.proof  # it takes as many days to see a gain that the financing takes away
def test_without_financing_a_rule_that_knows_the_level_gains() -> None:
    """Measured against the entry spot, as multipliers once were."""
    found, _ = results("1HZ250V", SEED, 1_200, financed=False)
    gains = {(result.held, result.rule): result.profit.z for result in found}
    assert gains["4 hours", "towards the level"] > JUDGED
    assert gains["1 day", "towards the level"] > JUDGED


@pytest.mark.parametrize("name", cases(EACH, ("R_10", "CRASH300N", "OTC_SPC")))
@pytest.mark.parametrize("direction", [1, -1])
def test_the_measured_results_are_those_of_settlement(name: str, direction: int) -> None:
    """To the cent: the code that answers `proposal`, follows contracts and buys them back."""
    symbol, feed = SYMBOLS[name], Feed(*SEED)
    found = days(symbol, *SEED, 30, margin=STATED)
    kind = TYPES["MULTUP" if direction > 0 else "MULTDOWN"]
    assert isinstance(kind, Multiplier)
    epochs = [
        opened + symbol.grid.opens(day) + chunk * CHUNK
        for day in range(365, 395)
        for opened in (EARLIEST + day * DAY,)
        for chunk in range(symbol.grid.counts[day % 7] * symbol.step // CHUNK)
    ]
    multiplier = multiplier_of(symbol, direction)
    for held, length in lengths(symbol).items():
        entries = np.arange(1, len(epochs) - length, max(37, len(epochs) // 12))
        profits = hold(found, entries, length, direction, STATED).profits
        for entry, expected in zip(entries.tolist(), profits.tolist(), strict=True):
            request = QuoteRequest(
                contract_type=kind.name,
                symbol=name,
                currency="USD",
                amount=Decimal(STAKE) / 100,
                basis="stake",
                multiplier=Decimal(multiplier),
            )
            bought = epochs[entry] - symbol.step
            if not symbol.is_open(bought):
                continue
            terms = quoting.make_quote(request, feed, bought, Margins()).terms
            at_entry = found.pips[[entry]]  # there the measure takes the commission from
            charged = commission_of(symbol, multiplier, at_entry, direction, STATED)
            terms = replace(terms, commission=round(charged[0] * STAKE))
            sold = epochs[entry + length]
            state = replay(kind, terms, begin(terms, feed), feed, sold)
            paid = (
                state.outcome.pays
                if state.outcome
                else kind.value(terms, state, market_view(feed, symbol, sold), Margins())
            )
            assert paid - STAKE == pytest.approx(expected * STAKE, abs=1), (held, entry)
