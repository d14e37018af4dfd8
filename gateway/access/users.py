"""Users: the people who own accounts, tokens and apps.

Rules: functions run inside the transaction or snapshot of their caller; passwords are stored as
argon2 hashes.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import orjson

from scopegate.gateway.access import audit, tokens
from scopegate.gateway.access.audit import Event
from scopegate.gateway.calls.counting import block_of
from scopegate.gateway.calls.errors import ApiError
from scopegate.store.errors import StoreError
from scopegate.store.transactions import Announcement, Row, Snapshot, Transaction

RESIDENCE = "id"
"""The default country of users who were created without one."""


class Residence(str):
    """The two-letter code of the country of users who were created without one."""

    __slots__ = ()


MAX_SIGN_INS = 1_000
"""Records of sign-ins and sign-outs that are kept for a user, the latest ones."""


@dataclass(frozen=True, slots=True)
class UserDisabled(Announcement):
    """Announces that a user was disabled."""

    kind: ClassVar[str] = "user_disabled"
    user_id: int


@dataclass(frozen=True, slots=True)
class SignIn:
    """One sign-in or sign-out, as `login_history` lists it."""

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
    """Create a user; return the id. Raises `StoreError` if the address is taken, ignoring case."""
    email = normal(email)
    if _find(transaction, email) is not None:
        raise StoreError(f"user {email} already exists")
    user_id = transaction.insert(
        "INSERT INTO users (email, password_hash, country, is_demo, created_at)"
        " VALUES (?, ?, ?, ?, ?)",
        email,
        password_hash,
        country,
        int(is_demo),
        time.time(),
    )
    audit.record(transaction, Event.USER_CREATED, user_id, email=email)
    return user_id


def normal(email: str) -> str:
    """Return an address as it is stored: in lower case, as people write it in either case."""
    return email.strip().lower()


def _find(reader: Snapshot, email: str) -> Row | None:
    """Find the user with this address, as normalized or (preferred) exactly as written."""
    return reader.one(
        "SELECT * FROM users WHERE email IN (?, ?) ORDER BY email = ? DESC LIMIT 1",
        normal(email),
        email,
        email,
    )


def by_email(reader: Snapshot, email: str) -> Row:
    """Return the user with this address. Raises `StoreError` if there is none."""
    row = _find(reader, email)
    if row is None:
        raise StoreError(f"there is no user {email}")
    return row


def is_known(reader: Snapshot, email: str) -> bool:
    """Whether there is a user with this address, disabled or not."""
    return _find(reader, email) is not None


def by_id(reader: Snapshot, user_id: int) -> Row:
    """Return the user with this id. Raises `StoreError` if there is none."""
    row = reader.one("SELECT * FROM users WHERE id = ?", user_id)
    if row is None:
        raise StoreError(f"there is no user {user_id}")
    return row


def for_sign_in(reader: Snapshot, email: str) -> Row | None:
    """Return the user with this address if they may sign in; `None` if unknown or disabled."""
    row = _find(reader, email)
    return None if row is None or row["disabled_at"] is not None else row


def signed_in_from(reader: Snapshot, email: str, block: str) -> bool:
    """Whether this user has signed in at the pages from this address block recently.

    That is, while tokens of such a sign-in are stored, ended or not.
    """
    user = _find(reader, email)
    if user is None:
        return False
    rows = reader.all(
        "SELECT DISTINCT address FROM sign_ins JOIN tokens ON tokens.sign_in_id = sign_ins.id"
        " WHERE sign_ins.user_id = ?",
        user["id"],
    )
    return any(block_of(row["address"]) == block for row in rows)


def present(reader: Snapshot) -> Literal["none", "demo", "others"]:
    """Which users there are: none, the demo user alone, or others."""
    others, demo_users = reader.single(
        "SELECT EXISTS (SELECT 1 FROM users WHERE is_demo = 0),"
        " EXISTS (SELECT 1 FROM users WHERE is_demo = 1)"
    )
    if others:
        return "others"
    return "demo" if demo_users else "none"


def demo(reader: Snapshot) -> Row | None:
    """The demo user, if there is one."""
    return reader.one("SELECT * FROM users WHERE is_demo = 1 AND disabled_at IS NULL")


def owner_of(reader: Snapshot, user_id: int | None) -> str:
    """Return the name by which others see a user who registered an app."""
    return "the operator of this gateway" if user_id is None else by_id(reader, user_id)["email"]


def set_password(transaction: Transaction, email: str, password_hash: str) -> None:
    """Set a user's password, and end their sign-ins at the pages."""
    user = by_email(transaction, email)
    transaction.execute(
        "UPDATE users SET password_hash = ? WHERE id = ?", password_hash, user["id"]
    )
    audit.record(transaction, Event.PASSWORD_SET, user["id"])
    tokens.end_sign_ins_of_user(transaction, user["id"])


