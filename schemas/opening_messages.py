"""Requests and replies of opening accounts."""

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
            "A password has 8 to 25 printable ASCII characters, with small and capital letters and"
            " digits among them.",
        )
    return password


NewPassword = Annotated[Text, AfterValidator(_strong)]
CurrencyCode = Annotated[Text, Field(pattern=r"^[A-Za-z0-9]{2,20}$")]
_UNUSED = "Without effect."


class NewAccountVirtual(AccountRequest):
    """Opens a demo account: the first of a new user, or another for who is signed in."""

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
        None, description="The new user's password at the gateway's pages."
    )
    date_first_contact: OrAbsent[Campaign] = Field(None, description=_UNUSED)
    email: OrAbsent[EmailAddress] = Field(
        None, description="The address that the code was sent to; the code tells it as well."
    )
    email_consent: OrAbsent[Flag] = Field(
        None, description="1 to agree to news by e-mail; none is ever sent."
    )
    gclid_url: OrAbsent[Campaign] = Field(None, description=_UNUSED)
    residence: OrAbsent[Country] = Field(
        None, description="The country the new user lives in, by its two letters."
    )
    signup_device: OrAbsent[Literal["desktop", "mobile"]] = Field(None, description=_UNUSED)
    type: Literal["trading", "wallet", "dynamic"] = Field(
        "trading", description="`trading`; there are no other accounts here."
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
        None, description="The code that `verify_email` sent for `account_opening`."
    )


class NewDemoAccount(TypedDict):
    balance: float
    client_id: str
    currency: str
    currency_type: str
    email: str
    oauth_token: str
    type: str


class NewAccountVirtualReply(TypedDict):
    new_account_virtual: NewDemoAccount


class NewAccountReal(PersonalData):
    """Opens another real-style account for the user, and tells something of them."""

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
        description="The account's currency; without one it is empty until `set_account_currency`.",
    )
    fatca_declaration: OrAbsent[Flag] = Field(None, description=_UNUSED)
    non_pep_declaration: OrAbsent[Flag] = Field(
        None, description="1 to declare holding no public office."
    )
    residence: OrAbsent[Country] = Field(
        None, description="The country lived in, by its two letters."
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
    ] = Field(None, description="Which question the secret answer is to.")
    tnc_acceptance: OrAbsent[Flag] = Field(
        None, description="1 to accept the terms, as `tnc_approval` does."
    )


class NewRealAccount(TypedDict):
    client_id: str
    currency: NotRequired[str]
    currency_type: NotRequired[str]
    landing_company: str
    landing_company_short: str
    landing_company_shortcode: str
    oauth_token: str


class NewAccountRealReply(TypedDict):
    new_account_real: NewRealAccount


class SetAccountCurrency(AccountRequest):
    """Settles the currency of an account that has none yet."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"set_account_currency": "EUR"}]})

    set_account_currency: CurrencyCode = Field(description="The currency.")


class SetAccountCurrencyReply(TypedDict):
    set_account_currency: int
