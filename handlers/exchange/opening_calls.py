"""Opening accounts.

Rules:
- A new user proves with a code that they read the mail of their address. A signed-in user needs a
  token with the scope `admin` instead.
- The token in the reply allows no more than the request did. A new user gets a token of the
  connection's app, with the scopes that the app registered. A signed-in user gets a token with the
  scopes and bounds of the one in use.
- An account gets its opening balance of paper money once its currency is set.
"""

import time
from collections.abc import Mapping
from typing import Any

from scopegate.exchange import exclusion, ledger
from scopegate.exchange.ledger import Account, CurrencySettledError
from scopegate.exchange.money import CURRENCIES, to_number
from scopegate.gateway.access import apps, tokens, users, verification
from scopegate.gateway.access.guard import Access
from scopegate.gateway.access.passwords import Passwords
from scopegate.gateway.calls.errors import (
    ApiError,
    input_validation_failed,
    invalid_app_id,
    owners_token_required,
    permission_denied,
)
from scopegate.gateway.calls.idempotency import RECORDED, SECRET, recorded
from scopegate.gateway.calls.registry import call
from scopegate.gateway.calls.session import Grant, Session
from scopegate.handlers.exchange.days import midnight
from scopegate.handlers.exchange.exchange_scopes import ADMIN
from scopegate.handlers.exchange.paper_accounts import LANDING_COMPANIES, company_of
from scopegate.handlers.exchange.profile_calls import TERMS, store_settings
from scopegate.handlers.exchange.website_calls import TERMS_VERSION
from scopegate.handlers.gateway.countries import check_country
from scopegate.runtime.clock import Clock
from scopegate.schemas.fields import AccountRequest
from scopegate.schemas.opening_messages import (
    NewAccountReal,
    NewAccountRealReply,
    NewAccountVirtual,
    NewAccountVirtualReply,
    NewDemoAccount,
    SetAccountCurrency,
    SetAccountCurrencyReply,
)
from scopegate.schemas.profile_messages import PersonalData
from scopegate.store.errors import StoreError
from scopegate.store.store import Store
from scopegate.store.transactions import Snapshot, Transaction

_PERSONAL = (PersonalData.model_fields.keys() - AccountRequest.model_fields.keys()) | {
    "address_line_2",
    "non_pep_declaration",
    "residence",
    "secret_question",
}
"""The fields of `new_account_real` that are stored, as `set_settings` stores them."""


