"""WebSocket frames, as far as the simulated clients need them (RFC 6455, section 5.2)."""

from collections.abc import Iterator

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
END = -1
"""In the place of a frame: nothing more follows."""


def masked(kind: int, payload: bytes, key: bytes) -> bytes:
    """A whole frame of a client."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | kind, 0x80 | size))
    elif size < 65536:
        head = bytes((0x80 | kind, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | kind, 0x80 | 127)) + size.to_bytes(8, "big")
    repeated = (key * (size // 4 + 1))[:size]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return head + key + mixed.to_bytes(size, "big")


def pong(payload: bytes) -> bytes:
    """The answer to a ping."""
    return masked(PONG, payload, b"\0\0\0\0")


def closing(payload: bytes) -> bytes:
    """The answer to a close."""
    return masked(CLOSE, payload[:2], b"\0\0\0\0")


class FrameReader:
    """Splits what a server sends, after the head of its HTTP response, into frames."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_open = False

    def read(self, data: bytes) -> Iterator[tuple[int, bytes, int]]:
        """Yield each whole frame: its kind, its payload, and its size."""
        rest = self._rest + data
        if not self._is_open:
            head, end, rest = rest.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            self._is_open = True
            if not head.startswith(b"HTTP/1.1 101 "):
                yield END, head, 0  # refused: what follows is a text for people
                return
        begin = 0
        while len(rest) >= begin + 2:
            size, start = rest[begin + 1], begin + 2
            if size >= 126:
                start += 2 if size == 126 else 8
                if len(rest) < start:
                    break
                size = int.from_bytes(rest[begin + 2 : start], "big")
            end = start + size
            if len(rest) < end:
                break
            yield rest[begin] & 15, rest[start:end], end - begin
            begin = end
        self._rest = rest[begin:]
