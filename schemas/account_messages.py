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
    platform: str


class AccountSummary(TypedDict):
    account_category: str
    account_type: str
    broker: str
    created_at: int
    currency: str
    currency_type: NotRequired[str]
    is_disabled: int
    is_virtual: int
    landing_company_name: str
    linked_to: list[LinkedAccount]
    loginid: str


class AccountList(Request):
    """Asks for every account of the user."""

    account_list: One


class AccountListReply(TypedDict):
    account_list: list[AccountSummary]


class Balance(StreamRequest, AccountRequest):
    """Asks for a balance, or for all of the user's."""

    balance: One
    account: Annotated[Text, Field(pattern=r"^(current|all|[A-Z]{2,4}[0-9]{1,10})$")] = Field(
        "current", description="`current`, `all`, or the loginid of an account of the user's."
    )


class AccountBalance(TypedDict):
    balance: float
    converted_amount: float
    currency: str
    demo_account: int
    status: int
    type: str


class Amount(TypedDict):
    amount: float
    currency: str


class Totals(TypedDict):
    deriv: NotRequired[Amount]
    deriv_demo: NotRequired[Amount]


class BalanceBody(TypedDict):
    accounts: NotRequired[dict[str, AccountBalance]]
    balance: float
    currency: str
    id: NotRequired[str]
    loginid: str
    total: NotRequired[Totals]


class BalanceReply(TypedDict):
    balance: BalanceBody


class TopupVirtual(AccountRequest):
    """Tops a demo account up to its opening balance."""

    topup_virtual: One


class TopupVirtualReply(TypedDict):
    topup_virtual: Amount


ActionType = Literal[
    "adjustment", "buy", "deposit", "escrow", "sell", "transfer", "virtual_credit", "withdrawal"
]


class Statement(AccountRequest):
    """Asks for the entries of an account's ledger, newest first."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"statement": 1, "description": 1, "limit": 10}]}
    )

    statement: One
    action_type: OrAbsent[ActionType] = Field(None, description="Entries of this kind alone.")
    date_from: OrAbsent[Epoch] = Field(None, description="Entries at or after this moment.")
    date_to: OrAbsent[Epoch] = Field(None, description="Entries at or before this moment.")
    description: Flag = Field(0, description="1 to have each entry explained in words.")
    limit: Annotated[Int, Field(ge=0, le=999)] = Field(100, description="How many at the most.")
    offset: Annotated[Int, Field(ge=0, le=2**53 - 1)] = Field(
        0, description="How many of the newest to leave out."
    )


class Party(TypedDict):
    loginid: str


StatementParties = TypedDict("StatementParties", {"from": Party, "to": Party}, total=False)
"""The accounts of a payment; a class could not have a field named `from`."""


class StatementEntry(StatementParties):
    action_type: str
    amount: float
    app_id: int | None
    balance_after: float
    contract_id: int | None
    longcode: NotRequired[str]
    payout: float | None
    purchase_time: NotRequired[int]
    reference_id: int | None
    shortcode: NotRequired[str | None]
    transaction_id: int
    transaction_time: int


class StatementBody(TypedDict):
    count: int
    transactions: list[StatementEntry]


class StatementReply(TypedDict):
    statement: StatementBody


class Transaction(AccountRequest):
    """Asks to be told of every entry of an account's ledger as it is made."""

    transaction: One
    subscribe: One = Field(description="Always 1: this call is a stream.")


class TransactionBody(TypedDict):
    action: NotRequired[str]
    amount: NotRequired[float]
    balance: NotRequired[float]
    barrier: NotRequired[str | None]
    contract_id: NotRequired[int | None]
    currency: NotRequired[str]
    date_expiry: NotRequired[int]
    display_name: NotRequired[str]
    id: NotRequired[str]
    longcode: NotRequired[str]
    purchase_time: NotRequired[int]
    symbol: NotRequired[str]
    transaction_id: NotRequired[int]
    transaction_time: NotRequired[int]


class TransactionReply(TypedDict):
    transaction: TransactionBody


class GetLimits(AccountRequest):
    """Asks for the limits that trading and withdrawing meet."""

    get_limits: One


class LimitsBody(TypedDict):
    account_balance: float | None
    open_positions: int
    payout: float


class GetLimitsReply(TypedDict):
    get_limits: LimitsBody
