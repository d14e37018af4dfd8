"""Requests and replies about accounts, their balances and their ledgers."""

from typing import Annotated, Literal, NotRequired

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import (
    AccountRequest,
    Epoch,
    Flag,
    Int,
    One,
    OrAbsent,
    Request,
    StreamRequest,
    Text,
)


class LinkedAccount(TypedDict):
    loginid: str
    """The loginid of the linked account."""
    platform: str
    """The platform of the linked account."""


class AccountSummary(TypedDict):
    account_category: str
    """The category of the account; always `trading`."""
    account_type: str
    """The type of the account; always `binary`."""
    broker: str
    """The letters of the loginid: `VRTC` for a demo account, `CR` for a real-style one."""
    created_at: int
    """The time at which the account was opened, in epoch seconds."""
    currency: str
    """The currency of the account."""
    currency_type: NotRequired[str]
    """The type of the currency, `fiat` or `crypto`; left out at present."""
    is_disabled: int
    """1 if the account is disabled, else 0; always 0 here."""
    is_virtual: int
    """1 if it is a demo account, else 0."""
    landing_company_name: str
    """The short name of the landing company: `virtual` for a demo account, else `svg`."""
    linked_to: list[LinkedAccount]
    """The accounts linked to this one; always empty."""
    loginid: str
    """The loginid of the account."""


class AccountList(Request):
    """List the accounts of the user."""

    account_list: One


class AccountListReply(TypedDict):
    account_list: list[AccountSummary]
    """Your accounts, real-style ones first; with an app's token, only those that the app may
    use."""


class Balance(StreamRequest, AccountRequest):
    """Ask for the balance of one account, or of all accounts of the user."""

    balance: One
    account: Annotated[Text, Field(pattern=r"^(current|all|[A-Z]{2,4}[0-9]{1,10})$")] = Field(
        "current", description="`current`, `all`, or the loginid of one of your accounts."
    )


class AccountBalance(TypedDict):
    balance: float
    """The balance in units of the currency."""
    converted_amount: float
    """The balance in US dollars at the current rate, rounded down to cents."""
    currency: str
    """The currency of the account."""
    demo_account: int
    """1 if it is a demo account, else 0."""
    status: int
    """1 if the account is active, else 0; always 1 here."""
    type: str
    """The type of the account; always `deriv`."""


class Amount(TypedDict):
    amount: float
    """The amount in units of the currency."""
    currency: str
    """The currency of the amount."""


class Totals(TypedDict):
    deriv: NotRequired[Amount]
    """The total of your real-style accounts in US dollars; left out if there are none."""
    deriv_demo: NotRequired[Amount]
    """The total of your demo accounts in US dollars; left out if there are none."""


class BalanceBody(TypedDict):
    accounts: NotRequired[dict[str, AccountBalance]]
    """The balances by loginid; present in the first reply to `account` `all`."""
    balance: float
    """The balance of the account, in units of its currency."""
    currency: str
    """The currency of the account."""
    id: NotRequired[str]
    """The id of the stream; present if you subscribed."""
    loginid: str
    """The account of the balance; in an update, the account that changed."""
    total: NotRequired[Totals]
    """The totals of your accounts; present in the first reply to `account` `all`."""


class BalanceReply(TypedDict):
    balance: BalanceBody
    """The balance of the account, or of all your accounts."""


class TopupVirtual(AccountRequest):
    """Top up a demo account to its opening balance."""

    topup_virtual: One


class TopupVirtualReply(TypedDict):
    topup_virtual: Amount
    """The amount added to the balance."""


ActionType = Literal[
    "adjustment", "buy", "deposit", "escrow", "sell", "transfer", "virtual_credit", "withdrawal"
]


