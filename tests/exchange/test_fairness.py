"""The exchange keeps the margins that it states: thousands of contracts of every family, settled.

`tests.exchange.fairness` says how it is measured; `docs/fairness.py` takes forty times as many, and
`make proofs` enough to notice a wrong margin of any family.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from scopegate.exchange.rules import Margins
from tests.effort import LONG, cases, chosen
from tests.exchange.fairness import FAMILIES, GROUPS, MARKETS, Family, Tally, trade
from tests.exchange.fairness_paths import FAMILIES as ALL

pytestmark = pytest.mark.slow

STATED = Margins()
SOME = chosen(75, GROUPS)
IN_SUITE = ("Rise/fall, higher/lower", "Multipliers", "Deal cancellation", "Vanillas", "Turbos")
"""The families, and the kinds of market, that the suite trades; `make proofs` trades all."""
MARKETS_IN_SUITE = ("Rise/fall, step index", "Touch, daily reset", "Multipliers, spikes")
NOTICED = ("Multipliers", "Deal cancellation")
"""Families of which a short run notices a wrong margin; a long one does of all."""
PAGE = Path(__file__).parents[2] / "docs" / "fairness.md"


@pytest.fixture(scope="module")
def settled() -> dict[str, Tally]:
    """Every contract, bought and settled once for all tests."""
    return {tally.family.name: tally for tally in trade(SOME, families=traded(FAMILIES, IN_SUITE))}


def traded(families: tuple[Family, ...], in_suite: tuple[str, ...]) -> tuple[Family, ...]:
    return tuple(family for family in families if LONG or family.name in in_suite)


def named(families: tuple[Family, ...], in_suite: tuple[str, ...]) -> list[Any]:
    return cases([family.name for family in families], in_suite)


@pytest.mark.parametrize("name", named(FAMILIES, IN_SUITE))
def test_a_family_keeps_what_it_states(settled: dict[str, Tally], name: str) -> None:
    tally = settled[name]
    stated = tally.family.stated(STATED)
    assert tally.contracts >= tally.family.least * SOME // GROUPS
    assert abs(tally.plain().z(stated)) < 3
    assert abs(tally.sharp().z(stated)) < 3


@pytest.mark.parametrize("name", named(FAMILIES, NOTICED))
def test_a_margin_that_is_wrong_by_half_is_caught(settled: dict[str, Tally], name: str) -> None:
    tally = settled[name]
    stated = tally.family.stated(STATED)
    assert tally.sharp().z(stated * 0.5) > 3
    assert tally.sharp().z(stated * 1.5) < -3


@pytest.mark.parametrize("name", named(FAMILIES, IN_SUITE))
def test_what_is_taken_for_luck_is_luck(settled: dict[str, Tally], name: str) -> None:
    """The controls have a mean of zero; of some fifteen, one may be 3.5 errors away in 150 runs."""
    assert all(abs(z) < 3.5 for z in settled[name].controls())


@pytest.mark.parametrize("name", named(MARKETS, MARKETS_IN_SUITE))
def test_every_kind_of_market_keeps_what_it_states(name: str) -> None:
    """A few thousand contracts of each: the page has more of them."""
    [tally] = trade(20, families=tuple(each for each in MARKETS if each.name == name))
    stated = tally.family.stated(STATED)
    assert tally.contracts > 1_200
    assert abs(tally.plain().z(stated)) < 3.5
    assert abs(tally.sharp().z(stated)) < 3.5


def test_prices_made_with_half_the_margin_are_caught() -> None:
    """Not only another number to compare with: contracts that were sold too cheaply."""
    [tally] = trade(150, margins=Margins(rise_fall=STATED.rise_fall / 2), families=FAMILIES[:1])
    assert abs(tally.sharp().z(STATED.rise_fall)) > 3
    assert abs(tally.sharp().z(STATED.rise_fall / 2)) < 3


def test_the_page_shows_the_margins_of_the_code() -> None:
    shown = dict(
        re.findall(r"^\| ([^|]+) \| [\d,]+ \|.*?\| ([\d.]+) % of ", PAGE.read_text(), re.M)
    )
    expected = {f.name: f"{100 * f.stated(STATED):.1f}" for f in (*ALL, *MARKETS)}
    assert shown == expected
