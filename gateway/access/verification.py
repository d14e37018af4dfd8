"""Codes by e-mail, which show that somebody reads the mail of an address: their rows.

Rules:
- A code is good once, for `LIFETIME` seconds, and only for the address and the purpose that it was
  made for. It is kept as its digest; its text stands in the letter alone.
- An address is written to `MOST_OF_AN_ADDRESS` times an hour at the most, and all of them together
  `MOST_OF_ALL` times. Known addresses and others count alike: no answer and no limit tells them
  apart.
"""

import hashlib
import secrets
import time

from gateway.access import users
from gateway.errors import ApiError, rate_limit
from gateway.store import Transaction

LIFETIME = 3600.0
MOST_OF_AN_ADDRESS = 5
MOST_OF_ALL = 10_000

ACCOUNT_OPENING = "account_opening"
PAYMENT_AGENT_WITHDRAW = "paymentagent_withdraw"
PAYMENT_WITHDRAW = "payment_withdraw"

_LETTERS = "abcdefghijkmnopqrstuvwxyz23456789"
"""What people can copy: no `l`, and neither 0 nor 1."""
_LENGTH = 16
"""Sixteen of them are 80 bits, more than can be guessed in an hour."""


def create(transaction: Transaction, email: str, kind: str) -> str:
    """A new code for this purpose, whole: the only time that its text is known.

    Raises `RateLimit` where too much has been sent to the address, or at all.
    """
    email = users.normal(email)
    now = time.time()
    transaction.execute("DELETE FROM email_codes WHERE sent_at <= ?", now - LIFETIME)
    _refuse_many(transaction, "WHERE email = ?", email, most=MOST_OF_AN_ADDRESS, what="address")
    _refuse_many(transaction, "", most=MOST_OF_ALL, what="gateway")
    text = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    transaction.execute(
        "INSERT INTO email_codes (digest, email, kind, sent_at) VALUES (?, ?, ?, ?)",
        _digest(text),
        email,
        kind,
        now,
    )
    return text


def _refuse_many(transaction: Transaction, where: str, *values: str, most: int, what: str) -> None:
    row = transaction.one(f"SELECT count(*) FROM email_codes {where}", *values)  # noqa: S608
    if row is not None and row[0] >= most:
        raise rate_limit("verify_email", f"{most} letters an hour for one {what}")


def _digest(text: str) -> bytes:
    # A fast hash is right for a secret that is random itself.
    return hashlib.sha256(text.encode()).digest()


def address_of(transaction: Transaction, kind: str, code: str) -> str:
    """The address that the code was sent to. Raises `InvalidToken` unless it is good."""
    row = transaction.one(
        "SELECT email FROM email_codes"
        " WHERE digest = ? AND kind = ? AND used_at IS NULL AND sent_at > ?",
        _digest(code),
        kind,
        time.time() - LIFETIME,
    )
    if row is None:
        raise _wrong()
    email: str = row["email"]
    return email


def take(transaction: Transaction, email: str, kind: str, code: str) -> None:
    """Use up the code, which must have been sent to this address for this purpose.

    Raises `InvalidToken` unless it is good; then nothing is used up.
    """
    if address_of(transaction, kind, code) != users.normal(email):
        raise _wrong()
    transaction.execute(
        "UPDATE email_codes SET used_at = ? WHERE digest = ?", time.time(), _digest(code)
    )


def _wrong() -> ApiError:
    return ApiError(
        "InvalidToken",
        "The verification code is wrong, was used, or is too old: ask for another with"
        " verify_email.",
    )
