"""Serves a recording again, without a gateway.

    with replaying("session.jsonl") as replay:
        bot.play(replay.url, token="any")

Rules:
- A client gets the recorded connection that begins with its first call; connections of the same
  beginning in their order.
- Messages are sent in the recorded order. One that was recorded after a request waits for that
  request, for at most `PATIENCE`: after that the events of streams go on without it.
- A reply is sent when its request arrives, even if an earlier request has not arrived.
- What the client chooses is its own: `req_id`, `passthrough` and `echo_req` come from its request,
  also on the events of the stream that this opens. Ids of streams and proposals are new.
- Whatever does not match is answered with an error, and is a `Problem`. How often a client sends
  `ping` depends on real time, so one more or less is none.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import orjson
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from scopegate.event_thread import EventThread
from scopegate.recordings.connection import RecordedConnection, RecordedRequest
from scopegate.recordings.lines import (
    Closed,
    Entry,
    Message,
    RecordingError,
    each_connection,
    parsed,
    read,
)
from scopegate.recordings.masking import ids_in, with_ids
from scopegate.recordings.matching import (
    CHOSEN_BY_CLIENT,
    Problem,
    call_of,
    differences,
    own_ids,
    secret_fields,
    without_secrets,
)
from scopegate.recordings.proxy import ABNORMAL, HOST, NO_STATUS, NORMAL, listening, port_of

PATIENCE = 5.0
"""Real seconds for which events of streams wait for a request that was recorded before them."""
GOODBYE = 2.0
"""Real seconds for which the end of a replay waits for clients that are still connected."""
CODE = "ReplayMismatch"
"""The code of the error that answers what does not match."""
GOING_AWAY = 1001

_NAMESPACE = uuid.UUID("6f1b8f0e-6c1b-4f0e-9a55-0d7c3b1c5a10")
_PING = "ping"


class ReplayMismatch(AssertionError):
    """Raised at the end of a replay if a client has not done what the recording has."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class Replay:
    """A recording that is being replayed; for one event loop."""

    def __init__(self, entries: list[Entry], *, speed: float | None = None) -> None:
        """With `speed`, events come with the recorded pauses, divided by it; else at once."""
        self._waiting = [
            each for each in map(RecordedConnection, each_connection(entries)) if each.requests
        ]
        self._next = max((each.number for each in self._waiting), default=0) + 1
        self._speed = speed
        bodies = [entry.body for entry in entries if isinstance(entry, Message)]
        self.fields = frozenset(name for body in bodies for name in secret_fields(body))
        """The fields that hold secrets."""
        known = {each for body in bodies for each in ids_in(body)}
        self.new_ids = {each: str(uuid.uuid5(_NAMESPACE, each)) for each in known}
        self.recorded_ids = {new: each for each, new in self.new_ids.items()}
        self.problems: list[Problem] = []
        self._open: set[_Served] = set()
        self._ended = asyncio.Event()
        self.finished = asyncio.Event()
        """Set once every recorded connection has been served, and its client has left."""

    def take(self, first: dict[str, Any] | None) -> RecordedConnection | None:
        """Return the next recorded connection that begins with this message, if possible."""
        call = call_of(first)
        same = [each for each in self._waiting if each.requests[0].call == call]
        taken = next(iter(same or self._waiting), None)
        if taken is not None:
            self._waiting.remove(taken)
        return taken

    def next_number(self) -> int:
        """Return the number of a connection that is not in the recording."""
        self._next += 1
        return self._next - 1

    async def serve(self, socket: ServerConnection) -> None:
        """Serve one client until it leaves."""
        served = _Served(self, socket, self._speed)
        self._open.add(served)
        try:
            await served.run()
        finally:
            self._open.discard(served)
            if not self._open:
                self._ended.set()
                if not self._waiting:
                    self.finished.set()

    async def all_left(self) -> None:
        """Wait until no client is connected, for at most `GOODBYE` seconds."""
        while self._open:
            self._ended.clear()
            try:
                async with asyncio.timeout(GOODBYE):
                    await self._ended.wait()
            except TimeoutError:
                return

    def end(self) -> list[Problem]:
        """Return all problems: also the connections and requests that have not come."""
        for served in list(self._open):
            served.note_missing()
        for recorded in self._waiting:
            first = recorded.requests[0]
            self.problems.append(
                Problem(
                    f"no client has opened it; it begins with {first.call}",
                    recorded.number,
                    first.entry.line,
                )
            )
        self._waiting = []
        return self.problems


