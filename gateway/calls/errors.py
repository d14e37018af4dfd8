"""The two ways to fail: answer one call with `ApiError`, or end the connection with `Disconnect`.

Anything else that is raised is a bug; `dispatch` logs it and answers `InternalServerError`.
"""

from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """Answers the call with an error object; the connection lives.

    `code` is a word that clients match on, `message` a sentence for people that says what to do,
    `details` further facts by field. Never put a secret into either.
    """

    def __init__(self, code: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.details = details

    def body(self) -> dict[str, Any]:
        """The `error` object of the reply."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details is not None:
            error["details"] = dict(self.details)
        return error


class Disconnect(Exception):
    """Ends the connection with a WebSocket close code and a reason.

    A handler may end it with a code from 4000 to 4999. A reason is cut after 123 bytes, which is
    what a close frame can hold. Raises `ValueError` for a code that no close frame may have.
    """

    def __init__(self, code: int, reason: str) -> None:
        if not (1000 <= code <= 1014 or 3000 <= code <= 4999) or code in (1004, 1005, 1006):
            raise ValueError(f"{code} is no WebSocket close code: use one from 4000 to 4999")
        super().__init__(code, reason)
        self.code = code
        self.reason = reason.encode()[:123].decode(errors="ignore")


def input_validation_failed(problems: Mapping[str, str]) -> ApiError:
    """The request does not fit its schema; `problems` has a sentence for each field at fault."""
    return ApiError(
        "InputValidationFailed",
        "Input validation failed: " + ", ".join(problems),
        problems,
    )


def authorization_required(details: Mapping[str, Any] | None = None) -> ApiError:
    """The call needs a signed-in account and there is none; `details` may say why."""
    return ApiError("AuthorizationRequired", "Please log in.", details)


def invalid_token() -> ApiError:
    """The token is unknown, ended, or mistyped: one answer for all three."""
    return ApiError("InvalidToken", "The token is invalid.")


def token_suspended() -> ApiError:
    """The token belongs to an app that has changed since its user agreed to it."""
    return ApiError(
        "InvalidToken",
        "The token is invalid.",
        {
            "consent": "The app has changed since its user agreed to it, so its authorization is"
            " suspended. Send the user to /oauth2/authorize, where they can agree again."
        },
    )


def invalid_app_id(details: Mapping[str, Any] | None = None) -> ApiError:
    """The connection names no app that exists, or one that it may not use."""
    return ApiError("InvalidAppID", "Your app_id is invalid.", details)


def permission_denied(what: str) -> ApiError:
    """The call is not for whoever made it; `what` says what it requires."""
    return ApiError("PermissionDenied", f"Permission denied, requires {what}.")


def owners_token_required() -> ApiError:
    """The call is closed to tokens that were issued to an app, or created with one."""
    return permission_denied(
        "your own API token, but this one belongs to an app. Create one on the gateway's page"
        " /tokens"
    )


def rate_limit(name: str, limit: str) -> ApiError:
    """Too many of something; `limit` says which number was met."""
    return ApiError("RateLimit", f"You have reached the rate limit for {name}.", {"limit": limit})


def storage_unavailable() -> ApiError:
    """Nothing can be stored at present: the disk is full or fails, or too many writes wait."""
    return ApiError(
        "StorageUnavailable",
        "The gateway cannot store anything at present, and nothing was changed. Try again later.",
    )


def service_restart() -> ApiError:
    """The gateway is stopping; this error ends every stream."""
    return ApiError("ServiceRestart", "The gateway is shutting down. Connect again in a while.")


def internal_error() -> ApiError:
    """A bug of ours; the text tells the client nothing else."""
    return ApiError(
        "InternalServerError", "Sorry, an error occurred while processing your request."
    )
