"""Apps, and their authorizations by users (`AppLink`): their rows.

Rules:
- An app belongs to the user who registered it. App 1089 belongs to nobody and always exists.
- An authorization gives one app some scopes of one user, never more than the app registered for.
  When it ends, all its tokens end.
- An authorization covers the app as the user agreed to it: name, origin of the redirect URI,
  scopes, markup. When the app goes beyond that, the authorization is suspended until the user
  agrees again: its tokens allow nothing.
- The tokens of an app that the operator has disabled allow nothing until it is enabled again.
- A change of an app is announced with all its fields, so listeners need not read it.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from decimal import Decimal
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

from scopegate.gateway.access import audit, stored_faults, tokens, users
from scopegate.gateway.access.audit import Event
from scopegate.gateway.calls.errors import ApiError
from scopegate.store.errors import StoreError
from scopegate.store.transactions import Announcement, Row, Snapshot, Transaction

TEST_APP = 1089
"""The app that every database has, for demos."""

MAX_PER_USER = 100
"""Apps that a user may register."""

MAX_PER_APP = 20
"""Apps that one app may register for a user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """One registered app."""

    id: int
    user_id: int | None
    name: str
    scopes: frozenset[str]
    redirect_uri: str = ""
    verification_uri: str = ""
    homepage: str = ""
    github: str = ""
    appstore: str = ""
    googleplay: str = ""
    markup: str = "0"
    """Percent of a contract's payout, as a decimal."""
    flow: str = "both"
    """The flow by which it gets its tokens after consent: `tokens`, `code` or `both`."""
    device_flow: bool = False
    """Whether programs without a browser can ask users for consent to it."""
    official: bool = False
    allowed_origins: tuple[str, ...] = ()
    """The origins whose pages may use the app; any origin if empty."""
    registered_by: int | None = None
    """The app whose token registered it; `None` if its owner did."""
    disabled_at: float | None = None
    """When the operator disabled it, in epoch seconds; `None` if it is not disabled."""

    @property
    def returns_to(self) -> str:
        """The origin of its `redirect_uri`; empty if it has none."""
        return _origin(self.redirect_uri)


def _origin(uri: str) -> str:
    target = urlsplit(uri)
    return f"{target.scheme}://{target.netloc}" if uri else ""


_INTERNAL_FIELDS = (
    "id",
    "user_id",
    "device_flow",
    "official",
    "allowed_origins",
    "registered_by",
    "disabled_at",
)
_FIELDS = [field.name for field in fields(App) if field.name not in _INTERNAL_FIELDS]


def _app(row: Mapping[str, Any] | Row) -> App:
    values = {name: row[name] for name in _FIELDS}
    values["scopes"] = tokens.scopes_from_text(row["scopes"])
    return App(
        id=row["id"],
        user_id=row["user_id"],
        device_flow=bool(row["device_flow"]),
        official=bool(row["official"]),
        allowed_origins=tuple(row["allowed_origins"].split()),
        registered_by=row["registered_by"],
        disabled_at=row["disabled_at"],
        **values,
    )


@dataclass(frozen=True, slots=True)
class AppChanged(Announcement):
    """Announces the new state of an app, or its deletion."""

    kind: ClassVar[str] = "app_changed"
    app: App
    deleted: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the columns of its row, and whether it is deleted."""
        return asdict(self.app) | {
            "scopes": tokens.scopes_to_text(self.app.scopes),
            "allowed_origins": " ".join(self.app.allowed_origins),
            "deleted": self.deleted,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Build the announcement from what `to_json` returns."""
        # A gateway of an earlier release does not send it; it is only used as the database has it.
        return cls(_app({"device_flow": False, **data}), data["deleted"])


@dataclass(frozen=True, slots=True)
class LinkExtended(Announcement):
    """Announces the accounts that an authorization covers now."""

    kind: ClassVar[str] = "link_extended"
    link_id: int
    loginids: list[str]


def load_all(reader: Snapshot) -> list[App]:
    """Every app that is not deleted."""
    return [_app(row) for row in reader.all("SELECT * FROM apps WHERE deleted_at IS NULL")]


