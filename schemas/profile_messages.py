"""Requests and replies about the settings and personal details of a user."""

from typing import Annotated, Literal, NotRequired

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import AccountRequest, Flag, One, OrAbsent, Text, secret

Country = Annotated[Text, Field(pattern=r"^[a-z]{2}$")]
Name = Annotated[Text, Field(pattern=r"^[\p{L}\s'.-]+$", max_length=50)]
Line = Annotated[Text, Field(pattern=r"^[\p{L}\p{Nd}\s'\u{2019}.,:;()\u{b0}@#/-]*$", max_length=70)]
Explanation = Annotated[Text, Field(min_length=1, max_length=500)]


class GetSettings(AccountRequest):
    """Ask for the settings and personal details of the user."""

    get_settings: One


class PhoneVerification(TypedDict):
    verified: int
    """1 if the telephone number is verified, else 0."""


class SettingsBody(TypedDict):
    account_opening_reason: NotRequired[str]
    """The purpose of your accounts; left out if not set."""
    address_city: NotRequired[str]
    """The city of your address; left out if not set."""
    address_line_1: NotRequired[str]
    """The first line of your address; left out if not set."""
    address_line_2: NotRequired[str]
    """The second line of your address; left out if not set."""
    address_postcode: NotRequired[str]
    """The postal code of your address; left out if not set."""
    address_state: NotRequired[str]
    """The state or province of your address; left out if not set."""
    allow_copiers: int
    """1 if others may copy your trades with a token of yours, else 0."""
    calling_country_code: NotRequired[str]
    """The country code of your telephone number; left out if not set."""
    citizen: NotRequired[str]
    """The two-letter code of your country of citizenship; left out if not set."""
    client_tnc_status: str | None
    """The version of the terms that you accepted; null if you accepted none."""
    country: str
    """The two-letter code of your residence, or of the country that your user was created with."""
    country_code: str
    """The same two-letter code as `country`."""
    date_of_birth: NotRequired[int]
    """The midnight (UTC) at which your day of birth began, in epoch seconds; left out if not
    set."""
    email: str
    """Your e-mail address."""
    email_consent: int
    """1 if you agreed to receive news by e-mail, else 0."""
    employment_status: NotRequired[str]
    """Your employment status; left out if not set."""
    feature_flag: dict[str, int]
    """The features of web apps by name, each 1 for on or 0 for off."""
    first_name: NotRequired[str]
    """Your first name; left out if not set."""
    has_secret_answer: int
    """1 if a secret answer is set, else 0."""
    immutable_fields: list[str]
    """The fields that cannot be changed; always empty."""
    is_authenticated_payment_agent: int
    """1 if this account is a payment agent, else 0."""
    last_name: NotRequired[str]
    """Your last name; left out if not set."""
    national_id_number: NotRequired[str]
    """The number of your identity card; left out if not set."""
    no_tin_justification: NotRequired[str]
    """The reason why you have no tax number; left out if not set."""
    non_pep_declaration: int
    """1 if you declared that you hold no public office, else 0."""
    phone: NotRequired[str]
    """Your telephone number; left out if not set."""
    place_of_birth: NotRequired[str]
    """The two-letter code of your country of birth; left out if not set."""
    preferred_language: str
    """Your preferred language; `EN` if not set."""
    request_professional_status: int
    """1 if you asked for the status of a professional, else 0."""
    residence: NotRequired[str]
    """The two-letter code of the country that you live in; left out if not set."""
    salutation: NotRequired[str]
    """Your title: `Miss`, `Mr`, `Mrs` or `Ms`; left out if not set."""
    tax_identification_number: NotRequired[str]
    """Your tax number; left out if not set."""
    tax_residence: NotRequired[str]
    """The two-letter codes of the countries that tax you, separated by commas; left out if not
    set."""
    tax_residence_justification: NotRequired[str]
    """The reason for your tax residence; left out if not set."""
    tin_skipped: NotRequired[int]
    """1 if you skipped the tax number, else 0; left out if not set."""
    trading_hub: int
    """1 if the trading hub is on, else 0."""
    user_hash: str
    """A hash of the user; always empty."""


class GetSettingsReply(TypedDict):
    get_settings: SettingsBody
    """Your settings and personal details."""


class FeatureFlags(TypedDict):
    wallet: NotRequired[
        Annotated[Flag, Field(description="1 to use wallets, else 0; only stored.")]
    ]


