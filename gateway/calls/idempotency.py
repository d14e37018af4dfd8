"""Idempotency keys: a client's own key for a request that must have its effect only once.

Rules:
- A key belongs to its owner (an account together with the app, or the operator) and to one call.
- The reply is recorded in the transaction that does the work: both are there, or neither. A request
  that is refused records nothing.
- The same request again gets the recorded reply; another request under the key is refused. Whether
  the caller may make the call is checked first, as for every request.
- The database has neither the key nor anything that a reply says: a row is found by a digest, and
  encrypted with another value that is derived from the key. So nobody can read it without
  the key, unless the key can be guessed: calls with secrets need one of `SECRET_KEY_LENGTH`.
"""

import hashlib
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final, Generic, TypeVar

import orjson

from scopegate.gateway.calls.errors import ApiError, input_validation_failed
from scopegate.gateway.calls.token_form import holds_token
from scopegate.runtime.pickling import quickly_pickled
from scopegate.store.transactions import Job, Snapshot, Transaction

IDEMPOTENCY_KEY: Final = "idempotency_key"
"""The field of `passthrough` with the key of one request."""
KEY_REUSED: Final = "IdempotencyKeyReused"
MAX_KEY_LENGTH: Final = 64
SECRET_KEY_LENGTH: Final = 32
"""The fewest characters of a key for a call whose request or reply has a secret."""

REPLY_DAYS: Final = 7
MAX_OF_OWNER: Final = 10_000
"""Recorded replies of one owner that are kept, the latest ones."""

_KEY = re.compile(r"[!-~]{1,64}")
_NONCE: Final = 12
"""Bytes of the random value that AES-GCM takes with each text."""

ResultT = TypeVar("ResultT")
ReplyT = TypeVar("ReplyT", bound=Mapping[str, Any])


class Idempotency(Enum):
    """How a call takes idempotency keys."""

    RECORDED = "recorded"
    SECRET = "secret"  # noqa: S105 - not a password
    OWN = "own"


RECORDED: Final = Idempotency.RECORDED
"""The reply is recorded, in the transaction that does the work (`Access.write_reply`)."""

SECRET: Final = Idempotency.SECRET
"""The same for a call whose reply has a secret, or which anybody may make: keys must be long."""

OWN: Final = Idempotency.OWN
"""The handler finds what it did under a key by itself."""


def key_reused() -> ApiError:
    """Return the error for a key that was used for another request of the same call."""
    return ApiError(
        KEY_REUSED,
        "This idempotency_key was used for another request of the same call. Nothing was done. Use"
        " a new key for a new request.",
    )


def key_of(passthrough: dict[str, Any] | None, at_least: int = 1) -> str | None:
    """Return the key of a request, or `None`. Raises `InputValidationFailed` for an invalid key.

    `at_least` is the number of characters that it must have.
    """
    key = (passthrough or {}).get(IDEMPOTENCY_KEY)
    if key is None:
        return None
    if type(key) is not str or not _KEY.fullmatch(key):
        raise input_validation_failed(
            {
                "passthrough": f"{IDEMPOTENCY_KEY} must have {at_least} to {MAX_KEY_LENGTH}"
                " printable ASCII characters, without spaces."
            }
        )
    if holds_token(key):  # keys may be stored
        raise input_validation_failed(
            {"passthrough": f"{IDEMPOTENCY_KEY} contains a token, a secret. Use another key."}
        )
    if len(key) < at_least:
        raise input_validation_failed(
            {
                "passthrough": f"{IDEMPOTENCY_KEY} must have at least {at_least} characters for"
                " this call, whose request or reply has a secret. Use a random one, such as a UUID."
            }
        )
    return key


class AlreadyAnsweredError(Exception):
    """Ends a job whose request was answered before; `reply` is the recorded reply."""

    def __init__(self, reply: Mapping[str, Any]) -> None:
        super().__init__(reply)
        self.reply = reply


