"""Authorization requests: what an app asks its user for, and where the answer goes.

There are three flows:

- With `app_id`, the redirect has tokens in its URL (`acct1`, `token1`, `cur1`, … and `state`), as
  in the published API.
- With `response_type=code` it has a code (RFC 6749, 4.1, with PKCE of RFC 7636, S256), which
  `gateway.web.oauth` exchanges for tokens.
- With `user_code` it is a request of a program without a browser (`gateway.access.devices`), and
  nothing goes to a redirect URI.

Rules:
- The answer goes to exactly the app's registered redirect URI, or nowhere: it is never taken from
  the request. A request that names a redirect URI must name that one.
- Only the flow that an app has chosen is used, whatever the request asks for: no link may turn a
  code, which is useless without its verifier, into tokens in the URL.
- Redirects of the code flow name their issuer (`iss`, RFC 9207); those with tokens do not.
- A parameter that occurs twice, or cannot be parsed, is refused, never guessed.
- An app may ask to be restricted (`authorization_details`, RFC 9396): its user may then restrict it
  more, but not less.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

import orjson

from scopegate.gateway.access.apps import App
from scopegate.gateway.access.devices import DeviceRequest
from scopegate.gateway.access.restrictions import RestrictionKinds
from scopegate.gateway.calls.errors import ApiError
from scopegate.schemas.app_messages import is_target
from scopegate.schemas.restriction_messages import Restrictions
from scopegate.schemas.scopes import Scopes

MAX_STATE = 1024
DETAILS_TYPE = "scopegate_restrictions"
"""The `type` of `authorization_details` that request restrictions (RFC 9396, 2)."""

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
APP_ID = re.compile(r"[0-9]{1,15}", re.ASCII)
_KNOWN = [
    "app_id",
    "client_id",
    "response_type",
    "redirect_uri",
    "scope",
    "scopes",
    "state",
    "code_challenge",
    "code_challenge_method",
    "authorization_details",
]

_OF_CODES = frozenset({"response_type", "client_id", "code_challenge", "code_challenge_method"})
"""The parameters that only requests of the code flow have."""

Flow = Literal["tokens", "code", "device"]

_OTHER_FLOW = {
    "tokens": "{} does not accept tokens in a URL: its link must have response_type=code and PKCE.",
    "code": "{} expects tokens in the URL, not a code: its link must not have response_type.",
}
"""The error for a request of this flow, if the app has chosen the other one."""


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A valid authorization request of an app."""

    app: App
    flow: Flow
    scopes: frozenset[str]
    restrictions: Restrictions
    """What the app asks to be restricted to; no field is set if it does not ask."""
    state: str | None
    challenge: str
    redirect_uri_given: bool
    issuer: str
    """The gateway's own origin, if redirects name their issuer; else empty."""
    device: DeviceRequest | None = None
    """What a program without a browser asks for, in the flow `device`."""

    @property
    def returns_to(self) -> str:
        """The origin of the redirect URI, as the user is shown it; empty in the flow `device`."""
        return "" if self.device is not None else self.app.returns_to

    def returned(self, answer: Iterable[tuple[str, str]]) -> str:
        """Return the redirect URI with this answer, then the request's `state` and the issuer."""
        return _returned(self.app, answer, self.state, self.issuer)

    def refused(self) -> str:
        """Return the redirect URI with the error that the user refused; empty if there is none."""
        if self.device is not None:
            return ""
        return self.returned(
            [("error", "access_denied"), ("error_description", "The user refused.")]
        )


def _returned(app: App, answer: Iterable[tuple[str, str]], state: str | None, issuer: str) -> str:
    pairs = [*answer, *([] if state is None else [("state", state)])]
    if issuer:
        pairs.append(("iss", issuer))
    joint = "&" if urlsplit(app.redirect_uri).query else "" if "?" in app.redirect_uri else "?"
    return f"{app.redirect_uri}{joint}{urlencode(pairs)}"


