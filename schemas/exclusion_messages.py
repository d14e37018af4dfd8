"""Requests and replies about self-exclusion: limits and pauses that an owner sets."""

from typing import Annotated

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import AccountRequest, Int, Number, One, Text

Amount = Annotated[Number, Field(ge=0, le=10**9)]
Day = Annotated[Text, Field(pattern=r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}$")]


class GetSelfExclusion(AccountRequest):
    """A request for the limits and pauses of the account."""

    get_self_exclusion: One


class SelfExclusionBody(TypedDict, total=False):
    exclude_until: str
    """The day (UTC), `yyyy-mm-dd`, on which the exclusion ends at 00:00; absent without one."""
    max_30day_deposit: float
    """The limit on payments into the account in 30 days, in units of the currency."""
    max_30day_losses: float
    """The limit on losses in 30 days, in units of the currency."""
    max_30day_turnover: float
    """The limit on the total price of contracts in 30 days, in units of the currency."""
    max_7day_deposit: float
    """The limit on payments into the account in seven days, in units of the currency."""
    max_7day_losses: float
    """The limit on losses in seven days, in units of the currency."""
    max_7day_turnover: float
    """The limit on the total price of contracts in seven days, in units of the currency."""
    max_balance: float
    """The balance above which nothing is bought or paid in, in units of the currency."""
    max_deposit: float
    """The limit on payments into the account in a day (UTC), in units of the currency."""
    max_losses: float
    """The limit on losses in a day (UTC), in units of the currency."""
    max_open_bets: int
    """The limit on contracts that are open at once."""
    max_turnover: float
    """The limit on the total price of contracts in a day (UTC), in units of the currency."""
    session_duration_limit: int
    """The minutes after sign-in from which nothing is bought on the connection."""
    timeout_until: int
    """The end of the timeout, in epoch seconds; absent without one."""


class GetSelfExclusionReply(TypedDict):
    get_self_exclusion: SelfExclusionBody
    """The limits and pauses in force; a limit that is not set is absent."""


class SetSelfExclusion(AccountRequest):
    """A request to set limits and pauses of the account; an absent field is unchanged."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"set_self_exclusion": 1, "max_losses": 100, "max_open_bets": 10}]
        }
    )

    set_self_exclusion: One
    exclude_until: Day | None = Field(
        None,
        description="The day (UTC), `yyyy-mm-dd`, until which purchases and deposits are refused:"
        " six months to five years ahead.",
    )
    max_30day_deposit: Amount | None = Field(
        None,
        description="The limit on payments into the account in 30 days, in units of the currency.",
    )
    max_30day_losses: Amount | None = Field(
        None,
        description="The limit on losses in 30 days, in units of the currency.",
    )
    max_30day_turnover: Amount | None = Field(
        None,
        description="The limit on the total price of contracts in 30 days, in units of the"
        " currency.",
    )
    max_7day_deposit: Amount | None = Field(
        None,
        description="The limit on payments into the account in seven days, in units of the"
        " currency.",
    )
    max_7day_losses: Amount | None = Field(
        None,
        description="The limit on losses in seven days, in units of the currency.",
    )
    max_7day_turnover: Amount | None = Field(
        None,
        description="The limit on the total price of contracts in seven days, in units of the"
        " currency.",
    )
    max_balance: Amount | None = Field(
        None,
        description="The balance above which purchases and deposits are refused, in units of the"
        " currency.",
    )
    max_deposit: Amount | None = Field(
        None,
        description="The limit on payments into the account in a day (UTC), in units of the"
        " currency.",
    )
    max_losses: Amount | None = Field(
        None,
        description="The limit on losses in a day (UTC), in units of the currency.",
    )
    max_open_bets: Annotated[Int, Field(ge=0, le=10**9)] | None = Field(
        None, description="The limit on contracts that are open at once."
    )
    max_turnover: Amount | None = Field(
        None,
        description="The limit on the total price of contracts in a day (UTC), in units of the"
        " currency.",
    )
    session_duration_limit: Annotated[Int, Field(ge=0, le=99_999)] | None = Field(
        None,
        description="The minutes after sign-in from which purchases on the connection are refused.",
    )
    timeout_until: Annotated[Int, Field(ge=0, le=9_999_999_999)] | None = Field(
        None,
        description="The moment, in epoch seconds, until which purchases and deposits are"
        " refused: up to six weeks ahead.",
    )


class SetSelfExclusionReply(TypedDict):
    set_self_exclusion: int
    """Always 1: the limits and pauses are set."""
