"""Requests and replies of consent: what an app asks for, and what its user gives."""

from typing import Annotated

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import LoginId, Number, One, OrAbsent, Request, Text
from scopegate.schemas.scopes import ScopeNames

Query = Annotated[
    Text,
    Field(
        max_length=4096,
        description="The query of the consent page's address, as it is.",
        examples=["app_id=1090&state=x"],
    ),
]


class ConsentRequest(Request):
    """Asks what an app wants that sent its user to the consent page."""

    consent_request: One
    query: Query


class Asked(TypedDict):
    app_id: int
    app_markup_percentage: float
    changes: list[str]
    flow: str
    name: str
    owner: str
    returns_to: str
    scopes: list[str]


class ConsentRequestReply(TypedDict):
    consent_request: Asked


class Consent(Request):
    """Lets an app act for the user."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "consent": 1,
                    "query": "app_id=1090&state=x",
                    "returns_to": "https://app.example.com",
                    "loginids": ["VRTC9000001"],
                    "scopes": ["read"],
                }
            ]
        }
    )

    consent: One
    query: Query
    returns_to: Annotated[Text, Field(max_length=255)] = Field(
        description="Where the user was told that the app returns to."
    )
    name: OrAbsent[Annotated[Text, Field(max_length=48)]] = Field(
        None, description="The app's name as shown to the user; refused if it has changed."
    )
    app_markup_percentage: OrAbsent[Number] = Field(
        None, description="The app's markup as shown to the user; refused if it has changed."
    )
    loginids: Annotated[list[LoginId], Field(min_length=1, max_length=25)] = Field(
        description="The accounts that the app may reach."
    )
    scopes: Annotated[ScopeNames, Field(min_length=1)] = Field(
        description="What the app may do there: of what it asks for, all or less."
    )


class ConsentRefuse(Request):
    """Refuses an app what it asks for."""

    consent_refuse: One
    query: Query


class WayBack(TypedDict):
    redirect_to: str


class ConsentReply(TypedDict):
    consent: WayBack


class ConsentRefuseReply(TypedDict):
    consent_refuse: WayBack
