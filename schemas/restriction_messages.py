"""Restrictions of tokens and of apps' authorizations: their fields, and the calls about them."""

import ipaddress
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from scopegate.schemas.contract_types import ContractType
from scopegate.schemas.fields import (
    AccountRequest,
    Epoch,
    Flag,
    Int,
    LoginId,
    Number,
    One,
    OneOrMore,
    OrAbsent,
    Request,
    SymbolName,
    Text,
    secret,
)
from scopegate.schemas.scopes import ScopeNames

WEEK = 7 * 86_400
SOONEST = 5
"""The fewest seconds of `close_on_disconnect`.

In fewer, a gateway that is busy may not have stored yet that another connection lasts.
"""
MAX_CAP = 1_000_000_000
"""The highest amount of a cap: in every currency its smallest units fit into a column."""
_MAPPED = 96
"""The bits before the IPv4 address in an IPv4-mapped IPv6 address."""


def _network(value: str) -> str:
    """Return a network as it is stored: one of IPv4 if it is written as IPv4-mapped IPv6."""
    try:
        if "%" in value:  # a scope is a name on one machine
            raise ValueError
        network = ipaddress.ip_network(value)
    except ValueError:
        raise PydanticCustomError(
            "network",
            "Must be an IP address, or a network such as 192.0.2.0/24 whose address ends in zeros.",
        ) from None
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= _MAPPED:
        network = ipaddress.ip_network(f"{mapped}/{network.prefixlen - _MAPPED}")
    return str(network)


Network = Annotated[Text, AfterValidator(_network)]
Hours = Annotated[
    Text, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$")
]


class Restrictions(BaseModel):
    """What a token or an app's authorization is restricted to, beyond its scopes."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    networks: OrAbsent[OneOrMore[Network]] = Field(
        None,
        title="IP addresses and networks",
        description="The IP addresses and networks that it works from.",
        examples=["192.0.2.7, 198.51.100.0/24"],
    )
    accounts: OrAbsent[OneOrMore[LoginId]] = Field(
        None,
        title="Accounts",
        description="The accounts that it reaches.",
        examples=["CR123456, CR123457"],
    )
    calls_per_minute: OrAbsent[Annotated[Int, Field(ge=1, le=1_000_000)]] = Field(
        None,
        title="Calls per minute",
        description="The calls that it may make in a minute, on all connections together.",
        examples=["60"],
    )

    def looser_than(self, before: "Restrictions") -> list[str]:
        """Return the names of the fields that allow something that `before` does not."""
        return [name for name in type(before).model_fields if self._is_looser(name, before)]

    def tightened_by(self, other: "Restrictions") -> Self:
        """Return these, with the values of `other` for the fields that allow more than it does."""
        return self.model_copy(
            update={name: getattr(other, name) for name in self.looser_than(other)}
        )

    def as_json(self) -> dict[str, Any]:
        """Return the fields that are set, as replies have them."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            name: float(value) if isinstance(value, Decimal) else value
            for name, value in values.items()
            if value is not None
        }

    def _is_looser(self, name: str, before: "Restrictions") -> bool:
        new, old = getattr(self, name), getattr(before, name)
        if old is None or new == old:
            return False
        if new is None:
            return True
        if name == "networks":
            return not all(_within(each, old) for each in new)
        return not set(new) <= set(old) if isinstance(old, list) else bool(new > old)


def _within(network: str, networks: list[str]) -> bool:
    one = ipaddress.ip_network(network)
    return any(
        one.version == each.version and one.subnet_of(each)  # type: ignore[arg-type]
        for each in map(ipaddress.ip_network, networks)
    )


Amount = OrAbsent[Annotated[Number, Field(ge=0, le=MAX_CAP)]]


