"""Prices of contracts: told once, or as they change with every tick."""

from scopegate.gateway.calls.limits import Profile, Rate
from scopegate.gateway.calls.registry import Stream, call
from scopegate.gateway.calls.session import Session
from scopegate.handlers.exchange.quotes import Quotes, topic_of
from scopegate.schemas.trading_messages import Proposal, ProposalReply


class Proposals:
    """Prices of contracts."""

    def __init__(self, quotes: Quotes, profile: Profile) -> None:
        self._quotes = quotes
        self._profile = profile

    @call("proposal", needs=None, rate=Rate.PRICING)
    async def proposal(
        self, request: Proposal, session: Session
    ) -> ProposalReply | Stream[ProposalReply]:
        """Tell what a contract costs and pays; with `subscribe`, anew with every tick.

        `buy` takes the `id` for a minute, or as long as the stream goes on.
        """
        quote_request = self._quotes.quote_request(request, session)
        streams = bool(request.subscribe)
        proposal_id, quoted = self._quotes.quote(quote_request, session, streams=streams)
        body = self._quotes.body(quoted)
        if not streams:
            body["id"] = proposal_id
            return {"proposal": body}
        return Stream(
            kind="proposal",
            key=("proposal", quote_request),
            label="proposal",
            topic=topic_of(quote_request),
            first={"proposal": body},
            msg_type="proposal",
            since=quoted.second,
            id=proposal_id,
            most=self._profile.proposal_streams,
            most_of_client=self._profile.proposal_streams_per_client,
        )