class Opening:
    """Opening accounts."""

    def __init__(self, access: Access, store: Store, clock: Clock, passwords: Passwords) -> None:
        self._access = access
        self._store = store
        self._clock = clock
        self._passwords = passwords

    @call(
        "new_account_virtual",
        needs=None,
        error_codes=(
            "DuplicateAccount",
            "InvalidAccountType",
            "InvalidToken",
            "PermissionDenied",
            "TokenRestricted",
            "TooManyAccounts",
        ),
        idempotency=SECRET,
    )
    async def new_account_virtual(
        self, request: NewAccountVirtual, session: Session
    ) -> NewAccountVirtualReply:
        """Open a demo account: as a new user with a code from `verify_email`, or for yourself.

        Without a code, you must be signed in with the scope `admin`. The token in the reply works
        at once; a new user's token belongs to the app that the connection names.
        """
        if request.type != "trading":
            raise ApiError("InvalidAccountType", "Account type must be trading.")
        if request.verification_code is not None:
            return await self._new_user(request, session)
        if session.acting is None:
            raise input_validation_failed(
                {"verification_code": "Needed, unless you are signed in: verify_email sends one."}
            )
        grant = session.acting
        if ADMIN not in grant.scopes:
            raise permission_denied("admin scope")
        at = self._clock.now()

        def job(transaction: Transaction) -> NewDemoAccount:
            opened = _open(
                transaction,
                grant.user_id,
                "USD",
                is_virtual=True,
                at=at,
                opened_by=grant.app_id,
            )
            token = _token_beside(transaction, grant, opened.loginid)
            ledger.fund(transaction, opened, at=at)
            email = users.by_id(transaction, grant.user_id)["email"]
            return _demo_body(opened, email, token)

        return await self._access.write_reply(
            session, job, _demo_reply, audited="new_account_virtual"
        )

    async def _new_user(
        self, request: NewAccountVirtual, session: Session
    ) -> NewAccountVirtualReply:
        code, password, residence = (
            _needed(request, name) for name in ("verification_code", "client_password", "residence")
        )
        check_country(residence, "residence")
        at = self._clock.now()

        def address(reader: Snapshot) -> str:
            found = verification.address_of(reader, verification.ACCOUNT_OPENING, code)
            if users.is_known(reader, found):
                raise _duplicate()
            return found

        # Check the code before hashing the password: strangers must not cause that work.
        email = await self._store.read(address)
        if request.email is not None and users.normal(request.email) != email:
            raise input_validation_failed({"email": "The code was sent to another address."})
        if password.lower() == email:
            raise input_validation_failed(
                {"client_password": "The password must not be your e-mail address."}
            )
        password_hash = await self._passwords.hash(password, session.client)

        def job(transaction: Transaction) -> NewDemoAccount:
            verification.take(transaction, email, verification.ACCOUNT_OPENING, code)
            app = None if session.app_id is None else apps.get(transaction, session.app_id)
            if app is None:
                raise invalid_app_id()
            try:
                user_id = users.create(
                    transaction, email, password_hash=password_hash, country=residence
                )
            except StoreError:
                raise _duplicate() from None
            settings: dict[str, Any] = {"residence": residence}
            if request.email_consent is not None:
                settings["email_consent"] = request.email_consent
            users.change_settings(transaction, user_id, settings)
            opened = _open(transaction, user_id, "USD", is_virtual=True, at=at)
            ledger.fund(transaction, opened, at=at)
            link_id = apps.link(transaction, app, user_id, app.scopes, [opened.loginid])
            token = tokens.issue(transaction, link_id, app.name, opened.loginid, app.scopes)
            return _demo_body(opened, email, token)

        return await self._store.write(recorded(session.keyed, job, _demo_reply))

    @call(
        "new_account_real",
        needs=ADMIN,
        app_tokens=True,
        error_codes=("TokenRestricted", "TooManyAccounts"),
        idempotency=SECRET,
    )
    async def new_account_real(
        self, request: NewAccountReal, session: Session
    ) -> NewAccountRealReply:
        """Open another real-style account for the user, with paper money, in a currency.

        Personal details are stored as by `set_settings`. The token in the reply has the same scopes
        as the one in use. Without a currency, the account is empty until `set_account_currency`. An
        app may use the accounts that are opened with its token.
        """
        grant = session.grant
        currency = None if request.currency is None else _currency(request.currency, "currency")
        settings = _personal_settings(request)
        at = self._clock.now()

        def job(transaction: Transaction) -> tuple[Account, str]:
            opened = _open(
                transaction,
                grant.user_id,
                currency or "USD",
                is_virtual=False,
                at=at,
                opened_by=grant.app_id,
            )
            token = _token_beside(transaction, grant, opened.loginid)
            if currency is not None:
                ledger.fund(transaction, opened, at=at)
            store_settings(transaction, grant, settings)
            return opened, token

        return await self._access.write_reply(
            session,
            job,
            lambda made: _real_reply(*made, currency),
            audited="new_account_real",
        )

    @call(
        "set_account_currency",
        needs=ADMIN,
        app_tokens=True,
        error_codes=("SetAccountCurrencyError",),
        idempotency=RECORDED,
    )
    async def set_account_currency(
        self, request: SetAccountCurrency, session: Session
    ) -> SetAccountCurrencyReply:
        """Set the currency of an account that has no ledger entries yet, and fund the account.

        The reply is 1 if the currency was set, 0 if it was this one already. It cannot be changed
        afterwards, so an app's token sets it only for an account that the app has opened.
        """
        grant = session.grant
        currency = _currency(request.set_account_currency, "set_account_currency")
        at = self._clock.now()

        def job(transaction: Transaction) -> bool:
            account = ledger.account(transaction, grant.loginid)
            if grant.link_id is not None and account.opened_by != grant.app_id:
                raise owners_token_required()
            present = account.currency
            limits = exclusion.in_force(transaction, grant.loginid, int(at))
            if currency != present and not limits.keys().isdisjoint(exclusion.AMOUNTS):
                raise ApiError(
                    "SetAccountCurrencyError",
                    f"This account has self-exclusion limits in {present}, so its currency cannot"
                    " be changed.",
                )
            return ledger.settle_currency(transaction, grant.loginid, currency, at=at)

        try:
            return await self._access.write_reply(
                session,
                job,
                lambda settled: {"set_account_currency": int(settled)},
                audited="set_account_currency",
            )
        except CurrencySettledError as problem:
            raise ApiError(
                "SetAccountCurrencyError",
                f"Account {grant.loginid} already has transactions in {problem}. Open another"
                f" account in {currency} with new_account_real.",
            ) from None


