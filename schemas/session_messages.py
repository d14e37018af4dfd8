"""Requests and replies of signing in and out, and of ending streams."""

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
    """Signs in with a token, or with several: `authorize` is `MULTI` then."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"authorize": "YOUR_TOKEN"},
                {"authorize": "MULTI", "tokens": ["YOUR_TOKEN", "ANOTHER_TOKEN"]},
            ]
        }
    )

    authorize: TokenText = secret(description="A token, or `MULTI`.")
    tokens: OrAbsent[list[TokenText]] = secret(
        None,
        max_length=25,
        description="More tokens of the same user, each for another account.",
    )
    add_to_login_history: Flag = Field(
        0, description="1 to find this sign-in in `login_history` later."
    )


class CurrencyDigits(TypedDict):
    fractional_digits: int


class AccountName(TypedDict):
    loginid: str


class AuthorizeBody(TypedDict):
    account_list: list[AccountName]
    country: str
    email: str
    fullname: str
    loginid: str
    preferred_language: str
    scopes: list[str]
    user_id: int


class AuthorizeReply(TypedDict):
    authorize: AuthorizeBody


class PaperAuthorizeBody(TypedDict):
    """What `authorize` answers with the paper exchange."""

    account_list: list[AccountSummary]
    balance: float
    country: str
    currency: str
    email: str
    fullname: str
    is_virtual: int
    landing_company_fullname: str
    landing_company_name: str
    linked_to: list[LinkedAccount]
    local_currencies: dict[str, CurrencyDigits]
    loginid: str
    preferred_language: str
    scopes: list[str]
    upgradeable_landing_companies: list[str]
    user_id: int


class PaperAuthorizeReply(TypedDict):
    authorize: PaperAuthorizeBody


class Logout(AccountRequest):
    """Signs out."""

    logout: One


class LogoutReply(TypedDict):
    logout: int


class LoginHistory(AccountRequest):
    """Asks when and from where the user signed in."""

    login_history: One
    limit: Annotated[Int, Field(ge=0, le=50)] = Field(10, description="How many at the most.")


class SignInRecord(TypedDict):
    action: str
    browser: str
    country: str
    datetime: str
    device: str
    environment: str
    ip: str
    language: str
    os: str
    status: int
    time: int
    version: str


class LoginHistoryReply(TypedDict):
    login_history: list[SignInRecord]


class Forget(Request):
    """Ends one stream."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"forget": "00000000-0000-4000-8000-000000000000"}]}
    )

    forget: Annotated[Text, Field(pattern=r"^[A-Za-z0-9_-]{32,128}$")] = Field(
        description="The id that came as `subscription.id`."
    )


class ForgetReply(TypedDict):
    forget: int


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
"""What types of streams are called among declared names."""

StreamType = Annotated[Text, Declared(STREAMS)]


class ForgetAll(Request):
    """Ends every stream of one type or several."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"forget_all": "ticks"}, {"forget_all": ["ticks", "candles"]}]
        }
    )

    forget_all: OneOrMore[StreamType] = Field(description="A type, or a list of them.")


class ForgetAllReply(TypedDict):
    forget_all: list[str]