def understand(
    query: str,
    app_of: Callable[[int], App | None],
    scopes: Scopes,
    kinds: RestrictionKinds,
    issuer: str = "",
) -> AuthorizationRequest:
    """Parse the query of the consent page; `issuer` is the page's origin.

    `scopes` are those that the gateway declares: no others can be granted. `kinds` are the
    restrictions that it has: no others can be requested.

    Raises `ApiError` with a sentence for the user if it cannot be granted. Once the app, its
    redirect URI and the `state` are found valid, `details.back` is the redirect URI with the error.
    """
    parameters = _parameters(query)
    app_id = parameters.get("app_id", parameters.get("client_id", ""))
    if parameters.get("client_id", app_id) != app_id:
        raise _refusal("The link has two different app ids: app_id and client_id must be equal.")
    app = app_of(int(app_id)) if APP_ID.fullmatch(app_id) else None
    if app is None:
        raise ApiError(
            "InvalidAppID",
            "App not found: the link has no valid app_id, or the app was deleted.",
        )
    if app.disabled_at is not None:
        raise _refusal(f"{app.name} cannot be connected: the operator has disabled it.")
    if not is_target(app.redirect_uri):
        raise _refusal(f"{app.name} cannot be connected: it has no redirect_uri.")
    if parameters.get("redirect_uri", app.redirect_uri) != app.redirect_uri:
        raise _refusal(
            f"The link's redirect_uri is not the one that {app.name} has registered. Nothing was"
            " sent there."
        )
    state = parameters.get("state")
    if state is not None and len(state) > MAX_STATE:
        raise _refusal(f"The link's state is longer than {MAX_STATE} characters.")

    kind = parameters.get("response_type")
    if app.flow != "code" and parameters.keys().isdisjoint(_OF_CODES):
        issuer = ""

    def returning(error: str, sentence: str) -> ApiError:
        pairs = [("error", error), ("error_description", sentence)]
        return _refusal(sentence, {"back": _returned(app, pairs, state, issuer)})

    if kind is None and ("client_id" in parameters or "code_challenge" in parameters):
        raise returning("invalid_request", "response_type=code is missing.")
    if kind not in (None, "code"):
        raise returning("unsupported_response_type", "response_type must be code, or left out.")
    flow: Flow = "tokens" if kind is None else "code"
    if app.flow not in ("both", flow):
        raise returning("unauthorized_client", _OTHER_FLOW[flow].format(app.name))
    challenge = parameters.get("code_challenge", "")
    if kind == "code" and (
        parameters.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge)
    ):
        raise returning(
            "invalid_request",
            "PKCE is required: send code_challenge and code_challenge_method=S256.",
        )
    return AuthorizationRequest(
        app=app,
        flow=flow,
        scopes=requested_scopes(app, parameters, scopes, returning),
        restrictions=_restrictions(parameters, kinds, returning),
        state=state,
        challenge=challenge,
        redirect_uri_given="redirect_uri" in parameters,
        issuer=issuer,
    )


def user_code_in(query: str) -> str | None:
    """Return the user code, if that is what the query of the page consists of."""
    name, _, value = query.partition("=")
    return unquote_plus(value) if name == "user_code" and "&" not in value else None


def of_device(
    request: DeviceRequest | None, scopes: Scopes, kinds: RestrictionKinds
) -> AuthorizationRequest:
    """Return what a program without a browser asks for; `scopes` are those of the gateway.

    Raises `ApiError` with a sentence for the user if there is no such request any more.
    """
    asked = frozenset[str]() if request is None else request.scopes & scopes.names
    if request is None or not asked:
        raise _refusal(
            "The code is unknown, or has expired. Check it, or start again on your device."
        )
    return AuthorizationRequest(
        app=request.app,
        flow="device",
        scopes=asked,
        restrictions=kinds.checked({}),
        state=None,
        challenge="",
        redirect_uri_given=False,
        issuer="",
        device=request,
    )


def _parameters(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=50, errors="strict")
    except ValueError:  # too many, or not UTF-8
        raise _refusal("The link is malformed.") from None
    parameters: dict[str, str] = {}
    for name, value in pairs:
        if name in _KNOWN and value:  # without a value it counts as omitted (RFC 6749, 3.1)
            if name in parameters:
                raise _refusal(f"The link has {name} twice.")
            parameters[name] = value
    return parameters


def requested_scopes(
    app: App,
    parameters: Mapping[str, str],
    scopes: Scopes,
    refusing: Callable[[str, str], Exception],
) -> frozenset[str]:
    """Return the requested scopes: by default, those that the app registered for.

    `refusing` makes the exception that is raised, from a code (RFC 6749, 4.1.2.1) and a sentence.
    """
    if "scope" in parameters and "scopes" in parameters:
        raise refusing("invalid_request", "Send scope or scopes, not both.")
    text = parameters.get("scopes", parameters.get("scope", ""))
    names = [name for name in re.split(r"[ ,+]+", text) if name]
    if not names:
        requested = app.scopes
    else:
        requested = frozenset(names)
        # The app may be registered for a scope that is no longer declared.
        if not requested <= scopes.names | app.scopes:
            raise refusing("invalid_scope", f"Unknown scope. The scopes are {', '.join(scopes)}.")
    beyond = requested - app.scopes
    if beyond:
        raise refusing(
            "invalid_scope",
            f"{app.name} asks for {', '.join(scopes.in_order(beyond))}, which it has not registered"
            " for.",
        )
    if app.scopes and not requested & scopes.names:
        raise refusing(
            "invalid_scope", f"This gateway offers none of the scopes that {app.name} asks for."
        )
    return requested & scopes.names


def _restrictions(
    parameters: Mapping[str, str],
    kinds: RestrictionKinds,
    returning: Callable[[str, str], ApiError],
) -> Restrictions:
    """Return the requested restrictions (RFC 9396, 2 and 5)."""
    text = parameters.get("authorization_details")
    if text is None:
        return kinds.checked({})

    def invalid(sentence: str) -> ApiError:
        return returning("invalid_authorization_details", sentence)

    try:
        details = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise invalid("authorization_details is not valid JSON.") from None
    if not (isinstance(details, list) and len(details) == 1 and isinstance(details[0], dict)):
        raise invalid("authorization_details must be an array of one object.")
    [fields] = details
    if fields.pop("type", None) != DETAILS_TYPE:
        raise invalid(f"The type of the object in authorization_details must be {DETAILS_TYPE}.")
    try:
        return kinds.checked(fields, "authorization_details")
    except ApiError as refused:
        problems = [f"{name}: {sentence}" for name, sentence in (refused.details or {}).items()]
        raise invalid(" ".join(problems)) from None


def _refusal(sentence: str, details: Mapping[str, Any] | None = None) -> ApiError:
    return ApiError("ConsentRefused", sentence, details)
