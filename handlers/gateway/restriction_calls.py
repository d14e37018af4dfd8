"""Restricted tokens: creating them, changing their restrictions, replacing their secret."""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

from scopegate.gateway.access import apps, restrictions, token_management, tokens
from scopegate.gateway.access.guard import Access
from scopegate.gateway.access.restrictions import RestrictionKinds, RestrictionSet
from scopegate.gateway.access.tokens import NewToken, Token
from scopegate.gateway.calls.errors import ApiError, input_validation_failed
from scopegate.gateway.calls.idempotency import RECORDED, SECRET, recorded
from scopegate.gateway.calls.registry import OWNER, SIGNED_IN, call
from scopegate.gateway.calls.session import Grant, Session
from scopegate.handlers.gateway.gateway_scopes import ADMIN
from scopegate.handlers.gateway.token_calls import check_scopes
from scopegate.schemas.restriction_messages import (
    AppRestrict,
    AppRestrictReply,
    RestrictedApp,
    RestrictedToken,
    RestrictionKind,
    RestrictionKindsReply,
    Restrictions,
    TokenCreate,
    TokenCreateReply,
    TokenRestrict,
    TokenRestrictions,
    TokenRestrictionsReply,
    TokenRestrictReply,
    TokenRotate,
    TokenRotateReply,
)
from scopegate.schemas.restriction_messages import RestrictionKinds as ListKinds
from scopegate.schemas.restriction_messages import RestrictionSet as RestrictionSetBody
from scopegate.schemas.scopes import Scopes
from scopegate.store.store import Store
from scopegate.store.transactions import Snapshot, Transaction


class RestrictedTokens:
    """Restricted tokens: what a token may do at most, beyond its scopes."""

    def __init__(
        self, access: Access, store: Store, scopes: Scopes, kinds: RestrictionKinds
    ) -> None:
        self._access = access
        self._store = store
        self._scopes = scopes
        self._kinds = kinds

    @call(
        "token_create",
        needs=ADMIN,
        error_codes=("APITokenError", "TooManyTokens"),
        idempotency=SECRET,
    )
    async def token_create(self, request: TokenCreate, session: Session) -> TokenCreateReply:
        """Create a token for the account; `restrictions` limit what it may do.

        Only this reply shows the token in full. A token that is created with another token has no
        more scopes than that token, has its restrictions too, and ends with it.
        """
        grant = session.grant
        check_scopes(self._scopes, grant, request.scopes, "scopes")
        if request.expires_at is not None:
            _check_expiry(request.expires_at)
        values = self._kinds.checked(request.restrictions or {})
        return await self._access.write_reply(
            session,
            partial(self._create, grant, request, session.address, values),
            lambda body: {"token_create": body},
        )

    def _create(
        self,
        grant: Grant,
        request: TokenCreate,
        address: str,
        values: Restrictions,
        transaction: Transaction,
    ) -> RestrictedToken:
        here = address if request.valid_for_current_ip_only else ""
        bounds = tokens.bounds_of(transaction, grant.token_id)
        limits = [each for each in (request.expires_at, bounds.expires_at) if each is not None]
        text = token_management.create_restricted(
            transaction,
            self._kinds,
            NewToken(
                grant.loginid,
                request.name,
                request.scopes,
                valid_for_ip=bounds.valid_for_ip or here,
                link_id=bounds.link_id,
                parent_id=bounds.parent_id,
                expires_at=min(limits, default=None),
                restrictions_id=bounds.restrictions_id,
            ),
            values,
        )
        token = tokens.managed(transaction, grant.loginid, text, link_id=bounds.link_id)
        return self._described(transaction, token, text)

    @call(
        "token_restrict",
        needs=ADMIN,
        error_codes=("APITokenError", "TokenRestricted"),
        idempotency=RECORDED,
    )
    async def token_restrict(self, request: TokenRestrict, session: Session) -> TokenRestrictReply:
        """Replace the restrictions of a token, at once on live connections too.

        They hold for the tokens that were created with it as well. At the gateway's pages you can
        make them stricter or less strict, and with a token only stricter. What of a cap is used
        stays used.
        """
        grant = session.grant
        check_new_expiry(request.expires_at)
        values = self._kinds.checked(request.restrictions)
        return await self._access.write_reply(
            session,
            partial(self._restrict, grant, request, values),
            lambda body: {"token_restrict": body},
        )

    def _restrict(
        self, grant: Grant, request: TokenRestrict, values: Restrictions, transaction: Transaction
    ) -> RestrictedToken:
        token = tokens.managed(transaction, grant.loginid, request.token_restrict)
        token = token_management.restrict(
            transaction, self._kinds, token, values, may_loosen=grant.is_owner
        )
        if request.expires_at is not None:
            expires_at: float | None = request.expires_at or None
            if not grant.is_owner and token.expires_at is not None:
                expires_at = min(expires_at or token.expires_at, token.expires_at)
            token = token_management.set_expiry(transaction, token, expires_at)
        return self._described(transaction, token, token.masked)

    @call(
        "token_rotate",
        needs=ADMIN,
        error_codes=("APITokenError", "TooManyTokens"),
        idempotency=SECRET,
    )
    async def token_rotate(self, request: TokenRotate, session: Session) -> TokenRotateReply:
        """Replace the secret of a token. The old one works for `overlap` further seconds.

        A token can rotate itself and the tokens that were created with it; the owner at the
        gateway's pages all of them.

        Only this reply shows the new secret. Restrictions and what of them is used, the tokens
        created with it, and copying that it has started go on with the new one.
        """
        grant = session.grant

        def job(transaction: Transaction) -> RestrictedToken:
            token = tokens.managed(transaction, grant.loginid, request.token_rotate)
            if not grant.is_owner:
                token_management.check_may_rotate(transaction, grant.token_id, token)
            text = token_management.rotate(
                transaction, self._kinds, token, request.overlap, by=session.id
            )
            rotated = tokens.managed(transaction, grant.loginid, text)
            return self._described(transaction, rotated, text)

        def reply_of(body: RestrictedToken) -> TokenRotateReply:
            return {"token_rotate": body}

        reply, _ = await self._access.revoke(grant, recorded(session.keyed, job, reply_of), session)
        return reply

    @call("token_restrictions", needs=SIGNED_IN, error_codes=())
    async def token_restrictions(
        self, request: TokenRestrictions, session: Session
    ) -> TokenRestrictionsReply:
        """Show what the token of this connection is restricted to, and what of its caps is used."""
        grant = session.grant

        def job(reader: Snapshot) -> RestrictedToken:
            token = tokens.by_id(reader, grant.token_id)
            return self._described(reader, token, token.masked)

        return {"token_restrictions": await self._store.read(job)}

    @call("restriction_kinds", needs=None, error_codes=())
    async def restriction_kinds(
        self, request: ListKinds, session: Session
    ) -> RestrictionKindsReply:
        """List what tokens and apps can be restricted to."""
        schemas = self._kinds.model.model_json_schema()["properties"]
        return {"restriction_kinds": [_kind(name, schema) for name, schema in schemas.items()]}

    @call("app_restrict", needs=OWNER, error_codes=("InvalidAppID",), idempotency=RECORDED)
    async def app_restrict(self, request: AppRestrict, session: Session) -> AppRestrictReply:
        """Replace the restrictions of a connected app, at once on live connections too.

        What of a cap is used stays used. If you let it expire later than before, its present tokens
        still expire as before.
        """
        grant = session.grant
        check_new_expiry(request.expires_at)
        values = self._kinds.checked(request.restrictions)

        def job(transaction: Transaction) -> RestrictedApp:
            link = apps.link_of_user(transaction, request.app_restrict, grant.user_id)
            if link is None:
                raise ApiError("InvalidAppID", "No app with this app_id is connected to you.")
            number = token_management.restrict_link(
                transaction, self._kinds, link.id, link.loginids, values
            )
            expires_at = link.expires_at
            if request.expires_at is not None:
                expires_at = request.expires_at or None
                token_management.set_link_expiry(transaction, link.id, expires_at)
            return {
                "app_id": request.app_restrict,
                "expires_at": None if expires_at is None else int(expires_at),
                "in_force": in_force(transaction, self._kinds, number),
            }

        return await self._access.write_reply(session, job, lambda body: {"app_restrict": body})

    def _described(self, reader: Snapshot, token: Token, text: str) -> RestrictedToken:
        return {
            "expires_at": None if token.expires_at is None else int(token.expires_at),
            "in_force": in_force(reader, self._kinds, token.restrictions_id, token.id),
            "name": token.name,
            "token": text,
        }


