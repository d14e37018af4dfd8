"""A user's settings and personal details, and the status of their account."""

from collections.abc import Mapping
from typing import Any

from scopegate.exchange import agents, copying, exclusion
from scopegate.gateway.access import users
from scopegate.gateway.access.guard import Access
from scopegate.gateway.calls.idempotency import RECORDED
from scopegate.gateway.calls.registry import call
from scopegate.gateway.calls.session import Grant, Session
from scopegate.handlers.exchange.copying_calls import ALLOWS_COPIERS
from scopegate.handlers.exchange.days import midnight
from scopegate.handlers.exchange.exchange_scopes import ADMIN, READ
from scopegate.handlers.exchange.paper_accounts import facts_of
from scopegate.handlers.exchange.reach import refuse_changes
from scopegate.handlers.exchange.website_calls import TERMS_VERSION
from scopegate.handlers.gateway.countries import check_country
from scopegate.runtime.clock import Clock
from scopegate.schemas.profile_messages import (
    GetAccountStatus,
    GetAccountStatusReply,
    GetSettings,
    GetSettingsReply,
    SetSettings,
    SetSettingsReply,
    SettingsBody,
    TncApproval,
    TncApprovalReply,
)
from scopegate.store.store import Store
from scopegate.store.transactions import Snapshot, Transaction

TERMS = "terms"
"""The name of the setting with the version of the terms that the user has accepted."""

_WRITE_ONLY = frozenset(
    {
        TERMS,
        "dxtrade_user_exception",
        "feature_flag",
        "financial_information_version",
        "secret_answer",
        "secret_question",
        "date_of_birth",
    }
)


PREFERENCES = frozenset(
    {
        ALLOWS_COPIERS,
        TERMS,
        "dxtrade_user_exception",
        "email_consent",
        "feature_flag",
        "preferred_language",
        "trading_hub",
    }
)
"""The settings that an app may change; all others are personal details."""


def store_settings(transaction: Transaction, grant: Grant, settings: Mapping[str, Any]) -> None:
    """Store these settings. Raises `PermissionDenied` if an app may not change one of them."""
    stored = users.settings(transaction, grant.user_id)
    stored["residence"] = users.residence(transaction, grant.user_id)
    refuse_changes(grant, stored, {name: settings[name] for name in settings.keys() - PREFERENCES})
    users.change_settings(transaction, grant.user_id, settings)


class Profile:
    """A user's settings and personal details, and the status of their account."""

    def __init__(self, access: Access, store: Store, clock: Clock) -> None:
        self._access = access
        self._store = store
        self._clock = clock

    @call("get_settings", needs=READ, error_codes=())
    async def get_settings(self, request: GetSettings, session: Session) -> GetSettingsReply:
        """Return the user's settings and personal details, and their e-mail address."""
        grant = session.grant
        user_id = grant.user_id

        def job(reader: Snapshot) -> tuple[str, str, dict[str, Any], bool]:
            user = users.by_id(reader, user_id)
            is_agent = agents.find(reader, grant.loginid) is not None
            return user["email"], user["country"], users.settings(reader, user_id), is_agent

        email, country, settings, is_agent = await self._store.read(job)
        country = settings.get("residence") or country
        body: SettingsBody = {
            "allow_copiers": 0,
            "client_tnc_status": settings.get(TERMS),
            "country": country,
            "country_code": country,
            "email": email,
            "email_consent": 0,
            "feature_flag": {"wallet": 0} | settings.get("feature_flag", {}),
            "has_secret_answer": int("secret_answer" in settings),
            "immutable_fields": [],
            "is_authenticated_payment_agent": int(is_agent),
            "non_pep_declaration": 0,
            "preferred_language": "EN",
            "request_professional_status": 0,
            "trading_hub": 0,
            "user_hash": "",
        }
        if "date_of_birth" in settings:
            body["date_of_birth"] = midnight(settings["date_of_birth"], "date_of_birth")
        known = {name: value for name, value in settings.items() if name not in _WRITE_ONLY}
        body.update(known)  # type: ignore[typeddict-item] # validated when they were set
        return {"get_settings": body}

    @call("set_settings", needs=ADMIN, app_tokens=True, error_codes=(), idempotency=RECORDED)
    async def set_settings(self, request: SetSettings, session: Session) -> SetSettingsReply:
        """Store the user's settings and personal details; fields that are left out do not change.

        An app's token may change preferences (`allow_copiers`, `email_consent`, `feature_flag`,
        `preferred_language`, `trading_hub`) and add personal details that are missing. It may not
        change those that are stored.
        """
        grant = session.grant
        settings = request.model_dump(
            exclude={"set_settings", "loginid", "req_id", "passthrough"}, exclude_none=True
        )
        check_country(request.residence, "residence")
        if "date_of_birth" in settings:
            midnight(settings["date_of_birth"], "date_of_birth")
        if "secret_answer" in settings:
            # Store only that there is one.
            settings["secret_answer"] = 1
        at = self._clock.now()

        def job(transaction: Transaction) -> None:
            store_settings(transaction, grant, settings)
            if settings.get(ALLOWS_COPIERS) == 0:
                copying.end_all_of_user(transaction, grant.user_id, at=at)

        return await self._access.write_reply(
            session, job, lambda _: {"set_settings": 1}, audited="set_settings"
        )

    @call("tnc_approval", needs=ADMIN, app_tokens=True, error_codes=(), idempotency=RECORDED)
    async def tnc_approval(self, request: TncApproval, session: Session) -> TncApprovalReply:
        """Accept the current terms; `get_settings` returns the accepted version."""
        grant = session.grant
        accepted = {TERMS: TERMS_VERSION}
        return await self._access.write_reply(
            session,
            lambda transaction: users.change_settings(transaction, grant.user_id, accepted),
            lambda _: {"tnc_approval": 1},
            audited="tnc_approval",
        )

    @call("get_account_status", needs=READ, error_codes=())
    async def get_account_status(
        self, request: GetAccountStatus, session: Session
    ) -> GetAccountStatusReply:
        """Return what the account may do and what it still lacks: paper money needs no proofs.

        `status` contains `no_trading` while a pause of trading is set.
        """
        grant = session.grant
        at = int(self._clock.now())

        def job(reader: Snapshot) -> tuple[bool, bool]:
            limits = exclusion.in_force(reader, grant.loginid, at)
            paused = any(name in limits for name in exclusion.PAUSES)
            return paused, users.assessment(reader, grant.user_id) is not None

        is_paused, is_assessed = await self._store.read(job)
        status = ["authenticated"]
        if not is_assessed:
            status.append("financial_assessment_not_complete")
        if is_paused:
            status.append("no_trading")
        return {
            "get_account_status": {
                "authentication": {"needs_verification": []},
                "currency_config": {
                    facts_of(grant).currency: {
                        "is_deposit_suspended": 0,
                        "is_withdrawal_suspended": 0,
                    }
                },
                "p2p_poa_required": 0,
                "p2p_status": "none",
                "prompt_client_to_authenticate": 0,
                "risk_classification": "low",
                "status": status,
            }
        }