def of_user(reader: Snapshot, user_id: int, *, registered_by: int | None = None) -> list[App]:
    """The apps of a user, oldest first; with `registered_by`, only those it registered."""
    rows = reader.all(
        "SELECT * FROM apps WHERE user_id = ? AND (CAST(? AS BIGINT) IS NULL OR registered_by = ?)"
        " AND deleted_at IS NULL ORDER BY id",
        user_id,
        registered_by,
        registered_by,
    )
    return [_app(row) for row in rows]


def get(reader: Snapshot, app_id: int) -> App | None:
    """Return the app with this id, if there is one."""
    row = reader.one("SELECT * FROM apps WHERE id = ? AND deleted_at IS NULL", app_id)
    return None if row is None else _app(row)


def find(reader: Snapshot, app_id: int, user_id: int, *, registered_by: int | None = None) -> App:
    """Return the user's own app; with `registered_by` only if this app registered it.

    Raises `InvalidAppID` for any other app, as for one that does not exist.
    """
    for app in of_user(reader, user_id, registered_by=registered_by):
        if app.id == app_id:
            return app
    raise ApiError(
        "InvalidAppID",
        "You have no app with this app_id. app_list lists your apps."
        if registered_by is None
        else "The app that holds this token has not registered an app with this app_id.",
    )


def registrant(reader: Snapshot, app: App) -> str:
    """Return who registered an app, as other users see it: its owner, and the app that did it."""
    owner = users.owner_of(reader, app.user_id)
    if app.registered_by is None:
        return owner
    row = reader.one("SELECT name FROM apps WHERE id = ?", app.registered_by)
    return f"{owner}, through the app {'that was deleted' if row is None else row['name']}"


def register(
    transaction: Transaction,
    user_id: int | None,
    values: Mapping[str, Any],
    *,
    app_id: int | None = None,
    registered_by: int | None = None,
) -> App:
    """Register an app with these values by field name, under this id or the next free one.

    `registered_by` is the app whose token makes the call; the apps of each are counted separately.
    Raises `ApiError` if the name is taken or there are too many, and `StoreError` if the id is
    taken.
    """
    if app_id is not None:
        _refuse_id(transaction, app_id)
    if user_id is not None:
        owned = of_user(transaction, user_id)
        limit = MAX_PER_USER if registered_by is None else MAX_PER_APP
        if sum(app.registered_by == registered_by for app in owned) >= limit:
            who = "A user" if registered_by is None else "An app"
            raise ApiError(
                "AppRegister", f"{who} can register at most {limit} apps. Delete one first."
            )
        _refuse_name(owned, values["name"], "AppRegister")
    columns = {"user_id": user_id, "registered_by": registered_by, "created_at": time.time()}
    if app_id is not None:
        columns["id"] = app_id
    row_id = transaction.insert(
        f"INSERT INTO apps ({', '.join(columns)}, name, scopes)"  # noqa: S608 - the names above
        f" VALUES ({', '.join('?' * len(columns))}, '', '')",
        *columns.values(),
    )
    if app_id is not None:
        transaction.note_explicit_ids("apps")
    app = App(id=row_id, user_id=user_id, registered_by=registered_by, **values)
    _record(transaction, Event.APP_REGISTERED, app)
    return _store(transaction, app)


def _record(transaction: Transaction, event: Event, app: App) -> None:
    audit.record(
        transaction,
        event,
        app.user_id,
        app=app.id,
        name=app.name,
        scopes=sorted(app.scopes),
        redirect_uri=app.redirect_uri,
    )


def update(transaction: Transaction, app: App, values: Mapping[str, Any], *, by: str = "") -> App:
    """Change an app; suspend the authorizations that do not cover the change.

    Raises `ApiError` if the name is taken.
    """
    assert app.user_id is not None  # noqa: S101 - only an owner's app is updated
    others = [other for other in of_user(transaction, app.user_id) if other.id != app.id]
    _refuse_name(others, values["name"], "AppUpdate")
    changed = _store(transaction, replace(app, **values))
    _record(transaction, Event.APP_CHANGED, changed)
    for row in transaction.all(f"{_LINKS} AND links.app_id = ?", app.id):
        link = _link(row)
        if not link.suspended and changes(link):
            transaction.execute(
                "UPDATE links SET suspended_at = ? WHERE id = ?", time.time(), link.id
            )
            tokens.suspend_all_of_link(transaction, link.id, by=by)
    return changed


