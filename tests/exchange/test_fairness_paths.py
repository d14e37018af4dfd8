"""The exchange keeps the margins that it states, of the families of `fairness_paths` too."""

import pytest

from scopegate.exchange.rules import Margins
from tests.effort import LONG, cases, chosen
from tests.exchange.fairness import GROUPS, Tally, trade
from tests.exchange.fairness_paths import PATH_FAMILIES

pytestmark = pytest.mark.slow

STATED = Margins()
SOME = chosen(75, GROUPS)
IN_SUITE = ("Ends between/outside", "Asians", "Only ups/downs", "Resets", "Spreads")
"""The families that the suite trades; `make proofs` trades all."""
LEAST = 5_000 * SOME // GROUPS
"""Of those whose luck is known best; of the others up to four times as many."""
TRADED = tuple(family for family in PATH_FAMILIES if LONG or family.name in IN_SUITE)
NOTICED = ("Spreads",)
"""Families of which a short run notices a wrong margin; a long one does of all."""


@pytest.fixture(scope="module")
def settled() -> dict[str, Tally]:
    """Every contract, bought and settled once for all tests."""
    return {tally.family.name: tally for tally in trade(SOME, families=TRADED)}


@pytest.mark.parametrize("name", cases([family.name for family in PATH_FAMILIES], IN_SUITE))
def test_a_family_keeps_what_it_states(settled: dict[str, Tally], name: str) -> None:
    tally = settled[name]
    stated = tally.family.stated(STATED)
    assert tally.contracts >= LEAST
    assert abs(tally.plain().z(stated)) < 3
    assert abs(tally.sharp().z(stated)) < 3
    if LONG or name in NOTICED:
        assert tally.sharp().z(stated * 0.5) > 3  # a margin that is wrong by half is caught
        assert tally.sharp().z(stated * 1.5) < -3
    assert all(abs(z) < 3.5 for z in tally.controls())  # what is taken for luck is luck
