"""Records of what clients do with tokens: uses by call and address, sign-ins and sign-outs.

Rules:
- They are counted in memory, and written every second, and before an owner reads them. A crash
  loses those that are not written yet.
- Only a few are written in one transaction, so that no trade waits for all of them.
- While the store is unavailable, up to `MAX_UNWRITTEN` of each kind wait.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import TypeAlias

from scopegate.gateway.access import audit, token_uses, users
from scopegate.gateway.access.audit import Event
from scopegate.gateway.access.token_uses import Uses
from scopegate.gateway.calls.session import Grant, Session
from scopegate.store.errors import StoreUnavailableError
from scopegate.store.store import Store
from scopegate.store.transactions import Transaction

MAX_UNWRITTEN = 10_000
"""Uses of tokens, and sign-ins, that are kept in memory while the store cannot be written."""
WRITTEN_TOGETHER = 16
"""Uses, or sign-ins, that are written in one transaction."""

_Key: TypeAlias = tuple[int, str, str]
"""Token, address and call."""
_token_of = itemgetter(0)


class UseRecords:
    """Counts the uses of tokens, and writes them with the sign-ins of users."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._used: list[tuple[str, Grant]] = []
        """The grants with uses that are not collected yet, each with the client's address."""
        self._uses: dict[_Key, int] = {}
        """Collected uses that are not written yet."""
        self._refused: dict[_Key, tuple[int, str]] = {}
        """How many calls were refused, and the code of the latest error."""
        self._sign_ins: list[users.SignIn] = []
        self._writing = asyncio.Lock()
        """Who asks for what is being written waits until it is there to be read."""

    def used(self, session: Session, grant: Grant, call: str) -> None:
        """Count a call made under a grant."""
        uses = grant.uses
        if not uses:
            self._used.append((session.address, grant))
        uses[call] = uses.get(call, 0) + 1

    def refused(self, session: Session, grant: Grant, call: str, code: str) -> None:
        """Count a call made under a grant that was answered with this error code."""
        key = (grant.token_id, session.address, call)
        before, _ = self._refused.get(key, (0, ""))
        self._refused[key] = before + 1, code

    def signed_in(
        self, session: Session, user_id: int, action: str, *, succeeded: bool = True
    ) -> None:
        """Record a sign-in or sign-out for the user's `login_history`."""
        self._sign_ins.append(
            users.SignIn(
                user_id,
                action,
                time.time(),
                session.address,
                session.language,
                session.user_agent,
                succeeded,
            )
        )

    async def flush(self) -> None:
        """Write what was counted and recorded until now.

        Raises `StoreUnavailableError` if it cannot be written, and keeps it then.
        """
        async with self._writing:
            self._collect()
            keys = sorted(dict.fromkeys((*self._uses, *self._refused)), key=_token_of)
            for start in range(0, len(keys), WRITTEN_TOGETHER):
                await self._write_uses(keys[start : start + WRITTEN_TOGETHER])
            for _ in range(0, len(self._sign_ins), WRITTEN_TOGETHER):
                await self._write_sign_ins()

    async def flush_if_possible(self) -> None:
        """Write what was counted before a read, if the store can be written."""
        with contextlib.suppress(StoreUnavailableError):
            await self.flush()

    def _collect(self) -> None:
        """Take the uses that are counted at grants."""
        used, self._used = self._used, []
        for address, grant in used:
            for call, count in grant.uses.items():
                key = (grant.token_id, address, call)
                self._uses[key] = self._uses.get(key, 0) + count
            grant.uses.clear()

    async def _write_uses(self, keys: Sequence[_Key]) -> None:
        uses = {key: Uses(self._uses.pop(key, 0), *self._refused.pop(key, (0, ""))) for key in keys}
        try:
            await self._store.write(partial(_record_uses, uses, time.time()))
        except StoreUnavailableError:
            self._keep(uses)
            raise

    def _keep(self, unwritten: Mapping[_Key, Uses]) -> None:
        """Keep what could not be written for the next attempt, up to `MAX_UNWRITTEN` of each."""
        for key, uses in unwritten.items():
            if uses.admitted and (key in self._uses or len(self._uses) < MAX_UNWRITTEN):
                self._uses[key] = self._uses.get(key, 0) + uses.admitted
            if uses.refused and (key in self._refused or len(self._refused) < MAX_UNWRITTEN):
                later, latest = self._refused.get(key, (0, uses.last_error))
                self._refused[key] = uses.refused + later, latest

    async def _write_sign_ins(self) -> None:
        taken, self._sign_ins = (
            self._sign_ins[:WRITTEN_TOGETHER],
            self._sign_ins[WRITTEN_TOGETHER:],
        )
        try:
            await self._store.write(partial(_record_sign_ins, taken))
        except StoreUnavailableError:
            self._sign_ins = (taken + self._sign_ins)[-MAX_UNWRITTEN:]
            raise


def _record_uses(uses: Mapping[_Key, Uses], at: float, transaction: Transaction) -> None:
    for token_id, keys in groupby(uses, _token_of):
        of_token = {(address, call): uses[token_id, address, call] for _, address, call in keys}
        token_uses.record(transaction, token_id, of_token, at)
        for (address, call), made in of_token.items():
            if call == "authorize" and made.admitted:
                audit.count_authorizations(transaction, token_id, address, made.admitted)


def _record_sign_ins(sign_ins: Sequence[users.SignIn], transaction: Transaction) -> None:
    for sign_in in sign_ins:
        users.record_sign_in(transaction, sign_in)
        if not sign_in.succeeded:
            audit.record(
                transaction, Event.SIGN_IN_FAILED, sign_in.user_id, address=sign_in.address
            )
    for user_id in {sign_in.user_id for sign_in in sign_ins}:
        users.forget_sign_ins(transaction, user_id)
