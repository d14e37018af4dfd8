"""Requests and replies about becoming and finding a payment agent."""

from typing import Annotated, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import AccountRequest, Number, One, OrAbsent, Text
from scopegate.schemas.rate_messages import CurrencyCode
from scopegate.schemas.verification_messages import EmailAddress

Commission = Annotated[Number, Field(ge=0, le=9)]
Words = Annotated[Text, Field(pattern=r"^[\p{L}\p{Nd}\s'.,:;()@#/+-]+$")]
_MAX = 20
"""The most telephone numbers, payment methods or URLs of an agent."""


class PhoneNumber(BaseModel):
    """A telephone number."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    phone_number: Annotated[Text, Field(pattern=r"^\+?[0-9-]{8,40}$")] = Field(
        description="Digits and hyphens, with an optional plus before the country code."
    )


class SupportedMethod(BaseModel):
    """A payment method of the agent."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    payment_method: Annotated[
        Text, Field(pattern=r"^[\p{L}\p{Nd}_ -]+$", min_length=2, max_length=30)
    ] = Field(description="The name of the payment method.")


class Url(BaseModel):
    """A web page of the agent."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: Annotated[
        Text, Field(pattern=r"^https?://[0-9A-Za-z.-]+[%/A-Za-z0-9_ .-]*$", max_length=300)
    ] = Field(description="The URL of the page, http or https.")


class PaymentagentCreate(AccountRequest):
    """Make the account a payment agent, or change the agent's public details."""

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
        None, description="The agent's number in an affiliate programme; only stored and returned."
    )
    code_of_conduct_approval: One = Field(description="Always 1, to agree to the code of conduct.")
    commission_deposit: Commission = Field(
        description="Commission on deposits in percent; shown to clients, never charged by the"
        " gateway."
    )
    commission_withdrawal: Commission = Field(
        description="Commission on withdrawals in percent; shown to clients, never charged by the"
        " gateway."
    )
    email: EmailAddress = Field(description="The e-mail address for clients; it is public.")
    information: Annotated[Words, Field(max_length=500)] = Field(
        description="The description of the agent's service."
    )
    payment_agent_name: Annotated[Words, Field(max_length=100)] = Field(
        description="The public name of the agent."
    )
    phone_numbers: OrAbsent[Annotated[list[PhoneNumber], Field(max_length=_MAX)]] = Field(
        None, description="The telephone numbers for clients."
    )
    supported_payment_methods: Annotated[list[SupportedMethod], Field(max_length=_MAX)] = Field(
        description="The methods by which clients pay the agent and are paid."
    )
    urls: Annotated[list[Url], Field(max_length=_MAX)] = Field(
        description="The web pages of the agent."
    )


class PaymentagentCreateReply(TypedDict):
    paymentagent_create: int
    """Always 1."""


class PaymentagentDetails(AccountRequest):
    """Ask for the account's details as a payment agent, or whether it can become one."""

    paymentagent_details: One


class PhoneNumberShown(TypedDict):
    phone_number: str
    """The telephone number."""


class MethodShown(TypedDict):
    payment_method: str
    """The name of the payment method."""


class UrlShown(TypedDict):
    url: str
    """The URL of the page."""


class DetailsBody(TypedDict):
    affiliate_id: NotRequired[str | None]
    """The agent's number in an affiliate programme; empty if not given, left out for non-agents."""
    can_apply: int
    """1 if `paymentagent_create` would accept this account, else 0."""
    code_of_conduct_approval: NotRequired[int]
    """Always 1; left out if the account is not an agent."""
    commission_deposit: NotRequired[float]
    """The agent's commission on deposits, in percent; left out if the account is not an agent."""
    commission_withdrawal: NotRequired[float]
    """The agent's commission on withdrawals, in percent; left out if the account is not an
    agent."""
    currency_code: NotRequired[str]
    """The currency of the agent's account; left out if the account is not an agent."""
    eligibilty_validation: NotRequired[list[str]]
    """The error codes that explain `can_apply` 0, else left out; spelt like this on the wire."""
    email: NotRequired[str]
    """The agent's public e-mail address; left out if the account is not an agent."""
    information: NotRequired[str]
    """The agent's description of the service; left out if the account is not an agent."""
    max_withdrawal: NotRequired[float]
    """The largest payment through the agent, in units of the currency; left out for non-agents."""
    min_withdrawal: NotRequired[float]
    """The smallest payment through the agent, in units of the currency; left out for non-agents."""
    payment_agent_name: NotRequired[str]
    """The public name of the agent; left out if the account is not an agent."""
    phone_numbers: NotRequired[list[PhoneNumberShown]]
    """The agent's telephone numbers; left out if the account is not an agent."""
    status: Literal["authorized"] | None
    """The status as an agent: `authorized`, or null if the account is not an agent."""
    supported_payment_methods: NotRequired[list[MethodShown]]
    """The agent's payment methods; left out if the account is not an agent."""
    target_country: NotRequired[str]
    """The two-letter code of the agent's country; left out if the account is not an agent."""
    urls: NotRequired[list[UrlShown]]
    """The agent's web pages; left out if the account is not an agent."""


class PaymentagentDetailsReply(TypedDict):
    paymentagent_details: DetailsBody
    """The account as a payment agent."""


class PaymentagentList(AccountRequest):
    """List the payment agents of a country."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"paymentagent_list": "gb", "currency": "USD"}]}
    )

    paymentagent_list: Annotated[Text, Field(pattern=r"^[A-Za-z]{2}$")] = Field(
        description="The two-letter code of the country."
    )
    currency: OrAbsent[CurrencyCode] = Field(
        None, description="The currency of the agents; any if left out."
    )


class ListedAgent(TypedDict):
    currencies: str
    """The currency of the agent's account."""
    deposit_commission: str
    """The agent's commission on deposits, in percent, as a decimal string."""
    email: str
    """The public e-mail address of the agent."""
    further_information: str
    """The agent's description of the service."""
    max_withdrawal: str
    """The largest payment through the agent, in units of the currency, as a decimal string."""
    min_withdrawal: str
    """The smallest payment through the agent, in units of the currency, as a decimal string."""
    name: str
    """The public name of the agent."""
    paymentagent_loginid: str
    """The loginid of the agent's account."""
    phone_numbers: list[PhoneNumberShown]
    """The telephone numbers of the agent."""
    summary: str
    """The names of the agent's payment methods, separated by commas."""
    supported_payment_methods: list[MethodShown]
    """The payment methods of the agent."""
    urls: list[UrlShown]
    """The web pages of the agent."""
    withdrawal_commission: str
    """The agent's commission on withdrawals, in percent, as a decimal string."""


class PaymentagentListBody(TypedDict):
    available_countries: list[list[str | None]]
    """The countries with an agent, each as its two-letter code and name; the name may be null."""
    list: "list[ListedAgent]"
    """The payment agents of the country, the first approved first; at most 500."""


class PaymentagentListReply(TypedDict):
    paymentagent_list: PaymentagentListBody
    """The payment agents of the country, and all countries with an agent."""
