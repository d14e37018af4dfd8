"""Letting an app act for the user."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from exchange import ledger
from gateway.access import apps, codes, tokens, users
from gateway.access import consent as asking
from gateway.access.apps import App
from gateway.access.consent import AuthorizationRequest
from gateway.access.guard import Access
from gateway.calls import AT_PAGES, OWNER, call
from gateway.errors import input_validation_failed
from gateway.session import Grant, Session
from gateway.store import Store, Transaction
from schemas.consent import Consent as ConsentGiven
from schemas.consent import (
    ConsentRefuse,
    ConsentRefuseReply,
    ConsentReply,
    ConsentRequest,
    ConsentRequestReply,
)
from schemas.scopes import Scope, in_order


class Consent:
    """Letting an app act for the user."""

    def __init__(self, access: Access, store: Store) -> None:
        self._access = access
        self._store = store

    @call("consent_request", needs=AT_PAGES)
    async def consent_request(
        self, request: ConsentRequest, session: Session
    ) -> ConsentRequestReply:
        """Tell which app asks for what, as the database knows it, never as the link says."""
        asked = asking.understand(request.query, self._access.app)
        owner = await self._store.read(lambda reader: users.owner_of(reader, asked.app.user_id))
        target = urlsplit(asked.app.redirect_uri)
        return {
            "consent_request": {
                "app_id": asked.app.id,
                "flow": asked.flow,
                "name": asked.app.name,
                "owner": owner,
                "returns_to": f"{target.scheme}://{target.netloc}",
                "scopes": list(in_order(asked.scopes)),
            }
        }

    @call("consent", needs=OWNER)
    async def consent(self, request: ConsentGiven, session: Session) -> ConsentReply:
        """Let the app act with these permissions on these accounts; where its user goes next.

        No token can do that, whatever its scopes: an app that could let another in had no bounds.
        """
        grant = session.grant
        loginids = list(dict.fromkeys(request.loginids))
        scopes = frozenset(request.scopes)
        redirect_to = await self._access.write(
            grant,
            lambda transaction: _allow(transaction, grant, request.query, loginids, scopes),
        )
        return {"consent": {"redirect_to": redirect_to}}

    @call("consent_refuse", needs=AT_PAGES)
    async def consent_refuse(self, request: ConsentRefuse, session: Session) -> ConsentRefuseReply:
        """Refuse an app what it asks for; where its user goes next."""
        asked = asking.understand(request.query, self._access.app)
        return {"consent_refuse": {"redirect_to": asked.refused()}}


def _allow(
    transaction: Transaction,
    grant: Grant,
    query: str,
    loginids: Sequence[str],
    scopes: frozenset[Scope],
) -> str:
    """Link the app; the address with what it is given."""

    def app_of(app_id: int) -> App | None:
        return apps.get(transaction, app_id)

    asked = asking.understand(query, app_of)
    beyond = scopes - asked.scopes
    if beyond:
        raise input_validation_failed({"scopes": "The app did not ask for all of these."})
    chosen = [
        account
        for account in ledger.accounts(transaction, grant.user_id)
        if account.loginid in loginids
    ]
    if len(chosen) != len(loginids):
        raise input_validation_failed({"loginids": "Some of these accounts are not yours."})
    link_id = apps.link(transaction, asked.app, grant.user_id, scopes, loginids)
    if asked.flow == "code":
        return _with_code(transaction, asked, link_id)
    triples: list[tuple[str, str]] = []
    # The published clients take the first triple for the main account: real-style ones come first.
    for number, account in enumerate(sorted(chosen, key=lambda one: one.is_virtual), start=1):
        token = tokens.issue(transaction, link_id, asked.app.name, account.loginid, scopes)
        triples += [
            (f"acct{number}", account.loginid),
            (f"token{number}", token),
            (f"cur{number}", account.currency),
        ]
    return asked.returned(triples)


def _with_code(transaction: Transaction, asked: AuthorizationRequest, link_id: int) -> str:
    code = codes.create(
        transaction,
        link_id,
        asked.app.redirect_uri,
        given=asked.redirect_uri_given,
        challenge=asked.challenge,
    )
    return asked.returned([("code", code)])
