"""The tokens that an app gets for an authorization, and its refresh tokens (RFC 6749, 6): rows.

Rules:
- An app gets a token for each account of the authorization, and a refresh token. With that it gets
  new ones, and a new refresh token instead (rotation, RFC 9700, 4.14.2). Refresh tokens that
  replaced one another are a line.
- A refresh token works once, for the app that it was issued to. If it is used again, it was stolen,
  or its replacement was: the authorization ends, as for a code that is used again.
- Access tokens of a line end with the second refresh after them, so there are at most two for each
  account, and a connection has time to change over.
- Refresh tokens end with their authorization: their rows are deleted then. If it expires, so do
  all its tokens.
- They are stored as digests, like tokens.
"""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

from scopegate.gateway.access import apps, tokens
from scopegate.gateway.access.apps import AppLink
from scopegate.gateway.calls import token_form
from scopegate.store.transactions import Row, Snapshot, Transaction

TOKENS_LAST = 60 * 86_400
"""Seconds for which access tokens are valid."""
REFRESH_LASTS = 90 * 86_400
"""Seconds within which a refresh token must be used."""
MAX_LINES = 20
"""Refresh tokens of an authorization that can be used: a further one ends the oldest."""
MAX_USED = 100
"""Used refresh tokens of a line that are kept, the latest."""


class ScopeNotGrantedError(Exception):
    """A refresh asked for a scope that the authorization does not have."""


@dataclass(frozen=True, slots=True)
class Issued:
    """The tokens that an app gets for an authorization."""

    link: AppLink
    scopes: frozenset[str]
    tokens: list[tuple[str, str]]
    """The login id and the whole token, for each account."""
    lifetime: int
    """The seconds for which the tokens are valid."""
    refresh_token: str


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token, with its authorization."""

    id: int
    line_id: int
    link: AppLink
    created_at: float
    expires_at: float
    used: bool

    @property
    def active(self) -> bool:
        """Whether it can be used."""
        return (
            not (self.used or self.link.suspended or self.link.app.disabled_at is not None)
            and self.expires_at > time.time()
        )


def begin(transaction: Transaction, link: AppLink) -> Issued | None:
    """Issue tokens for an authorization, and the first refresh token of a line.

    Returns `None` if the authorization has expired. Raises `ApiError` if the user is disabled.
    """
    if link.expires_at is not None and link.expires_at <= time.time():
        return None
    issued = _issue(transaction, link, link.scopes, line_id=None)
    usable = transaction.all(
        "SELECT line_id FROM refresh_tokens WHERE link_id = ? AND used_at IS NULL ORDER BY id DESC",
        link.id,
    )
    for row in usable[MAX_LINES:]:
        transaction.execute("DELETE FROM refresh_tokens WHERE line_id = ?", row["line_id"])
    return issued


def find(reader: Snapshot, text: str) -> RefreshToken | None:
    """Return a refresh token, which may have been used, unless its authorization has ended."""
    row = reader.one("SELECT * FROM refresh_tokens WHERE digest = ?", token_form.digest(text))
    link = None if row is None else apps.link_by_id(reader, row["link_id"])
    if row is None or link is None:
        return None
    return RefreshToken(
        row["id"],
        row["line_id"],
        link,
        row["created_at"],
        row["expires_at"],
        row["used_at"] is not None,
    )


def refresh(
    transaction: Transaction, text: str, *, app_id: int, scopes: frozenset[str] | None = None
) -> Issued | None:
    """Exchange a refresh token for new tokens. Returns `None` if anything is wrong with it.

    `scopes` are those of the access tokens, by default all of the authorization; the new refresh
    token has all in any case. A second use ends the authorization.

    Raises `ScopeNotGrantedError` for others, and `ApiError` if the user is disabled.
    """
    found = find(transaction, text)
    if found is None or found.link.app.id != app_id or found.expires_at <= time.time():
        return None
    if found.used:
        apps.end_link(transaction, found.link.id)
        return None
    if not found.active:
        return None
    granted = found.link.scopes
    if scopes is not None and not scopes <= granted:
        raise ScopeNotGrantedError
    transaction.execute("UPDATE refresh_tokens SET used_at = ? WHERE id = ?", time.time(), found.id)
    chosen = granted if scopes is None else scopes
    issued = _issue(transaction, found.link, chosen, line_id=found.line_id)
    tokens.end(transaction, _issued_before(transaction, found))
    _forget_used(transaction, found.line_id)
    return issued


def end_line(transaction: Transaction, found: RefreshToken) -> None:
    """End a refresh token, those that it replaced or that replaced it, and their access tokens."""
    rows = transaction.all(
        "SELECT tokens.id FROM refresh_tokens JOIN tokens ON tokens.refresh_id = refresh_tokens.id"
        " WHERE refresh_tokens.line_id = ? AND tokens.ended_at IS NULL",
        found.line_id,
    )
    tokens.end(transaction, _ids(rows))
    transaction.execute("DELETE FROM refresh_tokens WHERE line_id = ?", found.line_id)


def _issue(
    transaction: Transaction, link: AppLink, scopes: frozenset[str], *, line_id: int | None
) -> Issued:
    now = time.time()
    # An authorization that expires ends all its tokens.
    latest = math.inf if link.expires_at is None else link.expires_at
    ends = min(now + TOKENS_LAST, latest)
    text = token_form.new_app_token()
    refresh_id = transaction.insert(
        "INSERT INTO refresh_tokens (digest, link_id, line_id, created_at, expires_at)"
        " VALUES (?, ?, ?, ?, ?)",
        token_form.digest(text),
        link.id,
        line_id or 0,
        now,
        min(now + REFRESH_LASTS, latest),
    )
    if line_id is None:
        transaction.execute("UPDATE refresh_tokens SET line_id = id WHERE id = ?", refresh_id)
    issued = [
        (
            loginid,
            tokens.issue(
                transaction,
                link.id,
                link.app.name,
                loginid,
                scopes,
                expires_at=ends,
                refresh_id=refresh_id,
            ),
        )
        for loginid in link.loginids
    ]
    return Issued(link, scopes, issued, int(ends - now), text)


def _issued_before(reader: Snapshot, found: RefreshToken) -> list[int]:
    """Return the access tokens of a line that were issued before this refresh token."""
    return _ids(
        reader.all(
            "SELECT tokens.id FROM refresh_tokens"
            " JOIN tokens ON tokens.refresh_id = refresh_tokens.id"
            " WHERE refresh_tokens.line_id = ? AND refresh_tokens.id < ?"
            " AND tokens.ended_at IS NULL",
            found.line_id,
            found.id,
        )
    )


def _forget_used(transaction: Transaction, line_id: int) -> None:
    transaction.execute(
        "DELETE FROM refresh_tokens WHERE line_id = ? AND id <= (SELECT id FROM refresh_tokens"
        " WHERE line_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
        line_id,
        line_id,
        MAX_USED + 1,  # the one that can be used is the latest
    )


def _ids(rows: Iterable[Row]) -> list[int]:
    return [row["id"] for row in rows]