def _duplicate() -> ApiError:
    return ApiError(
        "DuplicateAccount", "There is already a user with this e-mail address. Sign in instead."
    )


def _needed(request: NewAccountVirtual, field: str) -> str:
    value: str | None = getattr(request, field)
    if value is None:
        raise input_validation_failed({field: "Needed for a new user."})
    return value


def _currency(code: str, field: str) -> str:
    if code not in CURRENCIES:
        raise input_validation_failed({field: f"Must be one of {', '.join(CURRENCIES)}."})
    return code


def _type(currency: str) -> str:
    return "crypto" if CURRENCIES[currency].is_crypto else "fiat"


def _personal_settings(request: NewAccountReal) -> Mapping[str, Any]:
    """Return the details in the request to be stored. Raises `InputValidationFailed`."""
    check_country(request.residence, "residence")
    check_country(request.place_of_birth, "place_of_birth")
    check_country(request.citizen or None, "citizen")
    if request.date_of_birth is not None:
        born = midnight(request.date_of_birth, "date_of_birth")
        if born > time.time():
            raise input_validation_failed({"date_of_birth": "Must not be in the future."})
    settings = request.model_dump(include=set(_PERSONAL), exclude_none=True)
    if "secret_answer" in settings:
        settings["secret_answer"] = 1  # only that there is one is stored
    if request.tnc_acceptance:
        settings[TERMS] = TERMS_VERSION
    return settings


def _open(
    transaction: Transaction,
    user_id: int,
    currency: str,
    *,
    is_virtual: bool,
    at: float,
    opened_by: int | None = None,
) -> Account:
    """Open an empty account. Raises `ApiError` if the user, or apps for the user, have too many."""
    owned = ledger.accounts(transaction, user_id)
    if len(owned) >= ledger.MAX_PER_USER:
        raise ApiError(
            "TooManyAccounts", f"A user can have at most {ledger.MAX_PER_USER} accounts."
        )
    by_apps = sum(account.opened_by is not None for account in owned)
    if opened_by is not None and by_apps >= ledger.MAX_BY_APPS:
        raise ApiError(
            "TooManyAccounts",
            f"Apps can open at most {ledger.MAX_BY_APPS} accounts for a user. Open further ones"
            " with your own API token.",
        )
    return ledger.open_account(
        transaction,
        user_id,
        currency=currency,
        is_virtual=is_virtual,
        at=at,
        opened_by=opened_by,
    )


def _token_beside(transaction: Transaction, grant: Grant, loginid: str) -> str:
    """Create a token for a new account, with the grant's scopes, and let its app use the account.

    Call this before the account is funded, so that the app's streams report the funding.
    """
    link_id = tokens.bounds_of(transaction, grant.token_id).link_id
    if link_id is not None:
        apps.extend_link(transaction, link_id, loginid)
    return tokens.create_beside(transaction, grant.token_id, loginid)


def _demo_reply(body: NewDemoAccount) -> NewAccountVirtualReply:
    return {"new_account_virtual": body}


def _real_reply(opened: Account, token: str, currency: str | None) -> NewAccountRealReply:
    company = company_of(is_virtual=False)
    reply: NewAccountRealReply = {
        "new_account_real": {
            "client_id": opened.loginid,
            "landing_company": LANDING_COMPANIES[company],
            "landing_company_short": company,
            "landing_company_shortcode": company,
            "oauth_token": token,
        }
    }
    if currency is not None:
        reply["new_account_real"]["currency"] = currency
        reply["new_account_real"]["currency_type"] = _type(currency)
    return reply


def _demo_body(opened: Account, email: str, token: str) -> NewDemoAccount:
    return {
        "balance": to_number(ledger.opening_balance(opened.currency), opened.currency),
        "client_id": opened.loginid,
        "currency": opened.currency,
        "currency_type": _type(opened.currency),
        "email": email,
        "oauth_token": token,
        "type": "trading",
    }
