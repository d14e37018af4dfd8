"""Requests and replies about the owner's tokens."""

from typing import Annotated, NotRequired

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import AccountRequest, Flag, One, OrAbsent, Text, secret
from scopegate.schemas.scopes import ScopeNames


class ApiToken(AccountRequest):
    """List the account's tokens, after creating or deleting one if asked to."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"api_token": 1},
                {"api_token": 1, "new_token": "My bot", "new_token_scopes": ["read", "trade"]},
            ]
        }
    )

    api_token: One
    delete_token: OrAbsent[Annotated[Text, Field(pattern=r"^[A-Za-z0-9\s_*]{1,128}$")]] = secret(
        None, description="The token to delete, whole or masked as in the list."
    )
    new_token: OrAbsent[Annotated[Text, Field(pattern=r"^[A-Za-z0-9\s_]{1,64}$")]] = Field(
        None, description="The name of a token to create."
    )
    new_token_scopes: OrAbsent[ScopeNames] = Field(None, description="The scopes of the new token.")
    valid_for_current_ip_only: Flag = Field(
        0, description="1 to let the new token work only from your current IP address."
    )


class TokenSummary(TypedDict):
    display_name: str
    """The name of the token."""
    last_used: str
    """The time of the last use (UTC), `yyyy-mm-dd hh:mm:ss`; empty if it was never used."""
    scopes: list[str]
    """The scopes of the token."""
    token: str
    """The token with all but its last four characters masked; a new token is whole."""
    valid_for_ip: str
    """The only IP address that the token works from; empty if it works from any."""


class ApiTokenBody(TypedDict):
    delete_token: NotRequired[int]
    """Always 1; present if a token was deleted."""
    new_token: NotRequired[int]
    """Always 1; present if a token was created."""
    tokens: list[TokenSummary]
    """The tokens of the account, oldest first; for an app, only those that it created."""


class ApiTokenReply(TypedDict):
    api_token: ApiTokenBody
    """The tokens of the account, and what was changed."""
