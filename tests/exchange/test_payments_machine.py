"""Payments in any order keep the books right: checked by a second set of books.

Hypothesis looks for a sequence of payments after which money was made or lost, a balance is
negative, a key has paid twice, or a refused payment has left a trace.
"""

import contextlib
from decimal import Decimal
from fractions import Fraction
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings as how_long
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from scopegate.exchange import agents, ledger, payments
from scopegate.exchange.agents import Application
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.feed import Feed
from scopegate.exchange.money import CURRENCIES
from scopegate.exchange.payments import Kind, Order, Payment
from scopegate.exchange.rates import Rates
from scopegate.gateway.access import users
from scopegate.store.transactions import Transaction
from scopegate.testing import NOON
from tests import books, stores
from tests.effort import chosen

pytestmark = pytest.mark.slow

RATES = Rates(Feed("payments machine"))
OWNED = (
    ("ada@example.com", (("USD", False), ("EUR", False), ("BTC", False), ("USD", True))),
    ("bob@example.com", (("USD", False), ("EUR", False), ("USD", True), ("EUR", True))),
    ("shop@example.com", (("USD", False), ("EUR", False), ("BTC", False))),
)
"""Three users and their accounts; those of the last are payment agents."""
NUMBER = sum(len(accounts) for _, accounts in OWNED)
OPENING = {"USD": 500_000, "EUR": 30_000, "BTC": 20_000_000}
SHOP = Application(
    name="Shop",
    email="shop@example.com",
    information="Cash.",
    affiliate_id="",
    commission_deposit=Decimal(1),
    commission_withdrawal=Decimal(1),
    payment_methods=["Cash"],
    phone_numbers=[],
    urls=[],
)


class Books(RuleBasedStateMachine):
    """A database in memory, and what should be in it."""

    def __init__(self) -> None:
        super().__init__()
        self.db = stores.new()
        self.db.execute("BEGIN")
        self.transaction = Transaction(self.db)
        self.second = 0
        self.expected: dict[str, int] = {}
        self.currency: dict[str, str] = {}
        self.paid: dict[tuple[str, Kind, str], Payment] = {}
        for email, accounts in OWNED:
            user_id = users.create(self.transaction, email)
            for currency, is_virtual in accounts:
                opened = ledger.open_account(
                    self.transaction, user_id, currency=currency, is_virtual=is_virtual, at=NOON
                ).loginid
                units = OPENING[currency]
                ledger.set_balance(self.transaction, opened, "deposit", units, at=NOON)
                self.expected[opened], self.currency[opened] = units, currency
                if email == SHOP.email:
                    agents.approve(self.transaction, opened, "id", SHOP)
        self.loginids = list(self.expected)

    def teardown(self) -> None:
        self.db.close()

    @rule(seconds=st.integers(1, 1_000))
    def time_passes(self, seconds: int) -> None:
        self.second += seconds

    @rule(
        kind=st.sampled_from(Kind),
        payer=st.integers(0, NUMBER - 1),
        payee=st.integers(0, NUMBER - 1),
        share=st.sampled_from((0, 1, 10, 999, 1_000, 1_001)),
        key=st.sampled_from((None, None, "one", "two")),
        repeated=st.booleans(),
    )
    def pay(
        self, kind: Kind, payer: int, payee: int, share: int, key: str | None, repeated: bool
    ) -> None:
        """Pay so many thousandths of what there is: nothing, all, or more than that."""
        source = self.loginids[payer]
        order = Order(
            kind=kind,
            payer=source,
            payee=self.loginids[payee],
            units=-(-self.expected[source] * share // 1_000),
            currency=self.currency[source],
        )
        before = None if key is None else self.paid.get((source, kind, key))
        if before is not None and repeated:
            order = Order(
                kind=kind,
                payer=source,
                payee=before.payee,
                units=before.paid,
                currency=self.currency[source],
            )
        self._try(order, key, before)

    @rule(payer=st.integers(0, 1), payee=st.integers(0, 1), units=st.integers(1, 10**7))
    def to_oneself(self, payer: int, payee: int, units: int) -> None:
        """Between two accounts of one user's what can be paid is paid."""
        order = Order(
            kind=Kind.TRANSFER,
            payer=self.loginids[payer],
            payee=self.loginids[payee],
            units=units,
            currency=self.currency[self.loginids[payer]],
        )
        payable = payer != payee and units <= self.expected[order.payer] and self._worth(order) > 0
        assert self._try(order, None, None) is payable

    def _try(self, order: Order, key: str | None, before: Payment | None) -> bool:
        """Pay, and keep the second set of books."""
        self.db.execute("SAVEPOINT job")
        made: Payment | None = None
        with contextlib.suppress(Refusal):
            made = payments.pay(self.transaction, order, RATES, at=NOON + self.second, key=key)
        if made is None:  # as the store does
            self.db.execute("ROLLBACK TO job")
        self.db.execute("RELEASE job")
        if made is None:
            return False
        if before is not None:
            assert made == before
            return True
        got = self._worth(order)
        assert (made.payer, made.payee) == (order.payer, order.payee)
        assert (made.paid, made.received) == (order.units, got)
        self.expected[order.payer] -= order.units
        self.expected[order.payee] += got
        assert (made.payer_balance, made.payee_balance) == (
            self.expected[order.payer],
            self.expected[order.payee],
        )
        if key is not None:
            self.paid[order.payer, order.kind, key] = made
        return True

    def _worth(self, order: Order) -> int:
        """What arrives: by whole pips over the dollar, rounded down."""
        base, target = order.currency, self.currency[order.payee]
        moment = int(NOON) + self.second
        dollars = Fraction(order.units, 10 ** CURRENCIES[base].digits)
        dollars *= RATES.rate(base, "USD", moment).spot
        amount = dollars / RATES.rate(target, "USD", moment).spot * 10 ** CURRENCIES[target].digits
        return amount.numerator // amount.denominator

    def contents(self) -> dict[str, Any]:
        return {each.loginid: each.balance for each in ledger.accounts(self.transaction)}

    @invariant()
    def the_books_are_right(self) -> None:
        assert self.contents() == self.expected
        assert books.mistakes(self.transaction) == []
        assert all(balance >= 0 for balance in self.expected.values())
        count = self.db.execute("SELECT count(*) FROM payments").fetchone()[0]
        assert count >= len(self.paid)


Books.TestCase.settings = how_long(
    max_examples=chosen(15, 40), stateful_step_count=40, deadline=None
)
TestPayments = Books.TestCase