class TradingRestrictions(Restrictions):
    """Restrictions with those of the exchange. Amounts are in the currency of the account."""

    max_stake: Amount = Field(
        None,
        title="Highest price of a contract",
        description="The highest price of a contract: one that costs more is not bought.",
        examples=["10"],
    )
    max_stake_per_day: Amount = Field(
        None,
        title="Stakes per day",
        description="The total price of what is bought in a day (UTC, market time).",
        examples=["100"],
    )
    max_loss_per_day: Amount = Field(
        None,
        title="Loss per day",
        description="The most that a day may lose. An open contract counts with its whole price.",
        examples=["50"],
    )
    max_open_contracts: OrAbsent[Annotated[Int, Field(ge=0, le=1_000)]] = Field(
        None,
        title="Open contracts",
        description="The contracts that may be open at the same time.",
        examples=["5"],
    )
    max_transfer_per_day: Amount = Field(
        None,
        title="Transfers and withdrawals per day",
        description="What may be transferred, paid and withdrawn in a day.",
        examples=["0"],
    )
    symbols: OrAbsent[OneOrMore[SymbolName]] = Field(
        None,
        title="Symbols",
        description="The symbols that may be traded.",
        examples=["R_100, R_50"],
    )
    markets: OrAbsent[OneOrMore[Annotated[Text, Field(pattern=r"^[a-z_]{2,40}$")]]] = Field(
        None,
        title="Markets",
        description="The markets whose symbols may be traded.",
        examples=["synthetic_index"],
    )
    contract_types: OrAbsent[OneOrMore[ContractType]] = Field(
        None,
        title="Contract types",
        description="The contract types that may be bought.",
        examples=["CALL, PUT"],
    )
    no_trading: OrAbsent[OneOrMore[Hours]] = Field(
        None,
        title="No trading between",
        description="Hours of each day (UTC) without purchases, such as `22:00-06:00`.",
        examples=["22:00-06:00"],
    )

    close_on_disconnect: OrAbsent[Annotated[Int, Field(ge=SOONEST, le=WEEK)]] = Field(
        None,
        title="Sell when disconnected for (seconds)",
        examples=["60"],
        description="Seconds after its last connection is gone, after which what it has bought is"
        " sold, as far as that is possible.",
    )

    def tightened_by(self, other: Restrictions) -> Self:
        """Return these, with the values of `other` for the fields that allow more than it does.

        Of hours without purchases, those of both.
        """
        found = super().tightened_by(other)
        if "no_trading" in self.looser_than(other):
            hours = {*(self.no_trading or ()), *(getattr(other, "no_trading", None) or ())}
            return found.model_copy(update={"no_trading": sorted(hours)})
        return found

    def _is_looser(self, name: str, before: Restrictions) -> bool:
        if name == "no_trading":  # more hours are stricter
            return not set(getattr(before, name) or ()) <= set(self.no_trading or ())
        return super()._is_looser(name, before)


RestrictionFields = Annotated[
    dict[str, Any],
    Field(
        description="What the token is restricted to: an object with the fields that"
        " `restriction_kinds` lists. What is left out is not restricted."
    ),
]
Expiry = OrAbsent[Annotated[Epoch, Field(description="The time at which the token expires.")]]
NewExpiry = OrAbsent[
    Annotated[
        Epoch,
        Field(description="The time at which it expires; 0 for never. By default, it stays."),
    ]
]
WhichToken = Annotated[Text, Field(pattern=r"^[A-Za-z0-9\s_*-]{1,128}$")]


