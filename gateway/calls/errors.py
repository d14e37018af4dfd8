"""The exceptions for clients: `ApiError` answers one call, `Disconnect` closes the connection.

`dispatch` also converts validation errors, storage errors, and those that a plugin declares. Any
other exception is a bug: it is logged, and answered with `InternalServerError`.
"""

from collections.abc import Mapping
from typing import Any, Final

RATE_LIMIT: Final = "RateLimit"
"""The code of the error for too many of something."""


class ApiError(Exception):
    """An error object as the reply to a call; the connection stays open.

    `code` is a word that clients match on, `message` a sentence for people that says what is wrong,
    `details` further facts by field. Never put a secret into any of them.
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


ENDED_BY_OPERATOR: Final = 4403
"""The close code of a connection that the operator ends, or whose user or app they disable."""


class Disconnect(Exception):
    """The end of the connection, with a WebSocket close code and a reason.

    Handlers may use codes from 4000 to 4999. A reason is cut after 123 bytes, the most that a close
    frame can hold. Raises `ValueError` for a code that no close frame may have.
    """

    def __init__(self, code: int, reason: str) -> None:
        if not (1000 <= code <= 1014 or 3000 <= code <= 4999) or code in (1004, 1005, 1006):
            raise ValueError(f"{code} is not an allowed close code: use one from 4000 to 4999")
        super().__init__(code, reason)
        self.code = code
        self.reason = reason.encode()[:123].decode(errors="ignore")


def input_validation_failed(problems: Mapping[str, str]) -> ApiError:
    """The error for a request that does not match its schema: a sentence for each invalid field."""
    return ApiError(
        "InputValidationFailed",
        "Input validation failed: " + ", ".join(problems),
        problems,
    )


def authorization_required(details: Mapping[str, Any] | None = None) -> ApiError:
    """The error for a call that needs a login if there is none; `details` may say why."""
    return ApiError("AuthorizationRequired", "Please log in.", details)


def invalid_token() -> ApiError:
    """The error for a token that is unknown, ended or mistyped: the same for all three."""
    return ApiError("InvalidToken", "The token is invalid.")


def token_suspended() -> ApiError:
    """The error for a token of an app that has changed since its user agreed to it."""
    return ApiError(
        "InvalidToken",
        "The token is invalid.",
        {
            "consent": "The app has changed since its user agreed to it, so its authorization is"
            " suspended. Send the user to /oauth2/authorize, where they can agree again."
        },
    )


def invalid_app_id(details: Mapping[str, Any] | None = None) -> ApiError:
    """The error for a connection that names no existing app, or one that it may not use."""
    return ApiError("InvalidAppID", "Your app_id is invalid.", details)


def permission_denied(what: str) -> ApiError:
    """The error for a call that the caller may not make; `what` is what it requires."""
    return ApiError("PermissionDenied", f"Permission denied, requires {what}.")


def owners_token_required() -> ApiError:
    """The error for a call that refuses tokens that were issued to an app, or created with one."""
    return permission_denied(
        "your own API token, but this one belongs to an app. Create one on the gateway's page"
        " /tokens"
    )


def rate_limit(name: str, limit: str) -> ApiError:
    """The error for too many of something; `limit` states the limit that was reached."""
    return ApiError(RATE_LIMIT, f"You have reached the rate limit for {name}.", {"limit": limit})


def limit_of(error: ApiError) -> str:
    """Return the limit that an error of `rate_limit` states; empty for any other error."""
    return str((error.details or {}).get("limit", "")) if error.code == RATE_LIMIT else ""


def storage_unavailable() -> ApiError:
    """The error if nothing can be stored: the disk is full or fails, or too many writes wait."""
    return ApiError(
        "StorageUnavailable",
        "The gateway cannot write to its database at present. Nothing was changed. Try again"
        " later.",
    )


def service_restart() -> ApiError:
    """The error that ends every stream when the gateway stops."""
    return ApiError("ServiceRestart", "The gateway is shutting down. Connect again in a while.")


def session_ended() -> ApiError:
    """The error that ends every stream of a connection that the operator ends."""
    return ApiError("SessionEnded", "The operator has ended this connection.")


def internal_error() -> ApiError:
    """The error for a bug in the gateway; it gives the client no details."""
    return ApiError(
        "InternalServerError", "Sorry, an error occurred while processing your request."
    )
