"""Verification codes by e-mail."""

from scopegate.gateway.access import users, verification
from scopegate.gateway.access.mail import Letter, Mailer
from scopegate.gateway.access.verification import Requester
from scopegate.gateway.calls.counting import FailureCounter, block_of
from scopegate.gateway.calls.errors import ApiError, rate_limit
from scopegate.gateway.calls.registry import call
from scopegate.gateway.calls.session import Session
from scopegate.runtime.siblings import Siblings
from scopegate.schemas.verification_messages import VerifyEmail, VerifyEmailReply
from scopegate.store.store import Store
from scopegate.store.transactions import Transaction

FROM_AN_ADDRESS = 20
"""Letters a minute that one address, or one user with their own token, can have sent."""

_PURPOSES = {
    verification.ACCOUNT_OPENING: "to open an account",
    verification.PAYMENT_AGENT_WITHDRAW: "to withdraw money to a payment agent",
    verification.PAYMENT_WITHDRAW: "to withdraw money",
}


class Verification:
    """Verification codes by e-mail."""

    def __init__(self, store: Store, mail: Mailer | None, siblings: Siblings) -> None:
        """`mail` is `None` if the gateway cannot send letters."""
        self._store = store
        self._mail = mail
        self._asked = FailureCounter().share(siblings, "e-mails")

    @call("verify_email", needs=None, error_codes=("InvalidVerificationType", "MailServerNeeded"))
    async def verify_email(self, request: VerifyEmail, session: Session) -> VerifyEmailReply:
        """Send a code by e-mail, with which another call checks that you read mail at the address.

        The reply is 1 whether or not the address has a user here; only the e-mail shows that.
        """
        email, kind = request.verify_email, request.type
        if kind not in _PURPOSES:
            raise ApiError(
                "InvalidVerificationType",
                "No call of this gateway uses codes of this type. Supported types: "
                + ", ".join(_PURPOSES),
            )
        mail = self._mail
        if mail is None:
            raise ApiError(
                "MailServerNeeded",
                "This gateway cannot send e-mail. Its operator can name a mail server with the"
                " setting smtp_host, or have codes written to the log with log_letters.",
            )
        grant = session.acting
        by_app = grant is not None and grant.app_id is not None
        # An app at the same address must not use up the letters of a user with their own token.
        who = session.address if grant is None or by_app else f"user {grant.user_id}"
        if self._asked.count(who) >= FROM_AN_ADDRESS:
            raise rate_limit("verify_email", f"{FROM_AN_ADDRESS} e-mails a minute")
        self._asked.add(who)

        requester = Requester(
            block_of(session.address), None if grant is None else grant.user_id, by_app=by_app
        )

        def job(transaction: Transaction) -> tuple[str, bool]:
            code = verification.create(transaction, email, kind, requester)
            return code, users.is_known(transaction, email)

        code, is_known = await self._store.write(job)
        if is_known != (kind == verification.ACCOUNT_OPENING):
            mail.send(_letter_with(code, email, _PURPOSES[kind]))
        elif is_known:
            mail.send(_letter_to_a_user(email))
        return {"verify_email": 1}


def _letter_with(code: str, email: str, purpose: str) -> Letter:
    minutes = round(verification.LIFETIME / 60)
    return Letter(
        email,
        "Your verification code",
        f"A code {purpose} was requested for this e-mail address:\n\n    {code}\n\nIt works once,"
        f" within {minutes} minutes. If you did not request it, ignore this e-mail.\n",
    )


def _letter_to_a_user(email: str) -> Letter:
    return Letter(
        email,
        "You already have an account",
        "Someone tried to open an account with this e-mail address, which already has one. If it"
        " was you, sign in instead. If not, ignore this e-mail.\n",
    )
