"""Payments between accounts: orders, their checks, and the two ledger entries of each payment.

Rules:
- A payment takes from one account and gives to another in one transaction, or does neither.
- Within one currency both sides are posted against the counter account `transfers`, whose balance
  is 0 again afterwards; across currencies `conversion` takes what is paid and gives what is
  received, at the current rate, rounded down. There is no fee.
- Money never moves between demo and real-style accounts.
- Every payment that a person orders into an account goes through `pay_in`.
- A payment with an idempotency key is made once per paying account, kind and key: the same order
  with the same key returns the earlier payment, another order with that key is refused.
"""

import contextlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from scopegate.exchange import agents, caps, exclusion, ledger
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.keys import stored_key
from scopegate.exchange.ledger import CONVERSION, TRANSFERS, Account, Entry, Guard, Posting
from scopegate.exchange.money import bound_in, to_text
from scopegate.exchange.rates import Rates, shown
from scopegate.exchange.rules import MAX_AGENT_PAYMENT, MIN_AGENT_PAYMENT
from scopegate.runtime.clock import Clock
from scopegate.store.store import Store
from scopegate.store.transactions import Row, Snapshot, Transaction


class Kind(StrEnum):
    """The kind of a payment: who pays whom."""

    TRANSFER = "transfer"
    """From one account of a user to another."""
    TO_CLIENT = "to_client"
    """From a payment agent to a client's account."""
    TO_AGENT = "to_agent"
    """From a client to a payment agent's account."""


Permit = Callable[[Transaction], None]
"""A check that permits a new payment, or raises; it may consume something, such as a code."""