class _Served:
    """A client, and the recorded connection that it is served."""

    def __init__(self, replay: Replay, socket: ServerConnection, speed: float | None) -> None:
        self._replay = replay
        self._socket = socket
        self._speed = speed
        self._recorded: RecordedConnection | None = None
        self._number = 0
        self._news = asyncio.Event()
        """Set when a request arrives."""
        self._position = 0
        """The index of the entry that is next."""
        self._sent: set[Message] = set()
        self._own_ids: dict[str, str] = {}
        """Ids that the client chose, with the recorded ones."""

    async def run(self) -> None:
        """Answer the client's messages until it leaves."""
        player: asyncio.Task[None] | None = None
        try:
            async for text in self._socket:
                body = parsed(text)
                if not self._number:
                    self._recorded = self._replay.take(body)
                    if self._recorded is None:
                        self._number = self._replay.next_number()
                    else:
                        self._number = self._recorded.number
                        player = asyncio.create_task(self._play(self._recorded))
                await self._received(body)
        except ConnectionClosed:
            pass
        finally:
            if player is not None:
                player.cancel()
                await asyncio.wait([player])
            self.note_missing()

    # Requests.

    async def _received(self, body: dict[str, Any] | None) -> None:
        """Find the recorded request of a message, or refuse it."""
        call = call_of(body)
        actual = None if body is None else with_ids(body, self._back())
        waiting = [] if self._recorded is None else self._recorded.requests
        waiting = [each for each in waiting if not each.has_arrived and each.call == call]
        for request in waiting:
            own = self._new_ids_of_client(request, actual)
            came = with_ids(actual, own)
            if not differences(request.entry.body, came, self._replay.fields):
                self._own_ids |= own
                request.actual, request.has_arrived = body, True
                self._news.set()
                return
        if call == _PING and not waiting:
            await self._send({**self._head(body or {}, {}), "msg_type": _PING, "ping": "pong"})
            return
        await self._refuse(call, body, actual, waiting)

    async def _refuse(
        self,
        call: str,
        body: dict[str, Any] | None,
        actual: dict[str, Any] | None,
        waiting: list[RecordedRequest],
    ) -> None:
        shown = None if actual is None else without_secrets(actual, self._replay.fields)
        named = call or "a message without a call"
        if waiting:
            request = waiting[0]
            request.has_arrived = request.is_refused = True
            came = with_ids(actual, self._new_ids_of_client(request, actual))
            problem = Problem(
                f"{named} differs from the recording",
                self._number,
                request.entry.line,
                request.entry.body,
                shown,
                tuple(differences(request.entry.body, came, self._replay.fields)),
            )
        elif self._recorded is None:
            problem = Problem(
                f"{named} came on a connection that is not in the recording",
                self._number,
                actual=shown,
            )
        else:
            before = any(each.call == call for each in self._recorded.requests)
            often = "more often than in the recording" if before else "but is not in the recording"
            problem = Problem(f"{named} came {often}", self._number, actual=shown)
        self._replay.problems.append(problem)
        message = problem.what + "".join(f"; {each}" for each in problem.differences)
        error = {"code": CODE, "message": f"{message[0].upper()}{message[1:]}."}
        await self._send(
            {**self._head(body or {}, {}), "error": error, "msg_type": call or "error"}
        )
        self._news.set()

    def _back(self) -> dict[str, str]:
        return {**self._replay.recorded_ids, **self._own_ids}

    def _new_ids_of_client(
        self, request: RecordedRequest, actual: dict[str, Any] | None
    ) -> dict[str, str]:
        """Return the ids in a request that were not sent to the client, with the recorded ones."""
        pairs = own_ids(request.entry.body, actual)
        return {own: known for own, known in pairs.items() if own not in self._replay.new_ids}

    def note_missing(self) -> None:
        """Note the recorded requests that have not come as problems, once."""
        for request in () if self._recorded is None else self._recorded.requests:
            if not request.has_arrived and request.call != _PING:
                request.has_arrived = True
                self._replay.problems.append(
                    Problem(
                        f"{request.call or 'a message without a call'} did not come",
                        self._number,
                        request.entry.line,
                        request.entry.body,
                    )
                )

    # Messages to the client.

    async def _play(self, recorded: RecordedConnection) -> None:
        """Send the recorded messages in their order; each waits for its request."""
        requests = {request.entry: request for request in recorded.requests}
        before: float | None = None
        try:
            for entry in recorded.entries:
                if isinstance(entry, Closed):
                    await self._close(entry)
                elif entry.direction == "sent":
                    await self._wait_for(requests[entry], recorded)
                else:
                    if self._speed is not None and before is not None:
                        await asyncio.sleep(max(0.0, entry.at - before) / self._speed)
                    await self._answer_late(recorded)
                    await self._send_recorded(entry, recorded.owner.get(entry))
                before = entry.at
            while True:
                await self._answer_late(recorded)
                await self._wait_for_news(None)
        except ConnectionClosed:
            return

    async def _wait_for(self, request: RecordedRequest, recorded: RecordedConnection) -> None:
        """Wait until a request arrives; meanwhile, reply to those that came before their turn."""
        if request.call == _PING:
            return
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while not request.has_arrived:
            await self._answer_late(recorded)
            for other in recorded.requests:
                if other.has_arrived and other.replies and not other.is_refused:
                    await self._send_once(other.replies[0], other)
            if not await self._wait_for_news(deadline):
                return

    async def _wait_for_news(self, deadline: float | None) -> bool:
        """Wait until a request arrives; return whether one did before the deadline."""
        try:
            async with asyncio.timeout_at(deadline):
                await self._news.wait()
        except TimeoutError:
            return False
        self._news.clear()
        return True

    async def _answer_late(self, recorded: RecordedConnection) -> None:
        """Send what was due before its request arrived."""
        for request in recorded.requests:
            if request.has_arrived and request.late:
                late, request.late = request.late, []
                for entry in late:
                    await self._send_recorded(entry, request)

    async def _send_recorded(self, entry: Message, request: RecordedRequest | None) -> None:
        if request is not None and not request.has_arrived:
            request.late.append(entry)
        elif request is None or not request.is_refused:
            await self._send_once(entry, request)

    async def _send_once(self, entry: Message, request: RecordedRequest | None) -> None:
        if entry in self._sent or entry.body is None:
            return
        self._sent.add(entry)
        ids = {**self._replay.new_ids, **{known: own for own, known in self._own_ids.items()}}
        body = with_ids(entry.body, ids)
        if request is not None and request.actual is not None:
            body = {**body, **self._head(request.actual, body)}
            for name in CHOSEN_BY_CLIENT - request.actual.keys():
                body.pop(name, None)
        await self._send(body)

    async def _send(self, body: dict[str, Any]) -> None:
        await self._socket.send(orjson.dumps(body), text=True)

    def _head(self, request: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of a reply that come from its request."""
        head: dict[str, Any] = {}
        if reply.get("echo_req") != {}:  # it is empty where the gateway could not read the request
            head["echo_req"] = without_secrets(request, self._replay.fields)
        return head | {name: request[name] for name in CHOSEN_BY_CLIENT if name in request}

    async def _close(self, entry: Closed) -> None:
        """End the connection as the gateway did; if the client did, wait for the client."""
        if entry.by == "client":
            return
        if entry.code == ABNORMAL:
            self._socket.transport.abort()
        else:
            await self._socket.close(NORMAL if entry.code == NO_STATUS else entry.code)


@asynccontextmanager
async def served(replay: Replay, port: int = 0) -> AsyncIterator[int]:
    """Listen on this machine until the block ends; yields the port. Raises `RecordingError`."""
    server = await listening(replay.serve, port)
    try:
        yield port_of(server)
        await replay.all_left()
    finally:
        server.close(code=GOING_AWAY)
        await server.wait_closed()


class LiveReplay:
    """A replay that listens, for a test. Any thread may use it."""

    def __init__(self, thread: EventThread, replay: Replay, port: int) -> None:
        self._thread = thread
        self._replay = replay
        self.port = port
        self.endpoint = f"ws://{HOST}:{port}"
        """Scheme, host and port, as some client libraries expect."""
        self.url = f"{self.endpoint}/websockets/v3?app_id=1089"
        """The full WebSocket address."""

    @property
    def problems(self) -> list[Problem]:
        """What has not matched so far; what has not come is added at the end of the replay."""

        async def found() -> list[Problem]:
            return list(self._replay.problems)

        return self._thread.do(found())


@contextmanager
def replaying(path: str | Path, *, speed: float | None = None) -> Iterator[LiveReplay]:
    """Serve a recording on a free port of this machine until the block ends.

    With `speed`, events of streams come with the recorded pauses, divided by it. Raises
    `RecordingError` if the file is not a recording and, at the end of the block, `ReplayMismatch`
    if a client has done anything else than what is recorded. If the block fails, its exception has
    the differences as notes.
    """
    if speed is not None and speed <= 0:
        raise RecordingError(f"speed must be above 0, not {speed}")
    entries = read(Path(path))
    found: list[Problem] = []

    @asynccontextmanager
    async def listening_replay(thread: EventThread) -> AsyncIterator[LiveReplay]:
        replay = Replay(entries, speed=speed)
        try:
            async with served(replay) as port:
                yield LiveReplay(thread, replay, port)
        finally:
            found.extend(replay.end())

    try:
        with EventThread().running(listening_replay) as live:
            yield live
    except BaseException as failure:
        for problem in found:  # they are often why the client has failed
            failure.add_note(str(problem))
        raise
    if found:
        raise ReplayMismatch(found)


class Replays:
    """The replays of one test: the fixture `scopegate_replay`."""

    def __init__(self, folder: Path) -> None:
        """Paths of recordings are relative to `folder`."""
        self._folder = folder
        self._stack = ExitStack()

    def __call__(self, path: str | Path, *, speed: float | None = None) -> LiveReplay:
        """Serve a recording until the end of the test, as `replaying` does."""
        return self._stack.enter_context(replaying(self._folder / path, speed=speed))

    def close(self) -> None:
        """End all replays. Raises `ReplayMismatch` if a client has done anything else."""
        self._stack.close()
