"""The limits that the call `limits` lists, except those of plugins, from where each is defined.

Rule: every limit that a client can meet is listed here, by the name that the documentation uses.
"""

from scopegate.gateway.access import apps, devices, guard, issuing, passwords, stored_faults, tokens
from scopegate.gateway.calls import dispatch, injecting, scheduling
from scopegate.gateway.calls.counting import MESSAGE_UNIT
from scopegate.gateway.calls.limits import Limit, Per, Profile
from scopegate.gateway.calls.message import MAX_DEPTH
from scopegate.gateway.transport import connection as connections
from scopegate.gateway.transport import http
from scopegate.gateway.transport import peer as peers
from scopegate.handlers.gateway import consent_calls, page_calls
from scopegate.store import store as stores


def limits_in_force(profile: Profile, http_per_minute: int) -> list[Limit]:
    """Return every limit in force: those of the profile, then all others."""
    message, connection, address = Per.MESSAGE, Per.CONNECTION, Per.ADDRESS
    return [
        *profile.listed(),
        Limit("http_per_minute", http_per_minute, "requests a minute", address),
        Limit("message_unit", MESSAGE_UNIT, "bytes", message),
        Limit("message_bytes", peers.MAX_MESSAGE, "bytes", message),
        Limit("message_fragments", peers.MAX_FRAGMENTS, "frames", message),
        Limit("empty_frames", peers.MAX_EMPTY_FRAMES, "frames a second", connection),
        Limit("message_depth", MAX_DEPTH, "levels", message),
        Limit("refusal_echo_bytes", dispatch.MAX_ECHO, "bytes", message),
        Limit("answer_time", dispatch.TIME_LIMIT, "seconds", message),
        Limit("messages_waiting", connections.MAX_WAITING, "messages", connection),
        Limit("messages_waiting_bytes", connections.MAX_WAITING_BYTES, "bytes", connection),
        Limit("handlers_at_once", scheduling.MAX_RUNNING, "handlers", Per.CLIENT),
        Limit("long_work_at_once", scheduling.WORKERS, "calls", Per.GATEWAY),
        Limit("long_work_waiting", scheduling.MAX_QUEUED, "calls", Per.GATEWAY),
        Limit(
            "long_work_waiting_per_client", scheduling.MAX_QUEUED_PER_CLIENT, "calls", Per.CLIENT
        ),
        Limit("writes_waiting", stores.MAX_WAITING, "writes", Per.GATEWAY),
        Limit("held_bytes", peers.MAX_HELD, "bytes", connection),
        Limit("idle_time", peers.IDLE, "seconds", connection),
        Limit("opening_time", peers.HEAD_TIMEOUT, "seconds", connection),
        Limit("wrong_tokens", guard.WRONG_TOKENS_A_MINUTE, "tokens a minute", address),
        Limit("wrong_user_codes", consent_calls.WRONG_CODES_A_MINUTE, "codes a minute", address),
        Limit("device_requests", devices.MAX_OF_REQUESTER, "requests of devices", address),
        Limit("device_requests_of_all", devices.MAX_OF_ALL, "requests of devices", Per.GATEWAY),
        Limit("refresh_tokens", issuing.MAX_LINES, "refresh tokens of one app", Per.USER),
        Limit("wrong_passwords", passwords.FROM_AN_ADDRESS, "passwords a minute", address),
        Limit("wrong_passwords_per_user", passwords.AT_AN_ACCOUNT, "passwords a minute", Per.USER),
        Limit("passwords_at_once", passwords.AT_A_TIME, "passwords", Per.GATEWAY),
        Limit("passwords_waiting", passwords.MAX_WAITING, "passwords", Per.GATEWAY),
        Limit(
            "passwords_waiting_per_client",
            passwords.MAX_WAITING_PER_CLIENT,
            "passwords",
            Per.CLIENT,
        ),
        Limit("tokens", tokens.MAX_PER_USER, "tokens", Per.ACCOUNT),
        Limit("tokens_of_app", tokens.MAX_PER_AUTHORIZATION, "tokens of one app", Per.ACCOUNT),
        Limit("sign_ins", page_calls.MAX_PER_USER, "sign-ins", Per.USER),
        Limit("sign_in_time", page_calls.LASTS, "seconds", Per.USER),
        Limit("apps", apps.MAX_PER_USER, "apps", Per.USER),
        Limit("apps_of_app", apps.MAX_PER_APP, "apps that one app registered", Per.USER),
        Limit("faults", stored_faults.MAX_FAULTS, "faults of one token or app", Per.USER),
        Limit("delayed_bytes", injecting.MAX_DELAYED, "bytes", connection),
        Limit("http_head_bytes", http.MAX_HEAD, "bytes", message),
        Limit("http_body_bytes", http.MAX_BODY, "bytes", message),
    ]
