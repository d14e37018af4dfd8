"""Client secrets of apps (RFC 6749, 2.3.1): their columns.

Rules:
- An app has at most one secret. Its text exists only in the reply or the line that creates it.
- It is stored as its SHA-256 digest, which is enough for 131 random bits, and compared in constant
  time.
- An app with a secret must show it wherever it names itself with its client id. An app without one
  must show none.
- The app as others see it (`App`) has no part of it: it is read only where it is checked.
"""

import hmac
import time

from scopegate.gateway.access import audit
from scopegate.gateway.access.apps import App
from scopegate.gateway.access.audit import Event
from scopegate.gateway.calls import token_form
from scopegate.store.transactions import Snapshot, Transaction


def create(transaction: Transaction, app: App) -> str:
    """Give an app a new secret, instead of the one that it has; return its text."""
    text = token_form.new_owner_token()
    _store(transaction, app, token_form.digest(text), "created")
    return text


def delete(transaction: Transaction, app: App) -> None:
    """Delete the secret of an app: from now on it is known by its client id alone."""
    _store(transaction, app, None, "deleted")


def _store(transaction: Transaction, app: App, digest: bytes | None, event: str) -> None:
    transaction.execute(
        "UPDATE apps SET secret_digest = ?, secret_created_at = ? WHERE id = ?",
        digest,
        None if digest is None else time.time(),
        app.id,
    )
    audit.record(transaction, Event.APP_CHANGED, app.user_id, app=app.id, client_secret=event)


def created_at(reader: Snapshot, app: App) -> float | None:
    """Return when the secret of an app was created, in epoch seconds; `None` if it has none."""
    row = reader.single("SELECT secret_created_at FROM apps WHERE id = ?", app.id)
    moment: float | None = row["secret_created_at"]
    return moment


def has_one(reader: Snapshot, app_id: int) -> bool:
    """Whether there is an app with this id that has a secret."""
    row = reader.one("SELECT secret_digest FROM apps WHERE id = ?", app_id)
    return row is not None and row["secret_digest"] is not None


def fits(reader: Snapshot, app_id: int, secret: str | None) -> bool:
    """Whether a client that shows this secret, or none, may act as an app.

    An app that does not exist has no secret.
    """
    row = reader.one("SELECT secret_digest FROM apps WHERE id = ?", app_id)
    stored = None if row is None else row["secret_digest"]
    if stored is None or secret is None:
        return stored is None and secret is None
    return hmac.compare_digest(token_form.digest(secret), bytes(stored))
