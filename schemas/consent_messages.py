"""Requests and replies about consent: what an app asks for, and what its user grants."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import Epoch, LoginId, Number, One, OrAbsent, Request, Text
from scopegate.schemas.scopes import ScopeNames

Query = Annotated[
    Text,
    Field(
        max_length=4096,
        description="The query of the consent page's URL, unchanged; or `user_code=` and the code"
        " that a device shows.",
        examples=["app_id=1090&state=x"],
    ),
]


class ConsentRequest(Request):
    """Ask what the app that opened the consent page asks for."""

    consent_request: One
    query: Query


class Asked(TypedDict):
    app_id: int
    """The id of the app."""
    app_markup_percentage: float
    """The markup of the app, in percent of a contract's payout."""
    changes: list[str]
    """The changes since your consent, one sentence each; empty before sign-in or without earlier
    consent."""
    expires_at: int | None
    """The time at which your earlier authorization expires, in epoch seconds; null before sign-in,
    and if there is none or it does not expire."""
    flow: str
    """The OAuth flow of the request: `tokens`, `code` or `device`."""
    name: str
    """The name of the app."""
    owner: str
    """The e-mail address of the app's owner, or a text that names the operator; empty before
    sign-in."""
    proposed_restrictions: dict[str, Any]
    """The restrictions that hold unless you choose others: those of your earlier authorization, and
    where they are less strict, those that the app requests."""
    restrictions: dict[str, Any]
    """The restrictions that the app requests in `authorization_details`, by name; empty if none."""
    returns_to: str
    """The origin of the URL that the browser returns to; empty in the flow `device`."""
    scopes: list[str]
    """The scopes that the app asks for."""
    user_code: str
    """The code that the device shows; empty in the other flows."""


class ConsentRequestReply(TypedDict):
    consent_request: Asked
    """The app and the access that it asks for."""


class Consent(Request):
    """Let an app act for the user."""

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
        description="The origin that the user was shown as the app's address; refused if it has"
        " changed."
    )
    name: OrAbsent[Annotated[Text, Field(max_length=48)]] = Field(
        None, description="The app's name as shown to the user; refused if it has changed."
    )
    app_markup_percentage: OrAbsent[Number] = Field(
        None, description="The app's markup as shown to the user; refused if it has changed."
    )
    loginids: Annotated[list[LoginId], Field(min_length=1, max_length=25)] = Field(
        description="The accounts that the app may use."
    )
    scopes: Annotated[ScopeNames, Field(min_length=1)] = Field(
        description="The scopes to grant: all or some of those that the app asks for."
    )
    restrictions: OrAbsent[
        Annotated[
            dict[str, Any],
            Field(
                description="What the app is restricted to: an object with the fields that"
                " `restriction_kinds` lists, at least as strict as what the app requests. By"
                " default, the `proposed_restrictions` of `consent_request`."
            ),
        ]
    ] = None
    expires_at: OrAbsent[
        Annotated[
            Epoch,
            Field(
                description="The time at which the authorization expires; 0 for never. By default,"
                " that of your earlier authorization, if there is one."
            ),
        ]
    ] = None


class ConsentRefuse(Request):
    """Refuse what an app asks for."""

    consent_refuse: One
    query: Query


class WayBack(TypedDict):
    redirect_to: str
    """The URL of the app, with the answer, to send the browser to; empty in the flow `device`."""


class ConsentReply(TypedDict):
    consent: WayBack
    """The redirect after the consent."""


class ConsentRefuseReply(TypedDict):
    consent_refuse: WayBack
    """The redirect after the refusal."""
