"""Grants: what each token allows, on which live connections, and until when.

Rules:
- A token that has ended grants nothing: what was read of a token is used only if none ended during
  the read.
- When the end of a token is announced, its grants on all live connections are revoked at once. The
  connection that asked for it gets its reply first.
- When the operator ends a connection, or disables its user or its app, it is closed at once, or
  after the reply to its current message.
- Uses are counted in memory and written every `FLUSH` seconds (`use_records`).
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, TypeVar

from scopegate.gateway.access import apps, audit, tokens
from scopegate.gateway.access.accounts import Accounts
from scopegate.gateway.access.apps import App, AppChanged, LinkExtended
from scopegate.gateway.access.audit import Event
from scopegate.gateway.access.restrictions import RestrictionsChanged
from scopegate.gateway.access.tokens import (
    ExpiryChanged,
    Token,
    TokensEnded,
    TokensSuspended,
)
from scopegate.gateway.access.use_records import UseRecords
from scopegate.gateway.access.users import UserDisabled
from scopegate.gateway.calls import token_form
from scopegate.gateway.calls.counting import Claim, ConcurrencyLimiter, FailureCounter, Holder
from scopegate.gateway.calls.errors import (
    ENDED_BY_OPERATOR,
    ApiError,
    Disconnect,
    authorization_required,
    invalid_app_id,
    invalid_token,
    rate_limit,
    session_ended,
    token_suspended,
)
from scopegate.gateway.calls.limits import Profile
from scopegate.gateway.calls.session import Grant, Session
from scopegate.runtime.metrics import Metric, counter, gauge
from scopegate.runtime.pickling import quickly_pickled
from scopegate.runtime.siblings import Siblings
from scopegate.schemas.scopes import Scopes
from scopegate.store.store import Store
from scopegate.store.transactions import Announcement, Job, Snapshot, Transaction

FLUSH = 1.0
WRONG_TOKENS_A_MINUTE = 5
CACHED_TOKENS = 10_000
MAX_LEFT = 1_000
"""Restricted tokens without a connection that are kept in memory until somebody asks for them."""
MAX_REMOTE_REVOCATIONS = 100
"""Sessions of other worker processes that may be ending tokens at the same time."""

T = TypeVar("T")


@quickly_pickled
@dataclass(frozen=True, slots=True)
class TokenCheck:
    """The check that a token is still valid, as a transaction sees it."""

    token_id: int

    def __call__(self, reader: Snapshot) -> int | None:
        """Return the id of its restrictions. Raises `AuthorizationRequired` unless it is."""
        token = tokens.find_valid(reader, self.token_id)
        if token is None:
            raise authorization_required()
        return token.restrictions_id


@dataclass(frozen=True, slots=True)
class SessionEnded(Announcement):
    """Announces that the operator ends a connection."""

    kind: ClassVar[str] = "session_ended"
    session_id: str


class Access:
    """Resolves tokens to grants, and revokes grants on live connections."""

    def __init__(
        self,
        store: Store,
        scopes: Scopes,
        accounts: Accounts,
        profile: Profile,
        connections: ConcurrencyLimiter,
        siblings: Siblings,
    ) -> None:
        self._store = store
        self._siblings = siblings
        self._accounts = accounts
        self._scopes = scopes
        self._connections = connections
        self._connection = [Claim("connections", profile.connections_per_user)]
        self._holders: dict[Session, frozenset[Holder]] = {}
        """The holders that each signed-in connection counts for."""
        self._apps: dict[int, App] = {}
        self._app_changes = 0
        self._tokens: dict[bytes, Token] = {}
        # Dicts as ordered sets: sessions lose their access in the order in which they got it.
        self._live: dict[int, dict[Session, None]] = {}
        self._of_app: dict[int | None, dict[Session, None]] = {}
        """The connections of each app; under `None`, those that name none."""
        self._expiring: dict[int, float] = {}
        """Epoch seconds at which tokens of live connections expire, by the id of the token."""
        self._restricted: dict[int, tuple[int, ...]] = {}
        """The restrictions that tokens of live connections are under, by the id of the token.

        Those of tokens whose last connection has ended stay until they are asked for.
        """
        self._endings = 0
        self._wrong = FailureCounter().share(siblings, "wrong tokens")
        self.records = UseRecords(store)
        """What the clients do with their tokens, for their owners."""
        self._signed_out: dict[str, set[Session]] = {}
        """The sessions that were signed out, by the id of the session that is ending the tokens."""
        self._signed_out_for: dict[str, set[Session]] = {}
        """The same for sessions of other worker processes, the latest of them."""
        self.revoked = 0
        """How many tokens have ended or were suspended since this process began, in any process."""
        self.on_grants: Callable[[Session], None] | None = None
        """Called with each session whose grants have changed, if faults are allowed."""
        siblings.on("catch up", self._caught_up)
        siblings.on("signed out", self._signed_out_here)
        siblings.on("live connections", self._live_here)

    async def start(self) -> None:
        """Load every app, and listen to announcements."""
        self._store.listen(TokensEnded, self._ended)
        self._store.listen(TokensSuspended, self._suspended)
        self._store.listen(RestrictionsChanged, self._restrictions_changed)
        self._store.listen(ExpiryChanged, self._expiry_changed)
        self._store.listen(LinkExtended, self._link_extended)
        self._store.listen(AppChanged, self._app_changed)
        self._store.listen(UserDisabled, self._user_disabled)
        self._store.listen(SessionEnded, self._session_ended)
        while True:
            changes = self._app_changes
            loaded = await self._store.read(apps.load_all)
            if changes == self._app_changes:  # else another process has changed one meanwhile
                break
        self._apps = {app.id: app for app in loaded}

    @property
    def disabled_apps(self) -> list[tuple[App, float]]:
        """The apps that are disabled, the latest first, each with the time in epoch seconds."""
        found = [(app, app.disabled_at) for app in self._apps.values() if app.disabled_at]
        return sorted(found, key=lambda each: -each[1])

    def app(self, app_id: int) -> App | None:
        """Return the app with this id, if there is one."""
        return self._apps.get(app_id)

    def refusal(self, session: Session) -> ApiError | None:
        """Return why a connection is not served, or `None`.

        Either there is no such app, or it does not allow the origin of the page.
        """
        app = None if session.app_id is None else self._apps.get(session.app_id)
        if app is None:
            return invalid_app_id()
        if app.disabled_at is not None:
            return invalid_app_id({"app_id": f"The operator has disabled app {app.id}."})
        if app.allowed_origins and session.origin and not session.at_pages:
            origin = session.origin.lower()
            if origin not in app.allowed_origins:
                return invalid_app_id({"origin": f"App {app.id} may not be used from {origin}."})
        return None

    @property
    def sessions(self) -> Iterator[Session]:
        """Every connection, the oldest of each app first."""
        return (session for sessions in self._of_app.values() for session in sessions)

    def metrics(self) -> Iterator[Metric]:
        """Return what was counted."""
        yield counter(
            "tokens_revoked",
            "Tokens that have ended or were suspended, in whichever process: each counts all.",
            self.revoked,
        )
        yield gauge("connections_signed_in", "Connections with a token.", len(self._holders))

    # Granting.

    async def grants(self, texts: list[str], session: Session) -> list[Grant]:
        """Return what these tokens allow on this session's connection, in their order.

        The grants are valid when this returns: use them without an `await` in between. Raises
        `InvalidToken`, or `RateLimit` if too many wrong tokens came from the address.
        """
        while True:
            endings = self._endings
            granted = [await self._grant(text, session) for text in texts]
            if endings == self._endings:
                return granted

    async def _grant(self, text: str, session: Session) -> Grant:
        token = await self._known(text) if token_form.well_formed(text) else None
        if token is None:
            if self._wrong.count(session.address) >= WRONG_TOKENS_A_MINUTE:
                raise rate_limit("authorize", f"{WRONG_TOKENS_A_MINUTE} wrong tokens a minute")
            self._wrong.add(session.address)
            raise invalid_token()
        if token.app_id is not None and token.app_id != session.app_id:
            raise ApiError(
                "InvalidToken",
                "Token is not valid for current app ID.",
                {
                    "app_id": f"This connection uses app {session.app_id}, but the token was"
                    f" issued to app {token.app_id}. Connect with app_id={token.app_id}."
                },
            )
        if token.expired:
            raise invalid_token()
        if token.suspended:
            raise token_suspended()
        if token.sign_in_id is not None and not session.at_pages:
            raise ApiError(
                "InvalidToken",
                "The token is invalid.",
                {"sign_in": "A sign-in at the gateway's pages works only there. Create a token."},
            )
        if token.valid_for_ip and token.valid_for_ip != session.address:
            raise ApiError(
                "InvalidToken",
                "The token is invalid.",
                {"valid_for_ip": "The token works only from another IP address."},
            )
        if not token.restricted.admits(session.address):
            raise _other_network()
        is_owner = token.sign_in_id is not None  # who has every scope
        return Grant(
            token_id=token.id,
            user_id=token.user_id,
            loginid=token.loginid,
            scopes=self._scopes.names if is_owner else token.scopes & self._scopes.names,
            app_id=token.app_id,
            is_owner=is_owner,
            expires_at=token.expires_at,
            bucket=_bucket_of(token),
            link_id=token.link_id,
            loginids=token.link_loginids,
            accounts=token.restricted.accounts,
            rates=token.restricted.rates,
            restrictions=token.restricted.line,
            account=token.account,
        )

    async def _known(self, text: str) -> Token | None:
        digest = token_form.digest(text)
        self._apply_changes()  # it may have ended at another process
        cached = self._tokens.get(digest)
        if cached is not None:
            return cached
        endings = self._endings
        found = await self._store.read(partial(self._find, digest))
        if found is not None and not found.suspended and endings == self._endings:
            if len(self._tokens) >= CACHED_TOKENS:
                self._tokens.clear()
            self._tokens[digest] = found
        return found

    def _find(self, digest: bytes, reader: Snapshot) -> Token | None:
        token = tokens.find(reader, digest)
        if token is None:
            return None
        return replace(token, account=self._accounts.facts(reader, token.loginid))

    def join(self, session: Session) -> None:
        """Add a session to the live sessions of its app."""
        self._of_app.setdefault(session.app_id, {})[session] = None

    def sign_in(self, session: Session, grants: list[Grant]) -> None:
        """Let the session act under these grants. Call it without an `await` after `grants`.

        Raises `RateLimit` if the user has too many connections; nothing is changed then.
        """
        if session.closed:
            return
        further = _holders_of(grants) - self._holders.get(session, frozenset())
        broken = self._connections.broken_by(further, self._connection)
        if broken is not None:
            raise rate_limit("authorize", broken)
        self._release(session)
        session.sign_in(grants)
        self._count(session)
        for grant in session.grants.values():
            self._live.setdefault(grant.token_id, {})[session] = None
            if grant.expires_at is not None:
                self._expiring[grant.token_id] = grant.expires_at
            if grant.restrictions:
                self._restricted[grant.token_id] = grant.restrictions
        if len(self._restricted) > MAX_LEFT + 2 * len(self._live):
            self._forget_left()

    def sign_out(self, session: Session) -> None:
        """Drop all grants of the session."""
        self._release(session)
        session.sign_out()
        self._count(session)

    def leave(self, session: Session) -> None:
        """Remove a session whose connection has ended."""
        self._release(session)
        self._connections.give_back(self._holders.pop(session, ()), self._connection)
        if others := self._of_app.get(session.app_id):
            others.pop(session, None)
            if not others:
                del self._of_app[session.app_id]

    def _count(self, session: Session) -> None:
        """Count the connection for the holders of its grants, and no longer for earlier ones."""
        before = self._holders.pop(session, frozenset())
        now = _holders_of(session.grants.values())
        self._connections.take(now - before, self._connection)
        self._connections.give_back(before - now, self._connection)
        if now:
            self._holders[session] = now
        if self.on_grants is not None:
            self.on_grants(session)

    def _release(self, session: Session) -> None:
        """Remove the session from the live sessions of its tokens."""
        for grant in session.grants.values():
            self._remove(session, grant.token_id)

    def _remove(self, session: Session, token_id: int) -> None:
        """Remove the session from the live sessions of one token."""
        sessions = self._live.get(token_id)
        if sessions is not None:
            sessions.pop(session, None)
            if not sessions:
                del self._live[token_id]
                self._expiring.pop(token_id, None)

    def guard(self, grant: Grant) -> Callable[[Snapshot], int | None]:
        """Return a check for use inside a transaction.

        It raises `AuthorizationRequired` unless the grant's token is still valid there, and returns
        the id of the token's restrictions, if it has any.
        """

        return TokenCheck(grant.token_id)

    async def write(self, grant: Grant, job: Job[T], *, audited: str | None = None) -> T:
        """Run a job that acts under a grant; return its result after COMMIT.

        `audited` is the name of a call that the audit trail records; changes of tokens, apps and
        users are recorded in any case.

        If it has ended tokens or changed apps, other worker processes have applied that then, or
        have not answered in time. Raises `AuthorizationRequired` if the grant has ended by then,
        else like `Store.write`.
        """
        before = self._endings, self._app_changes
        result = await self._written(grant, job, audited)
        if before != (self._endings, self._app_changes):
            await self._applied_everywhere()
        return result

    async def write_for_app(self, app_id: int, job: Job[T]) -> T:
        """Run a job of an app at an OAuth endpoint, which has no grant there; else like `write`.

        The job itself checks the credentials of the app.
        """
        before = self._endings

        def audited(transaction: Transaction) -> T:
            transaction.actor = f"app {app_id}"
            return job(transaction)

        result = await self._store.write(audited)
        if before != self._endings:
            await self._applied_everywhere()
        return result

    async def write_for_operator(self, job: Job[T]) -> T:
        """Run a job of the operator, who needs no grant; else like `write`."""

        def audited(transaction: Transaction) -> T:
            transaction.actor = audit.OPERATOR
            return job(transaction)

        result = await self._store.write(audited)
        await self._applied_everywhere()
        return result

    async def end_token(self, token_id: int) -> None:
        """End a token because a fault asks for it, and the tokens created with it.

        Raises `StoreUnavailableError` if that cannot be stored.
        """

        def job(transaction: Transaction) -> None:
            transaction.actor = audit.FAULT
            tokens.end(transaction, [token_id])

        await self._store.write(job)
        await self._applied_everywhere()

    async def _applied_everywhere(self) -> None:
        await self._siblings.ask("catch up", None)

    async def _written(self, grant: Grant, job: Job[T], audited: str | None = None) -> T:
        still_holds = self.guard(grant)

        def guarded(transaction: Transaction) -> T:
            still_holds(transaction)
            transaction.actor = audit.actor_of(grant)
            result = job(transaction)
            if audited is not None:
                about = {"call": audited, "loginid": grant.loginid}
                audit.record(transaction, Event.CALLED, grant.user_id, **about)
            return result

        return await self._store.write(guarded)

    # Revoking.

    async def revoke(self, grant: Grant, job: Job[T], session: Session) -> tuple[T, int]:
        """`write` a job that ends tokens, with the id of this session as their `by`.

        Returns its result, and how many other connections it signed out.
        """
        signed_out = self._signed_out[session.id] = set()
        try:
            result = await self._written(grant, job)
        finally:
            del self._signed_out[session.id]
        # Each worker process has ended the streams of its connections when it answers.
        elsewhere = await self._siblings.ask("signed out", session.id)
        return result, _without_grants(signed_out - {session}) + sum(elsewhere)

    def _caught_up(self, sender: int, nothing: None) -> None:
        """Answer once the changes of other worker processes are applied."""
        self._apply_changes()

    def _apply_changes(self) -> None:
        fault = self._store.catch_up()
        if fault is not None:
            raise fault

    def _signed_out_here(self, sender: int, session_id: str) -> int:
        """Answer how many connections a session of another worker process has signed out."""
        self._apply_changes()
        return _without_grants(self._signed_out_for.pop(session_id, set()))

    def connected_restrictions(self) -> tuple[frozenset[int], frozenset[int]]:
        """Return the ids of the restrictions under which connections of this process are.

        The second set has those under which there was one since the last call, but is none now.
        """
        seen = frozenset(number for line in self._restricted.values() for number in line)
        self._forget_left()
        now = frozenset(number for line in self._restricted.values() for number in line)
        return now, seen - now

    def _forget_left(self) -> None:
        """Forget the restrictions of tokens without a connection."""
        self._restricted = {
            token_id: line for token_id, line in self._restricted.items() if token_id in self._live
        }

    async def live_connections(self, groups: Sequence[Sequence[int]]) -> list[int]:
        """Return for each group of tokens how many connections are signed in with one of them."""
        elsewhere = await self._siblings.ask("live connections", groups)
        return [sum(counts) for counts in zip(self._live_here(0, groups), *elsewhere, strict=True)]

    def _live_here(self, sender: int, groups: Sequence[Sequence[int]]) -> list[int]:
        return [
            len(set[Session]().union(*(self._live.get(number, ()) for number in group)))
            for group in groups
        ]

    def _ended(self, ended: TokensEnded) -> None:
        self._take_back(ended, why=None)

    def _suspended(self, suspended: TokensSuspended) -> None:
        self._take_back(suspended, why=token_suspended())

    def _restrictions_changed(self, changed: RestrictionsChanged) -> None:
        self._endings += 1  # reads of these tokens that are in progress are out of date
        self._forget(changed.tokens.keys())
        for token_id, in_force in changed.tokens.items():
            for session in list(self._live.get(token_id, ())):
                for grant in list(session.grants.values()):
                    if grant.token_id != token_id:
                        continue
                    if not in_force.admits(session.address):
                        self._revoke(session, token_id, _other_network())
                    elif _lacks(in_force.accounts, grant.accounts):
                        # Its streams may be about accounts that it does not reach any more.
                        self._revoke(session, token_id, _other_accounts())
                    else:
                        session.regrant(
                            replace(
                                grant,
                                accounts=in_force.accounts,
                                rates=in_force.rates,
                                restrictions=in_force.line,
                            )
                        )
                        self._restricted[token_id] = in_force.line

    def _revoke(self, session: Session, token_id: int, why: ApiError) -> None:
        """Revoke the grants of a token on one connection."""
        session.revoke(token_id, why=why)
        self._remove(session, token_id)
        self._count(session)

    def _expiry_changed(self, changed: ExpiryChanged) -> None:
        self._endings += 1
        self._forget(changed.ids)
        for token_id in changed.ids:
            if changed.expires_at is None:
                self._expiring.pop(token_id, None)
            elif token_id in self._live:
                self._expiring[token_id] = changed.expires_at

    def _forget(self, token_ids: Collection[int]) -> None:
        """Read these tokens again when they are used next."""
        self._tokens = {
            digest: token for digest, token in self._tokens.items() if token.id not in token_ids
        }

    def _link_extended(self, extended: LinkExtended) -> None:
        self._endings += 1  # reads of its tokens that are in progress are out of date
        self._extend(extended.link_id, frozenset(extended.loginids))

    def _app_changed(self, changed: AppChanged) -> None:
        app = changed.app
        self._app_changes += 1
        if changed.deleted:
            self._apps.pop(app.id, None)
        else:
            self._apps[app.id] = app
        for session in list(self._of_app.get(app.id, ())):
            refusal = self.refusal(session)
            if refusal is not None:  # its next message is refused; its streams end now
                session.finish_streams(refusal)
            if app.disabled_at is not None:
                session.end(Disconnect(ENDED_BY_OPERATOR, "the app was disabled"))

    def _user_disabled(self, disabled: UserDisabled) -> None:
        for session in self._signed_in():
            if any(grant.user_id == disabled.user_id for grant in session.grants.values()):
                session.finish_streams(invalid_token())
                session.end(Disconnect(ENDED_BY_OPERATOR, "the user was disabled"))

    def _session_ended(self, ended: SessionEnded) -> None:
        for session in list(self.sessions):
            if session.id == ended.session_id:
                why = session_ended()
                session.finish_streams(why)  # many clients report this, but no close
                session.end(Disconnect(ENDED_BY_OPERATOR, why.message))

    def _take_back(self, announced: TokensEnded, *, why: ApiError | None) -> None:
        """Revoke the grants of these tokens on live connections; `why` is their streams' error."""
        self._endings += 1
        self.revoked += len(announced.ids)
        ended = set(announced.ids)
        self._forget(ended)
        counted = self._signed_out.get(announced.by)
        if counted is None:
            counted = set()
            if announced.by and not self._siblings.alone:
                counted = self._signed_out_for.setdefault(announced.by, counted)
                if len(self._signed_out_for) > MAX_REMOTE_REVOCATIONS:
                    del self._signed_out_for[next(iter(self._signed_out_for))]
        for token_id in ended:
            sessions = self._live.pop(token_id, {})
            self._expiring.pop(token_id, None)
            counted.update(sessions)
            for session in sessions:
                session.revoke(token_id, reply_first=session.id == announced.by, why=why)
                self._count(session)

    def account_changed(self, loginid: str, facts: object) -> None:
        """Forget the cached tokens of an account, and update its grants on live connections.

        `facts` is what a plugin stores about the account from now on (`Accounts.facts`).
        """
        self._endings += 1  # reads of its tokens that are in progress are out of date
        self._tokens = {
            digest: token for digest, token in self._tokens.items() if token.loginid != loginid
        }
        for session in self._signed_in():
            grant = session.grants.get(loginid)
            if grant is not None:
                session.regrant(replace(grant, account=facts))

    def _signed_in(self) -> Iterable[Session]:
        """Return every session with a token."""
        return dict.fromkeys(session for sessions in self._live.values() for session in sessions)

    def _extend(self, link_id: int, loginids: frozenset[str]) -> None:
        """Let live connections of this authorization reach these accounts from now on."""
        self._tokens = {
            digest: token for digest, token in self._tokens.items() if token.link_id != link_id
        }
        for session in self._signed_in():
            for grant in list(session.grants.values()):
                if grant.link_id == link_id:
                    session.regrant(replace(grant, loginids=loginids))

    async def run(self) -> None:
        """Write uses every `FLUSH` seconds and end expired tokens, as long as the gateway runs."""
        while True:
            await asyncio.sleep(FLUSH)
            await self.records.flush()
            if any(moment <= time.time() for moment in self._expiring.values()):
                await self._store.write(tokens.end_expired)


