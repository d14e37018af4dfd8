"""Requests and replies about the owner's tokens."""

from typing import Annotated, NotRequired

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import AccountRequest, Flag, One, OrAbsent, Text, secret
from scopegate.schemas.scopes import ScopeNames


class ApiToken(AccountRequest):
    """Lists the account's tokens; makes one first, or deletes one."""

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
        None, description="A token to delete, whole or as the list shows it."
    )
    new_token: OrAbsent[Annotated[Text, Field(pattern=r"^[A-Za-z0-9\s_]{1,64}$")]] = Field(
        None, description="The name of a token to make."
    )
    new_token_scopes: OrAbsent[ScopeNames] = Field(None, description="What the new token may do.")
    valid_for_current_ip_only: Flag = Field(
        0, description="1 to let the new token work from this address alone."
    )


class TokenSummary(TypedDict):
    display_name: str
    last_used: str
    scopes: list[str]
    token: str
    valid_for_ip: str


class ApiTokenBody(TypedDict):
    delete_token: NotRequired[int]
    new_token: NotRequired[int]
    tokens: list[TokenSummary]


class ApiTokenReply(TypedDict):
    api_token: ApiTokenBody
