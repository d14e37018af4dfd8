"""The owner's review of apps, tokens and activity, and the revocation of apps."""

import time
from collections.abc import Iterable

from scopegate.gateway.access import apps, audit, oversight, token_hints
from scopegate.gateway.access.accounts import Accounts
from scopegate.gateway.access.guard import Access
from scopegate.gateway.access.oversight import Connected, ManagedToken
from scopegate.gateway.access.restrictions import RestrictionKinds
from scopegate.gateway.access.tokens import Token
from scopegate.gateway.calls.idempotency import RECORDED, recorded
from scopegate.gateway.calls.registry import OWNER, Registry, call
from scopegate.gateway.calls.session import Session
from scopegate.handlers.gateway.restriction_calls import in_force
from scopegate.schemas.owner_messages import (
    Activity,
    ActivityReply,
    AuditTrail,
    AuditTrailReply,
    ConnectedApps,
    ConnectedAppsReply,
    ParentToken,
    RevokeAccess,
    RevokeAccessReply,
    TokenHint,
    TokenList,
    TokenListReply,
)
from scopegate.schemas.restriction_messages import RestrictionSet
from scopegate.schemas.scopes import Risk, Scopes
from scopegate.store.store import Store
from scopegate.store.transactions import Snapshot, Transaction

_KINDS = {"owner": "token", "app": "app", "demo": "demo"}


