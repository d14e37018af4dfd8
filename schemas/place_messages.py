"""Requests and replies about countries and landing companies."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import One, OrAbsent, Request, Text

CountryCode = Annotated[Text, Field(pattern=r"^[A-Za-z0-9_]{2}$")]


class ResidenceList(Request):
    """List the countries that users may live in."""

    residence_list: One
    query: OrAbsent[
        list[
            Literal[
                "account_opening_self_declaration_required",
                "common_reporting_standard",
                "disabled",
                "identity",
                "jurisdiction_risk_assessment",
                "phone_idd",
                "selected",
                "text",
                "tin_format",
                "value",
                "wallet_signup",
            ]
        ]
    ] = Field(
        None,
        max_length=20,
        description="The fields to list for each country; only `phone_idd`, `text` and `value`"
        " exist here.",
    )


class Residence(TypedDict, total=False):
    phone_idd: str | None
    """The telephone prefix without a plus sign, or null without one; left out if `query` omits
    it."""
    text: str
    """The name of the country; left out if `query` omits it."""
    value: str
    """The two-letter code of the country; left out if `query` omits it."""


class ResidenceListReply(TypedDict):
    residence_list: list[Residence]
    """The countries, sorted by name."""


class StatesList(Request):
    """List the states or provinces of a country."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"states_list": "au"}]})

    states_list: CountryCode = Field(description="The two-letter code of the country.")


class State(TypedDict):
    text: str
    """The name of the state or province."""
    value: str
    """The code of the state or province (ISO 3166-2, without the country)."""


class StatesListReply(TypedDict):
    states_list: list[State]
    """The states or provinces, sorted by name; empty if the gateway has none for the country."""


class LandingCompany(Request):
    """Ask for the landing companies of a country."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"landing_company": "gb"}]})

    landing_company: CountryCode = Field(description="The two-letter code of the country.")


class Requirements(TypedDict):
    signup: list[str]
    """The fields required to open an account; always empty."""
    withdrawal: list[str]
    """The fields required for a withdrawal; always empty."""


class Company(TypedDict):
    address: list[str] | None
    """The address of the company; always null."""
    changeable_fields: dict[str, Any]
    """The personal details that can be changed; always empty."""
    country: str
    """The country of the company; always empty."""
    currency_config: dict[str, Any]
    """The settings by market and currency; always empty."""
    has_reality_check: int
    """1 if the company requires reality checks, else 0; always 0 here."""
    legal_allowed_contract_categories: list[str]
    """The categories of contracts, sorted by name."""
    legal_allowed_currencies: list[str]
    """The currencies of accounts."""
    legal_allowed_markets: list[str]
    """The names of the markets, sorted."""
    legal_default_currency: str
    """The currency of accounts by default; always `USD`."""
    name: str
    """The full name of the company."""
    requirements: Requirements
    """The fields required from users."""
    shortcode: str
    """The short name of the company: `svg` or `virtual`."""
    support_professional_client: int
    """1 if there are accounts for professionals, else 0; always 0 here."""
    tin_not_mandatory: int
    """1 if a tax number is optional, else 0; always 1 here."""


class CompaniesOfCountry(TypedDict):
    all_company: str
    """The short name of the company for all markets; always `svg`."""
    financial_company: Company
    """The company for financial markets."""
    gaming_company: Company
    """The company for synthetic markets; the same as for financial markets."""
    id: str
    """The two-letter code of the country."""
    minimum_age: int
    """The minimum age of users in years; always 18, and not checked."""
    name: str
    """The name of the country."""
    no_province: int
    """1 if the gateway has no states or provinces for the country, else 0."""
    require_address_postcode: int
    """1 if a postal code is required, else 0; always 0 here."""
    require_poi: int
    """1 if a proof of identity is required, else 0; always 0 here."""
    virtual_company: str
    """The short name of the company for demo accounts; always `virtual`."""


class LandingCompanyReply(TypedDict):
    landing_company: CompaniesOfCountry
    """The companies for users of the country."""


class LandingCompanyDetails(Request):
    """Ask what a landing company offers and requires."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"landing_company_details": "svg"}]})

    landing_company_details: Literal[
        "bvi",
        "dml",
        "dsl",
        "iom",
        "labuan",
        "malta",
        "maltainvest",
        "samoa",
        "samoa-virtual",
        "svg",
        "vanuatu",
        "virtual",
    ] = Field(
        description="The company: `svg` for real-style accounts, `virtual` for demo accounts;"
        " others are refused."
    )
    country: OrAbsent[Annotated[Text, Field(max_length=50)]] = Field(
        None, description="No effect: no country requires a tax number here."
    )


class LandingCompanyDetailsReply(TypedDict):
    landing_company_details: Company
    """The landing company."""