def _other_network() -> ApiError:
    return ApiError(
        "InvalidToken",
        "The token is invalid.",
        {"networks": "The token works only from other IP addresses."},
    )


def _other_accounts() -> ApiError:
    return ApiError(
        "InvalidToken",
        "The token is invalid.",
        {"accounts": "The token was restricted to certain accounts: authorize again."},
    )


def _lacks(now: frozenset[str] | None, before: frozenset[str] | None) -> bool:
    """Whether these accounts lack some that were reached before; `None` stands for all."""
    return now is not None and (before is None or not before <= now)


def _without_grants(sessions: Iterable[Session]) -> int:
    """Count those that are signed out: some may have the grant of another token as well."""
    return sum(not session.grants for session in sessions)


def _holders_of(grants: Iterable[Grant]) -> frozenset[Holder]:
    return frozenset(holder for grant in grants for holder in grant.holders)


def _bucket_of(token: Token) -> str:
    """Return the bucket in which messages and calls of this token are counted.

    All tokens of an app's authorization share one, as do those of one sign-in at the pages. Tokens
    that were created with a token share its bucket.
    """
    if token.sign_in_id is not None:
        return f"sign-in {token.sign_in_id}"
    if token.link_id is not None:
        return f"link {token.link_id}"
    return f"token {token.root_id}"
