"""The tokens of an account."""

from functools import partial

from scopegate.gateway.access import tokens
from scopegate.gateway.access.guard import Access
from scopegate.gateway.access.tokens import Token
from scopegate.gateway.calls import token_form
from scopegate.gateway.calls.errors import ApiError, input_validation_failed
from scopegate.gateway.calls.idempotency import SECRET
from scopegate.gateway.calls.registry import call
from scopegate.gateway.calls.session import Grant, Session
from scopegate.handlers.gateway.gateway_scopes import ADMIN
from scopegate.schemas.scopes import Scopes
from scopegate.schemas.token_messages import ApiToken, ApiTokenBody, ApiTokenReply, TokenSummary
from scopegate.store.store import Store
from scopegate.store.transactions import Transaction


class Tokens:
    """The tokens of an account."""

    def __init__(self, access: Access, store: Store, scopes: Scopes) -> None:
        self._scopes = scopes
        self._access = access
        self._store = store

    @call(
        "api_token",
        needs=ADMIN,
        app_tokens=True,
        error_codes=("APITokenError", "TooManyTokens"),
        idempotency=SECRET,
    )
    async def api_token(self, request: ApiToken, session: Session) -> ApiTokenReply:
        """List the account's tokens; `new_token` creates one first, and `delete_token` deletes one.

        Only this reply shows a new token in full; later it is masked. You can delete it by either
        form. A token that is created with another token has no more scopes than that token, and
        ends with it. With an app's token, the call lists and deletes only tokens that were created
        under the same authorization.
        """
        grant = session.grant
        if request.new_token is not None:
            scopes = request.new_token_scopes or []
            if not scopes:
                raise input_validation_failed(
                    {"new_token_scopes": "A new token needs at least one scope."}
                )
            check_scopes(self._scopes, grant, scopes, "new_token_scopes")
        if request.new_token is not None or request.delete_token is not None:
            # List in the same transaction: no other reply shows the new token in full.
            return await self._access.write_reply(
                session,
                partial(_change, grant, request, session),
                lambda changed: self._reply(request, *changed),
            )
        await self._access.records.flush_if_possible()
        listed = await self._store.read(
            lambda reader: tokens.listed(reader, grant.loginid, link_id=grant.link_id)
        )
        return self._reply(request, "", listed)

    def _reply(self, request: ApiToken, made: str, listed: list[Token]) -> ApiTokenReply:
        mask = token_form.masked(made) if made else ""
        body: ApiTokenBody = {
            "tokens": [
                self._summary(token, made if token.masked == mask else token.masked)
                for token in listed
            ]
        }
        if request.new_token is not None:
            body["new_token"] = 1
        if request.delete_token is not None:
            body["delete_token"] = 1
        return {"api_token": body}

    def _summary(self, token: Token, text: str) -> TokenSummary:
        return {
            "display_name": token.name,
            "last_used": tokens.moment_text(token.last_used_at),
            "scopes": self._scopes.in_order(token.scopes),
            "token": text,
            "valid_for_ip": token.valid_for_ip,
        }


def check_scopes(declared: Scopes, grant: Grant, scopes: list[str], field: str) -> None:
    """Raise `PermissionDenied` unless the grant has all of these scopes, which `field` names."""
    lacking = set(scopes) - grant.scopes
    if lacking:
        names = " and ".join(declared.in_order(lacking))
        raise ApiError(
            "PermissionDenied",
            f"Permission denied, requires {names} scope.",
            {field: "A token cannot create one with more scopes than it has."},
        )


def _change(
    grant: Grant, request: ApiToken, session: Session, transaction: Transaction
) -> tuple[str, list[Token]]:
    """Create and delete as requested; return the new token's text (or `""`) and the new list."""
    made = ""
    if request.new_token is not None:
        # A new token ends with the token that created it, and keeps its restriction to an address.
        bounds = tokens.bounds_of(transaction, grant.token_id)
        here = session.address if request.valid_for_current_ip_only else ""
        made = tokens.create(
            transaction,
            tokens.NewToken(
                grant.loginid,
                request.new_token,
                request.new_token_scopes or [],
                valid_for_ip=bounds.valid_for_ip or here,
                link_id=bounds.link_id,
                parent_id=bounds.parent_id,
                expires_at=bounds.expires_at,
                restrictions_id=bounds.restrictions_id,
            ),
        )
    if request.delete_token is not None:
        found = tokens.managed(
            transaction, grant.loginid, request.delete_token, link_id=grant.link_id
        )
        tokens.end(transaction, [found.id], by=session.id)
    return made, tokens.listed(transaction, grant.loginid, link_id=grant.link_id)
