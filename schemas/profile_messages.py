"""Requests and replies about what a user has told of themselves."""

from typing import Annotated, Literal, NotRequired

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import AccountRequest, Flag, One, OrAbsent, Text, secret

Country = Annotated[Text, Field(pattern=r"^[a-z]{2}$")]
Name = Annotated[Text, Field(pattern=r"^[\p{L}\s'.-]+$", max_length=50)]
Line = Annotated[Text, Field(pattern=r"^[\p{L}\p{Nd}\s'\u{2019}.,:;()\u{b0}@#/-]*$", max_length=70)]
Explanation = Annotated[Text, Field(min_length=1, max_length=500)]


class GetSettings(AccountRequest):
    """Asks for what the user has told of themselves."""

    get_settings: One


class PhoneVerification(TypedDict):
    verified: int


class SettingsBody(TypedDict):
    account_opening_reason: NotRequired[str]
    address_city: NotRequired[str]
    address_line_1: NotRequired[str]
    address_line_2: NotRequired[str]
    address_postcode: NotRequired[str]
    address_state: NotRequired[str]
    allow_copiers: int
    calling_country_code: NotRequired[str]
    citizen: NotRequired[str]
    client_tnc_status: str | None
    country: str
    country_code: str
    date_of_birth: NotRequired[int]
    email: str
    email_consent: int
    employment_status: NotRequired[str]
    feature_flag: dict[str, int]
    first_name: NotRequired[str]
    has_secret_answer: int
    immutable_fields: list[str]
    is_authenticated_payment_agent: int
    last_name: NotRequired[str]
    national_id_number: NotRequired[str]
    no_tin_justification: NotRequired[str]
    non_pep_declaration: int
    phone: NotRequired[str]
    place_of_birth: NotRequired[str]
    preferred_language: str
    request_professional_status: int
    residence: NotRequired[str]
    salutation: NotRequired[str]
    tax_identification_number: NotRequired[str]
    tax_residence: NotRequired[str]
    tax_residence_justification: NotRequired[str]
    tin_skipped: NotRequired[int]
    trading_hub: int
    user_hash: str


class GetSettingsReply(TypedDict):
    get_settings: SettingsBody


class FeatureFlags(TypedDict):
    wallet: NotRequired[Annotated[Flag, Field(description="1 to use wallets; only kept.")]]


