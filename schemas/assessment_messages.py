"""Requests and replies about a user's means and experience."""

from typing import Annotated

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import AccountRequest, One, OrAbsent, Text

Question = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,60}$")]
Answer = Annotated[Text, Field(min_length=1, max_length=200)]
Answers = Annotated[dict[Question, Answer], Field(max_length=50)]


class GetFinancialAssessment(AccountRequest):
    """Asks what the user has answered about their means and experience."""

    get_financial_assessment: One


class GetFinancialAssessmentReply(TypedDict):
    get_financial_assessment: dict[str, str]
    """Answers by question."""


class SetFinancialAssessment(AccountRequest):
    """Answers questions about the user's means and experience."""

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
        None, description="Answers about means, by question."
    )
    financial_information_version: OrAbsent[Annotated[Text, Field(max_length=20)]] = Field(
        None, description="Without effect."
    )
    trading_experience: OrAbsent[Answers] = Field(
        None, description="Answers about experience, by question."
    )
    trading_experience_regulated: OrAbsent[Answers] = Field(
        None, description="Answers about experience with leverage, by question."
    )


class Scores(TypedDict):
    cfd_score: int
    financial_information_score: int
    total_score: int
    trading_score: int


class SetFinancialAssessmentReply(TypedDict):
    set_financial_assessment: Scores
