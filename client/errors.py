"""What a client raises. Every exception is a `ClientError`."""

from collections.abc import Mapping
from typing import Any

INVALID = "InputValidationFailed"


class ClientError(Exception):
    """The base of all exceptions of a client."""


class CallError(ClientError):
    """The gateway answered a call, or a stream, with an error. The connection goes on.

    `code` is a word to match on, `message` a sentence for people. `details` are further facts by
    field, and `subcode` distinguishes cases of one code; either is empty if there is none.
    """

    def __init__(
        self,
        code: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        subcode: str = "",
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.details: Mapping[str, Any] = details or {}
        self.subcode = subcode

    def __str__(self) -> str:
        text = f"{self.code}: {self.message}"
        if self.code != INVALID:
            return text
        # The message only names the fields; what is wrong with each is in the details.
        return "; ".join([text, *(f"{field}: {why}" for field, why in self.details.items())])


class AccessError(CallError):
    """The gateway does not let the client in, or not any longer. The client has ended.

    For example the token is wrong, was revoked or has expired (`InvalidToken`), the app does not
    exist (`InvalidAppID`), or the operator has ended the connection (`SessionEnded`). Trying again
    would not help, so all calls and streams of the client fail with this error.
    """


class ConnectionLost(ClientError):
    """The connection was lost before a call was answered, and the call cannot be repeated.

    `may_have_happened` is whether the gateway may have carried it out. If `idempotency_key` is not
    empty, you can make the same call again with this key: it will not happen twice.
    """

    def __init__(
        self, call: str, reason: str, *, may_have_happened: bool, idempotency_key: str = ""
    ) -> None:
        super().__init__(call, reason)
        self.call = call
        self.reason = reason
        self.may_have_happened = may_have_happened
        self.idempotency_key = idempotency_key

    def __str__(self) -> str:
        if not self.may_have_happened:
            return f"{self.call}: {self.reason}. It did not change anything."
        text = f"{self.call}: {self.reason}. It may or may not have happened."
        if self.idempotency_key:
            return (
                f"{text} Make the same call with idempotency_key={self.idempotency_key!r} to get"
                " its result: it will not happen twice."
            )
        return f"{text} Look at the account before you make it again."


class CallTimeout(ConnectionLost):
    """A call was not answered within its timeout, however often the client connected again."""


class ClosedError(ClientError):
    """The client is closed, or was not opened: use it within `async with`."""


class GapError(ClientError):
    """Events of a stream are missing, and cannot be had any more.

    Those after position `after` and up to position `until` are missing; both are `None` for a
    stream without positions. The stream goes on: iterate over it again to get what follows.
    """

    def __init__(self, stream: str, after: int | None = None, until: int | None = None) -> None:
        super().__init__(stream, after, until)
        self.stream = stream
        self.after = after
        self.until = until

    def __str__(self) -> str:
        if self.after is None:
            return f"{self.stream}: events may be missing here. The stream goes on."
        return (
            f"{self.stream}: events after position {self.after} and up to {self.until} are"
            " missing. The stream goes on."
        )


def error_of(message: Mapping[str, Any], kind: type[CallError] = CallError) -> CallError:
    """Return the error of a message that has one."""
    error = message["error"]
    return kind(
        error["code"], error["message"], error.get("details"), str(error.get("subcode", ""))
    )
