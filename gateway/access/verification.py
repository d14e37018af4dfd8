"""Verification codes by e-mail, which prove control of an address: their rows.

Rules:
- A code is valid once, for `LIFETIME` seconds, and only for the address and the purpose that it was
  created for. It is stored as its digest; its text is only in the e-mail.
- At most `MAX_PER_ADDRESS` e-mails an hour go to one address, and `MAX_OF_ALL` to all of them
  together. Known addresses and others count alike: no reply and no limit reveals which is which.
- One requester (an address block, and likewise a signed-in user) causes at most `MAX_FROM_ONE` of
  the e-mails to an address, and so cannot use up all those of another user's address.
- E-mails that users request for themselves with their own API token are counted separately: nobody
  else can use them up, nor can an app.
"""

import hashlib
import secrets
import time
from dataclasses import dataclass

from scopegate.gateway.access import users
from scopegate.gateway.calls.errors import ApiError, rate_limit
from scopegate.store.transactions import Snapshot, Transaction

LIFETIME = 3600.0
MAX_PER_ADDRESS = 5
MAX_OF_ALL = 10_000
MAX_FROM_ONE = 3
"""E-mails an hour to one address, for one requester."""
MAX_PER_REQUESTER = 60
"""E-mails an hour for one requester, to all addresses."""

ACCOUNT_OPENING = "account_opening"
PAYMENT_AGENT_WITHDRAW = "paymentagent_withdraw"
PAYMENT_WITHDRAW = "payment_withdraw"

_LETTERS = "abcdefghijkmnopqrstuvwxyz23456789"
"""Characters that are easy to copy: no `l`, and neither 0 nor 1."""
_LENGTH = 16
"""Sixteen of them are 80 bits, more than can be guessed in an hour."""


@dataclass(frozen=True, slots=True)
class Requester:
    """The client that requests an e-mail."""

    block: str | None = None
    """The client's address block; `None` if the request comes from no client."""
    user_id: int | None = None
    """The signed-in user, if there is one."""
    by_app: bool = False
    """Whether an app acts for this user."""


def create(
    transaction: Transaction, email: str, kind: str, requester: Requester = Requester()
) -> str:
    """Create a code for this purpose and return its text, which is not stored.

    Raises `RateLimit` after too many e-mails to the address, for the requester, or in total.
    """
    email = users.normal(email)
    now = time.time()
    transaction.execute("DELETE FROM email_codes WHERE sent_at <= ?", now - LIFETIME)
    own = _is_reader(transaction, email, requester)
    if own:
        _refuse_many(transaction, "own = 1 AND email = ?", email)
    else:
        _refuse_unknown_address(transaction, email, requester)
    text = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    transaction.execute(
        "INSERT INTO email_codes (digest, email, kind, sent_at, block, user_id, own)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        _digest(text),
        email,
        kind,
        now,
        requester.block,
        requester.user_id,
        int(own),
    )
    return text


def _is_reader(reader: Snapshot, email: str, requester: Requester) -> bool:
    """Whether the e-mail goes to the same user who requests it."""
    if requester.user_id is None or requester.by_app:
        return False
    known: str = users.by_id(reader, requester.user_id)["email"]
    return users.normal(known) == email


def _refuse_unknown_address(transaction: Transaction, email: str, requester: Requester) -> None:
    for column, value in (("block", requester.block), ("user_id", requester.user_id)):
        if value is None:
            continue
        _refuse_many(
            *(transaction, f"own = 0 AND {column} = ? AND email = ?", value, email),
            limit=MAX_FROM_ONE,
            what="to one address from one client",
        )
        _refuse_many(
            *(transaction, f"own = 0 AND {column} = ?", value),
            limit=MAX_PER_REQUESTER,
            what="from one client",
        )
    _refuse_many(transaction, "own = 0 AND email = ?", email)
    _refuse_many(transaction, "own = 0", limit=MAX_OF_ALL, what="for one gateway")


def _refuse_many(
    reader: Snapshot,
    where: str,
    *values: str | int,
    limit: int = MAX_PER_ADDRESS,
    what: str = "to one address",
) -> None:
    [sent] = reader.single(f"SELECT count(*) FROM email_codes WHERE {where}", *values)  # noqa: S608
    if sent >= limit:
        raise rate_limit("verify_email", f"{limit} e-mails an hour {what}")


def _digest(text: str) -> bytes:
    # A fast hash is enough for a secret that is random itself.
    return hashlib.sha256(text.encode()).digest()


def address_of(reader: Snapshot, kind: str, code: str) -> str:
    """Return the address that the code was sent to. Raises `InvalidToken` unless it is valid."""
    row = reader.one(
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

    Raises `InvalidToken` unless it is valid; nothing is used up then.
    """
    if address_of(transaction, kind, code) != users.normal(email):
        raise _wrong()
    transaction.execute(
        "UPDATE email_codes SET used_at = ? WHERE digest = ?", time.time(), _digest(code)
    )


def _wrong() -> ApiError:
    return ApiError(
        "InvalidToken",
        "The verification code is wrong, used or expired. Request another with verify_email.",
    )
