"""A user's answers about their finances and their trading experience."""

from scopegate.gateway.access import users
from scopegate.gateway.access.guard import Access
from scopegate.gateway.calls.errors import input_validation_failed
from scopegate.gateway.calls.idempotency import RECORDED
from scopegate.gateway.calls.registry import call
from scopegate.gateway.calls.session import Session
from scopegate.handlers.exchange.exchange_scopes import ADMIN, READ
from scopegate.handlers.exchange.reach import refuse_changes
from scopegate.schemas.assessment_messages import (
    GetFinancialAssessment,
    GetFinancialAssessmentReply,
    Scores,
    SetFinancialAssessment,
    SetFinancialAssessmentReply,
)
from scopegate.store.store import Store
from scopegate.store.transactions import Transaction

_MEANS = "financial_information"
_PARTS = (_MEANS, "trading_experience", "trading_experience_regulated")


class Assessment:
    """A user's answers about their finances and their trading experience."""

    def __init__(self, access: Access, store: Store) -> None:
        self._access = access
        self._store = store

    @call("get_financial_assessment", needs=READ, error_codes=())
    async def get_financial_assessment(
        self, request: GetFinancialAssessment, session: Session
    ) -> GetFinancialAssessmentReply:
        """Return all answers, keyed by question; unanswered questions are left out."""
        user_id = session.grant.user_id
        stored = await self._store.read(lambda reader: users.assessment(reader, user_id))
        # Without the scores: the published schema would have them be numbers and strings at once.
        answers: dict[str, str] = {}
        for part in _PARTS:
            answers |= (stored or {}).get(part, {})
        return {"get_financial_assessment": answers}

    @call(
        "set_financial_assessment",
        needs=ADMIN,
        app_tokens=True,
        error_codes=(),
        idempotency=RECORDED,
    )
    async def set_financial_assessment(
        self, request: SetFinancialAssessment, session: Session
    ) -> SetFinancialAssessmentReply:
        """Store the user's answers; questions that are left out do not change.

        A score is the number of questions answered, because paper money needs no judgement. An
        app's token may answer further questions, but may not change an answer.
        """
        answers = {part: given for part in _PARTS if (given := getattr(request, part)) is not None}
        if not any(answers.values()):
            raise input_validation_failed(
                {_MEANS: "Answer at least one question, here or about experience."}
            )
        grant = session.grant

        def job(transaction: Transaction) -> users.Assessment:
            before = users.assessment(transaction, grant.user_id) or {}
            for part, given in answers.items():
                refuse_changes(grant, before.get(part, {}), given)
            return users.answer(transaction, grant.user_id, answers)

        return await self._access.write_reply(
            session,
            job,
            lambda stored: {"set_financial_assessment": _scores(stored)},
            audited="set_financial_assessment",
        )


def _scores(stored: users.Assessment) -> Scores:
    experience = [question for part in _PARTS[1:] for question in stored.get(part, {})]
    means = len(stored.get(_MEANS, {}))
    return {
        "cfd_score": sum(question.startswith("cfd_") for question in experience),
        "financial_information_score": means,
        "total_score": means + len(experience),
        "trading_score": len(experience),
    }
