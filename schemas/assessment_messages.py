"""Requests and replies about a user's financial means and trading experience."""

from typing import Annotated

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import AccountRequest, One, OrAbsent, Text

Question = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,60}$")]
Answer = Annotated[Text, Field(min_length=1, max_length=200)]
Answers = Annotated[dict[Question, Answer], Field(max_length=50)]


class GetFinancialAssessment(AccountRequest):
    """A request for the user's answers about financial means and trading experience."""

    get_financial_assessment: One


class GetFinancialAssessmentReply(TypedDict):
    get_financial_assessment: dict[str, str]
    """The answers by question; empty if none was given."""


class SetFinancialAssessment(AccountRequest):
    """A request to store answers about financial means and trading experience."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "set_financial_assessment": 1,
                    "financial_information": {"education_level": "Tertiary"},
                    "trading_experience": {"cfd_trading_experience": "1-2 years"},
                }
            ]
        }
    )

    set_financial_assessment: One
    financial_information: OrAbsent[Answers] = Field(
        None, description="Answers about financial means, by question."
    )
    financial_information_version: OrAbsent[Annotated[Text, Field(max_length=20)]] = Field(
        None, description="Accepted, but has no effect."
    )
    trading_experience: OrAbsent[Answers] = Field(
        None, description="Answers about trading experience, by question."
    )
    trading_experience_regulated: OrAbsent[Answers] = Field(
        None, description="Answers about experience with leveraged trading, by question."
    )


class Scores(TypedDict):
    cfd_score: int
    """The number of answers about trading experience to questions that begin with `cfd_`."""
    financial_information_score: int
    """The number of answers about financial means."""
    total_score: int
    """The number of all answers."""
    trading_score: int
    """The number of all answers about trading experience."""


class SetFinancialAssessmentReply(TypedDict):
    set_financial_assessment: Scores
    """The scores after the change, which count all stored answers."""
