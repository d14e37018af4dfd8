"""The uses of tokens: how often each was used for which call, from which address."""

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from scopegate.store.transactions import Row, Snapshot, Transaction

MAX_USES = 500
"""The latest uses that are kept for a token, one row per call and address."""


class Uses(NamedTuple):
    """How often a token was used for one call from one address."""

    admitted: int
    refused: int
    """Calls that were answered with an error."""
    last_error: str
    """The code of the latest error; empty if there was none."""


def record(
    transaction: Transaction, token_id: int, made: Mapping[tuple[str, str], Uses], at: float
) -> None:
    """Add uses of a token, by address and call, the last of them at `at`.

    `at` is in epoch seconds of real time. Nothing is stored if the token's row was deleted
    meanwhile. Only the latest `MAX_USES` rows of the token are kept.
    """
    for (address, call), uses in made.items():
        transaction.execute(
            "INSERT INTO token_uses (token_id, address, call, uses, refused, last_error, last_at)"
            " SELECT id, ?, ?, ?, ?, ?, ? FROM tokens WHERE id = ?"
            " ON CONFLICT (token_id, address, call)"
            " DO UPDATE SET uses = token_uses.uses + excluded.uses,"
            " refused = token_uses.refused + excluded.refused,"
            " last_error = CASE WHEN excluded.last_error = '' THEN token_uses.last_error"
            "   ELSE excluded.last_error END,"
            " last_at = excluded.last_at",
            address,
            call,
            uses.admitted,
            uses.refused,
            uses.last_error,
            at,
            token_id,
        )
    transaction.execute(
        "DELETE FROM token_uses WHERE token_id = ? AND last_at < (SELECT last_at FROM token_uses"
        " WHERE token_id = ? ORDER BY last_at DESC LIMIT 1 OFFSET ?)",
        token_id,
        token_id,
        MAX_USES - 1,
    )
    [(last_address, _)] = deque(made, maxlen=1)
    transaction.execute(
        "UPDATE tokens SET last_used_at = ?, last_used_from = ? WHERE id = ?",
        at,
        last_address,
        token_id,
    )
    transaction.execute(
        "UPDATE links SET last_used_at = ? WHERE id = (SELECT link_id FROM tokens WHERE id = ?)",
        at,
        token_id,
    )


def listed(reader: Snapshot, token_id: int) -> list[Row]:
    """Return the uses of a token, latest first.

    Rows of call, address, uses, refused (how many were), last_error (the code) and last_at.
    """
    return reader.all(
        "SELECT call, address, uses, refused, last_error, last_at FROM token_uses"
        " WHERE token_id = ? ORDER BY last_at DESC, call",
        token_id,
    )
