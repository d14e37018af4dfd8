"""Managing tokens: their restrictions, their expiry, and new secrets for them."""

import time
from collections.abc import Iterable
from dataclasses import replace

from scopegate.gateway.access import audit, restrictions
from scopegate.gateway.access.audit import Event
from scopegate.gateway.access.restrictions import Owner, RestrictionKinds
from scopegate.gateway.access.tokens import (
    ExpiryChanged,
    NewToken,
    Token,
    create,
    end,
    ids_of_link,
    managed,
    moment_text,
    with_descendants,
)
from scopegate.gateway.calls import token_form
from scopegate.gateway.calls.errors import ApiError, input_validation_failed
from scopegate.schemas.restriction_messages import Restrictions
from scopegate.store.transactions import Snapshot, Transaction

REPLACED = "replaced"
"""What the name of a token ends with whose secret was replaced, while the old one still works."""


def create_restricted(
    transaction: Transaction, kinds: RestrictionKinds, new: NewToken, values: Restrictions
) -> str:
    """Create a token with restrictions of its own, if any are set; return its text."""
    text = create(transaction, new)
    if values.model_fields_set:
        token = managed(transaction, new.loginid, text, link_id=new.link_id)
        restrict(transaction, kinds, token, values, may_loosen=True)
    return text


def restrict(
    transaction: Transaction,
    kinds: RestrictionKinds,
    token: Token,
    values: Restrictions,
    *,
    may_loosen: bool,
) -> Token:
    """Replace the restrictions of a token; return it as it is now.

    They hold for the tokens that were created with it too. Raises `TokenRestricted` if something
    would become less strict, unless `may_loosen`.
    """
    _check_accounts(values, [token.loginid])
    number = restrictions.restrict(
        transaction,
        kinds,
        Owner([token.loginid], token_id=token.id),
        token.restrictions_id,
        with_descendants(transaction, [token.id]),
        values,
        may_loosen=may_loosen,
    )
    _record_restrictions(transaction, token, values)
    return replace(token, restrictions_id=number)


def restrict_link(
    transaction: Transaction,
    kinds: RestrictionKinds,
    link_id: int,
    loginids: list[str],
    values: Restrictions,
) -> int:
    """Replace the restrictions of an authorization; return their number."""
    _check_accounts(values, loginids)
    present = transaction.single("SELECT restrictions_id FROM links WHERE id = ?", link_id)[0]
    number = restrictions.restrict(
        transaction,
        kinds,
        Owner(loginids, link_id=link_id),
        present,
        with_descendants(transaction, ids_of_link(transaction, link_id)),
        values,
        may_loosen=True,
    )
    transaction.execute("UPDATE links SET restrictions_id = ? WHERE id = ?", number, link_id)
    row = transaction.single("SELECT app_id, user_id FROM links WHERE id = ?", link_id)
    audit.record(
        transaction,
        Event.APP_RESTRICTED,
        row["user_id"],
        app=row["app_id"],
        authorization=link_id,
        restrictions=values.as_json(),
    )
    return number


def set_link_expiry(transaction: Transaction, link_id: int, expires_at: float | None) -> None:
    """Let an authorization expire at this time, and its tokens then at the latest.

    `None` lets it not expire. Tokens that were issued before then keep their time.
    """
    transaction.execute("UPDATE links SET expires_at = ? WHERE id = ?", expires_at, link_id)
    if expires_at is not None:
        expire_by(transaction, ids_of_link(transaction, link_id), expires_at)


def _check_accounts(values: Restrictions, loginids: list[str]) -> None:
    """Raise `InputValidationFailed` unless one of these accounts can be reached."""
    if values.accounts is not None and not set(values.accounts) & set(loginids):
        names = " or ".join(loginids)
        raise input_validation_failed(
            {"restrictions.accounts": f"Must include {names}: the token is for it."}
        )


def _record_restrictions(transaction: Transaction, token: Token, values: Restrictions) -> None:
    audit.record(
        transaction,
        Event.TOKEN_RESTRICTED,
        token.user_id,
        token=token.id,
        masked=token.masked,
        restrictions=values.as_json(),
    )


