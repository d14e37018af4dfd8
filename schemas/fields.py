"""The scalar types of request fields, and the base class of every request.

Rules:
- A decimal string is accepted for a number, and a number for a string, because published clients
  send both. A JSON number with a zero fraction (5.0) is an integer, because typed clients write it
  so. Nothing else is coerced: no booleans, nulls, spaces or underscores, and no integer strings
  with a fraction or an exponent.
- Every error message names the problem without repeating the value that caused it.
- A pattern lists its characters: `\\w` matches any Unicode letter here.
"""

import re
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

MAX_INTEGER = 2**53 - 1
"""The largest integer that every JSON client represents exactly."""

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,15})", re.ASCII)
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,12})?", re.ASCII)


def _integer(value: object) -> object:
    if type(value) is int:
        return value
    if type(value) is float and value.is_integer():
        return int(value)
    if type(value) is str and _INTEGER.fullmatch(value):
        return int(value)
    raise PydanticCustomError("integer", "Must be an integer.")


def _decimal(value: object) -> object:
    if type(value) is int:
        return Decimal(value)
    if type(value) is float:
        return Decimal(repr(value))
    if type(value) is str and _DECIMAL.fullmatch(value):
        return Decimal(value)
    raise PydanticCustomError("number", "Must be a number.")


def _text(value: object) -> object:
    if type(value) is str:
        return value
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is int or type(value) is float:
        return repr(value)
    raise PydanticCustomError("text", "Must be a string.")


def listed(value: object) -> object:
    """The value in a list, unless it is a list already."""
    return value if type(value) is list else [value]


Int = Annotated[int, BeforeValidator(_integer)]
"""An integer with or without a zero fraction, or a string of its digits."""

Number = Annotated[Decimal, BeforeValidator(_decimal, json_schema_input_type=float)]
"""A finite number, or a string in plain decimal notation, as an exact `Decimal`."""

Text = Annotated[str, BeforeValidator(_text)]
"""A string, or a number that is converted to its digits."""

One = Annotated[Literal[1], BeforeValidator(_integer), Field(description="Always 1.")]
"""The constant 1, which most requests have under the name of their call."""

Flag = Annotated[Literal[0, 1], BeforeValidator(_integer)]
"""0 or 1."""

AppId = Annotated[
    int, BeforeValidator(_integer), Field(ge=1, le=MAX_INTEGER, description="The id of the app.")
]
LoginId = Annotated[str, BeforeValidator(_text), Field(pattern=r"^[A-Za-z]{1,10}[0-9]{1,15}$")]
SymbolName = Annotated[str, BeforeValidator(_text), Field(pattern=r"^[A-Za-z0-9_]{2,30}$")]
Epoch = Annotated[int, BeforeValidator(_integer), Field(ge=0, le=9_999_999_999)]
"""Seconds since 1970-01-01 00:00 UTC."""

Item = TypeVar("Item")
OneOrMore = Annotated[list[Item], BeforeValidator(listed), Field(min_length=1, max_length=100)]
"""One value or a list of values; always a list after validation."""


def secret(default: Any = ..., *, description: str, **rules: Any) -> Any:
    """A field whose value is never echoed or logged, with the arguments of pydantic's `Field`."""
    return Field(default, description=description, json_schema_extra={"sensitive": 1}, **rules)


def present(value: object) -> object:
    """The value, unless it is null, which is refused."""
    if value is None:
        raise PydanticCustomError("null", "Must not be null. Give a value, or leave the field out.")
    return value


OrAbsent = Annotated[Item | None, BeforeValidator(present)]
"""A field that may be left out, but may not be null."""


class Request(BaseModel):
    """The base of every request: the fields that any message may have besides those of its call.

    For a handler `req_id` is always `None`: the gateway puts it on the replies. A request may be
    given to several handlers, so it is not to be changed.
    """

    # Its validator is built when it is first needed: those of all calls take a tenth of a second.
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True
    )

    req_id: OrAbsent[Int] = Field(
        None, description="A number that comes back on every reply to this request."
    )
    passthrough: OrAbsent[dict[str, Any]] = Field(
        None, description="An object that comes back unchanged on every reply to this request."
    )


class AccountRequest(Request):
    """A request for an account: that of `loginid` if the connection is signed in to several."""

    loginid: OrAbsent[LoginId] = Field(
        None,
        description="The account that the request is for, if you are signed in with several"
        " tokens.",
    )


class StreamRequest(Request):
    """A request that may open a stream."""

    subscribe: Flag = Field(
        0, description="1 to receive updates after the first reply, 0 for one reply."
    )
