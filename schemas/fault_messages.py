"""Faults that owners ask for, to test their bots: the calls about them."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import (
    AccountRequest,
    AppId,
    Int,
    One,
    OrAbsent,
    Request,
    Text,
    secret,
)
from scopegate.schemas.restriction_messages import WhichToken


class FaultKinds(Request):
    """List the faults that connections can have."""

    fault_kinds: One


class FaultOption(TypedDict):
    name: str
    """The name of the option."""
    words: str
    """What it means."""
    default: Any
    """Its value if it is left out; null if there is none, or if it must be given."""
    required: int
    """1 if it must be given, else 0."""


class FaultKind(TypedDict):
    name: str
    """The name by which the fault is asked for."""
    words: str
    """What happens."""
    options: list[FaultOption]
    """What can be chosen about it."""


class FaultKindsReply(TypedDict):
    fault_kinds: list[FaultKind]
    """The kinds of faults."""


class FaultStart(AccountRequest):
    """Begin a fault of the connections of a token or of an app."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"fault_start": "drop", "options": {"after": "buy"}}]}
    )

    fault_start: Annotated[Text, Field(min_length=1, max_length=50)] = Field(
        description="The kind of the fault, one of those that `fault_kinds` lists."
    )
    options: dict[str, Any] = Field(
        {}, description="An object with options of the kind, by the names that `fault_kinds` lists."
    )
    token: OrAbsent[WhichToken] = secret(
        None,
        description="The token of the connections, whole or masked as in lists; by default that of"
        " this connection.",
    )
    app_id: OrAbsent[AppId] = Field(
        None,
        description="The app whose connections have it, instead of a token: only those of you.",
    )


class FaultInForce(TypedDict):
    app_id: int | None
    """The app whose connections have it; null for a fault of a token."""
    kind: str
    """The kind of the fault."""
    name: str
    """The name of the token or of the app."""
    number: int
    """Its number, for `fault_end`."""
    options: dict[str, Any]
    """The options that were given."""
    strikes: int
    """How often it has struck since the gateway started."""
    token: str
    """The token, masked; empty for a fault of an app."""


class FaultStartReply(TypedDict):
    fault_start: FaultInForce
    """The fault."""


class FaultList(AccountRequest):
    """List the faults of the account's tokens and of your apps."""

    fault_list: One


class FaultListReply(TypedDict):
    fault_list: list[FaultInForce]
    """The faults in force, the oldest first."""


class FaultEnd(AccountRequest):
    """End a fault."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"fault_end": 12}]})

    fault_end: Annotated[Int, Field(ge=1)] = Field(description="The number of the fault.")


class FaultEndReply(TypedDict):
    fault_end: int
    """Always 1."""