class PersonalData(AccountRequest):
    """The personal details of a user, in settings and when an account is opened."""

    account_opening_reason: OrAbsent[
        Literal[
            "Additional revenue",
            "Hedging",
            "Income Earning",
            "Peer-to-peer exchange",
            "Savings",
            "Speculative",
        ]
    ] = Field(None, description="The purpose of your accounts.")
    address_city: OrAbsent[Annotated[Text, Field(pattern=r"^[\p{L}\s'.-]+$", max_length=35)]] = (
        Field(None, description="The city of the address.")
    )
    address_line_1: OrAbsent[Line] = Field(None, description="The first line of the address.")
    address_postcode: OrAbsent[
        Annotated[Text, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9\s-]{0,20})?$")]
    ] = Field(None, description="The postal code of the address.")
    address_state: OrAbsent[
        Annotated[Text, Field(pattern=r"^[\p{L}\p{Nd}\s'.,/:;-]*$", max_length=100)]
    ] = Field(None, description="The state or province of the address.")
    calling_country_code: Annotated[Text, Field(pattern=r"^[0-9]{1,4}$")] | None = Field(
        None, description="The country code of the phone number."
    )
    citizen: Annotated[Text, Field(pattern=r"^([a-z]{2})?$")] | None = Field(
        None, description="The two-letter code of your country of citizenship."
    )
    date_of_birth: OrAbsent[Annotated[Text, Field(pattern=r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}$")]] = (
        Field(None, description="The date of birth, `yyyy-mm-dd`.")
    )
    employment_status: OrAbsent[Annotated[Text, Field(max_length=50)]] = Field(
        None, description="Your employment status."
    )
    financial_information_version: OrAbsent[Annotated[Text, Field(max_length=20)]] = Field(
        None, description="Stored, but has no effect."
    )
    first_name: OrAbsent[Name] = Field(None, description="Your first name.")
    last_name: OrAbsent[Name] = Field(None, description="Your last name.")
    phone: Annotated[Text, Field(pattern=r"^[0-9 ()-]{0,20}$")] | None = Field(
        None, description="Your phone number."
    )
    place_of_birth: OrAbsent[Country] = Field(
        None, description="The two-letter code of your country of birth."
    )
    salutation: OrAbsent[Literal["Miss", "Mr", "Mrs", "Ms"]] = Field(
        None, description="Your title."
    )
    secret_answer: OrAbsent[Annotated[Text, Field(min_length=4, max_length=50)]] = secret(
        None,
        description="The answer to the secret question. Only the fact that there is one is stored.",
    )
    tax_identification_number: OrAbsent[
        Annotated[Text, Field(pattern=r"^[A-Za-z0-9./\s-]{0,25}$")]
    ] = Field(None, description="Your tax number.")
    tax_residence: OrAbsent[Annotated[Text, Field(pattern=r"^[a-z]{0,2}(,[a-z]{2})*$")]] = Field(
        None, description="The two-letter codes of the countries that tax you, separated by commas."
    )
    tin_skipped: OrAbsent[Flag] = Field(
        None, description="1 if you skipped the tax number, else 0."
    )


class SetSettings(PersonalData):
    """Store settings and personal details; fields that are left out do not change."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"set_settings": 1, "first_name": "Ada", "last_name": "Lovelace"}]
        }
    )

    set_settings: One
    address_line_2: Line | None = Field(None, description="The second line of the address.")
    allow_copiers: OrAbsent[Flag] = Field(
        None,
        description="1 to let anyone with a token of yours copy your trades; 0 ends all copying.",
    )
    dxtrade_user_exception: OrAbsent[Flag] = Field(None, description="Stored, but has no effect.")
    email_consent: OrAbsent[Flag] = Field(
        None, description="1 to agree to news by e-mail; none is ever sent."
    )
    feature_flag: OrAbsent[FeatureFlags] = Field(
        None, description="Features of web apps, each 1 for on or 0 for off."
    )
    national_id_number: OrAbsent[Annotated[Text, Field(pattern=r"^[ -~]{1,50}$")]] = Field(
        None, description="The number of your identity card."
    )
    no_tin_justification: OrAbsent[Explanation] = Field(
        None, description="The reason why you have no tax number."
    )
    non_pep_declaration: OrAbsent[One] = Field(
        None, description="1 to declare that you hold no public office."
    )
    preferred_language: (
        Annotated[Text, Field(pattern=r"^([A-Z]{0,2}|[A-Z]{2}_[A-Z]{2})$")] | None
    ) = Field(None, description="Your preferred language, such as `EN`.")
    request_professional_status: OrAbsent[One] = Field(
        None, description="1 to ask for the status of a professional; only stored."
    )
    residence: Country | None = Field(
        None, description="The two-letter code of the country that you live in."
    )
    secret_question: OrAbsent[Annotated[Text, Field(max_length=100)]] = Field(
        None, description="The question of the secret answer."
    )
    tax_residence_justification: OrAbsent[Explanation] = Field(
        None, description="The reason for your tax residence."
    )
    trading_hub: OrAbsent[Flag] = Field(
        None, description="1 to use the trading hub, else 0; only stored."
    )


class SetSettingsReply(TypedDict):
    set_settings: int
    """Always 1."""


class TncApproval(AccountRequest):
    """Accept the terms."""

    tnc_approval: One


class TncApprovalReply(TypedDict):
    tnc_approval: int
    """Always 1."""


class GetAccountStatus(AccountRequest):
    """Ask for the status of the account and what it lacks."""

    get_account_status: One


class CashierState(TypedDict):
    is_deposit_suspended: int
    """1 if deposits are suspended, else 0; always 0 here."""
    is_withdrawal_suspended: int
    """1 if withdrawals are suspended, else 0; always 0 here."""


class Authentication(TypedDict):
    needs_verification: list[str]
    """The proofs that you still have to give; always empty."""


class AccountStatusBody(TypedDict):
    authentication: Authentication
    """The proofs of identity and address."""
    currency_config: dict[str, CashierState]
    """The state of deposits and withdrawals, by currency; only the currency of the account."""
    p2p_poa_required: int
    """1 if peer-to-peer trading requires a proof of address, else 0; always 0 here."""
    p2p_status: str
    """The status in peer-to-peer trading; always `none`."""
    prompt_client_to_authenticate: int
    """1 if you have to prove your identity, else 0; always 0 here."""
    risk_classification: str
    """The risk class of the account; always `low`."""
    status: list[str]
    """The flags of the account: `authenticated`, and `financial_assessment_not_complete` and
    `no_trading` where they apply."""


class GetAccountStatusReply(TypedDict):
    get_account_status: AccountStatusBody
    """The status of the account."""
