"""Prices of contracts: one quote, or a stream with a new one at every tick."""

from scopegate.gateway.calls.limits import Profile, Rate
from scopegate.gateway.calls.registry import Stream, call
from scopegate.gateway.calls.session import Session
from scopegate.handlers.exchange.quotes import Quotes, topic_of
from scopegate.schemas import error_codes
from scopegate.schemas.trading_messages import Proposal, ProposalReply


class Proposals:
    """Prices of contracts."""

    def __init__(self, quotes: Quotes, profile: Profile) -> None:
        self._quotes = quotes
        self._profile = profile

    @call("proposal", needs=None, rate=Rate.PRICING, error_codes=error_codes.QUOTE)
    async def proposal(
        self, request: Proposal, session: Session
    ) -> ProposalReply | Stream[ProposalReply]:
        """Return the price and the payout of a contract; with `subscribe`, at every tick.

        `buy` accepts the `id` for a minute, or as long as the stream is open.
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
            max_per_session=self._profile.proposal_streams,
            max_per_client=self._profile.proposal_streams_per_client,
        )
