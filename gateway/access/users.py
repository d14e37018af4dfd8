"""Users: the people who own accounts, tokens and apps.

Rules: every function is one step of a job on a `Transaction`; passwords are kept as argon2 hashes.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from scopegate.gateway.access import tokens
from scopegate.gateway.calls.errors import ApiError
from scopegate.gateway.calls.limits import block_of
from scopegate.store.sqlite import Row, Snapshot, StoreError, Transaction

RESIDENCE = "id"
"""The default country of users who were created without one."""


class Residence(str):
    """The two-letter code of the country of users who were created without one."""

    __slots__ = ()


MAX_SIGN_INS = 1_000
"""Records of signings in and out that are kept for a user, the latest ones."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """One signing in or out, as `login_history` tells it."""

    user_id: int
    action: str
    at: float
    address: str
    language: str
    user_agent: str
    succeeded: bool


def create(
    transaction: Transaction,
    email: str,
    *,
    password_hash: str | None = None,
    country: str = RESIDENCE,
    is_demo: bool = False,
) -> int:
    """A new user; the id. Raises `StoreError` when the address is taken, in whatever letters."""
    email = normal(email)
    if _find(transaction, email) is not None:
        raise StoreError(f"there is a user {email} already")
    return transaction.insert(
        "INSERT INTO users (email, password_hash, country, is_demo, created_at)"
        " VALUES (?, ?, ?, ?, ?)",
        email,
        password_hash,
        country,
        int(is_demo),
        time.time(),
    )


def normal(email: str) -> str:
    """An address as it is kept: people write its letters in either case."""
    return email.strip().lower()


def _find(reader: Snapshot, email: str) -> Row | None:
    """The user with this address; one that was kept as it was written is found by that as well."""
    return reader.one(
        "SELECT * FROM users WHERE email IN (?, ?) ORDER BY email = ? DESC LIMIT 1",
        normal(email),
        email,
        email,
    )


def by_email(reader: Snapshot, email: str) -> Row:
    """The user with this address. Raises `StoreError` when there is none."""
    row = _find(reader, email)
    if row is None:
        raise StoreError(f"there is no user {email}")
    return row


def is_known(reader: Snapshot, email: str) -> bool:
    """Whether there is a user with this address, locked out or not."""
    return _find(reader, email) is not None


def by_id(reader: Snapshot, user_id: int) -> Row:
    """The user with this id, who exists."""
    row = reader.one("SELECT * FROM users WHERE id = ?", user_id)
    if row is None:
        raise StoreError(f"there is no user {user_id}")
    return row


def for_sign_in(reader: Snapshot, email: str) -> Row | None:
    """The user who may sign in with this address; or none."""
    row = _find(reader, email)
    return None if row is None or row["disabled_at"] is not None else row


def signed_in_from(reader: Snapshot, email: str, block: str) -> bool:
    """Whether this user has signed in at the pages, of late, from this address block."""
    user = _find(reader, email)
    if user is None:
        return False
    rows = reader.all(
        "SELECT DISTINCT address FROM sign_ins JOIN tokens ON tokens.sign_in_id = sign_ins.id"
        " WHERE sign_ins.user_id = ?",
        user["id"],
    )
    return any(block_of(row["address"]) == block for row in rows)


def demo(reader: Snapshot) -> Row | None:
    """The demo user, if there is one."""
    return reader.one("SELECT * FROM users WHERE is_demo = 1 AND disabled_at IS NULL")


def owner_of(reader: Snapshot, user_id: int | None) -> str:
    """By which name others know a user who registered an app."""
    return "the operator of this gateway" if user_id is None else by_id(reader, user_id)["email"]


def set_password(transaction: Transaction, email: str, password_hash: str) -> None:
    """Give a user another password; who signed in at the pages with the old one is signed out."""
    user = by_email(transaction, email)
    transaction.execute(
        "UPDATE users SET password_hash = ? WHERE id = ?", password_hash, user["id"]
    )
    tokens.end_sign_ins_of_user(transaction, user["id"])


def disable(transaction: Transaction, email: str) -> int:
    """Lock a user out: every token of theirs ends. The number of tokens ended."""
    user = by_email(transaction, email)
    transaction.execute(
        "UPDATE users SET disabled_at = ? WHERE id = ? AND disabled_at IS NULL",
        time.time(),
        user["id"],
    )
    return len(tokens.end_all_of_user(transaction, user["id"]))


def settings(reader: Snapshot, user_id: int) -> dict[str, Any]:
    """What the user has told of themselves with `set_settings`."""
    told: dict[str, Any] = orjson.loads(by_id(reader, user_id)["settings"])
    return told


def settle(transaction: Transaction, country: str) -> None:
    """Set the country of users without one, as older versions created them."""
    transaction.execute("UPDATE users SET country = ? WHERE country = ''", country)


def residence(reader: Snapshot, user_id: int) -> str:
    """The two-letter code of the user's country."""
    told: str | None = settings(reader, user_id).get("residence")
    country: str = by_id(reader, user_id)["country"]
    return told or country


