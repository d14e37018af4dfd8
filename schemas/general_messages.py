"""Requests and replies that need no account: liveness, the time, the state of the gateway."""

from typing import NotRequired

from typing_extensions import TypedDict

from scopegate.schemas.fields import AccountRequest, One, Request, StreamRequest


class Ping(Request):
    """Check that the connection is alive."""

    ping: One


class Pong(TypedDict):
    ping: str
    """Always `pong`."""


class Time(Request):
    """Ask for the time of the market."""

    time: One


class TimeReply(TypedDict):
    time: int
    """The time of the market, in epoch seconds."""


class PayoutCurrencies(AccountRequest):
    """List the currencies of accounts."""

    payout_currencies: One


class PayoutCurrenciesReply(TypedDict):
    payout_currencies: list[str]
    """The currencies of accounts; after sign-in, only that of your account."""


class TransferLimits(TypedDict):
    min: float
    """The smallest amount of one transfer, in units of the currency."""


class TransferRules(TypedDict):
    fees: dict[str, float]
    """The transfer fees by target currency; always empty, since transfers are free."""
    limits: TransferLimits
    """The bounds of one transfer."""


class CurrencyConfig(TypedDict):
    fractional_digits: int
    """The number of decimals of the currency."""
    is_deposit_suspended: int
    """1 if deposits are suspended, else 0; always 0 here."""
    is_suspended: int
    """1 if the currency is suspended, else 0; always 0 here."""
    is_withdrawal_suspended: int
    """1 if withdrawals are suspended, else 0; always 0 here."""
    name: str
    """The full name of the currency."""
    stake_default: float
    """The stake that a client may suggest at first, in units of the currency."""
    transfer_between_accounts: TransferRules
    """The rules for transfers between your accounts."""
    type: str
    """The type of the currency: `fiat` or `crypto`."""


class PaymentAgentConfig(TypedDict):
    initial_deposit_per_country: dict[str, float]
    """The deposit needed to become a payment agent, by country; only `default`, which is 0."""


class WebsiteConfig(Request):
    """Ask for the part of the gateway's configuration that clients need."""

    website_config: One


class WebsiteConfigBody(TypedDict):
    currencies_config: dict[str, CurrencyConfig]
    """The currencies of the gateway, by code."""
    feature_flags: list[str]
    """The features that are switched on; always empty."""
    payment_agents: PaymentAgentConfig
    """The conditions for payment agents."""
    supported_languages: list[str]
    """The languages of the gateway; only `EN`."""
    terms_conditions_version: str
    """The current version of the terms."""


class WebsiteConfigReply(TypedDict):
    website_config: WebsiteConfigBody
    """The configuration of the gateway."""


class WebsiteStatus(StreamRequest):
    """Ask for the state of the gateway and the limits in force."""

    website_status: One


class Limits(Request):
    """List every limit in force."""

    limits: One


class LimitInForce(TypedDict):
    name: str
    """The name of the limit."""
    value: float
    """The value of the limit, in its unit."""
    unit: str
    """The unit of the value, such as `messages a minute`."""
    per: str
    """The unit that is counted for: `message`, `connection`, `address`, `token`, `client`, `user`,
    `account` or `gateway`."""


class LimitsReply(TypedDict):
    limits: list[LimitInForce]
    """The limits in force."""


class CallLimit(TypedDict):
    applies_to: str
    """The names of the calls that are counted, or a phrase for them."""
    minutely: int
    """The number of calls that are allowed in a minute."""
    hourly: int
    """The number of calls that are allowed in an hour."""


class StreamLimit(TypedDict):
    applies_to: str
    """The streams that are counted, in words."""
    max: int
    """The number of streams that may be open at once."""


class CallLimits(TypedDict):
    max_proposal_subscription: StreamLimit
    """The limit on `proposal` streams of one connection."""
    max_requestes_general: CallLimit
    """The limit on all other calls; spelt like this on the wire."""
    max_requests_outcome: CallLimit
    """The limit on calls that report on trading, such as `statement`."""
    max_requests_pricing: CallLimit
    """The limit on calls that price contracts, such as `proposal`."""


class WebsiteStatusBody(TypedDict):
    api_call_limits: CallLimits
    """The limits on calls and on `proposal` streams."""
    clients_country: str
    """The two-letter country code that the operator set for all visitors."""
    currencies_config: dict[str, CurrencyConfig]
    """The currencies of the gateway, by code."""
    message: NotRequired[str]
    """A message about the state of the site; left out at present."""
    site_status: str
    """The state of the site; always `up`."""
    supported_languages: list[str]
    """The languages of the gateway; only `EN`."""
    terms_conditions_version: str
    """The current version of the terms."""


class WebsiteStatusReply(TypedDict):
    website_status: WebsiteStatusBody
    """The state of the gateway and its limits."""
