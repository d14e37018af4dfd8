"""The error codes of the gateway's own calls, each with what it means.

Clients match on codes; the message of an error says what is wrong, and often what
to do. A call declares its own codes
(`@call(..., error_codes=)`); those of `ANY_CALL` may answer every call.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ANY_CALL: Final[Mapping[str, str]] = MappingProxyType(
    {
        "BadRequest": "The message is no JSON object, or is nested too deeply.",
        "InvalidAppID": "The app does not exist, is disabled, or may not be used here; the"
        " connection closes.",
        "InputValidationFailed": "A field is missing, unknown or invalid; `details` names it.",
        "RateLimit": "Too many messages or streams; `details` names the limit.",
        "SanityCheckFailed": "A key, a text or a number of the message is not accepted anywhere.",
        "Timeout": "The call took too long and was cancelled.",
        "ServiceRestart": "The gateway is shutting down; connect again later.",
        "SessionEnded": "The operator has ended this connection.",
        "StorageUnavailable": "The database cannot be written at present; nothing was changed.",
        "InternalServerError": "An error in the gateway, which it has logged.",
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
    {"AlreadySubscribed": "The connection already has this stream."}
)
"""Codes of calls that open streams."""

OF_CALLS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "APITokenError": "There is no such token, or there is already one with that name.",
        "ASK_EMAIL_VERIFY": "A code from `verify_email` is needed.",
        "AccountBalanceExceedsLimit": "The balance would exceed your self-exclusion limit.",
        "AppUpdate": "You have another app of this name.",
        "AppRegister": "There is no such app, or it cannot be changed like this.",
        "BarrierValidationError": "The barrier is not allowed; `details` says which are.",
        "CashierForwardError": "The cashier is not available for this account.",
        "ConsentRefused": "The app's request for consent is invalid or has expired.",
        "CandlesNotReady": "The candles are being computed: ask again after the time in the"
        " message.",
        "ContractBuyValidationError": "The stake, the payout or the currency is not allowed.",
        "ContractCreationFailure": "The contract cannot be priced: it offers no return, or a"
        " barrier is missing.",
        "ContractNotFound": "The account has no contract with this `contract_id`.",
        "ContractUpdateFailure": "The current price would trigger the order immediately.",
        "ContractUpdateNotAllowed": "Contracts of this type do not support orders.",
        "CopyTradingNotAllowed": "This account may not copy that trader; the message says why.",
        "CopyTradingWrongCurrency": "Both accounts must have the same currency.",
        "DuplicateAccount": "There is already a user with this e-mail address.",
        "FaultNotFound": "The account has no fault of this number.",
        "FaultsNotAllowed": "The account is no demo account, or the gateway does not allow faults.",
        "IdempotencyKeyReused": "The key was already used for another request.",
        "InsufficientBalance": "The balance is too small.",
        "InvalidAccountType": "No account of this type can be opened.",
        "InvalidAppID": "There is no such app, or it may not be used like this.",
        "InvalidContractProposal": "The proposal is unknown or older than a minute.",
        "InvalidCredentials": "The e-mail address or the password is wrong.",
        "InvalidOfferings": "Contracts of this type are not offered, or not at present.",
        "InvalidSellContractProposal": "The contract cannot be sold or cancelled now; the message"
        " says why.",
        "InvalidStakeLimit": "The stake is outside the stake limits of the copier.",
        "InvalidStartEnd": "The start is after the end.",
        "InvalidSymbol": "There is no such symbol; `active_symbols` lists them.",
        "InvalidToken": "The token or the verification code is unknown, used or expired.",
        "InvalidVerificationType": "Codes of this type are not offered.",
        "MailServerNeeded": "The gateway has no mail server, so it sends no codes.",
        "MarketIsClosed": "The market of the symbol is closed.",
        "NoOpenPosition": "The contract is not open.",
        "OfferingsValidationError": "The combination is not offered; `contracts_for` lists what"
        " is.",
        "OpenPositionLimitExceeded": "Too many contracts are open, or their total payout is too"
        " large.",
        "PaymentAgentTransferError": "The transfer is not possible; the message says why.",
        "PaymentAgentWithdrawError": "The withdrawal is not possible; the message says why.",
        "PermissionDenied": "The token is not allowed to do this.",
        "PriceMoved": "The price has moved beyond the limit that you gave.",
        "RealAccountNeeded": "A real-style account is needed.",
        "SelfExclusion": "You have excluded yourself from trading.",
        "SessionDurationLimitExceeded": "The session is longer than your self-exclusion limit.",
        "SetAccountCurrencyError": "The currency of the account can no longer be changed.",
        "SetSelfExclusionError": "The limit cannot be set like this; the message says why.",
        "TokenCapReached": "A cap of the token would be exceeded; `details` has it, what remains of"
        " it, and when it is reset.",
        "TokenRestricted": "The token is restricted to something else; `details` says to what.",
        "TooManyAccounts": "The user has the maximum number of accounts.",
        "TooManyFaults": "The token or the app has too many faults already.",
        "UserNotFound": "There is no user with this e-mail address.",
        "TooManyTokens": "The account has the maximum number of tokens.",
        "TopupVirtualError": "The account cannot be topped up.",
        "TransferBetweenAccountsError": "The transfer is not possible; the message says why.",
        "UnknownLandingCompany": "There is no landing company with this name.",
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

SALE: Final = (
    "ContractNotFound",
    "InvalidSellContractProposal",
    "MarketIsClosed",
    "NoOpenPosition",
    "PriceMoved",
)
"""Codes of calls that sell a contract."""

CAPS: Final = ("TokenCapReached", "TokenRestricted")
"""Codes of what the restrictions of a token forbid."""

PURCHASE: Final = (
    "AccountBalanceExceedsLimit",
    "BarrierValidationError",
    "ContractBuyValidationError",
    "ContractCreationFailure",
    "IdempotencyKeyReused",
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
    *CAPS,
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
