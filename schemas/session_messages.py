"""Requests and replies about signing in and out, and about ending streams."""

from typing import Annotated, Final

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.account_messages import AccountSummary, LinkedAccount
from scopegate.schemas.declared import Declared
from scopegate.schemas.fields import (
    AccountRequest,
    Flag,
    Int,
    One,
    OneOrMore,
    OrAbsent,
    Request,
    Text,
    secret,
)

TokenText = Annotated[Text, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")]


class Authorize(Request):
    """Sign in with a token, or with several if `authorize` is `MULTI`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"authorize": "YOUR_TOKEN"},
                {"authorize": "MULTI", "tokens": ["YOUR_TOKEN", "ANOTHER_TOKEN"]},
            ]
        }
    )

    authorize: TokenText = secret(description="A token, or `MULTI` to use only those of `tokens`.")
    tokens: OrAbsent[list[TokenText]] = secret(
        None,
        max_length=25,
        description="Further tokens of the same user, each for another account.",
    )
    add_to_login_history: Flag = Field(
        0,
        description="1 to record this sign-in for `login_history`; sign-ins with an app's token"
        " always are.",
    )


class CurrencyDigits(TypedDict):
    fractional_digits: int
    """The number of decimals of the currency."""


class AccountName(TypedDict):
    loginid: str
    """The loginid of the account."""


class AuthorizeBody(TypedDict):
    account_list: list[AccountName]
    """Your accounts; with an app's token, only those that the app may use."""
    country: str
    """The two-letter code of your country of residence."""
    email: str
    """Your e-mail address."""
    fullname: str
    """Your name; empty unless a plugin supplies it."""
    loginid: str
    """The account that you are signed in to; with several tokens, that of the first."""
    preferred_language: str
    """Your preferred language; `EN` if not set."""
    scopes: list[str]
    """The scopes of the token; with several tokens, of the first."""
    user_id: int
    """The id of the user."""


class AuthorizeReply(TypedDict):
    authorize: AuthorizeBody
    """The sign-in of the connection."""


class PaperAuthorizeBody(TypedDict):
    """The body of the reply to `authorize` with the paper exchange."""

    account_list: list[AccountSummary]
    """Your accounts, real-style ones first; with an app's token, only those that the app may
    use."""
    balance: float
    """The balance of the account, in units of its currency."""
    country: str
    """The two-letter code of your country of residence."""
    currency: str
    """The currency of the account."""
    email: str
    """Your e-mail address."""
    fullname: str
    """Your first and last name; empty for a demo account."""
    is_virtual: int
    """1 if it is a demo account, else 0."""
    landing_company_fullname: str
    """The full name of the landing company."""
    landing_company_name: str
    """The short name of the landing company: `virtual` for a demo account, else `svg`."""
    linked_to: list[LinkedAccount]
    """The accounts linked to this one; always empty."""
    local_currencies: dict[str, CurrencyDigits]
    """The currency of the account with its decimals, by code."""
    loginid: str
    """The account that you are signed in to; with several tokens, that of the first."""
    preferred_language: str
    """Your preferred language; `EN` if not set."""
    scopes: list[str]
    """The scopes of the token; with several tokens, of the first."""
    upgradeable_landing_companies: list[str]
    """The landing companies that you could open further accounts with; always empty."""
    user_id: int
    """The id of the user."""


class PaperAuthorizeReply(TypedDict):
    authorize: PaperAuthorizeBody
    """The sign-in of the connection."""


class Logout(AccountRequest):
    """Sign out."""

    logout: One


class LogoutReply(TypedDict):
    logout: int
    """Always 1."""


class LoginHistory(AccountRequest):
    """List when and from which address the user signed in."""

    login_history: One
    limit: Annotated[Int, Field(ge=0, le=50)] = Field(
        10, description="The maximum number of entries."
    )


class SignInRecord(TypedDict):
    action: str
    """The event; always `login`."""
    browser: str
    """The name of the browser or program, from its user agent; empty if unknown."""
    country: str
    """The country of the IP address; always empty."""
    datetime: str
    """The time of the event (UTC), `yyyy-mm-ddThh:mm:ssZ`."""
    device: str
    """The type of device: `mobile` or `desktop`."""
    environment: str
    """The IP address, user agent and language as one text."""
    ip: str
    """The IP address."""
    language: str
    """The language that the client named when it connected, such as `EN`."""
    os: str
    """The operating system, from the user agent; empty if unknown."""
    status: int
    """1 if the sign-in succeeded, else 0."""
    time: int
    """The time of the event, in epoch seconds."""
    version: str
    """The version of the browser or program; empty if unknown."""


class LoginHistoryReply(TypedDict):
    login_history: list[SignInRecord]
    """The sign-ins of the user, newest first."""


class Forget(Request):
    """End one stream."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"forget": "00000000-0000-4000-8000-000000000000"}]}
    )

    forget: Annotated[Text, Field(pattern=r"^[A-Za-z0-9_-]{32,128}$")] = Field(
        description="The id of the stream, from `subscription.id` of its replies."
    )


class ForgetReply(TypedDict):
    forget: int
    """1 if there was such a stream, else 0."""


PUBLISHED_STREAMS: Final = (
    "balance",
    "candles",
    "cashier_payments",
    "crypto_estimations",
    "p2p_advert",
    "p2p_advertiser",
    "p2p_order",
    "p2p_settings",
    "proposal",
    "proposal_open_contract",
    "ticks",
    "trading_platform_asset_listing",
    "transaction",
    "website_status",
)

STREAMS: Final = "streams"
"""The key of the stream types among the declared names."""

StreamType = Annotated[Text, Declared(STREAMS)]


class ForgetAll(Request):
    """End every stream of one type or of several types."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"forget_all": "ticks"}, {"forget_all": ["ticks", "candles"]}]
        }
    )

    forget_all: OneOrMore[StreamType] = Field(description="A type of stream, or a list of types.")


class ForgetAllReply(TypedDict):
    forget_all: list[str]
    """The ids of the streams that ended."""
