"""Caps: no day loses, stakes or pays more than they allow, whatever happens in which order."""

import importlib.resources
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scopegate.exchange import caps, ledger
from scopegate.exchange.caps import Caps
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.contracts.common.terms import Terms
from scopegate.exchange.symbols import DAY, SYMBOLS
from scopegate.gateway.access import users
from scopegate.store.transactions import Transaction
from tests import stores
from tests.effort import chosen

NOON = 20_000 * DAY + DAY // 2
PARENT, CHILD, OTHER = 1, 2, 3
LOSS, STAKE, PAID, OPEN = 1_000, 1_500, 300, 6
AT_MOST = {
    PARENT: Caps(
        currency="USD",
        max_loss_per_day=LOSS,
        max_stake_per_day=STAKE,
        max_transfer_per_day=PAID,
        max_open_contracts=OPEN,
    ),
    CHILD: Caps(currency="USD", max_loss_per_day=LOSS // 2, max_open_contracts=OPEN // 2),
    OTHER: Caps(currency="USD", max_stake=400),
}
LINES = {PARENT: (PARENT,), CHILD: (CHILD, PARENT), OTHER: (OTHER, PARENT)}
"""The caps that a trade counts for."""
USD, EUR = (
    Terms(contract_type="CALL", symbol=SYMBOLS["R_100"], currency=currency, start=NOON)
    for currency in ("USD", "EUR")
)


@contextmanager
def transaction() -> Iterator[Transaction]:
    """A transaction on a new database, which has a parent with two children."""
    with closing(stores.new()) as connection, connection.writing():
        made = Transaction(connection)
        user_id = users.create(made, "ada@example.com")
        ledger.open_account(made, user_id, currency="USD", is_virtual=True, at=NOON)
        for number, limits in AT_MOST.items():
            parent = None if number == PARENT else PARENT
            made.execute("INSERT INTO restrictions (id, parent_id) VALUES (?, ?)", number, parent)
            caps.put(made, number, parent, limits, user_id=user_id)
        yield made


def counted(there: Transaction, caps_id: int, terms: Terms, price: int, at: int) -> None:
    """Count a purchase, as the book does. Raises `Refusal`."""
    [account] = ledger.accounts(there)
    row = there.single(*caps.account_query(account.loginid, caps_id))
    assert ledger.account_in(row, account.loginid) == account
    caps.count_purchase(there, caps_id, row, terms=terms, price=price, at=at)


class Step(NamedTuple):
    """Something that is done under some caps."""

    what: str
    caps_id: int
    amount: int
    """What is paid, or of which contract in the order of purchase it is the end."""
    share: float
    """What a contract pays, in its price."""


steps = st.builds(
    Step,
    st.sampled_from(["buy", "buy", "buy", "close", "close", "pay", "next day"]),
    st.sampled_from(list(AT_MOST)),
    st.integers(1, 700),
    st.sampled_from([0.0, 0.0, 0.5, 1.0, 1.95]),
)


@dataclass
class Day:
    """What has happened on one day under some caps."""

    staked: int = 0
    lost: int = 0
    paid: int = 0
    worst: int = 0
    """The most that was lost at any moment."""


@dataclass
class Kept:
    """What has happened, kept without the caps."""

    day: int = NOON // DAY
    days: dict[tuple[int, int], Day] = field(default_factory=lambda: defaultdict(Day))
    held: list[tuple[int, int]] = field(default_factory=list)
    """The caps and the price of each open contract."""

    def of(self, caps_id: int) -> Day:
        return self.days[caps_id, self.day]

    def at_risk(self, caps_id: int) -> int:
        return sum(price for held, price in self.held if caps_id in LINES[held])

    def open(self, caps_id: int) -> int:
        return sum(caps_id in LINES[held] for held, _ in self.held)


def done(there: Transaction, kept: Kept, step: Step) -> None:
    """Do a step, and keep what it was. Raises `Refusal`."""
    at = kept.day * DAY + 7
    if step.what == "next day":
        kept.day += 1
    elif step.what == "buy":
        with there.savepoint():
            counted(there, step.caps_id, USD, step.amount, at)
        kept.held.append((step.caps_id, step.amount))
        for number in LINES[step.caps_id]:
            kept.of(number).staked += step.amount
    elif step.what == "pay":
        with there.savepoint():
            caps.count_payment(there, step.caps_id, currency="USD", units=step.amount, at=at)
        for number in LINES[step.caps_id]:
            kept.of(number).paid += step.amount
    elif kept.held:
        held, price = kept.held.pop(step.amount % len(kept.held))
        pays = round(price * step.share)
        caps.count_close(there, held, currency="USD", price=price, paid=pays, at=at)
        for number in LINES[held]:
            day = kept.of(number)
            day.lost += price - pays
            day.worst = max(day.worst, day.lost)


@pytest.mark.lengthy
@settings(max_examples=chosen(60, 3_000))
@given(st.lists(steps, max_size=40))
def test_no_day_exceeds_what_is_allowed(sequence: list[Step]) -> None:
    kept = Kept()
    with transaction() as there:
        for step in sequence:
            with suppress(Refusal):
                done(there, kept, step)
            for number, limits in AT_MOST.items():
                today, (_, use) = kept.of(number), caps.get(there, number, kept.day * DAY)
                assert (use.staked, use.lost, use.transferred, use.at_risk, use.open_contracts) == (
                    today.staked,
                    today.lost,
                    today.paid,
                    kept.at_risk(number),
                    kept.open(number),
                )
                # Even if all that is open is lost at once, on this day or the next.
                if limits.max_loss_per_day is not None:
                    assert max(0, today.lost) + kept.at_risk(number) <= limits.max_loss_per_day
                    assert today.worst <= limits.max_loss_per_day
                if limits.max_stake_per_day is not None:
                    assert today.staked <= limits.max_stake_per_day
                if limits.max_transfer_per_day is not None:
                    assert today.paid <= limits.max_transfer_per_day
                if limits.max_open_contracts is not None:
                    assert kept.open(number) <= limits.max_open_contracts


def test_what_is_within_all_caps_is_not_refused() -> None:
    with transaction() as there:
        counted(there, CHILD, USD, LOSS // 2, NOON)
        counted(there, OTHER, USD, 400, NOON)
        counted(there, PARENT, USD, 100, NOON)
        for number, cap in ((CHILD, "max_loss_per_day"), (OTHER, "max_loss_per_day")):
            with pytest.raises(Refusal) as refused, there.savepoint():
                counted(there, number, USD, 1, NOON)
            assert refused.value.details is not None
            assert refused.value.details["cap"] == cap


def test_a_contract_that_ends_on_an_earlier_day_changes_nothing_of_the_present_one() -> None:
    """One that ended while the gateway was down, and is settled after a purchase of today."""
    with transaction() as there:
        counted(there, PARENT, USD, 500, NOON)
        counted(there, PARENT, USD, 200, NOON + DAY)
        caps.count_close(there, PARENT, currency="USD", price=500, paid=5_000, at=NOON)
        _, use = caps.get(there, PARENT, NOON + DAY)
        assert (use.staked, use.lost, use.at_risk, use.open_contracts) == (200, 0, 200, 1)


def test_money_of_another_currency_is_refused_only_by_caps_on_amounts() -> None:
    with transaction() as there:
        with pytest.raises(Refusal, match="TokenRestricted"), there.savepoint():
            counted(there, CHILD, EUR, 1, NOON)
        there.execute("INSERT INTO restrictions (id) VALUES (9)")
        caps.put(there, 9, None, Caps(currency="USD", max_stake=400), user_id=1)
        with pytest.raises(Refusal, match="TokenRestricted"), there.savepoint():
            caps.count_payment(there, 9, currency="EUR", units=1, at=NOON)
        caps.put(there, 9, None, Caps(currency="USD", max_open_contracts=1), user_id=1)
        caps.count_payment(there, 9, currency="EUR", units=1, at=NOON)
        counted(there, 9, EUR, 70, NOON)
        _, use = caps.get(there, 9, NOON)
        assert (use.at_risk, use.open_contracts) == (0, 1)


def test_a_parent_that_comes_later_begins_with_what_its_children_use() -> None:
    with transaction() as there:
        counted(there, CHILD, USD, 300, NOON)
        counted(there, OTHER, USD, 200, NOON)
        there.execute("INSERT INTO restrictions (id) VALUES (9)")
        caps.put(there, 9, PARENT, Caps(currency="USD", max_loss_per_day=LOSS), user_id=1)
        caps.move_below(there, [CHILD], 9)
        _, use = caps.get(there, 9, NOON)
        assert (use.staked, use.at_risk, use.open_contracts) == (300, 300, 1)
        caps.count_close(there, CHILD, currency="USD", price=300, paid=0, at=NOON)
        uses = {number: caps.get(there, number, NOON)[1] for number in (CHILD, 9, PARENT)}
        assert {number: use.lost for number, use in uses.items()} == {CHILD: 300, 9: 300, 1: 300}
        assert {use.at_risk for use in uses.values()} == {0, 200}


def test_what_is_open_under_caps_is_found_among_the_contracts_of_their_user() -> None:
    """Also under caps of before their user was stored: by the migration that adds it."""
    with transaction() as there:
        [account] = ledger.accounts(there)
        for caps_id in (None, CHILD):
            there.execute(
                "INSERT INTO contracts (loginid, contract_type, shortcode, currency, price, payout,"
                " bought_at, caps_id) VALUES (?, 'CALL', '', 'USD', 35, 68, 0, ?)",
                account.loginid,
                caps_id,
            )
        assert found_open(there) == {PARENT: 1, CHILD: 1, OTHER: 0}
        there.execute("UPDATE caps SET user_id = NULL")
        assert found_open(there) == {PARENT: 0, CHILD: 0, OTHER: 0}
        for step in (importlib.resources.files("scopegate.store") / "migrations").iterdir():
            if step.name.endswith("_open_contracts.sql"):
                _, filling = step.read_text().split("INTEGER;")
                there._connection.run_script(filling.partition("DROP")[0])
        assert found_open(there) == {PARENT: 1, CHILD: 1, OTHER: 0}


def found_open(there: Transaction) -> dict[int, int]:
    return {number: len(caps.open_contracts(there, number)) for number in AT_MOST}


@pytest.mark.parametrize(
    ("hours", "second", "resumes"),
    [
        ("09:00-10:30", 9 * 3_600, 10.5 * 3_600),
        ("09:00-10:30", 10.5 * 3_600, None),
        ("22:00-06:00", 0, 6 * 3_600),
        ("22:00-06:00", 23 * 3_600, DAY + 6 * 3_600),
        ("22:00-06:00", 6 * 3_600, None),
        ("12:00-12:00", 5, 12 * 3_600),
    ],
)
def test_hours_without_trading(hours: str, second: float, resumes: float | None) -> None:
    midnight = NOON - DAY // 2
    with transaction() as there:
        caps.put(there, OTHER, PARENT, Caps(currency="USD", no_trading=(hours,)), user_id=1)
        at = midnight + int(second)
        if resumes is None:
            counted(there, OTHER, USD, 1, at)
            return
        with pytest.raises(Refusal) as refused, there.savepoint():
            counted(there, OTHER, USD, 1, at)
        assert refused.value.details is not None
        assert refused.value.details["resumes_at"] == midnight + resumes
