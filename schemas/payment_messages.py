"""Requests and replies about money that moves between accounts."""

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
"""What may be paid at once; a balance never comes near the upper bound."""

Remarks = Annotated[Text, Field(pattern=r"^[0-9A-Za-z .,'-]{0,250}$")]


class TransferBetweenAccounts(AccountRequest):
    """Moves money from the account to another of the user's, or asks which there are."""

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
    account_from: OrAbsent[LoginId] = Field(None, description="The account signed in with.")
    account_to: OrAbsent[LoginId] = Field(None, description="Another account of the user's.")
    accounts: Literal["all", "brief"] = Field(
        "brief", description="Which accounts are listed: here both mean all."
    )
    amount: OrAbsent[Amount] = Field(None, description="How much, in the currency of account_from.")
    currency: OrAbsent[CurrencyCode] = Field(None, description="The currency of account_from.")


class TransferAccount(TypedDict):
    account_category: str
    account_type: str
    balance: str
    currency: str
    demo_account: int
    landing_company_short: str
    loginid: str
    market_type: str
    transfers: str


class TransferBetweenAccountsReply(TypedDict):
    transfer_between_accounts: int
    accounts: list[TransferAccount]
    client_to_loginid: NotRequired[str]
    transaction_id: NotRequired[int]


class Cashier(AccountRequest):
    """Asks where money is brought in or taken out."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"cashier": "deposit", "provider": "doughflow"}]}
    )

    cashier: Literal["deposit", "withdraw"] = Field(description="`deposit` or `withdraw`.")
    address: OrAbsent[Annotated[Text, Field(max_length=200)]] = Field(
        None, description="Of a blockchain: there is none here."
    )
    amount: OrAbsent[Amount] = Field(None, description="For a blockchain: there is none here.")
    dry_run: Flag = Field(0, description="For a blockchain: there is none here.")
    estimated_fee_unique_id: OrAbsent[Annotated[Text, Field(max_length=100)]] = Field(
        None, description="For a blockchain: there is none here."
    )
    provider: Literal["doughflow", "crypto"] = Field(
        "doughflow", description="`crypto` is refused: there is no blockchain behind paper money."
    )
    totp: OrAbsent[Annotated[Text, Field(pattern=r"^[0-9]{6,8}$")]] = secret(
        None, description="Has no effect: nobody signs in with such codes here."
    )
    type: Literal["url", "api"] = Field(
        "url", description="`api` is refused: there is no blockchain behind paper money."
    )
    verification_code: OrAbsent[VerificationCode] = secret(
        None,
        description="For `withdraw`: from the letter that `verify_email` has sent, of type"
        " `payment_withdraw`.",
    )


class CashierReply(TypedDict):
    cashier: str


class PaymentMethods(AccountRequest):
    """Asks how money is brought in and taken out."""

    payment_methods: One
    country: OrAbsent[Annotated[Text, Field(pattern=r"^[a-z]{0,2}$")]] = Field(
        None, description="Has no effect: the methods are the same in every country."
    )


class CurrencyBounds(TypedDict):
    max: int
    min: int


class PaymentMethod(TypedDict):
    deposit_limits: dict[str, CurrencyBounds]
    deposit_time: str
    description: str
    display_name: str
    id: str
    payment_processor: str
    predefined_amounts: list[int]
    signup_link: str
    supported_currencies: list[str]
    type: str
    type_display_name: str
    withdraw_limits: dict[str, CurrencyBounds]
    withdrawal_time: str


class PaymentMethodsReply(TypedDict):
    payment_methods: list[PaymentMethod]


class PaymentagentTransfer(AccountRequest):
    """Pays from a payment agent's account to a client's."""

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
    amount: Amount = Field(description="How much, in the currency of both accounts.")
    currency: CurrencyCode = Field(description="The currency of both accounts.")
    description: OrAbsent[Remarks] = Field(None, description="What both statements tell of it.")
    dry_run: Flag = Field(0, description="1 to have it tried alone.")
    transfer_to: LoginId = Field(description="The client's account.")


class PaymentagentTransferReply(TypedDict):
    paymentagent_transfer: int
    client_to_loginid: str
    transaction_id: NotRequired[int]


class PaymentagentWithdraw(AccountRequest):
    """Withdraws to a payment agent's account."""

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
    amount: Amount = Field(description="How much, in the currency of both accounts.")
    currency: CurrencyCode = Field(description="The currency of both accounts.")
    description: OrAbsent[Remarks] = Field(None, description="What both statements tell of it.")
    dry_run: Flag = Field(0, description="1 to have it tried alone; the code stays good.")
    paymentagent_loginid: LoginId = Field(description="The agent's account.")
    verification_code: VerificationCode = secret(
        description="From the letter that `verify_email` has sent, of type `paymentagent_withdraw`."
    )


class PaymentagentWithdrawReply(TypedDict):
    paymentagent_withdraw: int
    paymentagent_name: str
    transaction_id: NotRequired[int]


class PaymentagentWithdrawJustification(AccountRequest):
    """Tells why the owner withdraws through a payment agent."""

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
        None, description="The reason; it replaces the one told before."
    )


class PaymentagentWithdrawJustificationReply(TypedDict):
    paymentagent_withdraw_justification: int