class PersonalData(AccountRequest):
    """What a user may tell of themselves, in settings and when an account is opened."""

    account_opening_reason: OrAbsent[
        Literal[
            "Additional revenue",
            "Hedging",
            "Income Earning",
            "Peer-to-peer exchange",
            "Savings",
            "Speculative",
        ]
    ] = Field(None, description="What the accounts are for.")
    address_city: OrAbsent[Annotated[Text, Field(pattern=r"^[\p{L}\s'.-]+$", max_length=35)]] = (
        Field(None, description="The city lived in.")
    )
    address_line_1: OrAbsent[Line] = Field(None, description="The first line of the address.")
    address_postcode: OrAbsent[
        Annotated[Text, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9\s-]{0,20})?$")]
    ] = Field(None, description="The postal code of the address.")
    address_state: OrAbsent[
        Annotated[Text, Field(pattern=r"^[\p{L}\p{Nd}\s'.,/:;-]*$", max_length=100)]
    ] = Field(None, description="The state or province of the address.")
    calling_country_code: Annotated[Text, Field(pattern=r"^[0-9]{1,4}$")] | None = Field(
        None, description="The country's code before the phone number."
    )
    citizen: Annotated[Text, Field(pattern=r"^([a-z]{2})?$")] | None = Field(
        None, description="The country of citizenship, by its two letters."
    )
    date_of_birth: OrAbsent[Annotated[Text, Field(pattern=r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}$")]] = (
        Field(None, description="The date of birth, `yyyy-mm-dd`.")
    )
    employment_status: OrAbsent[Annotated[Text, Field(max_length=50)]] = Field(
        None, description="How the user is employed."
    )
    financial_information_version: OrAbsent[Annotated[Text, Field(max_length=20)]] = Field(
        None, description="Kept, and without effect."
    )
    first_name: OrAbsent[Name] = Field(None, description="The first name.")
    last_name: OrAbsent[Name] = Field(None, description="The last name.")
    phone: Annotated[Text, Field(pattern=r"^[0-9 ()-]{0,20}$")] | None = Field(
        None, description="The phone number."
    )
    place_of_birth: OrAbsent[Country] = Field(
        None, description="The country of birth, by its two letters."
    )
    salutation: OrAbsent[Literal["Miss", "Mr", "Mrs", "Ms"]] = Field(
        None, description="How to be addressed."
    )
    secret_answer: OrAbsent[Annotated[Text, Field(min_length=4, max_length=50)]] = secret(
        None, description="Kept only as the fact that there is one."
    )
    tax_identification_number: OrAbsent[
        Annotated[Text, Field(pattern=r"^[A-Za-z0-9./\s-]{0,25}$")]
    ] = Field(None, description="The tax number.")
    tax_residence: OrAbsent[Annotated[Text, Field(pattern=r"^[a-z]{0,2}(,[a-z]{2})*$")]] = Field(
        None, description="The countries taxes are paid in, by their two letters, with commas."
    )
    tin_skipped: OrAbsent[Flag] = Field(None, description="1 when the tax number was left out.")


class SetSettings(PersonalData):
    """Tells something of the user; what is not named stays as it was."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"set_settings": 1, "first_name": "Ada", "last_name": "Lovelace"}]
        }
    )

    set_settings: One
    address_line_2: Line | None = Field(None, description="The second line of the address.")
    allow_copiers: OrAbsent[Flag] = Field(
        None,
        description="1 to let whoever has a token of the user's copy trades; 0 ends all copying.",
    )
    dxtrade_user_exception: OrAbsent[Flag] = Field(None, description="Kept, and without effect.")
    email_consent: OrAbsent[Flag] = Field(
        None, description="1 to agree to news by e-mail; none is ever sent."
    )
    feature_flag: OrAbsent[FeatureFlags] = Field(
        None, description="Features of web apps, each 1 for on or 0 for off."
    )
    national_id_number: OrAbsent[Annotated[Text, Field(pattern=r"^[ -~]{1,50}$")]] = Field(
        None, description="The number of an identity card."
    )
    no_tin_justification: OrAbsent[Explanation] = Field(
        None, description="Why there is no tax number."
    )
    non_pep_declaration: OrAbsent[One] = Field(
        None, description="1 to declare holding no public office."
    )
    preferred_language: (
        Annotated[Text, Field(pattern=r"^([A-Z]{0,2}|[A-Z]{2}_[A-Z]{2})$")] | None
    ) = Field(None, description="The language to be addressed in, such as `EN`.")
    request_professional_status: OrAbsent[One] = Field(
        None, description="1 to ask for the standing of a professional; only kept."
    )
    residence: Country | None = Field(None, description="The country lived in, by its two letters.")
    secret_question: OrAbsent[Annotated[Text, Field(max_length=100)]] = Field(
        None, description="Which question the secret answer is to."
    )
    tax_residence_justification: OrAbsent[Explanation] = Field(
        None, description="Why taxes are paid there."
    )
    trading_hub: OrAbsent[Flag] = Field(None, description="1 to use the trading hub; only kept.")


class SetSettingsReply(TypedDict):
    set_settings: int


class TncApproval(AccountRequest):
    """Accepts the terms."""

    tnc_approval: One


class TncApprovalReply(TypedDict):
    tnc_approval: int


class GetAccountStatus(AccountRequest):
    """Asks what the account may do and what it still lacks."""

    get_account_status: One


class CashierState(TypedDict):
    is_deposit_suspended: int
    is_withdrawal_suspended: int


class Authentication(TypedDict):
    needs_verification: list[str]


class AccountStatusBody(TypedDict):
    authentication: Authentication
    currency_config: dict[str, CashierState]
    p2p_poa_required: int
    p2p_status: str
    prompt_client_to_authenticate: int
    risk_classification: str
    status: list[str]


class GetAccountStatusReply(TypedDict):
    get_account_status: AccountStatusBody
