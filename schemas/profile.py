"""Requests and replies about what a user has told of themselves."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from schemas.fields import AccountRequest, Flag, One, Text, secret

Country = Annotated[Text, Field(pattern=r"^[a-z]{2}$")]
Name = Annotated[Text, Field(pattern=r"^[\p{L}\s'.-]{1,50}$")]
Line = Annotated[Text, Field(pattern=r"^[\p{L}\p{Nd}\s'\x{2019}.,:;()\x{b0}@#/-]{0,70}$")]
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
    client_tnc_status: str
    country: str | None
    country_code: str | None
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
    wallet: NotRequired[Flag]


class SetSettings(AccountRequest):
    """Tells something of the user; what is not named stays as it was."""

    set_settings: One
    account_opening_reason: (
        Literal[
            "Additional revenue",
            "Hedging",
            "Income Earning",
            "Peer-to-peer exchange",
            "Savings",
            "Speculative",
        ]
        | None
    ) = None
    address_city: Annotated[Text, Field(pattern=r"^[\p{L}\s'.-]{1,35}$")] | None = None
    address_line_1: Line | None = None
    address_line_2: Line | None = None
    address_postcode: (
        Annotated[Text, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9\s-]{0,20})?$")] | None
    ) = None
    address_state: Annotated[Text, Field(pattern=r"^[\p{L}\p{Nd}\s'.,;-]{0,100}$")] | None = None
    allow_copiers: Flag | None = None
    calling_country_code: Annotated[Text, Field(pattern=r"^[0-9]{1,4}$")] | None = None
    citizen: Annotated[Text, Field(pattern=r"^([a-z]{2})?$")] | None = None
    date_of_birth: Annotated[Text, Field(pattern=r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}$")] | None = None
    dxtrade_user_exception: Flag | None = None
    email_consent: Flag | None = None
    employment_status: Annotated[Text, Field(max_length=50)] | None = None
    feature_flag: FeatureFlags | None = None
    financial_information_version: Annotated[Text, Field(max_length=20)] | None = None
    first_name: Name | None = None
    last_name: Name | None = None
    national_id_number: Annotated[Text, Field(pattern=r"^[ -~]{1,50}$")] | None = None
    no_tin_justification: Explanation | None = None
    non_pep_declaration: One | None = None
    phone: Annotated[Text, Field(pattern=r"^[0-9 ()-]{0,20}$")] | None = None
    place_of_birth: Country | None = None
    preferred_language: Annotated[Text, Field(pattern=r"^([A-Z]{2}(_[A-Z]{2})?)?$")] | None = None
    request_professional_status: One | None = None
    residence: Country | None = None
    salutation: Literal["Miss", "Mr", "Mrs", "Ms"] | None = None
    secret_answer: Annotated[Text, Field(min_length=4, max_length=50)] | None = secret(
        None, description="Kept only as the fact that there is one."
    )
    secret_question: Annotated[Text, Field(max_length=100)] | None = None
    tax_identification_number: (
        Annotated[Text, Field(pattern=r"^[A-Za-z0-9./\s-]{0,25}$")] | None
    ) = None
    tax_residence: Annotated[Text, Field(pattern=r"^[a-z]{0,2}(,[a-z]{2})*$")] | None = None
    tax_residence_justification: Explanation | None = None
    tin_skipped: Flag | None = None
    trading_hub: Flag | None = None


class SetSettingsReply(TypedDict):
    set_settings: int


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
