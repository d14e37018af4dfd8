"""The owner's tokens."""

from gateway import token_form
from gateway.access import tokens
from gateway.access.guard import Access
from gateway.access.tokens import Token
from gateway.calls import call
from gateway.errors import ApiError, input_validation_failed
from gateway.session import Grant, Session
from gateway.store import Store, Transaction
from schemas.scopes import Scope, in_order
from schemas.tokens import ApiToken, ApiTokenBody, ApiTokenReply, TokenSummary


class Tokens:
    """The owner's tokens."""

    def __init__(self, access: Access, store: Store) -> None:
        self._access = access
        self._store = store

    @call("api_token", needs=Scope.ADMIN)
    async def api_token(self, request: ApiToken, session: Session) -> ApiTokenReply:
        """List the account's tokens, after making one or deleting one where that is asked for.

        A new token is shown whole in this one reply, and masked ever after; either form deletes it.
        A token cannot make one that may do more than itself.
        """
        grant = session.grant
        body: ApiTokenBody = {"tokens": []}
        new_text = ""
        if request.new_token is not None:
            if not request.new_token_scopes:
                raise input_validation_failed(
                    {"new_token_scopes": "A new token needs at least one scope."}
                )
            address = session.address if request.valid_for_current_ip_only else ""
            new_text = await self._make(grant, request.new_token, request.new_token_scopes, address)
            body["new_token"] = 1
        if request.delete_token is not None:
            await self._delete(grant, request.delete_token, session)
            body["delete_token"] = 1
        await self._access.flush()
        listed = await self._store.read(lambda reader: tokens.listed(reader, grant.loginid))
        new_mask = token_form.masked(new_text) if new_text else ""
        body["tokens"] = [
            _summary(token, new_text if token.masked == new_mask else token.masked)
            for token in listed
        ]
        return {"api_token": body}

    async def _make(self, grant: Grant, name: str, scopes: list[Scope], address: str) -> str:
        lacking = set(scopes) - grant.scopes
        if lacking:
            raise ApiError(
                "PermissionDenied",
                f"Permission denied, requires {' and '.join(in_order(lacking))} scope.",
                {"new_token_scopes": "A token cannot make one that may do more than itself."},
            )

        def job(transaction: Transaction) -> str:
            return tokens.create(
                transaction,
                grant.loginid,
                name,
                scopes,
                valid_for_ip=address,
                # What an app makes ends with the app's link.
                link_id=tokens.link_of(transaction, grant.token_id),
            )

        return await self._access.write(grant, job)

    async def _delete(self, grant: Grant, shown: str, session: Session) -> None:
        wanted = token_form.masked(shown) if token_form.well_formed(shown) else shown

        def job(transaction: Transaction) -> None:
            found = [
                token.id
                for token in tokens.listed(transaction, grant.loginid)
                if token.masked == wanted
            ]
            if not found:
                raise ApiError("APITokenError", "There is no such token.")
            tokens.end(transaction, found, by=session.id)

        await self._access.write(grant, job)


def _summary(token: Token, text: str) -> TokenSummary:
    return {
        "display_name": token.name,
        "last_used": tokens.moment_text(token.last_used_at),
        "scopes": list(in_order(token.scopes)),
        "token": text,
        "valid_for_ip": token.valid_for_ip,
    }
