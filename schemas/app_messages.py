"""Requests and replies about a user's own apps and connected apps."""

import ipaddress
import re
from decimal import Decimal
from typing import Annotated, Literal, NotRequired
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from scopegate.schemas.fields import AccountRequest, AppId, Flag, Number, One, OrAbsent, Text
from scopegate.schemas.scopes import ScopeNames


def _on_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_AUTHORITY = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([/?]|$)",
    re.ASCII,
)


def is_target(value: str) -> bool:
    """Whether a browser may be redirected to this URL: https, or http on a loopback host.

    The URL must be unambiguous: no user, no fragment, no backslash, no space, only ASCII
    characters, and no percent-encoding in the host.
    """
    if any(character <= " " or character in "\\#" or character > "~" for character in value):
        return False
    found = _AUTHORITY.match(value)
    if found is None:
        return False
    try:
        host, _ = urlsplit(value).hostname or "", urlsplit(value).port
    except ValueError:
        return False
    return _is_host(host) and (found["scheme"] == "https" or _on_loopback(host))


def _is_host(host: str) -> bool:
    """Whether every browser reads this as the same host."""
    labels = host.removesuffix(".").split(".")
    if ":" in host or labels[-1][:1].isdigit():  # browsers read `0x7f.1` as an address
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return True
    try:
        host.encode("ascii").decode("idna")
    except UnicodeError:
        return False
    return all(labels)


def _target(value: str) -> str:
    if value and not is_target(value):
        raise PydanticCustomError(
            "target", "Must be an https URL, or http on localhost, without a user or a fragment."
        )
    return value


Target = Annotated[Text, Field(max_length=255), AfterValidator(_target)]
HomePage = Annotated[Text, Field(pattern=r"^(https?://[!-~]{1,200})?$")]


class AppFields(AccountRequest):
    """The properties of an app that its owner sets."""

    name: Annotated[
        Text,
        Field(max_length=48, pattern=r"^[\p{L}\p{M}\p{N}_ -]*[\p{L}\p{N}][\p{L}\p{M}\p{N}_ -]*$"),
    ] = Field(
        description="The name shown to users: letters of any script, digits, spaces, `_` and `-`."
    )
    scopes: ScopeNames = Field(description="The scopes that the app can ask users for.")
    redirect_uri: Target = Field(
        "", description="The URL that consent returns to: https, or http on localhost."
    )
    verification_uri: Target = Field("", description="The URL for links in e-mails; only stored.")
    homepage: HomePage = Field("", description="The URL of the app's home page.")
    github: HomePage = Field("", description="The URL of the app's source on GitHub.")
    appstore: HomePage = Field("", description="The URL of the app in the App Store.")
    googleplay: HomePage = Field("", description="The URL of the app on Google Play.")
    app_markup_percentage: Annotated[Number, Field(ge=0, le=3, max_digits=20)] = Field(
        default=Decimal(0),
        description="The markup: the percentage of a contract's payout that is added to its price.",
    )


class AppRegister(AppFields):
    """Register an app of the user."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "app_register": 1,
                    "name": "My bot",
                    "scopes": ["read", "trade"],
                    "redirect_uri": "https://bot.example.com/back",
                }
            ]
        }
    )

    app_register: One


class AppUpdate(AppFields):
    """Change an app of the user; its users must consent again to what goes beyond their consent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "app_update": 1,
                    "name": "My bot",
                    "scopes": ["read"],
                    "redirect_uri": "https://bot.example.com/back",
                }
            ]
        }
    )

    app_update: AppId


_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def _origin(value: str) -> str:
    """Check that an origin is written as browsers write it: without the default port."""
    found = _AUTHORITY.fullmatch(value)
    if (
        found is None
        or value != value.lower()
        or value.endswith(("/", "?", _DEFAULT_PORTS[found["scheme"]]))
        or not _is_host(found["host"].strip("[]"))
    ):
        raise PydanticCustomError(
            "origin", "Must be an origin as browsers write it, such as https://bot.example.com."
        )
    return value


Origin = Annotated[Text, Field(max_length=200), AfterValidator(_origin)]


class AppOrigins(AccountRequest):
    """Show or change the origins whose pages may use an app of the user."""

    app_origins: AppId
    allowed_origins: OrAbsent[Annotated[list[Origin], Field(max_length=20)]] = Field(
        None,
        description="The new list of allowed origins; if empty, pages of any origin may use the"
        " app.",
    )


class AppOriginsBody(TypedDict):
    allowed_origins: list[str]
    """The origins whose pages may use the app; any origin may if empty."""
    app_id: int
    """The id of the app."""


class AppOriginsReply(TypedDict):
    app_origins: AppOriginsBody
    """The allowed origins of the app."""


