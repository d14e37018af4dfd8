"""Random bits by name: any block at any time, the same on every machine.

They are the raw output of a counter-based generator, which numpy keeps stable; the streams of its
distributions may change with a release.
"""

import hashlib

import numpy as np
from numpy.random import Philox
from numpy.typing import NDArray


class Bits:
    """The random bits of one symbol."""

    __slots__ = ("_key",)

    def __init__(self, seed: str, name: str) -> None:
        self._key = hashlib.blake2b(f"{seed}|{name}".encode(), digest_size=32).digest()

    def words(self, tag: bytes, block: int, count: int) -> NDArray[np.uint64]:
        """The first `count` 64-bit words of a block."""
        message = tag + block.to_bytes(8, "little")
        key = hashlib.blake2b(message, key=self._key, digest_size=16).digest()
        raw: NDArray[np.uint64] = Philox(key=int.from_bytes(key, "little")).random_raw(count)
        return raw

    def short_words(self, tag: bytes, block: int, count: int) -> NDArray[np.uint16]:
        """The first `count` 16-bit words of a block, from the low bits of each 64-bit word on."""
        raw = self.words(tag, block, -(-count // 4))
        words: NDArray[np.uint16] = raw.astype("<u8", copy=False).view("<u2")
        return words[:count]
