"""Answering requests with an idempotency key: by the recorded reply, or by the handler."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from scopegate.gateway.calls.idempotency import AlreadyAnsweredError, KeyedRequest
from scopegate.gateway.calls.session import Session
from scopegate.store.store import Store


class RecordedReplies:
    """Answers requests with a key: with the recorded reply, or by the handler."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def answer(
        self,
        session: Session,
        keyed: KeyedRequest,
        handle: Callable[[], Awaitable[Any]],
        refusals: tuple[type[Exception], ...],
    ) -> Any:
        """Return the recorded reply, or what `handle` returns, to which `session.keyed` is given.

        `refusals` are the exceptions with which it may refuse the request. Raises what it raises.
        """
        found = await self._store.read(keyed.find)
        if found is not None:
            return _admitted(session, found)
        session.keyed = keyed
        try:
            return await handle()
        except AlreadyAnsweredError as answered:
            return answered.reply
        except refusals:
            # The same request may be about to commit, and this one is refused because of that.
            found = await self._store.write(keyed.find)
            if found is None:
                raise
            return _admitted(session, found)
        finally:
            session.keyed = None


def _admitted(session: Session, reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the reply. Raises `AuthorizationRequired` if the grant has ended during the read."""
    acting = session.acting
    if acting is not None and session.grants.get(acting.loginid) is not acting:
        raise session.login_needed()
    return reply
