"""Requests and replies about verification codes by e-mail."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import AccountRequest, OrAbsent, Text

EmailAddress = Annotated[
    Text, Field(pattern=r"^[A-Za-z0-9_.+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,63}$", max_length=254)
]
VerificationCode = Annotated[Text, Field(pattern=r"^[A-Za-z0-9_]{8,128}$")]

Campaign = Annotated[Text, Field(max_length=300)]
AdCookie = Literal[
    "_ga",
    "_ga_measurement_id",
    "_ga_measurement_value",
    "fbc",
    "fbp",
    "gbraid",
    "gclid",
    "msclkid",
    "scclid",
    "ttclid",
    "wbraid",
]
AdCookies = dict[AdCookie, Campaign]
"""The cookies of advertisers; accepted and discarded."""


LinkParameter = Literal[
    "affiliate_token",
    "affiliate_token_type",
    "date_first_contact",
    "gclid_url",
    "pa_amount",
    "pa_currency",
    "pa_loginid",
    "pa_remarks",
    "redirect_to",
    "residence",
    "signup_device",
    "utm_ad_id",
    "utm_adgroup_id",
    "utm_adrollclk_id",
    "utm_campaign",
    "utm_campaign_id",
    "utm_content",
    "utm_fbcl_id",
    "utm_gl_client_id",
    "utm_medium",
    "utm_msclk_id",
    "utm_sccid",
    "utm_source",
    "utm_term",
    "utm_ttclid",
]
LinkParameters = dict[LinkParameter, Campaign]
"""Parameters for the link in the e-mail; unused, since e-mails contain a code and no link."""


class VerifyEmail(AccountRequest):
    """Request a verification code by e-mail."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"verify_email": "ada@example.com", "type": "account_opening"}]
        }
    )

    verify_email: EmailAddress = Field(description="The e-mail address to send the code to.")
    type: Literal[
        "account_opening",
        "account_verification",
        "paymentagent_withdraw",
        "payment_withdraw",
        "phone_number_verification",
        "request_email",
        "reset_password",
        "trading_platform_dxtrade_password_reset",
        "trading_platform_investor_password_reset",
        "trading_platform_mt5_password_reset",
    ] = Field(
        description="The purpose of the code: `account_opening`, `paymentagent_withdraw` or"
        " `payment_withdraw`; the others are refused."
    )
    ad_platform_cookies: OrAbsent[AdCookies] = Field(
        None, description="Accepted, but has no effect."
    )
    url_parameters: OrAbsent[LinkParameters] = Field(
        None, description="Accepted, but has no effect."
    )


class VerifyEmailReply(TypedDict):
    verify_email: int
    """Always 1, whether or not the address belongs to a user."""
