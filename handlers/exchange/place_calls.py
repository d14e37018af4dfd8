"""Countries, and the companies that keep accounts. All accounts here are of paper money."""

from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.money import CURRENCIES
from scopegate.exchange.symbols import SYMBOLS
from scopegate.gateway.calls.errors import ApiError
from scopegate.gateway.calls.registry import call
from scopegate.gateway.calls.session import Session
from scopegate.handlers.exchange.paper_accounts import LANDING_COMPANIES, company_of
from scopegate.handlers.gateway.countries import COUNTRIES, STATES, check_country
from scopegate.schemas.place_messages import (
    Company,
    LandingCompany,
    LandingCompanyDetails,
    LandingCompanyDetailsReply,
    LandingCompanyReply,
    Residence,
    ResidenceList,
    ResidenceListReply,
    StatesList,
    StatesListReply,
)

_RESIDENCES: list[Residence] = [
    {
        "phone_idd": country.dialling or None,
        "text": country.name,
        "value": code,
    }
    for code, country in COUNTRIES.items()
]


class Places:
    """Countries, and the companies that keep accounts."""

    @call("residence_list", needs=None, error_codes=())
    async def residence_list(self, request: ResidenceList, session: Session) -> ResidenceListReply:
        """List all countries with their telephone prefixes.

        People from any of them may have accounts. With `query`, return only these keys of each
        country.
        """
        if request.query is None:
            return {"residence_list": _RESIDENCES}
        wanted = set(request.query)
        chosen: list[Residence] = [
            {key: value for key, value in row.items() if key in wanted}  # type: ignore[misc] # a part of the row
            for row in _RESIDENCES
        ]
        return {"residence_list": chosen}

    @call("states_list", needs=None, error_codes=())
    async def states_list(self, request: StatesList, session: Session) -> StatesListReply:
        """List the states or provinces of a country; empty if this gateway does not have them."""
        code = _country(request.states_list, "states_list")
        states = STATES.get(code, {})
        return {"states_list": [{"text": text, "value": value} for value, text in states.items()]}

    @call("landing_company", needs=None, error_codes=())
    async def landing_company(
        self, request: LandingCompany, session: Session
    ) -> LandingCompanyReply:
        """Return the company that keeps accounts for a country's residents: the same everywhere."""
        code = _country(request.landing_company, "landing_company")
        company = _company(company_of(is_virtual=False))
        return {
            "landing_company": {
                "all_company": company["shortcode"],
                "financial_company": company,
                "gaming_company": company,
                "id": code,
                "minimum_age": 18,
                "name": COUNTRIES[code].name,
                "no_province": int(code not in STATES),
                "require_address_postcode": 0,
                "require_poi": 0,
                "virtual_company": company_of(is_virtual=True),
            }
        }

    @call("landing_company_details", needs=None, error_codes=("UnknownLandingCompany",))
    async def landing_company_details(
        self, request: LandingCompanyDetails, session: Session
    ) -> LandingCompanyDetailsReply:
        """Return what a company that keeps accounts offers, and the details it requires: none."""
        code = request.landing_company_details
        if code not in LANDING_COMPANIES:
            raise ApiError(
                "UnknownLandingCompany",
                "There is no such company. Use " + " or ".join(LANDING_COMPANIES) + ".",
            )
        return {"landing_company_details": _company(code)}


def _country(code: str, field: str) -> str:
    check_country(code.lower(), field)
    return code.lower()


def _company(code: str) -> Company:
    is_demo = code == company_of(is_virtual=True)
    return {
        "address": None,
        "changeable_fields": {},
        "country": "",
        "currency_config": {},
        "has_reality_check": 0,
        "legal_allowed_contract_categories": sorted(
            {kind.listing.category for kind in TYPES.values()}
        ),
        "legal_allowed_currencies": ["USD"] if is_demo else list(CURRENCIES),
        "legal_allowed_markets": sorted({symbol.market for symbol in SYMBOLS.values()}),
        "legal_default_currency": "USD",
        "name": LANDING_COMPANIES[code],
        "requirements": {"signup": [], "withdrawal": []},
        "shortcode": code,
        "support_professional_client": 0,
        "tin_not_mandatory": 1,
    }
