"""Requests and replies of the gateway's own pages: sign-in, apps, tokens and activity."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import AccountRequest, AppId, Flag, Int, One, Request, Text, secret
from scopegate.schemas.restriction_messages import RestrictionSet


class PageInfo(Request):
    """Ask for the facts that a page needs before sign-in."""

    page_info: One


class DemoAccess(TypedDict):
    loginid: str
    """The account that the demo token is for."""
    token: str
    """The text of the demo user's API token."""


class ScopeWords(TypedDict):
    scope: str
    """The name of the scope."""
    words: str
    """The permission in words, for an API token of the owner."""
    app_words: str
    """The permission in words, for an app."""
    danger: int
    """The risk of the scope, from 0 (changes nothing) to 3 (critical)."""


class PageInfoBody(TypedDict):
    demo: DemoAccess | None
    """The demo user's token; null without a demo user, or on another machine than the gateway's."""
    scopes: list[ScopeWords]
    """The scopes of this gateway."""
    users: Literal["none", "demo", "others"]
    """The users that exist: none, only the demo user, or others."""
    version: str
    """The version of the gateway."""


class PageInfoReply(TypedDict):
    page_info: PageInfoBody
    """The facts that a page needs before sign-in."""


class SignIn(Request):
    """Sign in at the gateway's pages with a password."""

    sign_in: One
    email: Annotated[Text, Field(min_length=3, max_length=254)] = Field(
        description="The user's e-mail address.", examples=["ada@example.com"]
    )
    password: Annotated[Text, Field(min_length=1, max_length=1000)] = secret(
        description="The user's password.", examples=["correct horse"]
    )


class SignInDemo(Request):
    """Sign in as the demo user, if there is one and you are on the gateway's own machine."""

    sign_in_demo: One


class SignOut(Request):
    """End the sign-in on all pages that use it."""

    sign_out: One


class SignedInAccount(TypedDict):
    loginid: str
    """The loginid of the account."""
    token: str
    """The token of this sign-in for the account; it works only at the gateway's pages."""


class SignInBody(TypedDict):
    accounts: list[SignedInAccount]
    """Your accounts, each with a token of this sign-in."""
    email: str
    """Your e-mail address."""
    expires_at: int
    """The time at which the sign-in ends, in epoch seconds."""


class SignInReply(TypedDict):
    sign_in: SignInBody
    """The new sign-in."""


class SignInDemoReply(TypedDict):
    sign_in_demo: SignInBody
    """The new sign-in of the demo user."""


class PaperSignedInAccount(SignedInAccount):
    """An account of the paper exchange."""

    currency: str
    """The currency of the account."""
    is_virtual: int
    """1 if it is a demo account, else 0."""


class PaperSignInBody(TypedDict):
    accounts: list[PaperSignedInAccount]
    """Your accounts, demo accounts first, each with a token of this sign-in."""
    email: str
    """Your e-mail address."""
    expires_at: int
    """The time at which the sign-in ends, in epoch seconds."""


class PaperSignInReply(TypedDict):
    sign_in: PaperSignInBody
    """The new sign-in."""


class PaperSignInDemoReply(TypedDict):
    sign_in_demo: PaperSignInBody
    """The new sign-in of the demo user."""


class SignOutReply(TypedDict):
    sign_out: int
    """Always 1."""


class ConnectedApps(Request):
    """List the apps that may act for the user, and their activity."""

    connected_apps: One


class ConnectedAppDetails(TypedDict):
    app_id: int
    """The id of the app."""
    app_markup_percentage: float
    """The markup of the app, in percent of a contract's payout."""
    changes: list[str]
    """The changes that you have not consented to, one sentence each; empty if there are none."""
    connected_at: int
    """The time at which you granted this access, in epoch seconds."""
    expires_at: int | None
    """The time at which this access expires, in epoch seconds; null if it does not."""
    in_force: list[RestrictionSet]
    """What you restricted the app to, and what of it is used; empty if nothing."""
    last_used: int | None
    """The time of the app's last call for you, in epoch seconds; null if there was none."""
    live_connections: int
    """The number of open connections that are signed in with a token of the app."""
    loginids: list[str]
    """The accounts that the app may use."""
    name: str
    """The name of the app."""
    needs_consent: int
    """1 if the app is suspended until you consent to its changes, else 0."""
    official: int
    """1 if it is the gateway's own test app (1089), else 0."""
    owner: str
    """The e-mail address of the user who registered the app, or a text that names the operator."""
    scopes: list[str]
    """The scopes that you granted the app."""


class ConnectedAppsReply(TypedDict):
    connected_apps: list[ConnectedAppDetails]
    """The apps with access to your accounts, the first connected first."""


class RevokeAccess(Request):
    """Disconnect an app, and count the open connections that this signs out."""

    revoke_access: AppId


