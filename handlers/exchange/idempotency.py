"""Idempotency keys: a client's own key for a purchase or a payment that must happen only once."""

import re
from typing import Any

from scopegate.gateway.calls.errors import input_validation_failed
from scopegate.gateway.calls.token_form import holds_token

IDEMPOTENCY_KEY = "idempotency_key"
"""The field of `passthrough` with the key of one purchase or payment."""

_KEY = re.compile(r"[!-~]{1,64}")


def key_of(passthrough: dict[str, Any] | None) -> str | None:
    """Return the key of a request, or `None`. Raises `InputValidationFailed` for an invalid key."""
    key = (passthrough or {}).get(IDEMPOTENCY_KEY)
    if key is None:
        return None
    if type(key) is not str or not _KEY.fullmatch(key):
        raise input_validation_failed(
            {"passthrough": f"{IDEMPOTENCY_KEY} must have 1 to 64 characters, without spaces."}
        )
    if holds_token(key):  # keys are stored
        raise input_validation_failed(
            {"passthrough": f"{IDEMPOTENCY_KEY} contains a token, a secret. Use another key."}
        )
    return key
