"""Passwords: what is kept of them, and who may try one how often.

Rules:
- A password is kept as an argon2id hash. A check takes some 50 ms and 64 MiB on purpose, so a few
  run at a time, off the event loop; for an unknown user it takes as long as for a known one.
- Attempts count before they are checked, so many at once gain nothing. The successful ones count
  no more. Past `FROM_AN_ADDRESS` a minute from an address, or `AT_AN_ACCOUNT` at an account, all
  are refused unchecked; an address alone cannot keep an owner out.
"""

import asyncio
from typing import TYPE_CHECKING

from gateway.errors import ApiError, rate_limit
from gateway.limits import Penalty

if TYPE_CHECKING:
    from argon2 import PasswordHasher

FROM_AN_ADDRESS = 5
AT_AN_ACCOUNT = 20
AT_A_TIME = 2
"""Passwords that are checked at once: with a hash's memory this bounds what sign-ins may take."""


def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher  # costs 20 ms to import, which few commands need

    return PasswordHasher()


def hash_password(password: str) -> str:
    """What is kept of a password."""
    return _hasher().hash(password)


def _matches(kept: str | None, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    hasher = _hasher()
    if kept is None:
        hasher.hash(password)  # so that an unknown user is not told apart by the time it takes
        return False
    try:
        return hasher.verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False


class Passwords:
    """Checks passwords, slowing who tries many."""

    def __init__(self) -> None:
        self._from_address = Penalty()
        self._at_account = Penalty()
        self._checking = asyncio.Semaphore(AT_A_TIME)

    def attempt(self, email: str, address: str) -> None:
        """Count an attempt. Raises `RateLimit` where there were too many within a minute."""
        for penalty, who, most in (
            (self._from_address, address, FROM_AN_ADDRESS),
            (self._at_account, email, AT_AN_ACCOUNT),
        ):
            if penalty.count(who) >= most:
                raise _too_many(most)
        self._from_address.add(address)
        self._at_account.add(email)

    async def check(self, email: str, address: str, kept: str | None, password: str) -> bool:
        """Whether this is the password of which `kept` was kept, for an attempt that counted."""
        async with self._checking:
            right = await asyncio.to_thread(_matches, kept, password)
        if right:
            self._from_address.take_back(address)
            self._at_account.take_back(email)
        return right


def _too_many(most: int) -> ApiError:
    error = rate_limit("sign_in", f"{most} wrong passwords a minute")
    return ApiError(error.code, error.message + " Wait a minute, then try again.", error.details)
