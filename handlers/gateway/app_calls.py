"""The user's own apps, and the apps that are connected to the user."""

from collections.abc import Iterable
from typing import Any

from scopegate.gateway.access import app_secrets, apps, tokens
from scopegate.gateway.access.apps import App, AppLink
from scopegate.gateway.access.guard import Access
from scopegate.gateway.calls.errors import input_validation_failed
from scopegate.gateway.calls.idempotency import RECORDED, SECRET
from scopegate.gateway.calls.registry import call
from scopegate.gateway.calls.session import Grant, Session
from scopegate.handlers.gateway.gateway_scopes import ADMIN, READ
from scopegate.schemas.app_messages import (
    AppBody,
    AppDelete,
    AppDeleteReply,
    AppFields,
    AppFlow,
    AppFlowReply,
    AppGet,
    AppGetReply,
    AppList,
    AppListReply,
    AppOrigins,
    AppOriginsReply,
    AppRegister,
    AppRegisterReply,
    AppSecret,
    AppSecretBody,
    AppSecretReply,
    AppUpdate,
    AppUpdateReply,
    ConnectedApp,
    OauthApps,
    OauthAppsReply,
    RevokeOauthApp,
    RevokeOauthAppReply,
    SecretOfApp,
)
from scopegate.schemas.scopes import Scopes
from scopegate.store.store import Store
from scopegate.store.transactions import Snapshot, Transaction


