"""The error codes of the gateway's own calls, each with what it means.

Clients match on codes; the message of an error says what to do. A call declares its own codes
(`@call(..., error_codes=)`); those of `ANY_CALL` may answer every call.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ANY_CALL: Final[Mapping[str, str]] = MappingProxyType(
    {
        "BadRequest": "The message is nested too deeply, or has a number that is too large.",
        "InvalidAppID": "The connection names no app that exists, or one it may not use; it ends.",
        "InputValidationFailed": "A field is missing, unknown or invalid; `details` names it.",
        "RateLimit": "Too many messages or streams; `details` names the limit.",
        "SanityCheckFailed": "The message holds a token outside of the fields for secrets.",
        "Timeout": "The call took too long, and was given up.",
        "ServiceRestart": "The gateway is stopping; connect again.",
        "StorageUnavailable": "The database can not be written at present; nothing has changed.",
        "InternalServerError": "A fault of the gateway, which it has logged.",
    }
)
"""Codes that may answer any call."""

NEEDS_LOGIN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "AuthorizationRequired": "The connection is not signed in: send `authorize` first.",
        "InvalidToken": "The token is unknown, revoked, expired or suspended.",
        "PermissionDenied": "The token lacks the scope, or is not allowed to make this call.",
    }
)
"""Codes of calls that need a token."""

SUBSCRIBES: Final[Mapping[str, str]] = MappingProxyType(
    {"AlreadySubscribed": "The connection has this stream already."}
)
"""Codes of calls that open streams."""

OF_CALLS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "APITokenError": "There is no such token, or one of that name exists.",
        "ASK_EMAIL_VERIFY": "A code that `verify_email` sends is needed.",
        "AccountBalanceExceedsLimit": "The balance would exceed your self-exclusion limit.",
        "AppRegister": "There is no such app, or it can not be changed like that.",
        "BarrierValidationError": "The barrier is not allowed; `details` says which are.",
        "CashierForwardError": "The cashier is not available for this account.",
        "ConsentRefused": "The app's request for consent is invalid or has expired.",
        "ContractBuyValidationError": "The stake, the payout or the currency is not allowed.",
        "ContractCreationFailure": "The contract can not be priced: it offers no return, or a"
        " barrier is missing.",
        "ContractNotFound": "The account has no contract of this number.",
        "ContractUpdateFailure": "The present price would meet the order at once.",
        "ContractUpdateNotAllowed": "Contracts of this type take no orders.",
        "CopyTradingNotAllowed": "This account may not copy that trader; the message says why.",
        "CopyTradingWrongCurrency": "Both accounts must have the same currency.",
        "DuplicateAccount": "A user of this address exists already.",
        "IdempotencyKeyReused": "The key was used for another payment before.",
        "InsufficientBalance": "The balance is too small.",
        "InvalidAccountType": "No account of this type can be opened.",
        "InvalidAppID": "There is no such app, or it may not be used like that.",
        "InvalidContractProposal": "The proposal is unknown or older than a minute.",
        "InvalidCredentials": "The e-mail address or the password is wrong.",
        "InvalidOfferings": "Contracts of this type are not offered, or not at present.",
        "InvalidSellContractProposal": "The contract can not be sold or cancelled now; the message"
        " says why.",
        "InvalidStakeLimit": "The stake lies outside of the limits of the copying.",
        "InvalidStartEnd": "The start lies after the end.",
        "InvalidSymbol": "There is no such symbol; `active_symbols` lists them.",
        "InvalidToken": "The token, or the code of a letter, is unknown, used or expired.",
        "InvalidVerificationType": "No such code is sent.",
        "MailServerNeeded": "The gateway has no mail server, so it sends no codes.",
        "MarketIsClosed": "The market of the symbol is closed.",
        "NoOpenPosition": "The contract is not open.",
        "OfferingsValidationError": "The combination is not offered; `contracts_for` lists what"
        " is.",
        "OpenPositionLimitExceeded": "Too many contracts are open, or they may pay too much.",
        "PaymentAgentTransferError": "The transfer is not possible; the message says why.",
        "PaymentAgentWithdrawError": "The withdrawal is not possible; the message says why.",
        "PermissionDenied": "The token is not allowed to do this.",
        "PriceMoved": "The price has moved beyond what you offered.",
        "RealAccountNeeded": "A real-style account is needed.",
        "SelfExclusion": "You have excluded yourself from trading.",
        "SessionDurationLimitExceeded": "The session is longer than your self-exclusion limit.",
        "SetAccountCurrencyError": "The currency of the account can not be changed any more.",
        "SetSelfExclusionError": "A limit can not be set like that; the message says why.",
        "TooManyAccounts": "The user has as many accounts as are allowed.",
        "TooManyTokens": "The account has as many tokens as are allowed.",
        "TopupVirtualError": "The account can not be topped up.",
        "TransferBetweenAccountsError": "The transfer is not possible; the message says why.",
        "UnknownLandingCompany": "There is no landing company of this name.",
        **{
            f"{period}{what}LimitExceeded": f"Your self-exclusion limit of {words} in {days} would"
            " be exceeded."
            for period, days in (("Daily", "a day"), ("7Day", "7 days"), ("30Day", "30 days"))
            for what, words in (
                ("Turnover", "turnover"),
                ("Loss", "losses"),
                ("Deposit", "deposits"),
            )
        },
    }
)
"""Codes of single calls, alphabetically."""

PURCHASE: Final = (
    "AccountBalanceExceedsLimit",
    "BarrierValidationError",
    "ContractBuyValidationError",
    "ContractCreationFailure",
    "InsufficientBalance",
    "InvalidContractProposal",
    "InvalidOfferings",
    "InvalidSymbol",
    "MarketIsClosed",
    "OfferingsValidationError",
    "OpenPositionLimitExceeded",
    "PriceMoved",
    "SelfExclusion",
    "SessionDurationLimitExceeded",
    *(
        f"{period}{what}LimitExceeded"
        for period in ("Daily", "7Day", "30Day")
        for what in ("Turnover", "Loss")
    ),
)
"""Codes of a purchase."""

QUOTE: Final = (
    "BarrierValidationError",
    "ContractBuyValidationError",
    "ContractCreationFailure",
    "InvalidOfferings",
    "InvalidSymbol",
    "MarketIsClosed",
    "OfferingsValidationError",
)
"""Codes of a quote."""

DEPOSIT: Final = (
    "AccountBalanceExceedsLimit",
    *(f"{period}DepositLimitExceeded" for period in ("Daily", "7Day", "30Day")),
)
"""Codes of a payment into your own account."""
