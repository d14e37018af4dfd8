"""Tokens: their rows.

Rules:
- A token is stored as its digest; its text exists only in the reply or the line that creates it.
- A token is for one account. One that was issued to an app belongs to the app's authorization, as
  does every token created with it, and ends with that authorization.
- A token of a sign-in at the pages ends with that sign-in, or when it expires.
- A token created with another is its child and ends with it, whatever ends the parent. A sign-in is
  not a parent: tokens that the owner creates at the pages last until they are deleted.
- A token has at least the restrictions of its parent, or of its authorization.
- The tokens of a suspended authorization allow nothing until its user agrees again, those of a
  disabled app until it is enabled.
- When tokens end or are suspended, this is announced, and live connections act on it.
"""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

from scopegate.gateway.access import audit, restrictions
from scopegate.gateway.access.audit import Event
from scopegate.gateway.access.restrictions import InForce
from scopegate.gateway.calls import token_form
from scopegate.gateway.calls.errors import (
    ApiError,
    authorization_required,
)
from scopegate.store.transactions import Announcement, Row, Snapshot, Transaction

MAX_PER_USER = 100
"""Owner tokens that one account may have at once."""

MAX_PER_AUTHORIZATION = 20
"""Tokens that an app may hold for one account: a further one ends the oldest.

With `api_token` it may create as many again for the account: a further one is refused.
"""


@dataclass(frozen=True, slots=True)
class TokensEnded(Announcement):
    """Announces that tokens have ended."""

    kind: ClassVar[str] = "tokens_ended"
    ids: list[int]
    by: str
    """The id of the session that asked for it; empty if none did."""


@dataclass(frozen=True, slots=True)
class TokensSuspended(TokensEnded):
    """Announces that tokens allow nothing until their user agrees to the app's changes, or the
    operator enables the app.
    """

    kind: ClassVar[str] = "tokens_suspended"


@dataclass(frozen=True, slots=True)
class ExpiryChanged(Announcement):
    """Announces when tokens expire from now on."""

    kind: ClassVar[str] = "expiry_changed"
    ids: list[int]
    expires_at: float | None
    """In epoch seconds of real time; `None` if they no longer expire."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token, with data of its account, user and authorization."""

    id: int
    masked: str
    loginid: str
    name: str
    scopes: frozenset[str]
    valid_for_ip: str
    app_id: int | None
    link_id: int | None
    link_loginids: frozenset[str] | None
    """The accounts of the token's authorization; `None` where it has none."""
    kind: str
    sign_in_id: int | None
    parent_id: int | None
    """Its parent, the token that it was created with and ends with."""
    root_id: int
    """The first token in its line of parents, the token itself if it has no parent.

    If that token was rotated, this is the id that it had at first.
    """
    created_at: float
    expires_at: float | None
    last_used_at: float | None
    last_used_from: str
    """The address of its last use; empty before the first."""
    user_id: int
    suspended: bool
    """Whether it allows nothing until the user agrees to the app again, or it is enabled."""
    restrictions_id: int | None
    """Its restrictions, or those of its parent or authorization; `None` if there are none."""
    restricted: InForce = restrictions.UNRESTRICTED
    """What of them the gateway itself enforces; only `find` reads that."""
    account: object = None
    """What a plugin stores about its account."""

    @property
    def expired(self) -> bool:
        """Whether it has expired, even if it was not ended yet."""
        return _has_expired(self.expires_at)


_PRESENT = """
    FROM tokens
    JOIN accounts ON accounts.loginid = tokens.loginid
    JOIN users ON users.id = accounts.user_id
    LEFT JOIN links ON links.id = tokens.link_id
    LEFT JOIN apps ON apps.id = links.app_id
    WHERE tokens.ended_at IS NULL AND users.disabled_at IS NULL
"""
_SUSPENDED = "coalesce(links.suspended_at, apps.disabled_at) AS suspended_at"
_SELECT = f"""
    SELECT tokens.*, accounts.user_id, links.app_id, links.loginids AS link_loginids,
        {_SUSPENDED}
    {_PRESENT}
"""
_SELECT_VALIDITY = f"""
    SELECT tokens.expires_at, tokens.restrictions_id, {_SUSPENDED} {_PRESENT} AND tokens.id = ?
"""


def _has_expired(expires_at: float | None) -> bool:
    return expires_at is not None and expires_at <= time.time()


