"""Passwords: their hashes, and limits on attempts.

Rules:
- A password is stored as an argon2id hash. A check takes some 50 ms and 64 MiB on purpose, so only
  `AT_A_TIME` run at once, in separate threads, one per client, and clients in turn; for an unknown
  user it takes as long as for a known one. A waiting check that is cancelled is not run.
- Attempts are counted before they are checked, so many at once gain nothing; those that succeeded,
  or were not checked to the end, are then uncounted. Beyond `FROM_AN_ADDRESS` a minute from an
  address, or `AT_AN_ACCOUNT` for an account, all are refused unchecked. One address cannot lock an
  owner out, and many cannot lock out an owner at an address from which they have signed in before.
  If `MAX_WAITING` checks wait, or `MAX_WAITING_PER_CLIENT` of one client, others are refused at
  once.
"""

import contextlib
import os
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from scopegate.gateway.calls.counting import FailureCounter
from scopegate.gateway.calls.errors import ApiError, rate_limit
from scopegate.gateway.calls.scheduling import FairQueue, Turn
from scopegate.runtime.siblings import Siblings

if TYPE_CHECKING:
    from argon2 import PasswordHasher

FROM_AN_ADDRESS = 5
AT_AN_ACCOUNT = 20
AT_A_TIME = 2
"""Passwords that are checked at once: this bounds the memory that sign-ins use for hashes."""
PRIORITY = 5
"""The niceness of the threads that check passwords; that of the event loop is 0.

With 10, beside four busy processes on two processors, a check takes more than four seconds, which
is longer than a handler may take.
"""
MAX_WAITING = 16
"""Passwords that may wait for a check: so many are checked well within a handler's timeout."""
MAX_WAITING_PER_CLIENT = 8
"""Passwords of one client that may wait for a check."""


def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher  # its import takes 20 ms, and few commands need it

    return PasswordHasher()


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password."""
    return _hasher().hash(password)


def _matches(password_hash: str | None, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    hasher = _hasher()
    if password_hash is None:
        hasher.hash(password)  # so that the time does not reveal whether the user exists
        return False
    try:
        return hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def _lower_priority() -> None:
    """Let the event loop's thread have a processor before this thread and those that it starts.

    A hash is computed by four threads at once, without Python's lock. Only on Linux, where threads
    have priorities of their own.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with contextlib.suppress(OSError):  # a sandbox may forbid it; passwords are checked anyway
            # Never raised: only root may do that, where the whole process has a low one.
            lower = max(os.getpriority(os.PRIO_PROCESS, thread), PRIORITY)
            os.setpriority(os.PRIO_PROCESS, thread, lower)


class Attempt:
    """One attempt to sign in, counted before its password is checked."""

    def __init__(self, threads: ThreadPoolExecutor, turn: Turn) -> None:
        self._threads = threads
        self._turn = turn
        self.was_wrong = False

    async def is_right(self, password_hash: str | None, password: str) -> bool:
        """Whether the password matches the hash; never if that is `None`."""
        right = await self._turn.run(self._threads, _matches, password_hash, password)
        self.was_wrong = not right
        return right


class Passwords:
    """Checks passwords, and limits attempts."""

    def __init__(self, siblings: Siblings) -> None:
        self._from_address = FailureCounter().share(siblings, "passwords of an address")
        self._at_account = FailureCounter().share(siblings, "passwords of an account")
        self._threads = ThreadPoolExecutor(
            AT_A_TIME, thread_name_prefix="passwords", initializer=_lower_priority
        )
        self.queue = FairQueue(
            AT_A_TIME, max_per_client=MAX_WAITING_PER_CLIENT, max_waiting=MAX_WAITING
        )

    @asynccontextmanager
    async def attempt(
        self,
        email: str,
        address: str,
        client: Hashable,
        is_familiar: Callable[[], Awaitable[bool]],
    ) -> AsyncIterator[Attempt]:
        """Begin an attempt to sign in, in the client's turn.

        `is_familiar` returns whether the owner has signed in from the address before. Raises
        `RateLimit` after too many attempts, or if too many wait.
        """
        await self._refuse_guesses(email, address, is_familiar)
        async with self._turn(client, "sign_in") as turn:
            # Others were checked while this one waited.
            await self._refuse_guesses(email, address, is_familiar)
            self._from_address.add(address)
            self._at_account.add(email)
            attempt = Attempt(self._threads, turn)
            try:
                yield attempt
            finally:
                if not attempt.was_wrong:
                    self._from_address.take_back(address)
                    self._at_account.take_back(email)

    async def hash(self, password: str, client: Hashable) -> str:
        """Return the hash of a new password. Raises `RateLimit` if too many wait."""
        async with self._turn(client, "new passwords") as turn:
            return await turn.run(self._threads, hash_password, password)

    async def _refuse_guesses(
        self, email: str, address: str, is_familiar: Callable[[], Awaitable[bool]]
    ) -> None:
        if self._at_account.count(email) >= AT_AN_ACCOUNT and not await is_familiar():
            raise _too_many(AT_AN_ACCOUNT)
        if self._from_address.count(address) >= FROM_AN_ADDRESS:
            raise _too_many(FROM_AN_ADDRESS)

    @asynccontextmanager
    async def _turn(self, client: Hashable, what: str) -> AsyncIterator[Turn]:
        async with AsyncExitStack() as stack:
            try:
                turn = await stack.enter_async_context(self.queue.turn(client, what))
            except ApiError as full:
                raise _later(full, "Try again in a few seconds.") from None
            yield turn


def _too_many(allowed: int) -> ApiError:
    limit = f"{allowed} wrong passwords a minute"
    return _later(rate_limit("sign_in", limit), "Wait a minute, then try again.")


def _later(error: ApiError, what_to_do: str) -> ApiError:
    return ApiError(error.code, f"{error.message} {what_to_do}", error.details)
