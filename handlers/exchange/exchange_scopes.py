"""The five scopes of the paper exchange, in the published order."""

from scopegate.schemas.scopes import Risk, Scope

READ = Scope(
    "read",
    "See your personal details, settings, limits, balances, purchase history and sign-ins",
    allows_apps="See your e-mail address, personal details, settings and past sign-ins, and the"
    " balances, limits and purchases of the chosen accounts.",
)
TRADE = Scope(
    "trade",
    "Buy and sell contracts, copy traders, top up demo accounts",
    allows_apps="Buy and sell contracts with the money in the chosen accounts, and copy other"
    " traders. It can lose all of that money. It can also top up demo accounts.",
    risk=Risk.MEDIUM,
)
PAYMENTS = Scope(
    "payments",
    "Move money between your accounts, pay as a payment agent, and withdraw to one with a code that"
    " you get by e-mail",
    allows_apps="Move money between the chosen accounts, and withdraw it to payment agents with a"
    " code that only you get by e-mail.",
    risk=Risk.HIGH,
)
ADMIN = Scope(
    "admin",
    "Open accounts, change settings, manage tokens and apps, become a payment agent, set limits on"
    " trading",
    allows_apps="Open accounts and register apps for you, let others copy your contracts, change"
    " preferences, add missing personal details, and create more tokens that may do what the app"
    " may. It cannot touch your own tokens and apps, other connected apps, or your trading limits.",
    risk=Risk.CRITICAL,
)
TRADING_INFORMATION = Scope(
    "trading_information",
    "See your balances, open contracts and trading history",
    allows_apps="See the balances, open contracts and trading history of the chosen accounts.",
)

SCOPES = (READ, TRADE, PAYMENTS, ADMIN, TRADING_INFORMATION)
