"""Payment agents: becoming one, listing them, and paying through one.

Rules:
- The token is checked again inside the transaction: nothing is paid for a token that was revoked
  meanwhile.
- Only the transaction that pays uses up the code for a withdrawal.
- Another user's name or address appears only in the details that agents publish. An agent cannot
  find out which accounts exist without paying them.
"""

from scopegate.exchange import agents
from scopegate.exchange.agents import Agent, Application
from scopegate.exchange.money import to_number, to_text
from scopegate.exchange.payments import Kind, Order, PaymentService, agent_bounds
from scopegate.gateway.access import users, verification
from scopegate.gateway.access.guard import Access
from scopegate.gateway.calls.errors import input_validation_failed
from scopegate.gateway.calls.idempotency import OWN, RECORDED, key_of
from scopegate.gateway.calls.registry import call
from scopegate.gateway.calls.session import Session
from scopegate.handlers.exchange.exchange_scopes import ADMIN, PAYMENTS
from scopegate.handlers.exchange.payment_calls import check_app, units_of
from scopegate.handlers.gateway.countries import COUNTRIES
from scopegate.schemas import error_codes
from scopegate.schemas.payment_agent_messages import (
    DetailsBody,
    ListedAgent,
    MethodShown,
    PaymentagentCreate,
    PaymentagentCreateReply,
    PaymentagentDetails,
    PaymentagentDetailsReply,
    PaymentagentList,
    PaymentagentListReply,
    PhoneNumberShown,
    UrlShown,
)
from scopegate.schemas.payment_messages import (
    PaymentagentTransfer,
    PaymentagentTransferReply,
    PaymentagentWithdraw,
    PaymentagentWithdrawJustification,
    PaymentagentWithdrawJustificationReply,
    PaymentagentWithdrawReply,
)
from scopegate.store.store import Store
from scopegate.store.transactions import Snapshot, Transaction

PAID, REHEARSED = 1, 2
"""The replies to a payment that was made, and to one that was only checked (`dry_run`)."""


class PaymentAgents:
    """Payment agents: becoming one, listing them, and paying through one."""

    def __init__(self, payment_service: PaymentService, access: Access, store: Store) -> None:
        self._payment_service = payment_service
        self._access = access
        self._store = store

    @call(
        "paymentagent_create",
        needs=ADMIN,
        app_tokens=False,
        error_codes=("RealAccountNeeded",),
        idempotency=RECORDED,
    )
    async def paymentagent_create(
        self, request: PaymentagentCreate, session: Session
    ) -> PaymentagentCreateReply:
        """Make the account a payment agent at once, or replace the agent's details.

        You only need a real-style account: nobody is examined, since all money is paper. Agents are
        listed by their country of residence. Apps may not make this call.
        """
        grant = session.grant
        application = Application(
            name=request.payment_agent_name,
            email=request.email,
            information=request.information,
            affiliate_id=request.affiliate_id or "",
            commission_deposit=request.commission_deposit,
            commission_withdrawal=request.commission_withdrawal,
            payment_methods=[each.payment_method for each in request.supported_payment_methods],
            phone_numbers=[each.phone_number for each in request.phone_numbers or ()],
            urls=[each.url for each in request.urls],
        )

        def job(transaction: Transaction) -> None:
            country = users.residence(transaction, grant.user_id)
            agents.approve(transaction, grant.loginid, country, application)

        return await self._access.write_reply(
            session, job, lambda _: {"paymentagent_create": 1}, audited="paymentagent_create"
        )

    @call("paymentagent_details", needs=ADMIN, app_tokens=True, error_codes=())
    async def paymentagent_details(
        self, request: PaymentagentDetails, session: Session
    ) -> PaymentagentDetailsReply:
        """Return the account's details as a payment agent, and the reasons why it cannot be one.

        `can_apply` is 1 if `paymentagent_create` would be accepted, also for an existing agent.
        """
        grant = session.grant

        def job(reader: Snapshot) -> tuple[Agent | None, list[str]]:
            return (
                agents.find(reader, grant.loginid),
                agents.reasons_against(reader, grant.loginid),
            )

        agent, reasons = await self._store.read(job)
        body: DetailsBody = {"can_apply": int(not reasons), "status": None}
        if reasons:
            body["eligibilty_validation"] = reasons
        if agent is not None:
            _add_agent(body, agent)
        return {"paymentagent_details": body}

    @call("paymentagent_list", needs=None, error_codes=())
    async def paymentagent_list(
        self, request: PaymentagentList, session: Session
    ) -> PaymentagentListReply:
        """List the payment agents of a country, and the countries that have any."""
        country = request.paymentagent_list.lower()
        found, countries = await self._store.read(
            lambda reader: (
                agents.of_country(reader, country, request.currency),
                agents.countries(reader),
            )
        )
        return {
            "paymentagent_list": {
                "available_countries": [[code, _name_of(code)] for code in countries],
                "list": [_listed(agent) for agent in found],
            }
        }

    @call(
        "paymentagent_transfer",
        needs=PAYMENTS,
        app_tokens=False,
        error_codes=(
            *error_codes.CAPS,
            "IdempotencyKeyReused",
            "InsufficientBalance",
            "PaymentAgentTransferError",
        ),
        idempotency=OWN,
    )
    async def paymentagent_transfer(
        self, request: PaymentagentTransfer, session: Session
    ) -> PaymentagentTransferReply:
        """Pay a client from the account of a payment agent; with `dry_run`, only check the payment.

        This call needs no code by e-mail, so apps may not make it. A `dry_run` checks only the
        agent's side. Only a payment shows whether the client's account exists and accepts it, and
        an error does not say which of the two failed.

        If you may have to repeat the request, put an `idempotency_key` of your own, 1 to 64
        characters, into `passthrough`: the account pays once for a key.
        """
        grant = session.grant
        order = Order(
            kind=Kind.TO_CLIENT,
            payer=grant.loginid,
            payee=request.transfer_to,
            units=units_of(request.amount, request.currency),
            currency=request.currency,
            remarks=request.description or "",
        )
        key, guard = key_of(request.passthrough), self._access.guard(grant)
        if request.dry_run:
            await self._payment_service.check_only(order, guard=guard)
            return {"paymentagent_transfer": REHEARSED, "client_to_loginid": order.payee}
        paid = await self._payment_service.pay(order, app_id=session.app_id, guard=guard, key=key)
        return {
            "paymentagent_transfer": PAID,
            "client_to_loginid": paid.payee,
            "transaction_id": paid.paid_by,
        }

    @call(
        "paymentagent_withdraw",
        needs=PAYMENTS,
        app_tokens=True,
        error_codes=(
            *error_codes.CAPS,
            "IdempotencyKeyReused",
            "InsufficientBalance",
            "PaymentAgentWithdrawError",
        ),
        idempotency=OWN,
    )
    async def paymentagent_withdraw(
        self, request: PaymentagentWithdraw, session: Session
    ) -> PaymentagentWithdrawReply:
        """Withdraw to a payment agent, with a code by e-mail; with `dry_run`, only check it.

        If you may have to repeat the request, put an `idempotency_key` of your own, 1 to 64
        characters, into `passthrough`: the account pays once for a key, and repetitions may use the
        code that the first request has used up.
        """
        grant, code = session.grant, request.verification_code
        order = Order(
            kind=Kind.TO_AGENT,
            payer=grant.loginid,
            payee=request.paymentagent_loginid,
            units=units_of(request.amount, request.currency),
            currency=request.currency,
            remarks=request.description or "",
        )
        key, guard = key_of(request.passthrough), self._access.guard(grant)

        def take_code(transaction: Transaction) -> None:
            email = users.by_id(transaction, grant.user_id)["email"]
            verification.take(transaction, email, verification.PAYMENT_AGENT_WITHDRAW, code)

        if request.dry_run:
            name = await self._payment_service.check_only(order, guard=guard, permit=take_code)
            return {"paymentagent_withdraw": REHEARSED, "paymentagent_name": name}
        paid = await self._payment_service.pay(
            order, app_id=session.app_id, guard=guard, key=key, permit=take_code
        )
        check_app(paid, session)
        return {
            "paymentagent_withdraw": PAID,
            "paymentagent_name": paid.agent_name,
            "transaction_id": paid.paid_by,
        }

    @call(
        "paymentagent_withdraw_justification",
        needs=PAYMENTS,
        app_tokens=True,
        error_codes=(),
        idempotency=RECORDED,
    )
    async def paymentagent_withdraw_justification(
        self, request: PaymentagentWithdrawJustification, session: Session
    ) -> PaymentagentWithdrawJustificationReply:
        """Store why you withdraw through an agent, for the operator; no withdrawal waits for it."""
        grant = session.grant
        message = request.message
        if message is None:
            raise input_validation_failed({"message": "Give the reason."})
        return await self._access.write_reply(
            session,
            lambda transaction: agents.give_reason(transaction, grant.loginid, message),
            lambda _: {"paymentagent_withdraw_justification": 1},
        )


