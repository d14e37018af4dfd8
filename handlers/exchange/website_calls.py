"""Currencies, languages, rate limits and the status of the site, as in the published API."""

from scopegate.exchange.money import CURRENCIES, Currency
from scopegate.gateway.access.users import Residence
from scopegate.gateway.calls.limits import Profile, Rate
from scopegate.gateway.calls.registry import Registry, Stream, call
from scopegate.gateway.calls.session import Session, Shape
from scopegate.handlers.exchange.paper_accounts import facts_of
from scopegate.schemas.general_messages import (
    CallLimit,
    CallLimits,
    CurrencyConfig,
    PayoutCurrencies,
    PayoutCurrenciesReply,
    StreamLimit,
    WebsiteConfig,
    WebsiteConfigReply,
    WebsiteStatus,
    WebsiteStatusReply,
)

LANGUAGES = ["EN"]
TERMS_VERSION = "Version 1 2026-11-01"


def _currency(currency: Currency) -> CurrencyConfig:
    smallest = float(10**-currency.digits)
    return {
        "fractional_digits": currency.digits,
        "is_deposit_suspended": 0,
        "is_suspended": 0,
        "is_withdrawal_suspended": 0,
        "name": currency.name,
        "stake_default": 0.001 if currency.digits > 2 else 10.0,
        "transfer_between_accounts": {"fees": {}, "limits": {"min": smallest}},
        "type": "crypto" if currency.is_crypto else "fiat",
    }


_CURRENCIES = {code: _currency(currency) for code, currency in CURRENCIES.items()}


class Website:
    """Currencies, languages, rate limits and the status of the site, as in the published API."""

    def __init__(self, profile: Profile, registry: Registry, residence: Residence) -> None:
        """`residence` is the country that is reported to every visitor: no address is looked up."""
        self._profile = profile
        self._registry = registry
        self._residence = residence

    @call("payout_currencies", needs=None, error_codes=())
    async def payout_currencies(
        self, request: PayoutCurrencies, session: Session
    ) -> PayoutCurrenciesReply:
        """List the currencies of accounts; after sign-in, only that of the account."""
        if session.acting is not None:
            return {"payout_currencies": [facts_of(session.acting).currency]}
        return {"payout_currencies": list(CURRENCIES)}

    @call("website_config", needs=None, error_codes=())
    async def website_config(self, request: WebsiteConfig, session: Session) -> WebsiteConfigReply:
        """Return the currencies and languages that this gateway supports."""
        return {
            "website_config": {
                "currencies_config": _CURRENCIES,
                "feature_flags": [],
                "payment_agents": {"initial_deposit_per_country": {"default": 0.0}},
                "supported_languages": LANGUAGES,
                "terms_conditions_version": TERMS_VERSION,
            }
        }

    @call("website_status", needs=None, error_codes=())
    async def website_status(
        self, request: WebsiteStatus, session: Session
    ) -> WebsiteStatusReply | Stream[WebsiteStatusReply]:
        """Return whether the gateway is up, and the limits in force."""
        reply: WebsiteStatusReply = {
            "website_status": {
                "api_call_limits": self._limits(),
                "clients_country": str(self._residence),
                "currencies_config": _CURRENCIES,
                "site_status": "up",
                "supported_languages": LANGUAGES,
                "terms_conditions_version": TERMS_VERSION,
            }
        }
        if not request.subscribe:
            return reply
        return Stream(
            kind="website_status",
            key="website_status",
            label="website_status",
            topic="website_status",
            first=reply,
            msg_type="website_status",
            shape=Shape.OBJECT,
        )

    def _limits(self) -> CallLimits:
        streams: StreamLimit = {
            "applies_to": "subscribing to proposal, on one connection",
            "max": self._profile.proposal_streams,
        }
        return {
            "max_proposal_subscription": streams,
            "max_requestes_general": self._limit(Rate.GENERAL),
            "max_requests_outcome": self._limit(Rate.OUTCOME),
            "max_requests_pricing": self._limit(Rate.PRICING),
        }

    def _limit(self, rate: Rate) -> CallLimit:
        allowance = self._profile.allowance(rate)
        names = ", ".join(each.name for each in self._registry if each.rate is rate)
        applies_to = "every other call" if rate is Rate.GENERAL else names or "no call offered here"
        return {
            "applies_to": applies_to,
            "minutely": allowance.minutely,
            "hourly": allowance.hourly,
        }
