"""Faults that owners ask for: bad days on demand, for tests of their bots."""

from typing import Any

from pydantic.fields import FieldInfo

from scopegate.gateway.access import apps, stored_faults, tokens
from scopegate.gateway.access.accounts import Accounts
from scopegate.gateway.access.faults_in_force import Faults
from scopegate.gateway.access.guard import Access
from scopegate.gateway.access.stored_faults import StoredFault
from scopegate.gateway.calls.errors import ApiError, input_validation_failed
from scopegate.gateway.calls.faults import Fault
from scopegate.gateway.calls.registry import Registry, call
from scopegate.gateway.calls.session import Grant, Session
from scopegate.gateway.calls.wire_faults import FaultKinds
from scopegate.handlers.gateway.gateway_scopes import ADMIN
from scopegate.schemas.fault_messages import (
    FaultEnd,
    FaultEndReply,
    FaultInForce,
    FaultKind,
    FaultKindsReply,
    FaultList,
    FaultListReply,
    FaultOption,
    FaultStart,
    FaultStartReply,
)
from scopegate.schemas.fault_messages import FaultKinds as ListKinds
from scopegate.store.store import Store
from scopegate.store.transactions import Snapshot, Transaction


class FaultInjection:
    """Faults of connections, on demand and repeatable, to test how a bot copes with them."""

    def __init__(
        self,
        access: Access,
        store: Store,
        accounts: Accounts,
        kinds: FaultKinds,
        faults_in_force: Faults,
        registry: Registry,
    ) -> None:
        self._access = access
        self._store = store
        self._accounts = accounts
        self._kinds = kinds
        self._faults = faults_in_force
        self._registry = registry

    @call("fault_kinds", needs=None, error_codes=())
    async def fault_kinds(self, request: ListKinds, session: Session) -> FaultKindsReply:
        """List the faults that connections can have, and their options."""
        return {"fault_kinds": [_kind(each) for each in self._kinds.kinds]}

    @call(
        "fault_start",
        needs=ADMIN,
        app_tokens=False,
        error_codes=("APITokenError", "FaultsNotAllowed", "InvalidAppID", "TooManyFaults"),
    )
    async def fault_start(self, request: FaultStart, session: Session) -> FaultStartReply:
        """Begin a fault of the connections of a token, or of those of an app that you use.

        It acts at once, also on connections that are open, and on nobody else's. It ends with
        `fault_end`, with the token, or with the authorization of the app. Only demo accounts can
        have faults, and only if the gateway allows them.
        """
        grant = session.grant
        if not self._faults.allowed:
            raise _not_allowed(
                "Others can connect to this gateway, so its operator must set allow_faults first."
            )
        calls = {each.name for each in self._registry}
        fault = self._kinds.checked(request.fault_start, request.options, calls, "fault_start")
        if request.token is not None and request.app_id is not None:
            raise input_validation_failed({"app_id": "Give a token or an app_id, not both."})

        def job(transaction: Transaction) -> StoredFault:
            number = self._start(transaction, grant, request, fault)
            return stored_faults.found(transaction, number, grant.loginid, grant.user_id)

        stored = await self._access.write(grant, job, audited="fault_start")
        return {"fault_start": self._body(stored)}

    def _start(
        self, transaction: Transaction, grant: Grant, request: FaultStart, fault: Fault
    ) -> int:
        if request.app_id is not None:
            link = apps.link_of_user(transaction, request.app_id, grant.user_id)
            if link is None or not all(map(grant.reaches, link.loginids)):
                raise ApiError("InvalidAppID", "No app with this app_id is connected to you.")
            self._check_accounts(transaction, link.loginids)
            return stored_faults.start(transaction, fault, link_id=link.id)
        self._check_accounts(transaction, [grant.loginid])
        if request.token is not None:
            token_id = tokens.managed(transaction, grant.loginid, request.token).id
        elif grant.is_owner:
            raise input_validation_failed(
                {"token": "The gateway's own pages have no faults: give a token or an app_id."}
            )
        else:
            token_id = grant.token_id
        return stored_faults.start(transaction, fault, token_id=token_id)

    def _check_accounts(self, reader: Snapshot, loginids: list[str]) -> None:
        """Raise `FaultsNotAllowed` unless faults may act on one of these accounts."""
        if not any(
            self._kinds.is_for_tests(self._accounts.facts(reader, loginid)) for loginid in loginids
        ):
            raise _not_allowed("Only demo accounts can have faults.")

    @call("fault_list", needs=ADMIN, app_tokens=False, error_codes=())
    async def fault_list(self, request: FaultList, session: Session) -> FaultListReply:
        """List the faults of the account's tokens, and of the apps that you use."""
        grant = session.grant
        found = await self._store.read(
            lambda reader: stored_faults.stored_for(reader, grant.loginid, grant.user_id)
        )
        return {"fault_list": [self._body(each) for each in found]}

    @call("fault_end", needs=ADMIN, app_tokens=False, error_codes=("FaultNotFound",))
    async def fault_end(self, request: FaultEnd, session: Session) -> FaultEndReply:
        """End a fault, at once on live connections too."""
        grant = session.grant

        def job(transaction: Transaction) -> None:
            stored = stored_faults.found(
                transaction, request.fault_end, grant.loginid, grant.user_id
            )
            stored_faults.end(transaction, [stored.number])

        await self._access.write(grant, job, audited="fault_end")
        return {"fault_end": 1}

    def _body(self, stored: StoredFault) -> FaultInForce:
        return {
            "app_id": stored.app_id,
            "kind": stored.kind,
            "name": stored.name,
            "number": stored.number,
            "options": stored.options,
            "strikes": self._faults.strikes(stored.number),
            "token": stored.masked,
        }


def _not_allowed(why: str) -> ApiError:
    return ApiError("FaultsNotAllowed", why)


def _kind(kind: type[Fault]) -> FaultKind:
    return {
        "name": kind.kind,
        "words": kind.sentence(),
        "options": [_option(name, field) for name, field in kind.model_fields.items()],
    }


def _option(name: str, field: FieldInfo) -> FaultOption:
    default: Any = None if field.is_required() else field.default
    return {
        "name": name,
        "words": field.description or "",
        "default": default,
        "required": int(field.is_required()),
    }