def _name_of(code: str) -> str | None:
    """The name of the country with this code; `None` if there is none."""
    country = COUNTRIES.get(code)
    return None if country is None else country.name


def _phone_numbers(agent: Agent) -> list[PhoneNumberShown]:
    return [{"phone_number": number} for number in agent.phone_numbers]


def _methods(agent: Agent) -> list[MethodShown]:
    return [{"payment_method": method} for method in agent.payment_methods]


def _urls(agent: Agent) -> list[UrlShown]:
    return [{"url": url} for url in agent.urls]


def _add_agent(body: DetailsBody, agent: Agent) -> None:
    """Add the details of the agent."""
    least, most = agent_bounds(agent.currency)
    body["affiliate_id"] = agent.affiliate_id
    body["code_of_conduct_approval"] = 1
    body["commission_deposit"] = float(agent.commission_deposit)
    body["commission_withdrawal"] = float(agent.commission_withdrawal)
    body["currency_code"] = agent.currency
    body["email"] = agent.email
    body["information"] = agent.information
    body["max_withdrawal"] = to_number(most, agent.currency)
    body["min_withdrawal"] = to_number(least, agent.currency)
    body["payment_agent_name"] = agent.name
    body["phone_numbers"] = _phone_numbers(agent)
    body["status"] = "authorized"
    body["supported_payment_methods"] = _methods(agent)
    body["target_country"] = agent.country
    body["urls"] = _urls(agent)


def _listed(agent: Agent) -> ListedAgent:
    least, most = agent_bounds(agent.currency)
    return {
        "currencies": agent.currency,
        "deposit_commission": f"{agent.commission_deposit:f}",
        "email": agent.email,
        "further_information": agent.information,
        "max_withdrawal": to_text(most, agent.currency),
        "min_withdrawal": to_text(least, agent.currency),
        "name": agent.name,
        "paymentagent_loginid": agent.loginid,
        "phone_numbers": _phone_numbers(agent),
        "summary": ", ".join(agent.payment_methods),
        "supported_payment_methods": _methods(agent),
        "urls": _urls(agent),
        "withdrawal_commission": f"{agent.commission_withdrawal:f}",
    }