def set_expiry(transaction: Transaction, token: Token, expires_at: float | None) -> Token:
    """Let a token expire at this time, and those created with it then at the latest.

    `None` lets the token not expire. Those created with it then keep their time.
    """
    transaction.execute("UPDATE tokens SET expires_at = ? WHERE id = ?", expires_at, token.id)
    transaction.announce(ExpiryChanged([token.id], expires_at))
    if expires_at is not None:
        expire_by(transaction, [token.id], expires_at)
    audit.record(
        transaction,
        Event.TOKEN_RESTRICTED,
        token.user_id,
        token=token.id,
        masked=token.masked,
        expires=moment_text(expires_at) or "never",
    )
    return replace(token, expires_at=expires_at)


def expire_by(transaction: Transaction, ids: Iterable[int], expires_at: float) -> None:
    """Let these tokens, and those created with them, expire at this time at the latest."""
    changed = [
        token_id
        for token_id in with_descendants(transaction, ids)
        if transaction.execute(
            "UPDATE tokens SET expires_at = ?"
            " WHERE id = ? AND (expires_at IS NULL OR expires_at > ?)",
            expires_at,
            token_id,
            expires_at,
        ).rowcount
    ]
    if changed:
        transaction.announce(ExpiryChanged(changed, expires_at))


def check_may_rotate(reader: Snapshot, by: int, token: Token) -> None:
    """Raise `PermissionDenied` unless `by` is the id of the token, or of one that it descends from.

    The secret of any other token could allow more than `by` does.
    """
    if token.id not in with_descendants(reader, [by]):
        raise ApiError(
            "PermissionDenied",
            "With a token, you can rotate only that token and those that were created with it. Sign"
            " in at the gateway's pages to rotate others.",
        )


def rotate(
    transaction: Transaction,
    kinds: RestrictionKinds,
    token: Token,
    overlap: float,
    *,
    by: str = "",
) -> str:
    """Replace the secret of a token and return the new text.

    The old one works for `overlap` further seconds, but not after the token's expiry. The new one
    has everything that the old one had: restrictions and their use, the tokens created with it, and
    copying. `by` is the id of the session that asked for it.
    """
    row = transaction.single("SELECT * FROM tokens WHERE id = ?", token.id)
    ends_at = time.time() + overlap
    if row["expires_at"] is not None:
        ends_at = min(ends_at, row["expires_at"])
    # Names of an account are unique.
    transaction.execute(
        "UPDATE tokens SET name = ?, expires_at = ? WHERE id = ?",
        f"{token.name[:50]} {REPLACED}",
        ends_at,
        token.id,
    )
    text = create(
        transaction,
        NewToken(
            token.loginid,
            token.name,
            token.scopes,
            kind=row["kind"],
            valid_for_ip=row["valid_for_ip"],
            link_id=row["link_id"],
            parent_id=row["parent_id"],
            expires_at=row["expires_at"],
            restrictions_id=row["restrictions_id"],
            replaces=None if overlap else token.id,
        ),
    )
    [new_id] = transaction.single("SELECT id FROM tokens WHERE digest = ?", token_form.digest(text))
    # Its calls count in the same bucket: rotating does not reset a rate limit.
    transaction.execute(
        "UPDATE tokens SET first_id = ? WHERE id = ?",
        token.id if row["first_id"] is None else row["first_id"],
        new_id,
    )
    # The old one becomes a child too: what ends or restricts the new one holds for it.
    transaction.execute(
        "UPDATE tokens SET parent_id = ? WHERE (parent_id = ? OR id = ?) AND ended_at IS NULL",
        new_id,
        token.id,
        token.id,
    )
    restrictions.move(transaction, token.id, new_id)
    kinds.rotated(transaction, token.id, new_id)
    if overlap == 0:
        end(transaction, [token.id], by=by)
    else:
        transaction.announce(ExpiryChanged([token.id], ends_at))
    return text
