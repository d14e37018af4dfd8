"""Requests and replies that need no account: liveness, the time, the gateway's own state."""

from typing import NotRequired

from typing_extensions import TypedDict

from scopegate.schemas.fields import AccountRequest, One, Request, StreamRequest


class Ping(Request):
    """Asks for a sign of life."""

    ping: One


class Pong(TypedDict):
    ping: str


class Time(Request):
    """Asks for the market's time."""

    time: One


class TimeReply(TypedDict):
    time: int


class PayoutCurrencies(AccountRequest):
    """Asks for the currencies that accounts are kept in."""

    payout_currencies: One


class PayoutCurrenciesReply(TypedDict):
    payout_currencies: list[str]


class TransferLimits(TypedDict):
    min: float


class TransferRules(TypedDict):
    fees: dict[str, float]
    limits: TransferLimits


class CurrencyConfig(TypedDict):
    fractional_digits: int
    is_deposit_suspended: int
    is_suspended: int
    is_withdrawal_suspended: int
    name: str
    stake_default: float
    transfer_between_accounts: TransferRules
    type: str


class PaymentAgentConfig(TypedDict):
    initial_deposit_per_country: dict[str, float]


class WebsiteConfig(Request):
    """Asks for the gateway's configuration as far as clients need it."""

    website_config: One


class WebsiteConfigBody(TypedDict):
    currencies_config: dict[str, CurrencyConfig]
    feature_flags: list[str]
    payment_agents: PaymentAgentConfig
    supported_languages: list[str]
    terms_conditions_version: str


class WebsiteConfigReply(TypedDict):
    website_config: WebsiteConfigBody


class WebsiteStatus(StreamRequest):
    """Asks for the gateway's state and the limits in force."""

    website_status: One


class Limits(Request):
    """Lists every limit in force."""

    limits: One


class LimitInForce(TypedDict):
    name: str
    value: float
    unit: str
    per: str


class LimitsReply(TypedDict):
    limits: list[LimitInForce]


class CallLimit(TypedDict):
    applies_to: str
    minutely: int
    hourly: int


class StreamLimit(TypedDict):
    applies_to: str
    max: int


class CallLimits(TypedDict):
    max_proposal_subscription: StreamLimit
    max_requestes_general: CallLimit
    """Spelt like this on the wire."""
    max_requests_outcome: CallLimit
    max_requests_pricing: CallLimit


class WebsiteStatusBody(TypedDict):
    api_call_limits: CallLimits
    clients_country: str
    currencies_config: dict[str, CurrencyConfig]
    message: NotRequired[str]
    site_status: str
    supported_languages: list[str]
    terms_conditions_version: str


class WebsiteStatusReply(TypedDict):
    website_status: WebsiteStatusBody
