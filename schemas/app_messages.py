"""Requests and replies about apps, and about the apps that are connected to a user."""

import ipaddress
import re
from decimal import Decimal
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from scopegate.schemas.fields import AccountRequest, AppId, Number, One, OrAbsent, Text
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
    """Whether a browser may be sent to this URL: https, or http on this very machine.

    Nothing in it may be read in two ways: no user, no fragment, no backslash, no blank, no letters
    but ASCII's, and no host that is spelt in percents.
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
    """Whether every browser takes this for the same host."""
    labels = host.removesuffix(".").split(".")
    if ":" in host or labels[-1][:1].isdigit():  # else browsers would read `0x7f.1` as an address
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
            "target", "An https URL is needed, or an http one on localhost; no user, no fragment."
        )
    return value


Target = Annotated[Text, Field(max_length=255), AfterValidator(_target)]
HomePage = Annotated[Text, Field(pattern=r"^(https?://[!-~]{1,200})?$")]


class AppFields(AccountRequest):
    """What an owner says of an app."""

    name: Annotated[
        Text,
        Field(max_length=48, pattern=r"^[\p{L}\p{M}\p{N}_ -]*[\p{L}\p{N}][\p{L}\p{M}\p{N}_ -]*$"),
    ] = Field(description="What users are asked to trust: letters of any script, digits, `_`, `-`.")
    scopes: ScopeNames = Field(description="The most that a user can grant the app.")
    redirect_uri: Target = Field(
        "", description="Where consent leads back to: https, or http on localhost."
    )
    verification_uri: Target = Field("", description="Where links in e-mails lead to.")
    homepage: HomePage = Field("", description="The app's home page.")
    github: HomePage = Field("", description="Where its source is on GitHub.")
    appstore: HomePage = Field("", description="Where it is in the App Store.")
    googleplay: HomePage = Field("", description="Where it is on Google Play.")
    app_markup_percentage: Annotated[Number, Field(ge=0, le=3, max_digits=20)] = Field(
        default=Decimal(0),
        description="Percent of the payout that is added to the price.",
    )


class AppRegister(AppFields):
    """Registers an app of the user's."""

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
    """Changes an app of the user's; its users must agree again to what they have not agreed to."""

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
    """An origin as browsers write it: they leave out the port that goes without saying."""
    found = _AUTHORITY.fullmatch(value)
    if (
        found is None
        or value != value.lower()
        or value.endswith(("/", "?", _DEFAULT_PORTS[found["scheme"]]))
        or not _is_host(found["host"].strip("[]"))
    ):
        raise PydanticCustomError(
            "origin", "An origin as browsers write it is needed, such as https://bot.example.com."
        )
    return value


Origin = Annotated[Text, Field(max_length=200), AfterValidator(_origin)]


class AppOrigins(AccountRequest):
    """Tells from which origins' pages an app of the user's may be used, or changes that."""

    app_origins: AppId
    allowed_origins: OrAbsent[Annotated[list[Origin], Field(max_length=20)]] = Field(
        None, description="The origins instead; with an empty list pages of any origin may use it."
    )


class AppOriginsBody(TypedDict):
    allowed_origins: list[str]
    app_id: int


class AppOriginsReply(TypedDict):
    app_origins: AppOriginsBody


class AppFlow(AccountRequest):
    """Lists the OAuth flow of each of the user's apps, or chooses that of one app."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"app_flow": 1, "app_id": 1090, "flow": "code"}]}
    )

    app_flow: One
    app_id: OrAbsent[AppId] = Field(None, description="The app to choose for.")
    flow: OrAbsent[Literal["tokens", "code", "both"]] = Field(
        None,
        description="tokens: for a Deriv v3 web app, tokens in the URL. code: only a code with"
        " PKCE. both: the link decides.",
    )


class FlowOfApp(TypedDict):
    app_id: int
    flow: str


class AppFlowReply(TypedDict):
    app_flow: list[FlowOfApp]


class AppGet(AccountRequest):
    """Asks for one app of the user's."""

    app_get: AppId


class AppList(AccountRequest):
    """Asks for every app of the user's."""

    app_list: One


class AppDelete(AccountRequest):
    """Deletes an app of the user's, with every grant of it."""

    app_delete: AppId


class AppBody(TypedDict):
    active: int
    app_id: int
    app_markup_percentage: float
    appstore: str
    github: str
    googleplay: str
    homepage: str
    name: str
    redirect_uri: str
    scopes: list[str]
    verification_uri: str


class AppRegisterReply(TypedDict):
    app_register: AppBody


class AppUpdateReply(TypedDict):
    app_update: AppBody


class AppGetReply(TypedDict):
    app_get: AppBody


class AppListReply(TypedDict):
    app_list: list[AppBody]


class AppDeleteReply(TypedDict):
    app_delete: int


class OauthApps(AccountRequest):
    """Asks which apps are connected to the user."""

    oauth_apps: One


class ConnectedApp(TypedDict):
    app_id: int
    app_markup_percentage: float
    last_used: str | None
    name: str
    official: int
    scopes: list[str]


class OauthAppsReply(TypedDict):
    oauth_apps: list[ConnectedApp]


class RevokeOauthApp(AccountRequest):
    """Disconnects an app from the user."""

    revoke_oauth_app: AppId


class RevokeOauthAppReply(TypedDict):
    revoke_oauth_app: int