def disable(transaction: Transaction, email: str) -> int:
    """Disable a user, end their connections and all their tokens.

    Returns the number of tokens ended. Raises `StoreError` if there is no such user.
    """
    user = by_email(transaction, email)
    if user["disabled_at"] is None:
        transaction.execute(
            "UPDATE users SET disabled_at = ? WHERE id = ?", time.time(), user["id"]
        )
        audit.record(transaction, Event.USER_DISABLED, user["id"])
    transaction.announce(UserDisabled(user["id"]))  # first: connections are found by their tokens
    return len(tokens.end_all_of_user(transaction, user["id"]))


def enable(transaction: Transaction, email: str) -> None:
    """Let a disabled user sign in again. Raises `StoreError` if there is no such user."""
    user = by_email(transaction, email)
    if user["disabled_at"] is not None:
        transaction.execute("UPDATE users SET disabled_at = NULL WHERE id = ?", user["id"])
        audit.record(transaction, Event.USER_ENABLED, user["id"])


def all_users(reader: Snapshot) -> list[Row]:
    """Every user by id: rows of `id`, `email`, `is_demo`, `created_at` and `disabled_at`."""
    return reader.all("SELECT id, email, is_demo, created_at, disabled_at FROM users ORDER BY id")


def disabled(reader: Snapshot, limit: int) -> list[Row]:
    """The users who were disabled last: rows of `email` and `disabled_at`, the latest first."""
    return reader.all(
        "SELECT email, disabled_at FROM users WHERE disabled_at IS NOT NULL"
        " ORDER BY disabled_at DESC LIMIT ?",
        limit,
    )


def emails(reader: Snapshot, user_ids: Iterable[int]) -> dict[int, str]:
    """Return the e-mail addresses of these users by their ids."""
    rows = (reader.one("SELECT id, email FROM users WHERE id = ?", user_id) for user_id in user_ids)
    return {row["id"]: row["email"] for row in rows if row is not None}


def settings(reader: Snapshot, user_id: int) -> dict[str, Any]:
    """Return what the user has stored with `set_settings`."""
    stored: dict[str, Any] = orjson.loads(by_id(reader, user_id)["settings"])
    return stored


def settle(transaction: Transaction, country: str) -> None:
    """Set the country of users without one, as older versions created them."""
    transaction.execute("UPDATE users SET country = ? WHERE country = ''", country)


def residence(reader: Snapshot, user_id: int) -> str:
    """Return the two-letter code of the user's country."""
    stored: str | None = settings(reader, user_id).get("residence")
    country: str = by_id(reader, user_id)["country"]
    return stored or country


def change_settings(transaction: Transaction, user_id: int, changes: Mapping[str, Any]) -> None:
    """Change these settings and keep the others. Raises `ApiError` if they are too long."""
    merged = settings(transaction, user_id) | dict(changes)
    if len(orjson.dumps(merged)) > 16_384:
        raise ApiError("InputValidationFailed", "These settings are too long to store.")
    transaction.execute(
        "UPDATE users SET settings = ? WHERE id = ?", orjson.dumps(merged).decode(), user_id
    )


Assessment = Mapping[str, Mapping[str, str]]
"""Answers by question, for each part of the assessment."""


def assessment(reader: Snapshot, user_id: int) -> Assessment | None:
    """Return the user's answers about their means and experience; `None` if they gave none."""
    row = reader.one("SELECT answers FROM financial_assessments WHERE user_id = ?", user_id)
    return None if row is None else orjson.loads(row["answers"])


def answer(transaction: Transaction, user_id: int, answers: Assessment) -> Assessment:
    """Store these answers, keeping those to other questions; return all of them.

    Raises `ApiError` if they are too long.
    """
    stored = assessment(transaction, user_id) or {}
    merged = {
        part: {**stored.get(part, {}), **answers.get(part, {})} for part in {**stored, **answers}
    }
    encoded = orjson.dumps(merged)
    if len(encoded) > 16_384:
        raise ApiError("InputValidationFailed", "These answers are too long to store.")
    transaction.execute(
        "INSERT INTO financial_assessments (user_id, answers) VALUES (?, ?)"
        " ON CONFLICT (user_id) DO UPDATE SET answers = excluded.answers",
        user_id,
        encoded.decode(),
    )
    return merged


def record_sign_in(transaction: Transaction, sign_in: SignIn) -> int:
    """Record a sign-in or sign-out; return the record's id."""
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
    """Delete all records of a user except the latest, and those that tokens belong to."""
    transaction.execute(
        "DELETE FROM sign_ins WHERE user_id = ? AND id <= (SELECT id FROM sign_ins"
        " WHERE user_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?)"
        " AND NOT EXISTS (SELECT 1 FROM tokens WHERE sign_in_id = sign_ins.id)",
        user_id,
        user_id,
        MAX_SIGN_INS,
    )


def sign_ins(reader: Snapshot, user_id: int, limit: int) -> list[SignIn]:
    """The latest sign-ins and sign-outs, newest first."""
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
