"""Requests and replies about what the owner of an account excludes."""

from typing import Annotated

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import AccountRequest, Int, Number, One, Text

Amount = Annotated[Number, Field(ge=0, le=10**9)]
Day = Annotated[Text, Field(pattern=r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}$")]


class GetSelfExclusion(AccountRequest):
    """Asks what the owner of the account has excluded."""

    get_self_exclusion: One


class SelfExclusionBody(TypedDict, total=False):
    exclude_until: str
    max_30day_deposit: float
    max_30day_losses: float
    max_30day_turnover: float
    max_7day_deposit: float
    max_7day_losses: float
    max_7day_turnover: float
    max_balance: float
    max_deposit: float
    max_losses: float
    max_open_bets: int
    max_turnover: float
    session_duration_limit: int
    timeout_until: int


class GetSelfExclusionReply(TypedDict):
    get_self_exclusion: SelfExclusionBody


class SetSelfExclusion(AccountRequest):
    """Excludes something; what is not named stays as it was."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"set_self_exclusion": 1, "max_losses": 100, "max_open_bets": 10}]
        }
    )

    set_self_exclusion: One
    exclude_until: Day | None = Field(
        None,
        description="The day, `yyyy-mm-dd`, until which nothing is bought: six months to five years"
        " ahead.",
    )
    max_30day_deposit: Amount | None = Field(None, description="What is paid in in 30 days.")
    max_30day_losses: Amount | None = Field(None, description="What is lost in 30 days.")
    max_30day_turnover: Amount | None = Field(
        None, description="What contracts cost in 30 days together."
    )
    max_7day_deposit: Amount | None = Field(None, description="What is paid in in seven days.")
    max_7day_losses: Amount | None = Field(None, description="What is lost in seven days.")
    max_7day_turnover: Amount | None = Field(
        None, description="What contracts cost in seven days together."
    )
    max_balance: Amount | None = Field(
        None, description="The balance above which nothing is bought or paid in."
    )
    max_deposit: Amount | None = Field(None, description="What is paid in in a day.")
    max_losses: Amount | None = Field(None, description="What is lost in a day.")
    max_open_bets: Annotated[Int, Field(ge=0, le=10**9)] | None = Field(
        None, description="Contracts that are open at once."
    )
    max_turnover: Amount | None = Field(None, description="What contracts cost in a day together.")
    session_duration_limit: Annotated[Int, Field(ge=0, le=99_999)] | None = Field(
        None, description="Minutes after signing in from which on nothing is bought."
    )
    timeout_until: Annotated[Int, Field(ge=0, le=9_999_999_999)] | None = Field(
        None, description="The moment until which nothing is bought: up to six weeks ahead."
    )


class SetSelfExclusionReply(TypedDict):
    set_self_exclusion: int