def scopes_to_text(scopes: Iterable[str]) -> str:
    """Encode scopes as a column holds them."""
    return ",".join(sorted(scopes))


def scopes_from_text(text: str) -> frozenset[str]:
    """Decode scopes from a column."""
    return frozenset(text.split(",")) - {""}


def moment_text(moment: float | None) -> str:
    """Format epoch seconds (UTC) as lists show them; empty for `None`."""
    return "" if moment is None else time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(moment))


def _token(row: Row) -> Token:
    return Token(
        id=row["id"],
        masked=row["masked"],
        loginid=row["loginid"],
        name=row["name"],
        scopes=scopes_from_text(row["scopes"]),
        valid_for_ip=row["valid_for_ip"],
        app_id=row["app_id"],
        link_id=row["link_id"],
        link_loginids=(
            None
            if row["link_loginids"] is None
            else frozenset(row["link_loginids"].split(",")) - {""}
        ),
        kind=row["kind"],
        sign_in_id=row["sign_in_id"],
        parent_id=row["parent_id"],
        root_id=row["id"] if row["first_id"] is None else row["first_id"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
        last_used_from=row["last_used_from"],
        user_id=row["user_id"],
        suspended=row["suspended_at"] is not None,
        restrictions_id=row["restrictions_id"],
    )


def find(reader: Snapshot, digest: bytes) -> Token | None:
    """Return the token with this digest, unless it has ended; it may be suspended."""
    token = _alive(reader.one(_SELECT + " AND tokens.digest = ?", digest))
    if token is None:
        return None
    if token.restrictions_id is not None:
        token = replace(token, restricted=restrictions.in_force(reader, token.restrictions_id))
    if token.parent_id is None:
        return token
    root = reader.single(
        "WITH RECURSIVE line (id, parent_id, first_id) AS"
        " (SELECT id, parent_id, first_id FROM tokens WHERE id = ?"
        " UNION SELECT tokens.id, tokens.parent_id, tokens.first_id FROM tokens"
        " JOIN line ON tokens.id = line.parent_id)"
        " SELECT coalesce(first_id, id) FROM line WHERE parent_id IS NULL",
        token.id,
    )
    return replace(token, root_id=root[0])


def _alive(row: Row | None) -> Token | None:
    if row is None or (token := _token(row)).expired:
        return None
    return token


class ValidToken(NamedTuple):
    """What a transaction needs of a token that is valid."""

    restrictions_id: int | None
    """The id of its restrictions, if it has any."""


def find_valid(reader: Snapshot, token_id: int) -> ValidToken | None:
    """Return the token unless it has ended or is suspended, as this transaction sees it."""
    row = reader.one(_SELECT_VALIDITY, token_id)
    if row is None or row["suspended_at"] is not None or _has_expired(row["expires_at"]):
        return None
    return ValidToken(row["restrictions_id"])


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that is to be created."""

    loginid: str
    """The account that it is for."""
    name: str
    scopes: Iterable[str]
    kind: str = "owner"
    """`owner`, `app` for one that is issued to an app, or `demo` for the demo token."""
    valid_for_ip: str = ""
    """The one address that it works from; any if empty."""
    link_id: int | None = None
    """The authorization of the app that it is issued to, or that creates it."""
    sign_in_id: int | None = None
    """The sign-in at the pages that it ends with."""
    parent_id: int | None = None
    """The token that it is created with."""
    expires_at: float | None = None
    """Epoch seconds of real time; `None` if it lasts until it is deleted."""
    restrictions_id: int | None = None
    """The restrictions of its parent or authorization, which hold for it too."""
    refresh_id: int | None = None
    """The refresh token that it is issued with."""
    replaces: int | None = None
    """The token that ends when this one is created, and does not count for the limit."""


def create(transaction: Transaction, new: NewToken) -> str:
    """Create a token and return its text, which is not stored.

    Raises `ApiError` if the user is disabled, or the account has `MAX_PER_USER` already, or one of
    that name. Tokens that an app creates are counted (up to `MAX_PER_AUTHORIZATION`) and named
    separately, so that no app uses up the owner's or another app's.
    """
    loginid, link_id = new.loginid, new.link_id
    if transaction.one(
        "SELECT 1 FROM accounts JOIN users ON users.id = accounts.user_id"
        " WHERE accounts.loginid = ? AND users.disabled_at IS NOT NULL",
        loginid,
    ):
        raise ApiError("APITokenError", f"The user of {loginid} is disabled.")
    if new.kind == "owner" and new.sign_in_id is None:
        names = [
            token.name
            for token in listed(transaction, loginid)
            if token.link_id == link_id and token.id != new.replaces
        ]
        limit = MAX_PER_USER if link_id is None else MAX_PER_AUTHORIZATION
        if len(names) >= limit:
            raise ApiError(
                "TooManyTokens",
                f"An account can have at most {limit} tokens. Delete one first."
                if link_id is None
                else f"An app can create at most {limit} tokens for an account. Delete one first.",
            )
        if new.name in names:
            raise ApiError("APITokenError", "There is already a token with this name.")
    text = _new_text(transaction, loginid, new.kind)
    token_id = transaction.insert(
        "INSERT INTO tokens (digest, masked, loginid, name, scopes, valid_for_ip, link_id, kind,"
        " sign_in_id, parent_id, expires_at, restrictions_id, refresh_id, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        token_form.digest(text),
        token_form.masked(text),
        loginid,
        new.name,
        scopes_to_text(new.scopes),
        new.valid_for_ip,
        link_id,
        new.kind,
        new.sign_in_id,
        new.parent_id,
        new.expires_at,
        new.restrictions_id,
        new.refresh_id,
        time.time(),
    )
    if new.sign_in_id is None:  # else the sign-in is recorded
        audit.record(
            transaction,
            Event.TOKEN_CREATED,
            _user_of(transaction, loginid),
            token=token_id,
            masked=token_form.masked(text),
            loginid=loginid,
            name=new.name,
            scopes=sorted(new.scopes),
            **({} if link_id is None else {"authorization": link_id}),
        )
    return text


def _user_of(reader: Snapshot, loginid: str) -> int:
    row = reader.single("SELECT user_id FROM accounts WHERE loginid = ?", loginid)
    user_id: int = row["user_id"]
    return user_id


def issue(
    transaction: Transaction,
    link_id: int,
    name: str,
    loginid: str,
    scopes: Iterable[str],
    *,
    expires_at: float | None = None,
    refresh_id: int | None = None,
) -> str:
    """Issue a token to an app for one account and return its text.

    It has the restrictions of the authorization, and expires with it, or at `expires_at` before.
    `refresh_id` is the refresh token that it is issued with. Beyond `MAX_PER_AUTHORIZATION` the
    oldest ends.
    """
    row = transaction.single("SELECT restrictions_id, expires_at FROM links WHERE id = ?", link_id)
    ends = [each for each in (expires_at, row["expires_at"]) if each is not None]
    text = create(
        transaction,
        NewToken(
            loginid,
            name,
            scopes,
            kind="app",
            link_id=link_id,
            expires_at=min(ends, default=None),
            restrictions_id=row["restrictions_id"],
            refresh_id=refresh_id,
        ),
    )
    held = transaction.all(
        "SELECT id FROM tokens WHERE link_id = ? AND loginid = ? AND kind = 'app'"
        " AND ended_at IS NULL ORDER BY id DESC",
        link_id,
        loginid,
    )
    end(transaction, _ids(held[MAX_PER_AUTHORIZATION:]))
    return text


def create_beside(transaction: Transaction, token_id: int, loginid: str) -> str:
    """Create a token for another account of the same user and return its text.

    It has the name, scopes, restrictions and expiry of the token `token_id`, and works from the
    same address. It ends with its authorization or sign-in, or is a child of that token. Raises
    `TokenRestricted` if that token is restricted to other accounts.
    """
    row = transaction.single("SELECT * FROM tokens WHERE id = ?", token_id)
    has_other_end = row["kind"] == "app" or row["sign_in_id"] is not None
    if not restrictions.in_force(transaction, row["restrictions_id"]).reaches(loginid):
        raise ApiError(
            restrictions.RESTRICTED,
            "This token is restricted to certain accounts: it cannot open another.",
            {"restriction": "accounts"},
        )
    return create(
        transaction,
        NewToken(
            loginid,
            row["name"],
            scopes_from_text(row["scopes"]),
            kind=row["kind"],
            valid_for_ip=row["valid_for_ip"],
            link_id=row["link_id"],
            sign_in_id=row["sign_in_id"],
            parent_id=row["parent_id"] if has_other_end else token_id,
            expires_at=row["expires_at"],
            restrictions_id=row["restrictions_id"],
        ),
    )


def _new_text(reader: Snapshot, loginid: str, kind: str) -> str:
    """Generate a token whose masked form is unique among the account's tokens."""
    while True:
        text = token_form.new_app_token() if kind == "app" else token_form.new_owner_token()
        if not reader.one(
            "SELECT 1 FROM tokens WHERE loginid = ? AND masked = ?",
            loginid,
            token_form.masked(text),
        ):
            return text


def listed(reader: Snapshot, loginid: str, *, link_id: int | None = None) -> list[Token]:
    """The account's tokens that its owner manages, oldest first.

    These are not tokens issued to apps, which end with the authorization, nor those of a sign-in,
    which end with it. With `link_id` only those that were created under this authorization.
    """
    rows = reader.all(
        _SELECT + " AND tokens.loginid = ? AND tokens.kind <> 'app' AND tokens.sign_in_id IS NULL"
        " AND (CAST(? AS BIGINT) IS NULL OR tokens.link_id = ?) ORDER BY tokens.id",
        loginid,
        link_id,
        link_id,
    )
    return [token for token in map(_token, rows) if not token.expired]


def by_id(reader: Snapshot, token_id: int) -> Token:
    """Return a token that has not ended. Raises `AuthorizationRequired` if it has."""
    row = reader.one(_SELECT + " AND tokens.id = ?", token_id)
    if row is None:
        raise authorization_required()
    return _token(row)


def parent_of(reader: Snapshot, token: Token) -> Token | None:
    """Return the parent of a token, if it has one that has not ended."""
    if token.parent_id is None:
        return None
    row = reader.one(_SELECT + " AND tokens.id = ?", token.parent_id)
    return None if row is None else _token(row)


def end(transaction: Transaction, ids: Iterable[int], *, by: str = "") -> list[int]:
    """End these tokens and their descendants; return the ids of those that had not ended before.

    `by` is the id of the session that asked for it.
    """
    ended = [
        row
        for token_id in with_descendants(transaction, ids)
        for row in transaction.all(
            "UPDATE tokens SET ended_at = ? WHERE id = ? AND ended_at IS NULL"
            " RETURNING id, masked, loginid",
            time.time(),
            token_id,
        )
    ]
    if ended:
        transaction.announce(TokensEnded(_ids(ended), by))
        _record(transaction, Event.TOKENS_ENDED, ended)
    return _ids(ended)


def _record(transaction: Transaction, event: Event, rows: Iterable[Row]) -> None:
    """Record what happened to these tokens, rows of id, masked and loginid, for each user."""
    users: dict[str, int] = {}
    by_user: dict[int, dict[int, str]] = {}
    for row in rows:
        loginid = row["loginid"]
        if loginid not in users:
            users[loginid] = _user_of(transaction, loginid)
        by_user.setdefault(users[loginid], {})[row["id"]] = row["masked"]
    for user_id, masked in by_user.items():
        audit.record(transaction, event, user_id, tokens=list(masked), masked=list(masked.values()))


def with_descendants(reader: Snapshot, ids: Iterable[int]) -> list[int]:
    """Return these tokens and all their descendants that have not ended."""
    found: dict[int, None] = {}
    for token_id in ids:
        if token_id not in found:
            found |= dict.fromkeys(
                _ids(
                    reader.all(
                        "WITH RECURSIVE family (id) AS (SELECT ? UNION SELECT tokens.id"
                        " FROM tokens JOIN family ON tokens.parent_id = family.id"
                        " WHERE tokens.ended_at IS NULL)"
                        " SELECT id FROM family",
                        token_id,
                    )
                )
            )
    return list(found)


def _ids(rows: Iterable[Row]) -> list[int]:
    return [row["id"] for row in rows]


def end_all_of_user(transaction: Transaction, user_id: int) -> list[int]:
    """End every token of a user, also those with which apps get others; return their ids."""
    transaction.execute(
        "DELETE FROM refresh_tokens WHERE link_id IN (SELECT id FROM links WHERE user_id = ?)",
        user_id,
    )
    return end(
        transaction,
        _ids(
            transaction.all(
                "SELECT tokens.id FROM tokens JOIN accounts ON accounts.loginid = tokens.loginid"
                " WHERE accounts.user_id = ? AND tokens.ended_at IS NULL",
                user_id,
            )
        ),
    )


def end_all_of_link(transaction: Transaction, link_id: int, *, by: str = "") -> list[int]:
    """End every token of an authorization, also its refresh tokens; return their ids."""
    transaction.execute("DELETE FROM refresh_tokens WHERE link_id = ?", link_id)
    return end(transaction, ids_of_link(transaction, link_id), by=by)


def _of_link(reader: Snapshot, link_id: int) -> list[Row]:
    return reader.all(
        "SELECT id, masked, loginid FROM tokens WHERE link_id = ? AND ended_at IS NULL", link_id
    )


def ids_of_link(reader: Snapshot, link_id: int) -> list[int]:
    """Return the ids of the tokens of an authorization that have not ended."""
    return _ids(_of_link(reader, link_id))


def suspend_all_of_link(transaction: Transaction, link_id: int, *, by: str = "") -> None:
    """Announce that the tokens of an authorization, those that have not ended, are suspended."""
    rows = _of_link(transaction, link_id)
    if rows:
        transaction.announce(TokensSuspended(_ids(rows), by))
        _record(transaction, Event.TOKENS_SUSPENDED, rows)


def end_sign_in(transaction: Transaction, token_id: int, *, by: str = "") -> None:
    """End every token of the sign-in that this token belongs to."""
    rows = transaction.all(
        "SELECT id FROM tokens WHERE sign_in_id = (SELECT sign_in_id FROM tokens WHERE id = ?)",
        token_id,
    )
    end(transaction, _ids(rows), by=by)


def end_sign_ins_of_user(transaction: Transaction, user_id: int) -> None:
    """End every sign-in of a user at the pages."""
    rows = transaction.all(
        "SELECT tokens.id FROM tokens JOIN accounts ON accounts.loginid = tokens.loginid"
        " WHERE accounts.user_id = ? AND tokens.sign_in_id IS NOT NULL",
        user_id,
    )
    end(transaction, _ids(rows))


def end_oldest_sign_ins(transaction: Transaction, user_id: int, *, keep: int) -> None:
    """End all sign-ins of a user at the pages but the latest `keep`."""
    rows = transaction.all(
        "SELECT tokens.id, tokens.sign_in_id FROM tokens"
        " JOIN accounts ON accounts.loginid = tokens.loginid"
        " WHERE accounts.user_id = ? AND tokens.sign_in_id IS NOT NULL AND tokens.ended_at IS NULL",
        user_id,
    )
    latest = sorted({row["sign_in_id"] for row in rows}, reverse=True)[:keep]
    end(transaction, [row["id"] for row in rows if row["sign_in_id"] not in latest])


def end_expired(transaction: Transaction) -> None:
    """End the tokens that have expired."""
    rows = transaction.all(
        "SELECT id FROM tokens WHERE ended_at IS NULL AND expires_at <= ?", time.time()
    )
    end(transaction, _ids(rows))


def end_demo(transaction: Transaction, *, before: float = math.inf) -> None:
    """End the demo token of the last start, created `before` then, and those created with it."""
    rows = transaction.all("SELECT id FROM tokens WHERE kind = 'demo' AND created_at < ?", before)
    end(transaction, _ids(rows))


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds that a token passes on to its children."""

    link_id: int | None
    """The authorization that it belongs to."""
    valid_for_ip: str
    """The one address that it works from; any address if empty."""
    parent_id: int | None
    """The token itself; `None` for a sign-in at the pages, which is not a parent."""
    expires_at: float | None
    """When it expires; `None` if it does not, or is a sign-in."""
    restrictions_id: int | None
    """Its restrictions."""


def bounds_of(reader: Snapshot, token_id: int) -> Bounds:
    """Return the bounds that a token passes on to its children."""
    row = reader.single("SELECT * FROM tokens WHERE id = ?", token_id)
    is_sign_in = row["sign_in_id"] is not None
    return Bounds(
        row["link_id"],
        row["valid_for_ip"],
        None if is_sign_in else token_id,
        None if is_sign_in else row["expires_at"],
        row["restrictions_id"],
    )


def managed(reader: Snapshot, loginid: str, shown: str, *, link_id: int | None = None) -> Token:
    """Return a token of an account that its owner manages, by its text or its masked text.

    With `link_id` only one that was created under this authorization. Raises `APITokenError` if
    there is none.
    """
    wanted = token_form.masked(shown) if token_form.well_formed(shown) else shown
    for token in listed(reader, loginid, link_id=link_id):
        if token.masked == wanted:
            return token
    raise ApiError("APITokenError", "There is no such token.")