@quickly_pickled
@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request with an idempotency key: what finds, reads and writes its recorded reply."""

    owner: str
    """The account and the app that may repeat it, or the operator."""
    digest: bytes
    """Identifies its row."""
    secret: bytes
    """Encrypts the reply."""
    request: str
    """The digest of the request."""

    def find(self, reader: Snapshot) -> Mapping[str, Any] | None:
        """Return the recorded reply; `None` if there is none.

        Raises `ApiError` if the key was used for another request.
        """
        return self._found(reader)[1]

    def _found(self, reader: Snapshot) -> tuple[bool, Mapping[str, Any] | None]:
        """Return whether there is a row, and the reply in it, if it has one."""
        row = reader.one("SELECT reply FROM recorded_replies WHERE digest = ?", self.digest)
        if row is None:
            return False, None
        data = bytes(row["reply"])
        text = _cipher(self.secret).decrypt(data[:_NONCE], data[_NONCE:], self.digest)
        request, reply = orjson.loads(text)
        if request != self.request:
            raise key_reused()
        return True, reply

    def check(self, reader: Snapshot) -> None:
        """Raise `AlreadyAnsweredError` if the request was answered; else raises like `find`."""
        reply = self.find(reader)
        if reply is not None:
            raise AlreadyAnsweredError(reply)

    def record(self, transaction: Transaction, reply: Mapping[str, Any] | None) -> None:
        """Record the reply, or, without one, only that the key belongs to this request."""
        nonce = os.urandom(_NONCE)
        text = orjson.dumps([self.request, reply])
        transaction.execute_later(
            "INSERT INTO recorded_replies (digest, owner, at, reply) VALUES (?, ?, ?, ?)",
            self.digest,
            self.owner,
            time.time(),
            nonce + _cipher(self.secret).encrypt(nonce, text, self.digest),
        )

    def part(self, number: int) -> "KeyedRequest":
        """Return the part of the request with this number, which has a reply of its own."""
        return replace(self, digest=hashlib.sha256(b"%b %d" % (self.digest, number)).digest())

    def begin(self, transaction: Transaction) -> None:
        """Note that the key belongs to this request, which is done in parts, a transaction each.

        Raises like `find`.
        """
        is_known, _ = self._found(transaction)
        if not is_known:
            self.record(transaction, None)

    def done(self, reader: Snapshot, count: int) -> list[Mapping[str, Any] | None]:
        """Return the replies of the first `count` parts; those that were not done have none."""
        return [self.part(number).find(reader) for number in range(count)]


def keyed_request(owner: str, call: str, key: str, message: Mapping[str, Any]) -> KeyedRequest:
    """Return what an owner's message asks for under a key.

    It is the same request whatever its `req_id` and `passthrough` are; `loginid` names the owner.
    """
    # Imported when it is first needed: it takes long.
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    info = orjson.dumps(["scopegate recorded reply", owner, call])
    derived = HKDF(SHA256(), length=64, salt=None, info=info).derive(key.encode())
    asked = {
        name: value
        for name, value in message.items()
        if name not in ("req_id", "passthrough", "loginid")
    }
    text = orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)
    return KeyedRequest(owner, derived[:32], derived[32:], hashlib.sha256(text).hexdigest())


def _cipher(secret: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(secret)


def recorded(
    keyed: KeyedRequest | None, job: Job[ResultT], reply_of: Callable[[ResultT], ReplyT]
) -> Job[ReplyT]:
    """Return a job that does the same and returns the reply, recorded if the request has a key.

    `reply_of` gets the result of the job, within its transaction and in another thread. Raises
    `AlreadyAnsweredError` if the request was answered before.
    """

    def answering(transaction: Transaction) -> ReplyT:
        if keyed is None:
            return reply_of(job(transaction))
        keyed.check(transaction)
        reply = reply_of(job(transaction))
        keyed.record(transaction, reply)
        return reply

    return answering


@quickly_pickled
@dataclass(frozen=True, slots=True)
class Recorder(Generic[ResultT]):
    """Records the reply to a request in the transaction of a job, given the job's result.

    It can be sent to another process, if `reply_of` can.
    """

    keyed: KeyedRequest
    reply_of: Callable[[ResultT], Mapping[str, Any]]

    def __call__(self, transaction: Transaction, result: ResultT) -> None:
        """Record the reply."""
        self.keyed.record(transaction, self.reply_of(result))


def recorder(
    keyed: KeyedRequest | None, reply_of: Callable[[ResultT], Mapping[str, Any]]
) -> Recorder[ResultT] | None:
    """Return what records the reply, if the request has a key."""
    return None if keyed is None else Recorder(keyed, reply_of)
