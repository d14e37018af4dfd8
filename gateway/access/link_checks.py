"""Whether the tokens and authorizations of a database fit together.

Rule: the only function reads one snapshot and returns a sentence about each fault, at most
`MAX_FAULTS` in each query (`scopegate.store.integrity`). Tokens are named by their numbers.
"""

from collections.abc import Iterator

from scopegate.store.integrity import MAX_FAULTS
from scopegate.store.transactions import Snapshot

_TOKENS = (
    ("accounts.loginid IS NULL", "is for account {loginid}, which is not there"),
    (
        "accounts.loginid IS NOT NULL AND users.id IS NULL",
        "is for account {loginid}, whose user is not there",
    ),
    ("users.disabled_at IS NOT NULL", "is valid, although the user of {loginid} is disabled"),
    (
        "tokens.link_id IS NULL AND tokens.kind = 'app'",
        "was issued to an app, but has no authorization",
    ),
    (
        "tokens.link_id IS NOT NULL AND links.id IS NULL",
        "belongs to authorization {link_id}, which is not there",
    ),
    ("links.ended_at IS NOT NULL", "is valid, although its authorization {link_id} was revoked"),
    (
        "links.user_id <> accounts.user_id",
        "is for account {loginid} of another user than that of its authorization {link_id}",
    ),
    (
        "links.id IS NOT NULL"
        " AND ',' || links.loginids || ',' NOT LIKE '%,' || tokens.loginid || ',%'",
        "is for account {loginid}, which its authorization {link_id} does not include",
    ),
    (
        "tokens.parent_id IS NOT NULL AND parents.id IS NULL",
        "was created with token {parent_id}, which is not there",
    ),
    ("parents.ended_at IS NOT NULL", "is valid, although its parent {parent_id} has ended"),
    (
        "tokens.sign_in_id IS NOT NULL AND sign_ins.id IS NULL",
        "belongs to sign-in {sign_in_id}, which is not there",
    ),
)
"""What is wrong with a token that has not ended: the condition, and the sentence."""

_LINKS = (
    ("apps.id IS NULL", "is for app {app_id}, which is not there"),
    ("apps.deleted_at IS NOT NULL", "is valid, although app {app_id} was deleted"),
    ("users.id IS NULL", "is of user {user_id}, who is not there"),
)
"""The same for an authorization that has not ended."""


def link_faults(reader: Snapshot) -> Iterator[str]:
    """Check the tokens and authorizations that have not ended."""
    for condition, sentence in _TOKENS:
        for row in reader.all(
            "SELECT tokens.id, tokens.loginid, tokens.link_id, tokens.parent_id, tokens.sign_in_id"  # noqa: S608
            " FROM tokens LEFT JOIN accounts ON accounts.loginid = tokens.loginid"
            " LEFT JOIN users ON users.id = accounts.user_id"
            " LEFT JOIN links ON links.id = tokens.link_id"
            " LEFT JOIN tokens AS parents ON parents.id = tokens.parent_id"
            " LEFT JOIN sign_ins ON sign_ins.id = tokens.sign_in_id"
            f" WHERE tokens.ended_at IS NULL AND ({condition}) ORDER BY tokens.id LIMIT ?",
            MAX_FAULTS,
        ):
            yield f"token {row['id']} {sentence.format(**dict(row))}"
    for condition, sentence in _LINKS:
        for row in reader.all(
            "SELECT links.id, links.app_id, links.user_id FROM links"  # noqa: S608 - as above
            " LEFT JOIN apps ON apps.id = links.app_id"
            " LEFT JOIN users ON users.id = links.user_id"
            f" WHERE links.ended_at IS NULL AND ({condition}) ORDER BY links.id LIMIT ?",
            MAX_FAULTS,
        ):
            yield f"authorization {row['id']} {sentence.format(**dict(row))}"
