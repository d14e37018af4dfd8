"""Sign-in at the gateway's own pages."""

import time
from collections.abc import Callable
from importlib.metadata import version

from scopegate.gateway.access import audit, tokens, users
from scopegate.gateway.access.accounts import Accounts
from scopegate.gateway.access.guard import Access
from scopegate.gateway.access.passwords import Passwords
from scopegate.gateway.access.users import SignIn as SignInRecord
from scopegate.gateway.calls.counting import block_of
from scopegate.gateway.calls.errors import ApiError, permission_denied
from scopegate.gateway.calls.hosts import is_loopback, name_of
from scopegate.gateway.calls.registry import AT_PAGES, OWNER, call
from scopegate.gateway.calls.session import Session
from scopegate.schemas.owner_messages import (
    DemoAccess,
    PageInfo,
    PageInfoReply,
    SignIn,
    SignInBody,
    SignInDemo,
    SignInDemoReply,
    SignInReply,
    SignOut,
    SignOutReply,
)
from scopegate.schemas.scopes import Scopes
from scopegate.store.store import Store
from scopegate.store.transactions import Row, Snapshot, Transaction

LASTS = 12 * 3600.0
"""Seconds after which a sign-in at the pages ends."""
MAX_PER_USER = 20
"""Sign-ins that a user may have at once; one more ends the oldest."""


class Pages:
    """Sign-in at the gateway's own pages."""

    def __init__(
        self,
        access: Access,
        accounts: Accounts,
        scopes: Scopes,
        store: Store,
        passwords: Passwords,
    ) -> None:
        self._access = access
        self._accounts = accounts
        self._scopes = scopes
        self._store = store
        self._passwords = passwords
        self._demo: DemoAccess | None = None

    def show_demo(self, loginid: str, token: str) -> None:
        """Offer the demo user's account and token to people at this machine, and to nobody else."""
        self._demo = {"loginid": loginid, "token": token}

    def _demo_for(self, session: Session) -> DemoAccess | None:
        # A proxy on this machine forwards requests from anywhere: refuse those with proxy headers.
        local = is_loopback(name_of(session.host)) and is_loopback(session.address)
        return self._demo if local and not session.proxied else None

    @call("page_info", needs=AT_PAGES, error_codes=())
    async def page_info(self, request: PageInfo, session: Session) -> PageInfoReply:
        """Return what each scope allows, and the demo user's account and token if you may use them.

        You may if there is a demo user and the page is opened on the gateway's own machine, not
        through a proxy.
        """
        present = await self._store.read(users.present)
        return {
            "page_info": {
                "demo": self._demo_for(session),
                "scopes": [
                    {
                        "scope": str(scope),
                        "words": scope.allows,
                        "app_words": scope.allows_apps,
                        "danger": int(scope.risk),
                    }
                    for scope in self._scopes
                ],
                "users": present,
                "version": version("scopegate"),
            }
        }

    @call("sign_in", needs=AT_PAGES, error_codes=("InvalidCredentials",))
    async def sign_in(self, request: SignIn, session: Session) -> SignInReply:
        """Sign the owner in with a password, on this page, for at most 12 hours.

        The tokens work only at the gateway's pages: send all of them in `authorize` with `MULTI`.
        """
        who, address = users.normal(request.email), session.address

        async def is_familiar() -> bool:
            block = block_of(address)
            return await self._store.read(lambda reader: users.signed_in_from(reader, who, block))

        attempts = self._passwords.attempt(who, address, session.client, is_familiar)
        async with attempts as attempt:
            user = await self._store.read(lambda reader: users.for_sign_in(reader, request.email))
            password_hash = None if user is None else user["password_hash"]
            right = await attempt.is_right(password_hash, request.password)
        if not right:
            if user is not None:
                self._access.records.signed_in(session, user["id"], "login", succeeded=False)
            raise _wrong()

        def still(reader: Snapshot) -> Row:
            """Return the user, unless they were locked out or their password has changed since."""
            found = users.for_sign_in(reader, request.email)
            if found is None or found["password_hash"] != password_hash:
                raise _wrong()
            return found

        return {"sign_in": await self._begin(session, still)}

    @call("sign_in_demo", needs=AT_PAGES, error_codes=("InvalidCredentials",))
    async def sign_in_demo(self, request: SignInDemo, session: Session) -> SignInDemoReply:
        """Sign in as the demo user, on the machine that the gateway runs on."""
        if self._demo_for(session) is None:
            raise _no_demo()

        def there(reader: Snapshot) -> Row:
            found = users.demo(reader)
            if found is None:
                raise _no_demo()
            return found

        return {"sign_in_demo": await self._begin(session, there)}

    async def _begin(self, session: Session, user_of: Callable[[Transaction], Row]) -> SignInBody:
        """Create a sign-in with a token for each of the user's accounts, demo accounts first."""
        now = time.time()

        def job(transaction: Transaction) -> SignInBody:
            user = user_of(transaction)
            tokens.end_oldest_sign_ins(transaction, user["id"], keep=MAX_PER_USER - 1)
            owned = self._accounts.of_user(transaction, user["id"])
            record = users.record_sign_in(
                transaction,
                SignInRecord(
                    user["id"],
                    "login",
                    now,
                    session.address,
                    session.language,
                    session.user_agent,
                    succeeded=True,
                ),
            )

            transaction.actor = audit.OWNER
            audit.record(transaction, audit.Event.SIGNED_IN, user["id"], address=session.address)

            def create(loginid: str) -> str:
                new = tokens.NewToken(
                    loginid,
                    "Sign-in",
                    self._scopes.names,
                    sign_in_id=record,
                    expires_at=now + LASTS,
                )
                return tokens.create(transaction, new)

            return {
                "accounts": [
                    {
                        **self._accounts.brief(account),  # type: ignore[typeddict-item]
                        "loginid": account.loginid,
                        "token": create(account.loginid),
                    }
                    for account in self._accounts.first_choice(owned)
                ],
                "email": user["email"],
                "expires_at": int(now + LASTS),
            }

        return await self._store.write(job)

    @call("sign_out", needs=OWNER, error_codes=())
    async def sign_out(self, request: SignOut, session: Session) -> SignOutReply:
        """End the sign-in, on every connection that uses it."""
        grant = session.grant
        await self._access.write(
            grant,
            lambda transaction: tokens.end_sign_in(transaction, grant.token_id, by=session.id),
        )
        return {"sign_out": 1}


def _wrong() -> ApiError:
    return ApiError("InvalidCredentials", "The e-mail address or the password is wrong.")


def _no_demo() -> ApiError:
    return permission_denied("a demo user, and a page opened on the gateway's own machine")