class Statement(AccountRequest):
    """List the entries of an account's ledger, newest first."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"statement": 1, "description": 1, "limit": 10}]}
    )

    statement: One
    action_type: OrAbsent[ActionType] = Field(
        None, description="The kind of entries to list; all if left out."
    )
    date_from: OrAbsent[Epoch] = Field(
        None, description="The earliest time to list, inclusive, in epoch seconds."
    )
    date_to: OrAbsent[Epoch] = Field(
        None, description="The latest time to list, inclusive, in epoch seconds."
    )
    description: Flag = Field(0, description="1 to add `longcode` and `shortcode` to each entry.")
    limit: Annotated[Int, Field(ge=0, le=999)] = Field(
        100, description="The maximum number of entries."
    )
    offset: Annotated[Int, Field(ge=0, le=2**53 - 1)] = Field(
        0, description="The number of newest entries to skip."
    )


class Party(TypedDict):
    loginid: str
    """The loginid of the account."""


StatementParties = TypedDict(  # a class cannot have a field named `from`
    "StatementParties",
    {
        "from": Annotated[
            Party,
            Field(
                description="The account that paid; left out unless the entry is a payment between"
                " accounts, and for an account that the app may not use."
            ),
        ],
        "to": Annotated[
            Party,
            Field(description="The account that received the money; left out like `from`."),
        ],
    },
    total=False,
)


class StatementEntry(StatementParties):
    action_type: str
    """The kind of entry: `adjustment`, `buy`, `deposit`, `sell`, `transfer`, `virtual_credit` or
    `withdrawal`."""
    amount: float
    """The change of the balance in units of the currency; negative if money left the account."""
    app_id: int | None
    """The app through which the entry was made; null if there was none."""
    balance_after: float
    """The balance after the entry, in units of the currency."""
    contract_id: int | None
    """The contract that was bought or sold; null for other entries."""
    longcode: NotRequired[str]
    """The entry in words; present if `description` is 1."""
    payout: float | None
    """The payout of the contract in units of the currency, 0 if not fixed; null without a
    contract."""
    purchase_time: NotRequired[int]
    """The time at which the contract was bought, in epoch seconds; present in `sell` entries."""
    reference_id: int | None
    """The id of the `buy` entry of the contract in a `sell` entry; null for other entries."""
    shortcode: NotRequired[str | None]
    """The shortcode of the contract, or null without one; present if `description` is 1."""
    transaction_id: int
    """The id of the entry."""
    transaction_time: int
    """The time of the entry, in epoch seconds."""


class StatementBody(TypedDict):
    count: int
    """The number of entries in this reply."""
    transactions: list[StatementEntry]
    """The entries of the ledger, newest first."""


class StatementReply(TypedDict):
    statement: StatementBody
    """The ledger of the account."""


class Transaction(AccountRequest):
    """Subscribe to the new entries of an account's ledger."""

    transaction: One
    subscribe: One = Field(description="Always 1: this call is a stream.")


class TransactionBody(TypedDict):
    action: NotRequired[str]
    """The kind of entry, as `action_type` of `statement`; left out of the first reply."""
    amount: NotRequired[float]
    """The change of the balance in units of the currency; left out of the first reply."""
    balance: NotRequired[float]
    """The balance after the entry, in units of the currency; left out of the first reply."""
    barrier: NotRequired[str | None]
    """The barrier of the contract as requested, or its digit; left out if there is none."""
    contract_id: NotRequired[int | None]
    """The contract bought or sold, null for other entries; left out of the first reply."""
    currency: NotRequired[str]
    """The currency of the account; left out of the first reply."""
    date_expiry: NotRequired[int]
    """The time at which the contract ends, in epoch seconds; left out without a contract."""
    display_name: NotRequired[str]
    """The display name of the contract's symbol; left out without a contract."""
    id: NotRequired[str]
    """The id of the stream."""
    longcode: NotRequired[str]
    """The contract in words; left out without a contract."""
    purchase_time: NotRequired[int]
    """The time at which the contract was bought, in epoch seconds; present if `action` is
    `sell`."""
    symbol: NotRequired[str]
    """The symbol of the contract; left out without a contract."""
    transaction_id: NotRequired[int]
    """The id of the entry; left out of the first reply."""
    transaction_time: NotRequired[int]
    """The time of the entry, in epoch seconds; left out of the first reply."""


class TransactionReply(TypedDict):
    transaction: TransactionBody
    """The new entry of the ledger; in the first reply, only the id of the stream."""


class GetLimits(AccountRequest):
    """Ask for the limits on the account's open contracts and balance."""

    get_limits: One


class LimitsBody(TypedDict):
    account_balance: float | None
    """The largest balance allowed; always null, since there is no limit."""
    open_positions: int
    """The number of contracts that may be open at once."""
    payout: float
    """The most that all open contracts may pay together, in units of the account's currency."""


class GetLimitsReply(TypedDict):
    get_limits: LimitsBody
    """The limits of the account."""