class TokenCreate(AccountRequest):
    """Create a token for an account, with restrictions."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "token_create": 1,
                    "name": "My bot",
                    "scopes": ["read", "trade"],
                    "restrictions": {"max_stake": 5, "max_loss_per_day": 50},
                }
            ]
        }
    )

    token_create: One
    name: Annotated[Text, Field(pattern=r"^[A-Za-z0-9\s_]{1,64}$")] = Field(
        description="The name of the token."
    )
    scopes: Annotated[ScopeNames, Field(min_length=1)] = Field(
        description="The scopes of the token."
    )
    valid_for_current_ip_only: Flag = Field(
        0, description="1 to let the token work only from the IP address of this connection."
    )
    expires_at: Expiry = None
    restrictions: OrAbsent[RestrictionFields] = None


class RestrictionSet(TypedDict):
    name: str
    """The token, or the app, that these restrictions were set for; empty if it has been deleted."""
    set_for: Literal["token", "parent", "app"]
    """`token` if they are the token's own, `parent` if they are those of a token that it was
    created with, and `app` if they are those of your authorization of an app."""
    restrictions: dict[str, Any]
    """The restrictions, by name; only those that are set."""
    use: dict[str, Any]
    """What of the caps is used at present, by name, in the same units."""


class RestrictedToken(TypedDict):
    expires_at: int | None
    """The time at which the token expires, in epoch seconds; null if it does not."""
    in_force: list[RestrictionSet]
    """All restrictions that the token is under: its own first, then those of its parents or of its
    app's authorization. Empty if there are none."""
    name: str
    """The name of the token."""
    token: str
    """The token with all but its last four characters masked; a new token is whole."""


class TokenCreateReply(TypedDict):
    token_create: RestrictedToken
    """The new token; only this reply shows it in full."""


class TokenRestrict(AccountRequest):
    """Replace the restrictions of a token."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"token_restrict": "*****Xy7Q", "restrictions": {"max_stake": 5}}]
        }
    )

    token_restrict: WhichToken = secret(description="The token, whole or masked as in lists.")
    restrictions: RestrictionFields
    expires_at: NewExpiry = None


class TokenRestrictReply(TypedDict):
    token_restrict: RestrictedToken
    """The token as it is now."""


class TokenRotate(AccountRequest):
    """Replace the secret of a token; everything else about it stays."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"token_rotate": "*****Xy7Q", "overlap": 3_600}]}
    )

    token_rotate: WhichToken = secret(description="The token, whole or masked as in lists.")
    overlap: Annotated[Int, Field(ge=0, le=WEEK)] = Field(
        0, description="The seconds for which the old secret works as well."
    )


class TokenRotateReply(TypedDict):
    token_rotate: RestrictedToken
    """The token with its new secret; only this reply shows it in full."""


class TokenRestrictions(AccountRequest):
    """Show the restrictions of the token that makes the call, and what of them is used."""

    token_restrictions: One


class TokenRestrictionsReply(TypedDict):
    token_restrictions: RestrictedToken
    """The token that the connection is signed in with."""


class RestrictionKinds(Request):
    """List the restrictions that tokens and authorizations can have."""

    restriction_kinds: One


class RestrictionKind(TypedDict):
    name: str
    """The name of the field."""
    label: str
    """Its name in words, as forms show it."""
    words: str
    """What it restricts, in words."""
    input: Literal["amount", "integer", "list", "text"]
    """The value: an amount of money in the currency of the account, an integer, a list, or a text.
    """
    example: str
    """A value, or some values of a list with commas between them; empty if there is none."""


class RestrictionKindsReply(TypedDict):
    restriction_kinds: list[RestrictionKind]
    """The restrictions, in the order in which lists show them."""


class AppRestrict(Request):
    """Replace the restrictions of a connected app."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"app_restrict": 1_234, "restrictions": {"max_loss_per_day": 50}}]
        }
    )

    app_restrict: Annotated[Int, Field(ge=1)] = Field(description="The id of the app.")
    restrictions: RestrictionFields
    expires_at: NewExpiry = None


class RestrictedApp(TypedDict):
    app_id: int
    """The id of the app."""
    expires_at: int | None
    """The time at which your authorization expires, in epoch seconds; null if it does not."""
    in_force: list[RestrictionSet]
    """The restrictions of your authorization of it; empty if there are none."""


class AppRestrictReply(TypedDict):
    app_restrict: RestrictedApp
    """The connected app as it is now."""
