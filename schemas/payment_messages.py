"""Requests and replies about payments between accounts."""

from typing import Annotated, Literal, NotRequired

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import (
    AccountRequest,
    Flag,
    LoginId,
    Number,
    One,
    OrAbsent,
    Text,
    secret,
)
from scopegate.schemas.profile_messages import Explanation
from scopegate.schemas.rate_messages import CurrencyCode
from scopegate.schemas.verification_messages import VerificationCode

Amount = Annotated[Number, Field(ge=0, le=10**9)]
"""The amount of one payment; the upper bound is far above any balance."""

Remarks = Annotated[Text, Field(pattern=r"^[0-9A-Za-z .,'-]{0,250}$")]


class TransferBetweenAccounts(AccountRequest):
    """Transfer money from the account to another of the user, or list these accounts."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "transfer_between_accounts": 1,
                    "account_from": "CR900001",
                    "account_to": "CR900002",
                    "amount": 25.5,
                    "currency": "USD",
                    "passthrough": {"idempotency_key": "rent-17"},
                },
                {"transfer_between_accounts": 1},
            ]
        }
    )

    transfer_between_accounts: One
    account_from: OrAbsent[LoginId] = Field(
        None, description="The account to take from: the one that you are signed in to."
    )
    account_to: OrAbsent[LoginId] = Field(
        None, description="The account to pay to: another one of the user."
    )
    accounts: Literal["all", "brief"] = Field(
        "brief", description="No effect: both values list the same accounts."
    )
    amount: OrAbsent[Amount] = Field(
        None, description="The amount in units of the currency of `account_from`."
    )
    currency: OrAbsent[CurrencyCode] = Field(None, description="The currency of `account_from`.")


class TransferAccount(TypedDict):
    account_category: str
    """The category of the account; always `trading`."""
    account_type: str
    """The type of the account; always `binary`."""
    balance: str
    """The balance in units of the currency, as a decimal string."""
    currency: str
    """The currency of the account."""
    demo_account: int
    """1 if it is a demo account, else 0."""
    landing_company_short: str
    """The short name of the landing company: `virtual` for a demo account, else `svg`."""
    loginid: str
    """The loginid of the account."""
    market_type: str
    """The markets of the account; always `all`."""
    transfers: str
    """The transfers possible with it: `none` for the account in use, else `all`."""


class TransferBetweenAccountsReply(TypedDict):
    transfer_between_accounts: int
    """1 if money was transferred, 0 if accounts were only listed."""
    accounts: list[TransferAccount]
    """The two accounts after the transfer, or the accounts that you may transfer between."""
    client_to_loginid: NotRequired[str]
    """The account that received the money; present after a transfer."""
    transaction_id: NotRequired[int]
    """The id of the paying account's ledger entry; present after a transfer."""


class Cashier(AccountRequest):
    """Ask for the URL of the page for deposits and withdrawals."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"cashier": "deposit", "provider": "doughflow"}]}
    )

    cashier: Literal["deposit", "withdraw"] = Field(
        description="The purpose; `withdraw` needs `verification_code`."
    )
    address: OrAbsent[Annotated[Text, Field(max_length=200)]] = Field(
        None, description="No effect: there is no blockchain behind paper money."
    )
    amount: OrAbsent[Amount] = Field(
        None, description="No effect: there is no blockchain behind paper money."
    )
    dry_run: Flag = Field(0, description="No effect: there is no blockchain behind paper money.")
    estimated_fee_unique_id: OrAbsent[Annotated[Text, Field(max_length=100)]] = Field(
        None, description="No effect: there is no blockchain behind paper money."
    )
    provider: Literal["doughflow", "crypto"] = Field(
        "doughflow", description="`crypto` is refused: there is no blockchain behind paper money."
    )
    totp: OrAbsent[Annotated[Text, Field(pattern=r"^[0-9]{6,8}$")]] = secret(
        None, description="No effect: there are no one-time passwords here."
    )
    type: Literal["url", "api"] = Field(
        "url", description="`api` is refused: there is no blockchain behind paper money."
    )
    verification_code: OrAbsent[VerificationCode] = secret(
        None,
        description="The code that `verify_email` sent for `payment_withdraw`; required for"
        " `withdraw`.",
    )


class CashierReply(TypedDict):
    cashier: str
    """The URL of the gateway's account page."""


