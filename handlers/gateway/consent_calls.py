"""Consent: letting an app act for the user."""

import time
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from typing import NamedTuple

from scopegate.gateway.access import apps, codes, devices, restrictions, token_management, tokens
from scopegate.gateway.access import consent as consent_requests
from scopegate.gateway.access.accounts import Accounts
from scopegate.gateway.access.apps import App, AppLink
from scopegate.gateway.access.consent import AuthorizationRequest
from scopegate.gateway.access.guard import Access
from scopegate.gateway.access.restrictions import RestrictionKinds
from scopegate.gateway.calls.counting import FailureCounter
from scopegate.gateway.calls.errors import ApiError, input_validation_failed, rate_limit
from scopegate.gateway.calls.idempotency import SECRET, recorded
from scopegate.gateway.calls.registry import AT_PAGES, OWNER, call
from scopegate.gateway.calls.session import Grant, Session
from scopegate.handlers.gateway.restriction_calls import check_new_expiry
from scopegate.runtime.siblings import Siblings
from scopegate.schemas.consent_messages import Consent as ConsentGiven
from scopegate.schemas.consent_messages import (
    ConsentRefuse,
    ConsentRefuseReply,
    ConsentReply,
    ConsentRequest,
    ConsentRequestReply,
)
from scopegate.schemas.restriction_messages import Restrictions
from scopegate.schemas.scopes import Scopes
from scopegate.store.store import Store
from scopegate.store.transactions import Snapshot, Transaction

WRONG_CODES_A_MINUTE = 5
"""Unknown user codes of devices that an address block can enter."""


class Consent:
    """Consent: letting an app act for the user."""

    def __init__(
        self,
        access: Access,
        accounts: Accounts,
        scopes: Scopes,
        store: Store,
        kinds: RestrictionKinds,
        siblings: Siblings,
    ) -> None:
        self._kinds = kinds
        self._wrong = FailureCounter().share(siblings, "wrong codes of devices")
        self._access = access
        self._accounts = accounts
        self._scopes = scopes
        self._store = store

    @call("consent_request", needs=AT_PAGES, error_codes=("ConsentRefused", "InvalidAppID"))
    async def consent_request(
        self, request: ConsentRequest, session: Session
    ) -> ConsentRequestReply:
        """Return the app that asks for access, and what it asks for.

        The app's details are those that are registered, never what the link says. After sign-in,
        the reply also has who registered the app, the changes since the user's consent that need
        consent again, and the restrictions of the earlier authorization.
        """
        authorization = await self._understood(request.query, session)
        known = _Known("", [], authorization.restrictions, None)
        if session.grants:
            known = await self._store.read(partial(self._known, authorization, session))
        return {
            "consent_request": {
                "app_id": authorization.app.id,
                "app_markup_percentage": float(authorization.app.markup),
                "changes": known.changes,
                "expires_at": None if known.expires_at is None else int(known.expires_at),
                "flow": authorization.flow,
                "name": authorization.app.name,
                "owner": known.owner,
                "proposed_restrictions": known.proposed.as_json(),
                "restrictions": authorization.restrictions.as_json(),
                "returns_to": authorization.returns_to,
                "user_code": "" if authorization.device is None else authorization.device.user_code,
                "scopes": self._scopes.in_order(authorization.scopes),
            }
        }

    @call(
        "consent",
        needs=OWNER,
        error_codes=("ConsentRefused", "InvalidAppID"),
        idempotency=SECRET,
    )
    async def consent(self, request: ConsentGiven, session: Session) -> ConsentReply:
        """Let an app act with these scopes on these accounts, and return where to send the user.

        No token can make this call, whatever its scopes: an app that could let in another app
        would have no limits. `restrictions` hold for all tokens of the app, those of an earlier
        consent to the same scopes and accounts too.
        """
        grant = session.grant
        check_new_expiry(request.expires_at)
        if consent_requests.user_code_in(request.query) is not None:
            await self._understood(request.query, session)  # counts wrong codes
        return await self._access.write_reply(
            session,
            lambda transaction: self._allow(transaction, grant, request, _issuer(session)),
            lambda redirect_to: {"consent": {"redirect_to": redirect_to}},
        )

    @call(
        "consent_refuse",
        needs=AT_PAGES,
        error_codes=("ConsentRefused", "InvalidAppID"),
        idempotency=SECRET,
    )
    async def consent_refuse(self, request: ConsentRefuse, session: Session) -> ConsentRefuseReply:
        """Refuse access to an app, and return where to send the user."""
        authorization = await self._understood(request.query, session)
        reply: ConsentRefuseReply = {"consent_refuse": {"redirect_to": authorization.refused()}}
        if (device := authorization.device) is None:
            return reply
        return await self._store.write(
            recorded(
                session.keyed,
                lambda transaction: devices.refuse(transaction, device),
                lambda _: reply,
            )
        )

    async def _understood(self, query: str, session: Session) -> AuthorizationRequest:
        entered = consent_requests.user_code_in(query)
        if entered is None:
            return consent_requests.understand(
                query, self._access.app, self._scopes, self._kinds, _issuer(session)
            )
        if self._wrong.count(session.address) >= WRONG_CODES_A_MINUTE:
            raise rate_limit("consent_request", f"{WRONG_CODES_A_MINUTE} wrong codes a minute")
        device = await self._store.read(lambda reader: devices.waiting(reader, entered))
        if device is None:
            self._wrong.add(session.address)
        return consent_requests.of_device(device, self._scopes, self._kinds)

    def _known(
        self, authorization: AuthorizationRequest, session: Session, reader: Snapshot
    ) -> "_Known":
        """Return what is known of the app to the user of the session."""
        app, link = authorization.app, None
        if (grant := next(iter(session.grants.values()), None)) is not None:
            link = apps.link_of_user(reader, app.id, grant.user_id)
        return _Known(
            apps.registrant(reader, app),
            [] if link is None else apps.changes(link, self._scopes.in_order),
            self._proposed(reader, authorization, link),
            _expiry_of(link),
        )

    def _proposed(
        self, reader: Snapshot, authorization: AuthorizationRequest, link: AppLink | None
    ) -> Restrictions:
        """Return what an app is restricted to if its user does not choose.

        That is what its earlier authorization is restricted to, and where that is less strict, what
        it requests.
        """
        return self._present(reader, link).tightened_by(authorization.restrictions)

    def _present(self, reader: Snapshot, link: AppLink | None) -> Restrictions:
        """Return what an authorization is restricted to, if there is one."""
        number = None if link is None else link.restrictions_id
        held = restrictions.all_in_force(reader, self._kinds, number)
        return self._kinds.stored(held[0].values if held else {})

    def _allow(
        self, transaction: Transaction, grant: Grant, request: ConsentGiven, issuer: str
    ) -> str:
        """Link the app, and return the redirect address with its tokens or its code."""
        loginids = list(dict.fromkeys(request.loginids))
        scopes = frozenset(request.scopes)

        def app_of(app_id: int) -> App | None:
            return apps.get(transaction, app_id)

        entered = consent_requests.user_code_in(request.query)
        authorization = (
            consent_requests.understand(request.query, app_of, self._scopes, self._kinds, issuer)
            if entered is None
            else consent_requests.of_device(
                devices.waiting(transaction, entered), self._scopes, self._kinds
            )
        )
        _check_shown(authorization, request)
        beyond = scopes - authorization.scopes
        if beyond:
            raise input_validation_failed({"scopes": "The app did not ask for all of these."})
        chosen = [
            account
            for account in self._accounts.of_user(transaction, grant.user_id)
            if account.loginid in loginids
        ]
        if len(chosen) != len(loginids):
            raise input_validation_failed({"loginids": "Some of these accounts are not yours."})
        before = apps.link_of_user(transaction, authorization.app.id, grant.user_id)
        if request.restrictions is None:
            values = self._proposed(transaction, authorization, before)
        else:
            values = self._kinds.checked(request.restrictions)
            _refuse_looser(values.looser_than(authorization.restrictions))
        expires_at = _expiry_of(before) if request.expires_at is None else request.expires_at
        link_id = apps.link(
            transaction,
            authorization.app,
            grant.user_id,
            scopes,
            loginids,
            declared=self._scopes.names,
        )
        self._restrict(transaction, link_id, values)
        token_management.set_link_expiry(transaction, link_id, expires_at or None)
        if authorization.device is not None:
            devices.allow(transaction, authorization.device, link_id)
            return ""
        if authorization.flow == "code":
            return _with_code(transaction, authorization, link_id)
        triples: list[tuple[str, str]] = []
        # The published clients take the first account as the main one.
        for number, account in enumerate(chosen, start=1):
            token = tokens.issue(
                transaction, link_id, authorization.app.name, account.loginid, scopes
            )
            triples += [
                (f"acct{number}", account.loginid),
                (f"token{number}", token),
                *((f"{name}{number}", text) for name, text in self._accounts.in_redirect(account)),
            ]
        return authorization.returned(triples)

    def _restrict(self, transaction: Transaction, link_id: int, values: Restrictions) -> None:
        """Restrict an authorization, unless it is restricted like this already."""
        link = apps.link_by_id(transaction, link_id)
        assert link is not None  # noqa: S101 - it was given just now
        if values.as_json() != self._present(transaction, link).as_json():
            token_management.restrict_link(transaction, self._kinds, link_id, link.loginids, values)


