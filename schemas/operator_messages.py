"""Requests and replies of the operator's page: what clients do, and what the operator does."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import AppId, Flag, One, Request, StreamRequest, Text, secret


class OperatorSignIn(Request):
    """Sign in at the operator's page."""

    operator_sign_in: One
    operator_token: Annotated[Text, Field(min_length=1, max_length=1000)] = secret(
        description="The token that the gateway was started with (`--operator-token`).",
        examples=["a-token-of-the-operator"],
    )


class OperatorSignInBody(TypedDict):
    session: str
    """The id of this connection, as `operator_overview` lists it."""


class OperatorSignInReply(TypedDict):
    operator_sign_in: OperatorSignInBody
    """The connection that is signed in now, until it ends."""


class OperatorOverview(StreamRequest):
    """Show what clients do at present, in all processes of the gateway."""

    operator_overview: One


class ProcessDetails(TypedDict):
    connections: int
    """The number of open connections of the process."""
    fault: str | None
    """The reason why clients should be sent elsewhere, such as a database that cannot be written;
    null if there is none."""
    process: int
    """The number of the worker process or gateway, 0 for a single one."""


class LiveConnection(TypedDict):
    address: str
    """The IP address that it comes from."""
    app_id: int | None
    """The app that it names; null if there is no such app. Its first message is then refused."""
    app_name: str
    """The name of that app; empty if there is none."""
    at_pages: int
    """1 if it is a page of the gateway, else 0."""
    connected_at: int
    """The time at which it was opened, in epoch seconds."""
    email: str | None
    """The e-mail address of the user who is signed in; null if nobody is."""
    loginids: list[str]
    """The accounts that it is signed in to."""
    messages: int
    """The number of messages that it has sent."""
    session: str
    """The id of the connection."""
    streams: int
    """The number of its open streams."""


class AppConnections(TypedDict):
    app_id: int | None
    """The id of the app; null for connections that name no valid one."""
    connections: int
    """The number of its open connections."""
    name: str
    """The name of the app."""


class UserConnections(TypedDict):
    connections: int
    """The number of open connections that are signed in as the user."""
    email: str
    """The e-mail address of the user."""


class CallDetails(TypedDict):
    call: str
    """The name of the call; `unknown` for messages that name none."""
    errors_per_second: float
    """How many of them a second were answered with an error."""
    per_second: float
    """How many messages a second named it in the last minute."""
    seconds: float
    """The time within which 99 of 100 were answered, rounded up to a bound of the metric
    `call_seconds`."""


class ErrorCount(TypedDict):
    code: str
    """The code of the error."""
    times: int
    """How often it was returned since the start."""


class LimitCount(TypedDict):
    limit: str
    """The limit, in words."""
    times: int
    """How many messages it has refused since the start."""


class RefusalDetails(TypedDict):
    address: str
    """The IP address that the message came from."""
    app_id: int | None
    """The app of the connection; null if it named none."""
    at: int
    """The time of the refusal, in epoch seconds."""
    call: str
    """The name of the call; `unknown` if the message named none."""
    code: str
    """The code of the error."""
    email: str | None
    """The e-mail address of the user who was signed in; null if nobody was."""
    limit: str
    """The limit that was reached; empty if none was."""
    session: str
    """The id of the connection."""


class DisabledUser(TypedDict):
    disabled_at: int
    """The time at which the user was disabled, in epoch seconds."""
    email: str
    """The e-mail address of the user."""


class DisabledApp(TypedDict):
    app_id: int
    """The id of the app."""
    disabled_at: int
    """The time at which the app was disabled, in epoch seconds."""
    name: str
    """The name of the app."""


class OverviewBody(TypedDict):
    apps: list[AppConnections]
    """The apps with open connections, those with the most first; at most 50."""
    calls: list[CallDetails]
    """The ten busiest and the ten slowest calls of the last minute."""
    calls_per_second: float
    """How many messages a second were answered in the last minute."""
    connections: list[LiveConnection]
    """Open connections, the oldest first; if there are more than 100, those with the most
    messages."""
    disabled_apps: list[DisabledApp]
    """The apps that are disabled, the latest first; at most 50."""
    disabled_users: list[DisabledUser]
    """The users who are disabled, the latest first; at most 50."""
    errors: list[ErrorCount]
    """How often each error code was returned, the most frequent first."""
    limits: list[LimitCount]
    """How many messages each limit has refused, the most frequent first."""
    open_connections: int
    """The number of all open connections."""
    processes: list[ProcessDetails]
    """The processes of the gateway."""
    refusals: list[RefusalDetails]
    """The latest refusals, the latest first; at most 50."""
    tokens_revoked: int
    """How many tokens have ended or were suspended since the start."""
    users: list[UserConnections]
    """The users with open connections, those with the most first; at most 50."""


class OperatorOverviewReply(TypedDict):
    operator_overview: OverviewBody
    """What clients do at present."""


class OperatorEndSession(Request):
    """End one connection."""

    operator_end_session: Annotated[Text, Field(pattern=r"^[0-9a-f]{16}$")] = Field(
        description="The id of the connection.", examples=["0123456789abcdef"]
    )


class OperatorEndSessionReply(TypedDict):
    operator_end_session: int
    """Always 1."""


class OperatorUserUpdate(Request):
    """Disable a user, or enable them again."""

    operator_user_update: Annotated[Text, Field(min_length=3, max_length=254)] = Field(
        description="The e-mail address of the user.", examples=["ada@example.com"]
    )
    disabled: Flag = Field(description="1 to disable the user, 0 to enable them.", examples=[1])


class OperatorUserUpdateBody(TypedDict):
    disabled: int
    """1 if the user is disabled now, else 0."""
    email: str
    """The e-mail address of the user."""


class OperatorUserUpdateReply(TypedDict):
    operator_user_update: OperatorUserUpdateBody
    """The user as they are now."""


class OperatorAppUpdate(Request):
    """Disable an app, or enable it again."""

    operator_app_update: AppId
    disabled: Flag = Field(description="1 to disable the app, 0 to enable it.", examples=[1])


class OperatorAppUpdateBody(TypedDict):
    app_id: int
    """The id of the app."""
    disabled: int
    """1 if the app is disabled now, else 0."""
    name: str
    """The name of the app."""


class OperatorAppUpdateReply(TypedDict):
    operator_app_update: OperatorAppUpdateBody
    """The app as it is now."""