class Oversight:
    """The owner's review of apps, tokens and activity, and the revocation of apps."""

    def __init__(
        self,
        access: Access,
        accounts: Accounts,
        scopes: Scopes,
        store: Store,
        registry: Registry,
        kinds: RestrictionKinds,
    ) -> None:
        self._registry = registry
        self._kinds = kinds
        self._access = access
        self._accounts = accounts
        self._scopes = scopes
        self._store = store

    @call("connected_apps", needs=OWNER, error_codes=())
    async def connected_apps(self, request: ConnectedApps, session: Session) -> ConnectedAppsReply:
        """List the apps that may act for the user, with their scopes and live connections.

        While `needs_consent` is 1, an app can do nothing: `changes` lists what the user has not
        agreed to.
        """
        user_id = session.grant.user_id
        await self._access.records.flush_if_possible()

        def job(reader: Snapshot) -> list[tuple[Connected, list[RestrictionSet]]]:
            return [
                (one, in_force(reader, self._kinds, one.link.restrictions_id))
                for one in oversight.connected(reader, user_id)
            ]

        found = await self._store.read(job)
        live = await self._access.live_connections([one.token_ids for one, _ in found])
        return {
            "connected_apps": [
                {
                    "app_id": one.link.app.id,
                    "app_markup_percentage": float(one.link.app.markup),
                    "changes": apps.changes(one.link, self._scopes.in_order)
                    if one.link.suspended
                    else [],
                    "connected_at": int(one.link.created_at),
                    "expires_at": _seconds(one.link.expires_at),
                    "in_force": held,
                    "last_used": _seconds(one.link.last_used_at),
                    "live_connections": connections,
                    "loginids": one.loginids,
                    "name": one.link.app.name,
                    "needs_consent": int(one.link.suspended),
                    "official": int(one.link.app.official),
                    "owner": one.owner,
                    "scopes": self._scopes.in_order(one.link.scopes),
                }
                for (one, held), connections in zip(found, live, strict=True)
            ]
        }

    @call("revoke_access", needs=OWNER, error_codes=("InvalidAppID",), idempotency=RECORDED)
    async def revoke_access(self, request: RevokeAccess, session: Session) -> RevokeAccessReply:
        """Disconnect an app: its tokens end at once, on live connections too.

        `signed_out` is the number of other connections that this signed out; a repetition under the
        same `idempotency_key` signs out none.
        """
        grant = session.grant

        def job(transaction: Transaction) -> str:
            return apps.unlink(transaction, request.revoke_access, grant.user_id, by=session.id)

        def reply_of(name: str) -> RevokeAccessReply:
            return {
                "revoke_access": {"app_id": request.revoke_access, "name": name, "signed_out": 0}
            }

        reply, signed_out = await self._access.revoke(
            grant, recorded(session.keyed, job, reply_of), session
        )
        reply["revoke_access"]["signed_out"] = signed_out
        return reply

    @call("token_list", needs=OWNER, error_codes=())
    async def token_list(self, request: TokenList, session: Session) -> TokenListReply:
        """List the tokens of all the user's accounts, with when and where each was last used.

        `parent` is the token that a token was created with. When the parent ends, so does the
        token, and the restrictions of the parent hold for it too. `hints` say what you may want to
        change.
        """
        user_id = session.grant.user_id
        await self._access.records.flush_if_possible()

        def job(reader: Snapshot) -> list[tuple[ManagedToken, list[RestrictionSet]]]:
            owned = self._accounts.of_user(reader, user_id)
            listed = oversight.tokens_of(reader, self._accounts.first_choice(owned))
            return [
                (
                    one,
                    in_force(reader, self._kinds, one.token.restrictions_id, one.token.id),
                )
                for one in listed
            ]

        found = await self._store.read(job)
        live = await self._access.live_connections([[one.token.id] for one, _ in found])
        hints = self._hints_of([one for one, _ in found])
        return {
            "token_list": [
                {
                    "created_at": int(one.token.created_at),
                    "expires_at": _seconds(one.token.expires_at),
                    "hints": advice,
                    "in_force": held,
                    "last_used": _seconds(one.token.last_used_at),
                    "last_used_from": one.token.last_used_from,
                    "live_connections": connections,
                    "loginid": one.token.loginid,
                    "made_by": one.made_by,
                    "name": one.token.name,
                    "parent": _parent(one.parent),
                    "scopes": self._scopes.in_order(one.token.scopes),
                    "token": one.token.masked,
                    "valid_for_ip": one.token.valid_for_ip,
                }
                for (one, held), connections, advice in zip(found, live, hints, strict=True)
            ]
        }

    def _hints_of(self, listed: Iterable[ManagedToken]) -> list[list[TokenHint]]:
        """Return the hints about each token."""
        needed = {call.name: call.scopes for call in self._registry}
        risky = [str(scope) for scope in self._scopes if scope.risk > Risk.LOW]
        now = time.time()
        return [
            [
                {"kind": hint.kind.value, "scopes": list(hint.scopes), "words": hint.words}
                for hint in token_hints.hints(one.facts(), now, needed, risky)
            ]
            for one in listed
        ]

    @call("activity", needs=OWNER, error_codes=())
    async def activity(self, request: Activity, session: Session) -> ActivityReply:
        """List which tokens were used for which calls, when and from where, newest first.

        All uses of one token for one call from one address are one entry: `times` counts them, `at`
        is the latest, and `refused` counts those that were answered with an error.
        """
        user_id = session.grant.user_id
        await self._access.records.flush_if_possible()
        uses = await self._store.read(
            lambda reader: oversight.uses_of(
                reader, user_id, limit=request.limit, own_pages=bool(request.own_pages)
            )
        )
        return {
            "activity": [
                {
                    "app_id": use["app_id"],
                    "at": int(use["last_at"]),
                    "call": use["call"],
                    "ended": int(use["ended_at"] is not None),
                    "from": use["address"],
                    "kind": "page" if use["sign_in_id"] is not None else _KINDS[use["kind"]],
                    "loginid": use["loginid"],
                    "last_error": use["last_error"] or None,
                    "name": use["name"] if use["app_name"] is None else use["app_name"],
                    "refused": use["refused"],
                    "times": use["uses"],
                    "token": use["masked"],
                }
                for use in uses
            ]
        }

    @call("audit_trail", needs=OWNER, error_codes=())
    async def audit_trail(self, request: AuditTrail, session: Session) -> AuditTrailReply:
        """List who signed in as the user, and who changed tokens, apps and settings.

        How often tokens were authorized is counted by address and day, and listed once the day is
        over (UTC). Nobody can change the records without breaking their chain of digests, which the
        operator of the gateway can check.
        """
        user_id = session.grant.user_id
        found = await self._store.read(
            lambda reader: audit.records(reader, user_id=user_id, limit=request.limit)
        )
        return {
            "audit_trail": [
                {
                    "about": audit.described(record),
                    "actor": record.actor,
                    "at": int(record.at),
                    "event": record.event,
                    "number": record.number,
                }
                for record in found
            ]
        }


def _parent(token: Token | None) -> ParentToken | None:
    if token is None:
        return None
    return {"loginid": token.loginid, "name": token.name, "token": token.masked}


def _seconds(moment: float | None) -> int | None:
    return None if moment is None else int(moment)
