"""A load for WebSocket servers: connections that each keep a number of requests outstanding.

Rules:
- It must not limit the result: frames are masked and joined beforehand, sockets are driven by epoll
  without an event loop, and replies are counted by their frame headers alone. Replies to one call
  have the same length, so the headers of a batch are checked all at once.
- It must notice a server that is fast because it is wrong: each connection's first and last reply
  are read in full, and every frame in between must be whole text of the first one's length.
- It is bounded: a fixed number of connections and of requests outstanding on each, and no reply is
  awaited for longer than `PATIENCE` seconds.
"""

import base64
import json
import select
import socket
import struct
from collections.abc import Sequence
from time import perf_counter
from typing import Any

PATIENCE = 20.0
FIRST_ID = 100_000
IDS = 4_096
"""Values of `req_id`, used in turn from `FIRST_ID` on: all have the same number of digits."""

_MASK = b"\x5c\x91\x2e\xd7"
_TEXT = 0x81
_CLOSE = 0x88
_HANDSHAKE = (
    b"GET %b HTTP/1.1\r\n"
    b"Host: 127.0.0.1:%d\r\n"
    b"Connection: Upgrade\r\n"
    b"Pragma: no-cache\r\n"
    b"Cache-Control: no-cache\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
    b" Chrome/142.0.0.0 Safari/537.36\r\n"
    b"Upgrade: websocket\r\n"
    b"Origin: https://app.example\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Accept-Language: en-GB,en;q=0.9\r\n"
    b"Sec-WebSocket-Key: %b\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)
"""The request of a browser. A server that keeps it uses memory for that."""
_KEY = base64.b64encode(b"a client's nonce")

Message = dict[str, Any]


class LoadError(Exception):
    """A server answered wrongly, or not at all."""


def frame(payload: bytes, first: int = _TEXT) -> bytes:
    """Return a whole, masked frame, as clients send it."""
    length = len(payload)
    if length < 126:
        head = bytes((first, 0x80 | length))
    else:
        head = struct.pack("!BBH", first, 0x80 | 126, length)
    mask = (_MASK * (length // 4 + 1))[:length]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")
    return head + _MASK + masked.to_bytes(length, "big")


class Requests:
    """The prepared frames of one call, which differ only in their `req_id`."""

    def __init__(self, call: Message) -> None:
        self.call = call
        frames = [frame(json.dumps(self.message(number)).encode()) for number in range(IDS)]
        self._size = len(frames[0])
        self._frames = memoryview(b"".join(frames) * 2)  # twice: a batch may run past the end

    def message(self, number: int) -> Message:
        """Return the request that is sent as the `number`th of its connection."""
        return {**self.call, "req_id": FIRST_ID + number % IDS}

    def frames(self, number: int, count: int) -> memoryview:
        """Return the frames of `count` requests, beginning with the `number`th."""
        start = number % IDS * self._size
        return self._frames[start : start + count * self._size]


class Client:
    """One connection."""

    def __init__(self, port: int, path: str, address: str = "127.0.0.1") -> None:
        """Connect from this address, and complete the handshake."""
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE, (address, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""
        self._head = b""
        self._size = 0
        self._last = b""
        self._sent = 0
        self._outstanding = 0
        self._requests: Requests
        self.socket.sendall(_HANDSHAKE % (path.encode(), port, _KEY))
        while b"\r\n\r\n" not in self._rest:
            self._read()
        answer, _, self._rest = self._rest.partition(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 101 "):
            raise LoadError(f"no WebSocket: {answer!r}")
        if b"\r\nsec-websocket-extensions:" in answer.lower():
            raise LoadError("the server compresses; none was to")

    def ask(self, message: Message) -> Message:
        """Send one message, and read its reply in full."""
        self.socket.sendall(frame(json.dumps(message).encode()))
        self._measure()
        while len(self._rest) < self._size:
            self._read()
        reply, self._rest = self._rest[: self._size], self._rest[self._size :]
        return self._message(reply)

    def begin(self, requests: Requests, outstanding: int) -> None:
        """Send the first requests. The last reply that was read must be one to the same call."""
        self._requests = requests
        self.socket.setblocking(False)
        self.send(outstanding)

    def receive(self, *, go_on: bool) -> int:
        """Take the replies that have arrived, and return their number.

        With `go_on`, send a further request for each.
        """
        data = self._rest + self._received()
        count = len(data) // self._size
        end = count * self._size
        for place, byte in enumerate(self._head):
            if data[place : end : self._size].count(byte) != count:
                raise LoadError(f"not a reply like the first one: {data[:400]!r}")
        self._rest = data[end:]
        if count:
            self._last = data[end - self._size : end]
            self._outstanding -= count
            if go_on:
                self.send(count)
        return count

    @property
    def outstanding(self) -> int:
        """How many requests have no reply yet."""
        return self._outstanding

    def last(self) -> tuple[Message, Message]:
        """Return the last request that was sent, and the last reply received."""
        return self._requests.message(self._sent - 1), self._message(self._last)

    def close(self) -> None:
        """Send a close frame, and wait for the server to close the connection."""
        self.socket.settimeout(PATIENCE)
        self.socket.sendall(frame(struct.pack("!H", 1000), _CLOSE))
        while self.socket.recv(4_096):
            pass
        self.socket.close()

    def send(self, count: int) -> None:
        """Send the next requests."""
        # All outstanding requests fit into the socket's buffer many times over.
        batch = self._requests.frames(self._sent, count)
        if self.socket.send(batch) != len(batch):
            raise LoadError("the server takes no more requests")
        self._sent += count
        self._outstanding += count

    def _read(self) -> None:
        self._rest += self._received()

    def _received(self) -> bytes:
        data = self.socket.recv(65_536)
        if not data:
            raise LoadError("the server hung up")
        return data

    def _measure(self) -> None:
        """Set the frame header of the next reply, and the length of the reply including it."""
        while len(self._rest) < 4:
            self._read()
        length = self._rest[1]
        if self._rest[0] != _TEXT or length > 126:
            raise LoadError(f"not a short text frame: {self._rest!r}")
        if length == 126:
            (length,) = struct.unpack_from("!H", self._rest, 2)
            self._head = self._rest[:4]
        else:
            self._head = self._rest[:2]
        self._size = len(self._head) + length

    def _message(self, reply: bytes) -> Message:
        message: Message = json.loads(reply[len(self._head) :])
        return message


class VaryingClient(Client):
    """One connection on which replies differ in length, as prices and receipts do.

    Their frame headers are checked one by one. No reply may be an error.
    """

    def receive(self, *, go_on: bool) -> int:
        """Take the replies that have arrived, and return their number.

        With `go_on`, send a further request for each.
        """
        data = self._rest + self._received()
        count = start = end = body = 0
        while len(data) - end >= 4:
            length, head = data[end + 1], 2
            if data[end] != _TEXT or length > 126:
                raise LoadError(f"not a short text frame: {data[end : end + 400]!r}")
            if length == 126:
                length, head = data[end + 2] << 8 | data[end + 3], 4
            if end + head + length > len(data):
                break
            start, body = end, end + head
            end = body + length
            count += 1
        if b'"error":' in data[:end]:
            raise LoadError(f"an error among the replies: {data[:end]!r}")
        self._rest = data[end:]
        if count:
            self._head, self._last = data[start:body], data[start:end]
            self._outstanding -= count
            if go_on:
                self.send(count)
        return count


class Load:
    """Clients that send a further request for every reply."""

    def __init__(
        self,
        clients: Sequence[Client],
        requests: Requests,
        outstanding: int,
        *,
        spins: bool = False,
    ) -> None:
        """With `spins`, the load looks for replies all the time, and needs a core to itself.

        Otherwise it sleeps until one comes, and a server is charged for waking it: a slower one for
        more of that.
        """
        self._spins = spins
        self._clients = {client.socket.fileno(): client for client in clients}
        self._epoll = select.epoll()
        for number in self._clients:
            self._epoll.register(number, select.EPOLLIN)
        for client in clients:
            client.begin(requests, outstanding)

    def run(self, seconds: float) -> int:
        """Keep up the load for `seconds`, and return the number of replies."""
        replies = 0
        end = perf_counter() + seconds
        while perf_counter() < end:
            replies += self._turn(go_on=True)
        return replies

    def finish(self) -> list[tuple[Message, Message]]:
        """Wait for outstanding replies; return each client's last request and last reply."""
        while any(client.outstanding for client in self._clients.values()):
            self._turn(go_on=False)
        self._epoll.close()
        return [client.last() for client in self._clients.values()]

    def _turn(self, *, go_on: bool) -> int:
        ready = self._epoll.poll(0 if self._spins else PATIENCE)
        end = perf_counter() + PATIENCE
        while not ready and perf_counter() < end:
            ready = self._epoll.poll(0)
        if not ready:
            raise LoadError("the server does not answer")
        return sum(self._clients[number].receive(go_on=go_on) for number, _ in ready)
