"""One connection of a recording: its requests, and which messages answer which of them."""

from dataclasses import dataclass, field
from typing import Any

from scopegate.recordings.lines import Closed, Message, OfConnection, Opened
from scopegate.recordings.matching import call_of, differences


@dataclass(eq=False, slots=True)
class RecordedRequest:
    """A recorded request, and what has become of it in a replay."""

    entry: Message
    call: str
    replies: list[Message] = field(default_factory=list)
    """What it was answered with: the reply, further ones, and the events of its stream."""
    actual: dict[str, Any] | None = None
    """The client's request in a replay, if that was readable."""
    has_arrived: bool = False
    is_refused: bool = False
    """Whether the client's request differs, so that it gets none of the recorded replies."""
    late: list[Message] = field(default_factory=list)
    """Replies and events that were due before the request arrived."""


class RecordedConnection:
    """The entries of one connection, with its requests."""

    def __init__(self, entries: list[OfConnection]) -> None:
        self.number = entries[0].connection
        self.entries: list[Message | Closed] = [
            each for each in entries if not isinstance(each, Opened)
        ]
        self.requests: list[RecordedRequest] = []
        self.owner: dict[Message, RecordedRequest] = {}
        """The request that each received message answers, as far as that is known."""
        self._unanswered: list[RecordedRequest] = []
        self._streams: dict[str, RecordedRequest] = {}
        for entry in self.entries:
            if isinstance(entry, Closed):
                continue
            if entry.direction == "sent":
                request = RecordedRequest(entry, call_of(entry.body))
                self.requests.append(request)
                self._unanswered.append(request)
            else:
                self._add_received(entry, entry.body or {})

    def _add_received(self, entry: Message, body: dict[str, Any]) -> None:
        stream = body.get("subscription")
        stream_id = stream.get("id") if isinstance(stream, dict) else None
        owner = self._streams.get(str(stream_id)) or self._answered_by(body)
        if owner is None:
            return
        if not owner.replies:
            self._unanswered.remove(owner)
        owner.replies.append(entry)
        self.owner[entry] = owner
        if stream_id is not None:
            self._streams[str(stream_id)] = owner

    def _answered_by(self, body: dict[str, Any]) -> RecordedRequest | None:
        """Return the request that a message answers, as far as the message shows it."""
        if "req_id" in body:
            for request in reversed(self.requests):
                if (request.entry.body or {}).get("req_id") == body["req_id"]:
                    return request
        echo = body.get("echo_req")
        if isinstance(echo, dict) and echo:
            call = call_of(echo)
            for request in (*self._unanswered, *reversed(self.requests)):
                if request.call == call and not differences(request.entry.body, echo):
                    return request
        return next(iter(self._unanswered), None)
