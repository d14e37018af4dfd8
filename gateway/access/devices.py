"""Requests of programs without a browser (RFC 8628): their rows.

Rules:
- Only an app whose owner has switched the device flow on can have requests: with it, anybody can
  ask users for consent to the app, and gets the tokens.
- A request has two codes: the device code, with which the program polls, and the user code, which
  its user enters at the page. Both are stored as digests, and valid for `LIFETIME` seconds.
- A user code has 20^8 values (34 bits), so guesses at the page are counted
  (`handlers.gateway.consent_calls`). It has no vowels, so it is no word.
- It can be decided once. What was allowed can be fetched once, with the device code.
- A program that polls too fast must wait longer from then on.
"""

import re
import secrets
import time
from dataclasses import dataclass
from enum import StrEnum

from scopegate.gateway.access import apps, issuing, tokens
from scopegate.gateway.access.apps import App
from scopegate.gateway.access.issuing import Issued
from scopegate.gateway.calls import token_form
from scopegate.gateway.calls.counting import block_of
from scopegate.store.transactions import Snapshot, Transaction

LIFETIME = 600.0
"""Seconds for which a request can be decided, and its result be fetched."""
KEPT = 3600.0
"""Seconds for which an expired request is kept, so that its program learns that it has expired."""
POLL_SECONDS = 5.0
"""Seconds between two polls, and those that are added after one that came too early."""
MAX_POLL_SECONDS = 60.0
MAX_OF_REQUESTER = 20
"""Requests of an address block that wait for their users."""
MAX_OF_ALL = 10_000

_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_USER_CODE = re.compile(f"[{_LETTERS}]{{8}}", re.ASCII)


class TooManyRequestsError(Exception):
    """Too many requests wait for their users already; its text names the limit."""


class Refusal(StrEnum):
    """Why a poll yields no tokens: the error codes of RFC 8628, 3.5."""

    PENDING = "authorization_pending"
    SLOW_DOWN = "slow_down"
    DENIED = "access_denied"
    EXPIRED = "expired_token"
    INVALID = "invalid_grant"


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """A request that waits for its user."""

    app: App
    scopes: frozenset[str]
    user_code: str
    """As it is shown, such as `WDJB-MJHT`."""


def create(
    transaction: Transaction, app: App, scopes: frozenset[str], address: str
) -> tuple[str, str]:
    """Create a request; return its device code and its user code.

    `address` is that of the program. Raises `TooManyRequestsError`.
    """
    now = time.time()
    transaction.execute("DELETE FROM device_requests WHERE expires_at < ?", now - KEPT)
    requester = block_of(address)
    waiting = (
        "SELECT count(*) FROM device_requests WHERE expires_at > ? AND link_id IS NULL"
        " AND refused_at IS NULL"
    )
    if transaction.single(f"{waiting} AND requester = ?", now, requester)[0] >= MAX_OF_REQUESTER:
        raise TooManyRequestsError(f"{MAX_OF_REQUESTER} requests of an address")
    if transaction.single(waiting, now)[0] >= MAX_OF_ALL:
        raise TooManyRequestsError(f"{MAX_OF_ALL} requests in all")
    device_code, user_code = token_form.new_owner_token(), _new_user_code(transaction)
    transaction.execute(
        "INSERT INTO device_requests (digest, user_code_digest, app_id, scopes, requester,"
        " expires_at, poll_seconds) VALUES (?, ?, ?, ?, ?, ?, ?)",
        token_form.digest(device_code),
        token_form.digest(user_code),
        app.id,
        tokens.scopes_to_text(scopes),
        requester,
        now + LIFETIME,
        POLL_SECONDS,
    )
    return device_code, user_code


def _new_user_code(reader: Snapshot) -> str:
    while True:
        letters = "".join(secrets.choice(_LETTERS) for _ in range(8))
        code = f"{letters[:4]}-{letters[4:]}"
        if not reader.one(
            "SELECT 1 FROM device_requests WHERE user_code_digest = ?", token_form.digest(code)
        ):
            return code


def user_code_of(text: str) -> str | None:
    """Return a user code as it is shown, however it was entered; `None` if the text is none."""
    letters = re.sub(r"[\s-]", "", text).upper()
    return f"{letters[:4]}-{letters[4:]}" if _USER_CODE.fullmatch(letters) else None


def waiting(reader: Snapshot, entered: str) -> DeviceRequest | None:
    """Return the request with this user code, if it waits for its user."""
    user_code = user_code_of(entered)
    if user_code is None:
        return None
    row = reader.one(
        "SELECT app_id, scopes FROM device_requests WHERE user_code_digest = ? AND expires_at > ?"
        " AND link_id IS NULL AND refused_at IS NULL",
        token_form.digest(user_code),
        time.time(),
    )
    app = None if row is None else apps.get(reader, row["app_id"])
    if row is None or app is None or app.disabled_at is not None or not app.device_flow:
        return None
    return DeviceRequest(app, tokens.scopes_from_text(row["scopes"]) & app.scopes, user_code)


def allow(transaction: Transaction, request: DeviceRequest, link_id: int) -> None:
    """Let the program of a request fetch tokens of this authorization."""
    transaction.execute(
        "UPDATE device_requests SET link_id = ? WHERE user_code_digest = ?",
        link_id,
        token_form.digest(request.user_code),
    )


def refuse(transaction: Transaction, request: DeviceRequest) -> None:
    """Let the program of a request learn that its user has refused."""
    transaction.execute(
        "UPDATE device_requests SET refused_at = ? WHERE user_code_digest = ?",
        time.time(),
        token_form.digest(request.user_code),
    )


def is_known(reader: Snapshot, device_code: str) -> bool:
    """Whether there is a request with this device code, which may have expired or been decided."""
    digest = token_form.digest(device_code)
    return reader.one("SELECT 1 FROM device_requests WHERE digest = ?", digest) is not None


def poll(transaction: Transaction, device_code: str, *, app_id: int) -> Issued | Refusal:
    """Return the tokens that were allowed, once, or why there are none.

    Raises `ApiError` if the user was disabled.
    """
    digest = token_form.digest(device_code)
    row = transaction.one("SELECT * FROM device_requests WHERE digest = ?", digest)
    app = apps.get(transaction, app_id)
    if row is None or row["app_id"] != app_id or app is None or app.disabled_at is not None:
        return Refusal.INVALID
    now = time.time()
    if row["expires_at"] <= now:
        return Refusal.EXPIRED
    if row["refused_at"] is not None:
        return Refusal.DENIED
    if row["link_id"] is not None:
        link = apps.link_by_id(transaction, row["link_id"])
        if link is None or link.suspended:  # revoked, or the app changed, since the user allowed it
            return Refusal.DENIED
        transaction.execute("DELETE FROM device_requests WHERE digest = ?", digest)
        return issuing.begin(transaction, link) or Refusal.DENIED
    seconds = row["poll_seconds"]
    too_early = row["polled_at"] is not None and now < row["polled_at"] + seconds
    if too_early:
        seconds = min(seconds + POLL_SECONDS, MAX_POLL_SECONDS)
    transaction.execute(
        "UPDATE device_requests SET polled_at = ?, poll_seconds = ? WHERE digest = ?",
        now,
        seconds,
        digest,
    )
    return Refusal.SLOW_DOWN if too_early else Refusal.PENDING