class RevokeAccessBody(TypedDict):
    app_id: int
    """The id of the app."""
    name: str
    """The name of the app."""
    signed_out: int
    """The number of other open connections that this signed out."""


class RevokeAccessReply(TypedDict):
    revoke_access: RevokeAccessBody
    """The app that was disconnected."""


class TokenList(Request):
    """List the tokens of all accounts of the user."""

    token_list: One


class ParentToken(TypedDict):
    loginid: str
    """The account that the parent token is for."""
    name: str
    """The name of the parent token."""
    token: str
    """The masked text of the parent token; only its last four characters are shown."""


class TokenHint(TypedDict):
    kind: Literal["unused", "expires_soon", "unneeded_scopes"]
    """The reason: not used for 90 days, expires within 7 days, or has scopes that it did not use.
    """
    scopes: list[str]
    """The scopes that it did not use; empty for other hints."""
    words: str
    """The hint in a sentence."""


class TokenDetails(TypedDict):
    created_at: int
    """The time of creation, in epoch seconds."""
    expires_at: int | None
    """The time at which the token expires, in epoch seconds; null if it does not."""
    hints: list[TokenHint]
    """What you may want to change, the most urgent first."""
    in_force: list[RestrictionSet]
    """All restrictions that the token is under: its own first, then those of its parents or of its
    app's authorization. Empty if there are none."""
    last_used: int | None
    """The time of the last use, in epoch seconds; null if it was never used."""
    last_used_from: str
    """The IP address of the last use; empty if it was never used."""
    live_connections: int
    """The number of open connections that are signed in with the token."""
    loginid: str
    """The account that the token is for."""
    made_by: str
    """The name of the app that created the token; empty if no app did."""
    name: str
    """The name of the token."""
    parent: ParentToken | None
    """The token that it was created with and ends with; null if there is none."""
    scopes: list[str]
    """The scopes of the token."""
    token: str
    """The masked text of the token; only its last four characters are shown."""
    valid_for_ip: str
    """The only IP address that the token works from; empty if it works from any."""


class TokenListReply(TypedDict):
    token_list: list[TokenDetails]
    """The tokens of all your accounts, by account, the newest first."""


class Activity(Request):
    """List which token was used for which call, when, and from which address."""

    activity: One
    limit: Annotated[Int, Field(ge=1, le=500)] = Field(
        50, description="The maximum number of entries."
    )
    own_pages: Flag = Field(0, description="1 to include what you did at the gateway's pages.")


class Use(TypedDict):
    app_id: int | None
    """The app that the token belongs to; null if it belongs to none."""
    at: int
    """The time of the last such call, in epoch seconds."""
    call: str
    """The name of the call."""
    ended: int
    """1 if the token has ended since, else 0."""
    kind: str
    """The kind of token: `token` (an API token), `app`, `demo`, or `page` (a sign-in at the
    pages)."""
    last_error: str | None
    """The code of the latest error; null if no such call was refused."""
    loginid: str
    """The account that the token is for."""
    name: str
    """The name of the app, or of the token if it belongs to no app."""
    refused: int
    """The number of such calls that were answered with an error."""
    times: int
    """The number of such calls."""
    token: str
    """The masked text of the token; only its last four characters are shown."""


UseFrom = TypedDict(  # a class cannot have a field named `from`
    "UseFrom",
    {"from": Annotated[str, Field(description="The IP address that the call came from.")]},
)


class UseBody(Use, UseFrom):
    pass


class ActivityReply(TypedDict):
    activity: list[UseBody]
    """The uses of your tokens by token, call and address, newest first."""


class AuditTrail(Request):
    """List who signed in as you, and who changed your tokens, apps and settings."""

    audit_trail: One
    limit: Annotated[Int, Field(ge=1, le=500)] = Field(
        50, description="The maximum number of records."
    )


class AuditRecord(TypedDict):
    about: str
    """What it is about, such as the token, the app or the address, in one line."""
    actor: str
    """Who did it: `owner` (at the gateway's pages), `token` or `app` with its number, `operator`,
    `command line` or `gateway`."""
    at: int
    """The time, in epoch seconds."""
    event: str
    """What happened, such as `signed in`, `token created` or `app disconnected`."""
    number: int
    """The number of the record; those of other users are in between."""


class AuditTrailReply(TypedDict):
    audit_trail: list[AuditRecord]
    """What happened to your access, newest first."""


class AccountReset(AccountRequest):
    """Reset an account to its opening balance of paper money."""

    account_reset: One


class AccountResetBody(TypedDict):
    balance: float
    """The balance after the reset, in units of the currency."""
    currency: str
    """The currency of the account."""
    loginid: str
    """The account that was reset."""


class AccountResetReply(TypedDict):
    account_reset: AccountResetBody
    """The account after the reset."""
