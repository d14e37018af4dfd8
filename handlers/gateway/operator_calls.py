"""The operator's page: what clients do at present, and the end of what they may do.

Rules:
- Only a page that the gateway has served can sign in, with the token of the setting; the sign-in is
  part of the connection, and ends with it. It gives no scope, and no scope gives it.
- No token, code or password is shown.
- All actions of the operator pass through `Operator._act`. Each is one transaction, and has taken
  effect in every process when it is answered. To repeat one changes nothing.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple, TypeVar

import structlog

from scopegate.gateway.access import apps, audit, overview, users
from scopegate.gateway.access.audit import Event
from scopegate.gateway.access.guard import Access, SessionEnded
from scopegate.gateway.access.overview import CallRate, OpenConnection, Overview, ProcessReport
from scopegate.gateway.calls.bus import Bus
from scopegate.gateway.calls.counting import FailureCounter
from scopegate.gateway.calls.errors import ApiError, permission_denied, rate_limit
from scopegate.gateway.calls.handling import Refusal
from scopegate.gateway.calls.idempotency import RECORDED, ReplyT, recorded
from scopegate.gateway.calls.registry import AT_PAGES, OPERATOR, Stream, call
from scopegate.gateway.calls.session import Session, Shape
from scopegate.runtime.siblings import Siblings
from scopegate.schemas.operator_messages import (
    CallDetails,
    LiveConnection,
    OperatorAppUpdate,
    OperatorAppUpdateReply,
    OperatorEndSession,
    OperatorEndSessionReply,
    OperatorOverview,
    OperatorOverviewReply,
    OperatorSignIn,
    OperatorSignInReply,
    OperatorUserUpdate,
    OperatorUserUpdateReply,
    OverviewBody,
    ProcessDetails,
    RefusalDetails,
)
from scopegate.store.errors import StoreUnavailableError
from scopegate.store.store import Store
from scopegate.store.transactions import Job, Snapshot, Transaction

WRONG_TOKENS_A_MINUTE = 5
"""Wrong tokens of the operator that an address may send."""
RECORDED_A_MINUTE = 20
"""Those of all addresses together that the audit trail records: many addresses that guess must not
push other records out of it."""
_EVERYONE = "all addresses"
_KIND = "operator_overview"

T = TypeVar("T")

log = structlog.get_logger("scopegate.operator")


class _Stored(NamedTuple):
    """What the overview needs of the database."""

    emails: Mapping[int, str]
    disabled_users: list[tuple[str, float]]


class Operator:
    """The operator's page: what clients do, and the end of what they may do."""

    def __init__(
        self, access: Access, bus: Bus, overview: Overview, siblings: Siblings, store: Store
    ) -> None:
        self._access = access
        self._bus = bus
        self._overview = overview
        self._store = store
        self._digest: bytes | None = None
        """The digest of the operator's token; `None` if there is none."""
        self._wrong = FailureCounter().share(siblings, "operator tokens")
        self._recorded = FailureCounter().share(siblings, "recorded operator tokens")
        self._acted = asyncio.Event()
        self._position = 0
        self._stored = _Stored({}, [])

    def admit(self, token: str) -> None:
        """Let the operator sign in with this token."""
        self._digest = hashlib.sha256(token.encode()).digest()

    async def run(self) -> None:
        """Publish the overview regularly, and after each action, for as long as it is offered."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(overview.SAMPLE_EVERY):
                    await self._acted.wait()
            self._acted.clear()
            self._overview.sample()
            if self._bus.has_listeners(_KIND):
                body = await self._body()
                self._position += 1
                self._bus.publish(_KIND, body, self._position)

    @call("operator_sign_in", needs=AT_PAGES, error_codes=("InvalidCredentials",))
    async def operator_sign_in(
        self, request: OperatorSignIn, session: Session
    ) -> OperatorSignInReply:
        """Sign the operator in on this connection, until it ends.

        Only if the gateway was started with an operator token, and only at its page `/operator`.
        """
        if self._digest is None:
            raise permission_denied("an operator token, which this gateway does not have")
        if self._wrong.count(session.address) >= WRONG_TOKENS_A_MINUTE:
            raise rate_limit("operator_sign_in", f"{WRONG_TOKENS_A_MINUTE} wrong tokens a minute")
        given = hashlib.sha256(request.operator_token.encode()).digest()
        if not hmac.compare_digest(given, self._digest):
            self._wrong.add(session.address)
            log.info("a wrong operator token", address=session.address, session=session.id)
            await self._record_failure(session)
            raise ApiError("InvalidCredentials", "The operator token is wrong.")
        with suppress(StoreUnavailableError):  # the page is needed most while something fails
            await self._access.write_for_operator(
                lambda transaction: audit.record(
                    transaction, Event.OPERATOR_SIGNED_IN, None, address=session.address
                )
            )
        log.info("the operator signed in", address=session.address, session=session.id)
        session.is_operator = True
        return {"operator_sign_in": {"session": session.id}}

    async def _record_failure(self, session: Session) -> None:
        if self._recorded.count(_EVERYONE) >= RECORDED_A_MINUTE:
            return
        self._recorded.add(_EVERYONE)
        with suppress(StoreUnavailableError):
            await self._store.write(
                lambda transaction: audit.record(
                    transaction, Event.OPERATOR_SIGN_IN_FAILED, None, address=session.address
                )
            )

    @call(_KIND, needs=OPERATOR, error_codes=())
    async def operator_overview(
        self, request: OperatorOverview, session: Session
    ) -> Stream[OperatorOverviewReply] | OperatorOverviewReply:
        """Show connections by app and user, busy and slow calls, refusals, and what is disabled.

        With `subscribe`, an update follows every two seconds. All processes of the gateway are
        included that answer within half a second.
        """
        await asyncio.sleep(0)  # the first step has no task, which a question to siblings needs
        reply: OperatorOverviewReply = {"operator_overview": await self._body()}
        if not request.subscribe:
            return reply
        return Stream(
            kind=_KIND,
            key=_KIND,
            label="operator_overview",
            topic=_KIND,
            first=reply,
            msg_type=_KIND,
            since=self._position,
            shape=Shape.OBJECT,
        )

    @call("operator_end_session", needs=OPERATOR, error_codes=(), idempotency=RECORDED)
    async def operator_end_session(
        self, request: OperatorEndSession, session: Session
    ) -> OperatorEndSessionReply:
        """End one connection, with the close code 4403.

        Its tokens stay valid: the client can connect again, unless its user or app is disabled.
        """
        ended = request.operator_end_session

        def job(transaction: Transaction) -> tuple[str, None]:
            transaction.announce(SessionEnded(ended))
            audit.record(transaction, Event.CONNECTION_ENDED, None, session=ended)
            return f"session {ended}", None

        return await self._act(session, "end_session", job, lambda _: {"operator_end_session": 1})

    @call(
        "operator_user_update",
        needs=OPERATOR,
        error_codes=("UserNotFound",),
        idempotency=RECORDED,
    )
    async def operator_user_update(
        self, request: OperatorUserUpdate, session: Session
    ) -> OperatorUserUpdateReply:
        """Disable a user: their connections end with 4403, and they cannot sign in.

        All their tokens are revoked. A user who is enabled again signs in and creates new ones.
        """

        def job(transaction: Transaction) -> tuple[str, str]:
            if not users.is_known(transaction, request.operator_user_update):
                raise ApiError("UserNotFound", "There is no user with this e-mail address.")
            user = users.by_email(transaction, request.operator_user_update)
            if request.disabled:
                users.disable(transaction, user["email"])
            else:
                users.enable(transaction, user["email"])
            return f"user {user['id']}", user["email"]

        what = "disable_user" if request.disabled else "enable_user"
        return await self._act(
            session,
            what,
            job,
            lambda email: {"operator_user_update": {"disabled": request.disabled, "email": email}},
        )

    @call(
        "operator_app_update",
        needs=OPERATOR,
        error_codes=("AppUpdate", "InvalidAppID"),
        idempotency=RECORDED,
    )
    async def operator_app_update(
        self, request: OperatorAppUpdate, session: Session
    ) -> OperatorAppUpdateReply:
        """Disable an app: its connections end with 4403, and new ones are refused.

        Its tokens allow nothing until it is enabled again. App 1089 cannot be disabled: the
        gateway's own pages use it.
        """
        app_id = request.operator_app_update

        def job(transaction: Transaction) -> tuple[str, str]:
            app = apps.set_disabled(transaction, app_id, disabled=bool(request.disabled))
            return f"app {app_id}", app.name

        what = "disable_app" if request.disabled else "enable_app"
        disabled = request.disabled
        return await self._act(
            session,
            what,
            job,
            lambda name: {
                "operator_app_update": {"app_id": app_id, "disabled": disabled, "name": name}
            },
        )

    async def _act(
        self,
        session: Session,
        what: str,
        job: Job[tuple[str, T]],
        reply_of: Callable[[T], ReplyT],
    ) -> ReplyT:
        """Do something for the operator, and return the reply.

        The results of the job are whom it concerns, and what `reply_of` makes the reply of. Returns
        once every process has applied it.
        """
        whom = ""

        def acting(transaction: Transaction) -> T:
            nonlocal whom
            whom, result = job(transaction)
            return result

        reply = await self._access.write_for_operator(recorded(session.keyed, acting, reply_of))
        log.info("the operator acted", action=what, subject=whom, address=session.address)
        self._acted.set()
        return reply

    # The overview.

    async def _body(self) -> OverviewBody:
        reports = await self._overview.collect()
        busiest = overview.busiest_connections(reports)
        refusals = overview.latest_refusals(reports)
        of_apps = overview.summed(each.of_apps for each in reports).most_common(overview.MAX_GROUPS)
        of_users = overview.summed(each.of_users for each in reports).most_common(
            overview.MAX_GROUPS
        )
        await self._read({user_id for user_id, _ in of_users} | _users_of(busiest, refusals))
        rates = overview.rates(reports)
        return {
            "apps": [
                {"app_id": app_id, "connections": count, "name": self._name(app_id)}
                for app_id, count in of_apps
            ],
            "calls": [_call(rate) for rate in overview.busiest_and_slowest(rates)],
            "calls_per_second": round(sum(rate.per_second for rate in rates), 2),
            "connections": [self._connection(one) for one in busiest],
            "disabled_apps": [
                {"app_id": app.id, "disabled_at": int(at), "name": app.name}
                for app, at in self._access.disabled_apps[: overview.MAX_GROUPS]
            ],
            "disabled_users": [
                {"disabled_at": int(at), "email": email}
                for email, at in self._stored.disabled_users
            ],
            "errors": [
                {"code": code, "times": count}
                for code, count in _most_first(overview.summed(each.errors for each in reports))
            ],
            "limits": [
                {"limit": limit, "times": count}
                for limit, count in _most_first(overview.summed(each.limits for each in reports))
            ],
            "open_connections": sum(each.connections for each in reports),
            "processes": [_process(each) for each in reports],
            "refusals": [self._refusal(one) for one in refusals],
            "tokens_revoked": max(each.revoked for each in reports),
            "users": [
                {"connections": count, "email": self._stored.emails.get(user_id, "")}
                for user_id, count in of_users
            ],
        }

    async def _read(self, user_ids: Collection[int]) -> None:
        """Read what the overview needs of the database; keep the last while it cannot be read."""

        def job(reader: Snapshot) -> _Stored:
            disabled = users.disabled(reader, overview.MAX_GROUPS)
            return _Stored(
                users.emails(reader, user_ids),
                [(row["email"], row["disabled_at"]) for row in disabled],
            )

        with suppress(StoreUnavailableError):  # it is the fault of a process then
            self._stored = await self._store.read(job)

    def _name(self, app_id: int | None) -> str:
        app = None if app_id is None else self._access.app(app_id)
        return "" if app is None else app.name

    def _email(self, user_id: int | None) -> str | None:
        return None if user_id is None else self._stored.emails.get(user_id)

    def _connection(self, one: OpenConnection) -> LiveConnection:
        return {
            "address": one.address,
            "app_id": one.app_id,
            "app_name": self._name(one.app_id),
            "at_pages": int(one.at_pages),
            "connected_at": int(one.since),
            "email": self._email(one.user_id),
            "loginids": list(one.loginids),
            "messages": one.messages,
            "session": one.session_id,
            "streams": one.streams,
        }

    def _refusal(self, one: Refusal) -> RefusalDetails:
        return {
            "address": one.address,
            "app_id": one.app_id,
            "at": int(one.at),
            "call": one.call,
            "code": one.code,
            "email": self._email(one.user_id),
            "limit": one.limit,
            "session": one.session_id,
        }


def _users_of(connections: Iterable[OpenConnection], refusals: Iterable[Refusal]) -> set[int]:
    user_ids = {one.user_id for one in connections} | {one.user_id for one in refusals}
    return {user_id for user_id in user_ids if user_id is not None}


def _call(rate: CallRate) -> CallDetails:
    return {
        "call": rate.call,
        "errors_per_second": round(rate.failed_per_second, 2),
        "per_second": round(rate.per_second, 2),
        "seconds": rate.seconds,
    }


def _process(report: ProcessReport) -> ProcessDetails:
    return {
        "connections": report.connections,
        "fault": report.fault,
        "process": report.process,
    }


def _most_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))
