"""Accounts, their balances and their ledgers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from scopegate.exchange.book import Contract
from scopegate.exchange.contracts.common.terms import Terms
from scopegate.exchange.desk import Desk
from scopegate.exchange.ledger import Account, BookedEntry, Entry, Ledger
from scopegate.exchange.money import bound_in, to_number, to_text
from scopegate.exchange.payments import Kind, Payment, PaymentService
from scopegate.exchange.rates import Rates
from scopegate.exchange.rules import MAX_OPEN_PAYOUT, MAX_OPEN_POSITIONS
from scopegate.gateway.access.guard import Access
from scopegate.gateway.calls import resuming
from scopegate.gateway.calls.bus import Bus, Encoded, encoded
from scopegate.gateway.calls.errors import ApiError, input_validation_failed
from scopegate.gateway.calls.idempotency import RECORDED, recorder
from scopegate.gateway.calls.limits import Rate
from scopegate.gateway.calls.registry import OWNER, BodyT, Stream, call
from scopegate.gateway.calls.resuming import MAX_MISSED, PAGE, Missed, Reader
from scopegate.gateway.calls.scheduling import Workers
from scopegate.gateway.calls.session import Grant, Session
from scopegate.handlers.exchange.contract_bodies import expiry, longcode
from scopegate.handlers.exchange.exchange_scopes import READ, TRADE, TRADING_INFORMATION
from scopegate.handlers.exchange.paper_accounts import facts_of, summary
from scopegate.handlers.exchange.reach import accounts_of, within
from scopegate.handlers.exchange.views.all_views import view_of
from scopegate.runtime.clock import Clock
from scopegate.schemas import error_codes
from scopegate.schemas.account_messages import (
    AccountList,
    AccountListReply,
    Balance,
    BalanceBody,
    BalanceReply,
    GetLimits,
    GetLimitsReply,
    Statement,
    StatementEntry,
    StatementReply,
    TopupVirtual,
    TopupVirtualReply,
    Totals,
    Transaction,
    TransactionBody,
    TransactionReply,
)
from scopegate.schemas.owner_messages import AccountReset, AccountResetReply

TOTALS_IN = "USD"
"""The currency in which balances in several currencies are added up."""

_INFORMED = (READ, TRADING_INFORMATION)
_WORDS = {
    "adjustment": "Adjusted",
    "deposit": "Deposited",
    "transfer": "Transferred",
    "virtual_credit": "Credited to a demo account",
    "withdrawal": "Withdrawn",
}


class Accounts:
    """Accounts, their balances and their ledgers."""

    def __init__(
        self,
        ledger: Ledger,
        desk: Desk,
        payment_service: PaymentService,
        rates: Rates,
        clock: Clock,
        access: Access,
        bus: Bus,
        workers: Workers,
    ) -> None:
        self._ledger = ledger
        self._desk = desk
        self._payment_service = payment_service
        self._rates = rates
        self._clock = clock
        self._access = access
        self._bus = bus
        self._workers = workers
        ledger.listen(self._booked)

    @call("account_list", needs=READ, error_codes=())
    async def account_list(self, request: AccountList, session: Session) -> AccountListReply:
        """List all accounts of the user, real-style accounts first.

        With an app's token, list only those that the app may use.
        """
        accounts = await accounts_of(self._ledger, session.grant)
        return {"account_list": [summary(account) for account in accounts]}

    @call("balance", needs=_INFORMED, error_codes=())
    async def balance(
        self, request: Balance, session: Session
    ) -> BalanceReply | Stream[BalanceReply]:
        """Return the balance of the account, of another account of the user, or of all of them.

        With `subscribe`, every change follows, once each and in order. With an app's token, `all`
        means the accounts that the app may use.
        """
        grant = session.grant
        body: BalanceBody
        loginids: list[str]
        if request.account == "all":
            body, since = await self._all(grant)
            topic, loginids = f"balances.{grant.user_id}", list(body["accounts"])
        else:
            loginid, currency = grant.loginid, facts_of(grant).currency
            if request.account not in ("current", loginid):
                other = await self._other(grant, request.account)
                loginid, currency = other.loginid, other.currency
            known = self._ledger.known_balance(loginid)
            since, units = known or await self._ledger.balance(loginid)
            body = {
                "balance": to_number(units, currency),
                "currency": currency,
                "loginid": loginid,
            }
            topic, loginids = f"balance.{loginid}", [loginid]
        if not request.subscribe:
            return {"balance": body}
        stream: Stream[BalanceReply] = Stream(
            kind="balance",
            key=("balance", request.account, grant.loginid),
            label="balance",
            topic=topic,
            first={"balance": body},
            msg_type="balance",
            since=since,
            position=since,
        )
        after = resuming.position_of(request.passthrough)
        if after is None:
            return stream

        async def missed(position: int) -> Missed:
            entries = await self._ledger.entries_after(loginids, position, PAGE)
            return _page(position, entries, [encoded(_balance(entry)) for entry in entries])

        return await self._resumed(stream, loginids, after, missed)

    async def _resumed(
        self, stream: Stream[BodyT], loginids: list[str], after: int, missed: Reader
    ) -> Stream[BodyT]:
        """Let a stream of entries begin after this one; what is too much, or unknown, is a gap."""
        found = await self._ledger.latest_after(loginids, after, MAX_MISSED)
        begins, gap = resuming.start_of(after, *found)
        return replace(stream, since=begins, position=begins, missed=missed, gap=gap)

    async def _other(self, grant: Grant, loginid: str) -> Account:
        for account in await accounts_of(self._ledger, grant):
            if account.loginid == loginid:
                return account
        raise input_validation_failed({"account": "You have no account with this loginid."})

    async def _all(self, grant: Grant) -> tuple[BalanceBody, int]:
        owned, position = await self._ledger.accounts_at(grant.user_id)
        accounts = within(owned, grant)
        mine = next(account for account in accounts if account.loginid == grant.loginid)
        now = int(self._clock.now())
        in_dollars = {
            account.loginid: self._rates.converted(
                account.balance, account.currency, TOTALS_IN, now
            )
            for account in accounts
        }
        body: BalanceBody = {
            "accounts": {
                account.loginid: {
                    "balance": to_number(account.balance, account.currency),
                    "converted_amount": to_number(in_dollars[account.loginid], TOTALS_IN),
                    "currency": account.currency,
                    "demo_account": int(account.is_virtual),
                    "status": 1,
                    "type": "deriv",
                }
                for account in accounts
            },
            "balance": to_number(mine.balance, mine.currency),
            "currency": mine.currency,
            "loginid": mine.loginid,
            "total": _totals(accounts, in_dollars),
        }
        return body, position

    @call("account_reset", needs=OWNER, error_codes=(), idempotency=RECORDED)
    async def account_reset(self, request: AccountReset, session: Session) -> AccountResetReply:
        """Reset an account to its opening balance, whatever it holds: all money is paper."""
        grant = session.grant
        account = await self._ledger.reset(
            grant.loginid,
            self._access.guard(grant, session.keyed),
            recorder(session.keyed, _reset),
        )
        return _reset(account)

    @call(
        "topup_virtual",
        needs=TRADE,
        error_codes=(*error_codes.DEPOSIT, "TopupVirtualError"),
        idempotency=RECORDED,
    )
    async def topup_virtual(self, request: TopupVirtual, session: Session) -> TopupVirtualReply:
        """Top up a demo account to its opening balance, if it holds less."""
        grant = session.grant
        if not facts_of(grant).is_virtual:
            raise ApiError("TopupVirtualError", "Only a demo account can be topped up.")
        entry = await self._ledger.top_up(
            grant.loginid,
            self._access.guard(grant, session.keyed),
            recorder(session.keyed, _topped_up),
        )
        if entry is None:
            raise ApiError(
                "TopupVirtualError",
                "Your balance is not below the opening balance, so there is nothing to top up.",
            )
        return _topped_up(entry)

    @call("statement", needs=_INFORMED, rate=Rate.OUTCOME, error_codes=())
    async def statement(self, request: Statement, session: Session) -> StatementReply:
        """List the entries of the account's ledger, newest first.

        With an app's token, a transfer does not name the other account if the app may not use it.
        """
        grant, described = session.grant, request.description == 1
        async with self._workers.reading(session.client, "statement", request.limit) as turn:
            entries = await self._ledger.entries(
                grant.loginid,
                action=request.action_type,
                first=request.date_from,
                last=request.date_to,
                limit=request.limit,
                offset=request.offset,
            )
            contracts = await self._desk.contracts(
                {entry.contract_id for entry in entries if entry.contract_id is not None}
            )
            payments = await self._payment_service.of_entries(
                {entry.id for entry in entries if entry.action == "transfer"}
            )
            listed = (
                _statement_entry(
                    entry,
                    contracts.get(entry.contract_id or 0),
                    payments.get(entry.id),
                    grant,
                    described=described,
                )
                for entry in entries
            )
            transactions = await self._workers.listed(turn, len(entries), listed)
        return {"statement": {"count": len(transactions), "transactions": transactions}}

    @call("transaction", needs=_INFORMED, error_codes=())
    async def transaction(self, request: Transaction, session: Session) -> Stream[TransactionReply]:
        """Stream every entry of the account's ledger as it is booked.

        After a lost connection, send the `position` of the last message that you have seen as
        `resume` in `passthrough`: what was booked since follows first, once and in order.
        """
        loginid = session.grant.loginid
        since = (
            self._ledger.known_balance(loginid) or await self._ledger.balance(loginid)
        ).position
        stream: Stream[TransactionReply] = Stream(
            kind="transaction",
            key=("transaction", loginid),
            label="transaction",
            topic=f"transaction.{loginid}",
            first={"transaction": {}},
            msg_type="transaction",
            since=since,
            position=since,
        )
        after = resuming.position_of(request.passthrough)
        if after is None:
            return stream

        async def missed(position: int) -> Missed:
            entries, bought = await self._desk.booked_after(loginid, position, PAGE)
            contracts = {
                contract_id: _contract_part(terms, at)
                for contract_id, (terms, at) in bought.items()
            }
            bodies = [_transaction(each, contracts.get(each.contract_id or 0)) for each in entries]
            return _page(position, entries, list(map(encoded, bodies)))

        return await self._resumed(stream, [loginid], after, missed)

    @call("get_limits", needs=READ, error_codes=())
    async def get_limits(self, request: GetLimits, session: Session) -> GetLimitsReply:
        """Return how many contracts, and how much payout, the account may have open at once."""
        return {
            "get_limits": {
                "account_balance": None,
                "open_positions": MAX_OPEN_POSITIONS,
                "payout": to_number(
                    bound_in(MAX_OPEN_PAYOUT, facts_of(session.grant).currency),
                    facts_of(session.grant).currency,
                ),
            }
        }

    def _booked(self, entry: Entry) -> None:
        """Publish a ledger entry; its id is the position of the events in their streams."""
        topics = (
            f"balance.{entry.loginid}",
            f"balances.{entry.user_id}",
            f"transaction.{entry.loginid}",
        )
        if not any(map(self._bus.has_listeners, topics)):
            return  # most accounts trade without a stream
        one, all_of_user, transactions = topics
        event = encoded(_balance(entry))
        self._bus.publish(one, event, entry.id, shown=entry.id)
        self._bus.publish(all_of_user, event, entry.id, of_account=entry.loginid, shown=entry.id)
        held = None if entry.contract_id is None else self._desk.position(entry.contract_id)
        contract = None if held is None else _contract_part(held.terms, held.contract.bought_at)
        self._bus.publish(transactions, _transaction(entry, contract), entry.id, shown=entry.id)


def _reset(account: Account) -> AccountResetReply:
    return {
        "account_reset": {
            "balance": to_number(account.balance, account.currency),
            "currency": account.currency,
            "loginid": account.loginid,
        }
    }


def _topped_up(entry: Entry) -> TopupVirtualReply:
    return {
        "topup_virtual": {
            "amount": to_number(entry.amount, entry.currency),
            "currency": entry.currency,
        }
    }


def _page(after: int, entries: Sequence[Entry | BookedEntry], events: Sequence[Encoded]) -> Missed:
    """Return a page of events, one for each entry after a position."""
    pairs = [(event, entry.id) for event, entry in zip(events, entries, strict=True)]
    return Missed(pairs, entries[-1].id if entries else after, len(entries) < PAGE)


def _balance(entry: Entry) -> BalanceBody:
    """The body of a message about the balance after an entry."""
    return {
        "balance": to_number(entry.balance_after, entry.currency),
        "currency": entry.currency,
        "loginid": entry.loginid,
    }


class _ContractPart(NamedTuple):
    """What messages about the entries of a contract show of it."""

    fields: TransactionBody
    bought_at: int


def _contract_part(terms: Terms, bought_at: int) -> _ContractPart:
    fields: TransactionBody = {
        "date_expiry": expiry(terms),
        "display_name": terms.symbol.display_name,
        "longcode": longcode(terms),
        "symbol": terms.symbol.name,
    }
    barrier = view_of(terms).transaction_barrier(terms)
    if barrier is not None:
        fields["barrier"] = barrier
    return _ContractPart(fields, bought_at)


def _transaction(entry: Entry | BookedEntry, contract: _ContractPart | None) -> TransactionBody:
    """The body of a message about an entry, and the contract that it is for."""
    body: TransactionBody = {
        "action": entry.action,
        "amount": to_number(entry.amount, entry.currency),
        "balance": to_number(entry.balance_after, entry.currency),
        "contract_id": entry.contract_id,
        "currency": entry.currency,
        "transaction_id": entry.id,
        "transaction_time": entry.at,
    }
    if contract is not None:
        body.update(contract.fields)
        if entry.action == "sell":
            body["purchase_time"] = contract.bought_at
    return body


def _totals(accounts: list[Account], in_dollars: Mapping[str, int]) -> Totals:
    """The total balance of each kind of account; `in_dollars` has balances by loginid, in cents."""
    totals: Totals = {}
    for kind, is_virtual in (("deriv", False), ("deriv_demo", True)):
        chosen = [in_dollars[each.loginid] for each in accounts if each.is_virtual == is_virtual]
        if chosen:
            totals[kind] = {  # type: ignore[literal-required] # one of the two keys
                "amount": to_number(sum(chosen), TOTALS_IN),
                "currency": TOTALS_IN,
            }
    return totals


def _statement_entry(
    entry: Entry,
    contract: Contract | None,
    payment: Payment | None,
    grant: Grant,
    *,
    described: bool,
) -> StatementEntry:
    shown: StatementEntry = {
        "action_type": entry.action,
        "amount": to_number(entry.amount, entry.currency),
        "app_id": entry.app_id,
        "balance_after": to_number(entry.balance_after, entry.currency),
        "contract_id": entry.contract_id,
        "payout": None,
        "reference_id": None,
        "transaction_id": entry.id,
        "transaction_time": entry.at,
    }
    note = entry.note
    if payment is not None:
        # A transfer is between two accounts of the user; other payments are between two users.
        between_own = payment.kind is Kind.TRANSFER
        if not between_own or grant.reaches(payment.payer):
            shown["from"] = {"loginid": payment.payer}
        if not between_own or grant.reaches(payment.payee):
            shown["to"] = {"loginid": payment.payee}
        if not ("from" in shown and "to" in shown):
            note = ""
    if contract is not None:
        shown["payout"] = to_number(contract.payout, entry.currency)
        if entry.action == "sell":
            shown["reference_id"] = contract.bought_by
            shown["purchase_time"] = contract.bought_at
        if described:
            shown["longcode"] = longcode(contract.terms)
            shown["shortcode"] = contract.shortcode
    elif described:
        words = _WORDS.get(entry.action, entry.action)
        amount = to_text(abs(entry.amount), entry.currency)
        shown["longcode"] = note or f"{words}: {entry.currency} {amount}."
        shown["shortcode"] = None
    return shown
