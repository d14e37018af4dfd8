"""Requests and replies about apps, and about the apps that are connected to a user."""

import ipaddress
from decimal import Decimal
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from schemas.fields import AccountRequest, AppId, Number, One, Text
from schemas.tokens import Scopes


def _on_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _target(value: str) -> str:
    """A URL that a browser may be sent to: https, or http on this very machine."""
    problem = PydanticCustomError(
        "target", "An https URL is needed, or an http one on localhost; no user, no fragment."
    )
    if value == "":
        return value
    if any(character <= " " or character == "\\" or character > "~" for character in value):
        raise problem
    try:
        url = urlsplit(value)
        host, _ = url.hostname or "", url.port
    except ValueError:
        raise problem from None
    if (
        not host
        or url.username is not None
        or "#" in value
        or not (url.scheme == "https" or (url.scheme == "http" and _on_loopback(host)))
    ):
        raise problem
    return value


Target = Annotated[Text, Field(max_length=255), AfterValidator(_target)]
HomePage = Annotated[Text, Field(pattern=r"^(https?://[!-~]{1,200})?$")]


class AppFields(AccountRequest):
    """What an owner says of an app."""

    name: Annotated[
        Text,
        Field(max_length=48, pattern=r"^[\p{L}\p{M}\p{N}_ -]*[\p{L}\p{N}][\p{L}\p{M}\p{N}_ -]*$"),
    ] = Field(description="What users are asked to trust: letters of any script, digits, `_`, `-`.")
    scopes: Scopes = Field(description="The most that a user can grant the app.")
    redirect_uri: Target = Field(
        "", description="Where consent leads back to: https, or http on localhost."
    )
    verification_uri: Target = Field("", description="Where links in e-mails lead to.")
    homepage: HomePage = ""
    github: HomePage = ""
    appstore: HomePage = ""
    googleplay: HomePage = ""
    app_markup_percentage: Annotated[Number, Field(ge=0, le=3, max_digits=20)] = Field(
        default=Decimal(0),
        description="Percent of the payout that is added to the price.",
    )


class AppRegister(AppFields):
    """Registers an app of the user's."""

    app_register: One


class AppUpdate(AppFields):
    """Describes an app of the user's anew; other scopes end every grant of the app."""

    app_update: AppId


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
