"""Sign-in, sign-out, and ending streams."""

import re
import time
from functools import partial
from typing import Any

from scopegate.gateway.access import users
from scopegate.gateway.access.accounts import Accounts
from scopegate.gateway.access.guard import Access
from scopegate.gateway.calls.errors import input_validation_failed, invalid_token
from scopegate.gateway.calls.registry import call
from scopegate.gateway.calls.session import Grant, Session
from scopegate.handlers.gateway.gateway_scopes import READ
from scopegate.runtime.clock import Clock
from scopegate.schemas.scopes import Scopes
from scopegate.schemas.session_messages import (
    Authorize,
    AuthorizeBody,
    AuthorizeReply,
    Forget,
    ForgetAll,
    ForgetAllReply,
    ForgetReply,
    LoginHistory,
    LoginHistoryReply,
    Logout,
    LogoutReply,
    SignInRecord,
)
from scopegate.store.store import Store
from scopegate.store.transactions import Row, Snapshot

SEVERAL = "MULTI"
_PRODUCT = re.compile(r"(Firefox|Edg|OPR|Chrome|Version)/([0-9.]+)")
_SYSTEM = re.compile(r"(Windows NT|Android|iPhone|iPad|Mac OS X|Linux)")


class Sessions:
    """Sign-in, sign-out, and ending streams."""

    def __init__(
        self, access: Access, accounts: Accounts, scopes: Scopes, store: Store, clock: Clock
    ) -> None:
        self._access = access
        self._accounts = accounts
        self._scopes = scopes
        self._clock = clock
        self._store = store

    @call("authorize", needs=None, error_codes=("InvalidToken",))
    async def authorize(self, request: Authorize, session: Session) -> AuthorizeReply:
        """Sign in with a token, or with several tokens for several accounts of one user.

        Signing in again replaces the earlier sign-in of the connection. `account_list` has every
        account of the user; with an app's token, only those that the app may use.
        """
        several = request.authorize == SEVERAL
        if several and not request.tokens:
            raise input_validation_failed({"tokens": "MULTI needs at least one token."})
        texts = ([] if several else [request.authorize]) + list(request.tokens or [])
        grants = await self._access.grants(texts, session)
        if any(grant.user_id != grants[0].user_id for grant in grants):
            raise invalid_token()
        if len({grant.loginid for grant in grants}) < len(grants):
            raise input_validation_failed(
                {"tokens": "Two of these tokens are for the same account."}
            )
        # Read all that the reply needs before the sign-in: nothing after it may fail.
        while True:
            before = grants[0]
            user, settings, further = await self._store.read(partial(self._read, before))
            grants = await self._access.grants(texts, session)  # a token may have ended meanwhile
            if grants[0].account == before.account:
                break
        self._access.sign_in(session, grants)
        session.signed_in_at = self._clock.now()
        grant = grants[0]
        if request.add_to_login_history or grant.app_id is not None:
            self._access.records.signed_in(session, grant.user_id, "login")
        self._access.records.used(session, grant, "authorize")
        own: AuthorizeBody = {
            "account_list": further.pop("account_list"),
            "country": settings.get("residence") or user["country"],
            "email": user["email"],
            "fullname": further.pop("fullname", ""),
            "loginid": grant.loginid,
            "preferred_language": settings.get("preferred_language") or "EN",
            "scopes": self._scopes.in_order(grant.scopes),
            "user_id": grant.user_id,
        }
        # Fields that a plugin adds (`Plugin.replies`) never replace one of these.
        return {"authorize": {**further, **own}}  # type: ignore[typeddict-item]

    def _read(self, grant: Grant, reader: Snapshot) -> tuple[Row, dict[str, Any], dict[str, Any]]:
        """Return the user, their settings, and the fields that depend on their accounts."""
        further = dict(self._accounts.authorized(reader, grant))
        if "account_list" not in further:
            owned = self._accounts.of_user(reader, grant.user_id)
            reached = [{"loginid": each.loginid} for each in owned if grant.reaches(each.loginid)]
            further["account_list"] = reached
        user = users.by_id(reader, grant.user_id)
        return user, users.settings(reader, grant.user_id), further

    @call("logout", needs=None, error_codes=())
    async def logout(self, request: Logout, session: Session) -> LogoutReply:
        """Sign out. Account streams end; public streams and the connection stay open."""
        self._access.sign_out(session)
        return {"logout": 1}

    @call("login_history", needs=READ, error_codes=())
    async def login_history(self, request: LoginHistory, session: Session) -> LoginHistoryReply:
        """List when and from where the user signed in, newest first."""
        user_id = session.grant.user_id
        await self._access.records.flush_if_possible()
        found = await self._store.read(
            lambda reader: users.sign_ins(reader, user_id, request.limit)
        )
        return {"login_history": [_record(sign_in) for sign_in in found]}

    @call("forget", needs=None, error_codes=())
    async def forget(self, request: Forget, session: Session) -> ForgetReply:
        """End one stream; the reply is 1 if it existed, else 0."""
        return {"forget": int(session.forget(request.forget))}

    @call("forget_all", needs=None, error_codes=())
    async def forget_all(self, request: ForgetAll, session: Session) -> ForgetAllReply:
        """End all streams of one or more types, and return the ids of those that ended."""
        return {"forget_all": session.forget_kinds(frozenset(request.forget_all))}


def _record(sign_in: users.SignIn) -> SignInRecord:
    moment = time.gmtime(sign_in.at)
    product = _PRODUCT.search(sign_in.user_agent)
    browser, version = product.groups() if product else ("", "")
    if not product and "/" in sign_in.user_agent:
        browser, _, version = sign_in.user_agent.split()[0].partition("/")
    system = _SYSTEM.search(sign_in.user_agent)
    name = system.group() if system else ""
    return {
        "action": sign_in.action,
        "browser": browser,
        "country": "",
        "datetime": time.strftime("%Y-%m-%dT%H:%M:%SZ", moment),
        "device": "mobile" if name in ("Android", "iPhone", "iPad") else "desktop",
        "environment": f"IP={sign_in.address} User_AGENT={sign_in.user_agent}"
        f" LANG={sign_in.language}",
        "ip": sign_in.address,
        "language": sign_in.language,
        "os": name,
        "status": int(sign_in.succeeded),
        "time": int(sign_in.at),
        "version": version,
    }