class PaymentMethods(AccountRequest):
    """List the methods of deposit and withdrawal."""

    payment_methods: One
    country: OrAbsent[Annotated[Text, Field(pattern=r"^[a-z]{0,2}$")]] = Field(
        None, description="No effect: the methods are the same in every country."
    )


class CurrencyBounds(TypedDict):
    max: int
    """The largest amount of one payment, in units of the currency."""
    min: int
    """The smallest amount of one payment, in units of the currency."""


class PaymentMethod(TypedDict):
    deposit_limits: dict[str, CurrencyBounds]
    """The bounds of one deposit by currency, where there are any and they are whole numbers."""
    deposit_time: str
    """The time that a deposit takes; always `instant`."""
    description: str
    """The description of the method."""
    display_name: str
    """The display name of the method."""
    id: str
    """The id of the method: `paper` or `payment_agent`."""
    payment_processor: str
    """The processor of the payments; always `Scopegate`."""
    predefined_amounts: list[int]
    """The amounts to choose from; always empty."""
    signup_link: str
    """The URL to sign up for the method; always empty."""
    supported_currencies: list[str]
    """The currencies that the method accepts."""
    type: str
    """The type of the method; the same as its id."""
    type_display_name: str
    """The display name of the type; the same as that of the method."""
    withdraw_limits: dict[str, CurrencyBounds]
    """The bounds of one withdrawal by currency; the same as those of deposits."""
    withdrawal_time: str
    """The time that a withdrawal takes; always `instant`."""


class PaymentMethodsReply(TypedDict):
    payment_methods: list[PaymentMethod]
    """The payment methods of the gateway."""


class PaymentagentTransfer(AccountRequest):
    """Pay from a payment agent's account to a client's account."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "paymentagent_transfer": 1,
                    "amount": 100,
                    "currency": "USD",
                    "transfer_to": "CR900002",
                    "dry_run": 1,
                }
            ]
        }
    )

    paymentagent_transfer: One
    amount: Amount = Field(description="The amount in units of the currency of both accounts.")
    currency: CurrencyCode = Field(description="The currency of both accounts.")
    description: OrAbsent[Remarks] = Field(None, description="A note that both statements show.")
    dry_run: Flag = Field(0, description="1 to check only your side, without a payment.")
    transfer_to: LoginId = Field(description="The client's account.")


class PaymentagentTransferReply(TypedDict):
    paymentagent_transfer: int
    """1 if the client was paid, 2 for a dry run."""
    client_to_loginid: str
    """The client's account."""
    transaction_id: NotRequired[int]
    """The id of the agent's ledger entry; left out for a dry run."""


class PaymentagentWithdraw(AccountRequest):
    """Withdraw to a payment agent's account."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "paymentagent_withdraw": 1,
                    "amount": 100,
                    "currency": "USD",
                    "paymentagent_loginid": "CR900002",
                    "verification_code": "h7kq2mdxw9ztb4ea",
                }
            ]
        }
    )

    paymentagent_withdraw: One
    amount: Amount = Field(description="The amount in units of the currency of both accounts.")
    currency: CurrencyCode = Field(description="The currency of both accounts.")
    description: OrAbsent[Remarks] = Field(None, description="A note that both statements show.")
    dry_run: Flag = Field(
        0, description="1 to check the payment without making it; the code stays valid."
    )
    paymentagent_loginid: LoginId = Field(description="The agent's account.")
    verification_code: VerificationCode = secret(
        description="The code that `verify_email` sent for `paymentagent_withdraw`."
    )


class PaymentagentWithdrawReply(TypedDict):
    paymentagent_withdraw: int
    """1 if the agent was paid, 2 for a dry run."""
    paymentagent_name: str
    """The name of the payment agent."""
    transaction_id: NotRequired[int]
    """The id of your account's ledger entry; left out for a dry run."""


class PaymentagentWithdrawJustification(AccountRequest):
    """Give the reason for withdrawing through a payment agent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "paymentagent_withdraw_justification": 1,
                    "message": "My bank does not take part.",
                }
            ]
        }
    )

    paymentagent_withdraw_justification: One
    message: OrAbsent[Explanation] = Field(
        None, description="The reason; it replaces an earlier one."
    )


class PaymentagentWithdrawJustificationReply(TypedDict):
    paymentagent_withdraw_justification: int
    """Always 1."""
