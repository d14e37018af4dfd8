"""Requests and replies about payment agents: becoming one, and finding one."""

from typing import Annotated, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import AccountRequest, Number, One, OrAbsent, Text
from scopegate.schemas.rate_messages import CurrencyCode
from scopegate.schemas.verification_messages import EmailAddress

Commission = Annotated[Number, Field(ge=0, le=9)]
Words = Annotated[Text, Field(pattern=r"^[\p{L}\p{Nd}\s'.,:;()@#/+-]+$")]
_MAX = 20
"""How many telephone numbers, methods or addresses an agent may name."""


class PhoneNumber(BaseModel):
    """A telephone number."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    phone_number: Annotated[Text, Field(pattern=r"^\+?[0-9-]{8,40}$")] = Field(
        description="Digits and hyphens, with a plus before the country's code."
    )


class SupportedMethod(BaseModel):
    """A way to pay the agent."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    payment_method: Annotated[
        Text, Field(pattern=r"^[\p{L}\p{Nd}_ -]+$", min_length=2, max_length=30)
    ] = Field(description="Its name.")


class Url(BaseModel):
    """A page of the agent's."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: Annotated[
        Text, Field(pattern=r"^https?://[0-9A-Za-z.-]+[%/A-Za-z0-9_ .-]*$", max_length=300)
    ] = Field(description="Its address: http or https.")


class PaymentagentCreate(AccountRequest):
    """Makes the account a payment agent, or changes what the agent tells of themselves."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "paymentagent_create": 1,
                    "code_of_conduct_approval": 1,
                    "commission_deposit": 1,
                    "commission_withdrawal": 1.5,
                    "email": "agent@example.com",
                    "information": "Cash and bank transfer, on weekdays.",
                    "payment_agent_name": "Corner Shop",
                    "phone_numbers": [{"phone_number": "+44-20-7946-0000"}],
                    "supported_payment_methods": [{"payment_method": "Cash"}],
                    "urls": [{"url": "https://shop.example.com"}],
                }
            ]
        }
    )

    paymentagent_create: One
    affiliate_id: OrAbsent[Annotated[Text, Field(pattern=r"^[A-Za-z0-9_]{0,32}$")]] = Field(
        None, description="The agent's number in an affiliate programme; only told back."
    )
    code_of_conduct_approval: One = Field(description="Always 1: the agent keeps to the rules.")
    commission_deposit: Commission = Field(
        description="Percent that the agent asks of deposits; told to clients, never charged here."
    )
    commission_withdrawal: Commission = Field(
        description="Percent that the agent asks of withdrawals; told, never charged here."
    )
    email: EmailAddress = Field(description="Where clients write to; everybody can read it.")
    information: Annotated[Words, Field(max_length=500)] = Field(
        description="What the agent offers, in words."
    )
    payment_agent_name: Annotated[Words, Field(max_length=100)] = Field(
        description="The name in the list."
    )
    phone_numbers: OrAbsent[Annotated[list[PhoneNumber], Field(max_length=_MAX)]] = Field(
        None, description="Where clients call."
    )
    supported_payment_methods: Annotated[list[SupportedMethod], Field(max_length=_MAX)] = Field(
        description="How clients pay the agent, and are paid."
    )
    urls: Annotated[list[Url], Field(max_length=_MAX)] = Field(description="The agent's pages.")


class PaymentagentCreateReply(TypedDict):
    paymentagent_create: int


class PaymentagentDetails(AccountRequest):
    """Asks what the account tells of itself as a payment agent, or whether it can be one."""

    paymentagent_details: One


class PhoneNumberShown(TypedDict):
    phone_number: str


class MethodShown(TypedDict):
    payment_method: str


class UrlShown(TypedDict):
    url: str


class DetailsBody(TypedDict):
    affiliate_id: NotRequired[str | None]
    can_apply: int
    code_of_conduct_approval: NotRequired[int]
    commission_deposit: NotRequired[float]
    commission_withdrawal: NotRequired[float]
    currency_code: NotRequired[str]
    eligibilty_validation: NotRequired[list[str]]
    """Spelt like this on the wire."""
    email: NotRequired[str]
    information: NotRequired[str]
    max_withdrawal: NotRequired[float]
    min_withdrawal: NotRequired[float]
    payment_agent_name: NotRequired[str]
    phone_numbers: NotRequired[list[PhoneNumberShown]]
    status: Literal["authorized"] | None
    supported_payment_methods: NotRequired[list[MethodShown]]
    target_country: NotRequired[str]
    urls: NotRequired[list[UrlShown]]


class PaymentagentDetailsReply(TypedDict):
    paymentagent_details: DetailsBody


class PaymentagentList(AccountRequest):
    """Asks for the payment agents of a country."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"paymentagent_list": "gb", "currency": "USD"}]}
    )

    paymentagent_list: Annotated[Text, Field(pattern=r"^[A-Za-z]{2}$")] = Field(
        description="The country, by its two letters."
    )
    currency: OrAbsent[CurrencyCode] = Field(None, description="Agents of this currency alone.")


class ListedAgent(TypedDict):
    currencies: str
    deposit_commission: str
    email: str
    further_information: str
    max_withdrawal: str
    min_withdrawal: str
    name: str
    paymentagent_loginid: str
    phone_numbers: list[PhoneNumberShown]
    summary: str
    supported_payment_methods: list[MethodShown]
    urls: list[UrlShown]
    withdrawal_commission: str


class PaymentagentListBody(TypedDict):
    available_countries: list[list[str | None]]
    list: "list[ListedAgent]"


class PaymentagentListReply(TypedDict):
    paymentagent_list: PaymentagentListBody