class _Known(NamedTuple):
    """What is known of an app to a user who is asked for consent."""

    owner: str
    """Who registered it."""
    changes: list[str]
    """Its changes that the user has not agreed to."""
    proposed: Restrictions
    """What it is restricted to unless the user chooses otherwise."""
    expires_at: float | None
    """When its earlier authorization expires, if there is one that expires."""


def _expiry_of(link: AppLink | None) -> float | None:
    """Return when an authorization expires, unless that is over."""
    if link is None or link.expires_at is None or link.expires_at <= time.time():
        return None
    return link.expires_at


def _refuse_looser(names: Sequence[str]) -> None:
    if names:
        raise input_validation_failed(
            {f"restrictions.{name}": "Less strict than what the app requests." for name in names}
        )


def _issuer(session: Session) -> str:
    """The gateway's origin as the browser sees it (RFC 9207); empty if not at its pages."""
    return session.origin.lower() if session.at_pages else ""


def _check_shown(authorization: AuthorizationRequest, request: ConsentGiven) -> None:
    """Raise `ConsentRefused` unless the app is still what the user was shown."""
    app, problem = authorization.app, ""
    if request.returns_to != authorization.returns_to:
        problem = (
            f"The address of {app.name} has changed since this page was opened: {app.returns_to}."
        )
    elif request.name not in (None, app.name):
        problem = f"The name of the app has changed since this page was opened: {app.name}."
    elif request.app_markup_percentage not in (None, Decimal(app.markup)):
        problem = (
            f"The markup of {app.name} has changed since this page was opened: {app.markup} %."
        )
    if problem:
        raise ApiError(
            "ConsentRefused", f"{problem} No access was given. Open the app's link again."
        )


def _with_code(transaction: Transaction, authorization: AuthorizationRequest, link_id: int) -> str:
    code = codes.create(
        transaction,
        link_id,
        authorization.app.redirect_uri,
        given=authorization.redirect_uri_given,
        challenge=authorization.challenge,
    )
    return authorization.returned([("code", code)])