class Apps:
    """The user's own apps, and the apps that are connected to the user.

    An app's token reaches only the apps that the same app has registered.
    """

    def __init__(self, access: Access, store: Store, scopes: Scopes) -> None:
        self._scopes = scopes
        self._access = access
        self._store = store

    @call(
        "app_register",
        needs=ADMIN,
        app_tokens=True,
        error_codes=("AppRegister",),
        idempotency=RECORDED,
    )
    async def app_register(self, request: AppRegister, session: Session) -> AppRegisterReply:
        """Register an app. Users can then authorize it to act for them."""
        grant = session.grant
        values = _values(request)
        return await self._access.write_reply(
            session,
            lambda transaction: apps.register(
                transaction, grant.user_id, values, registered_by=grant.app_id
            ),
            lambda app: {"app_register": _body(app, self._scopes)},
        )

    @call(
        "app_update",
        needs=ADMIN,
        app_tokens=True,
        error_codes=("AppUpdate", "AppRegister", "InvalidAppID"),
        idempotency=RECORDED,
    )
    async def app_update(self, request: AppUpdate, session: Session) -> AppUpdateReply:
        """Change an app. If users have not agreed to the change, the app is suspended for them.

        This applies to another name, another origin of `redirect_uri`, other scopes and a higher
        markup: the app's tokens allow nothing for a user until that user has consented again.
        """
        grant = session.grant
        values = _values(request)

        def job(transaction: Transaction) -> App:
            app = _find(transaction, request.app_update, grant)
            # Keep scopes that the gateway does not declare at present: no request can name them.
            scopes = values["scopes"] | (app.scopes - self._scopes.names)
            return apps.update(transaction, app, values | {"scopes": scopes}, by=session.id)

        return await self._access.write_reply(
            session, job, lambda app: {"app_update": _body(app, self._scopes)}
        )

    @call(
        "app_delete",
        needs=ADMIN,
        app_tokens=True,
        error_codes=("InvalidAppID",),
        idempotency=RECORDED,
    )
    async def app_delete(self, request: AppDelete, session: Session) -> AppDeleteReply:
        """Delete an app and all authorizations that users gave it."""
        grant = session.grant

        def job(transaction: Transaction) -> None:
            app = _find(transaction, request.app_delete, grant)
            apps.delete(transaction, app, by=session.id)

        return await self._access.write_reply(session, job, lambda _: {"app_delete": 1})

    @call(
        "app_origins",
        needs=ADMIN,
        app_tokens=True,
        error_codes=("AppRegister", "InvalidAppID"),
        idempotency=RECORDED,
    )
    async def app_origins(self, request: AppOrigins, session: Session) -> AppOriginsReply:
        """Return the origins whose pages may use an app; with `allowed_origins`, set them first.

        This restricts only browsers, which send the true origin of a page. Other clients can send
        any origin.
        """
        grant = session.grant
        origins = request.allowed_origins

        def job(transaction: Transaction) -> App:
            app = _find(transaction, request.app_origins, grant)
            return app if origins is None else apps.set_origins(transaction, app, origins)

        return await self._access.write_reply(
            session,
            job,
            lambda app: {
                "app_origins": {"allowed_origins": list(app.allowed_origins), "app_id": app.id}
            },
        )

    @call(
        "app_flow",
        needs=ADMIN,
        app_tokens=True,
        error_codes=("AppRegister", "InvalidAppID"),
        idempotency=RECORDED,
    )
    async def app_flow(self, request: AppFlow, session: Session) -> AppFlowReply:
        """List the OAuth flows of each of the user's apps; with `app_id`, set them first.

        The consent page refuses a link that asks for another flow.
        """
        grant = session.grant
        app_id, flow, device_flow = request.app_id, request.flow, request.device_flow
        if (app_id is None) != (flow is None and device_flow is None):
            missing = "app_id" if app_id is None else "flow"
            raise input_validation_failed(
                {missing: "To set a flow, give both app_id and flow or device_flow."}
            )

        def job(transaction: Transaction) -> list[App]:
            if app_id is not None:
                app = _find(transaction, app_id, grant)
                if flow is not None:
                    app = apps.set_flow(transaction, app, flow)
                if device_flow is not None:
                    apps.set_device_flow(transaction, app, on=bool(device_flow))
            return _owned(transaction, grant)

        if app_id is None:
            return _flows(await self._store.read(lambda reader: _owned(reader, grant)))
        return await self._access.write_reply(session, job, _flows)

    @call(
        "app_secret",
        needs=ADMIN,
        app_tokens=False,
        error_codes=("InvalidAppID",),
        idempotency=SECRET,
    )
    async def app_secret(self, request: AppSecret, session: Session) -> AppSecretReply:
        """List which of the user's apps have a client secret; with `action`, change one first.

        An app with a secret must send it to the OAuth endpoints. Only then it can use introspection
        and revocation. The secret is shown once. Apps may not make this call.
        """
        grant = session.grant
        app_id, action = request.app_id, request.action
        if (app_id is None) != (action is None):
            missing = "app_id" if app_id is None else "action"
            raise input_validation_failed({missing: "To change one, give both app_id and action."})

        def job(transaction: Transaction) -> AppSecretBody:
            made: AppSecretBody = {"apps": []}
            if app_id is not None:
                app = _find(transaction, app_id, grant)
                if action == "create":
                    made["client_secret"] = app_secrets.create(transaction, app)
                else:
                    app_secrets.delete(transaction, app)
            return {**made, "apps": _secrets(transaction, grant)}

        if app_id is None:
            listed = await self._store.read(lambda reader: _secrets(reader, grant))
            return {"app_secret": {"apps": listed}}
        return await self._access.write_reply(session, job, lambda body: {"app_secret": body})

    @call("app_get", needs=READ, error_codes=("InvalidAppID",))
    async def app_get(self, request: AppGet, session: Session) -> AppGetReply:
        """Return one of the user's apps."""
        grant = session.grant
        app = await self._store.read(lambda reader: _find(reader, request.app_get, grant))
        return {"app_get": _body(app, self._scopes)}

    @call("app_list", needs=READ, error_codes=())
    async def app_list(self, request: AppList, session: Session) -> AppListReply:
        """List the user's apps; with an app's token, only those that this app registered."""
        grant = session.grant
        owned = await self._store.read(lambda reader: _owned(reader, grant))
        return {"app_list": [_body(app, self._scopes) for app in owned]}

    @call("oauth_apps", needs=READ, error_codes=())
    async def oauth_apps(self, request: OauthApps, session: Session) -> OauthAppsReply:
        """List the apps that are connected to the user, with their scopes.

        With an app's token, list only that app.
        """
        grant = session.grant
        await self._access.records.flush_if_possible()
        links = await self._store.read(lambda reader: apps.links_of_user(reader, grant.user_id))
        return {
            "oauth_apps": [
                _connected(link, self._scopes) for link in links if grant.link_id in (None, link.id)
            ]
        }

    @call(
        "revoke_oauth_app",
        needs=ADMIN,
        app_tokens=False,
        error_codes=("InvalidAppID",),
        idempotency=RECORDED,
    )
    async def revoke_oauth_app(
        self, request: RevokeOauthApp, session: Session
    ) -> RevokeOauthAppReply:
        """Disconnect an app: its tokens end at once, on live connections too.

        Apps may not make this call.
        """
        grant = session.grant
        app_id = request.revoke_oauth_app
        return await self._access.write_reply(
            session,
            lambda transaction: apps.unlink(transaction, app_id, grant.user_id, by=session.id),
            lambda _: {"revoke_oauth_app": 1},
        )


