"""Requests and replies about opening accounts."""

import re
from typing import Annotated, Literal, NotRequired

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from scopegate.schemas.fields import AccountRequest, Flag, One, OrAbsent, Text, secret
from scopegate.schemas.profile_messages import Country, Line, PersonalData
from scopegate.schemas.verification_messages import (
    AdCookies,
    Campaign,
    EmailAddress,
    VerificationCode,
)

_PASSWORD = re.compile(r"(?=.*[a-z])(?=.*[0-9])(?=.*[A-Z])[ -~]{8,25}")


def _strong(password: str) -> str:
    if not _PASSWORD.fullmatch(password):
        raise PydanticCustomError(
            "password",
            "A password must have 8 to 25 printable ASCII characters, with at least one"
            " lower-case letter, one capital letter and one digit.",
        )
    return password


NewPassword = Annotated[Text, AfterValidator(_strong)]
CurrencyCode = Annotated[Text, Field(pattern=r"^[A-Za-z0-9]{2,20}$")]
_UNUSED = "Accepted, but has no effect."


class NewAccountVirtual(AccountRequest):
    """Open a demo account: the first of a new user, or another one after sign-in."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "new_account_virtual": 1,
                    "client_password": "Corr3ct horse",
                    "residence": "gb",
                    "verification_code": "CODE_OF_THE_LETTER",
                }
            ]
        }
    )

    new_account_virtual: One
    ad_platform_cookies: OrAbsent[AdCookies] = Field(None, description=_UNUSED)
    affiliate_token: OrAbsent[Campaign] = Field(None, description=_UNUSED)
    affiliate_token_type: OrAbsent[Literal["client", "partner"]] = Field(None, description=_UNUSED)
    client_password: OrAbsent[NewPassword] = secret(
        None, description="The new user's password for the gateway's pages."
    )
    date_first_contact: OrAbsent[Campaign] = Field(None, description=_UNUSED)
    email: OrAbsent[EmailAddress] = Field(
        None,
        description="The address that the code was sent to; optional, since the code identifies"
        " it.",
    )
    email_consent: OrAbsent[Flag] = Field(
        None, description="1 to agree to news by e-mail; none is ever sent."
    )
    gclid_url: OrAbsent[Campaign] = Field(None, description=_UNUSED)
    residence: OrAbsent[Country] = Field(
        None, description="The two-letter code of the country that the new user lives in."
    )
    signup_device: OrAbsent[Literal["desktop", "mobile"]] = Field(None, description=_UNUSED)
    type: Literal["trading", "wallet", "dynamic"] = Field(
        "trading", description="Must be `trading`; other types are refused."
    )
    utm_ad_id: OrAbsent[Campaign] = Field(None, description=_UNUSED)
    utm_adgroup_id: OrAbsent[Campaign] = Field(None, description=_UNUSED)
    utm_adrollclk_id: OrAbsent[Campaign] = Field(None, description=_UNUSED)
    utm_campaign: OrAbsent[Campaign] = Field(None, description=_UNUSED)
    utm_campaign_id: OrAbsent[Campaign] = Field(None, description=_UNUSED)
    utm_content: OrAbsent[Campaign] = Field(None, description=_UNUSED)
    utm_fbcl_id: OrAbsent[Campaign] = Field(None, description=_UNUSED)
    utm_gl_client_id: OrAbsent[Campaign] = Field(None, description=_UNUSED)
    utm_medium: OrAbsent[Campaign] = Field(None, description=_UNUSED)
    utm_msclk_id: OrAbsent[Campaign] = Field(None, description=_UNUSED)
    utm_sccid: OrAbsent[Campaign] = Field(None, description=_UNUSED)
    utm_source: OrAbsent[Campaign] = Field(None, description=_UNUSED)
    utm_term: OrAbsent[Campaign] = Field(None, description=_UNUSED)
    utm_ttclid: OrAbsent[Campaign] = Field(None, description=_UNUSED)
    verification_code: OrAbsent[VerificationCode] = secret(
        None,
        description="The code that `verify_email` sent for `account_opening`; required for a new"
        " user.",
    )


class NewDemoAccount(TypedDict):
    balance: float
    """The opening balance, in units of the currency."""
    client_id: str
    """The loginid of the new account."""
    currency: str
    """The currency of the account; always `USD`."""
    currency_type: str
    """The type of the currency: `fiat` or `crypto`; always `fiat` here."""
    email: str
    """The e-mail address of the user."""
    oauth_token: str
    """The text of a token for the new account, shown this once only."""
    type: str
    """The type of the account; always `trading`."""


class NewAccountVirtualReply(TypedDict):
    new_account_virtual: NewDemoAccount
    """The new demo account."""


class NewAccountReal(PersonalData):
    """Open another real-style account for the user, and store personal details."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "new_account_real": 1,
                    "currency": "EUR",
                    "first_name": "Ada",
                    "last_name": "Lovelace",
                    "residence": "gb",
                    "tnc_acceptance": 1,
                }
            ]
        }
    )

    new_account_real: One
    account_turnover: OrAbsent[
        Literal[
            "Less than $25,000",
            "$25,000 - $50,000",
            "$50,001 - $100,000",
            "$100,001 - $500,000",
            "Over $500,000",
        ]
    ] = Field(None, description=_UNUSED)
    address_line_2: OrAbsent[Line] = Field(None, description="The second line of the address.")
    affiliate_token: OrAbsent[Campaign] = Field(None, description=_UNUSED)
    client_type: Literal["professional", "retail"] = Field("retail", description=_UNUSED)
    currency: OrAbsent[CurrencyCode] = Field(
        None,
        description="The account's currency. Without it, the balance is 0 until"
        " `set_account_currency`.",
    )
    fatca_declaration: OrAbsent[Flag] = Field(None, description=_UNUSED)
    non_pep_declaration: OrAbsent[Flag] = Field(
        None, description="1 to declare that you hold no public office."
    )
    residence: OrAbsent[Country] = Field(
        None, description="The two-letter code of the country that you live in."
    )
    secret_question: OrAbsent[
        Literal[
            "Mother's maiden name",
            "Name of your pet",
            "Name of first love",
            "Memorable town/city",
            "Memorable date",
            "Favourite dish",
            "Brand of first car",
            "Favourite artist",
        ]
    ] = Field(None, description="The question of the secret answer.")
    tnc_acceptance: OrAbsent[Flag] = Field(
        None, description="1 to accept the terms, as `tnc_approval` does."
    )


class NewRealAccount(TypedDict):
    client_id: str
    """The loginid of the new account."""
    currency: NotRequired[str]
    """The currency of the account; left out if the request named none."""
    currency_type: NotRequired[str]
    """The type of the currency, `fiat` or `crypto`; left out if the request named no currency."""
    landing_company: str
    """The full name of the landing company."""
    landing_company_short: str
    """The short name of the landing company; always `svg`."""
    landing_company_shortcode: str
    """The same short name; always `svg`."""
    oauth_token: str
    """The text of a token for the new account, shown this once only."""


class NewAccountRealReply(TypedDict):
    new_account_real: NewRealAccount
    """The new real-style account."""


class SetAccountCurrency(AccountRequest):
    """Set the currency of an account without ledger entries."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"set_account_currency": "EUR"}]})

    set_account_currency: CurrencyCode = Field(description="The currency, such as `EUR`.")


class SetAccountCurrencyReply(TypedDict):
    set_account_currency: int
    """1 if the currency was set, 0 if the account already had it."""
