"""Payments from one account to another: the order, its checks, and the two entries that carry it.

Rules:
- A payment takes from one account and gives to another in one transaction, or does neither.
- Within one currency both sides are booked against the counter account `transfers`, which is empty
  again afterwards; across currencies `conversion` takes what was paid and gives what is received,
  at the rate of the moment, rounded down. There is no fee.
- Demo money and real-style money never meet.
- Whatever is paid into an account by somebody's order goes through `pay_in`.
- A payment that names a key happens once for the paying account and this kind of payment; the key
  comes with the same payment again, or is refused.
"""

import contextlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from scopegate.exchange import agents, exclusion, ledger
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.ledger import CONVERSION, TRANSFERS, Account, Entry, Guard, Posting
from scopegate.exchange.money import bound_in, to_text
from scopegate.exchange.rates import Rates, shown
from scopegate.exchange.rules import MAX_AGENT_PAYMENT, MIN_AGENT_PAYMENT
from scopegate.runtime.clock import Clock
from scopegate.store.sqlite import Row, Snapshot, Store, Transaction


class Kind(StrEnum):
    """Who pays whom."""

    TRANSFER = "transfer"
    """A user, from one account of theirs to another."""
    TO_CLIENT = "to_client"
    """A payment agent, to a client's account."""
    TO_AGENT = "to_agent"
    """A client, to a payment agent's account."""


Permit = Callable[[Transaction], None]
"""Permits a new payment, or raises; it may use something up for it, such as a code."""

