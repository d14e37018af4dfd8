"""Requests and replies about what a user has told of themselves."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from schemas.fields import AccountRequest, Flag, One, OrAbsent, Text, secret

Country = Annotated[Text, Field(pattern=r"^[a-z]{2}$")]
Name = Annotated[Text, Field(pattern=r"^[\p{L}\s'.-]+$", max_length=50)]
Line = Annotated[Text, Field(pattern=r"^[\p{L}\p{Nd}\s'\x{2019}.,:;()\x{b0}@#/-]*$", max_length=70)]
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
    account_opening_reason: OrAbsent[
        Literal[
            "Additional revenue",
            "Hedging",
            "Income Earning",
            "Peer-to-peer exchange",
            "Savings",
            "Speculative",
        ]
    ] = None
    address_city: OrAbsent[Annotated[Text, Field(pattern=r"^[\p{L}\s'.-]+$", max_length=35)]] = None
    address_line_1: OrAbsent[Line] = None
    address_line_2: Line | None = None
    address_postcode: OrAbsent[
        Annotated[Text, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9\s-]{0,20})?$")]
    ] = None
    address_state: OrAbsent[
        Annotated[Text, Field(pattern=r"^[\p{L}\p{Nd}\s'.,/:;-]*$", max_length=100)]
    ] = None
    allow_copiers: OrAbsent[Flag] = None
    calling_country_code: Annotated[Text, Field(pattern=r"^[0-9]{1,4}$")] | None = None
    citizen: Annotated[Text, Field(pattern=r"^([a-z]{2})?$")] | None = None
    date_of_birth: OrAbsent[Annotated[Text, Field(pattern=r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}$")]] = (
        None
    )
    dxtrade_user_exception: OrAbsent[Flag] = None
    email_consent: OrAbsent[Flag] = None
    employment_status: OrAbsent[Annotated[Text, Field(max_length=50)]] = None
    feature_flag: OrAbsent[FeatureFlags] = None
    financial_information_version: OrAbsent[Annotated[Text, Field(max_length=20)]] = None
    first_name: OrAbsent[Name] = None
    last_name: OrAbsent[Name] = None
    national_id_number: OrAbsent[Annotated[Text, Field(pattern=r"^[ -~]{1,50}$")]] = None
    no_tin_justification: OrAbsent[Explanation] = None
    non_pep_declaration: OrAbsent[One] = None
    phone: Annotated[Text, Field(pattern=r"^[0-9 ()-]{0,20}$")] | None = None
    place_of_birth: OrAbsent[Country] = None
    preferred_language: (
        Annotated[Text, Field(pattern=r"^([A-Z]{0,2}|[A-Z]{2}_[A-Z]{2})$")] | None
    ) = None
    request_professional_status: OrAbsent[One] = None
    residence: Country | None = None
    salutation: OrAbsent[Literal["Miss", "Mr", "Mrs", "Ms"]] = None
    secret_answer: OrAbsent[Annotated[Text, Field(min_length=4, max_length=50)]] = secret(
        None, description="Kept only as the fact that there is one."
    )
    secret_question: OrAbsent[Annotated[Text, Field(max_length=100)]] = None
    tax_identification_number: OrAbsent[
        Annotated[Text, Field(pattern=r"^[A-Za-z0-9./\s-]{0,25}$")]
    ] = None
    tax_residence: OrAbsent[Annotated[Text, Field(pattern=r"^[a-z]{0,2}(,[a-z]{2})*$")]] = None
    tax_residence_justification: OrAbsent[Explanation] = None
    tin_skipped: OrAbsent[Flag] = None
    trading_hub: OrAbsent[Flag] = None


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
