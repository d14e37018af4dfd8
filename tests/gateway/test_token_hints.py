"""Hints about tokens: those that are unused, that expire, and that have more scopes than needed."""

from dataclasses import replace

import pytest

from scopegate.gateway.access.token_hints import (
    DAY,
    HintKind,
    TokenFacts,
    calls_with_children,
    hints,
)

NOW = 2_000_000_000.0
NEEDED = {
    "balance": {"read", "trading_information"},
    "buy": {"trade"},
    "transfer": {"payments"},
    "api_token": {"admin"},
    "ping": set[str](),
}
RISKY = ("trade", "payments", "admin")
TOKEN = TokenFacts(
    scopes=("read", "trade"),
    created_at=NOW - 30 * DAY,
    last_used_at=NOW - DAY,
    expires_at=None,
    calls=("balance", "buy"),
    all_calls_known=True,
)


def found(token: TokenFacts) -> list[HintKind]:
    return [hint.kind for hint in hints(token, NOW, NEEDED, RISKY)]


def words(token: TokenFacts) -> list[str]:
    return [hint.words for hint in hints(token, NOW, NEEDED, RISKY)]


def test_a_token_that_uses_its_scopes_has_no_hint() -> None:
    assert found(TOKEN) == []


@pytest.mark.parametrize(
    ("created", "used", "is_unused"),
    [
        (90, None, True),
        (89.9, None, False),
        (400, 90, True),
        (400, 89.9, False),
    ],
)
def test_a_token_is_unused_after_ninety_days(
    created: float, used: float | None, is_unused: bool
) -> None:
    token = replace(
        TOKEN,
        created_at=NOW - created * DAY,
        last_used_at=None if used is None else NOW - used * DAY,
        calls=() if used is None else TOKEN.calls,
    )
    assert found(token) == ([HintKind.UNUSED] if is_unused else [])
    if is_unused:
        assert words(token) == ["Not used for 90 days: delete it?"]


@pytest.mark.parametrize(("days", "is_soon"), [(7, True), (7.1, False), (0.01, True)])
def test_a_token_that_expires_within_a_week_says_so(days: float, is_soon: bool) -> None:
    token = replace(TOKEN, expires_at=NOW + days * DAY)
    assert words(token) == (["Expires within 7 days."] if is_soon else [])


@pytest.mark.parametrize(
    ("scopes", "calls", "sentence"),
    [
        (
            ("read", "trade"),
            ("balance", "ping"),
            "Has never used the permission trade: use a read-only token instead?",
        ),
        (
            ("read", "admin", "payments", "trade"),
            ("balance", "buy"),
            "Has never used the permissions payments or admin: use a token without them instead?",
        ),
        (
            ("trade", "payments"),
            ("buy",),
            "Has never used the permission payments: use a token without it instead?",
        ),
        # Nothing would remain of it.
        (
            ("trade",),
            ("ping",),
            "Has never used the permission trade: use a token without it instead?",
        ),
    ],
)
def test_scopes_that_were_never_used_are_named(
    scopes: tuple[str, ...], calls: tuple[str, ...], sentence: str
) -> None:
    assert words(replace(TOKEN, scopes=scopes, calls=calls)) == [sentence]


def test_an_old_token_is_judged_by_what_is_known_of_it() -> None:
    token = replace(TOKEN, created_at=NOW - 100 * DAY, calls=("balance",))
    assert words(token) == [
        "Has not used the permission trade for 90 days: use a read-only token instead?"
    ]


@pytest.mark.parametrize(
    "token",
    [
        replace(TOKEN, calls=("balance",), created_at=NOW - 6.9 * DAY),
        replace(TOKEN, calls=("balance",), all_calls_known=False),
        replace(TOKEN, calls=()),
        # A scope that changes nothing.
        replace(TOKEN, calls=("buy",)),
    ],
)
def test_scopes_are_not_judged_without_grounds(token: TokenFacts) -> None:
    assert found(token) == []


def test_a_token_can_have_two_hints() -> None:
    token = replace(TOKEN, calls=("balance",), expires_at=NOW + DAY)
    assert found(token) == [HintKind.EXPIRES_SOON, HintKind.UNNEEDED_SCOPES]


def test_calls_count_for_all_parents() -> None:
    calls = {1: {"balance"}, 3: {"buy"}, 4: {"ping"}}
    parents = {1: None, 2: 1, 3: 2, 4: 9}
    assert calls_with_children(calls, parents) == {
        1: {"balance", "buy"},
        2: {"buy"},
        3: {"buy"},
        4: {"ping"},
        9: {"ping"},
    }