_REFUSED = {
    Kind.TRANSFER: "TransferBetweenAccountsError",
    Kind.TO_CLIENT: "PaymentAgentTransferError",
    Kind.TO_AGENT: "PaymentAgentWithdrawError",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be paid: `units` in smallest units of the currency of the paying account."""

    kind: Kind
    payer: str
    payee: str
    units: int
    currency: str
    remarks: str = ""

    def refused(self, problem: str) -> Refusal:
        """Why it is not carried out."""
        return Refusal(_REFUSED[self.kind], problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment that was made."""

    kind: Kind
    payer: str
    payee: str
    paid_by: int
    """The entry that took the money."""
    received_by: int
    """The entry that gave it."""
    paid: int
    received: int
    """The amounts, each in smallest units of its account's currency."""
    payer_balance: int
    payee_balance: int
    """What the two accounts held after it."""
    agent_name: str
    """The name of the payment agent who took part; empty where none did."""
    remarks: str


@dataclass(frozen=True, slots=True)
class Parties:
    """The two accounts of an order that may be carried out."""

    payer: Account
    payee: Account
    agent_name: str
    """The name of the payment agent who takes part; empty where none does."""


# Checking.


def check(reader: Snapshot, order: Order) -> Parties:
    """The accounts of an order, as they are now. Raises `Refusal` unless it may be carried out.

    The payee is checked last: faults of the payer are reported for any payee.
    """
    payer, agent = _paying(reader, order)
    payee = _account(reader, order.payee)
    if order.kind is Kind.TRANSFER:
        payee = _own(order, payer, payee)
    elif order.kind is Kind.TO_AGENT:
        payee = _agent(order, payer, payee)
    else:
        payee = _client(reader, order, payer, payee)
    return Parties(payer, payee, "" if agent is None else agent.name)


def _paying(reader: Snapshot, order: Order) -> tuple[Account, agents.Agent | None]:
    """The account that pays, and the agent who takes part. Raises `Refusal` if it cannot pay."""
    payer = ledger.account(reader, order.payer)
    agent = None
    if order.kind is not Kind.TRANSFER:
        agent = agents.find(reader, order.payee if order.kind is Kind.TO_AGENT else order.payer)
        if agent is None:
            raise order.refused(
                f"{order.payee} is no payment agent: paymentagent_list lists them."
                if order.kind is Kind.TO_AGENT
                else f"{order.payer} is no payment agent: paymentagent_create makes it one."
            )
        if payer.is_virtual:
            raise _not_real(order, payer.loginid)
    if order.currency != payer.currency:
        raise order.refused(
            f"{payer.loginid} is kept in {payer.currency}: tell the amount in {payer.currency}."
        )
    if order.units <= 0:
        raise order.refused("The amount must be more than 0.")
    if agent is not None:
        _within_bounds(order)
    if payer.balance < order.units:
        raise Refusal(
            "InsufficientBalance",
            f"{payer.loginid} holds {payer.currency} {to_text(payer.balance, payer.currency)}, less"
            f" than the {payer.currency} {to_text(order.units, payer.currency)} to be paid.",
        )
    return payer, agent


def _account(reader: Snapshot, loginid: str) -> Account | None:
    """An account whose owner is not locked out, if there is one of this loginid."""
    row = reader.one(
        "SELECT 1 FROM accounts JOIN users ON users.id = accounts.user_id"
        " WHERE loginid = ? AND disabled_at IS NULL",
        loginid,
    )
    return None if row is None else ledger.account(reader, loginid)


def _own(order: Order, payer: Account, payee: Account | None) -> Account:
    """The payee of a transfer between two accounts of one user."""
    if payee is None or payee.user_id != payer.user_id:
        raise order.refused(f"You have no account {order.payee}.")
    if payee.loginid == payer.loginid:
        raise order.refused("A transfer is between two accounts: name another account_to.")
    if payee.is_virtual != payer.is_virtual:
        raise order.refused("Money of demo accounts and of real-style accounts never meets.")
    return payee


def _agent(order: Order, payer: Account, payee: Account | None) -> Account:
    """The payment agent whom a client pays; any fault of an agent may be reported."""
    if payee is None or payee.is_virtual:
        raise _not_real(order, order.payee)
    if payee.user_id == payer.user_id:
        raise _both_own(order)
    if payee.currency != payer.currency:
        raise order.refused(
            f"{payee.loginid} is kept in {payee.currency}, {payer.loginid} in {payer.currency}:"
            " agents deal in one currency."
        )
    return payee


def _client(reader: Snapshot, order: Order, payer: Account, payee: Account | None) -> Account:
    """The client whom a payment agent pays.

    Any fault of another user's account gives the same error as an account that does not exist:
    agents must not find out which accounts exist.
    """
    _refuse_own(order, payer, payee)
    if payee is None or payee.is_virtual or payee.currency != payer.currency:
        raise _takes_nothing(order)
    if not ledger.is_settled(reader, payee.loginid):
        # Money would settle its currency, which is for its owner to choose.
        raise _takes_nothing(order)
    return payee


def _refuse_own(order: Order, payer: Account, payee: Account | None) -> None:
    """Raise `Refusal` if an agent pays one of their own accounts, which they know."""
    if payee is not None and payee.user_id == payer.user_id:
        raise _not_real(order, payee.loginid) if payee.is_virtual else _both_own(order)


def _not_real(order: Order, loginid: str) -> Refusal:
    return order.refused(f"{loginid} is no real-style account: payment agents need one.")


def _both_own(order: Order) -> Refusal:
    return order.refused("Both accounts are yours: use transfer_between_accounts.")


def _takes_nothing(order: Order) -> Refusal:
    return order.refused(f"{order.payee} takes no such payment at present.")


def _within_bounds(order: Order) -> None:
    least, most = agent_bounds(order.currency)
    if not least <= order.units <= most:
        raise order.refused(
            f"A payment through an agent is between {to_text(least, order.currency)} and"
            f" {to_text(most, order.currency)} {order.currency}."
        )


def agent_bounds(currency: str) -> tuple[int, int]:
    """The least and the most that one payment through an agent moves, in smallest units."""
    return bound_in(MIN_AGENT_PAYMENT, currency), bound_in(MAX_AGENT_PAYMENT, currency)


# Paying.


def pay(
    transaction: Transaction,
    order: Order,
    rates: Rates,
    *,
    at: float,
    app_id: int | None = None,
    key: str | None = None,
    permit: Permit | None = None,
) -> Payment:
    """Carry out an order, or answer with the payment that was made for it under the key.

    `permit` is asked before a new payment, and may use something up for it; it is not asked again
    when the payment is repeated. Raises `Refusal`, or what `permit` raises.
    """
    if key is not None and (before := _paid_with(transaction, order, key)) is not None:
        return before
    parties = check(transaction, order)
    if permit is not None:
        permit(transaction)
    payer, payee = parties.payer, parties.payee
    units, counter, rate = order.units, TRANSFERS, ""
    if payer.currency != payee.currency:
        units = rates.converted(units, payer.currency, payee.currency, int(at))
        counter = CONVERSION
        spot = shown(rates.rate(payer.currency, payee.currency, int(at)).spot)
        rate = f" at 1 {payer.currency} = {spot:f} {payee.currency}"
    if units == 0:
        raise order.refused(f"That is less than the smallest amount of {payee.currency}.")
    out, into = _notes(order, parties, rate)
    transfer = order.kind is Kind.TRANSFER
    outgoing = Posting(
        loginid=payer.loginid,
        action="transfer" if transfer else "withdrawal",
        amount=-order.units,
        at=at,
        app_id=app_id,
        note=out,
        counter=counter,
    )
    incoming = replace(
        outgoing,
        loginid=payee.loginid,
        action="transfer" if transfer else "deposit",
        amount=units,
        note=into,
    )
    paid = ledger.post(transaction, outgoing)
    try:
        received = pay_in(transaction, incoming)
    except Refusal:
        if transfer:
            raise
        # What somebody has excluded is not for others to know.
        raise _takes_nothing(order) from None
    transaction.insert(
        "INSERT INTO payments (kind, paid_by, received_by, payer, payee, remarks, idempotency_key)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        order.kind,
        paid.id,
        received.id,
        payer.loginid,
        payee.loginid,
        order.remarks,
        key,
    )
    return of_entries(transaction, [paid.id])[paid.id]


def pay_in(transaction: Transaction, posting: Posting) -> Entry:
    """Post a payment that an account receives: every payment to an account comes this way.

    Raises `Refusal` where the account's owner has excluded it.
    """
    currency = ledger.account(transaction, posting.loginid).currency
    exclusion.refuse_deposit(
        transaction,
        posting.loginid,
        currency=currency,
        amount=posting.amount,
        at=int(posting.at),
    )
    return ledger.post(transaction, posting)


def _notes(order: Order, parties: Parties, rate: str) -> tuple[str, str]:
    """What the statements of both accounts say."""
    payer, payee, name = order.payer, order.payee, parties.agent_name
    remarks = f" {order.remarks}" if order.remarks else ""
    if order.kind is Kind.TRANSFER:
        return f"Transferred to {payee}{rate}.", f"Transferred from {payer}{rate}."
    if order.kind is Kind.TO_CLIENT:
        return (
            f"Paid to client {payee}.{remarks}",
            f"Paid by payment agent {name} ({payer}).{remarks}",
        )
    return (
        f"Withdrawn through payment agent {name} ({payee}).{remarks}",
        f"Withdrawn by client {payer}.{remarks}",
    )


# Reading.

_SELECT = (
    "SELECT payments.*, -paid.amount AS paid, received.amount AS received,"
    " paid.balance_after AS payer_balance, received.balance_after AS payee_balance,"
    " coalesce(payment_agents.name, '') AS agent_name FROM payments"
    " JOIN ledger AS paid ON paid.id = paid_by JOIN ledger AS received ON received.id = received_by"
    " LEFT JOIN payment_agents ON payment_agents.loginid ="
    " CASE kind WHEN 'to_client' THEN payer WHEN 'to_agent' THEN payee END"
)


def _payment(row: Row) -> Payment:
    return Payment(
        kind=Kind(row["kind"]),
        payer=row["payer"],
        payee=row["payee"],
        paid_by=row["paid_by"],
        received_by=row["received_by"],
        paid=row["paid"],
        received=row["received"],
        payer_balance=row["payer_balance"],
        payee_balance=row["payee_balance"],
        agent_name=row["agent_name"],
        remarks=row["remarks"],
    )


def _paid_with(reader: Snapshot, order: Order, key: str) -> Payment | None:
    """What the account paid under this key. Raises `Refusal` where that was something else."""
    row = reader.one(
        f"{_SELECT} WHERE payer = ? AND kind = ? AND idempotency_key = ?",
        order.payer,
        order.kind,
        key,
    )
    if row is None:
        return None
    made = _payment(row)
    currency = ledger.account(reader, order.payer).currency
    if (made.payee, made.paid, currency, made.remarks) != (
        order.payee,
        order.units,
        order.currency,
        order.remarks,
    ):
        raise Refusal(
            "IdempotencyKeyReused",
            "This idempotency_key is that of an earlier payment, of another amount, account or"
            " description, and nothing was paid now: take another key for another payment.",
        )
    return made


def of_entries(reader: Snapshot, ids: Collection[int]) -> Mapping[int, Payment]:
    """The payments that these entries of the ledger belong to, by entry."""
    marks = ", ".join("?" * len(ids))
    rows = reader.all(
        f"{_SELECT} WHERE paid_by IN ({marks}) OR received_by IN ({marks})", *ids, *ids
    )
    found = [_payment(row) for row in rows]
    return {
        entry: payment
        for payment in found
        for entry in (payment.paid_by, payment.received_by)
        if entry in ids
    }


class _Undone(Exception):
    """Ends the job of a payment that is only tried: the store takes all of it back."""


class PaymentService:
    """Carries out payments for a running gateway."""

    def __init__(self, store: Store, rates: Rates, clock: Clock) -> None:
        self._store = store
        self._rates = rates
        self._clock = clock

    async def pay(
        self,
        order: Order,
        *,
        guard: Guard,
        app_id: int | None = None,
        key: str | None = None,
        permit: Permit | None = None,
    ) -> Payment:
        """Carry out an order, once for a `key`; see `pay`. Raises also what the guard raises."""
        at = self._clock.now()

        def job(transaction: Transaction) -> Payment:
            guard(transaction)
            return pay(
                transaction, order, self._rates, at=at, app_id=app_id, key=key, permit=permit
            )

        return await self._store.write(job)

    async def transfer(
        self, order: Order, *, user_id: int, guard: Guard, app_id: int | None, key: str | None
    ) -> tuple[Payment, list[Account]]:
        """Carry out an order as `pay` does; the payment, and this user's accounts after it."""
        at = self._clock.now()

        def job(transaction: Transaction) -> tuple[Payment, list[Account]]:
            guard(transaction)
            paid = pay(transaction, order, self._rates, at=at, app_id=app_id, key=key)
            return paid, ledger.accounts(transaction, user_id)

        return await self._store.write(job)

    async def check_only(self, order: Order, *, guard: Guard, permit: Permit | None = None) -> str:
        """Check an order without a payment; the name of the agent taking part, or an empty text.

        Raises what `pay` would, except for faults of the client whom an agent would pay: otherwise
        an agent could find out which accounts exist, and what their owners have excluded.
        """
        at = self._clock.now()
        tried: list[str] = []

        def job(transaction: Transaction) -> None:
            guard(transaction)
            if order.kind is Kind.TO_CLIENT:
                payer, agent = _paying(transaction, order)
                _refuse_own(order, payer, _account(transaction, order.payee))
                tried.append("" if agent is None else agent.name)
            else:
                made = pay(transaction, order, self._rates, at=at, permit=permit)
                tried.append(made.agent_name)
            raise _Undone

        with contextlib.suppress(_Undone):
            await self._store.write(job)
        return tried[0]

    async def of_entries(self, ids: Collection[int]) -> Mapping[int, Payment]:
        """The payments that these entries of the ledger belong to, by entry."""
        if not ids:
            return {}
        return await self._store.read(lambda reader: of_entries(reader, ids))