def set_origins(transaction: Transaction, app: App, origins: Iterable[str]) -> App:
    """Replace the allowed origins of an app."""
    changed = replace(app, allowed_origins=tuple(dict.fromkeys(origins)))
    transaction.execute(
        "UPDATE apps SET allowed_origins = ? WHERE id = ?",
        " ".join(changed.allowed_origins),
        app.id,
    )
    transaction.announce(AppChanged(changed))
    audit.record(
        transaction,
        Event.APP_CHANGED,
        app.user_id,
        app=app.id,
        allowed_origins=changed.allowed_origins,
    )
    return changed


def _refuse_id(reader: Snapshot, app_id: int) -> None:
    row = reader.one("SELECT deleted_at FROM apps WHERE id = ?", app_id)
    if row is None:
        return
    if row["deleted_at"] is None:
        raise StoreError(f"app_id {app_id} is taken: choose another (scopegate app list shows all)")
    raise StoreError(f"app_id {app_id} belonged to a deleted app: choose another")


def set_flow(transaction: Transaction, app: App, flow: str) -> App:
    """Change an app's flow to `tokens`, `code` or `both`."""
    audit.record(transaction, Event.APP_CHANGED, app.user_id, app=app.id, flow=flow)
    return _store(transaction, replace(app, flow=flow))


def set_device_flow(transaction: Transaction, app: App, *, on: bool) -> App:
    """Let programs without a browser ask users for consent to an app, or stop that."""
    changed = replace(app, device_flow=on)
    transaction.execute("UPDATE apps SET device_flow = ? WHERE id = ?", int(on), app.id)
    transaction.announce(AppChanged(changed))
    audit.record(transaction, Event.APP_CHANGED, app.user_id, app=app.id, device_flow=on)
    return changed


def _refuse_name(owned: Iterable[App], name: str, code: str) -> None:
    if any(app.name == name for app in owned):
        raise ApiError(code, "You already have an app with this name.", {"name": "Already in use."})


def _store(transaction: Transaction, app: App) -> App:
    values = [
        tokens.scopes_to_text(app.scopes) if name == "scopes" else getattr(app, name)
        for name in _FIELDS
    ]
    assignments = ", ".join(f"{name} = ?" for name in _FIELDS)
    transaction.execute(f"UPDATE apps SET {assignments} WHERE id = ?", *values, app.id)  # noqa: S608
    transaction.announce(AppChanged(app))
    return app


def set_disabled(transaction: Transaction, app_id: int, *, disabled: bool) -> App:
    """Disable an app, or enable it again; return it as it is now.

    While it is disabled, its connections are refused, and its tokens allow nothing. Raises
    `InvalidAppID` if there is no such app, and `AppUpdate` for the one of the pages.
    """
    app = get(transaction, app_id)
    if app is None:
        raise ApiError("InvalidAppID", f"There is no app {app_id}.")
    if app_id == TEST_APP and disabled:
        raise ApiError(
            "AppUpdate", f"App {TEST_APP} cannot be disabled: the gateway's own pages use it."
        )
    if disabled == (app.disabled_at is not None):
        return app
    changed = replace(app, disabled_at=time.time() if disabled else None)
    transaction.execute("UPDATE apps SET disabled_at = ? WHERE id = ?", changed.disabled_at, app_id)
    transaction.announce(AppChanged(changed))
    event = Event.APP_DISABLED if disabled else Event.APP_ENABLED
    audit.record(transaction, event, app.user_id, app=app_id, name=app.name)
    if disabled:
        for row in _links_of(transaction, app_id):
            tokens.suspend_all_of_link(transaction, row["id"])
    return changed


