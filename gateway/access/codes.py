"""Authorisation codes (RFC 6749, 4.1): their rows.

Rules:
- A code lives `LIFETIME` seconds, is good once, and only for the app and the redirect address that
  it was made for, with the verifier of its PKCE challenge (RFC 7636).
- A code that comes a second time, with its verifier, was stolen one way or the other: the app's
  link ends, with whatever was made under it.
"""

import base64
import hashlib
import hmac
import time
from dataclasses import dataclass
from functools import partial

from scopegate.gateway.access import apps, tokens
from scopegate.gateway.access.apps import AppLink
from scopegate.gateway.calls import token_form
from scopegate.store.sqlite import Snapshot, Transaction

LIFETIME = 60.0
TOKENS_LAST = 60 * 86_400
"""Seconds for which tokens that were issued for a code are valid."""
_KEPT = 3600.0
"""Seconds for which a code that is over is remembered, to tell a second use of it."""


def create(
    transaction: Transaction, link_id: int, redirect_uri: str, *, given: bool, challenge: str
) -> str:
    """A new code for what a link grants; `given` where the app named the redirect address."""
    now = time.time()
    transaction.execute("DELETE FROM codes WHERE expires_at < ?", now - _KEPT)
    text = token_form.new_owner_token()
    transaction.execute(
        "INSERT INTO codes (digest, link_id, redirect_uri, redirect_uri_given, challenge,"
        " expires_at) VALUES (?, ?, ?, ?, ?, ?)",
        token_form.digest(text),
        link_id,
        redirect_uri,
        int(given),
        challenge,
        now + LIFETIME,
    )
    return text


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What a code was exchanged for: the link, and a token for each of its accounts."""

    link: AppLink
    tokens: list[tuple[str, str]]
    """Account and token, whole."""


def is_known(reader: Snapshot, text: str) -> bool:
    """Whether there is, or was a while ago, such a code."""
    digest = token_form.digest(text)
    return reader.one("SELECT 1 FROM codes WHERE digest = ?", digest) is not None


def exchange(
    transaction: Transaction, text: str, *, app_id: int, redirect_uri: str | None, verifier: str
) -> Exchanged | None:
    """Tokens for a code; `None`, whatever is wrong with it."""
    row = transaction.one("SELECT * FROM codes WHERE digest = ?", token_form.digest(text))
    if row is None:
        return None
    link = apps.link_by_id(transaction, row["link_id"])
    named = redirect_uri == row["redirect_uri"] or (
        redirect_uri is None and not row["redirect_uri_given"]
    )
    if link is None or link.suspended or link.app.id != app_id or not named:
        return None
    if not hmac.compare_digest(challenge_of(verifier), row["challenge"]):
        return None
    if row["used_at"] is not None:
        apps.end_link(transaction, link.id)
        return None
    if row["expires_at"] <= time.time():
        return None
    now = time.time()
    issue = partial(tokens.issue, transaction, link.id, link.app.name, expires_at=now + TOKENS_LAST)
    issued = [(loginid, issue(loginid, link.scopes)) for loginid in link.loginids]
    transaction.execute("UPDATE codes SET used_at = ? WHERE digest = ?", now, row["digest"])
    return Exchanged(link, issued)


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636, 4.2)."""
    hashed = hashlib.sha256(verifier.encode("ascii", "replace")).digest()
    return base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()