def change_settings(transaction: Transaction, user_id: int, changes: Mapping[str, Any]) -> None:
    """Keep these settings beside those not named."""
    merged = settings(transaction, user_id) | dict(changes)
    if len(orjson.dumps(merged)) > 16_384:
        raise ApiError("InputValidationFailed", "These settings are too long to keep.")
    transaction.execute(
        "UPDATE users SET settings = ? WHERE id = ?", orjson.dumps(merged).decode(), user_id
    )


Assessment = Mapping[str, Mapping[str, str]]
"""Answers by question, by part of the assessment."""


def assessment(reader: Snapshot, user_id: int) -> Assessment | None:
    """The user's answers about their means and their experience; `None` when they gave none."""
    row = reader.one("SELECT answers FROM financial_assessments WHERE user_id = ?", user_id)
    return None if row is None else orjson.loads(row["answers"])


def answer(transaction: Transaction, user_id: int, answers: Assessment) -> Assessment:
    """Keep these answers beside those to other questions; all of them."""
    kept = assessment(transaction, user_id) or {}
    merged = {part: {**kept.get(part, {}), **answers.get(part, {})} for part in {**kept, **answers}}
    encoded = orjson.dumps(merged)
    if len(encoded) > 16_384:
        raise ApiError("InputValidationFailed", "These answers are too long to keep.")
    transaction.execute(
        "INSERT INTO financial_assessments (user_id, answers) VALUES (?, ?)"
        " ON CONFLICT (user_id) DO UPDATE SET answers = excluded.answers",
        user_id,
        encoded.decode(),
    )
    return merged


def record_sign_in(transaction: Transaction, sign_in: SignIn) -> int:
    """Remember a signing in or out; the record's id."""
    return transaction.insert(
        "INSERT INTO sign_ins (user_id, action, at, address, language, user_agent, succeeded)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        sign_in.user_id,
        sign_in.action,
        sign_in.at,
        sign_in.address,
        sign_in.language,
        sign_in.user_agent,
        int(sign_in.succeeded),
    )


def forget_sign_ins(transaction: Transaction, user_id: int) -> None:
    """Forget all but the latest records of a user, and those that tokens hang on."""
    transaction.execute(
        "DELETE FROM sign_ins WHERE user_id = ? AND id <= (SELECT id FROM sign_ins"
        " WHERE user_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?)"
        " AND NOT EXISTS (SELECT 1 FROM tokens WHERE sign_in_id = sign_ins.id)",
        user_id,
        user_id,
        MAX_SIGN_INS,
    )


def sign_ins(reader: Snapshot, user_id: int, limit: int) -> list[SignIn]:
    """The latest signings in and out, newest first."""
    return [
        SignIn(
            row["user_id"],
            row["action"],
            row["at"],
            row["address"],
            row["language"],
            row["user_agent"],
            bool(row["succeeded"]),
        )
        for row in reader.all(
            "SELECT * FROM sign_ins WHERE user_id = ? ORDER BY id DESC LIMIT ?", user_id, limit
        )
    ]