def delete(transaction: Transaction, app: App, *, by: str = "") -> None:
    """Delete the app and end its authorizations."""
    transaction.execute("UPDATE apps SET deleted_at = ? WHERE id = ?", time.time(), app.id)
    audit.record(transaction, Event.APP_DELETED, app.user_id, app=app.id, name=app.name)
    _end_links(transaction, app.id, by=by)
    transaction.announce(AppChanged(app, deleted=True))


@dataclass(frozen=True, slots=True)
class Agreement:
    """An app as it was when a user agreed to it."""

    name: str
    scopes: frozenset[str]
    """The scopes that it was registered for; the user may have given fewer."""
    redirect_uri: str
    markup: str


@dataclass(frozen=True, slots=True)
class AppLink:
    """The authorization of one app by one user."""

    id: int
    app: App
    scopes: frozenset[str]
    loginids: list[str]
    created_at: float
    last_used_at: float | None
    agreement: Agreement
    restrictions_id: int | None
    """What it is restricted to; `None` if it is not."""
    expires_at: float | None
    """When it expires with its tokens, in epoch seconds; `None` if it does not."""
    suspended: bool
    """Whether the app has gone beyond the agreement, so that the user must agree again."""


def changes(
    link: AppLink, in_order: Callable[[Iterable[str]], Sequence[str]] = sorted
) -> list[str]:
    """The changes of an app that the user has not agreed to, a sentence for each."""
    app, agreed = link.app, link.agreement
    found = []
    if app.name != agreed.name:
        found.append(f"Its name changed from {agreed.name} to {app.name}.")
    if app.returns_to and app.returns_to != _origin(agreed.redirect_uri):
        before = _origin(agreed.redirect_uri) or "no address"
        found.append(f"Its address changed from {before} to {app.returns_to}.")
    if wider := app.scopes - agreed.scopes:
        found.append(f"It asks for more permissions: {', '.join(in_order(wider))}.")
    if missing := link.scopes - app.scopes:
        found.append(f"It no longer asks for {', '.join(in_order(missing))}.")
    if Decimal(app.markup) > Decimal(agreed.markup):
        found.append(f"Its markup changed from {agreed.markup} % to {app.markup} %.")
    return found


def link(
    transaction: Transaction,
    app: App,
    user_id: int,
    scopes: Iterable[str],
    loginids: Sequence[str],
    *,
    declared: frozenset[str] | None = None,
) -> int:
    """Authorize an app, as it is now, to use a user's accounts with these scopes.

    Returns the id of the authorization.

    Granting the same again keeps the existing authorization, so that signing in on a second device
    signs nobody out; if it was suspended, its tokens are valid again. Granting anything else ends
    the earlier authorization. With `declared`, the comparison ignores earlier scopes outside of it,
    which could not be granted now.
    """
    given = frozenset(scopes) & app.scopes
    loginids_text = ",".join(sorted(loginids))
    for row in transaction.all(
        "SELECT id, scopes, loginids FROM links"
        " WHERE app_id = ? AND user_id = ? AND ended_at IS NULL",
        app.id,
        user_id,
    ):
        before = tokens.scopes_from_text(row["scopes"])
        before = before if declared is None else before & declared
        if (before, row["loginids"]) == (given, loginids_text):
            audit.record(
                transaction, Event.APP_CONNECTED, user_id, app=app.id, authorization=row["id"]
            )
            return _renew_authorization(transaction, row["id"], app)
        end_link(transaction, row["id"])
    link_id = transaction.insert(
        "INSERT INTO links (app_id, user_id, scopes, loginids, created_at) VALUES (?, ?, ?, ?, ?)",
        app.id,
        user_id,
        tokens.scopes_to_text(given),
        loginids_text,
        time.time(),
    )
    audit.record(
        transaction,
        Event.APP_CONNECTED,
        user_id,
        app=app.id,
        name=app.name,
        authorization=link_id,
        scopes=sorted(given),
        loginids=sorted(loginids),
    )
    return _renew_authorization(transaction, link_id, app)


