"""Requests and replies of the gateway's own pages: signing in, and what an owner sees there."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from scopegate.schemas.fields import AccountRequest, AppId, Flag, Int, One, Request, Text, secret


class PageInfo(Request):
    """Asks what a page must know before anybody has signed in."""

    page_info: One


class DemoAccess(TypedDict):
    loginid: str
    token: str


class ScopeWords(TypedDict):
    scope: str
    words: str
    """What the owner's API token may do with it."""
    app_words: str
    """What an app may do with it."""
    danger: int
    """0 for a scope that changes nothing; the larger, the more dangerous."""


class PageInfoBody(TypedDict):
    demo: DemoAccess | None
    scopes: list[ScopeWords]
    version: str


class PageInfoReply(TypedDict):
    page_info: PageInfoBody


class SignIn(Request):
    """Signs the owner in at the pages, with a password."""

    sign_in: One
    email: Annotated[Text, Field(min_length=3, max_length=254)] = Field(
        description="The user's e-mail address.", examples=["ada@example.com"]
    )
    password: Annotated[Text, Field(min_length=1, max_length=1000)] = secret(
        description="The user's password.", examples=["correct horse"]
    )


class SignInDemo(Request):
    """Signs in as the demo user, where there is one and nobody else can come here."""

    sign_in_demo: One


class SignOut(Request):
    """Ends the sign-in, on all pages that it was used on."""

    sign_out: One


class SignedInAccount(TypedDict):
    loginid: str
    token: str


class SignInBody(TypedDict):
    accounts: list[SignedInAccount]
    email: str
    expires_at: int


class SignInReply(TypedDict):
    sign_in: SignInBody


class SignInDemoReply(TypedDict):
    sign_in_demo: SignInBody


class PaperSignedInAccount(SignedInAccount):
    """An account of the paper exchange."""

    currency: str
    is_virtual: int


class PaperSignInBody(TypedDict):
    accounts: list[PaperSignedInAccount]
    email: str
    expires_at: int


class PaperSignInReply(TypedDict):
    sign_in: PaperSignInBody


class PaperSignInDemoReply(TypedDict):
    sign_in_demo: PaperSignInBody


class SignOutReply(TypedDict):
    sign_out: int


class ConnectedApps(Request):
    """Asks for every app that may act for the user, and what it does."""

    connected_apps: One


class ConnectedAppDetails(TypedDict):
    app_id: int
    app_markup_percentage: float
    changes: list[str]
    connected_at: int
    last_used: int | None
    live_connections: int
    loginids: list[str]
    name: str
    needs_consent: int
    official: int
    owner: str
    scopes: list[str]


class ConnectedAppsReply(TypedDict):
    connected_apps: list[ConnectedAppDetails]


class RevokeAccess(Request):
    """Disconnects an app, and tells how many live connections that has signed out."""

    revoke_access: AppId


class RevokeAccessBody(TypedDict):
    app_id: int
    name: str
    signed_out: int


class RevokeAccessReply(TypedDict):
    revoke_access: RevokeAccessBody


class TokenList(Request):
    """Asks for the tokens of all of the user's accounts."""

    token_list: One


class ParentToken(TypedDict):
    loginid: str
    name: str
    token: str


class TokenDetails(TypedDict):
    created_at: int
    last_used: int | None
    last_used_from: str
    live_connections: int
    loginid: str
    made_by: str
    name: str
    parent: ParentToken | None
    scopes: list[str]
    token: str
    valid_for_ip: str


class TokenListReply(TypedDict):
    token_list: list[TokenDetails]


class Activity(Request):
    """Asks who used which token for which call, when, and from where."""

    activity: One
    limit: Annotated[Int, Field(ge=1, le=500)] = Field(50, description="How many at most.")
    own_pages: Flag = Field(0, description="1 to see what the owner did at these pages as well.")


class Use(TypedDict):
    app_id: int | None
    at: int
    call: str
    ended: int
    # `from` is the address that it was used from; the word is not free in a class.
    kind: str
    loginid: str
    name: str
    times: int
    token: str


UseFrom = TypedDict("UseFrom", {"from": str})


class UseBody(Use, UseFrom):
    pass


class ActivityReply(TypedDict):
    activity: list[UseBody]


class AccountReset(AccountRequest):
    """Brings an account of the user's back to its opening balance: all money is paper."""

    account_reset: One


class AccountResetBody(TypedDict):
    balance: float
    currency: str
    loginid: str


class AccountResetReply(TypedDict):
    account_reset: AccountResetBody
