"""Authorization codes (RFC 6749, 4.1): their rows.

Rules:
- A code is valid for `LIFETIME` seconds, once, and only for the app and the redirect URI that it
  was issued for, with the verifier of its PKCE challenge (RFC 7636).
- A code that is used a second time, with its verifier, was stolen: the app's authorization ends,
  with all tokens created under it.
"""

import base64
import hashlib
import hmac
import time

from scopegate.gateway.access import apps, issuing
from scopegate.gateway.access.issuing import Issued
from scopegate.gateway.calls import token_form
from scopegate.store.transactions import Snapshot, Transaction

LIFETIME = 60.0
KEPT = 3600.0
"""Seconds for which an expired code is kept, to detect a second use of it."""


def create(
    transaction: Transaction, link_id: int, redirect_uri: str, *, given: bool, challenge: str
) -> str:
    """Create a code for an authorization; `given` if the request named the redirect URI."""
    now = time.time()
    transaction.execute("DELETE FROM codes WHERE expires_at < ?", now - KEPT)
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


def is_known(reader: Snapshot, text: str) -> bool:
    """Whether this code is stored; it may have expired in the last `KEPT` seconds."""
    digest = token_form.digest(text)
    return reader.one("SELECT 1 FROM codes WHERE digest = ?", digest) is not None


def exchange(
    transaction: Transaction, text: str, *, app_id: int, redirect_uri: str | None, verifier: str
) -> Issued | None:
    """Exchange a code for tokens. Returns `None` if anything is wrong with it.

    The tokens have the restrictions of the authorization, and expire with it. A second use with the
    right verifier ends the authorization.
    """
    row = transaction.one("SELECT * FROM codes WHERE digest = ?", token_form.digest(text))
    if row is None:
        return None
    link = apps.link_by_id(transaction, row["link_id"])
    named = redirect_uri == row["redirect_uri"] or (
        redirect_uri is None and not row["redirect_uri_given"]
    )
    if link is None or link.suspended or link.app.id != app_id or not named:
        return None
    if link.app.disabled_at is not None:
        return None
    if not hmac.compare_digest(challenge_of(verifier), row["challenge"]):
        return None
    if row["used_at"] is not None:
        apps.end_link(transaction, link.id)
        return None
    if row["expires_at"] <= time.time():
        return None
    issued = issuing.begin(transaction, link)
    if issued is None:
        return None
    transaction.execute("UPDATE codes SET used_at = ? WHERE digest = ?", time.time(), row["digest"])
    return issued


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636, 4.2)."""
    hashed = hashlib.sha256(verifier.encode("ascii", "replace")).digest()
    return base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()
