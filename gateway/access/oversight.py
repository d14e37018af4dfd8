"""Queries for what an owner is shown about tokens, connected apps and their uses.

Rules: every function only reads; nothing that has ended is shown as valid.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scopegate.gateway.access import apps, token_hints, token_uses, tokens
from scopegate.gateway.access.accounts import Account
from scopegate.gateway.access.apps import AppLink
from scopegate.gateway.access.token_hints import TokenFacts
from scopegate.gateway.access.tokens import Token
from scopegate.store.transactions import Row, Snapshot


@dataclass(frozen=True, slots=True)
class Connected:
    """A connected app, with its tokens that have not ended."""

    link: AppLink
    owner: str
    """Who registered the app."""
    token_ids: list[int]
    loginids: list[str]


def connected(reader: Snapshot, user_id: int) -> list[Connected]:
    """The connected apps of a user, the first authorized first."""
    found = []
    for link in apps.links_of_user(reader, user_id):
        held = reader.all(
            "SELECT id, loginid FROM tokens WHERE link_id = ? AND ended_at IS NULL", link.id
        )
        loginids = link.loginids or sorted({row["loginid"] for row in held})
        owner = apps.registrant(reader, link.app)
        found.append(Connected(link, owner, [row["id"] for row in held], loginids))
    return found


@dataclass(frozen=True, slots=True)
class ManagedToken:
    """A token that the owner manages, with the app and the token that created it."""

    token: Token
    made_by: str
    """The app that created it; empty if the owner did."""
    parent: Token | None
    """The token that it was created with, if there is one."""
    calls: frozenset[str]
    """The calls that were made with it, and with those created with it."""
    all_calls_known: bool
    """Whether uses of it were not deleted because there were too many."""

    def facts(self) -> TokenFacts:
        """Return what hints about it depend on."""
        return TokenFacts(
            scopes=self.token.scopes,
            created_at=self.token.created_at,
            last_used_at=self.token.last_used_at,
            expires_at=self.token.expires_at,
            calls=self.calls,
            all_calls_known=self.all_calls_known,
        )


def tokens_of(reader: Snapshot, accounts: Sequence[Account]) -> list[ManagedToken]:
    """The tokens of these accounts that the owner manages, by account, newest first."""
    shown = []
    calls, overfull = _calls_of(reader, [account.loginid for account in accounts])
    for account in accounts:
        for token in reversed(tokens.listed(reader, account.loginid)):
            app = None if token.app_id is None else apps.get(reader, token.app_id)
            parent = tokens.parent_of(reader, token)
            shown.append(
                ManagedToken(
                    token,
                    app.name if app else "",
                    parent,
                    calls.get(token.id, frozenset()),
                    token.id not in overfull,
                )
            )
    return shown


def _calls_of(
    reader: Snapshot, loginids: Iterable[str]
) -> tuple[dict[int, frozenset[str]], frozenset[int]]:
    """Return the calls of each token with those of its children, and the tokens of which only the
    latest uses are kept.
    """
    calls: dict[int, set[str]] = {}
    rows_of: Counter[int] = Counter()
    parents: dict[int, int | None] = {}
    for loginid in loginids:
        owned = "loginid = ? AND kind <> 'app' AND sign_in_id IS NULL"
        for row in reader.all(f"SELECT id, parent_id FROM tokens WHERE {owned}", loginid):  # noqa: S608
            parents[row["id"]] = row["parent_id"]
        for row in reader.all(
            "SELECT token_id, call, count(*) AS addresses FROM token_uses"  # noqa: S608 - see above
            f" WHERE token_id IN (SELECT id FROM tokens WHERE {owned}) GROUP BY token_id, call",
            loginid,
        ):
            calls.setdefault(row["token_id"], set()).add(row["call"])
            rows_of[row["token_id"]] += row["addresses"]
    # What a token without all uses has done is not known of its parents either.
    overfull = {token_id: {""} for token_id, rows in rows_of.items() if rows >= token_uses.MAX_USES}
    return (
        token_hints.calls_with_children(calls, parents),
        frozenset(token_hints.calls_with_children(overfull, parents)),
    )


def uses_of(reader: Snapshot, user_id: int, *, limit: int, own_pages: bool) -> list[Row]:
    """Uses of a user's tokens, newest first: a row for each token, call and address.

    With `own_pages`, uses of sign-ins at the pages are included.
    """
    return reader.all(
        "SELECT token_uses.*, tokens.loginid, tokens.name, tokens.masked, tokens.kind,"
        " tokens.sign_in_id, tokens.ended_at, links.app_id, apps.name AS app_name"
        " FROM token_uses JOIN tokens ON tokens.id = token_uses.token_id"
        " JOIN accounts ON accounts.loginid = tokens.loginid"
        " LEFT JOIN links ON links.id = tokens.link_id"
        " LEFT JOIN apps ON apps.id = links.app_id"
        " WHERE accounts.user_id = ? AND (? = 1 OR tokens.sign_in_id IS NULL)"
        " ORDER BY token_uses.last_at DESC, token_uses.call LIMIT ?",
        user_id,
        int(own_pages),
        limit,
    )
