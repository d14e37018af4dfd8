"""Transfers between the accounts of one user, and deposits and withdrawals of paper money.

Rules:
- The token is checked again inside the transaction: nothing is paid for a token that was revoked
  meanwhile.
- A payment with an `idempotency_key` in its `passthrough` happens once for an account and a call.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from scopegate.exchange.ledger import Account, Ledger
from scopegate.exchange.money import CURRENCIES, to_text, to_units
from scopegate.exchange.payments import Kind, Order, Payment, PaymentService
from scopegate.exchange.rules import MAX_AGENT_PAYMENT, MIN_AGENT_PAYMENT
from scopegate.gateway.access import users, verification
from scopegate.gateway.access.guard import Access
from scopegate.gateway.calls.errors import ApiError, input_validation_failed
from scopegate.gateway.calls.idempotency import OWN, RECORDED, key_of, key_reused
from scopegate.gateway.calls.registry import call
from scopegate.gateway.calls.session import Session
from scopegate.handlers.exchange.exchange_scopes import PAYMENTS
from scopegate.handlers.exchange.paper_accounts import company_of, facts_of
from scopegate.handlers.exchange.reach import accounts_of
from scopegate.schemas import error_codes
from scopegate.schemas.payment_messages import (
    Cashier,
    CashierReply,
    CurrencyBounds,
    PaymentMethod,
    PaymentMethods,
    PaymentMethodsReply,
    TransferAccount,
    TransferBetweenAccounts,
    TransferBetweenAccountsReply,
)
from scopegate.store.transactions import Transaction


def units_of(amount: Decimal, currency: str) -> int:
    """Return an amount in smallest units. Raises `InputValidationFailed` for the invalid field."""
    if currency not in CURRENCIES:
        raise input_validation_failed({"currency": "Accounts in this currency are not offered."})
    try:
        return to_units(amount, currency)
    except ValueError as problem:
        raise input_validation_failed({"amount": f"{problem}."}) from None


class Payments:
    """Transfers between the accounts of one user, and deposits and withdrawals of paper money."""

    def __init__(self, payment_service: PaymentService, ledger: Ledger, access: Access) -> None:
        self._payment_service = payment_service
        self._ledger = ledger
        self._access = access

    @call(
        "transfer_between_accounts",
        needs=PAYMENTS,
        app_tokens=True,
        error_codes=(
            *error_codes.CAPS,
            *error_codes.DEPOSIT,
            "IdempotencyKeyReused",
            "InsufficientBalance",
            "TransferBetweenAccountsError",
        ),
        idempotency=OWN,
    )
    async def transfer_between_accounts(
        self, request: TransferBetweenAccounts, session: Session
    ) -> TransferBetweenAccountsReply:
        """Move money to another account of the user; without both accounts, list the accounts.

        Between currencies, the amount is converted at the current rate, rounded down, without a
        fee. If you may have to repeat the request, put an `idempotency_key` of your own, 1 to 64
        characters, into `passthrough`: the account pays once for a key. With an app's token, the
        app must be allowed to use both accounts.
        """
        grant = session.grant
        if request.account_from is None or request.account_to is None:
            accounts = await accounts_of(self._ledger, grant)
            return {
                "transfer_between_accounts": 0,
                "accounts": [
                    _listed(account, grant.loginid)
                    for account in accounts
                    if account.is_virtual == facts_of(grant).is_virtual
                ],
            }
        if request.account_from != grant.loginid:
            raise ApiError(
                "TransferBetweenAccountsError",
                f"You are signed in to {grant.loginid}: account_from must be that account.",
            )
        if not grant.reaches(request.account_to):
            raise ApiError(
                "TransferBetweenAccountsError",
                f"You have no account {request.account_to} that this app may use. Call without"
                " account_to to list those that it may use.",
            )
        if request.amount is None or request.currency is None:
            missing = [name for name in ("amount", "currency") if getattr(request, name) is None]
            raise input_validation_failed(dict.fromkeys(missing, "Needed for a transfer."))
        order = Order(
            kind=Kind.TRANSFER,
            payer=grant.loginid,
            payee=request.account_to,
            units=units_of(request.amount, request.currency),
            currency=request.currency,
        )
        paid, accounts = await self._payment_service.transfer(
            order,
            user_id=grant.user_id,
            app_id=session.app_id,
            guard=self._access.guard(grant),
            key=key_of(request.passthrough),
        )
        check_app(paid, session)
        left = {paid.payer: paid.payer_balance, paid.payee: paid.payee_balance}
        return {
            "transfer_between_accounts": 1,
            "accounts": [
                _listed(replace(account, balance=left[account.loginid]), grant.loginid)
                for account in accounts
                if account.loginid in left
            ],
            "client_to_loginid": paid.payee,
            "transaction_id": paid.paid_by,
        }

    @call(
        "cashier",
        needs=PAYMENTS,
        app_tokens=True,
        error_codes=("ASK_EMAIL_VERIFY", "CashierForwardError"),
        idempotency=RECORDED,
    )
    async def cashier(self, request: Cashier, session: Session) -> CashierReply:
        """Return the URL of the account's page here; no real money is deposited or withdrawn.

        `withdraw` needs a code of type `payment_withdraw` and uses it up, as with real money.
        """
        grant = session.grant
        if request.provider == "crypto" or request.type == "api":
            raise ApiError(
                "CashierForwardError",
                "There is no blockchain behind paper money. Use type url, and not provider crypto.",
            )
        scheme = "https" if session.secure else "http"
        reply: CashierReply = {"cashier": f"{scheme}://{session.host}/account"}
        if request.cashier == "withdraw":
            code = request.verification_code
            if code is None:
                raise ApiError(
                    "ASK_EMAIL_VERIFY",
                    "A withdrawal needs a code. Request one with verify_email, of type"
                    f" {verification.PAYMENT_WITHDRAW}.",
                )

            def job(transaction: Transaction) -> None:
                email = users.by_id(transaction, grant.user_id)["email"]
                verification.take(transaction, email, verification.PAYMENT_WITHDRAW, code)

            return await self._access.write_reply(session, job, lambda _: reply)
        return reply

    @call("payment_methods", needs=None, error_codes=())
    async def payment_methods(
        self, request: PaymentMethods, session: Session
    ) -> PaymentMethodsReply:
        """List the ways to deposit and withdraw paper money; they are the same in every country."""
        return {"payment_methods": _METHODS}


def check_app(paid: Payment, session: Session) -> None:
    """Raise `ApiError` if an app repeats a payment that was made under its key by another app."""
    if session.grant.app_id is not None and paid.app_id != session.app_id:
        raise key_reused()


def _listed(account: Account, current: str) -> TransferAccount:
    """An account in the list of a transfer; the client is signed in to `current`."""
    return {
        "account_category": "trading",
        "account_type": "binary",
        "balance": to_text(account.balance, account.currency),
        "currency": account.currency,
        "demo_account": int(account.is_virtual),
        "landing_company_short": company_of(is_virtual=account.is_virtual),
        "loginid": account.loginid,
        "market_type": "all",
        "transfers": "none" if account.loginid == current else "all",
    }


def _method(
    name: str, display_name: str, description: str, limits: Mapping[str, CurrencyBounds]
) -> PaymentMethod:
    return {
        "deposit_limits": dict(limits),
        "deposit_time": "instant",
        "description": description,
        "display_name": display_name,
        "id": name,
        "payment_processor": "Scopegate",
        "predefined_amounts": [],
        "signup_link": "",
        "supported_currencies": list(CURRENCIES),
        "type": name,
        "type_display_name": display_name,
        "withdraw_limits": dict(limits),
        "withdrawal_time": "instant",
    }


_AGENT_LIMITS: Mapping[str, CurrencyBounds] = {
    code: {"max": int(MAX_AGENT_PAYMENT), "min": int(MIN_AGENT_PAYMENT)}
    for code, currency in CURRENCIES.items()
    if currency.counts_for == 1  # bounds in other currencies are not whole numbers
}
_METHODS = [
    _method(
        "paper",
        "Paper money",
        "All money here is paper: the operator of this gateway adds it to an account or takes it"
        " away.",
        {},
    ),
    _method(
        "payment_agent",
        "Payment agent",
        "Paper money from another user, or to one, who acts as a payment agent.",
        _AGENT_LIMITS,
    ),
]