class AppFlow(AccountRequest):
    """List the OAuth flow of each app of the user, or set the flow of one app."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"app_flow": 1, "app_id": 1090, "flow": "code"}]}
    )

    app_flow: One
    app_id: OrAbsent[AppId] = Field(
        None, description="The app to set the flow of; needs `flow` or `device_flow`."
    )
    flow: OrAbsent[Literal["tokens", "code", "both"]] = Field(
        None,
        description="`tokens`: tokens in the URL, for Deriv v3 web apps. `code`: only a code with"
        " PKCE. `both`: the link decides.",
    )
    device_flow: OrAbsent[Flag] = Field(
        None,
        description="1: programs without a browser can ask users for consent to the app, with a"
        " code that the user enters. 0: they cannot.",
    )


class FlowOfApp(TypedDict):
    app_id: int
    """The id of the app."""
    device_flow: int
    """1 if programs without a browser can ask users for consent to the app, else 0."""
    flow: str
    """The OAuth flow of the app: `tokens`, `code` or `both`."""


class AppFlowReply(TypedDict):
    app_flow: list[FlowOfApp]
    """The OAuth flows of your apps; with an app's token, only of those that it registered."""


class AppSecret(AccountRequest):
    """Show which apps of the user have a client secret, or change that of one app."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"app_secret": 1, "app_id": 1090, "action": "create"}]}
    )

    app_secret: One
    app_id: OrAbsent[AppId] = Field(None, description="The app to change; needs `action`.")
    action: OrAbsent[Literal["create", "delete"]] = Field(
        None,
        description="`create`: a new secret, instead of the one that the app has. `delete`: the app"
        " is known by its id alone again.",
    )


class SecretOfApp(TypedDict):
    app_id: int
    """The id of the app."""
    created: str | None
    """When its client secret was created (UTC), `yyyy-mm-dd hh:mm:ss`; null if it has none."""


class AppSecretBody(TypedDict):
    apps: list[SecretOfApp]
    """Your apps, oldest first."""
    client_secret: NotRequired[str]
    """The new client secret; it is not shown again."""


class AppSecretReply(TypedDict):
    app_secret: AppSecretBody
    """Which of your apps have a client secret."""


class AppGet(AccountRequest):
    """Show one app of the user."""

    app_get: AppId


class AppList(AccountRequest):
    """List the apps of the user."""

    app_list: One


class AppDelete(AccountRequest):
    """Delete an app of the user and revoke everything granted to it."""

    app_delete: AppId


class AppBody(TypedDict):
    active: int
    """1 if the app is active, 0 while the operator of the gateway has disabled it."""
    app_id: int
    """The id of the app."""
    app_markup_percentage: float
    """The markup, in percent of a contract's payout."""
    appstore: str
    """The URL of the app in the App Store; empty if not given."""
    github: str
    """The URL of its source on GitHub; empty if not given."""
    googleplay: str
    """The URL of the app on Google Play; empty if not given."""
    homepage: str
    """The URL of the app's home page; empty if not given."""
    name: str
    """The name of the app."""
    redirect_uri: str
    """The URL that consent returns to; empty if not given."""
    scopes: list[str]
    """The scopes that the app is registered for."""
    verification_uri: str
    """The URL for links in e-mails; empty if not given."""


class AppRegisterReply(TypedDict):
    app_register: AppBody
    """The new app."""


class AppUpdateReply(TypedDict):
    app_update: AppBody
    """The app after the change."""


class AppGetReply(TypedDict):
    app_get: AppBody
    """The app."""


class AppListReply(TypedDict):
    app_list: list[AppBody]
    """Your apps, oldest first; with an app's token, only those that it registered."""


class AppDeleteReply(TypedDict):
    app_delete: int
    """Always 1."""


class OauthApps(AccountRequest):
    """List the apps that are connected to the user."""

    oauth_apps: One


class ConnectedApp(TypedDict):
    app_id: int
    """The id of the app."""
    app_markup_percentage: float
    """The markup, in percent of a contract's payout."""
    last_used: str | None
    """The time of the app's last call for you (UTC), `yyyy-mm-dd hh:mm:ss`; null if there was
    none."""
    name: str
    """The name of the app."""
    official: int
    """1 if it is the gateway's own test app (1089), else 0."""
    scopes: list[str]
    """The scopes that you granted the app."""


class OauthAppsReply(TypedDict):
    oauth_apps: list[ConnectedApp]
    """The apps connected to you, the first connected first; with an app's token, only that app."""


class RevokeOauthApp(AccountRequest):
    """Disconnect an app from the user."""

    revoke_oauth_app: AppId


class RevokeOauthAppReply(TypedDict):
    revoke_oauth_app: int
    """Always 1."""