def _flows(found: Iterable[App]) -> AppFlowReply:
    return {
        "app_flow": [
            {"app_id": app.id, "device_flow": int(app.device_flow), "flow": app.flow}
            for app in found
        ]
    }


def _owned(reader: Snapshot, grant: Grant) -> list[App]:
    """The user's apps; for an app's token, only those that this app registered."""
    return apps.of_user(reader, grant.user_id, registered_by=grant.app_id)


def _secrets(reader: Snapshot, grant: Grant) -> list[SecretOfApp]:
    return [
        {
            "app_id": app.id,
            "created": tokens.moment_text(app_secrets.created_at(reader, app)) or None,
        }
        for app in _owned(reader, grant)
    ]


def _find(reader: Snapshot, app_id: int, grant: Grant) -> App:
    """An app of the user's; for an app's token, only one that this app registered."""
    return apps.find(reader, app_id, grant.user_id, registered_by=grant.app_id)


def _values(request: AppFields) -> dict[str, Any]:
    if request.redirect_uri and not request.scopes:
        raise input_validation_failed(
            {"scopes": "An app with a redirect_uri needs at least one scope."}
        )
    if request.app_markup_percentage and not request.redirect_uri:
        raise input_validation_failed(
            {"redirect_uri": "An app that charges a markup needs a redirect_uri."}
        )
    return {
        "name": request.name,
        "scopes": frozenset(request.scopes),
        "redirect_uri": request.redirect_uri,
        "verification_uri": request.verification_uri,
        "homepage": request.homepage,
        "github": request.github,
        "appstore": request.appstore,
        "googleplay": request.googleplay,
        "markup": str(request.app_markup_percentage),
    }


def _body(app: App, scopes: Scopes) -> AppBody:
    return {
        "active": int(app.disabled_at is None),
        "app_id": app.id,
        "app_markup_percentage": float(app.markup),
        "appstore": app.appstore,
        "github": app.github,
        "googleplay": app.googleplay,
        "homepage": app.homepage,
        "name": app.name,
        "redirect_uri": app.redirect_uri,
        "scopes": scopes.in_order(app.scopes & scopes.names),
        "verification_uri": app.verification_uri,
    }


def _connected(link: AppLink, scopes: Scopes) -> ConnectedApp:
    return {
        "app_id": link.app.id,
        "app_markup_percentage": float(link.app.markup),
        "last_used": tokens.moment_text(link.last_used_at) or None,
        "name": link.app.name,
        "official": int(link.app.official),
        "scopes": scopes.in_order(link.scopes),
    }