_REFUSED = {
    Kind.TRANSFER: "TransferBetweenAccountsError",
    Kind.TO_CLIENT: "PaymentAgentTransferError",
    Kind.TO_AGENT: "PaymentAgentWithdrawError",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A payment to be made: `units` in smallest units of the currency of the paying account."""

    kind: Kind
    payer: str
    payee: str
    units: int
    currency: str
    remarks: str = ""

    def refused(self, problem: str) -> Refusal:
        """Return a `Refusal` of this order, with the error code of its kind."""
        return Refusal(_REFUSED[self.kind], problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment that was made."""

    kind: Kind
    payer: str
    payee: str
    paid_by: int
    """The id of the ledger entry that debited the payer."""
    received_by: int
    """The id of the ledger entry that credited the payee."""
    paid: int
    received: int
    """The amounts, each in smallest units of its account's currency."""
    payer_balance: int
    payee_balance: int
    """The balances of the two accounts after it."""
    agent_name: str
    """The name of the payment agent involved; empty if there was none."""
    remarks: str
    app_id: int | None
    """The app through which it was ordered."""


@dataclass(frozen=True, slots=True)
class Parties:
    """The two accounts of an order that may be carried out."""

    payer: Account
    payee: Account
    agent_name: str
    """The name of the payment agent involved; empty if there is none."""


# Checking.


def check(reader: Snapshot, order: Order) -> Parties:
    """Return the accounts of an order as they are now. Raises `Refusal` if it is not allowed.

    The payee is checked last: problems of the payer are reported for any payee.
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
    """Return the paying account, and the agent involved. Raises `Refusal` if it cannot pay."""
    payer = ledger.account(reader, order.payer)
    agent = None
    if order.kind is not Kind.TRANSFER:
        agent = agents.find(reader, order.payee if order.kind is Kind.TO_AGENT else order.payer)
        if agent is None:
            raise order.refused(
                f"{order.payee} is not a payment agent. paymentagent_list lists them."
                if order.kind is Kind.TO_AGENT
                else f"{order.payer} is not a payment agent. Call paymentagent_create first."
            )
        if payer.is_virtual:
            raise _not_real(order, payer.loginid)
    if order.currency != payer.currency:
        raise order.refused(
            f"Account {payer.loginid} is in {payer.currency}: give the amount in {payer.currency}."
        )
    if order.units <= 0:
        raise order.refused("Amount must be more than 0.")
    if agent is not None:
        _within_bounds(order)
    if payer.balance < order.units:
        raise Refusal(
            "InsufficientBalance",
            f"The balance of {payer.loginid} is {payer.currency}"
            f" {to_text(payer.balance, payer.currency)}, less than the payment of"
            f" {payer.currency} {to_text(order.units, payer.currency)}.",
        )
    return payer, agent


def _account(reader: Snapshot, loginid: str) -> Account | None:
    """The account with this login id; `None` if there is none or its owner is disabled."""
    row = reader.one(
        "SELECT 1 FROM accounts JOIN users ON users.id = accounts.user_id"
        " WHERE loginid = ? AND disabled_at IS NULL",
        loginid,
    )
    return None if row is None else ledger.account(reader, loginid)


def _own(order: Order, payer: Account, payee: Account | None) -> Account:
    """Return the payee of a transfer between two accounts of one user, or raise `Refusal`."""
    if payee is None or payee.user_id != payer.user_id:
        raise order.refused(f"You have no account {order.payee}.")
    if payee.loginid == payer.loginid:
        raise order.refused("account_from and account_to must be different accounts.")
    if payee.is_virtual != payer.is_virtual:
        raise order.refused("Money cannot be transferred between demo and real-style accounts.")
    return payee


def _agent(order: Order, payer: Account, payee: Account | None) -> Account:
    """Return the payment agent's account that a client pays, or raise `Refusal`.

    Any problem of an agent's account may be reported.
    """
    if payee is None or payee.is_virtual:
        raise _not_real(order, order.payee)
    if payee.user_id == payer.user_id:
        raise _both_own(order)
    if payee.currency != payer.currency:
        raise order.refused(
            f"{payee.loginid} is in {payee.currency} and {payer.loginid} in {payer.currency}:"
            " both must have the same currency."
        )
    return payee


def _client(reader: Snapshot, order: Order, payer: Account, payee: Account | None) -> Account:
    """Return the client's account that a payment agent pays, or raise `Refusal`.

    Any problem of another user's account gives the same error as an account that does not exist:
    agents must not find out which accounts exist.
    """
    _refuse_own(order, payer, payee)
    if payee is None or payee.is_virtual or payee.currency != payer.currency:
        raise _takes_nothing(order)
    if not ledger.is_settled(reader, payee.loginid):
        # A payment would make its currency final, which is the owner's choice.
        raise _takes_nothing(order)
    return payee


def _refuse_own(order: Order, payer: Account, payee: Account | None) -> None:
    """Raise `Refusal` if an agent pays one of their own accounts; naming it reveals nothing."""
    if payee is not None and payee.user_id == payer.user_id:
        raise _not_real(order, payee.loginid) if payee.is_virtual else _both_own(order)


def _not_real(order: Order, loginid: str) -> Refusal:
    return order.refused(
        f"{loginid} is not a real-style account. Payments through agents need one."
    )


def _both_own(order: Order) -> Refusal:
    return order.refused("Both accounts are yours. Use transfer_between_accounts.")


def _takes_nothing(order: Order) -> Refusal:
    return order.refused(f"{order.payee} does not accept such payments at present.")


def _within_bounds(order: Order) -> None:
    least, most = agent_bounds(order.currency)
    if not least <= order.units <= most:
        raise order.refused(
            f"Amount must be between {to_text(least, order.currency)} and"
            f" {to_text(most, order.currency)} {order.currency}."
        )


def agent_bounds(currency: str) -> tuple[int, int]:
    """The minimum and maximum amount of one payment through an agent, in smallest units."""
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
    caps_id: int | None = None,
) -> Payment:
    """Carry out an order, or return the payment that was made for it under the key.

    `permit` is called before a new payment and may consume something for it; it is not called
    again if the payment is repeated. A new payment counts for the caps with the id `caps_id`.
    Raises `Refusal`, or what `permit` raises.
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
        raise order.refused(
            f"The converted amount is below the smallest amount of {payee.currency}."
        )
    if caps_id is not None:
        caps.count_payment(
            transaction, caps_id, currency=payer.currency, units=order.units, at=int(at)
        )
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
        # Other users must not find out what an owner has excluded.
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
        None if key is None else stored_key(key, order.payer, order.kind),
    )
    return of_entries(transaction, [paid.id])[paid.id]