def in_force(
    reader: Snapshot, kinds: RestrictionKinds, number: int | None, token_id: int | None = None
) -> list[RestrictionSetBody]:
    """Return these restrictions and those of their parents, as replies have them.

    `token_id` is the token whose they are, if they are not those of an authorization.
    """
    return [
        _body(reader, found, token_id) for found in restrictions.all_in_force(reader, kinds, number)
    ]


def _body(reader: Snapshot, found: RestrictionSet, token_id: int | None) -> RestrictionSetBody:
    set_for: Literal["token", "parent", "app"] = "token" if found.token_id == token_id else "parent"
    query, number = "SELECT name FROM tokens WHERE id = ?", found.token_id
    if found.link_id is not None:
        query = "SELECT apps.name FROM links JOIN apps ON apps.id = app_id WHERE links.id = ?"
        set_for, number = "app", found.link_id
    row = reader.one(query, number)
    return {
        "name": "" if row is None else row[0],
        "restrictions": found.values,
        "set_for": set_for,
        "use": found.use,
    }


_INPUTS: Mapping[str, Literal["amount", "integer", "list"]] = {
    "number": "amount",
    "integer": "integer",
    "array": "list",
}
"""The input of a kind of restrictions, by the type of its field in JSON Schema."""


def _kind(name: str, schema: Mapping[str, Any]) -> RestrictionKind:
    """Return a kind of restrictions as replies have it, from the JSON Schema of its field."""
    types = {each["type"] for each in schema.get("anyOf", [schema]) if "type" in each}
    return {
        "name": name,
        "label": schema["title"],
        "words": schema.get("description", ""),
        "input": next((_INPUTS[each] for each in sorted(types & _INPUTS.keys())), "text"),
        "example": str(next(iter(schema.get("examples", ())), "")),
    }


def check_new_expiry(expires_at: int | None) -> None:
    """Raise `InputValidationFailed` unless it is in the future, 0 for never, or left out."""
    if expires_at:
        _check_expiry(expires_at)


def _check_expiry(expires_at: int) -> None:
    if expires_at <= time.time():
        raise input_validation_failed({"expires_at": "Must be in the future."})