def _renew_authorization(transaction: Transaction, link_id: int, app: App) -> int:
    """Let an authorization cover the app as it is now; return its id."""
    transaction.execute(
        "UPDATE links SET agreed_name = ?, agreed_scopes = ?, agreed_redirect_uri = ?,"
        " agreed_markup = ?, suspended_at = NULL WHERE id = ?",
        app.name,
        tokens.scopes_to_text(app.scopes),
        app.redirect_uri,
        app.markup,
        link_id,
    )
    return link_id


def extend_link(transaction: Transaction, link_id: int, loginid: str) -> None:
    """Add an account, which the app has opened, to its authorization."""
    row = transaction.single("SELECT loginids FROM links WHERE id = ?", link_id)
    loginids = sorted({*row["loginids"].split(","), loginid} - {""})
    transaction.execute("UPDATE links SET loginids = ? WHERE id = ?", ",".join(loginids), link_id)
    transaction.announce(LinkExtended(link_id, loginids))


_LINKS = (
    "SELECT apps.*, links.id AS link_id, links.scopes AS link_scopes, links.loginids,"
    " links.created_at AS linked_at, links.last_used_at, links.agreed_name, links.agreed_scopes,"
    " links.agreed_redirect_uri, links.agreed_markup, links.suspended_at, links.restrictions_id,"
    " links.expires_at"
    " FROM links JOIN apps ON apps.id = links.app_id WHERE links.ended_at IS NULL"
)


def _link(row: Row) -> AppLink:
    return AppLink(
        row["link_id"],
        _app(row),
        tokens.scopes_from_text(row["link_scopes"]),
        row["loginids"].split(",") if row["loginids"] else [],
        row["linked_at"],
        row["last_used_at"],
        Agreement(
            row["agreed_name"],
            tokens.scopes_from_text(row["agreed_scopes"]),
            row["agreed_redirect_uri"],
            row["agreed_markup"],
        ),
        row["restrictions_id"],
        row["expires_at"],
        row["suspended_at"] is not None,
    )


def links_of_user(reader: Snapshot, user_id: int) -> list[AppLink]:
    """The authorizations of a user, oldest first."""
    rows = reader.all(_LINKS + " AND links.user_id = ? ORDER BY links.id", user_id)
    return [_link(row) for row in rows]


def link_of_user(reader: Snapshot, app_id: int, user_id: int) -> AppLink | None:
    """Return the user's authorization of an app, if there is one; it may be suspended."""
    row = reader.one(_LINKS + " AND links.app_id = ? AND links.user_id = ?", app_id, user_id)
    return None if row is None else _link(row)


def link_by_id(reader: Snapshot, link_id: int) -> AppLink | None:
    """Return the authorization with this id, unless it has ended; it may be suspended."""
    row = reader.one(_LINKS + " AND links.id = ?", link_id)
    return None if row is None else _link(row)


def unlink(transaction: Transaction, app_id: int, user_id: int, *, by: str = "") -> str:
    """Revoke a user's authorization of an app; return the app's name.

    Raises `InvalidAppID` if there is none.
    """
    found = link_of_user(transaction, app_id, user_id)
    if found is None:
        raise ApiError("InvalidAppID", "No app with this app_id is connected to you.")
    end_link(transaction, found.id, by=by)
    return found.app.name


def _links_of(reader: Snapshot, app_id: int) -> list[Row]:
    return reader.all("SELECT id FROM links WHERE app_id = ? AND ended_at IS NULL", app_id)


def _end_links(transaction: Transaction, app_id: int, *, by: str = "") -> None:
    for row in _links_of(transaction, app_id):
        end_link(transaction, row["id"], by=by)


def end_link(transaction: Transaction, link_id: int, *, by: str = "") -> None:
    """End one authorization and all its tokens. `by` is the id of the session that asked for it."""
    transaction.execute("UPDATE links SET ended_at = ? WHERE id = ?", time.time(), link_id)
    row = transaction.single("SELECT app_id, user_id FROM links WHERE id = ?", link_id)
    audit.record(
        transaction,
        Event.APP_DISCONNECTED,
        row["user_id"],
        app=row["app_id"],
        authorization=link_id,
    )
    stored_faults.end_of_link(transaction, link_id)
    tokens.end_all_of_link(transaction, link_id, by=by)