def pay_in(transaction: Transaction, posting: Posting) -> Entry:
    """Post a payment that an account receives: every payment to an account uses this function.

    Raises `Refusal` if the account's owner has excluded it.
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
    """The notes for the statements of the payer and the payee."""
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
    "SELECT payments.*, paid.app_id, -paid.amount AS paid, received.amount AS received,"
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
        app_id=row["app_id"],
    )


def _paid_with(reader: Snapshot, order: Order, key: str) -> Payment | None:
    """The payment that the account made under this key; `None` if there is none.

    Raises `Refusal` if that was another payment.
    """
    row = reader.one(
        f"{_SELECT} WHERE payer = ? AND kind = ? AND idempotency_key = ?",
        order.payer,
        order.kind,
        stored_key(key, order.payer, order.kind),
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
            "This idempotency_key was used for a payment with another amount, account or"
            " description. Nothing was paid. Use a new key for a new payment.",
        )
    return made


def of_entries(reader: Snapshot, ids: Collection[int]) -> Mapping[int, Payment]:
    """The payments that these ledger entries belong to, by entry id."""
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
    """Ends the job of a payment that is only checked, so that the store rolls it back."""


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
        """Carry out an order, once per `key`; see `pay`. Also raises what the guard raises."""
        at = self._clock.now()

        def job(transaction: Transaction) -> Payment:
            caps_id = guard(transaction)
            return pay(
                transaction,
                order,
                self._rates,
                at=at,
                app_id=app_id,
                key=key,
                permit=permit,
                caps_id=caps_id,
            )

        return await self._store.write(job)

    async def transfer(
        self, order: Order, *, user_id: int, guard: Guard, app_id: int | None, key: str | None
    ) -> tuple[Payment, list[Account]]:
        """Carry out an order as `pay` does; return the payment and the user's accounts after it."""
        at = self._clock.now()

        def job(transaction: Transaction) -> tuple[Payment, list[Account]]:
            caps_id = guard(transaction)
            paid = pay(
                transaction, order, self._rates, at=at, app_id=app_id, key=key, caps_id=caps_id
            )
            return paid, ledger.accounts(transaction, user_id)

        return await self._store.write(job)

    async def check_only(self, order: Order, *, guard: Guard, permit: Permit | None = None) -> str:
        """Check an order without a payment; return the name of the agent involved, or "".

        Raises what `pay` would, except for problems of the client whom an agent would pay:
        otherwise an agent could find out which accounts exist, and what their owners have excluded.
        """
        at = self._clock.now()
        tried: list[str] = []

        def job(transaction: Transaction) -> None:
            caps_id = guard(transaction)
            if order.kind is Kind.TO_CLIENT:
                payer, agent = _paying(transaction, order)
                _refuse_own(order, payer, _account(transaction, order.payee))
                tried.append("" if agent is None else agent.name)
            else:
                made = pay(transaction, order, self._rates, at=at, permit=permit, caps_id=caps_id)
                tried.append(made.agent_name)
            raise _Undone

        with contextlib.suppress(_Undone):
            await self._store.write(job)
        return tried[0]

    async def of_entries(self, ids: Collection[int]) -> Mapping[int, Payment]:
        """The payments that these ledger entries belong to, by entry id."""
        if not ids:
            return {}
        return await self._store.read(lambda reader: of_entries(reader, ids))
