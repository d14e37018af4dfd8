"""Requests and replies about countries, and about the companies that keep accounts."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import One, OrAbsent, Request, Text

CountryCode = Annotated[Text, Field(pattern=r"^[A-Za-z0-9_]{2}$")]


class ResidenceList(Request):
    """Asks for the countries that users may live in."""

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
        description="The keys to tell of each country; `phone_idd`, `text` and `value` are known.",
    )


class Residence(TypedDict, total=False):
    phone_idd: str | None
    text: str
    value: str


class ResidenceListReply(TypedDict):
    residence_list: list[Residence]


class StatesList(Request):
    """Asks for the states or provinces of a country."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"states_list": "au"}]})

    states_list: CountryCode = Field(description="The country, by its two letters.")


class State(TypedDict):
    text: str
    value: str


class StatesListReply(TypedDict):
    states_list: list[State]


class LandingCompany(Request):
    """Asks which company keeps accounts for the people of a country."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"landing_company": "gb"}]})

    landing_company: CountryCode = Field(description="The country, by its two letters.")


class Requirements(TypedDict):
    signup: list[str]
    withdrawal: list[str]


class Company(TypedDict):
    address: list[str] | None
    changeable_fields: dict[str, Any]
    country: str
    currency_config: dict[str, Any]
    has_reality_check: int
    legal_allowed_contract_categories: list[str]
    legal_allowed_currencies: list[str]
    legal_allowed_markets: list[str]
    legal_default_currency: str
    name: str
    requirements: Requirements
    shortcode: str
    support_professional_client: int
    tin_not_mandatory: int


class CompaniesOfCountry(TypedDict):
    all_company: str
    financial_company: Company
    gaming_company: Company
    id: str
    minimum_age: int
    name: str
    no_province: int
    require_address_postcode: int
    require_poi: int
    virtual_company: str


class LandingCompanyReply(TypedDict):
    landing_company: CompaniesOfCountry


class LandingCompanyDetails(Request):
    """Asks what a company that keeps accounts offers and wants to know."""

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
    ] = Field(description="`svg` for real-style accounts, `virtual` for demo ones.")
    country: OrAbsent[Annotated[Text, Field(max_length=50)]] = Field(
        None, description="A country. Without effect: nowhere is a tax number needed."
    )


class LandingCompanyDetailsReply(TypedDict):
    landing_company_details: Company
